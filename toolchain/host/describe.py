# SPDX-License-Identifier: BSD-3-Clause
"""Typed trees to a description: what the bindings need to know, as plain JSON data.

    @struct                        {"types": [{"kind": "uint", "name": "u32", "size": 4, ...},
    class Point:                              {"kind": "struct", "name": "Point", "size": 8,
        x: u32                                 "fields": [["x", 0, 0], ["y", 0, 4]], ...}],
        y: u32                      "functions": [{"symbol": "demo.area", "name": "area",
                                                   "params": [["p", 2]], "result": 0, ...}],
    def area(p: Ptr[Point]) -> u32  "globals": [...], "ups": [...]}

A type is a number: its place in "types".  Later numbers may occur in earlier types, as types
refer to each other in circles.  "ups" are what compiled code calls and Python answers: externs,
upcalls without implementation, hooks, and the runtime (failed checks and printing).
Tests     tests/toolchain/test_host_structs.py, tests/toolchain/test_host_corpus.py
"""
from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from toolchain.frontend import tree, types
from toolchain.frontend.types import Type

Json = dict[str, Any]
_PTR, _U8, _U32, _U64 = types.mptr(types.U8), types.U8, types.U32, types.U64
# name -> (parameters, result, throws): what instrument.py and llvm.py call
RUNTIME: dict[str, tuple[tuple[Type, ...], Type]] = {
    "kpy.rt.check_failed": ((_PTR, _U64, _U64), types.NEVER),
    "kpy.rt.print_begin": ((_U32, _PTR), types.VOID),
    "kpy.rt.print_text": ((_U32, _PTR, _U64), types.VOID),
    "kpy.rt.print_value": ((_U32, _U64, _U64), types.VOID),
    "kpy.rt.print_slice": ((_U32, _PTR, _U64, _U64), types.VOID),
    "kpy.rt.print_end": ((_U32,), types.VOID),
    "kpy.rt.panic_end": ((_PTR,), types.NEVER),
}
HOOKS: dict[str, tuple[tuple[Type, ...], Type]] = {
    "kpy.hook.atomic": ((_U32, types.user_ptr(_U8), _U32, _U64, _U64, _U32), _U64),
    "kpy.hook.mmio_read": ((types.user_ptr(_U8), _U32), _U64),
    "kpy.hook.mmio_write": ((types.user_ptr(_U8), _U32, _U64), types.VOID),
    "kpy.hook.volatile_load": ((types.user_ptr(_U8), _U32), _U64),
    "kpy.hook.volatile_store": ((types.user_ptr(_U8), _U32, _U64), types.VOID),
    "kpy.hook.yield": ((_U32, types.user_ptr(_U8), _U32), types.VOID),
    "kpy.hook.pause": ((_U32,), types.VOID),
    "kpy.hook.fault": ((_U32,), types.BOOL),
    "kpy.hook.mutant": ((_U32,), types.BOOL),
}
_FIRST = (types.U8, types.U16, types.U32, types.U64, types.I8, types.I16, types.I32, types.I64,
          types.BOOL, types.VOID, types.STR)


class Describer:
    """Numbers types as they are met; `fns` lists the function types among them."""

    def __init__(self) -> None:
        self.types: list[Json] = []
        self.fns: dict[int, types.FnType] = {}
        self._numbers: dict[Type, int] = {}
        for ty in _FIRST:
            self.number(ty)

    def number(self, ty: Type) -> int:
        """The number of `ty`, described now if it is new."""
        found = self._numbers.get(ty)
        if found is None:
            found = self._numbers[ty] = len(self.types)
            entry: Json = {"name": ty.name, "size": ty.size, "align": ty.align}
            self.types.append(entry)
            self._describe(ty, entry, found)
        return found

    def _describe(self, ty: Type, entry: Json, number: int) -> None:
        match ty:
            case types.IntType():
                entry.update(kind="int" if ty.signed else "uint", bits=ty.bits)
            case types.BoolType():
                entry.update(kind="bool")
            case types.NewtypeType():
                entry.update(kind="uint", bits=ty.base.bits)
            case types.EndianType():
                entry.update(kind="endian", bits=ty.base.bits, big=ty.big)
            case types.PtrType():
                entry.update(kind="ptr", elem=self.number(ty.elem), nullable=ty.nullable)
            case types.MPtrType():
                entry.update(kind="mptr", elem=self.number(ty.elem), nullable=True)
            case types.UserPtrType() | types.MmioType():
                entry.update(kind="address", bits=64)
            case types.SliceType():
                entry.update(kind="str" if ty is types.STR else "slice",
                             elem=self.number(ty.elem))
            case types.ArrayType():
                entry.update(kind="array", elem=self.number(ty.elem), count=ty.count)
            case types.AtomicType():
                entry.update(kind="atomic", elem=self.number(ty.elem))
            case types.TupleType():
                entry.update(kind="tuple", items=[self.number(i) for i in ty.items],
                             offsets=list(ty.offsets))
            case types.FnType():
                self.fns[number] = ty
                entry.update(kind="fn", items=[self.number(p) for p in ty.params],
                             elem=self.number(ty.result), throws=ty.throws)
            case types.StructType() | types.BitsType() | types.EnumType() | types.UnionType():
                self._nominal(ty, entry)
            case _:
                entry.update(kind="never" if ty is types.NEVER else "void")

    def _nominal(self, ty: types.NominalType, entry: Json) -> None:
        entry.update(symbol=ty.symbol, module=ty.module, line=ty.line)
        match ty:
            case types.StructType():
                base = ty.base.fields if ty.base else {}
                entry.update(
                    kind="struct", elem=self.number(ty.base) if ty.base else None,
                    fields=[[f.name, self.number(f.ty), f.offset] for f in ty.fields.values()
                            if f.name not in base])
            case types.BitsType():
                entry.update(kind="bits", bits=ty.base.bits, elem=self.number(ty.base),
                             fields=[[f.name, self.number(f.ty), f.bit, f.width]
                                     for f in ty.fields.values()])
            case types.EnumType():
                entry.update(kind="enum", bits=ty.base.bits, signed=ty.base.signed,
                             flags=ty.is_flags, members=list(ty.members.items()))
            case types.UnionType():
                entry.update(kind="union", items=[self.number(v) for v in ty.variants],
                             payload=ty.payload_offset)


def symbol_of(made: tree.Function | tree.Global) -> str:
    """The linker's name."""
    return made.export or made.symbol if isinstance(made, tree.Global) \
        else made.attrs.export or made.symbol


def bindable(function: tree.Function) -> bool:
    """Whether Python can call it."""
    attrs = function.attrs
    return not (attrs.naked or attrs.interrupt or attrs.extern or attrs.upcall) \
        and function.body is not None and not any(p.ty.is_aggregate for p in function.params)


def describe(modules: list[tree.Module], names: list[str], describer: Describer) -> Json:
    """What modules `names` offer.  `modules` is the whole program."""
    functions: list[Json] = []
    variables: list[Json] = []
    for module in modules:
        own = module.name in names
        for function in module.functions:
            if own and bindable(function):
                functions.append(_function(function, describer))
        for variable in module.globals:
            if own:
                variables.append({
                    "symbol": symbol_of(variable), "name": variable.name,
                    "module": module.name, "type": describer.number(variable.ty),
                    "constant": variable.constant, "percpu": variable.percpu})
        if own:
            for ty in module.types:
                if not isinstance(ty, types.RegsType):
                    describer.number(ty)
    return {"functions": functions, "globals": variables, "modules": names}


def _function(function: tree.Function, describer: Describer) -> Json:
    owner = function.owner
    first = function.params[0].ty if function.params else None
    takes_self = owner is not None and (first is owner or (
        isinstance(first, types.PtrType) and first.elem is owner))
    signature = types.fn(tuple(p.ty for p in function.params), function.result, function.throws)
    return {
        "symbol": symbol_of(function), "name": function.name, "module": function.module,
        "params": [[p.name, describer.number(p.ty)] for p in function.params],
        "result": describer.number(function.result), "throws": function.throws,
        "owner": describer.number(owner) if owner is not None else None, "self": takes_self,
        "property": "property" in _decorators(function), "doc": function.doc,
        "type": describer.number(signature), "line": function.loc.line,
        "file": function.loc.source.path}


def _decorators(function: tree.Function) -> set[str]:
    """The names above its `def`, read from its source."""
    found = set()
    for line in range(function.loc.line - 1, 0, -1):
        text = function.loc.source.line_text(line).strip()
        if not text.startswith("@"):
            break
        found.add(text[1:].split("(")[0])
    return found


def up_functions(modules: Iterable[tree.Module]) -> dict[str, tree.Function]:
    """Every function of the program that may have no body in it, by linker name."""
    found: dict[str, tree.Function] = {}
    for module in modules:
        for function in (*module.functions, *module.externals.values()):
            if function.attrs.extern or function.attrs.upcall or function.attrs.hook:
                found[symbol_of(function)] = function
    return found


def describe_up(symbol: str, functions: dict[str, tree.Function], describer: Describer,
                ) -> Json | None:
    """The description of undefined `symbol`, or None where nothing declares it."""
    kind, names, throws = "extern", [], False
    if symbol in RUNTIME or symbol in HOOKS:
        params, result = (RUNTIME if symbol in RUNTIME else HOOKS)[symbol]
        kind = "runtime" if symbol in RUNTIME else "hook"
        name = symbol.rpartition(".")[2]
        name = name + "_" if name in ("yield", "pause") else name
        plain = ""
    else:
        plain = symbol
        if symbol.startswith("kpy.hook."):
            kind, plain = "hook", symbol.split(".", 3)[3]
        function = functions.get(plain)
        if function is None:
            return None
        if kind != "hook":
            kind = "upcall" if function.attrs.upcall else "extern"
        name, throws = function.name, function.throws
        params, result = tuple(p.ty for p in function.params), function.result
        names = [p.name for p in function.params]
    return {"symbol": symbol, "name": name, "kind": kind, "throws": throws, "names": names,
            "params": [describer.number(p) for p in params], "result": describer.number(result),
            "function": plain}


def literal_docs(text: str) -> str:
    """`text` as a Python literal, on one line."""
    return ast.unparse(ast.Constant(text))
