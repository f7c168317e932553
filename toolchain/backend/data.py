# SPDX-License-Identifier: BSD-3-Clause
"""Constant data: initial values of globals, strings, the records of checks, link-time tables.

    BANNER: Final = b"hi"                 @.d0 = private unnamed_addr constant [2 x i8] c"hi"
                                          @demo.BANNER = ... <{ ptr @.d0, i64 2 }>

Every aggregate is written as a packed LLVM struct with explicit padding, so our layout is used
and never LLVM's.
Tests     tests/toolchain/test_lower_values.py, tests/toolchain/test_backend_targets.py
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toolchain.backend.abi import at, escape, int_of, memory
from toolchain.backend.target import TARGETS
from toolchain.frontend import tree, types
from toolchain.frontend.types import Type
from toolchain.lower import cfg


def character_column(loc: tree.Loc) -> int:
    """The column of a place in characters, from 1 (`ast` counts UTF-8 bytes, from 0)."""
    line = loc.source.line_text(loc.line).encode()
    return len(line[:loc.col].decode(errors="replace")) + 1


def source_text(loc: tree.Loc) -> str:
    """What is written at a place; of several lines, the first."""
    line = loc.source.line_text(loc.line).encode()
    end = loc.end_col if loc.end_line == loc.line else len(line)
    return line[loc.col:end].decode(errors="replace").strip()


class Constants:
    """The anonymous constants of one module."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.strings: dict[bytes, str] = {}
        self.sites: dict[tuple[Any, ...], str] = {}
        self.bodies: dict[str, str] = {}

    def _new(self, body: str, align: int) -> str:
        """The name of the constant with this body; equal ones are shared."""
        text = f"private unnamed_addr constant {body}, align {align}"
        name = self.bodies.get(text)
        if name is None:
            name = self.bodies[text] = f"@.d{len(self.lines)}"
            self.lines.append(f"{name} = {text}")
        return name

    def string(self, data: bytes) -> str:
        """The address of these bytes."""
        name = self.strings.get(data)
        if name is None:
            name = self._new(f'[{len(data)} x i8] c"{escape(data)}"', 1)
            self.strings[data] = name
        return name

    def text(self, value: str) -> str:
        """A Str."""
        data = value.encode()
        return f"ptr {self.string(data)}, i64 {len(data)}" if data else "ptr null, i64 0"

    def address(self, data: cfg.Data) -> str:
        """The address of the elements of a constant slice, or of a constant aggregate."""
        ty = data.ty
        if isinstance(ty, types.SliceType):
            return self._elements(ty.elem, data.value)
        return self._new(self.value(ty, data.value), ty.align)

    def _elements(self, elem: Type, value: Any) -> str:
        if isinstance(value, bytes | str):
            return self.string(value if isinstance(value, bytes) else value.encode())
        return self._new(self.value(types.array(elem, len(value)), value), elem.align)

    def site(self, at_: cfg.At, kind: int, function: str, text: str = "",
             operands: int = 0) -> str:
        """The Site record (kpy.rt) of a place."""
        loc = at_.loc
        key = (loc, kind, function, text, operands)
        name = self.sites.get(key)
        if name is None:
            name = self._new(
                f"{{ ptr, i64, ptr, i64, ptr, i64, i32, i32, i32, i32 }} {{ "
                f"{self.text(loc.source.path)}, {self.text(function)}, "
                f"{self.text(text or source_text(loc))}, i32 {loc.line}, "
                f"i32 {character_column(loc)}, i32 {int(kind)}, "
                f"i32 {operands} }}", 8)
            self.sites[key] = name
        return name

    def value(self, ty: Type, value: Any) -> str:
        """`value` (a tree.ConstValue) of type `ty`, as `TYPE CONSTANT`."""
        if value is None:
            return f"{memory(ty)} zeroinitializer"
        if isinstance(value, tree.SymbolRef):
            return f"ptr {_symbol(value)}"
        if isinstance(ty, types.ArrayType):
            if isinstance(value, bytes | bytearray):
                data = bytes(value).ljust(ty.count, b"\0")
                return f'[{len(data)} x i8] c"{escape(data)}"'
            return _packed([(i * ty.elem.size, self.value(ty.elem, item), ty.elem.size)
                            for i, item in enumerate(value)], ty.size)
        if isinstance(ty, types.AtomicType):
            return self.value(ty.elem, value)
        if isinstance(ty, types.SliceType):
            if not value:
                return "{ ptr, i64 } zeroinitializer"
            return f"{{ ptr, i64 }} {{ ptr {self._elements(ty.elem, value)}, i64 {len(value)} }}"
        if isinstance(ty, types.UnionType):
            tag, fields = value
            payload = ty.variants[tag]
            return _packed([(0, f"i32 {tag}", 4),
                            (ty.payload_offset, self.value(payload, fields), payload.size)],
                           ty.size)
        if isinstance(ty, types.StructType):
            return _packed([(field.offset, self.value(field.ty, value[name]), field.ty.size)
                            for name, field in ty.fields.items() if name in value], ty.size)
        if isinstance(ty, types.TupleType):
            return _packed([(offset, self.value(item, v), item.size) for offset, item, v
                            in zip(ty.offsets, ty.items, value, strict=True)], ty.size)
        return _scalar(ty, value)


def _scalar(ty: Type, value: Any) -> str:
    if isinstance(value, dict):                       # a bit struct by fields
        number = 0
        for name, part in value.items():
            field = ty.fields[name]
            number |= (int(part) & ((1 << field.width) - 1)) << field.bit
        value = number
    if int_of(ty) is None:
        return f"ptr {pointer(int(value))}"
    number = int(value)
    if isinstance(ty, types.EndianType) and ty.big:
        mask = (1 << ty.size * 8) - 1
        number = int.from_bytes((number & mask).to_bytes(ty.size, "big"), "little")
    return f"{memory(ty)} {number}"


def pointer(value: int) -> str:
    """A constant address."""
    return f"inttoptr (i64 {value} to ptr)" if value else "null"


def _symbol(ref: tree.SymbolRef) -> str:
    if not ref.addend:
        return at(ref.symbol)
    return f"getelementptr (i8, ptr {at(ref.symbol)}, i64 {ref.addend})"


def _packed(parts: Iterable[tuple[int, str, int]], size: int) -> str:
    """A packed struct of (offset, constant, size) parts, padded with zeros."""
    tys, texts, end = [], [], 0
    for offset, text, length in sorted(parts):
        if offset > end:
            tys.append(f"[{offset - end} x i8]")
            texts.append(f"[{offset - end} x i8] zeroinitializer")
        if length == 0:
            continue
        tys.append(_type_of(text))
        texts.append(text)
        end = offset + length
    if size > end:
        tys.append(f"[{size - end} x i8]")
        texts.append(f"[{size - end} x i8] zeroinitializer")
    return f"<{{ {', '.join(tys)} }}> <{{ {', '.join(texts)} }}>"


_CLOSE = {"<": ">", "{": "}", "[": "]"}


def _type_of(text: str) -> str:
    """The type in front of a typed constant."""
    if text[0] not in _CLOSE:
        return text[:text.index(" ")]
    depth = 0
    for i, c in enumerate(text):
        if c in "<{[":
            depth += 1
        elif c in ">}]":
            depth -= 1
            if depth == 0:
                return text[:i + 1]
    raise ValueError(text)


def tables_ir(entries: list[tree.TableEntry], target: str = "pc64",
              names: Iterable[str] = ()) -> str:
    """The module with every link-time table: kpy.table.NAME, sorted by key, and its .count.

    `names`: tables that are read, and exist even if nothing is in them.

    A record is struct kpy.TableEntry: {u64 key, ptr function, Str name, 4 x u64 data}.
    """
    constants = Constants()
    tables: dict[str, list[tree.TableEntry]] = {name: [] for name in names}
    for entry in entries:
        tables.setdefault(entry.table, []).append(entry)
    machine = TARGETS[target]
    out = [f'target datalayout = "{machine.layout}"', f'target triple = "{machine.triple}"']
    record = "{ i64, ptr, ptr, i64, i64, i64, i64, i64 }"
    for symbol in sorted({entry.symbol for entry in entries}):
        out.append(f"declare void {at(symbol)}()")
    for name, records in sorted(tables.items()):
        records.sort(key=lambda entry: (entry.key, entry.symbol))
        rows = []
        for entry in records:
            data = [*entry.data, 0, 0, 0, 0][:4]
            rows.append(f"{record} {{ i64 {entry.key}, ptr {at(entry.symbol)}, "
                        f"{constants.text(entry.name)}, "
                        + ", ".join(f"i64 {d}" for d in data) + " }")
        symbol = f"kpy.table.{name}"
        out.append(f"{at(symbol)} = dso_local constant [{len(rows)} x {record}] ["
                   + ", ".join(rows) + "], align 8")
        out.append(f"{at(symbol + '.count')} = dso_local constant i64 {len(rows)}, align 8")
    return "\n".join([*out[:2], *constants.lines, *out[2:]]) + "\n"
