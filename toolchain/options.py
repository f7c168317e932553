# SPDX-License-Identifier: BSD-3-Clause
"""What one compilation is for: target, mode, checks and instrumentation.

Everything that changes generated code is here, so a cache key is `Options.key()` and nothing else
of the command line.  All instrumentation is off by default; off leaves no trace in the code.
"""
from __future__ import annotations

from dataclasses import dataclass, fields

DEV, RELEASE = "dev", "release"


@dataclass(frozen=True, slots=True)
class Options:
    """`overflow_checks` and `opt` None: what the mode says (dev: checks, O1; release: wrap, O2)."""

    target: str = "host"               # a key of backend.target.TARGETS
    mode: str = DEV
    overflow_checks: bool | None = None
    opt: int | None = None
    debug_info: bool = True
    directory: str = "."               # DWARF's compilation directory; source paths are relative
    host_wrappers: bool = False        # also emit kpy.call.SYMBOL(args, result), for host callers
    hooks: bool = False                # atomics, MMIO, volatile accesses and @hook functions
    yields: bool = False               # a schedule point before each shared access
    edges: bool = False                # count every control-flow edge
    faults: bool = False               # calls of @fault_site functions may be made to fail
    pauses: bool = False               # a call of kernel/pauses.py at atomics, critical sections
    mutants: tuple[str, ...] = ()      # packages whose functions have mutants: lower/mutate.py

    @property
    def traps_overflow(self) -> bool:
        return self.mode == DEV if self.overflow_checks is None else self.overflow_checks

    @property
    def opt_level(self) -> int:
        if self.opt is not None:
            return self.opt
        return 1 if self.mode == DEV else 2

    @property
    def instrumented(self) -> bool:
        return self.hooks or self.yields or self.edges or self.faults or self.pauses

    def key(self) -> str:
        """A text that is equal exactly for equal options."""
        return " ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))
