# SPDX-License-Identifier: BSD-3-Clause
"""Run host objects inside this Python process, for tests.

    program = load([object], [function])
    program.call(function, 1, b"abc")      -> result, or CheckFailed, Raised, Panic

The objects are linked to a shared library by the system's C compiler where there is one, else
loaded by LLVM's ORC JIT.  Either way Python calls `kpy.call.SYMBOL(args, result)` (the option
`host_wrappers`) through a small assembly routine that remembers the stack; a failed check, a panic
or an exception in a Python extern jumps back to it.  No C frame is skipped but compiled kpy code
and that routine, so nothing is left half done on the Python side.  Calls may nest (kpy to
Python to kpy); one thread at a time.
Tests     tests/toolchain/test_lower_thin.py
"""
from __future__ import annotations

import ctypes
import io
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolchain.backend.abi import int_of
from toolchain.backend.target import TARGETS
from toolchain.backend.worker import Job, Pool
from toolchain.frontend import tree, types
from toolchain.lower import cfg
from toolchain.printing import operands, show_text, show_value

_CALL = """
.text
.globl "kpy.jit.call"
.type "kpy.jit.call", @function
"kpy.jit.call":
  push %rbp
  mov %rsp, %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  push "kpy.jit.top"(%rip)
  mov %rsp, "kpy.jit.top"(%rip)
  mov %rdi, %rax
  mov %rsi, %rdi
  mov %rdx, %rsi
  call *%rax
"kpy.jit.out":
  pop "kpy.jit.top"(%rip)
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
"kpy.jit.unwind":
  mov "kpy.jit.top"(%rip), %rsp
  mov $-1, %eax
  jmp "kpy.jit.out"
.data
.balign 8
"kpy.jit.top": .quad 0
.globl "kpy.jit.pending"
"kpy.jit.pending": .quad 0
"""

_EXTERN = """
.text
.globl "NAME"
.type "NAME", @function
"NAME":
  sub $8, %rsp
  call *"kpy.jit.slot.NAME"(%rip)
  add $8, %rsp
  cmpq $0, "kpy.jit.pending"(%rip)
  jne "kpy.jit.unwind"
  ret
.data
.balign 8
.globl "kpy.jit.slot.NAME"
"kpy.jit.slot.NAME": .quad 0
"""

_U64, _P = ctypes.c_uint64, ctypes.c_void_p
_RUNTIME: dict[str, tuple[Any, ...]] = {
    "kpy.rt.check_failed": (None, _P, _U64, _U64),
    "kpy.rt.print_begin": (None, ctypes.c_uint32, _P),
    "kpy.rt.print_text": (None, ctypes.c_uint32, _P, _U64),
    "kpy.rt.print_value": (None, ctypes.c_uint32, _U64, _U64),
    "kpy.rt.print_slice": (None, ctypes.c_uint32, _P, _U64, _U64),
    "kpy.rt.print_end": (None, ctypes.c_uint32),
    "kpy.rt.panic_end": (None, _P),
}


class Stopped(Exception):  # noqa: N818
    """The program ended a call by itself, at a place in its source."""

    def __init__(self, address: int, message: str) -> None:
        parts = struct.unpack("<QQQQQQIIII", ctypes.string_at(address, 64))
        self.file, self.function, self.text = (
            ctypes.string_at(p, n).decode() if n else "" for p, n in
            zip(parts[0:6:2], parts[1:6:2], strict=True))
        self.line, self.column, self.kind = parts[6], parts[7], cfg.Trap(parts[8])
        self.operands = parts[9]
        super().__init__(f"{self.file}:{self.line}:{self.column}: {message}")


class CheckFailed(Stopped):
    """kpy.rt.check_failed was called; `a` and `b` are what it was given."""

    def __init__(self, address: int, a: int, b: int) -> None:
        self.a, self.b = a, b
        super().__init__(address, "check failed")
        shown = ", ".join(map(str, operands(self.operands, a, b)))
        self.args = (f"{self.args[0]}: {self.kind.name}({shown}) in {self.text}",)


class Panic(Stopped):
    """panic() or a failed assert; `message` is what it printed."""

    def __init__(self, address: int, message: str) -> None:
        self.message = message
        super().__init__(address, message)
        if self.kind is cfg.Trap.ASSERT:
            self.args = (f"{self.file}:{self.line}:{self.column}: assertion failed: {self.text} "
                         f"{message}".rstrip(),)


class Raised(Exception):  # noqa: N818
    """A throwing function raised `code`."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"error {code}")


class Program:
    """Loaded code.  `output` collects what it prints; `symbol` gives addresses."""

    def __init__(self, symbol: Callable[[str], int], keep: object,
                 externs: dict[str, tuple[Any, ...]]) -> None:
        self.symbol = symbol
        self.keep = [keep]
        self.output: list[str] = []
        self.message: list[str] = []
        self.pending: BaseException | None = None
        self.call_address = ctypes.CFUNCTYPE(
            ctypes.c_int32, _P, _P, _P)(symbol("kpy.jit.call"))
        self.flag = ctypes.c_uint64.from_address(symbol("kpy.jit.pending"))
        for name, (restype, *argtypes) in _RUNTIME.items():
            self._bind(name, getattr(self, "_" + name.rpartition(".")[2]), restype, argtypes)
        for name, (function, restype, *argtypes) in externs.items():
            self._bind(name, function, restype, argtypes)

    def _bind(self, name: str, function: Callable[..., Any], restype: Any,
              argtypes: list[Any]) -> None:
        def guarded(*args: Any) -> Any:
            try:
                return function(*args)
            except BaseException as error:       # carried over the compiled frames
                self.pending = error
                self.flag.value = 1
                return 0 if restype is not None else None
        thunk = ctypes.CFUNCTYPE(restype, *argtypes)(guarded)
        self.keep.append(thunk)
        slot = ctypes.c_uint64.from_address(self.symbol(f"kpy.jit.slot.{name}"))
        slot.value = ctypes.cast(thunk, _P).value

    # ---- what kpy.rt asks for

    def _check_failed(self, site: int, a: int, b: int) -> None:
        raise CheckFailed(site, a, b)

    def _print_begin(self, sink: int, site: int) -> None:
        self.message = []

    def _print_text(self, sink: int, text: int, length: int) -> None:
        self.message.append(ctypes.string_at(text, length).decode(errors="replace"))

    def _print_value(self, sink: int, value: int, spec: int) -> None:
        self.message.append(show_value(value, spec))

    def _print_slice(self, sink: int, text: int, length: int, spec: int) -> None:
        shown = ctypes.string_at(text, length) if length else b""
        self.message.append(show_text(shown, spec))

    def _print_end(self, sink: int) -> None:
        self.output.append("".join(self.message))

    def _panic_end(self, site: int) -> None:
        raise Panic(site, "".join(self.message))

    # ---- calls

    def call(self, function: tree.Function, *args: Any) -> Any:
        """Call it.  Pointers are addresses or ctypes objects, slices bytes-like or (address,
        length); an aggregate result comes back as bytes."""
        alive: list[Any] = []
        cells = b"".join(_pack(param.ty, arg, alive).ljust(types.round_up(param.ty.size, 8), b"\0")
                         for param, arg in zip(function.params, args, strict=True))
        cells_buffer = ctypes.create_string_buffer(cells, max(len(cells), 1))
        result = ctypes.create_string_buffer(max(function.result.size, 8) + 16)
        target = self.symbol("kpy.call." + (function.attrs.export or function.symbol))
        code = self.call_address(target, cells_buffer, ctypes.addressof(result))
        if self.flag.value:
            self.flag.value = 0
            error, self.pending = self.pending, None
            raise error
        if function.throws and code:
            raise Raised(code)
        return _unpack(function.result, result.raw)


def _pack(ty: types.Type, value: Any, alive: list[Any]) -> bytes:
    base = int_of(ty)
    if base is not None:
        return (int(value) & ((1 << ty.size * 8) - 1)).to_bytes(ty.size, "little")
    if isinstance(ty, types.SliceType):
        if not isinstance(value, tuple):
            buffer = value if isinstance(value, ctypes.Array) else \
                (ctypes.c_char * len(value)).from_buffer(value) \
                if isinstance(value, bytearray) else ctypes.create_string_buffer(
                    bytes(value), max(len(value), 1))
            alive.append(buffer)
            length = len(buffer) if isinstance(value, ctypes.Array) else len(value)
            value = (ctypes.addressof(buffer), length)
        return struct.pack("<QQ", *value)
    if isinstance(ty, types.TupleType):
        out = bytearray(ty.size)
        for item, offset, part in zip(ty.items, ty.offsets, value, strict=True):
            out[offset:offset + item.size] = _pack(item, part, alive)
        return bytes(out)
    if value is None:
        value = 0
    if not isinstance(value, int):
        alive.append(value)
        value = ctypes.addressof(value)
    return struct.pack("<Q", value)


def _unpack(ty: types.Type, data: bytes) -> Any:
    base = int_of(ty)
    if isinstance(ty, types.VoidType):
        return None
    if base is not None:
        value = int.from_bytes(data[:ty.size], "little", signed=base.signed)
        return bool(value) if ty is types.BOOL else value
    if isinstance(ty, types.SliceType):
        return struct.unpack_from("<QQ", data)
    if isinstance(ty, types.TupleType):
        return tuple(_unpack(item, data[offset:])
                     for item, offset in zip(ty.items, ty.offsets, strict=True))
    if ty.is_aggregate:
        return data[:ty.size]
    return int.from_bytes(data[:8], "little")


def shim(externs: list[str]) -> str:
    """The module with the entry routine and a stub for each extern."""
    text = _CALL + "".join(_EXTERN.replace("NAME", name) for name in externs)
    host = TARGETS["host"]
    lines = "\n".join('module asm "' + line.replace('"', "\\22") + '"'
                      for line in text.splitlines() if line)
    return f'target datalayout = "{host.layout}"\ntarget triple = "{host.triple}"\n{lines}\n'


def load(objects: list[bytes], pool: Pool, externs: dict[str, tuple[Any, ...]] | None = None,
         compiler: str | None = "cc") -> Program:
    """Link `objects` and load them.  `externs`: name -> (Python function, result type,
    parameter types...), in ctypes' types.  `compiler` None: ORC."""
    externs = externs or {}
    names = [*_RUNTIME, *externs]
    stubs = pool.compile([Job("jit", [shim(names)], "host", 0)])[0]
    if stubs.failure is not None:
        raise RuntimeError(stubs.failure.message)
    every = [stubs.object, *objects]
    if compiler is not None and shutil.which(compiler):
        with tempfile.TemporaryDirectory() as folder:
            return _load_library(every, Path(folder), compiler, externs)
    return _load_orc(every, names, externs)


def _load_library(objects: list[bytes], folder: Path, compiler: str,
                  externs: dict[str, tuple[Any, ...]]) -> Program:
    paths = []
    for number, data in enumerate(objects):
        paths.append(folder / f"{number}.o")
        paths[-1].write_bytes(data)
    library = folder / "program.so"
    subprocess.run([compiler, "-shared", "-Wl,-Bsymbolic", "-o", str(library),
                    *map(str, paths)], check=True, capture_output=True)
    handle = ctypes.CDLL(str(library))

    def symbol(name: str) -> int:
        return ctypes.addressof(ctypes.c_char.in_dll(handle, name))
    return Program(symbol, handle, externs)


def _load_orc(objects: list[bytes], names: list[str],
              externs: dict[str, tuple[Any, ...]]) -> Program:
    import llvmlite.binding as llvm  # noqa: PLC0415
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    jit = llvm.create_lljit_compiler()
    builder = llvm.JITLibraryBuilder().add_current_process()
    exported = set()
    for data in objects:
        builder.add_object_img(data)
        table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
        for entry in table.iter_symbols():
            if entry["st_info"]["bind"] != "STB_LOCAL" and entry["st_shndx"] != "SHN_UNDEF":
                exported.add(entry.name)
    for name in sorted(exported):
        builder.export_symbol(name)
    tracker = builder.link(jit, "program")
    return Program(lambda name: tracker[name], (tracker, jit), externs)
