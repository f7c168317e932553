# SPDX-License-Identifier: BSD-3-Clause
r"""kprintf: numbers in all bases and widths.

# prints: plain() "1 -2 255 18446744073709551615\n"
# prints: bases() "ff 0xff 0b101 0o17\n"
# prints: widths() "[   42][42   ][00042][ -7]\n"
# prints: upper() "DEAD 0x00AB\n"
# prints: signs() "+5 -5\n"
# prints: boolean() "True False\n"
"""
from kpy import i32, kprintf, u8, u32, u64


def plain() -> None:
    a: u32 = 1
    b: i32 = -2
    c: u8 = 255
    d: u64 = 0xFFFF_FFFF_FFFF_FFFF
    kprintf(f"{a} {b} {c} {d}\n")


def bases() -> None:
    n: u32 = 255
    kprintf(f"{n:x} {n:#x} ")
    m: u32 = 5
    k: u32 = 15
    kprintf(f"{m:#b} {k:#o}\n")


def widths() -> None:
    n: u32 = 42
    m: i32 = -7
    kprintf(f"[{n:5}][{n:<5}][{n:05}][{m:3}]\n")


def upper() -> None:
    n: u32 = 0xDEAD
    m: u8 = 0xAB
    kprintf(f"{n:X} 0x{m:04X}\n")


def signs() -> None:
    n: i32 = 5
    kprintf(f"{n:+} {-n:+}\n")


def boolean() -> None:
    t = True
    kprintf(f"{t} {not t}\n")
