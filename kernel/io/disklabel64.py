# SPDX-License-Identifier: BSD-3-Clause
"""DragonFly's disk labels: a slice's 16 partitions, `a` to `p`, in bytes.

Invariants
  L1  partition() gives only extents that lie in the slice.
Tests     tests/unit/io/test_partition_tables.py
Source    DragonFly sys/sys/disklabel64.h (format)
"""
from typing import Final

from kpy import Array, Slice, bytes_of, le32, le64, struct, u8, u32, u64

from kernel.lib.crc32 import crc32

DISKMAGIC64: Final[u32] = 0xC4464C59
MAXPARTITIONS64: Final = 16
CRC_FROM: Final = 512           # d_magic
PARTITIONS_AT: Final = 712
PARTITION_BYTES: Final = 64
LABEL_BYTES: Final = 712 + 16 * 64


@struct(packed=True, size=712)
class Disklabel64:
    """What stands before the partitions."""
    d_reserved0: Array[u8, 512]
    d_magic: le32
    d_crc: le32                 # CRC-32 from d_magic to the last partition, with this field zero
    d_align: le32
    d_npartitions: le32
    d_stor_uuid: Array[u8, 16]
    d_total_size: le64          # bytes, all of the slice
    d_bbase: le64
    d_pbase: le64
    d_pstop: le64
    d_abase: le64
    d_packname: Array[u8, 64]
    d_reserved: Array[u8, 64]


@struct(packed=True, size=64)
class Partition64:
    """Offsets count from the start of the slice."""
    p_boffset: le64
    p_bsize: le64
    p_fstype: u8
    p_unused: Array[u8, 15]
    p_type_uuid: Array[u8, 16]
    p_stor_uuid: Array[u8, 16]


@struct
class Bounds:
    """A partition in bytes."""
    start: u64
    size: u64                   # 0: there is none


def valid(label: Slice[u8]) -> u64:
    """How many partitions the label in LABEL_BYTES bytes has; 0 if it is none."""
    head: Disklabel64
    if len(label) < LABEL_BYTES:
        return 0
    bytes_of(head).copy_from(label[:PARTITIONS_AT])
    count = u64(u32(head.d_npartitions))
    if u32(head.d_magic) != DISKMAGIC64 or count == 0 or count > MAXPARTITIONS64:
        return 0
    wanted = u32(head.d_crc)
    head.d_crc = le32(0)
    got = crc32(bytes_of(head)[CRC_FROM:])
    got = crc32(label[PARTITIONS_AT:PARTITIONS_AT + count * PARTITION_BYTES], got)
    return count if got == wanted else 0


def partition(label: Slice[u8], index: u64, slice_bytes: u64, type_uuid: Slice[u8]) -> Bounds:
    """Partition `index` of a valid label (L1); its type is copied to `type_uuid`."""
    found: Partition64
    at = PARTITIONS_AT + index * PARTITION_BYTES
    bytes_of(found).copy_from(label[at:at + PARTITION_BYTES])
    start = u64(found.p_boffset)
    size = u64(found.p_bsize)
    if size == 0 or start >= slice_bytes or size > slice_bytes - start:
        return Bounds()
    type_uuid.copy_from(found.p_type_uuid)
    return Bounds(start=start, size=size)
