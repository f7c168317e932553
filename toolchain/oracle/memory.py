# SPDX-License-Identifier: BSD-3-Clause
"""The oracle's memory: numbered bytes, in regions with gaps, and typed reads and writes.

Every global, constant, argument and local that needs an address is a region of its own, so a
pointer that strays meets a gap and the program is stopped (WildAccess) instead of going on with
a neighbour's bytes.  Pointers are plain numbers, so casts, container_of and unions need nothing.

Values   integer-like: int (bool for `bool`, host order for leN/beN); pointers: int, 0 is null;
         Slice: (address, length); tuple: tuple; aggregates (struct, array, ...): bytes.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from toolchain.frontend import types as ty

GAP = 64
STATIC_BASE = 0x10_0000
STACK_BASE = 0x7000_0000_0000


class WildAccessError(Exception):
    """A read or write outside every region: undefined in compiled code, refused here."""


class Arena:
    """Regions at growing addresses; those above a mark can be dropped together."""

    def __init__(self, base: int) -> None:
        self.bases: list[int] = []
        self.blocks: list[bytearray] = []
        self.next = base

    def new(self, size: int, align: int) -> int:
        address = ty.round_up(self.next, max(align, 16))
        self.bases.append(address)
        self.blocks.append(bytearray(size))
        self.next = address + size + GAP
        return address

    def drop(self, mark: int) -> None:
        """Forget all but the first `mark` regions."""
        if mark < len(self.bases):
            self.next = self.bases[mark]
            del self.bases[mark:], self.blocks[mark:]

    def find(self, address: int, size: int) -> tuple[bytearray, int]:
        index = bisect_right(self.bases, address) - 1
        if index >= 0:
            offset = address - self.bases[index]
            block = self.blocks[index]
            if offset + size <= len(block):
                return block, offset
        raise WildAccessError(f"{size} bytes at {address:#x}")


class Memory:
    """Static regions below, the stack of running functions above."""

    def __init__(self) -> None:
        self.static = Arena(STATIC_BASE)
        self.stack = Arena(STACK_BASE)

    def find(self, address: int, size: int) -> tuple[bytearray, int]:
        return (self.stack if address >= STACK_BASE else self.static).find(address, size)

    def read(self, address: int, size: int) -> bytes:
        if size == 0:
            return b""
        block, offset = self.find(address, size)
        return bytes(block[offset:offset + size])

    def write(self, address: int, data: bytes) -> None:
        if data:
            block, offset = self.find(address, len(data))
            block[offset:offset + len(data)] = data

    def load(self, address: int, of: ty.Type) -> Any:
        return decode(of, self.read(address, of.size))

    def store(self, address: int, of: ty.Type, value: Any) -> None:
        self.write(address, encode(of, value))


def decode(of: ty.Type, data: bytes) -> Any:
    """The value of type `of` that `data` holds."""
    if isinstance(of, ty.IntType):
        return int.from_bytes(data, "little", signed=of.signed)
    if of is ty.BOOL:
        return data[0] != 0
    if isinstance(of, ty.SliceType):
        return int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
    if isinstance(of, ty.TupleType):
        return tuple(decode(item, data[at:at + item.size])
                     for item, at in zip(of.items, of.offsets, strict=True))
    if of.is_aggregate:
        return data
    if isinstance(of, ty.EndianType):
        return int.from_bytes(data, "big" if of.big else "little")
    base = integer_base(of)
    return int.from_bytes(data, "little", signed=base.signed)


def encode(of: ty.Type, value: Any) -> bytes:
    """The bytes of `value` in storage of type `of`."""
    if isinstance(of, ty.IntType):
        return value.to_bytes(of.size, "little", signed=of.signed)
    if isinstance(of, ty.SliceType):
        return value[0].to_bytes(8, "little") + value[1].to_bytes(8, "little")
    if isinstance(of, ty.TupleType):
        data = bytearray(of.size)
        for item, at, part in zip(of.items, of.offsets, value, strict=True):
            data[at:at + item.size] = encode(item, part)
        return bytes(data)
    if of.is_aggregate:
        return value
    if isinstance(of, ty.EndianType):
        return value.to_bytes(of.size, "big" if of.big else "little")
    return int(value).to_bytes(of.size, "little", signed=integer_base(of).signed)


def integer_base(of: ty.Type) -> ty.IntType:
    """The integer a register-sized type is held in."""
    if isinstance(of, ty.IntType):
        return of
    if isinstance(of, ty.NewtypeType | ty.EndianType | ty.BitsType | ty.EnumType):
        return of.base
    return ty.U8 if of is ty.BOOL else ty.U64


def zero(of: ty.Type) -> Any:
    """The value all of whose bytes are zero."""
    return decode(of, bytes(of.size))


def constant_bytes(of: ty.Type, value: Any, place: Callable[[ty.Type, Any], int],
                   address_of: Callable[[str], int]) -> bytes:
    """The bytes of a ConstValue (see tree.py).

    `place` puts the elements of a slice somewhere; `address_of` resolves a SymbolRef.
    """
    def inner(part: ty.Type, item: Any) -> bytes:
        return constant_bytes(part, item, place, address_of)

    if value is None:
        return bytes(of.size)
    if isinstance(of, ty.ArrayType):
        if isinstance(value, bytes):
            return value.ljust(of.size, b"\0")
        return b"".join(inner(of.elem, item) for item in value).ljust(of.size, b"\0")
    if isinstance(of, ty.SliceType):
        return encode(of, (place(ty.array(of.elem, len(value)), value), len(value)))
    if isinstance(of, ty.AtomicType):
        return inner(of.elem, value)
    if isinstance(of, ty.TupleType):
        return encode(of, tuple(decode(item, inner(item, part))
                                for item, part in zip(of.items, value, strict=True)))
    data = bytearray(of.size)
    if isinstance(of, ty.UnionType):
        tag, payload = value
        data[:4] = tag.to_bytes(4, "little")
        filled = inner(of.variants[tag], payload)
        data[of.payload_offset:of.payload_offset + len(filled)] = filled
        return bytes(data)
    if isinstance(of, ty.StructType):
        for name, part in value.items():
            field = of.fields[name]
            data[field.offset:field.offset + field.ty.size] = inner(field.ty, part)
        return bytes(data)
    if not isinstance(value, int):
        value = address_of(value.symbol) + value.addend
    return encode(of, value)
