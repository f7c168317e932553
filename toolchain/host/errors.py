# SPDX-License-Identifier: BSD-3-Clause
"""How a call of compiled kpy ends, other than by returning.

    KpyError      a @throws function raised Errno(code)
    Panic         panic(), or an assert that does not hold
    CheckFailed   a check of the compiler's: index, overflow, conversion, ... (a Panic, too)
    Fault         the code touched memory that is not there, or ran out of stack
    NotProvided   it called an extern, upcall or device that nothing implements
"""
from __future__ import annotations

import errno
import os
import signal

from toolchain.lower.cfg import Trap


class KpyError(OSError):
    """A throwing function raised `code`; `name` is errno's for it.  Raised by a Python function
    that implements a throwing extern or upcall, it becomes that code."""

    def __init__(self, code: int, function: str = "") -> None:
        self.code = code
        self.name = errno.errorcode.get(abs(code), str(code))
        self.function = function
        super().__init__(code, f"{function + ': ' if function else ''}"
                               f"{self.name} ({os.strerror(abs(code))})")


class Panic(Exception):  # noqa: N818
    """The program stopped itself.  `kind` is the name of a kpy.rt.Check; `values` what it says."""

    def __init__(self, file: str, function: str, text: str, line: int, column: int, kind: int,
                 message: str = "") -> None:
        self.file, self.function, self.text = file, function, text
        self.line, self.column, self.kind = line, column, Trap(kind).name
        self.values: tuple[int, ...] = ()
        self.message = message
        super().__init__(f"{file}:{line}:{column}: in {function}: {message or self.kind}")


class CheckFailed(Panic):
    """A check failed; `values` are its operands."""

    def __init__(self, file: str, function: str, text: str, line: int, column: int, kind: int,
                 values: tuple[int, ...]) -> None:
        shown = ", ".join(map(str, values))
        super().__init__(file, function, text, line, column, kind,
                         f"{Trap(kind).name}({shown}) in `{text}`")
        self.values = values


class Fault(Exception):  # noqa: N818
    """Compiled code got signal `signal`, touching `address`, in the function `where`."""

    def __init__(self, number: int, address: int, where: str, function: str) -> None:
        self.signal, self.address, self.where = signal.Signals(number), address, where
        super().__init__(f"{function}: {self.signal.name} at address {address:#x} in {where}")


class NotProvided(RuntimeError):  # noqa: N818
    """Compiled code needs something that provide() or map() was not told of."""


class HostError(Exception):
    """The bindings could not be built; `diagnostics` has why."""

    def __init__(self, text: str, diagnostics: list[object]) -> None:
        self.diagnostics = diagnostics
        super().__init__(text)
