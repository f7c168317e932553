# SPDX-License-Identifier: BSD-3-Clause
"""Enums, flags and numbers do not mix.

# error: K0308 at `1`
# error: K0316 at `k + 1`
# error: K0316 at `k == 1`
# error: K0316 at `k == m`
"""
from kpy import enum, flags, u8


@enum(u8)
class Kind:
    A = 0
    B = 1


@flags(u8)
class Mode:
    R = 1


def number() -> Kind:
    return 1


def arithmetic(k: Kind) -> Kind:
    return k + 1


def compared(k: Kind) -> bool:
    return k == 1


def mixed(k: Kind, m: Mode) -> bool:
    return k == m
