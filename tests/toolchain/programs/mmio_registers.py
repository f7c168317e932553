# SPDX-License-Identifier: BSD-3-Clause
"""Register blocks: every access is one access of its width.

# run: fields() == (1, 3, 128)
# run: doorbells() == 7
# trap: outside(4) INDEX 4 4
"""
from kpy import RO, RW, Array, Bit, Bits, Final, Mmio, bits, bits_of, cast, ref, regs, u32, u64

UNSAFE: Final = True


@bits(u32)
class Cc:
    EN: Bit[0]
    MPS: Bits[10, 7]


@regs(spec="a device of this test")
class Regs:
    CAP: RO[u32, 0x00]
    CC: RW[Cc, 0x04]
    DB: RW[u32, 0x10, 4, 8]


memory: Array[u64, 16]


def device() -> Mmio[Regs]:
    return cast(Mmio[Regs], ref(memory[0]))


def fields() -> tuple[u32, u32, u32]:
    r = device()
    r.CC.EN = 1
    a = u32(r.CC.EN)
    r.CC.MPS = 3
    b = u32(r.CC.MPS)
    r.CC.EN = 0
    r.CC.MPS = 1
    return a, b, bits_of(r.CC)


def doorbells() -> u32:
    r = device()
    r.DB[2] = 7
    return r.DB[2] + r.DB[1]


def outside(i: u64) -> u32:
    r = device()
    return r.DB[i]
