# SPDX-License-Identifier: BSD-3-Clause
"""Statements of the typed tree, in plain Python.

`run()` gives None where control falls off the end, else a signal: BREAK or CONTINUE with the
label it is for, or RETURN (the value waits in the frame).  An Errno under way is the Python
exception Raised, so Python's own try, except and finally decide what runs; a Trap is not caught
by any of them, as a panic runs no clean-up either.
"""
from __future__ import annotations

from typing import Any

from toolchain.frontend import tree
from toolchain.oracle import memory
from toolchain.oracle.evaluate import Evaluator
from toolchain.oracle.state import Frame, OutOfFuelError, Raised, Trap

Signal = tuple[str, tree.Label | None]
RETURN: Signal = ("return", None)


class Executor(Evaluator):
    """Statements.  `fuel` is how many loop rounds and calls a program may take."""

    def __init__(self, overflow_checks: bool, fuel: int) -> None:
        super().__init__(overflow_checks)
        self.fuel = fuel
        self.printed = ""
        self._statements = {cls: getattr(self, f"_do_{cls.__name__.lower()}")
                            for cls in STATEMENTS}

    def burn(self) -> None:
        self.fuel -= 1
        if self.fuel < 0:
            raise OutOfFuelError

    def run(self, body: list[tree.Stmt], frame: Frame) -> Signal | None:
        for statement in body:
            signal = self._statements[type(statement)](statement, frame)
            if signal is not None:
                return signal
        return None

    def _do_declare(self, s: tree.Declare, frame: Frame) -> None:
        value = memory.zero(s.var.ty) if s.init is None else self.value(s.init, frame)
        self.set(s.var, value, frame)

    def set(self, var: tree.Var, value: Any, frame: Frame) -> None:
        if var in frame.addresses or var.ty.is_aggregate:
            self.memory.store(frame.address(var, self.memory), var.ty, value)
        else:
            frame.values[var] = value

    def _do_assign(self, s: tree.Assign, frame: Frame) -> None:
        value = self.value(s.value, frame)
        self.store(self.place(s.place, frame), s.place.ty, value)

    def _do_augassign(self, s: tree.AugAssign, frame: Frame) -> None:
        ref = self.place(s.place, frame)
        of = s.place.ty
        old = self.load(ref, of)
        new = self.binary(s.op, old, self.value(s.value, frame), of, s.wrap, s.loc)
        self.store(ref, of, new)

    def _do_exprstmt(self, s: tree.ExprStmt, frame: Frame) -> None:
        self.value(s.expr, frame)

    def _do_if(self, s: tree.If, frame: Frame) -> Signal | None:
        return self.run(s.then if self.value(s.cond, frame) else s.other, frame)

    def _do_while(self, s: tree.While, frame: Frame) -> Signal | None:
        while self.value(s.cond, frame):
            self.burn()
            signal = self.run(s.body, frame)
            if signal is not None and signal[1] is s.label:
                if signal[0] == "break":
                    return None
            elif signal is not None:
                return signal
            signal = self.run(s.step, frame)
            if signal is not None:
                return signal
        return self.run(s.other, frame)

    def _do_block(self, s: tree.Block, frame: Frame) -> Signal | None:
        signal = self.run(s.body, frame)
        return None if signal is not None and signal[1] is s.label else signal

    def _do_break(self, s: tree.Break, frame: Frame) -> Signal:
        return "break", s.label

    def _do_continue(self, s: tree.Continue, frame: Frame) -> Signal:
        return "continue", s.label

    def _do_return(self, s: tree.Return, frame: Frame) -> Signal:
        frame.result = None if s.value is None else self.value(s.value, frame)
        return RETURN

    def _do_raise(self, s: tree.Raise, frame: Frame) -> None:
        raise Raised(self.value(s.code, frame))

    def _do_try(self, s: tree.Try, frame: Frame) -> Signal | None:
        try:
            signal = self._guarded(s, frame)
        except Raised:
            left = self.run(s.final, frame)
            if left is not None:
                return left
            raise
        kept = frame.result
        left = self.run(s.final, frame)
        if left is not None:
            return left
        frame.result = kept
        return signal

    def _guarded(self, s: tree.Try, frame: Frame) -> Signal | None:
        if s.handler is None:
            signal = self.run(s.body, frame)
        else:
            try:
                signal = self.run(s.body, frame)
            except Raised as error:
                if s.code_var is not None:
                    self.set(s.code_var, error.code, frame)
                return self.run(s.handler, frame)
        return self.run(s.other, frame) if signal is None else signal

    def _do_with(self, s: tree.With, frame: Frame) -> Signal | None:
        if s.manager is not None:
            self._do_declare(s.manager, frame)
        self.run(s.enter, frame)
        try:
            signal = self.run(s.body, frame)
        except Raised:
            self.run(s.leave, frame)
            raise
        kept = frame.result
        self.run(s.leave, frame)
        frame.result = kept
        return signal

    def _do_switch(self, s: tree.Switch, frame: Frame) -> Signal | None:
        subject = int(self.value(s.subject, frame))
        for values, body in s.cases:
            if subject in values:
                return self.run(body, frame)
        if s.default is None:
            raise Trap("UNREACHABLE", 0, 0, s.loc)
        return self.run(s.default, frame)

    def _do_assert(self, s: tree.Assert, frame: Frame) -> None:
        if (s.debug and not self.overflow_checks) or self.value(s.cond, frame):
            return
        text = self.message(s.message, frame)
        shown = [f"{label} = {self.message([tree.FormatPiece(b'', value)], frame)}"
                 for label, value in s.shown]
        if shown:
            text += (" (" if text else "(") + ", ".join(shown) + ")"
        raise Trap("ASSERT", 0, 0, s.loc, text)

    def _do_print(self, s: tree.Print, frame: Frame) -> None:
        text = self.message(s.pieces, frame)
        if s.sink == "panic":
            raise Trap("PANIC", 0, 0, s.loc, text)
        if s.sink == "kprintf":
            self.printed += text


STATEMENTS: tuple[type[tree.Stmt], ...] = (
    tree.Declare, tree.Assign, tree.AugAssign, tree.ExprStmt, tree.If, tree.While, tree.Block,
    tree.Break, tree.Continue, tree.Return, tree.Raise, tree.Try, tree.With, tree.Switch,
    tree.Assert, tree.Print)
