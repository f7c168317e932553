# SPDX-License-Identifier: BSD-3-Clause
"""Errors must be handled or passed on.

# error: K0601 at `fail()`
# error: K0602 at `raise Errno(5)`
# error: K0603 at `Errno(5)`
"""
from kpy import Errno, i32, throws, u32


@throws
def fail() -> u32:
    raise Errno(5)


def unhandled() -> u32:
    return fail()


def raises() -> None:
    raise Errno(5)


@throws
def as_value() -> i32:
    e = Errno(5)
    return 0
