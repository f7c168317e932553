# SPDX-License-Identifier: BSD-3-Clause
"""Tokens: who holds one is alone, or shares; who blocks lets go; who waits gets its turn.

Covers    kernel/lwkt/token.py T1 to T4
"""
from typing import Final

from kpy import u64, zeroed

from kernel.lwkt import token
from tests.sim import world

UNSAFE: Final = True        # storage of tokens begins as zero: free tokens

tok: token.Token = zeroed(token.Token)
count: u64 = 0              # protected by tok


def _add(times: u64) -> None:
    global count
    for _ in range(times):
        token.gettoken(tok)
        count += 1
        token.reltoken(tok)


def exclusive() -> None:
    """Two CPUs count under one token."""
    world.thread(_add, 1, 0)
    world.thread(_add, 1, 1)
    world.check(_two)


def _two() -> None:
    assert count == 2
    assert tok.count.load() == 0
