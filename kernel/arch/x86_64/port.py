# SPDX-License-Identifier: BSD-3-Clause
"""I/O ports.

Source    Intel SDM vol. 2A, "IN", "OUT"
"""
from kpy import asm, inline, u8, u16, u32


@inline
def inb(port: u16) -> u8:
    """Read a byte."""
    return asm("inb %dx, %al", out=("a", u8), ins={"d": port})


@inline
def outb(port: u16, value: u8) -> None:
    """Write a byte."""
    asm("outb %al, %dx", ins={"a": value, "d": port}, clobbers=("memory",))


@inline
def outw(port: u16, value: u16) -> None:
    """Write two bytes."""
    asm("outw %ax, %dx", ins={"a": value, "d": port}, clobbers=("memory",))


@inline
def outl(port: u16, value: u32) -> None:
    """Write four bytes."""
    asm("outl %eax, %dx", ins={"a": value, "d": port}, clobbers=("memory",))


@inline
def inw(port: u16) -> u16:
    """Read two bytes."""
    return asm("inw %dx, %ax", out=("a", u16), ins={"d": port})


@inline
def inl(port: u16) -> u32:
    """Read four bytes."""
    return asm("inl %dx, %eax", out=("a", u32), ins={"d": port})
