# SPDX-License-Identifier: BSD-3-Clause
"""The types of kpy: identity, layout and lossless conversion.

Types are interned: two spellings of one type are one object, so `is` compares them.  Structs,
enums, bit structs, register blocks and unions are nominal: one object a declaration (and, for a
generic, one an instantiation).

Invariants
  Y1  Structural types with equal parts are the same object.
  Y2  size and align of every complete type are C's on x86-64 (System V), but for `packed`,
      `align=` and `size=`; a Slice is {pointer, u64 length}; a tagged union is {u32 tag, payload}.
  Y3  A struct's fields are filled in exactly once, before anyone asks for its layout.
Tests     tests/toolchain/test_lower_values.py
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

POINTER_SIZE = 8
TUPLE_LIMIT = 16      # values of a tuple: they travel in registers


class Type:
    """One type.  `name` is its kpy spelling; `size` and `align` are in bytes."""

    __slots__ = ("align", "name", "size")
    name: str
    size: int
    align: int

    is_scalar = True      # fits a register: loaded and stored whole
    is_aggregate = False  # lives in storage; expressions of it are places

    @property
    def identity(self) -> str:
        """The name with declared types by their symbols: unlike that of any other type."""
        return self.name

    def __repr__(self) -> str:
        return self.name


class VoidType(Type):
    """`None` as a result: no value."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self.name, self.size, self.align = name, 0, 1


class PoisonType(VoidType):
    """The type of an expression already reported as wrong; agrees with everything."""

    __slots__ = ()


class BoolType(Type):
    """`bool`: one byte in memory, 0 or 1."""

    __slots__ = ()

    def __init__(self) -> None:
        self.name, self.size, self.align = "bool", 1, 1


class IntType(Type):
    """`u8` .. `i64`; widths that are not a power of two exist only as bit fields."""

    __slots__ = ("bits", "signed")

    def __init__(self, bits: int, signed: bool) -> None:
        self.bits, self.signed = bits, signed
        self.name = f"{'i' if signed else 'u'}{bits}"
        self.size = 1 if bits <= 8 else 2 if bits <= 16 else 4 if bits <= 32 else 8
        self.align = self.size

    @property
    def minimum(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << (self.bits - (1 if self.signed else 0))) - 1

    def holds(self, value: int) -> bool:
        """Whether `value` is one of this type's."""
        return self.minimum <= value <= self.maximum

    def wrap(self, value: int) -> int:
        """`value` modulo 2**bits, as this type reads it."""
        value &= (1 << self.bits) - 1
        if self.signed and value >> (self.bits - 1):
            value -= 1 << self.bits
        return value


class LiteralType(Type):
    """The type of a compile-time integer that has not met a type yet; never reaches lowering."""

    __slots__ = ()

    def __init__(self) -> None:
        self.name, self.size, self.align = "integer literal", 0, 1


class NewtypeType(Type):
    """`PhysAddr`, `VirtAddr`: a u64 that does not mix with others.

    PhysAddr + u64 is a PhysAddr, PhysAddr - PhysAddr is a u64; comparison among equals.
    """

    __slots__ = ("base",)

    def __init__(self, name: str, base: IntType) -> None:
        self.name, self.base = name, base
        self.size, self.align = base.size, base.align


class EndianType(Type):
    """`le16` .. `be64`: bytes on a disk or wire.  Converts to and from its host integer only."""

    __slots__ = ("base", "big")

    def __init__(self, base: IntType, big: bool) -> None:
        self.base, self.big = base, big
        self.name = f"{'be' if big else 'le'}{base.bits}"
        self.size, self.align = base.size, base.align


class PtrType(Type):
    """`Ptr[T]` (never null) and, with `nullable`, `Ptr[T] | None`."""

    __slots__ = ("elem", "nullable")

    def __init__(self, elem: Type, nullable: bool) -> None:
        self.elem, self.nullable = elem, nullable
        self.name = f"Ptr[{elem.name}]" + (" | None" if nullable else "")
        self.size = self.align = POINTER_SIZE

    @property
    def identity(self) -> str:
        return f"Ptr[{self.elem.identity}]" + (" | None" if self.nullable else "")


class MPtrType(Type):
    """`MPtr[T]`: many, unchecked; arithmetic and indexing; unsafe modules only.  May be null."""

    __slots__ = ("elem",)

    def __init__(self, elem: Type) -> None:
        self.elem = elem
        self.name = f"MPtr[{elem.name}]"
        self.size = self.align = POINTER_SIZE

    @property
    def identity(self) -> str:
        return f"MPtr[{self.elem.identity}]"


class UserPtrType(Type):
    """`UserPtr[T]`: an address a user program gave us; never dereferenced, only copied through."""

    __slots__ = ("elem",)

    def __init__(self, elem: Type) -> None:
        self.elem = elem
        self.name = f"UserPtr[{elem.name}]"
        self.size = self.align = POINTER_SIZE

    @property
    def identity(self) -> str:
        return f"UserPtr[{self.elem.identity}]"


class MmioType(Type):
    """`Mmio[R]`: the address of a @regs block; each access is one volatile access."""

    __slots__ = ("regs",)

    def __init__(self, regs: RegsType) -> None:
        self.regs = regs
        self.name = f"Mmio[{regs.name}]"
        self.size = self.align = POINTER_SIZE

    @property
    def identity(self) -> str:
        return f"Mmio[{self.regs.identity}]"


class SliceType(Type):
    """`Slice[T]`: address and length, always bounds-checked.  `Str` is `Slice[u8]` of text."""

    __slots__ = ("elem",)

    def __init__(self, elem: Type, name: str | None = None) -> None:
        self.elem = elem
        self.name = name or f"Slice[{elem.name}]"
        self.size, self.align = 2 * POINTER_SIZE, POINTER_SIZE

    @property
    def identity(self) -> str:
        return f"Slice[{self.elem.identity}]" if self.name.startswith("Slice[") else self.name


class ArrayType(Type):
    """`Array[T, N]`: N in place, always bounds-checked."""

    __slots__ = ("count", "elem")
    is_scalar = False
    is_aggregate = True

    def __init__(self, elem: Type, count: int) -> None:
        self.elem, self.count = elem, count
        self.name = f"Array[{elem.name}, {count}]"
        self.size, self.align = elem.size * count, elem.align

    @property
    def identity(self) -> str:
        return f"Array[{self.elem.identity}, {self.count}]"


class TupleType(Type):
    """`tuple[A, B]`: several results at once; a value, not storage; items laid out as in C."""

    __slots__ = ("items", "offsets")

    def __init__(self, items: tuple[Type, ...]) -> None:
        self.items = items
        self.name = f"tuple[{', '.join(item.name for item in items)}]"
        self.offsets, self.size, self.align = lay_out(items)

    @property
    def identity(self) -> str:
        return f"tuple[{', '.join(item.identity for item in self.items)}]"


class FnType(Type):
    """`Fn[[A, B], R]`, `ThrowsFn[[A, B], R]`; with `no_block`, `NoBlock[Fn[...]]`."""

    __slots__ = ("no_block", "params", "result", "throws")

    def __init__(self, params: tuple[Type, ...], result: Type, throws: bool, no_block: bool,
                 ) -> None:
        self.params, self.result, self.throws, self.no_block = params, result, throws, no_block
        head = "ThrowsFn" if throws else "Fn"
        text = f"{head}[[{', '.join(p.name for p in params)}], {result.name}]"
        self.name = f"NoBlock[{text}]" if no_block else text
        self.size = self.align = POINTER_SIZE

    @property
    def identity(self) -> str:
        head = "ThrowsFn" if self.throws else "Fn"
        params = ", ".join(p.identity for p in self.params)
        text = f"{head}[[{params}], {self.result.identity}]"
        return f"NoBlock[{text}]" if self.no_block else text


class AtomicType(Type):
    """`Atomic[T]`: touched by its methods only.  Aggregate, so that it is never copied."""

    __slots__ = ("elem",)
    is_scalar = False
    is_aggregate = True

    def __init__(self, elem: Type) -> None:
        self.elem = elem
        self.name = f"Atomic[{elem.name}]"
        self.size, self.align = elem.size, elem.size

    @property
    def identity(self) -> str:
        return f"Atomic[{self.elem.identity}]"


class Field:
    """One field.  `offset` in bytes; for a bit field `bit`..`bit + width - 1` of the whole.

    `lock` is the letter of its `# [x]` comment, for the lock table.
    """

    __slots__ = ("bit", "line", "lock", "name", "offset", "ty", "width")

    def __init__(self, name: str, ty: Type, line: int, offset: int = 0, bit: int = 0,
                 width: int = 0, lock: str = "") -> None:
        self.name, self.ty, self.line, self.offset = name, ty, line, offset
        self.bit, self.width, self.lock = bit, width, lock


class NominalType(Type):
    """What all declared types share: qualified `symbol`, module, line and fields by name."""

    __slots__ = ("complete", "fields", "line", "methods", "module", "symbol", "wrong")

    def __init__(self, name: str, module: str, line: int) -> None:
        self.name, self.module, self.line = name, module, line
        self.symbol = f"{module}.{name}"
        self.size, self.align = 0, 1
        self.fields: dict[str, Field] = {}
        self.methods: dict[str, Any] = {}   # name -> the checker's function declaration
        self.wrong: set[str] = set()        # members that were reported; "*": any may be missing
        self.complete = False

    def excuses(self, name: str) -> bool:
        """Whether nothing is to be said of member `name`: its declaration was reported."""
        return name in self.wrong or (
            "*" in self.wrong and name not in self.fields and name not in self.methods) or (
            name.startswith("__") and any(w.startswith("__") for w in self.wrong)
            and name not in self.methods)

    @property
    def identity(self) -> str:
        return self.symbol


class StructType(NominalType):
    """A `@struct` class.  With `base`, the base's fields come first, at offset 0."""

    __slots__ = ("args", "base", "packed")
    is_scalar = False
    is_aggregate = True

    def __init__(self, name: str, module: str, line: int, *, packed: bool = False,
                 base: StructType | None = None, args: tuple[Any, ...] = ()) -> None:
        super().__init__(name, module, line)
        self.packed, self.base, self.args = packed, base, args

    def finish(self, fields: Iterable[Field], *, align: int | None = None) -> None:
        """Place `fields` after the base's (Y2, Y3).  `align=` raises the alignment."""
        offset, most = (self.base.size, self.base.align) if self.base else (0, 1)
        if self.base:
            self.fields.update(self.base.fields)
        for field in fields:
            step = 1 if self.packed else field.ty.align
            offset = round_up(offset, step)
            field.offset = offset
            offset += field.ty.size
            most = max(most, step)
            self.fields[field.name] = field
        self.align = max(most, align or 1)
        self.size = round_up(offset, self.align)
        self.complete = True


class BitsType(NominalType):
    """A `@bits(uN)` class: one integer whose bits have names, least significant first."""

    __slots__ = ("base",)

    def __init__(self, name: str, module: str, line: int, base: IntType) -> None:
        super().__init__(name, module, line)
        self.base, self.size, self.align = base, base.size, base.align


class EnumType(NominalType):
    """An `@enum(uN)` or `@flags(uN)` class: named integers.  Flags combine with | & ^ ~ and `in`.

    `members` maps a name to its value, in source order.
    """

    __slots__ = ("base", "is_flags", "members")

    def __init__(self, name: str, module: str, line: int, base: IntType, is_flags: bool) -> None:
        super().__init__(name, module, line)
        self.base, self.is_flags, self.size, self.align = base, is_flags, base.size, base.align
        self.members: dict[str, int] = {}


class Register:
    """One register of a block: byte offset, value type, access, and array shape."""

    __slots__ = ("access", "count", "line", "name", "offset", "stride", "ty")

    def __init__(self, name: str, ty: Type, offset: int, access: str, line: int,
                 count: int = 1, stride: int = 0) -> None:
        self.name, self.ty, self.offset, self.access, self.line = name, ty, offset, access, line
        self.count, self.stride = count, stride or ty.size   # count > 1: an array of registers


class RegsType(NominalType):
    """A `@regs` class: registers of a device, at offsets from an Mmio base."""

    __slots__ = ("registers",)

    def __init__(self, name: str, module: str, line: int) -> None:
        super().__init__(name, module, line)
        self.registers: dict[str, Register] = {}


class UnionType(NominalType):
    """`Union[A, B]`: one of several structs with a tag.  Tag n is variants[n]."""

    __slots__ = ("payload_offset", "variants")
    is_scalar = False
    is_aggregate = True

    def __init__(self, variants: tuple[StructType, ...]) -> None:
        super().__init__(f"Union[{', '.join(v.name for v in variants)}]", variants[0].module, 0)
        self.variants = variants
        self.payload_offset = 0

    def finish(self) -> None:
        """Lay out the tag and the largest payload; every variant is complete by now."""
        self.align = max(4, *(v.align for v in self.variants))
        self.payload_offset = round_up(4, max(v.align for v in self.variants))
        end = self.payload_offset + max(v.size for v in self.variants)
        self.size = round_up(end, self.align)
        self.complete = True


VOID = VoidType("None")
NEVER = VoidType("Never")
POISON = PoisonType("<error>")
LITERAL = LiteralType()
BOOL = BoolType()
_ints: dict[tuple[int, bool], IntType] = {}


def int_type(bits: int, signed: bool = False) -> IntType:
    """The integer type of that width (1..64) and signedness."""
    key = (bits, signed)
    if key not in _ints:
        _ints[key] = IntType(bits, signed)
    return _ints[key]


U8, U16, U32, U64 = (int_type(bits) for bits in (8, 16, 32, 64))
I8, I16, I32, I64 = (int_type(bits, True) for bits in (8, 16, 32, 64))
USIZE, ISIZE = U64, I64                  # names for u64 and i64 where a size is meant
PHYS_ADDR = NewtypeType("PhysAddr", U64)
VIRT_ADDR = NewtypeType("VirtAddr", U64)
STR = SliceType(U8, "Str")
_structural: dict[tuple[Any, ...], Type] = {}


def _interned(make: type, *key: Any) -> Any:
    full = (make, *key)
    found = _structural.get(full)
    if found is None:
        found = _structural[full] = make(*key)
    return found


def ptr(elem: Type, nullable: bool = False) -> PtrType:
    return _interned(PtrType, elem, nullable)


def mptr(elem: Type) -> MPtrType:
    return _interned(MPtrType, elem)


def user_ptr(elem: Type) -> UserPtrType:
    return _interned(UserPtrType, elem)


def mmio(regs: RegsType) -> MmioType:
    return _interned(MmioType, regs)


def slice_of(elem: Type) -> SliceType:
    return _interned(SliceType, elem)


def array(elem: Type, count: int) -> ArrayType:
    return _interned(ArrayType, elem, count)


def tuple_of(items: tuple[Type, ...]) -> TupleType:
    return _interned(TupleType, items)


def fn(params: tuple[Type, ...], result: Type, throws: bool = False,
       no_block: bool = False) -> FnType:
    return _interned(FnType, params, result, throws, no_block)


def atomic(elem: Type) -> AtomicType:
    return _interned(AtomicType, elem)


def endian(bits: int, big: bool) -> EndianType:
    return _interned(EndianType, int_type(bits), big)


def union_of(variants: tuple[StructType, ...]) -> UnionType:
    return _interned(UnionType, variants)


def round_up(value: int, step: int) -> int:
    """The least multiple of `step` that is >= value."""
    return -(-value // step) * step


def lay_out(items: Iterable[Type]) -> tuple[tuple[int, ...], int, int]:
    """C offsets of `items` one after the other; (offsets, size, align)."""
    offsets: list[int] = []
    end, most = 0, 1
    for item in items:
        end = round_up(end, item.align)
        offsets.append(end)
        end += item.size
        most = max(most, item.align)
    return tuple(offsets), round_up(end, most), most


def lossless(source: Type, target: Type) -> bool:
    """Whether every value of `source` is one of `target` and the conversion may be implicit."""
    if source is target:
        return True
    if isinstance(source, IntType) and isinstance(target, IntType):
        if source.signed and not target.signed:
            return False
        return target.bits - (target.signed and not source.signed) >= source.bits
    if isinstance(source, PtrType) and isinstance(target, PtrType):
        if source.nullable and not target.nullable:
            return False
        return source.elem is target.elem or extends(source.elem, target.elem)
    if source is STR and target is slice_of(U8):
        return True
    if isinstance(source, FnType) and isinstance(target, FnType):   # NoBlock is checked by effects
        return (source.params == target.params and source.result is target.result
                and (target.throws or not source.throws) and source.throws == target.throws)
    return False


def is_broken(ty: Type) -> bool:
    """Whether the layout of `ty` is not known, since part of it was reported."""
    if isinstance(ty, ArrayType):
        return is_broken(ty.elem)
    if isinstance(ty, UnionType):
        return any(is_broken(v) for v in ty.variants)
    if isinstance(ty, StructType):
        return bool(ty.wrong) or any(is_broken(f.ty) for f in ty.fields.values())
    return isinstance(ty, PoisonType)


def without_zero(ty: Type, above: tuple[Type, ...] = ()) -> Type | None:
    """The part of `ty` for which all bits zero is no value (a pointer that is never null), or None.

    `above` are the types that this one is a part of: a type that is a part of itself was reported,
    and has no such part for that.
    """
    if isinstance(ty, PtrType):
        return None if ty.nullable else ty
    if isinstance(ty, FnType | MmioType):
        return ty
    parts: Iterable[Type] = ()
    if isinstance(ty, ArrayType):
        parts = (ty.elem,) if ty.count else ()
    elif isinstance(ty, AtomicType):
        parts = (ty.elem,)
    elif isinstance(ty, TupleType):
        parts = ty.items
    elif isinstance(ty, StructType):
        parts = (f.ty for f in ty.fields.values())
    elif isinstance(ty, UnionType):
        parts = ty.variants[:1]
    if ty in above:
        return None
    return next((w for part in parts if (w := without_zero(part, (*above, ty))) is not None), None)


def extends(derived: Type, base: Type) -> bool:
    """Whether struct `derived` has `base` among its bases."""
    while isinstance(derived, StructType) and derived.base is not None:
        derived = derived.base
        if derived is base:
            return True
    return False
