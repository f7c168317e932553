# SPDX-License-Identifier: BSD-3-Clause
"""Aliases of types, and Final of a type.

# run: area(3, 4) == 12
# run: page() == 8192
"""
from kpy import Final, TypeAlias, u32, u64

Length: TypeAlias = u32
PAGE_SIZE: Final[u64] = 4096


def area(a: Length, b: Length) -> Length:
    return a * b


def page() -> u64:
    return PAGE_SIZE * 2
