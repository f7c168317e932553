# SPDX-License-Identifier: BSD-3-Clause
"""Partition tables of PCs: the master boot record, and the chain of logical partitions.

Invariants
  R1  partition() gives only extents that lie on the medium.
  R2  A logical partition's record lies behind the one before it, so a chain ends.
Tests     tests/unit/io/test_partition_tables.py
Source    IBM PC/AT BIOS convention; UEFI 2.10, section 5.2 "LBA 0 Format"
"""
from typing import Final

from kpy import Array, Slice, bytes_of, le32, struct, u8, u32, u64

RECORD_BYTES: Final = 512
TABLE_AT: Final = 446
ENTRY_BYTES: Final = 16
ENTRIES: Final = 4
SIGNATURE_AT: Final = 510
MAX_LOGICAL: Final = 60         # slices 5 to 64

# OSType: the ones that mean something here
EXTENDED: Final = 0x05
EXTENDED_LBA: Final = 0x0F
LINUX_EXTENDED: Final = 0x85
PROTECTIVE: Final = 0xEE        # a GPT follows


@struct(packed=True, size=16)
class MbrEntry:
    """Figure 5-1's partition record."""
    BootIndicator: u8
    StartingCHS: Array[u8, 3]
    OSType: u8
    EndingCHS: Array[u8, 3]
    StartingLBA: le32
    SizeInLBA: le32


@struct
class Part:
    """A partition in blocks."""
    kind: u8
    start: u64
    count: u64                  # 0: there is none


def signed(block: Slice[u8]) -> bool:
    """Whether a block ends as a boot record does."""
    return (len(block) >= RECORD_BYTES and block[SIGNATURE_AT] == 0x55
            and block[SIGNATURE_AT + 1] == 0xAA)


def is_extended(kind: u8) -> bool:
    """Whether the partition holds a chain of others."""
    return kind in (EXTENDED, EXTENDED_LBA, LINUX_EXTENDED)


def partition(block: Slice[u8], index: u64, base: u64, blocks: u64) -> Part:
    """Entry `index` of a record; its start counts from `base`.  No blocks if there is none."""
    entry: MbrEntry
    at = TABLE_AT + index * ENTRY_BYTES
    bytes_of(entry).copy_from(block[at:at + ENTRY_BYTES])
    start = base + u32(entry.StartingLBA)
    count = u64(u32(entry.SizeInLBA))
    if entry.OSType == 0 or start == 0 or start >= blocks:
        return Part()
    # Tables made on a larger medium, or carelessly, point past the end: what is there counts.
    return Part(kind=entry.OSType, start=start, count=min(count, blocks - start))
