# SPDX-License-Identifier: BSD-3-Clause
"""Volatile access to ordinary memory.

# run: spin() == 5
"""
from kpy import compiler_fence, u32, volatile_load, volatile_store

flag: u32 = 0


def spin() -> u32:
    volatile_store(flag, 5)
    compiler_fence()
    return volatile_load(flag)
