# SPDX-License-Identifier: BSD-3-Clause
"""The machine: atomics and fences, assembly, tables that the linker sorts, single instructions.

    count.add(1)                        AtomicOp(add, count, [1], seq_cst)
    count.load_acquire()                AtomicOp(load, count, [], acquire)
    asm("in %dx, %al", out=("a", u8))   AsmExpr
    entries("sysinit")                  TableRef

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import expr, lifetimes, typeexpr, vocabulary
from toolchain.frontend.check.body import Body, address
from toolchain.frontend.check.scope import nearest

_ATOMIC_HELP = ("for example `counter.load()` or `counter.load(order=acquire)`",
                "for example `counter.add(1)` or `counter.add(1, order=relaxed)`",
                "for example `lock.cas(0, 1)`: what is expected, and what to put there")


_ATOMIC_ARGS = {"load": 0, "store": 1, "swap": 1, "add": 1, "sub": 1, "and_": 1, "or_": 1,
                "xor": 1, "cas": 2, "cas_value": 2}


def atomic(b: Body, node: ast.Call, base: tree.Expr, method: str) -> tree.Expr:
    """A method of Atomic[T]; the order is its last part (`load_acquire`) or `order=`."""
    name, order = method, "seq_cst"
    for suffix in vocabulary.ORDERS:
        if method.endswith(f"_{suffix}"):
            name, order = method[:-len(suffix) - 1], suffix
    if name not in _ATOMIC_ARGS:
        return b.error("K0323", node, f"an atomic has no method `{method}`",
                       help=nearest(method, tuple(_ATOMIC_ARGS)) or
                       "its methods are load store swap add sub and_ or_ xor cas cas_value")
    elem = base.ty.elem                                              # type: ignore[attr-defined]
    for keyword in node.keywords:
        found = _order(b, keyword.value) if keyword.arg == "order" else None
        if found is None:
            return b.error("K0323", keyword, "an order is one of "
                           + ", ".join(vocabulary.ORDERS),
                           help="for example `counter.load(order=acquire)` or "
                           "`counter.load_acquire()`")
        order = found
    if len(node.args) != _ATOMIC_ARGS[name]:
        return b.error("K0335", node, f"`{method}` takes {_ATOMIC_ARGS[name]} "
                       f"value{'s' * (_ATOMIC_ARGS[name] != 1)} and an order",
                       help=_ATOMIC_HELP[_ATOMIC_ARGS[name]])
    bad = {"load": ("release", "acq_rel"), "store": ("acquire", "acq_rel")}.get(name, ())
    if order in bad:
        return b.error("K0323", node, f"a {name} cannot be `{order}`",
                       help="loads acquire, stores release")
    if name in ("add", "sub", "and_", "or_", "xor") and not isinstance(
            elem, t.IntType | t.BitsType | t.NewtypeType) and not (
            isinstance(elem, t.EnumType) and elem.is_flags and name not in ("add", "sub")):
        return b.error("K0323", node, f"`{name}` needs an integer; this is `{base.ty.name}`",
                       help="use `load`, `store`, `swap` or `cas`")
    args = [expr.converted(b, a, elem, "this atomic") for a in node.args]
    if any(a.ty is t.POISON for a in args) or not isinstance(base, tree.Place):
        return b.poison(node)
    if args and name in ("store", "swap", "cas", "cas_value"):
        lifetimes.stored(b, base, args[-1], b.loc(node))
    result = t.VOID if name == "store" else t.BOOL if name == "cas" else elem
    return tree.AtomicOp(result, b.loc(node), name.rstrip("_"), base, args, order)


def _order(b: Body, node: ast.expr) -> str | None:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(
        node, ast.Attribute) else node.value if isinstance(node, ast.Constant) else None
    return name if name in vocabulary.ORDERS else None


def _fence(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if len(node.args) > 1:
        return b.error("K0335", node, "`fence` takes an order",
                       help="for example `fence(release)`; alone, `fence()` is seq_cst")
    order = _order(b, node.args[0]) if node.args else "seq_cst"
    if order is None or order == "relaxed":
        return b.error("K0323", node, "a fence is acquire, release, acq_rel or seq_cst",
                       help="a relaxed fence orders nothing: leave it out, or say what it must "
                       "order")
    return tree.Fence(t.VOID, b.loc(node), order)


def _compiler_fence(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    return tree.Fence(t.VOID, b.loc(node), "compiler")


def _asm(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """asm("in al, dx", out=("a", u8), ins={"d": port}, clobbers=("memory",))."""
    if len(node.args) != 1 or not isinstance(node.args[0], ast.Constant) or not isinstance(
            node.args[0].value, str):
        return b.error("K0804", node, "`asm` takes its template as a literal string",
                       help="for example `asm(\"pause\")`")
    outs: list[tuple[str, t.Type]] = []
    ins: list[tuple[str, tree.Expr]] = []
    clobbers: list[str] = []
    volatile = True
    for keyword in node.keywords:
        match keyword.arg:
            case "out":
                outs = _asm_outputs(b, keyword.value)
            case "ins":
                ins = _asm_inputs(b, keyword.value)
            case "clobbers":
                clobbers = _strings(keyword.value)
            case "volatile":
                volatile = not (isinstance(keyword.value, ast.Constant)
                                and keyword.value.value is False)
            case _:
                return b.error("K0804", keyword, f"`asm` has no `{keyword.arg}=`",
                               help="it has out=, ins=, clobbers=, volatile=")
    if any(e.ty is t.POISON for _, e in ins) or any(ty is t.POISON for _, ty in outs):
        return b.poison(node)
    constraints = [f"={_constraint(c)}" for c, _ in outs] + [_constraint(c) for c, _ in ins]
    constraints += [f"~{{{c}}}" for c in (*clobbers, "dirflag", "fpsr", "flags")]
    result = t.VOID if not outs else outs[0][1] if len(outs) == 1 else t.tuple_of(
        tuple(ty for _, ty in outs))
    if "memory" in clobbers:
        b.forget_memory()
    return tree.AsmExpr(result, b.loc(node), node.args[0].value, ",".join(constraints),
                        [e for _, e in ins], volatile)


def _strings(node: ast.expr) -> list[str]:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


_REGISTERS = {"a": "ax", "b": "bx", "c": "cx", "d": "dx", "S": "si", "D": "di"}


def _constraint(text: str) -> str:
    if text in _REGISTERS:
        return f"{{{_REGISTERS[text]}}}"
    if text in ("r", "m", "i", "n", "q", "g", "ri", "rm") or text.isdigit():
        return text
    return f"{{{text}}}"


def _asm_outputs(b: Body, node: ast.expr) -> list[tuple[str, t.Type]]:
    """out=("a", u32), or out={"a": u32, "d": u32}."""
    if isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
        pairs = [(node.elts[0], node.elts[1])]
    else:
        b.error("K0804", node, "outputs are `out=(\"a\", u32)` or `out={\"a\": u32, \"d\": u32}`",
                help="the register comes first, then the type of what is read from it")
        return [("r", t.POISON)]
    out = []
    for key, value in pairs:
        name = key.value if isinstance(key, ast.Constant) else ""
        ty = typeexpr.resolve(b.cx, b.scope, value)
        if ty is not t.POISON and (not ty.is_scalar or isinstance(ty, t.SliceType | t.TupleType)):
            b.error("K0804", value, f"a register cannot hold `{ty.name}`",
                    help="an output is an integer, a bool or a pointer; structs go through memory")
            ty = t.POISON
        out.append((str(name), ty))
    return out


def _asm_inputs(b: Body, node: ast.expr) -> list[tuple[str, tree.Expr]]:
    if not isinstance(node, ast.Dict):
        b.error("K0804", node, "inputs are `ins={\"a\": value, ...}`",
                help="for example `ins={\"d\": port, \"a\": value}`")
        return [("r", b.poison(node))]
    out = []
    for key, value in zip(node.keys, node.values, strict=True):
        name = key.value if isinstance(key, ast.Constant) else ""
        made = expr.value(b, value)
        if made.ty is t.LITERAL:
            made = b.coerce(made, t.U64, value)
        if made.ty.is_aggregate and isinstance(made, tree.Place):
            made = address(b, made, t.ptr(made.ty), value)
        if isinstance(made.ty, t.SliceType | t.TupleType):
            made = b.error("K0804", value, f"a register cannot hold `{made.ty.name}`",
                           help="pass an integer or a pointer: of a slice, its address and its "
                           "length")
        out.append((str(name), made))
    return out


def _entries(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    if not isinstance(node.args[0], ast.Constant) or not isinstance(node.args[0].value, str):
        return b.error("K0805", node, "`entries` takes the table's name",
                       help='for example `entries("sysinit")`')
    ty = t.slice_of(typeexpr.table_entry())
    b.effects.tables.add(str(node.args[0].value))
    return tree.TableRef(ty, b.loc(node), str(node.args[0].value))


def _nothing(op: str, result: t.Type) -> Any:
    def check(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
        return tree.Intrinsic(result, b.loc(node), op, [])
    return check


def _unreachable(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    return tree.Intrinsic(t.NEVER, b.loc(node), "trap", [])


HANDLERS: dict[str, Any] = {
    "fence": _fence, "compiler_fence": _compiler_fence, "asm": _asm, "entries": _entries,
    "pause": _nothing("pause", t.VOID), "frame_address": _nothing("frame_address", t.U64),
    "return_address": _nothing("return_address", t.U64), "unreachable": _unreachable,
}
