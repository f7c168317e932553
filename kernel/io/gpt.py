# SPDX-License-Identifier: BSD-3-Clause
"""GUID partition tables: their format, and whether what is there is one.

Nothing is read here: who has read the blocks asks whether they are a header and what it says.  All
that comes from the medium is checked before it is used.

Invariants
  G1  header() accepts only a header whose entries lie on the medium, outside the usable blocks.
  G2  partition() gives only extents within the header's usable blocks.
Tests     tests/unit/io/test_partition_tables.py
Source    UEFI 2.10, section 5.3 "GUID Partition Table (GPT) Disk Layout"
"""
from typing import Final

from kpy import Array, Ptr, Slice, bytes_of, le32, le64, struct, u8, u32, u64

from kernel.lib.crc32 import crc32

SIGNATURE: Final[u64] = 0x5452415020494645      # "EFI PART"
HEADER_BYTES: Final = 92
MIN_ENTRY: Final = 128
MAX_ENTRY: Final = 4096
MAX_ENTRIES: Final = 1024       # more than anybody makes; bounds what is read


@struct(packed=True, size=92)
class GptHeader:
    """5.3.2 GPT Header."""
    Signature: le64
    Revision: le32
    HeaderSize: le32
    HeaderCRC32: le32           # over HeaderSize bytes, with this field zero
    Reserved: le32
    MyLBA: le64
    AlternateLBA: le64
    FirstUsableLBA: le64
    LastUsableLBA: le64
    DiskGUID: Array[u8, 16]
    PartitionEntryLBA: le64
    NumberOfPartitionEntries: le32
    SizeOfPartitionEntry: le32
    PartitionEntryArrayCRC32: le32


@struct(packed=True, size=128)
class GptEntry:
    """5.3.3 GPT Partition Entry Array."""
    PartitionTypeGUID: Array[u8, 16]        # zero: unused
    UniquePartitionGUID: Array[u8, 16]
    StartingLBA: le64
    EndingLBA: le64                         # the last one, not one past it
    Attributes: le64
    PartitionName: Array[u8, 72]            # UTF-16LE


@struct
class Table:
    """What a valid header says."""
    entries_lba: u64            # where the entries are
    count: u32                  # of entries
    entry_bytes: u32            # of each
    entries_crc: u32
    first: u64                  # usable blocks, inclusive
    last: u64


@struct
class Extent:
    """A partition in blocks."""
    start: u64
    count: u64                  # 0: there is none


def header(block: Slice[u8], lba: u64, blocks: u64, to: Ptr[Table]) -> bool:
    """Whether `block`, read at `lba` of a medium of `blocks`, is a GPT header; fills in `to`."""
    found: GptHeader
    if len(block) < HEADER_BYTES:
        return False
    bytes_of(found).copy_from(block[:HEADER_BYTES])
    size = u64(u32(found.HeaderSize))
    if u64(found.Signature) != SIGNATURE or u64(found.MyLBA) != lba or not (
            HEADER_BYTES <= size <= len(block)):
        return False
    wanted = u32(found.HeaderCRC32)
    found.HeaderCRC32 = le32(0)
    if crc32(block[HEADER_BYTES:size], crc32(bytes_of(found))) != wanted:
        return False
    to.entries_lba = u64(found.PartitionEntryLBA)
    to.count = u32(found.NumberOfPartitionEntries)
    to.entry_bytes = u32(found.SizeOfPartitionEntry)
    to.entries_crc = u32(found.PartitionEntryArrayCRC32)
    to.first = u64(found.FirstUsableLBA)
    to.last = u64(found.LastUsableLBA)
    return _sound(to, len(block), blocks)


def _sound(table: Ptr[Table], block_bytes: u64, blocks: u64) -> bool:
    """Whether what a header with a good CRC says can be true (G1)."""
    size = table.entry_bytes
    if not MIN_ENTRY <= size <= MAX_ENTRY or size & (size - 1) != 0:
        return False
    if table.count == 0 or table.count > MAX_ENTRIES:
        return False
    if table.first > table.last or table.last >= blocks:
        return False
    length = entry_blocks(table, block_bytes)
    at = table.entries_lba
    if at < 2 or at >= blocks or length > blocks - at:
        return False
    return at + length <= table.first or at > table.last


def entry_blocks(table: Ptr[Table], block_bytes: u64) -> u64:
    """Blocks that the entries take."""
    return (u64(table.count) * table.entry_bytes + block_bytes - 1) // block_bytes


def partition(table: Ptr[Table], entries: Slice[u8], index: u32, to: Ptr[GptEntry]) -> Extent:
    """Entry `index` of the array of entries, copied to `to`; no blocks if there is none (G2)."""
    at = u64(index) * table.entry_bytes
    bytes_of(to).copy_from(entries[at:at + MIN_ENTRY])
    used = False
    for byte in to.PartitionTypeGUID:
        if byte != 0:
            used = True
    start = u64(to.StartingLBA)
    end = u64(to.EndingLBA)
    if not used or start < table.first or end > table.last or start > end:
        return Extent()
    return Extent(start=start, count=end - start + 1)
