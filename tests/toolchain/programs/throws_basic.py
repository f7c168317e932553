# SPDX-License-Identifier: BSD-3-Clause
"""raise leaves a @throws function with a code; a caller handles it or throws on.

# run: checked(5) == 50
# raises: checked(0) 22
# raises: outer(0) 22
# run: outer(2) == 21
# run: handled(0) == -22
# run: handled(3) == 30
"""
from kpy import Errno, Final, i32, throws, u32

EINVAL: Final = 22


@throws
def checked(n: u32) -> u32:
    if n == 0:
        raise Errno(EINVAL)
    return n * 10


@throws
def outer(n: u32) -> u32:
    return checked(n) + 1


def handled(n: u32) -> i32:
    try:
        return i32(checked(n))
    except Errno as e:
        return -e.code
