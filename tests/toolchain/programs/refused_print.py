# SPDX-License-Identifier: BSD-3-Clause
"""f-strings are printed and nothing else.

# error: K0108 at `f"{n}"`
# error: K0111 at `p.n`
# error: K0320 at `kprintf`
"""
from kpy import Ptr, kprintf, struct, u32


@struct
class Node:
    n: u32


def keep(n: u32) -> None:
    s = f"{n}"


def show_struct(p: Ptr[Node]) -> None:
    kprintf(f"{p.n:q}")


def as_value(n: u32) -> u32:
    return kprintf(f"{n}")
