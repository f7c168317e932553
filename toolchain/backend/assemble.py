# SPDX-License-Identifier: BSD-3-Clause
"""Assembles file-level asm, and compiles IR text, as kernel code: for tests and probes.

LLVM ends the process on an instruction it does not know, so it runs in a worker, which is kept
for the next call.

Tests  tests/toolchain/test_assemble.py
"""

import atexit
from functools import cache

from toolchain.backend import asm
from toolchain.backend.target import TARGETS
from toolchain.backend.worker import Job, Pool

_TARGET = "pc64"


class AssembleError(Exception):
    """The text does not assemble, or the IR is not valid; the message is LLVM's."""


def assemble(text: str) -> bytes:
    """The object file that AT&T-syntax `text` assembles to."""
    return compile_ir(asm.module_asm(text) + "\n")


def compile_ir(ir: str) -> bytes:
    """The object file of the LLVM module `ir`, compiled as kernel code."""
    target = TARGETS[_TARGET]
    head = f'target datalayout = "{target.layout}"\ntarget triple = "{target.triple}"\n'
    result = _pool().compile([Job("assemble", [head + ir], _TARGET, 1, optimise=False)])[0]
    if result.failure is not None:
        raise AssembleError(result.failure.message)
    return result.object


@cache
def _pool() -> Pool:
    pool = Pool(1)
    atexit.register(pool.close)
    return pool
