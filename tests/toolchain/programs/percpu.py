# SPDX-License-Identifier: BSD-3-Clause
"""Per-CPU globals.

# run: bump() == 1
"""
from kpy import PerCpu, u32

ticks: PerCpu[u32] = 0


def bump() -> u32:
    global ticks
    ticks += 1
    return ticks
