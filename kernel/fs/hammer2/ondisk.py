# SPDX-License-Identifier: BSD-3-Clause
"""HAMMER2 on the medium: the structures, their fields' names and numbers.  No logic.

A volume is a tree of blocks.  A block is reached through a blockref, which says what it is, which
keys are below it, where it lies and what its check code is; blockrefs lie in the volume header, in
inodes (four each) and in indirect blocks.  All numbers are little-endian, sizes in bytes.

Invariants
  D1  Every struct has the size of the format, and no padding: its fields are aligned by nature.
Tests     tests/unit/fs/hammer2/test_formats.py
Source    DragonFly sys/vfs/hammer2/hammer2_disk.h (names, layout)
"""
from typing import Final

from kpy import Array, Bits, bits, enum, le16, le32, le64, sizeof, static_assert, struct, u8

# Sizes and places
ALLOC_MIN_RADIX: Final = 10
ALLOC_MAX_RADIX: Final = 16
ALLOC_MIN: Final = 1 << ALLOC_MIN_RADIX
PBUFRADIX: Final = 16
PBUFSIZE: Final = 1 << PBUFRADIX            # a physical buffer, and a logical block of a file
BLOCKREF_BYTES: Final = 128
SET_COUNT: Final = 4                        # blockrefs of an inode or the volume header
INODE_BYTES: Final = 1024
EMBEDDED_BYTES: Final = 512                 # of a file inside its inode
INODE_MAXNAME: Final = 256
NUM_VOLHDRS: Final = 4
ZONE_BYTES64: Final = 2 << 30               # from one copy of the volume header to the next
VOLUME_ALIGN: Final = 8 << 20
VOLUME_OFFSET_ALIGN: Final = 1 << 30        # of the volumes of a set, one behind the other
MAX_VOLUMES: Final = 64
ZONE_SEG: Final = 4 << 20                   # reserved at the start of each GiB

# Media addresses: offset and log2 of the size in one number
OFF_MASK_RADIX: Final = 0x3F

# Keys
DIRHASH_VISIBLE: Final = 1 << 63            # keys of directory entries
DIRHASH_LOMASK: Final = 0x7FFF              # where names of one hash differ
SROOT_KEY: Final = 0
ROOT_INUM: Final = 1                        # of each PFS

XXHASH64_SEED: Final = 0x4D617474446C6C6E

# Volume header
VOLUME_ID_HBO: Final = 0x48414D3205172011
VOLUME_ID_ABO: Final = 0x11201705324D4148   # of a machine with the other byte order
VOL_VERSION_MIN: Final = 1
VOL_VERSION_MULTI_VOLUMES: Final = 2
VOL_ICRC_SECT0: Final = 7
VOL_ICRC_SECT1: Final = 6
VOL_ICRC_BYTES: Final = 512
VOL_ICRC_SECT0_BYTES: Final = 508
VOL_ICRC_VOLHDR_AT: Final = 0xFFFC
UNUSED_LOFF: Final = 0xFFFFFFFFFFFFFFFF


@enum(u8)
class BrefType:
    """What a blockref leads to (HAMMER2_BREF_TYPE_)."""
    EMPTY = 0
    INODE = 1
    INDIRECT = 2
    DATA = 3
    DIRENT = 4
    FREEMAP_NODE = 5
    FREEMAP_LEAF = 6
    INVALID = 7
    FREEMAP = 254       # in memory only
    VOLUME = 255        # in memory only


@enum(u8)
class Check:
    """How the stored bytes are checked (HAMMER2_CHECK_)."""
    NONE = 0
    DISABLED = 1
    ISCSI32 = 2
    XXHASH64 = 3
    SHA192 = 4
    FREEMAP = 5


@enum(u8)
class Comp:
    """How a block of a file is compressed (HAMMER2_COMP_)."""
    NONE = 0
    AUTOZERO = 1
    LZ4 = 2
    ZLIB = 3


@enum(u8)
class ObjType:
    """What an inode is (HAMMER2_OBJTYPE_)."""
    UNKNOWN = 0
    DIRECTORY = 1
    REGFILE = 2
    FIFO = 4
    CDEV = 5
    BDEV = 6
    SOFTLINK = 7
    SOCKET = 9
    WHITEOUT = 10


# Inode.op_flags
OPFLAG_DIRECTDATA: Final = 0x01
OPFLAG_PFSROOT: Final = 0x02
OPFLAG_COPYIDS: Final = 0x04

# Inode.pfs_type
PFSTYPE_MASTER: Final = 6
PFSTYPE_SUPROOT: Final = 8

# Inode.pfs_subtype
PFSSUBTYPE_SNAPSHOT: Final = 1


@bits(u8)
class Methods:
    """Of a blockref: what the stored bytes are."""
    comp: Bits[3, 0]            # Comp
    check: Bits[7, 4]           # Check


@struct
class Uuid:
    """Its first three groups little-endian, the rest in the order of the text."""
    bytes: Array[u8, 16]


@struct
class Blockref:
    """0x80 bytes: the way to a block."""
    type: BrefType              # 0x00
    methods: Methods            # 0x01
    copyid: u8                  # 0x02
    keybits: u8                 # 0x03 it covers keys [key, key + 2**keybits - 1]
    vradix: u8                  # 0x04
    flags: u8                   # 0x05
    leaf_count: le16            # 0x06
    key: le64                   # 0x08
    mirror_tid: le64            # 0x10
    modify_tid: le64            # 0x18
    data_off: le64              # 0x20 media address; size 1 << radix, 0 if the radix is
    update_tid: le64            # 0x28
    embed: Array[u8, 16]        # 0x30 DirentHead, or statistics
    check: Array[u8, 64]        # 0x40 check code, or the name of an entry


@struct
class DirentHead:
    """Blockref.embed of a directory entry."""
    inum: le64
    namlen: le16
    type: ObjType
    unused: Array[u8, 5]


CHECK_NAME_BYTES: Final = 64    # of a name in Blockref.check; longer ones have a block


@struct
class Inode:
    """0x400 bytes."""
    version: le16               # 0x000
    reserved02: u8
    pfs_subtype: u8             # 0x003
    uflags: le32                # 0x004
    rmajor: le32                # 0x008
    rminor: le32                # 0x00C
    ctime: le64                 # 0x010 microseconds since 1970, like the others
    mtime: le64                 # 0x018
    atime: le64                 # 0x020
    btime: le64                 # 0x028
    uid: Uuid                   # 0x030 the Unix id is in the last four bytes
    gid: Uuid                   # 0x040
    type: ObjType               # 0x050
    op_flags: u8                # 0x051
    cap_flags: le16             # 0x052
    mode: le32                  # 0x054 permissions only
    inum: le64                  # 0x058
    size: le64                  # 0x060
    nlinks: le64                # 0x068
    iparent: le64               # 0x070
    name_key: le64              # 0x078
    name_len: le16              # 0x080
    ncopies: u8                 # 0x082
    comp_algo: u8               # 0x083
    target_type: u8             # 0x084
    check_algo: u8              # 0x085
    pfs_nmasters: u8            # 0x086
    pfs_type: u8                # 0x087
    pfs_inum: le64              # 0x088
    pfs_clid: Uuid              # 0x090
    pfs_fsid: Uuid              # 0x0A0
    data_quota: le64            # 0x0B0
    data_count: le64            # 0x0B8
    inode_quota: le64           # 0x0C0
    inode_count: le64           # 0x0C8
    pfs_lsnap_tid: le64         # 0x0D0
    reservedd8: le64            # 0x0D8
    decrypt_check: le64         # 0x0E0
    reservede8: Array[u8, 24]   # 0x0E8
    filename: Array[u8, INODE_MAXNAME]      # 0x100 of PFS roots: the label
    data: Array[u8, EMBEDDED_BYTES]         # 0x200 with DIRECTDATA the file, else its blockset


INODE_VERSION_ONE: Final = 1
UUID_UNIX_ID: Final = 12        # where in a Uuid


@struct
class VolumeData:
    """The first 0x1000 bytes of the volume header, which has PBUFSIZE."""
    magic: le64                 # 0x000
    boot_beg: le64              # 0x008
    boot_end: le64              # 0x010
    aux_beg: le64               # 0x018
    aux_end: le64               # 0x020
    volu_size: le64             # 0x028 of this volume
    version: le32               # 0x030
    flags: le32                 # 0x034
    copyid: u8                  # 0x038
    freemap_version: u8         # 0x039
    peer_type: u8               # 0x03A
    volu_id: u8                 # 0x03B
    nvolumes: u8                # 0x03C
    reserved3d: Array[u8, 3]
    fsid: Uuid                  # 0x040
    fstype: Uuid                # 0x050
    allocator_size: le64        # 0x060
    allocator_free: le64        # 0x068
    allocator_beg: le64         # 0x070
    mirror_tid: le64            # 0x078 the newest header has the greatest
    reserved80: Array[u8, 16]
    freemap_tid: le64           # 0x090
    bulkfree_tid: le64          # 0x098
    reserveda0: Array[u8, 32]
    total_size: le64            # 0x0C0
    copyexists: Array[u8, 32]   # 0x0C8
    reservede8: Array[u8, 248]
    icrc_sects: Array[le32, 8]  # 0x1E0
    sroot_blockset: Array[u8, 512]          # 0x200
    sector2: Array[u8, 1024]
    freemap_blockset: Array[u8, 512]        # 0x800
    sector5: Array[u8, 1024]
    volu_loff: Array[le64, MAX_VOLUMES]     # 0xE00


# As they are on the medium; groups of the text 5cbb9ad1-862d-11dc-a94d-01301bb8a9f5.
FSTYPE: Final[Array[u8, 16]] = [0xD1, 0x9A, 0xBB, 0x5C, 0x2D, 0x86, 0xDC, 0x11,
                                0xA9, 0x4D, 0x01, 0x30, 0x1B, 0xB8, 0xA9, 0xF5]

static_assert(sizeof(Blockref) == BLOCKREF_BYTES, "a blockref has 128 bytes")
static_assert(sizeof(DirentHead) == 16, "the head of an entry fills Blockref.embed")
static_assert(sizeof(Inode) == INODE_BYTES, "an inode has 1024 bytes")
static_assert(sizeof(VolumeData) == 0x1000, "the part of the volume header that is used")
