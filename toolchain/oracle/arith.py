# SPDX-License-Identifier: BSD-3-Clause
"""Integer operations on exact numbers, brought back into the width of their type.

An operation gives its exact result; `fit` says whether that is one of the type's.  Nothing here
knows how a machine does it, which is the point: the compiler's answer is compared with this one.
"""
from __future__ import annotations

from collections.abc import Callable

from toolchain.frontend.types import IntType

# Past this count the low 64 bits of a shift no longer change, and the exact number is only big.
LONGEST_SHIFT = 128


def shift_left(value: int, count: int) -> int:
    return value << min(count, LONGEST_SHIFT)


def shift_right(value: int, count: int) -> int:
    return value >> min(count, LONGEST_SHIFT)


EXACT: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": shift_left,
    "shr": shift_right,
}

COMPARE: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def unsigned(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)


def count_trailing(value: int, bits: int) -> int:
    """Zeros below the lowest one; all of `bits` if there is none."""
    value = unsigned(value, bits)
    return (value & -value).bit_length() - 1 if value else bits


def count_leading(value: int, bits: int) -> int:
    return bits - unsigned(value, bits).bit_length()


def rotate_left(value: int, count: int, bits: int) -> int:
    value, count = unsigned(value, bits), count % bits
    return unsigned(value << count, bits) | value >> (bits - count)


def swap_bytes(value: int, bits: int) -> int:
    return int.from_bytes(unsigned(value, bits).to_bytes(bits // 8, "little"), "big")


def intrinsic(op: str, kind: IntType, args: list[int]) -> object:
    """The pure intrinsics of tree.Intrinsic, on integers of type `kind`."""
    bits = kind.bits
    if op == "popcount":
        return unsigned(args[0], bits).bit_count()
    if op == "ctz":
        return count_trailing(args[0], bits)
    if op == "clz":
        return count_leading(args[0], bits)
    if op == "bswap":
        return kind.wrap(swap_bytes(args[0], bits))
    if op == "rotl":
        return kind.wrap(rotate_left(args[0], args[1], bits))
    if op == "rotr":
        return kind.wrap(rotate_left(args[0], -args[1], bits))
    if op in {"min", "max"}:
        return min(args) if op == "min" else max(args)
    if op == "mulhi":
        return kind.wrap(args[0] * args[1] >> bits)
    if op in {"add_carry", "sub_borrow", "mul_overflow"}:
        a, b = args
        exact = a + b if op == "add_carry" else a - b if op == "sub_borrow" else a * b
        return kind.wrap(exact), not kind.holds(exact)
    raise KeyError(op)
