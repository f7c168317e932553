# SPDX-License-Identifier: BSD-3-Clause
"""What the oracle's parts share: ways a call can end, a running function, names of checks."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolchain.frontend import tree
from toolchain.frontend import types as ty

if TYPE_CHECKING:
    from toolchain.oracle.memory import Memory

# kpy.rt.Check, by name.
CHECKS = {name: number for number, name in enumerate(
    ("OVERFLOW", "INDEX", "SLICE", "ZERO_DIVISOR", "SHIFT", "CONVERSION", "NULL", "NOT_A_MEMBER",
     "UNREACHABLE", "ASSERT", "PANIC"), 1)}


class Trap(Exception):  # noqa: N818 (the program's failure, not ours)
    """A check failed.  `kind` is a name of kpy.rt.Check, `a` and `b` what it says, as u64.

    `line` and `column` count from 1, in characters; `text` is the source of the place.
    """

    def __init__(self, kind: str, a: int, b: int, loc: tree.Loc | None, message: str = "") -> None:
        super().__init__(f"{kind}({a}, {b}) {message}".rstrip())
        mask = (1 << 64) - 1
        self.kind, self.a, self.b, self.message = kind, a & mask, b & mask, message
        self.line, self.column, self.text = 0, 0, ""
        if loc is not None:
            self.line, self.column = loc.line, loc.source.column(loc.line, loc.col) + 1
            self.text = loc.source.segment(loc)


class KpyError(Exception):
    """An Errno left a @throws function that was called from outside."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class UnsupportedError(Exception):
    """The program asks for something that only a machine has (assembly, unknown externs)."""


class OutOfFuelError(Exception):
    """The program took more steps than it was given."""


class Raised(Exception):  # noqa: N818 (kpy's raise on its way through Python's)
    """An Errno under way inside the program."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Frame:
    """A running function: values of its variables, or the addresses of those that need one."""

    __slots__ = ("addresses", "function", "result", "temps", "values")

    def __init__(self, function: tree.Function) -> None:
        self.function = function
        self.values: dict[tree.Var, Any] = {}
        self.addresses: dict[tree.Var, int] = {}
        self.temps: dict[int, int] = {}
        self.result: Any = None

    def address(self, var: tree.Var, memory: Memory) -> int:
        """Where `var` lives, from now on: in memory."""
        found = self.addresses.get(var)
        if found is None:
            found = self.addresses[var] = memory.stack.new(var.ty.size, var.ty.align)
            if var in self.values:
                memory.store(found, var.ty, self.values.pop(var))
        return found


class VarRef:
    """A place: a variable that has needed no address so far."""

    __slots__ = ("frame", "var")

    def __init__(self, frame: Frame, var: tree.Var) -> None:
        self.frame, self.var = frame, var


class BitRef:
    """A place: some bits of the bit struct in another place."""

    __slots__ = ("base", "field", "whole")

    def __init__(self, base: Ref, whole: ty.Type, field: ty.Field) -> None:
        self.base, self.whole, self.field = base, whole, field


Ref = int | VarRef | BitRef
