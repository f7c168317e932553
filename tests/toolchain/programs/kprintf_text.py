# SPDX-License-Identifier: BSD-3-Clause
r"""kprintf: text, characters, enums, escapes.

# prints: text("ab") "<ab><   ab><ab   >\n"
# prints: char() "A{}\n"
# prints: enums() "2\n"
# prints: nothing() "just text 100%\n"
# prints: expression(4) "4 + 1 = 5\n"
"""
from kpy import Str, enum, kprintf, u8, u32


@enum(u8)
class Kind:
    A = 1
    B = 2


def text(s: Str) -> None:
    kprintf(f"<{s}><{s:>5}><{s:<5}>\n")


def char() -> None:
    c: u8 = 65
    kprintf(f"{c:c}{{}}\n")


def enums() -> None:
    k = Kind.B
    kprintf(f"{u8(k)}\n")


def nothing() -> None:
    kprintf("just text 100%\n")


def expression(n: u32) -> None:
    kprintf(f"{n} + 1 = {n + 1}\n")
