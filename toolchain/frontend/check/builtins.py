# SPDX-License-Identifier: BSD-3-Clause
"""The functions of the vocabulary: one small checker each, in the file of its idea.

    trunc(u8, x)        integers    Convert(trunc, x)
    sizeof(Thread)      sizes       Const 192
    ref(node)           storage     AddrOf node
    cast(Ptr[T], p)     unsafe      Convert(ptr, p)
    asm("rdmsr", ...)   machine     AsmExpr

What is printed is checked in format.py, and `range`, `zip` and their like in loops.py.

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import (
    calls,
    integers,
    machine,
    sizes,
    storage,
    unsafe,
    vocabulary,
)
from toolchain.frontend.check.body import Body

_PARTS = (integers, machine, sizes, storage, unsafe)


def call(b: Body, node: ast.Call, name: str, want: t.Type | None) -> tree.Expr:
    """A call of builtin `name`."""
    part = next((part for part in _PARTS if name in part.HANDLERS), None)
    if part is None:
        return b.error("K0320", node.func, f"`{name}` cannot be used here",
                       help=_elsewhere(name))
    if part is unsafe:
        unsafe.require(b, node)
    takes = vocabulary.ARGUMENTS.get(name)
    if takes is not None and not calls.counted(b, node, *takes):
        return b.poison(node)
    return part.HANDLERS[name](b, node, want)


def _elsewhere(name: str) -> str:
    if name in ("range", "enumerate", "zip", "reversed"):
        return f"`{name}(...)` stands in a `for`"
    if name == "kassert":
        return "`kassert(cond)` is a statement of its own"
    if name in ("kprintf", "klog", "panic"):
        return f"`{name}(f\"...\")` is a statement of its own"
    return ""
