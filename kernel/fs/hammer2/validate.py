# SPDX-License-Identifier: BSD-3-Clause
"""What comes from a medium is checked here, once, before anything else looks at it.

Each function says whether all is well; who calls it makes EIO (or EINVAL at mount) of the answer.

What trees may hold makes them end, whatever a medium says: an indirect block covers fewer bits of
the key than what it hangs in, so a way down has at most 64 of them; all keys in a block lie in the
range for which its blockref stands, so a block cannot hang below itself and hold anything; and an
inode below an inode is found in the super-root and in the roots of PFSes only.

Invariants
  V1  validate is pure: no locks, no I/O, no memory but what it is shown.
  V2  Of an array that blockset() accepts: the refs that are not EMPTY have ascending ranges that
      do not overlap, inside the range asked for; their blocks lie inside the volumes, in one
      physical buffer.
Tests     tests/unit/fs/hammer2/test_validate.py
"""
from typing import Final

from kpy import Ptr, Slice, enum, u8, u32, u64

from kernel.fs.hammer2 import ondisk
from kernel.fs.hammer2.dirhash import dirhash
from kernel.fs.hammer2.ondisk import (
    ALLOC_MAX_RADIX,
    ALLOC_MIN_RADIX,
    BLOCKREF_BYTES,
    CHECK_NAME_BYTES,
    DIRHASH_LOMASK,
    DIRHASH_VISIBLE,
    INODE_MAXNAME,
    OFF_MASK_RADIX,
    PBUFRADIX,
    PBUFSIZE,
    Blockref,
    BrefType,
    DirentHead,
    Inode,
    ObjType,
    VolumeData,
)
from kernel.lib.crc32c import crc32c
from kernel.lib.littleendian import get32
from kernel.lib.views import view

MAX_NAME: Final = 255
MAX_SIZE: Final = (1 << 63) - 1
FULL: Final = 64                # keybits of a whole tree
INODE_RADIX: Final = 10
NAME_RADIX: Final = 10          # of the block of a long name


@enum(u32)
class Tree:
    """What a tree of blocks holds."""
    NOTHING = 0         # devices, fifos, files inside their inode
    VOLUME = 1          # the super-root inode
    SUPROOT = 2         # the roots of PFSes
    PFSROOT = 3         # all inodes of the PFS, and the entries of its root directory
    DIRECTORY = 4
    FILE = 5


# --- Blocks --------------------------------------------------------------------------------


def bytes_of_ref(data_off: u64) -> u64:
    """The size of a block by its media address."""
    radix = data_off & OFF_MASK_RADIX
    return 0 if radix == 0 else u64(1) << radix


def media(data_off: u64, total_size: u64) -> bool:
    """Whether a block with data lies inside the volumes, and in one physical buffer."""
    radix = data_off & OFF_MASK_RADIX
    offset = data_off & ~OFF_MASK_RADIX
    if radix < ALLOC_MIN_RADIX or radix > ALLOC_MAX_RADIX:
        return False
    size = u64(1) << radix
    return (offset < total_size and size <= total_size - offset
            and (offset & (PBUFSIZE - 1)) + size <= PBUFSIZE
            and offset & (ondisk.ALLOC_MIN - 1) == 0)


def blockset(array: Slice[u8], tree: Tree, key: u64, keybits: u32, total_size: u64) -> bool:
    """V2, for the array of blockrefs that stands for `keybits` bits of keys from `key` on."""
    if len(array) % BLOCKREF_BYTES != 0:
        return False
    last = u64.MAX if keybits >= FULL else key + ((u64(1) << keybits) - 1)
    free = key                  # the least key that may come
    full = False                # there is none any more
    at: u64 = 0
    while at < len(array):
        bref = view(Blockref, array, at)
        at += BLOCKREF_BYTES
        if bref.type == BrefType.EMPTY:
            continue
        first = u64(bref.key)
        if full or first < free or first > last or not _blockref(bref, tree, keybits, total_size):
            return False
        span = (u64(1) << bref.keybits) - 1
        if first & span != 0 or span > last - first:
            return False
        full = first + span == u64.MAX
        if not full:
            free = first + span + 1
    return True


def _blockref(bref: Ptr[Blockref], tree: Tree, keybits: u32, total_size: u64) -> bool:
    """Whether the ref may stand in such a tree, but for its key's place among the others."""
    data_off = u64(bref.data_off)
    match bref.type:
        case BrefType.INDIRECT:
            return (tree != Tree.VOLUME and tree != Tree.NOTHING and bref.keybits != 0
                    and bref.keybits < keybits and media(data_off, total_size))
        case BrefType.INODE:
            return (_holds_inode(bref, tree) and bref.keybits == 0
                    and data_off & OFF_MASK_RADIX == INODE_RADIX and media(data_off, total_size))
        case BrefType.DIRENT:
            return ((tree == Tree.DIRECTORY or tree == Tree.PFSROOT) and bref.keybits == 0
                    and u64(bref.key) >= DIRHASH_VISIBLE and _dirent(bref, total_size))
        case BrefType.DATA:
            return (tree == Tree.FILE and bref.keybits == PBUFRADIX
                    and (bytes_of_ref(data_off) == 0 or media(data_off, total_size)))
        case _:
            return False


def _holds_inode(bref: Ptr[Blockref], tree: Tree) -> bool:
    match tree:
        case Tree.VOLUME:
            return u64(bref.key) == ondisk.SROOT_KEY
        case Tree.SUPROOT:
            return True
        case Tree.PFSROOT:
            return u64(bref.key) < DIRHASH_VISIBLE
        case _:
            return False


def _dirent(bref: Ptr[Blockref], total_size: u64) -> bool:
    """A name of up to 64 bytes is in the ref, one of up to 255 in a block."""
    head = view(DirentHead, bref.embed, 0)
    size = u64(head.namlen)
    if size == 0 or size > MAX_NAME or not _known(head.type):
        return False
    if size <= CHECK_NAME_BYTES:
        return bytes_of_ref(u64(bref.data_off)) == 0
    return (u64(bref.data_off) & OFF_MASK_RADIX == NAME_RADIX
            and media(u64(bref.data_off), total_size))


# --- Names ---------------------------------------------------------------------------------


def name(text: Slice[u8], key: u64) -> bool:
    """Whether an entry with this name may be, and may have that key."""
    if len(text) == 0 or len(text) > MAX_NAME:
        return False
    for c in text:
        if c == 0 or c == 47:
            return False
    return dirhash(text) & ~DIRHASH_LOMASK == key & ~DIRHASH_LOMASK


# --- Inodes --------------------------------------------------------------------------------


def tree_of(inode: Ptr[Inode]) -> Tree:
    """What the tree below an inode that inode() accepted holds."""
    if inode.op_flags & ondisk.OPFLAG_DIRECTDATA != 0:
        return Tree.NOTHING
    if inode.pfs_type == ondisk.PFSTYPE_SUPROOT:
        return Tree.SUPROOT
    if inode.op_flags & ondisk.OPFLAG_PFSROOT != 0:
        return Tree.PFSROOT
    if inode.type == ObjType.DIRECTORY:
        return Tree.DIRECTORY
    if inode.type == ObjType.REGFILE or inode.type == ObjType.SOFTLINK:
        return Tree.FILE
    return Tree.NOTHING


def inode(ip: Ptr[Inode], tree: Tree, key: u64, total_size: u64) -> bool:
    """Whether this may be the inode that a ref with `key` in such a tree leads to."""
    directory = ip.type == ObjType.DIRECTORY
    if u64(ip.version) != ondisk.INODE_VERSION_ONE or u64(ip.name_len) > INODE_MAXNAME \
            or not _known(ip.type) or u64(ip.size) > MAX_SIZE or u64(ip.nlinks) == 0:
        return False
    is_super = ip.pfs_type == ondisk.PFSTYPE_SUPROOT
    is_root = ip.op_flags & ondisk.OPFLAG_PFSROOT != 0
    match tree:
        case Tree.VOLUME:
            if not is_super or not directory or u64(ip.inum) != 0:
                return False
        case Tree.SUPROOT:
            if is_super or not is_root or not directory or u64(ip.inum) != ondisk.ROOT_INUM \
                    or not label(ip, key):
                return False
        case _:
            if is_super or is_root or u64(ip.inum) != key:
                return False
    if ip.op_flags & ondisk.OPFLAG_DIRECTDATA != 0:
        return (ip.type == ObjType.REGFILE or ip.type == ObjType.SOFTLINK) \
            and u64(ip.size) <= ondisk.EMBEDDED_BYTES
    return tree_of(ip) == Tree.NOTHING or blockset(ip.data, tree_of(ip), 0, FULL, total_size)


def label(ip: Ptr[Inode], key: u64) -> bool:
    """Whether the root of a PFS has a name, and a key that its name may have."""
    return name(ip.filename[:min(u64(ip.name_len), INODE_MAXNAME)], key)


def _known(kind: ObjType) -> bool:
    match kind:
        case (ObjType.DIRECTORY | ObjType.REGFILE | ObjType.FIFO | ObjType.CDEV | ObjType.BDEV
              | ObjType.SOFTLINK | ObjType.SOCKET | ObjType.WHITEOUT):
            return True
        case _:
            return False


# --- Volume headers ------------------------------------------------------------------------


def volume_header(block: Slice[u8]) -> bool:
    """Whether PBUFSIZE bytes are a volume header that was written completely."""
    head = view(VolumeData, block, 0)
    sects = head.icrc_sects[:]
    return (u64(head.magic) == ondisk.VOLUME_ID_HBO
            and u32(sects[ondisk.VOL_ICRC_SECT1]) == crc32c(
                block[ondisk.VOL_ICRC_BYTES:2 * ondisk.VOL_ICRC_BYTES])
            and u32(sects[ondisk.VOL_ICRC_SECT0]) == crc32c(block[:ondisk.VOL_ICRC_SECT0_BYTES])
            and get32(block, ondisk.VOL_ICRC_VOLHDR_AT) == crc32c(
                block[:ondisk.VOL_ICRC_VOLHDR_AT]))


def volume(head: Ptr[VolumeData], size: u64) -> bool:
    """Whether such a header makes sense on a device of `size` bytes, for itself."""
    version = u32(head.version)
    if version < ondisk.VOL_VERSION_MIN or version > ondisk.VOL_VERSION_MULTI_VOLUMES:
        return False
    if head.fstype.bytes[:] != ondisk.FSTYPE[:]:
        return False
    if u64(head.volu_size) == 0 or u64(head.volu_size) > size \
            or u64(head.volu_size) % ondisk.VOLUME_ALIGN != 0:
        return False
    if version < ondisk.VOL_VERSION_MULTI_VOLUMES:
        if head.nvolumes != 0 or head.volu_id != 0 or u64(head.total_size) != 0:
            return False
        for i in range(ondisk.MAX_VOLUMES):
            if u64(head.volu_loff[i]) != 0:
                return False
        return True
    return _set(head)


def _set(head: Ptr[VolumeData]) -> bool:
    """The numbers of a set of volumes, as version 2 has them."""
    count = head.nvolumes
    if count == 0 or count > ondisk.MAX_VOLUMES or head.volu_id >= count:
        return False
    total = u64(head.total_size)
    before: u64 = 0
    for i in range(ondisk.MAX_VOLUMES):
        offset = u64(head.volu_loff[i])
        if i >= count:
            if offset != ondisk.UNUSED_LOFF:
                return False
        elif offset >= total or offset % ondisk.VOLUME_OFFSET_ALIGN != 0 \
                or (offset != 0 if i == 0 else offset <= before):
            return False
        else:
            before = offset
    return total % ondisk.VOLUME_ALIGN == 0 and total <= MAX_SIZE \
        and u64(head.volu_size) == _part(head, head.volu_id, count, total)


def _part(head: Ptr[VolumeData], number: u8, count: u8, total: u64) -> u64:
    """The bytes from where a volume begins to where the next one does."""
    end = total if number == count - 1 else u64(head.volu_loff[number + 1])
    return end - u64(head.volu_loff[number])


def same_set(head: Ptr[VolumeData], root: Ptr[VolumeData]) -> bool:
    """Whether two volumes, each valid, belong together."""
    if head.fsid.bytes[:] != root.fsid.bytes[:] or u32(head.version) != u32(root.version) \
            or head.nvolumes != root.nvolumes or u64(head.total_size) != u64(root.total_size):
        return False
    for i in range(ondisk.MAX_VOLUMES):
        if u64(head.volu_loff[i]) != u64(root.volu_loff[i]):
            return False
    return True
