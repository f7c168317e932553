# SPDX-License-Identifier: BSD-3-Clause
"""Compiled kpy with the oracle's interface: Compiled.call() takes and gives what Machine's does.

    programs = compile_programs({"demo": modules}, "release")
    programs["demo"].call("demo.total", [1, 2, 3]) -> 6, or Trap, or KpyError

Every program is an object of its own (one that does not compile spoils no other); all of them are
loaded together.  Globals are put back before each call, so calls do not depend on their order.
"""
from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

from toolchain.backend import asm, jit
from toolchain.backend.llvm import emit_module
from toolchain.backend.worker import Job, Pool
from toolchain.frontend import tree
from toolchain.frontend import types as ty
from toolchain.lower.lower import lower_module
from toolchain.lower.verify import verify
from toolchain.options import Options
from toolchain.oracle import KpyError, Trap, memory


@cache
def pool() -> Pool:
    return Pool()


class Compiled:
    """One program among those loaded."""

    def __init__(self, program: jit.Program, modules: list[tree.Module]) -> None:
        self.program = program
        self.functions = {f.symbol: f for m in modules for f in m.functions}
        self.printed = ""
        self._initial: dict[int, bytes] = {}
        for variable in (g for m in modules for g in m.globals if not (g.constant or g.extern)):
            try:
                address = program.symbol(variable.export or variable.symbol)
            except (ValueError, KeyError, AttributeError):
                continue                         # nothing used it, so it is not there
            self._initial[address] = ctypes.string_at(address, variable.ty.size)

    def call(self, symbol: str, *args: Any) -> Any:
        function = self.functions[symbol]
        for address, data in self._initial.items():
            ctypes.memmove(address, data, len(data))
        self.program.output.clear()
        buffers: list[tuple[Any, ty.Type, Any]] = []
        try:
            given = [to_cells(param.ty, arg, buffers)
                     for param, arg in zip(function.params, args, strict=True)]
            return from_cells(function.result, self.program.call(function, *given))
        except jit.CheckFailed as failed:
            raise trap(failed, failed.a, failed.b, "") from None
        except jit.Panic as panic:
            raise trap(panic, 0, 0, panic.message) from None
        except jit.Raised as raised:
            raise KpyError(raised.code) from None
        finally:
            self.printed = "".join(self.program.output)
            for arg, elem, buffer in buffers:
                if isinstance(arg, bytearray | list):
                    arg[:] = unpack(elem, bytes(buffer))[:len(arg)]


def trap(stopped: jit.Stopped, a: int, b: int, message: str) -> Trap:
    made = Trap(stopped.kind.name, a, b, None, message)
    made.line, made.column, made.text = stopped.line, stopped.column, stopped.text
    return made


def to_cells(of: ty.Type, value: Any, buffers: list[tuple[Any, ty.Type, Any]]) -> Any:
    """A Python argument as jit.Program takes it; `buffers` keeps the memory of slices."""
    if isinstance(of, ty.SliceType):
        items = value.encode() if isinstance(value, str) else value
        data = b"".join(memory.encode(of.elem, item) for item in items)
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        buffers.append((value, of.elem, buffer))
        return ctypes.addressof(buffer), len(items)
    if isinstance(of, ty.TupleType):
        return tuple(to_cells(item, part, buffers)
                     for item, part in zip(of.items, value, strict=True))
    return value


def from_cells(of: ty.Type, value: Any) -> Any:
    """jit.Program's result as the oracle shows it."""
    if isinstance(of, ty.SliceType):
        address, length = value
        data = ctypes.string_at(address, length * of.elem.size) if length else b""
        return data if of.elem is ty.U8 else unpack(of.elem, data)
    if isinstance(of, ty.TupleType):
        return tuple(from_cells(item, part) for item, part in zip(of.items, value, strict=True))
    if isinstance(of, ty.ArrayType):
        return unpack(of.elem, value)
    if isinstance(of, ty.StructType):
        return {name: from_cells(field.ty, memory.decode(
                    field.ty, value[field.offset:field.offset + field.ty.size]))
                for name, field in of.fields.items()}
    if isinstance(of, ty.PtrType) and of.nullable and value == 0:
        return None
    return value


def unpack(elem: ty.Type, data: bytes) -> list[Any]:
    return [from_cells(elem, memory.decode(elem, data[at:at + elem.size]))
            for at in range(0, len(data) - elem.size + 1, elem.size)]


def compile_programs(programs: Mapping[str, list[tree.Module]], mode: str,
                     ) -> dict[str, Compiled | Exception]:
    """Each program compiled for this machine, or why it was not."""
    options = Options(target="host", mode=mode, host_wrappers=True)
    found: dict[str, Compiled | Exception] = {}
    jobs: list[Job] = []
    for name, modules in programs.items():
        try:
            jobs.append(job(name, modules, options))
        except Exception as error:               # the compiler's own failure is this program's
            found[name] = error
    objects = {}
    for result in pool().compile(jobs):
        if result.failure is not None:
            found[result.name] = RuntimeError(result.failure.message)
        else:
            objects[result.name] = result.object
    loaded = jit.load(list(objects.values()), pool())
    for name in objects:
        found[name] = Compiled(loaded, programs[name])
    return found


def job(name: str, modules: list[tree.Module], options: Options) -> Job:
    texts, probes = [], []
    for module in modules:
        graph = lower_module(module, options)
        verify(graph)
        texts.append(emit_module(graph, options))
        probes += asm.probes(graph, options.target)
    keep = frozenset(symbol for m in modules for made in (*m.functions, *m.globals)
                     for symbol in (made.symbol, "kpy.call." + made.symbol))
    return Job(name, texts, options.target, options.opt_level, keep=keep, probes=probes)
