# SPDX-License-Identifier: BSD-3-Clause
"""kassert() checks in dev builds, and is not there in release builds.

# run: halved(10) == 5
# checked: halved(7) ASSERT
# release: halved(7) == 3
"""
from kpy import kassert, u32


def halved(n: u32) -> u32:
    kassert(n % 2 == 0, f"{n} is odd")
    return n // 2
