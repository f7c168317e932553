# SPDX-License-Identifier: BSD-3-Clause
"""Asserts, kprintf and panic: a begin, one call a piece, an end.

    kprintf(f"cpu {n}\\n")                call kpy.rt.print_begin(0, site print)
                                          call kpy.rt.print_text(0, data(b'cpu '), 4)
                                          call kpy.rt.print_value(0, %1, 0x0400000a)
                                          call kpy.rt.print_text(0, data(b'\\n'), 1)
                                          call kpy.rt.print_end(0)

All values are computed before the first call, so messages do not nest.
Tests     tests/toolchain/test_lower_values.py
"""
from __future__ import annotations

from toolchain.frontend import tree, types
from toolchain.lower import cfg
from toolchain.lower.build import Builder, statements
from toolchain.lower.expression import condition
from toolchain.lower.place import slice_parts
from toolchain.printing import default_spec

SINKS = {"kprintf": 0, "klog": 1, "panic": 2}


@statements(tree.Print)
def _print(b: Builder, s: tree.Print) -> None:
    panics = s.sink == "panic"
    _message(b, SINKS[s.sink], cfg.Trap.PANIC if panics else cfg.Trap.PRINT, s.pieces)
    if not panics:
        _call(b, "print_end", [cfg.Imm(types.U32, SINKS[s.sink])])


@statements(tree.Assert)
def _assert(b: Builder, s: tree.Assert) -> None:
    if s.debug and not b.options.traps_overflow:
        return
    fails, holds = b.new_block("assert.fails", "panics"), b.new_block("assert.holds")
    condition(b, s.cond, holds, fails)
    b.start(fails)
    pieces = list(s.message)
    for i, (label, value) in enumerate(s.shown):
        text = (", " if i else " (" if s.message else "(") + label + " = "
        pieces.append(tree.FormatPiece(text.encode()))
        pieces.append(tree.FormatPiece(b"", value, 0))
    if s.shown:
        pieces.append(tree.FormatPiece(b")"))
    _message(b, SINKS["panic"], cfg.Trap.ASSERT, pieces, s.text)
    b.start(holds)


def _message(b: Builder, sink: int, kind: cfg.Trap, pieces: list[tree.FormatPiece],
             text: str = "") -> None:
    """Everything but print_end; a panic ends here."""
    where = cfg.Imm(types.U32, sink)
    calls: list[tuple[str, list[cfg.Operand]]] = []
    for piece in pieces:
        if piece.value is None:
            if piece.text:
                data = cfg.Data(types.STR, piece.text)
                calls.append(("print_text", [where, data,
                                             cfg.Imm(types.U64, len(piece.text))]))
        elif isinstance(piece.value.ty, types.SliceType):
            address, length = slice_parts(b, piece.value)
            calls.append(("print_slice", [where, address, length,
                                          cfg.Imm(types.U64, piece.spec)]))
        else:
            spec = piece.spec or default_spec(piece.value.ty)
            calls.append(("print_value", [where, _as_u64(b, b.value(piece.value)),
                                          cfg.Imm(types.U64, spec)]))
    b.emit(cfg.Runtime(b.at, None, "kpy.rt.print_begin", [where], kind, 1, site_text=text))
    for name, args in calls:
        _call(b, name, args)
    if sink == SINKS["panic"]:
        b.emit(cfg.Runtime(b.at, None, "kpy.rt.panic_end", [], kind, 0, noreturn=True,
                           site_text=text))
        b.unreachable()


def _call(b: Builder, name: str, args: list[cfg.Operand]) -> None:
    b.emit(cfg.Runtime(b.at, None, f"kpy.rt.{name}", args))


def _as_u64(b: Builder, value: cfg.Operand) -> cfg.Operand:
    """The bits of a value, extended as its type is signed."""
    dest = b.reg(types.U64)
    b.emit(cfg.Convert(b.at, dest, "bits", value))
    return dest
