# SPDX-License-Identifier: BSD-3-Clause
"""Constants computed from constants.

# run: values() == (4096, 12, 4095)
# run: text() == 7
"""
from kpy import Final, comptime, static_assert, u32

SHIFT: Final = 12
PAGE: Final = 1 << SHIFT
MASK: Final = PAGE - 1


@comptime
def digits(n: u32) -> u32:
    return len(str(n))


DIGITS: Final = digits(1000000)
static_assert(PAGE == 4096, "page size")


def values() -> tuple[u32, u32, u32]:
    return PAGE, SHIFT, MASK


def text() -> u32:
    return DIGITS
