# SPDX-License-Identifier: BSD-3-Clause
"""raise alone raises again; an error in a handler goes outward.

# run: again(4) == 4
# run: changed(4) == 104
# raises: through(3) 3
"""
from kpy import Errno, i32, throws


@throws
def fail(n: i32) -> None:
    raise Errno(n)


@throws
def through(n: i32) -> None:
    try:
        fail(n)
    except Errno:
        raise


def again(n: i32) -> i32:
    try:
        through(n)
    except Errno as e:
        return e.code
    return 0


@throws
def change(n: i32) -> None:
    try:
        fail(n)
    except Errno as e:
        raise Errno(e.code + 100)


def changed(n: i32) -> i32:
    try:
        change(n)
    except Errno as e:
        return e.code
    return 0
