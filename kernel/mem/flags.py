# SPDX-License-Identifier: BSD-3-Clause
"""How to allocate: the flags that every allocator of this package takes.

Source    DragonFly sys/sys/malloc.h (names and meanings)
"""
from typing import Final

from kpy import flags, u32


@flags(u32)
class M:
    """DragonFly's M_ flags."""
    RNOWAIT = 0x1                   # do not sleep; say None instead
    WAITOK = 0x2                    # sleep until there is memory
    ZERO = 0x100                    # zeroed memory
    USE_RESERVE = 0x200             # may eat the system's reserve
    NULLOK = 0x400                  # None at the type's limit, rather than a panic
    USE_INTERRUPT_RESERVE = 0x1000  # may eat the last page
    POWEROF2 = 0x2000               # round the size up to a power of two, aligned to itself


NOWAIT: Final = M.RNOWAIT | M.NULLOK
INTWAIT: Final = M.WAITOK | M.USE_RESERVE | M.USE_INTERRUPT_RESERVE
INTNOWAIT: Final = M.RNOWAIT | M.NULLOK | M.USE_RESERVE | M.USE_INTERRUPT_RESERVE
SYSNOWAIT: Final = M.RNOWAIT | M.NULLOK | M.USE_RESERVE
