# SPDX-License-Identifier: BSD-3-Clause
"""Everything that the format promises, held against an image, whoever made it.

    for finding in check(volumes): print(finding)

    headers     magic, the three CRCs of every copy; the areas, sizes and volumes that they give
    blocks      place and size; check code; what expands; no two blocks share a part of their bytes
    trees       kinds, order and containment of keys; indirect blocks cover less than their parents
    names       hash and key, length and bytes, none twice; each leads to an inode of its kind
    inodes      number, kind, size, links; none without a name; a directory has one name
    freemap     structure; every block that is used is marked; counts

An error is what would lose or confuse data; a note is what the format allows but should be known:
space that is marked and unused, statistics and hints that are off, a header copy of another state.

Invariants
  C1  check() ends for any image: an indirect block covers fewer keys than what it hangs in, and a
      directory is entered once.
  C2  A block is verified once, however many snapshots have it; the first path is named.
Tests   tests/toolchain/test_image_checker.py
Source  DragonFly sbin/fsck_hammer2 (what it verifies, which is less)
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from toolchain.image.hammer2 import codes, ondisk
from toolchain.image.hammer2.ondisk import (
    BLOCKREF_BYTES,
    CHECK_NAME_BYTES,
    DATA,
    DIRENT,
    DIRENT_HEAD,
    DIRHASH_LOMASK,
    DIRHASH_VISIBLE,
    EMPTY,
    FREEMAP_BYTES,
    FREEMAP_LEAF,
    FREEMAP_NODE,
    FREEMAP_RECORDS,
    FULL_KEYBITS,
    GIB,
    GRANULE_BYTES,
    GRANULE_RADIX,
    INDIRECT,
    INODE,
    INODE_BYTES,
    INVALID,
    LEAF_RADIX,
    NODE_RADIX,
    OBJECT_NAMES,
    PBUFRADIX,
    RESERVED_BYTES,
    ROOT_INUM,
    SEGMENT_BYTES,
    STATISTICS,
    TYPE_NAMES,
    Blockref,
    FreemapRecord,
    ImageError,
    Inode,
    unpack_refs,
)
from toolchain.image.hammer2.reader import Volumes

ERROR, NOTE = "error", "note"
MAX_SIZE = (1 << 63) - 1
ALLOCATED = 3
MAX_LEAF_COUNT = 65535
_TREES = {                      # what may hang in which kind of tree
    "volume": {INODE},
    "super-root": {INODE, INDIRECT},
    "PFS root": {INODE, DIRENT, INDIRECT},
    "directory": {DIRENT, INDIRECT},
    "file": {DATA, INDIRECT},
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing."""
    kind: str
    path: str                   # a file by label and path; else what of the volume it is about
    block: int | None           # media address
    text: str

    def __str__(self) -> str:
        block = "" if self.block is None else f"block {self.block:#x}: "
        return f"{self.kind}: {self.path}: {block}{self.text}"


@dataclass
class Statistics:
    """What is below a ref, as it should be counted."""
    data: int = 0
    inodes: int = 0
    leaves: int = 0


@dataclass
class Pfs:
    """What a walk through a PFS found."""
    label: str
    inodes: dict[int, Inode] = field(default_factory=dict)
    refs: dict[int, Blockref] = field(default_factory=dict)
    names: dict[int, list[str]] = field(default_factory=dict)
    trees: set[int] = field(default_factory=set)            # inodes whose trees were walked


def _address(ref: Blockref | None) -> int | None:
    """Where a ref leads, if that is to a block."""
    return ref.data_off or None if ref else None


def check(volumes: Volumes) -> list[Finding]:
    """All that is to be said of a file system; nothing for a perfect one."""
    return _Checker(volumes).run()


class _Checker:
    def __init__(self, volumes: Volumes) -> None:
        self.volumes, self.header = volumes, volumes.header
        self.findings: list[Finding] = []
        self.extents: dict[int, tuple[int, str]] = {}           # media address: type, path
        self.verified: set[tuple[int, int, bytes]] = set()      # C2
        self.bad: set[int] = set()

    def run(self) -> list[Finding]:
        self._headers()
        self._topology()
        self._overlaps()
        self._freemap()
        return self.findings

    def error(self, path: str, ref: Blockref | None, text: str) -> None:
        self.findings.append(Finding(ERROR, path, _address(ref), text))

    def note(self, path: str, ref: Blockref | None, text: str) -> None:
        self.findings.append(Finding(NOTE, path, _address(ref), text))

    # --- Headers ---------------------------------------------------------------------------

    def _headers(self) -> None:
        for volume in self.volumes.volumes:
            head = volume.head
            for copy in volume.copies:
                where = f"{volume.path.name}: volume header at {copy.offset:#x}"
                for text in copy.wrong:
                    self.error(where, None, text)
                if not copy.wrong and copy.header.mirror_tid != head.mirror_tid:
                    self.note(where, None, f"it is older: {copy.header.mirror_tid} instead of "
                                           f"{head.mirror_tid}")
            where = f"{volume.path.name}: volume header"
            if head.fstype != codes.uuid_bytes(ondisk.FSTYPE):
                self.error(where, None, "its fstype is not HAMMER2's")
            if head.volu_size > volume.size:
                self.error(where, None, f"the volume has {head.volu_size} bytes, the file "
                                        f"{volume.size}")
            if head.volu_size % ondisk.VOLUME_ALIGN or not head.volu_size:
                self.error(where, None, f"its size {head.volu_size} is not a multiple of 8 MiB")
        self._set()

    def _set(self) -> None:
        head, where = self.header, "volume header"
        areas = (RESERVED_BYTES, head.boot_beg, head.boot_end, head.aux_beg, head.aux_end,
                 self.volumes.total_size)
        if list(areas) != sorted(areas):
            self.error(where, None, "boot and auxiliary area do not follow each other inside "
                                    "the volume")
        if not head.aux_end <= head.allocator_beg <= self.volumes.total_size:
            self.error(where, None, f"allocator_beg {head.allocator_beg:#x} is not behind the "
                                    "auxiliary area")
        total = sum(volume.head.volu_size for volume in self.volumes.volumes)
        if total != self.volumes.total_size:
            self.error(where, None, f"the volumes have {total} bytes, the header says "
                                    f"{self.volumes.total_size}")
        offset = 0
        for at, volume in self.volumes.by_offset:
            if at != offset:
                self.error(where, None, f"{volume.path.name} is at {at:#x} instead of {offset:#x}")
            offset += volume.head.volu_size
        if head.freemap_tid < head.mirror_tid:
            self.note(where, None, "the freemap is older than the files: a writer has to recover")

    # --- Trees -----------------------------------------------------------------------------

    def _topology(self) -> None:
        refs = [ref for _, ref in self._walk(self.header.sroot_blockset, "volume", "volume",
                                             FULL_KEYBITS, 0, Statistics())]
        if [ref.key for ref in refs] != [0]:
            self.error("volume", None, "the header leads to no super-root")
            return
        inode = self._inode(refs[0], "super-root")
        if inode is None:
            return
        if inode.pfs_type != ondisk.PFSTYPE_SUPROOT or inode.type != ondisk.DIRECTORY:
            self.error("super-root", refs[0], "it is no super-root")
            return
        labels: set[bytes] = set()
        counted = Statistics()
        for path, ref in self._walk(inode.data, "super-root", "super-root", FULL_KEYBITS, 0,
                                    counted):
            root = self._inode(ref, f"{path} {ref.key:#x}")
            if root is not None:
                self._label(root, ref, labels)

    def _label(self, root: Inode, ref: Blockref, labels: set[bytes]) -> None:
        name = root.filename[:root.name_len]
        label = name.decode(errors="backslashreplace")
        self._name(name, ref, f"label {label}")
        if name in labels:
            self.error(label, ref, "there is another PFS with this label")
        labels.add(name)
        if not root.op_flags & ondisk.OPFLAG_PFSROOT or root.type != ondisk.DIRECTORY \
                or root.inum != ROOT_INUM:
            self.error(label, ref, "it is no root of a PFS")
        if not ref.flags & ondisk.BREF_FLAG_PFSROOT:
            self.note(label, ref, "its blockref is not marked as that of a PFS")
        self._pfs(Pfs(label), root, ref)

    def _pfs(self, pfs: Pfs, root: Inode, ref: Blockref) -> None:
        pfs.inodes[ROOT_INUM], pfs.refs[ROOT_INUM] = root, ref
        entries, counted = [], Statistics()
        for path, one in self._walk(root.data, "PFS root", pfs.label, FULL_KEYBITS, 0, counted):
            if one.type == DIRENT:
                entries.append(one)
                continue
            inode = self._inode(one, f"{path}: inode {one.key}")
            if inode is not None:
                pfs.refs[one.key] = one
                pfs.inodes[one.key] = inode
                self._inode_sound(inode, one, f"{path}: inode {one.key}")
        self._statistics(ref, counted, pfs.label)
        todo = [(f"{pfs.label}:", entries)]
        while todo:                                             # C1: _target() gives each once
            folder, entries = todo.pop()
            names: set[bytes] = set()
            for entry in entries:
                path, inum = self._entry(pfs, folder, entry, names)
                if inum is not None and inum not in pfs.trees:
                    pfs.trees.add(inum)
                    below = self._contents(pfs, inum, path)
                    if below:
                        todo.append((path, below))
        self._links(pfs)

    def _contents(self, pfs: Pfs, inum: int, path: str) -> list[Blockref]:
        """Walk the tree of an inode; the entries, if it is a directory."""
        inode, ref = pfs.inodes[inum], pfs.refs[inum]
        if inode.op_flags & ondisk.OPFLAG_DIRECTDATA:
            if inode.size > ondisk.EMBEDDED_BYTES:
                self.error(path, ref, f"{inode.size} bytes cannot be inside the inode")
            return []
        kind = {ondisk.DIRECTORY: "directory", ondisk.REGFILE: "file",
                ondisk.SOFTLINK: "file"}.get(inode.type)
        if kind is None:
            return []
        counted = Statistics()
        below = list(self._walk(inode.data, kind, path, FULL_KEYBITS, 0, counted))
        self._statistics(ref, counted, path)
        if kind == "file":
            for _, one in below:
                self._data(one, inode, path)
            return []
        return [one for _, one in below]

    def _walk(self, array: bytes, kind: str, path: str, keybits: int, key: int,
              counted: Statistics) -> Iterator[tuple[str, Blockref]]:
        """The leaves of a tree, verified; its parts that are damaged are left out."""
        free = key
        for ref in unpack_refs(array):
            if ref.type == EMPTY:
                if any(ref.pack()):
                    self.error(path, None, f"an empty blockref has key {ref.key:#x} and more")
                continue
            span = 1 << min(ref.keybits, FULL_KEYBITS)
            if ref.type not in _TREES[kind]:
                name = TYPE_NAMES[ref.type] if ref.type <= INVALID else f"type {ref.type}"
                self.error(path, ref, f"{name} in a tree of a {kind}")
                continue
            if ref.key % span or ref.keybits > FULL_KEYBITS:
                self.error(path, ref, f"key {ref.key:#x} is not aligned to {ref.keybits} bits")
                continue
            if ref.key >> keybits != key >> keybits:
                self.error(path, ref, f"key {ref.key:#x} is outside of its parent's range, "
                                      f"{keybits} bits from {key:#x}")
                continue
            if ref.key < free:
                self.error(path, ref, f"key {ref.key:#x} is out of order or overlaps the one "
                                      "before it")
                continue
            free = ref.key + span
            if ref.type == INDIRECT:
                yield from self._indirect(ref, kind, path, keybits, counted)
                continue
            if self._leaf_keys(ref, kind, path):
                self._count(ref, counted)
                yield path, ref

    def _indirect(self, ref: Blockref, kind: str, path: str, keybits: int,
                  counted: Statistics) -> Iterator[tuple[str, Blockref]]:
        if not 0 < ref.keybits < keybits:
            self.error(path, ref, f"an indirect block of {ref.keybits} bits below {keybits}")
            return
        data = self._verified(ref, path)
        if data is None:
            return
        below = Statistics()
        yield from self._walk(data, kind, path, ref.keybits, ref.key, below)
        self._statistics(ref, below, path)
        counted.data += ref.size + below.data
        counted.inodes += below.inodes
        counted.leaves += below.leaves

    def _leaf_keys(self, ref: Blockref, kind: str, path: str) -> bool:
        """Whether a leaf covers what its kind does."""
        bits = PBUFRADIX if ref.type == DATA else 0
        if ref.keybits != bits:
            self.error(path, ref, f"{TYPE_NAMES[ref.type]} with {ref.keybits} bits of keys "
                                  f"instead of {bits}")
            return False
        if kind in {"PFS root", "directory"} \
                and (ref.key >= DIRHASH_VISIBLE) != (ref.type == DIRENT):
            self.error(path, ref, f"{TYPE_NAMES[ref.type]} with key {ref.key:#x}")
            return False
        return True

    @staticmethod
    def _count(ref: Blockref, counted: Statistics) -> None:
        counted.data += ref.size
        counted.leaves += 1
        if ref.type == INODE:
            data, inodes = STATISTICS.unpack(ref.embed)
            counted.data += data
            counted.inodes += inodes + 1

    def _statistics(self, ref: Blockref, counted: Statistics, path: str) -> None:
        """Snapshots have no leaf count, which is not worth a note."""
        found = STATISTICS.unpack(ref.embed)
        if found != (counted.data, counted.inodes):
            self.note(path, ref, f"its statistics say {found[0]} bytes and {found[1]} inodes, "
                                 f"below it are {counted.data} and {counted.inodes}")
        if ref.leaf_count not in {0, min(counted.leaves, MAX_LEAF_COUNT)}:
            self.note(path, ref, f"its leaf count is {ref.leaf_count} instead of "
                                 f"{counted.leaves}")

    # --- Blocks ----------------------------------------------------------------------------

    def _verified(self, ref: Blockref, path: str) -> bytes | None:
        """The bytes of a block that may be used; complains otherwise."""
        wrong = self.volumes.media(ref)
        if wrong:
            self.error(path, ref, wrong)
            return None
        before = self.extents.setdefault(ref.data_off, (ref.type, path))
        if before[0] != ref.type:
            self.error(path, ref, f"{TYPE_NAMES[ref.type]} here, but {TYPE_NAMES[before[0]]} in "
                                  f"{before[1]}")
        if ref.data_off in self.bad:
            return None
        data = self.volumes.stored(ref)
        kind = ref.methods >> 4
        if (ref.data_off, kind, ref.check) in self.verified:
            return data
        code = codes.code_of(kind, data)
        if code is None:
            self.error(path, ref, f"its check code is of an unknown kind, {kind}")
        elif ref.check[:len(code)] != code:
            self.error(path, ref, f"the check code of this {TYPE_NAMES[ref.type]} is wrong")
        else:
            self.verified.add((ref.data_off, kind, ref.check))
            return data
        self.bad.add(ref.data_off)
        return None

    def _data(self, ref: Blockref, inode: Inode, path: str) -> None:
        if not ref.size:
            return                                              # a hole that is written down
        fresh = ref.data_off not in self.extents
        data = self._verified(ref, path)
        if data is None:
            return
        if ref.key >= inode.size:
            self.note(path, ref, f"data at {ref.key}, but the file ends at {inode.size}")
        if fresh:
            try:
                self.volumes.expanded(ref, data)
            except ImageError as error:
                self.error(path, ref, str(error).partition(": ")[2])

    def _overlaps(self) -> None:
        end, last = 0, 0
        for address in sorted(self.extents):
            ref = Blockref(data_off=address)
            if ref.offset < end:
                kind, path = self.extents[address]
                self.error(path, ref, f"{TYPE_NAMES[kind]} overlaps block {last:#x} of "
                                      f"{self.extents[last][1]}")
            if ref.offset + ref.size > end:
                end, last = ref.offset + ref.size, address
            if ref.offset % GIB < RESERVED_BYTES:
                self.error(self.extents[address][1], ref, "it lies in a reserved segment")

    # --- Inodes and names ------------------------------------------------------------------

    def _inode(self, ref: Blockref, path: str) -> Inode | None:
        if ref.size != INODE_BYTES:
            self.error(path, ref, f"an inode of {ref.size} bytes")
            return None
        data = self._verified(ref, path)
        if data is None:
            return None
        inode = Inode.unpack(data)
        if inode.version != ondisk.INODE_VERSION_ONE:
            self.error(path, ref, f"inode version {inode.version} is unknown")
            return None
        return inode

    def _inode_sound(self, inode: Inode, ref: Blockref, path: str) -> None:
        if inode.inum != ref.key:
            self.error(path, ref, f"the inode says that it is number {inode.inum}")
        if inode.type not in OBJECT_NAMES:
            self.error(path, ref, f"an inode of unknown kind {inode.type}")
        if inode.size > MAX_SIZE:
            self.error(path, ref, f"a size of {inode.size} bytes")
        if inode.op_flags & ondisk.OPFLAG_PFSROOT:
            self.error(path, ref, "a root of a PFS inside of one")
        if inode.op_flags & ondisk.OPFLAG_DIRECTDATA \
                and inode.type not in {ondisk.REGFILE, ondisk.SOFTLINK}:
            self.error(path, ref, f"data inside of a {OBJECT_NAMES.get(inode.type, 'inode')}")

    def _entry(self, pfs: Pfs, folder: str, ref: Blockref,
               names: set[bytes]) -> tuple[str, int | None]:
        """The path of an entry, and the inode that it leads to if there is one."""
        inum, length, kind = DIRENT_HEAD.unpack(ref.embed)
        name = ref.check[:length] if length <= CHECK_NAME_BYTES else self._long(ref, length, folder)
        if name is None:
            return folder, None
        path = f"{folder}/{name.decode(errors='backslashreplace')}"
        if length <= CHECK_NAME_BYTES and ref.size:
            self.error(path, ref, "a short name with a block of its own")
        self._name(name, ref, path)
        if name in names:
            self.error(path, ref, "the name is there twice")
        names.add(name)
        inode = pfs.inodes.get(inum)
        if inode is None or inum == ROOT_INUM:
            self.error(path, ref, f"it leads to inode {inum}, "
                                  + ("the root" if inum == ROOT_INUM else "which is not there"))
            return path, None
        if inode.type != kind:
            self.error(path, ref, f"the entry is of a {OBJECT_NAMES.get(kind, kind)}, inode "
                                  f"{inum} is a {OBJECT_NAMES.get(inode.type, inode.type)}")
        before = pfs.names.setdefault(inum, [])
        if before and inode.type == ondisk.DIRECTORY:
            self.error(path, ref, f"a second name of the directory {before[0]}")
        before.append(path)
        return path, inum

    def _long(self, ref: Blockref, length: int, folder: str) -> bytes | None:
        if length > ondisk.MAX_NAME or ref.size < length:
            self.error(folder, ref, f"a name of {length} bytes in a block of {ref.size}")
            return None
        data = self._verified(ref, folder)
        return None if data is None else data[:length]

    def _name(self, name: bytes, ref: Blockref, path: str) -> None:
        if not name or len(name) > ondisk.MAX_NAME or set(name) & set(b"/\0") \
                or name in {b".", b".."}:
            self.error(path, ref, "no name may be so")
        least = codes.dirhash(name)
        if not least <= ref.key <= least | DIRHASH_LOMASK:
            self.error(path, ref, f"the name's hash is {least:#x}, its key {ref.key:#x}")

    def _links(self, pfs: Pfs) -> None:
        for inum, inode in sorted(pfs.inodes.items()):
            names = pfs.names.get(inum, [])
            if inum == ROOT_INUM:
                continue
            path = names[0] if names else f"{pfs.label}: inode {inum}"
            if not names:
                self.error(path, pfs.refs[inum], "no name leads to it")
            elif inode.type == ondisk.DIRECTORY:
                if not inode.nlinks:
                    self.error(path, pfs.refs[inum], "a directory with 0 links")
            elif inode.nlinks != len(names):
                self.error(path, pfs.refs[inum], f"it says {inode.nlinks} links, and has "
                                                 f"{len(names)}: {', '.join(names)}")

    # --- Freemap ---------------------------------------------------------------------------

    def _freemap(self) -> None:
        leaves: dict[int, bytes] = {}
        self._freemap_refs(self.header.freemap_blockset, FULL_KEYBITS, 0, leaves)
        live = self._live()
        if not any(self.header.freemap_blockset):
            if live:
                self.note("freemap", None, "there is none yet: a volume that newfs made")
            return
        for granule, (address, path) in sorted(live.items()):
            state = self._state(leaves, granule)
            if state != ALLOCATED:
                self.error(path, Blockref(data_off=address),
                           f"granule {granule << GRANULE_RADIX:#x} is in use, and the freemap has "
                           + ("no leaf for it" if state is None else f"it in state {state:02b}"))
        self._records(leaves, live)

    def _live(self) -> dict[int, tuple[int, str]]:
        """Granules under the freemap's control in which blocks lie."""
        found: dict[int, tuple[int, str]] = {}
        for address, (_, path) in self.extents.items():
            ref = Blockref(data_off=address)
            if ref.offset >= self.header.allocator_beg:
                first = ref.offset >> GRANULE_RADIX
                for granule in range(first, (ref.offset + ref.size - 1 >> GRANULE_RADIX) + 1):
                    found.setdefault(granule, (address, path))
        return found

    def _freemap_refs(self, array: bytes, keybits: int, key: int, leaves: dict[int, bytes]) -> None:
        free = key
        for ref in unpack_refs(array):
            if ref.type == EMPTY:
                continue
            level = (ref.keybits - LEAF_RADIX) // NODE_RADIX + 1
            wanted = FREEMAP_LEAF if ref.keybits == LEAF_RADIX else FREEMAP_NODE
            if ref.type != wanted or ref.keybits >= keybits or not 0 < level <= ondisk.LEVELS \
                    or (ref.keybits - LEAF_RADIX) % NODE_RADIX:
                self.error("freemap", ref, f"type {ref.type} with {ref.keybits} bits")
                continue
            if ref.key < free or ref.key >> keybits != key >> keybits \
                    or ref.key % (1 << ref.keybits):
                self.error("freemap", ref, f"key {ref.key:#x} is out of order or range")
                continue
            free = ref.key + (1 << ref.keybits)
            places = {ondisk.freemap_address(ref.key, level, rotation)
                      for rotation in range(ondisk.ROTATIONS)}
            if ref.offset not in places or ref.size != FREEMAP_BYTES:
                self.error("freemap", ref, "it is not where freemap blocks are")
                continue
            data = self._freemap_block(ref)
            if data is not None and wanted == FREEMAP_LEAF:
                leaves[ref.key] = data
            elif data is not None:
                self._freemap_refs(data, ref.keybits, ref.key, leaves)

    def _freemap_block(self, ref: Blockref) -> bytes | None:
        wrong = self.volumes.media(ref)
        if wrong:
            self.error("freemap", ref, wrong)
            return None
        data = self.volumes.stored(ref)
        code = codes.code_of(ref.methods >> 4, data)
        if code is None or ref.check[:len(code)] != code:
            self.error("freemap", ref, f"the check code of this {TYPE_NAMES[ref.type]} is wrong")
            return None
        return data

    @staticmethod
    def _state(leaves: dict[int, bytes], granule: int) -> int | None:
        """Two bits; None if no leaf has them."""
        at = granule << GRANULE_RADIX
        leaf = leaves.get(at // GIB * GIB)
        if leaf is None:
            return None
        record = at % GIB // SEGMENT_BYTES * BLOCKREF_BYTES
        inside = at % SEGMENT_BYTES >> GRANULE_RADIX
        return leaf[record + 64 + inside // 4] >> inside % 4 * 2 & ALLOCATED

    def _records(self, leaves: dict[int, bytes], live: dict[int, tuple[int, str]]) -> None:
        leaked = marked = 0
        for base, leaf in sorted(leaves.items()):
            for number in range(FREEMAP_RECORDS):
                segment = base + number * SEGMENT_BYTES
                record = FreemapRecord.unpack(leaf, number * BLOCKREF_BYTES)
                bits = int.from_bytes(record.bitmap, "little")
                states = [bits >> 2 * granule & ALLOCATED for granule in range(ondisk.GRANULES)]
                free = states.count(0) * GRANULE_BYTES
                where = f"freemap, segment {segment:#x}"
                if record.avail != free:
                    self.error(where, None, f"it says that {record.avail} bytes are free, "
                                            f"{free} are")
                if self._reserved(segment):
                    if bits != (1 << 2 * ondisk.GRANULES) - 1:
                        self.error(where, None, "it is reserved, and not marked so")
                    continue
                first = segment >> GRANULE_RADIX
                used = [first + at for at, state in enumerate(states) if state]
                marked += len(used)
                leaked += sum(granule not in live for granule in used)
        if leaked:
            self.note("freemap", None, f"{leaked * GRANULE_BYTES} bytes are marked, and not used: "
                                       "deleted files, until bulkfree runs")
        expected = self.header.allocator_size - marked * GRANULE_BYTES
        if expected != self.header.allocator_free:
            self.note("volume header", None, f"allocator_free is {self.header.allocator_free}, by "
                                             f"the freemap {expected} bytes are free")

    def _reserved(self, segment: int) -> bool:
        """Whether a segment is none that blocks are allocated from."""
        return segment % GIB == 0 or segment < self.header.allocator_beg \
            or segment + SEGMENT_BYTES > self.volumes.total_size
