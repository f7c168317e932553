# SPDX-License-Identifier: BSD-3-Clause
"""A @throws function without a result.

# run: tries(0) == 0
# run: tries(7) == 7
"""
from kpy import Errno, i32, throws


@throws
def fail(n: i32) -> None:
    if n != 0:
        raise Errno(n)


def tries(n: i32) -> i32:
    try:
        fail(n)
    except Errno as e:
        return e.code
    return 0
