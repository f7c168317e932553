# SPDX-License-Identifier: BSD-3-Clause
"""Disks at the prompt: lsblk, iostat.

Tests     tests/qemu/test_image_disks.py
"""
from typing import Final

from kpy import Errno, Ptr, Slice, kprintf, table, u8, u64, zeroed

from kernel import machine
from kernel.commands import args
from kernel.io import buf, disk, slices
from kernel.io.slices import PartInfo
from kernel.lib import words

MIB: Final = 1 << 20
US: Final = 1_000_000


@table("command", 130)
def lsblk() -> None:
    """lsblk"""
    kprintf(f"{'NAME':<12} {'SIZE':>12} {'BLOCK':>5} {'START':>14} {'TYPE':<36} SERIAL\n")
    line: PartInfo = zeroed(PartInfo)
    index: u64 = 0
    while True:
        try:
            slices.nth(index, line)
        except Errno:
            return
        index += 1
        kprintf(f"{words.until_zero(line.name):<12} {line.size:>12} {line.block_size:>5} "
                f"{line.start:>14} ")
        if line.whole:
            kprintf(f"{words.until_zero(line.model):<36} {words.until_zero(line.serial)}\n")
        elif line.mbr_type != 0:
            kprintf(f"MBR {line.mbr_type:#04x}\n")
        else:
            print_uuid(line.type_uuid)
            kprintf("\n")


def print_uuid(bytes_: Slice[u8]) -> None:
    """The first three groups are little-endian, the others in text order."""
    kprintf(f"{bytes_[3]:02x}{bytes_[2]:02x}{bytes_[1]:02x}{bytes_[0]:02x}-"
            f"{bytes_[5]:02x}{bytes_[4]:02x}-{bytes_[7]:02x}{bytes_[6]:02x}-"
            f"{bytes_[8]:02x}{bytes_[9]:02x}-")
    for byte in bytes_[10:16]:
        kprintf(f"{byte:02x}")


@table("command", 131)
def iostat() -> None:
    """iostat"""
    if len(args.rest) != 0:
        kprintf("usage: iostat\n")
        args.fail(2)
        return
    kprintf(f"{'DISK':<8} {'READS':>10} {'MiB':>8} {'us/READ':>8} {'WRITES':>10} {'MiB':>8} "
            f"{'FLUSHES':>8} {'ERRORS':>7}\n")
    index: u64 = 0
    while (dp := disk.nth(index)) is not None:
        index += 1
        total: disk.DiskStats = zeroed(disk.DiskStats)
        disk.sum_stats(dp, total)
        reads = total.requests[0]
        each = total.busy * US // machine.cputimer_hz() // max(_requests(total), 1)
        kprintf(f"{disk.name_of(dp):<8} {reads:>10} {total.bytes[0] // MIB:>8} {each:>8} "
                f"{total.requests[1]:>10} {total.bytes[1] // MIB:>8} {total.requests[2]:>8} "
                f"{total.errors:>7}\n")
        disk.drop(dp)
    kprintf(f"buffers: {buf.total_bytes() // MIB} MiB of {buf.limit() // MIB}\n")


def _requests(total: Ptr[disk.DiskStats]) -> u64:
    count: u64 = 0
    for n in total.requests:
        count += n
    return count
