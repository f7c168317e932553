# SPDX-License-Identifier: BSD-3-Clause
"""What is at the end of the cable, as it says itself.

What a device says is checked here, once: sizes that we cannot work with, depths and limits that it
leaves out.

Invariants
  V1  Of a Drive that is not NOTHING: 9 <= shift <= 12, 1 <= tags <= 32, blocks << shift fits.
Locking   [I] fixed once read
Tests     tests/unit/dev/ahci/test_device.py
Source    ACS-3, 7.12.7 "Input" of IDENTIFY DEVICE, 7.13.6 of IDENTIFY PACKET DEVICE; SBC-3, 5.15
          "READ CAPACITY (10) command"
Limits    disks without 48-bit addresses are left out; so is what is neither a disk nor a CD drive
"""
from typing import Final

from kpy import Array, Errno, Ptr, Slice, ctz, enum, popcount, struct, throws, u8, u32, u64

from kernel.dev.ahci import regs
from kernel.dev.ahci.regs import Capacity, Identify
from kernel.io import disk
from kernel.lib.errno import ENODEV, ENOMEDIUM
from kernel.machine.types import PAGE_SHIFT

MIN_SHIFT: Final = 9
SPACE: Final = 32


@enum(u32)
class Kind:
    NOTHING = 0
    ATA = 1
    ATAPI = 2


@struct
class Drive:
    """A device, as far as the driver has to know it."""
    kind: Kind                                  # [I]
    queued: bool                                # [I] knows NCQ
    tags: u32                                   # [I] commands that it takes at once
    fua: bool                                   # [I] knows writes that are on the medium when done
    flush: bool                                 # [I] has a cache to be flushed
    log: bool                                   # [I] has logs: tells which queued command failed
    trim: bool                                  # [I]
    rotates: bool                               # [I]
    shift: u32                                  # [I] the logarithm of a block's bytes
    blocks: u64                                 # [I] 0: there is no medium
    serial: Array[u8, disk.TEXT_BYTES]          # [I]
    model: Array[u8, disk.TEXT_BYTES]           # [I]


@throws
def read_ata(drive: Ptr[Drive], data: Ptr[Identify]) -> None:
    """A disk, from its IDENTIFY DEVICE data.

    Errors   ENODEV it is of a kind that we do not know.
    """
    valid = data.commands.VALID == regs.WORD_VALID
    if data.config & regs.NOT_ATA != 0 or not valid or not data.commands.LBA48:
        raise Errno(ENODEV)
    drive.shift = _sector_shift(data)
    drive.blocks = data.sectors
    if data.sectors == 0 or data.sectors > min(regs.MAX_SECTORS, u64.MAX >> drive.shift):
        raise Errno(ENODEV)
    more = data.more.VALID == regs.WORD_VALID
    drive.queued = data.sata.NCQ
    drive.tags = u32(data.queue_depth & regs.QUEUE_DEPTH_MASK) + 1 if data.sata.NCQ else 1
    drive.flush = data.commands.FLUSH_EXT
    drive.log = more and data.more.GPL
    drive.fua = more and data.more.FUA
    drive.trim = data.trim & regs.TRIM_SUPPORTED != 0
    drive.rotates = data.rotation_rate != regs.ROTATES_NOT
    set_text(drive.serial, data.serial)
    set_text(drive.model, data.model)
    drive.kind = Kind.ATA


@throws
def read_packet(drive: Ptr[Drive], data: Ptr[Identify]) -> None:
    """A CD drive, from its IDENTIFY PACKET DEVICE data; without a medium so far.

    Errors   ENODEV it is something else.
    """
    kind = data.config >> regs.ATAPI_TYPE_SHIFT & regs.ATAPI_TYPE_MASK
    if data.config & regs.ATAPI_CLASS != regs.ATAPI_DEVICE or kind != regs.ATAPI_CD:
        raise Errno(ENODEV)
    drive.tags = 1
    drive.shift = MIN_SHIFT
    drive.rotates = True
    set_text(drive.serial, data.serial)
    set_text(drive.model, data.model)
    drive.kind = Kind.ATAPI


@throws
def read_capacity(drive: Ptr[Drive], data: Ptr[Capacity]) -> None:
    """The medium of a CD drive.

    Errors   ENOMEDIUM its blocks are of no size that we know.
    """
    size = u32(data.block_bytes)
    if popcount(size) != 1 or not MIN_SHIFT <= u32(ctz(size)) <= PAGE_SHIFT:
        raise Errno(ENOMEDIUM)
    drive.shift = u32(ctz(size))
    drive.blocks = u64(u32(data.last)) + 1


def same(left: Ptr[Drive], right: Ptr[Drive]) -> bool:
    """Whether two identifications are of one device."""
    return (left.kind == right.kind and left.blocks == right.blocks and left.shift == right.shift
            and left.serial[:] == right.serial[:] and left.model[:] == right.model[:])


@throws
def _sector_shift(data: Ptr[Identify]) -> u32:
    """The logarithm of a logical sector's bytes."""
    if data.sector_size.VALID != regs.WORD_VALID or not data.sector_size.LARGE:
        return MIN_SHIFT
    words = data.sector_words
    if popcount(words) != 1 or not MIN_SHIFT <= u32(ctz(words)) + 1 <= PAGE_SHIFT:
        raise Errno(ENODEV)
    return u32(ctz(words)) + 1


def set_text(to: Slice[u8], text: Slice[u8]) -> None:
    """Copy a text whose bytes are swapped in pairs, without the spaces around it."""
    to.fill(0)
    size = len(text)
    while size > 0 and text[size - 1 ^ 1] <= SPACE:
        size -= 1
    start: u64 = 0
    while start < size and text[start ^ 1] <= SPACE:
        start += 1
    for i in range(size - start):
        c = text[start + i ^ 1]
        to[i] = c if SPACE < c < 127 else SPACE
