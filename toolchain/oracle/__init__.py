# SPDX-License-Identifier: BSD-3-Clause
"""The oracle: what a kpy program means, found without the compiler's back half.

It executes the typed tree in plain Python, on exact integers and a memory with gaps; the tests
compare every compiled program with it.  It shares the front end and the layout of types with the
compiler, and nothing else: no control-flow graph, no LLVM.

memory     regions of bytes, typed loads and stores, constants
arith      integer operations on exact numbers
evaluate   expressions and places
execute    statements
machine    a program: globals, functions, Python values in and out

Limits     no assembly, no link-time tables; one CPU; an order of atomics means nothing.
Tests      tests/toolchain/test_oracle.py, test_programs.py, test_generated.py
"""
from toolchain.oracle.machine import Machine
from toolchain.oracle.state import (
    CHECKS,
    KpyError,
    OutOfFuelError,
    Trap,
    UnsupportedError,
)

__all__ = ["CHECKS", "KpyError", "Machine", "OutOfFuelError", "Trap", "UnsupportedError"]
