# SPDX-License-Identifier: BSD-3-Clause
"""Makes a HAMMER2 volume of a host folder, as newfs_hammer2 and a copy would.

    4 MiB   reserved: volume header, freemap         the header again at 2, 4, 6 GiB
            boot area, auxiliary area                both unused
            super-root inode, roots of the PFSes     as newfs puts them, below allocator_beg
            segments: data, inodes, indirect blocks, long names

There are a PFS LOCAL, empty, one with the folder, and any number of snapshots of that: other roots
with the same blockrefs.  Data come first, then inodes, each tree from below: a blockref has the
check code of a block that is final.

Invariants
  W1  The same folder, options and time stamp make the same bytes.  There is no clock and no
      chance: identifiers are derived from the content.
  W2  freemap_tid equals mirror_tid: nobody has to recover anything.
Limits  One volume; hard links to directories, extended attributes and flags are not known.
Tests   tests/toolchain/test_image_writer.py, tests/qemu/test_image.py
Source  DragonFly sbin/newfs_hammer2/mkfs_hammer2.c (layout)
"""
from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toolchain.image.hammer2 import blocks, codes, ondisk, source
from toolchain.image.hammer2.freemap import Freemap
from toolchain.image.hammer2.ondisk import (
    ALLOC_MIN,
    AUX_BYTES,
    AUX_MIN_BYTES,
    BOOT_BYTES,
    BOOT_MIN_BYTES,
    CHECK_NAME_BYTES,
    CHECK_XXHASH64,
    COMP_AUTOZERO,
    COMP_LZ4,
    DATA,
    DIRENT,
    DIRENT_HEAD,
    DIRHASH_LOMASK,
    EMBEDDED_BYTES,
    GIB,
    INDIRECT,
    INODE,
    INODE_BYTES,
    NUM_VOLHDRS,
    PBUFRADIX,
    PBUFSIZE,
    RESERVED_BYTES,
    VOLUME_ALIGN,
    ZONE_BYTES,
    Blockref,
    ImageError,
    Inode,
    VolumeData,
)
from toolchain.image.hammer2.radix import Tree, count, packed
from toolchain.image.hammer2.source import Node
from toolchain.image.output import Output

LOCAL = b"LOCAL"
TID = 16                        # of all blocks: newfs commits with it
MODIFY_TID = 1                  # below pfs_lsnap_tid nothing is overwritten in place
METHODS = CHECK_XXHASH64 << 4   # of all but file data
HELD_BACK = 20                  # this part of the room is kept from ordinary writes: 5 %
MAX_SNAPSHOTS = PBUFSIZE // INODE_BYTES - 3
MIN_SIZE = 32 << 20             # reserved, boot and aux areas, roots, and 8 MiB for files
MAX_SIZE = 1 << 50
DATA_TYPES = {ondisk.REGFILE, ondisk.SOFTLINK}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """What the volume is to be.

    size       bytes; None: as small as it may be, with 5 % of the room free
    timestamp  seconds since 1970; no time in the volume is later; None: the newest of the folder
    owner      (uid, gid) of everything; None: as on the host
    """
    label: str = "ROOT"
    snapshots: tuple[str, ...] = ()
    size: int | None = None
    timestamp: int | None = None
    owner: tuple[int, int] | None = None


@dataclass(frozen=True)
class Result:
    """What was made."""
    size: int
    allocated: int
    inodes: int
    fsid: bytes


def build(folder: Path, output: Output, options: Options = Options(),
          progress: Progress | None = None) -> Result:
    """Write a volume of `folder`; ImageError if it cannot be."""
    _validate(options)
    nodes = source.scan(folder)
    return _Writer(nodes, output, options, progress or (lambda done, total: None)).run()


def _validate(options: Options) -> None:
    labels = [LOCAL.decode(), options.label, *options.snapshots]
    for label in labels:
        text = label.encode()
        if not 0 < len(text) <= ondisk.MAX_NAME or set(text) & set(b"/@:\0"):
            raise ImageError(f"`{label}` cannot be a label: 1 to 255 bytes without / @ :")
    if len(set(labels)) != len(labels):
        raise ImageError(f"labels must differ, and {LOCAL.decode()} is always there: "
                         f"{', '.join(labels[1:])}")
    if len(options.snapshots) > MAX_SNAPSHOTS:
        raise ImageError(f"at most {MAX_SNAPSHOTS} snapshots can be made")
    if options.size is not None and not MIN_SIZE <= options.size <= MAX_SIZE:
        raise ImageError(f"a volume has {MIN_SIZE >> 20} MiB to 1 PiB, not {options.size} bytes")
    if options.timestamp is not None and options.timestamp < 0:
        raise ImageError("the time stamp is seconds since 1970")


def _half_of(wanted: int, least: int, size: int) -> int:
    """The size of the boot or auxiliary area: halved until it is at most a twentieth."""
    while wanted > least and wanted > size // 20:
        wanted //= 2
    return wanted


class _Writer:
    def __init__(self, nodes: list[Node], output: Output, options: Options,
                 progress: Progress) -> None:
        self.nodes, self.output, self.options, self.progress = nodes, output, options, progress
        newest = max(node.mtime_us for node in nodes)
        self.now = newest if options.timestamp is None else options.timestamp * 1_000_000
        self.size = None if options.size is None else options.size // VOLUME_ALIGN * VOLUME_ALIGN
        boot, aux = BOOT_MIN_BYTES, AUX_MIN_BYTES
        if self.size is not None:
            boot = _half_of(BOOT_BYTES, BOOT_MIN_BYTES, self.size)
            aux = _half_of(AUX_BYTES, AUX_MIN_BYTES, self.size)
        self.boot_end = RESERVED_BYTES + boot
        self.aux_end = self.boot_end + aux
        self.roots = 2 + len(options.snapshots)
        self.begin = self.aux_end + INODE_BYTES * (1 + self.roots)
        self.freemap = Freemap(self.begin, self.size)
        self.trees = {node.inum: Tree(directory=True) for node in nodes
                      if node.type == ondisk.DIRECTORY}
        self.next_inum = max(ondisk.FIRST_INUM, nodes[-1].inum + 1)

    def run(self) -> Result:
        for node in self.nodes:
            self._entries(node)
        for node, ref in self._inode_refs():
            self.trees[ondisk.ROOT_INUM].insert(ref)
            self._count(node)
        top = self.trees[ondisk.ROOT_INUM].finish(self._store_indirect)
        super_root, seed = self._super_root(top)
        size = self._final_size()
        self._freemap_and_header(super_root, seed, size)
        self.output.resize(size)
        return Result(size, self.freemap.allocated, len(self.nodes),
                      codes.derived_uuid(seed, "volume"))

    # --- Directory entries -----------------------------------------------------------------

    def _entries(self, node: Node) -> None:
        """The refs of all names of a directory."""
        used: dict[int, int] = {}
        for name, target in node.entries:
            self.trees[node.inum].insert(self._entry(name, target, used))

    def _entry(self, name: bytes, target: Node, used: dict[int, int]) -> Blockref:
        least = codes.dirhash(name)
        number = used.get(least, 0)
        if number > DIRHASH_LOMASK:
            raise ImageError(f"too many names with the hash of `{name.decode(errors='replace')}`")
        used[least] = number + 1
        # The first name gets the odd key, as kernels that write do.
        ref = self._ref(DIRENT, least + (number ^ 1))
        ref.embed = DIRENT_HEAD.pack(target.inum, len(name), target.type)
        if len(name) <= CHECK_NAME_BYTES:
            ref.check = name.ljust(CHECK_NAME_BYTES, b"\0")
        else:
            self._put(ref, DIRENT, name.ljust(ALLOC_MIN, b"\0"))
        return ref

    # --- Files and inodes ------------------------------------------------------------------

    def _inode_refs(self) -> Iterator[tuple[Node, Blockref]]:
        """The inodes of all nodes but the root, stored, by ascending number."""
        self.done, self.total = 0, sum(map(_bytes_of, self.nodes))
        tree: Tree | None = None
        for (node, key, content), block in blocks.in_order(self._raw(self.nodes[1:])):
            if key is not None:
                tree = tree or Tree(directory=False)
                self._data(tree, key, block)
                continue
            if node.inum in self.trees:
                tree = self.trees[node.inum]
            top = tree.finish(self._store_indirect) if tree else []
            tree = None
            yield node, self._inode(node, content, top)

    @staticmethod
    def _raw(nodes: Iterable[Node]) -> Iterator[
            tuple[tuple[Node, int | None, bytes | None], bytes | None]]:
        """The blocks of each node, then None for its end, with what lies in the inode itself."""
        for node in nodes:
            content = source.small_content(node) if node.type in DATA_TYPES else None
            if node.type in DATA_TYPES and content is None:
                for key, data in source.raw_blocks(node):
                    yield (node, key, None), data
            yield (node, None, content), None

    def _data(self, tree: Tree, key: int, block: blocks.Stored | None) -> None:
        if block is None:
            return
        ref = self._ref(DATA, key)
        ref.keybits, ref.methods = PBUFRADIX, block.methods
        ref.data_off = self.freemap.allocate(DATA, block.size)
        ref.check = block.check.ljust(64, b"\0")
        self.output.put(ref.offset, block.data)
        tree.insert(ref)

    def _inode(self, node: Node, content: bytes | None, top: list[Blockref]) -> Blockref:
        inode = self._meta(node)
        if node.type in DATA_TYPES:
            inode.size = source.size_of(node)
        if content is not None:
            inode.op_flags, inode.data = ondisk.OPFLAG_DIRECTDATA, content
        else:
            inode.data = packed(top, EMBEDDED_BYTES)
        inode.filename = b"0x%016x" % node.inum
        inode.name_key, inode.name_len = node.inum, len(inode.filename)
        ref = self._ref(INODE, node.inum)
        count(ref, top)
        self._put(ref, INODE, inode.pack())
        return ref

    def _meta(self, node: Node) -> Inode:
        """What all inodes of the folder have."""
        host = node.host
        uid, gid = self.options.owner or (host.st_uid, host.st_gid)
        mtime = min(node.mtime_us, self.now)
        inode = Inode(type=node.type, inum=node.inum, iparent=node.parent, ctime=mtime,
                      mtime=mtime, btime=mtime, uid=_unix_id(uid), gid=_unix_id(gid),
                      mode=host.st_mode & 0o7777, comp_algo=COMP_LZ4, check_algo=CHECK_XXHASH64)
        if node.type != ondisk.DIRECTORY:
            inode.nlinks = node.names
        if node.type in {ondisk.CDEV, ondisk.BDEV}:
            inode.rmajor, inode.rminor = os.major(host.st_rdev), os.minor(host.st_rdev)
        return inode

    def _count(self, node: Node) -> None:
        self.done += _bytes_of(node)
        self.progress(self.done, self.total)

    # --- PFSes -----------------------------------------------------------------------------

    def _super_root(self, top: list[Blockref]) -> tuple[Blockref, bytes]:
        """The super-root's ref, after it and the roots of all PFSes are stored; the seed."""
        options = self.options
        names = [options.label, *options.snapshots]
        described = repr((names, self.now, options.size)).encode()
        seed = hashlib.sha256(packed(top, EMBEDDED_BYTES) + described).digest()
        root = self.nodes[0]
        made = [self._pfs(LOCAL, None, [], seed, [])]
        made.append(self._pfs(options.label.encode(), root, top, seed, made))
        for label in options.snapshots:
            made.append(self._pfs(label.encode(), root, top, seed, made, snapshot=True))
        tree = Tree(directory=True)
        for ref in made:
            tree.insert(ref)
        below = tree.finish(self._store_indirect)
        inode = Inode(type=ondisk.DIRECTORY, mode=0o700, nlinks=2, comp_algo=COMP_AUTOZERO,
                      check_algo=CHECK_XXHASH64, pfs_type=ondisk.PFSTYPE_SUPROOT,
                      filename=b"SUPROOT", name_len=len(b"SUPROOT"), ctime=self.now,
                      mtime=self.now, btime=self.now, data=packed(below, EMBEDDED_BYTES))
        inode.pfs_clid = codes.derived_uuid(seed, "clid of the super-root")
        inode.pfs_fsid = codes.derived_uuid(seed, "fsid of the super-root")
        ref = self._ref(INODE, 0)
        ref.methods = METHODS | COMP_AUTOZERO
        count(ref, below)
        self._place(ref, self.aux_end, inode.pack())
        return ref, seed

    def _pfs(self, label: bytes, root: Node | None, top: list[Blockref], seed: bytes,
             before: list[Blockref], *, snapshot: bool = False) -> Blockref:
        """A PFS root behind those before it; without `root` the PFS is empty."""
        if root is None:
            inode = Inode(type=ondisk.DIRECTORY, mode=0o755, inum=ondisk.ROOT_INUM,
                          iparent=ondisk.ROOT_INUM, ctime=self.now, mtime=self.now,
                          btime=self.now, check_algo=CHECK_XXHASH64)
        else:
            inode = self._meta(root)
        least = codes.dirhash(label)
        taken = [ref.key for ref in before]
        key = next(one for one in range(least, least + DIRHASH_LOMASK + 1) if one not in taken)
        inode.op_flags, inode.pfs_type = ondisk.OPFLAG_PFSROOT, ondisk.PFSTYPE_MASTER
        inode.comp_algo = COMP_AUTOZERO if snapshot else COMP_LZ4
        inode.filename, inode.name_len, inode.name_key = label, len(label), key
        inode.pfs_inum = ondisk.FIRST_INUM if root is None else self.next_inum
        inode.pfs_clid = codes.derived_uuid(seed, f"clid of {label!r}")
        inode.pfs_fsid = codes.derived_uuid(seed, f"fsid of {label!r}")
        inode.data = packed(top, EMBEDDED_BYTES)
        if snapshot:
            inode.pfs_subtype = ondisk.PFSSUBTYPE_SNAPSHOT
        if root is not None and self.options.snapshots:
            inode.pfs_lsnap_tid = MODIFY_TID
        ref = self._ref(INODE, key)
        ref.methods, ref.flags = METHODS | COMP_AUTOZERO, ondisk.BREF_FLAG_PFSROOT
        count(ref, top)
        self._place(ref, self.aux_end + INODE_BYTES * (1 + len(before)), inode.pack())
        return ref

    # --- Blocks ----------------------------------------------------------------------------

    @staticmethod
    def _ref(kind: int, key: int) -> Blockref:
        return Blockref(type=kind, methods=METHODS, key=key, mirror_tid=TID,
                        modify_tid=MODIFY_TID)

    def _store_indirect(self, block: bytes) -> Blockref:
        ref = self._ref(INDIRECT, 0)
        self._put(ref, INDIRECT, block)
        return ref

    def _put(self, ref: Blockref, kind: int, block: bytes) -> None:
        """Store a block where there is room."""
        self._place(ref, self.freemap.allocate(kind, len(block)) & ~ondisk.OFF_MASK_RADIX, block)

    def _place(self, ref: Blockref, at: int, block: bytes) -> None:
        ref.data_off = at | len(block).bit_length() - 1
        ref.check = codes.xxhash64(block).ljust(64, b"\0")
        self.output.put(at, block)

    # --- The volume ------------------------------------------------------------------------

    def _final_size(self) -> int:
        """The size asked for, or the least with a twentieth of the room free."""
        if self.size is not None:
            return self.size
        size = max(MIN_SIZE, -(-self.freemap.end // VOLUME_ALIGN) * VOLUME_ALIGN)
        while self._room(size) - self.freemap.allocated < self._room(size) // HELD_BACK:
            size += VOLUME_ALIGN
        return size

    def _room(self, size: int) -> int:
        """allocator_size: what a volume of that size has for blocks when it is new."""
        return size - -(-size // GIB) * RESERVED_BYTES - (self.aux_end - RESERVED_BYTES)

    def _freemap_and_header(self, super_root: Blockref, seed: bytes, size: int) -> None:
        written, refs = self.freemap.blocks(size, TID)
        for at, block in written:
            self.output.put(at, block)
        room = self._room(size)
        header = VolumeData(
            boot_beg=RESERVED_BYTES, boot_end=self.boot_end, aux_beg=self.boot_end,
            aux_end=self.aux_end, volu_size=size, fsid=codes.derived_uuid(seed, "volume"),
            fstype=codes.uuid_bytes(ondisk.FSTYPE), allocator_size=room,
            allocator_free=room - self.freemap.allocated, allocator_beg=self.begin,
            mirror_tid=TID, freemap_tid=TID, total_size=size,
            sroot_blockset=packed([super_root], EMBEDDED_BYTES),
            freemap_blockset=packed(refs, EMBEDDED_BYTES))
        sealed = codes.seal_header(header.pack())
        for at in range(0, min(size, NUM_VOLHDRS * ZONE_BYTES), ZONE_BYTES):
            self.output.put(at, sealed)


def _bytes_of(node: Node) -> int:
    return node.host.st_size if node.type == ondisk.REGFILE else 0


def _unix_id(number: int) -> bytes:
    return bytes(12) + number.to_bytes(4, "little")
