# SPDX-License-Identifier: BSD-3-Clause
"""HAMMER2 on the medium, as kernel/fs/hammer2/ondisk.py has it: numbers and structures, no logic.

Names are those of DragonFly's hammer2_disk.h without its prefixes.  All numbers are little-endian.

Tests   tests/toolchain/test_image_format.py
Source  DragonFly sys/vfs/hammer2/hammer2_disk.h (names, layout)
"""
from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from typing import ClassVar

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

ALLOC_MIN_RADIX, ALLOC_MAX_RADIX = 10, 16
ALLOC_MIN = 1 << ALLOC_MIN_RADIX
PBUFRADIX = 16
PBUFSIZE = 1 << PBUFRADIX           # a logical block of a file; the volume header
BLOCKREF_BYTES = 128
SET_COUNT = 4                       # blockrefs of an inode or the volume header
INODE_BYTES = 1024
EMBEDDED_BYTES = 512                # of a file inside its inode
MAX_NAME = 255
CHECK_NAME_BYTES = 64               # of a name inside its blockref
IND_BYTES_MIN = 4096                # a directory inode's first indirect blocks
IND_BYTES_NOM = 16384               # all others
OFF_MASK_RADIX = 0x3F               # of a media address: log2 of the size
FULL_KEYBITS = 64                   # of a whole tree

NUM_VOLHDRS = 4
ZONE_BYTES = 2 * GIB                # from one copy of the volume header to the next
VOLUME_ALIGN = 8 * MIB
MAX_VOLUMES = 64
UNUSED_LOFF = 0xFFFFFFFFFFFFFFFF

RESERVED_BYTES = 4 * MIB            # at the start of each GiB
BOOT_BYTES, AUX_BYTES = 64 * MIB, 256 * MIB
BOOT_MIN_BYTES = AUX_MIN_BYTES = 8 * MIB

SEGMENT_RADIX = 22                  # a record of the freemap
SEGMENT_BYTES = 1 << SEGMENT_RADIX
LEAF_RADIX = 30                     # a freemap leaf
NODE_RADIX = 8                      # entries of a freemap block, and levels are this far apart
FREEMAP_BYTES = 32 * KIB
FREEMAP_RECORDS = 256
GRANULE_RADIX = 14                  # two bits of a record
GRANULE_BYTES = 1 << GRANULE_RADIX
GRANULES = SEGMENT_BYTES // GRANULE_BYTES
ROTATIONS, LEVELS = 8, 5            # sets of freemap blocks in a reserved segment

EMPTY, INODE, INDIRECT, DATA, DIRENT, FREEMAP_NODE, FREEMAP_LEAF, INVALID = range(8)
TYPE_NAMES = ("empty", "inode", "indirect block", "data", "directory entry", "freemap node",
              "freemap leaf", "invalid")

CHECK_NONE, CHECK_DISABLED, CHECK_ISCSI32, CHECK_XXHASH64, CHECK_SHA192, CHECK_FREEMAP = range(6)
COMP_NONE, COMP_AUTOZERO, COMP_LZ4, COMP_ZLIB = range(4)

DIRECTORY, REGFILE, FIFO, CDEV, BDEV, SOFTLINK, SOCKET, WHITEOUT = 1, 2, 4, 5, 6, 7, 9, 10
OBJECT_NAMES = {DIRECTORY: "directory", REGFILE: "file", FIFO: "fifo", CDEV: "character device",
                BDEV: "block device", SOFTLINK: "symbolic link", SOCKET: "socket",
                WHITEOUT: "whiteout"}

OPFLAG_DIRECTDATA, OPFLAG_PFSROOT = 0x01, 0x02
BREF_FLAG_PFSROOT = 0x01
PFSTYPE_MASTER, PFSTYPE_SUPROOT = 6, 8
PFSSUBTYPE_SNAPSHOT = 1
ROOT_INUM = 1                       # of each PFS
FIRST_INUM = 1024                   # of all else
INODE_VERSION_ONE = 1

DIRHASH_VISIBLE = 1 << 63           # keys of directory entries
DIRHASH_LOMASK = 0x7FFF             # where names of one hash differ
XXHASH64_SEED = 0x4D617474446C6C6E

VOLUME_ID_HBO = 0x48414D3205172011
VOLUME_ID_ABO = 0x11201705324D4148  # of a machine with the other byte order
VERSION_MIN, VERSION_MULTI_VOLUMES = 1, 2
FSTYPE = "5cbb9ad1-862d-11dc-a94d-01301bb8a9f5"
PEER_HAMMER2 = 3


@dataclass(slots=True)
class Blockref:
    """128 bytes: the way to a block."""
    type: int = EMPTY
    methods: int = 0                # check code << 4 | compression
    copyid: int = 0
    keybits: int = 0                # it covers keys [key, key + 2**keybits - 1]
    vradix: int = 0
    flags: int = 0
    leaf_count: int = 0
    key: int = 0
    mirror_tid: int = 0
    modify_tid: int = 0
    data_off: int = 0               # media address
    update_tid: int = 0
    embed: bytes = bytes(16)        # head of a directory entry, or data_count and inode_count
    check: bytes = bytes(64)        # check code, or the name of a directory entry

    FORMAT: ClassVar = struct.Struct("<BBBBBBHQQQQQ16s64s")

    def pack(self) -> bytes:
        return self.FORMAT.pack(
            self.type, self.methods, self.copyid, self.keybits, self.vradix, self.flags,
            self.leaf_count, self.key, self.mirror_tid, self.modify_tid, self.data_off,
            self.update_tid, self.embed, self.check)

    @classmethod
    def unpack(cls, data: bytes, at: int = 0) -> Blockref:
        return cls(*cls.FORMAT.unpack_from(data, at))

    @property
    def offset(self) -> int:
        return self.data_off & ~OFF_MASK_RADIX

    @property
    def size(self) -> int:
        radix = self.data_off & OFF_MASK_RADIX
        return 1 << radix if radix else 0


DIRENT_HEAD = struct.Struct("<QHB5x")       # Blockref.embed: inum, namlen, type
STATISTICS = struct.Struct("<QQ")           # Blockref.embed: data_count, inode_count
FREEMAP_CHECK = struct.Struct("<IIQ")       # Blockref.check: icrc, bigmask, avail
LZ4_LENGTH = struct.Struct("<I")            # before the compressed bytes


@dataclass(slots=True)
class Inode:
    """1024 bytes."""
    version: int = INODE_VERSION_ONE
    reserved02: int = 0
    pfs_subtype: int = 0
    uflags: int = 0
    rmajor: int = 0
    rminor: int = 0
    ctime: int = 0                  # microseconds since 1970, like the others
    mtime: int = 0
    atime: int = 0
    btime: int = 0
    uid: bytes = bytes(16)          # the Unix id is in the last four bytes
    gid: bytes = bytes(16)
    type: int = 0
    op_flags: int = 0
    cap_flags: int = 0
    mode: int = 0                   # permissions only
    inum: int = 0
    size: int = 0
    nlinks: int = 1
    iparent: int = 0
    name_key: int = 0
    name_len: int = 0
    ncopies: int = 0
    comp_algo: int = 0
    target_type: int = 0
    check_algo: int = 0
    pfs_nmasters: int = 0
    pfs_type: int = 0
    pfs_inum: int = 0               # of PFS roots: the next inode number
    pfs_clid: bytes = bytes(16)
    pfs_fsid: bytes = bytes(16)
    data_quota: int = 0
    data_count: int = 0
    inode_quota: int = 0
    inode_count: int = 0
    pfs_lsnap_tid: int = 0
    reservedd8: int = 0
    decrypt_check: int = 0
    reservede8: bytes = bytes(24)
    filename: bytes = b""           # of PFS roots: the label
    data: bytes = b""               # with DIRECTDATA the file, else its four blockrefs

    FORMAT: ClassVar = struct.Struct(
        "<HBBIII4Q16s16sBBHI5QHBBBBBBQ16s16s4QQQQ24s256s512s")

    def pack(self) -> bytes:
        return self.FORMAT.pack(*(getattr(self, name) for name in _INODE_FIELDS))

    @classmethod
    def unpack(cls, data: bytes) -> Inode:
        return cls(*cls.FORMAT.unpack_from(data))


_INODE_FIELDS = [field.name for field in fields(Inode)]


@dataclass(slots=True)
class VolumeData:
    """The volume header: PBUFSIZE bytes, used up to 0x1000, and a CRC at the end."""
    magic: int = VOLUME_ID_HBO
    boot_beg: int = 0
    boot_end: int = 0
    aux_beg: int = 0
    aux_end: int = 0
    volu_size: int = 0
    version: int = VERSION_MULTI_VOLUMES
    flags: int = 0
    copyid: int = 0
    freemap_version: int = 0
    peer_type: int = PEER_HAMMER2
    volu_id: int = 0
    nvolumes: int = 1
    fsid: bytes = bytes(16)
    fstype: bytes = bytes(16)
    allocator_size: int = 0
    allocator_free: int = 0
    allocator_beg: int = 0          # below it all counts as allocated
    mirror_tid: int = 0             # the newest header has the greatest
    freemap_tid: int = 0
    bulkfree_tid: int = 0
    total_size: int = 0
    sroot_blockset: bytes = bytes(512)
    freemap_blockset: bytes = bytes(512)
    volu_loff: tuple[int, ...] = (0,)

    HEAD: ClassVar = struct.Struct("<6QII5B3x16s16s4Q16xQQ32xQ")
    LOFF: ClassVar = struct.Struct(f"<{MAX_VOLUMES}Q")
    SROOT_AT: ClassVar = 0x200
    FREEMAP_AT: ClassVar = 0x800
    LOFF_AT: ClassVar = 0xE00

    def pack(self) -> bytearray:
        """All but the CRCs."""
        block = bytearray(PBUFSIZE)
        values = [getattr(self, field.name) for field in fields(self)]
        self.HEAD.pack_into(block, 0, *values[:-3])
        block[self.SROOT_AT:self.SROOT_AT + 512] = self.sroot_blockset
        block[self.FREEMAP_AT:self.FREEMAP_AT + 512] = self.freemap_blockset
        offsets = [*self.volu_loff, *[UNUSED_LOFF] * (MAX_VOLUMES - len(self.volu_loff))]
        self.LOFF.pack_into(block, self.LOFF_AT, *offsets)
        return block

    @classmethod
    def unpack(cls, block: bytes) -> VolumeData:
        return cls(*cls.HEAD.unpack_from(block),
                   block[cls.SROOT_AT:cls.SROOT_AT + 512],
                   block[cls.FREEMAP_AT:cls.FREEMAP_AT + 512],
                   cls.LOFF.unpack_from(block, cls.LOFF_AT))


# The three CRCs of the volume header: (where it is, from, to), in the order of writing.
ICRCS = ((0x1F8, 0x200, 0x400), (0x1FC, 0, 508), (0xFFFC, 0, 0xFFFC))


@dataclass(slots=True)
class FreemapRecord:
    """128 bytes: what is allocated in a segment."""
    linear: int = 0                 # where the next small block goes, inside the segment
    class_: int = 0                 # blockref type << 8 | 16; 0 while the segment is unused
    avail: int = SEGMENT_BYTES
    bitmap: bytes = bytes(64)       # two bits a granule: 00 free, 10 staged, 11 allocated

    FORMAT: ClassVar = struct.Struct("<IH22xI32x64s")

    def pack(self) -> bytes:
        return self.FORMAT.pack(self.linear, self.class_, self.avail, self.bitmap)

    @classmethod
    def unpack(cls, data: bytes, at: int) -> FreemapRecord:
        return cls(*cls.FORMAT.unpack_from(data, at))


def unpack_refs(data: bytes) -> list[Blockref]:
    """An array of blockrefs, empty ones too."""
    return [Blockref.unpack(data, at) for at in range(0, len(data), BLOCKREF_BYTES)]


def freemap_address(key: int, level: int, rotation: int) -> int:
    """Where the freemap block of a level (1: leaf) that begins at `key` has its copy."""
    return key + (1 + LEVELS * rotation + level - 1) * PBUFSIZE


class ImageError(Exception):
    """An image cannot be made or read; the message says why and, if there is one, the way out."""
