# SPDX-License-Identifier: BSD-3-Clause
"""What one operation of a constant may cost: Python would count to 9**9**9 without a word.

    HUGE: Final = side ** side      side ** _Bounded(side)
    x *= x                          x *= _Bounded(x)

A constant's executed lines are counted (const.py), but one `**`, `<<` or `*` may run for hours or
fill the memory.  So bound() gives the right operand of each a type of its own, whose reflected
operator looks at both operands before it computes; `range(n)`, `bytes(n)` and their like are
called through one that looks at n.  CPython asks the right operand because no integer, list or
text knows how to compute with it.

Tests     tests/toolchain/test_messages.py, tests/toolchain/test_bad_input.py
"""
from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from typing import Any

MOST_BITS = 4096             # of an integer: no constant needs more
MOST_ITEMS = 1 << 26         # of a list, a text or a range
_CALLS = ("range", "bytes", "bytearray")
_TO_PAD = ("ljust", "rjust", "center", "zfill")
_OPERATORS = ast.Mult | ast.Pow | ast.LShift
LARGE_NUMBER = ("this number is too large to be meant",
                "the largest integers are 64 bits wide; is a count mistyped?")


class TooLargeError(Exception):
    """(what is wrong, what to do)."""


def bound(node: ast.AST) -> Any:
    """A copy of the tree with its costly operations bounded; it needs NAMES."""
    return ast.fix_missing_locations(_Bounding().visit(copy.deepcopy(node)))


class _Bounding(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, _OPERATORS):
            node.right = _call("(right)", node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, _OPERATORS):
            node.value = _call("(right in place)", node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else (
            node.func.attr if isinstance(node.func, ast.Attribute) else "")
        if name in _CALLS or name in _TO_PAD:
            node.func = _call("(callee)", node.func)
        return node


def _call(name: str, operand: ast.expr) -> ast.Call:
    """A call of one of NAMES, at the operand's place."""
    return ast.copy_location(ast.Call(ast.Name(name, ast.Load()), [operand], []), operand)


class _Bounded:
    """The right operand of an operator."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __rpow__(self, left: Any) -> Any:
        if isinstance(left, int) and isinstance(self.value, int) and abs(left) > 1:
            _look_at_bits(left.bit_length() * self.value)
        return left ** self.value

    def __rlshift__(self, left: Any) -> Any:
        if isinstance(left, int) and isinstance(self.value, int):
            _look_at_bits(left.bit_length() + self.value)
        return left << self.value

    def __rmul__(self, left: Any) -> Any:
        self._look_at_product(left)
        return left * self.value

    def _look_at_product(self, left: Any) -> None:
        right = self.value
        if isinstance(left, int) and isinstance(right, int):
            _look_at_bits(left.bit_length() + right.bit_length())
        for items, count in ((left, right), (right, left)):
            if isinstance(items, list | tuple | str | bytes | bytearray) and (
                    isinstance(count, int) and len(items) * count > MOST_ITEMS):
                raise TooLargeError(
                    "these are too many copies to be meant",
                    f"a constant makes {MOST_ITEMS:,} items at most; is a count mistyped?")


class _BoundedInPlace(_Bounded):
    """The right operand of `xs *= n`, which changes the list itself."""

    __slots__ = ()

    def __rmul__(self, left: Any) -> Any:
        self._look_at_product(left)
        left *= self.value
        return left


def _look_at_bits(bits: int) -> None:
    if bits > MOST_BITS + 1:
        raise TooLargeError(*LARGE_NUMBER)


def _callee(function: Any) -> Callable[..., Any]:
    """`function`, called with numbers within bounds."""
    def call(*args: Any, **more: Any) -> Any:
        numbers = [value for value in args if isinstance(value, int)]
        items = max(numbers, default=0)
        if function is range and len(numbers) > 1:
            step = abs(args[2]) if len(numbers) > 2 else 1
            items = abs(args[1] - args[0]) // max(step, 1)
        if items > MOST_ITEMS:
            raise TooLargeError(
                "these are too many items to be meant",
                f"a constant makes {MOST_ITEMS:,} at most; is a count mistyped?")
        return function(*args, **more)
    return call


NAMES = {"(right)": _Bounded, "(right in place)": _BoundedInPlace, "(callee)": _callee}
"""What bounded code calls; no source can name them."""
