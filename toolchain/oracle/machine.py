# SPDX-License-Identifier: BSD-3-Clause
"""A machine that runs checked modules: functions by name, with Python values in and out.

    machine = Machine(modules, overflow_checks=True)
    machine.call("demo.total", [1, 2, 3]) -> 6
    machine.call("demo.at", b"abc", 9)    -> Trap INDEX(9, 3)

Python values  int and bool for numbers; None or an address (`allocate()`) for a pointer; for a
Slice bytes, str, or a bytearray or list, which shows afterwards what the program wrote; a tuple
for a tuple; results that are structs are dicts by field name, Slices of u8 bytes, others lists.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as ty
from toolchain.oracle import memory
from toolchain.oracle.execute import Executor
from toolchain.oracle.state import Frame, KpyError, Raised, UnsupportedError

FUNCTION_BASE = 0x1000      # addresses of functions: below all data, 16 apart
RECURSION_LIMIT = 200_000   # of Python frames; one kpy call takes about ten
FUEL = 10_000_000


class Machine(Executor):
    """Memory, globals and functions of one program."""

    def __init__(self, modules: Iterable[tree.Module], overflow_checks: bool = True, *,
                 fuel: int = FUEL) -> None:
        super().__init__(overflow_checks, fuel)
        self.functions: dict[str, tree.Function] = {}
        self.globals: dict[str, tree.Global] = {}
        self.externs: dict[str, Callable[..., Any]] = {}
        self._symbols: dict[str, int] = {}
        self._by_address: dict[int, tree.Function] = {}
        modules = list(modules)
        for module in modules:
            for function in (*module.externals.values(), *module.functions):
                known = self.functions.get(function.symbol)
                if known is None or known.body is None:
                    self.functions[function.symbol] = function
            for variable in (*module.external_globals.values(), *module.globals):
                self.globals[variable.symbol] = variable
        for module in modules:
            self.functions.update(module.implements)

    # ---- what a program is called with

    def call(self, symbol: str, *args: Any) -> Any:
        """The result of `module.function(*args)`.  Raises Trap or KpyError."""
        function = self.functions[symbol]
        if len(args) != len(function.params):
            raise TypeError(f"{symbol} takes {len(function.params)} arguments")
        mark, seen = len(self.memory.stack.bases), []
        recursion = sys.getrecursionlimit()
        sys.setrecursionlimit(max(recursion, RECURSION_LIMIT))
        try:
            given = [self.from_python(param.ty, arg)
                     for param, arg in zip(function.params, args, strict=True)]
            seen = list(zip(function.params, args, given, strict=True))
            return self.to_python(function.result, self.invoke(function, given))
        except Raised as error:
            raise KpyError(error.code) from None
        finally:
            sys.setrecursionlimit(recursion)
            for param, arg, value in seen:
                if isinstance(arg, bytearray | list):
                    arg[:] = self.to_python(param.ty, value)
            self.memory.stack.drop(mark)

    def allocate(self, of: ty.Type, count: int = 1) -> int:
        """The address of zeroed storage for `count` objects."""
        return self.memory.static.new(of.size * count, of.align)

    def from_python(self, of: ty.Type, value: Any) -> Any:
        """A Python argument as a value of type `of`."""
        if isinstance(of, ty.SliceType):
            items = value.encode() if isinstance(value, str) else value
            where = self.memory.stack.new(of.elem.size * len(items), of.elem.align)
            for index, item in enumerate(items):
                self.memory.store(where + index * of.elem.size, of.elem,
                                  self.from_python(of.elem, item))
            return where, len(items)
        if isinstance(of, ty.TupleType):
            return tuple(self.from_python(item, part)
                         for item, part in zip(of.items, value, strict=True))
        if of.is_aggregate:
            return memory.constant_bytes(of, value, self.put_constant, self.address_of_symbol)
        if of is ty.BOOL:
            return bool(value)
        number = 0 if value is None else int(value)
        if not memory.integer_base(of).holds(number):
            raise OverflowError(f"{number} does not fit {of}")
        return number

    def to_python(self, of: ty.Type, value: Any) -> Any:
        """A value of type `of` as Python shows it."""
        if isinstance(of, ty.VoidType):
            return None
        if isinstance(of, ty.SliceType):
            address, length = value
            if of.elem is ty.U8:
                return self.memory.read(address, length)
            return [self.to_python(of.elem, self.memory.load(address + i * of.elem.size, of.elem))
                    for i in range(length)]
        if isinstance(of, ty.TupleType):
            return tuple(self.to_python(item, part)
                         for item, part in zip(of.items, value, strict=True))
        if isinstance(of, ty.ArrayType):
            size = of.elem.size
            return [self.to_python(of.elem, memory.decode(of.elem, value[at:at + size]))
                    for at in range(0, of.size, size)]
        if isinstance(of, ty.StructType):
            return {name: self.to_python(field.ty, memory.decode(
                        field.ty, value[field.offset:field.offset + field.ty.size]))
                    for name, field in of.fields.items()}
        if isinstance(of, ty.PtrType) and of.nullable and value == 0:
            return None
        return value

    # ---- what the parts below ask for

    def invoke(self, function: tree.Function, args: list[Any]) -> Any:
        self.burn()
        if function.body is None:
            function = self.functions.get(function.symbol, function)
        if function.body is None:
            outside = self.externs.get(function.symbol)
            if outside is None:
                raise UnsupportedError(f"{function.symbol} has no body")
            return outside(*args)
        frame = Frame(function)
        mark = len(self.memory.stack.bases)
        for param, value in zip(function.params, args, strict=True):
            self.set(param, value, frame)
        self.run(function.body, frame)
        self.memory.stack.drop(mark)
        return frame.result

    def function_at(self, address: int) -> tree.Function:
        if address not in self._by_address:
            raise memory.WildAccessError(f"call of {address:#x}")
        return self._by_address[address]

    def address_of_function(self, function: tree.Function) -> int:
        where = self._symbols.get(function.symbol)
        if where is None:
            where = self._symbols[function.symbol] = FUNCTION_BASE + 16 * len(self._by_address)
            self._by_address[where] = self.functions.get(function.symbol, function)
        return where

    def address_of_symbol(self, symbol: str) -> int:
        where = self._symbols.get(symbol)
        if where is not None:
            return where
        if symbol in self.functions:
            return self.address_of_function(self.functions[symbol])
        variable = self.globals[symbol]
        where = self._symbols[symbol] = self.allocate(variable.ty)   # first: it may point to itself
        self.memory.write(where, memory.constant_bytes(
            variable.ty, variable.init, self.put_constant, self.address_of_symbol))
        return where
