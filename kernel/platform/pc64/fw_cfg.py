# SPDX-License-Identifier: BSD-3-Clause
"""Files that QEMU hands in: the commands of scripts/run --exec.

Source    QEMU docs/specs/fw_cfg.rst, "Selector and data registers", "File directory"
"""
from typing import Final

from kpy import Array, Slice, u8, u16, u32, u64

from kernel.arch.x86_64 import port

SELECTOR: Final[u16] = 0x510
DATA: Final[u16] = 0x511
SIGNATURE: Final[u16] = 0x00
DIRECTORY: Final[u16] = 0x19
NAME_BYTES: Final = 56


def read_file(name: Slice[u8], to: Slice[u8]) -> u64:
    """Read file `name` into `to`, as much as fits.

    Returns  the bytes read; 0 where there is no such file, or no QEMU.
    """
    port.outw(SELECTOR, SIGNATURE)
    signature: Array[u8, 4]
    _read(signature)
    if signature != b"QEMU":
        return 0
    port.outw(SELECTOR, DIRECTORY)
    count = _read_be32()
    for _ in range(count):
        size = _read_be32()
        select = u16(_read_be32() >> 16)
        entry: Array[u8, NAME_BYTES]
        _read(entry)
        if entry[:len(name)] == name and entry[len(name)] == 0:
            port.outw(SELECTOR, select)
            used = min(u64(size), len(to))
            _read(to[:used])
            return used
    return 0


def _read(to: Slice[u8]) -> None:
    for i in range(len(to)):
        to[i] = port.inb(DATA)


def _read_be32() -> u32:
    word: u32 = 0
    for _ in range(4):
        word = word << 8 | port.inb(DATA)
    return word
