# SPDX-License-Identifier: BSD-3-Clause
"""pass, docstrings and expressions as statements.

# run: nothing() == None
# run: call() == 1
"""
from kpy import u32

count: u32 = 0


def nothing() -> None:
    """Does nothing."""
    pass


def bump() -> u32:
    global count
    count += 1
    return count


def call() -> u32:
    nothing()
    bump()
    if count > 5:
        pass
    else:
        return count
    return 0
