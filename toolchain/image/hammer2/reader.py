# SPDX-License-Identifier: BSD-3-Clause
"""Reads HAMMER2 volumes of any maker from image files: labels, inodes, names, files.

    with Volumes([Path("root.img")]) as volumes:
        for label in volumes.labels(): ...

An image is a volume, or a disk with a GPT: then its first partition of HAMMER2's type is taken.
Sizes and places that an image gives are held against the image before they are used; what is wrong
is an ImageError with the block's address.  checker.py says everything that is wrong.

Tests   tests/toolchain/test_image_reader.py
"""
from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import lz4.block

from toolchain.image import gpt
from toolchain.image.hammer2 import codes, ondisk
from toolchain.image.hammer2.ondisk import (
    ALLOC_MAX_RADIX,
    ALLOC_MIN_RADIX,
    CHECK_NAME_BYTES,
    DATA,
    DIRENT,
    DIRENT_HEAD,
    DIRHASH_VISIBLE,
    EMPTY,
    INDIRECT,
    INODE,
    INODE_BYTES,
    LZ4_LENGTH,
    MAX_VOLUMES,
    NUM_VOLHDRS,
    PBUFSIZE,
    ZONE_BYTES,
    Blockref,
    ImageError,
    Inode,
    VolumeData,
    unpack_refs,
)

MAGICS = (ondisk.VOLUME_ID_HBO, ondisk.VOLUME_ID_ABO)


@dataclass
class Copy:
    """One copy of a volume header."""
    offset: int
    header: VolumeData
    wrong: list[str]                # empty: it may be used


@dataclass
class Volume:
    """One file of the set."""
    path: Path
    data: mmap.mmap
    base: int                       # where in the file the volume begins
    size: int                       # bytes that the file has for it
    copies: list[Copy] = field(default_factory=list)

    @property
    def best(self) -> Copy | None:
        """The newest good copy; of equal ones the first."""
        good = [copy for copy in self.copies if not copy.wrong]
        return max(good, key=lambda copy: (copy.header.mirror_tid, -copy.offset), default=None)


    @property
    def head(self) -> VolumeData:
        """The newest good header; Volumes has none without one."""
        if self.best is None:
            raise ImageError(f"{self.path}: no HAMMER2 volume header is good"
                             + "".join(f"\n  at {copy.offset:#x}: {', '.join(copy.wrong)}"
                                       for copy in self.copies))
        return self.best.header


@dataclass
class Label:
    """A PFS."""
    name: bytes
    ref: Blockref
    inode: Inode

    @property
    def snapshot(self) -> bool:
        return self.inode.pfs_subtype == ondisk.PFSSUBTYPE_SNAPSHOT


@dataclass(frozen=True)
class Entry:
    """A name of a directory."""
    name: bytes
    inum: int
    type: int


class Volumes:
    """The volumes of one file system, in any order."""

    def __init__(self, paths: list[Path]) -> None:
        self.volumes = [_opened(path) for path in paths]
        self.by_offset: list[tuple[int, Volume]] = []
        self.header: VolumeData
        self._assemble()

    def __enter__(self) -> Volumes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for volume in self.volumes:
            volume.data.close()

    def _assemble(self) -> None:
        """Choose the root's header, and give each volume its logical offset."""
        heads = {}
        for volume in self.volumes:
            head = volume.head
            if head.volu_id in heads:
                raise ImageError(f"{volume.path}: volume {head.volu_id} is there twice")
            heads[head.volu_id] = head, volume
        if 0 not in heads:
            raise ImageError("the first volume of the set is missing; name all, joined by `:`")
        self.header = heads[0][0]
        count = max(self.header.nvolumes, 1)
        if set(heads) != set(range(count)):
            raise ImageError(f"the set has {count} volumes, {len(heads)} are given; name all, "
                             "joined by `:`")
        for number in range(count):
            head, volume = heads[number]
            if head.fsid != self.header.fsid:
                raise ImageError(f"{volume.path}: belongs to another file system")
            self.by_offset.append((self.header.volu_loff[number], volume))

    @property
    def total_size(self) -> int:
        """Of all volumes, as the header says."""
        return self.header.total_size or self.header.volu_size

    # --- Blocks ----------------------------------------------------------------------------

    def media(self, ref: Blockref) -> str:
        """What is wrong with a ref's media address; empty: nothing, the block can be read."""
        radix = ref.data_off & ondisk.OFF_MASK_RADIX
        if not ALLOC_MIN_RADIX <= radix <= ALLOC_MAX_RADIX:
            return f"its size is 2^{radix}"
        if ref.offset % ondisk.ALLOC_MIN:
            return "it is not aligned"
        if ref.offset % PBUFSIZE + ref.size > PBUFSIZE:
            return "it crosses a physical buffer"
        if ref.offset + ref.size > self.total_size or self._place(ref) is None:
            return "it is outside of the volume"
        return ""

    def _place(self, ref: Blockref) -> tuple[Volume, int] | None:
        """The file and the offset in it of a block that lies in one volume."""
        for offset, volume in reversed(self.by_offset):
            if ref.offset >= offset:
                at = ref.offset - offset
                return (volume, volume.base + at) if at + ref.size <= volume.size else None
        return None

    def stored(self, ref: Blockref) -> bytes:
        """The block as it is on the medium; ImageError if it cannot be there."""
        wrong = self.media(ref)
        place = None if wrong else self._place(ref)
        if place is None:
            raise ImageError(f"block {ref.data_off:#x}: {wrong}")
        volume, at = place
        return volume.data[at:at + ref.size]

    def checked(self, ref: Blockref) -> bytes:
        """The block as it is on the medium; ImageError if its check code is wrong."""
        data = self.stored(ref)
        code = codes.code_of(ref.methods >> 4, data)
        if code is None:
            raise ImageError(f"block {ref.data_off:#x}: unknown kind of check code")
        if ref.check[:len(code)] != code:
            raise ImageError(f"block {ref.data_off:#x}: wrong check code")
        return data

    def refs(self, array: bytes, keybits: int = ondisk.FULL_KEYBITS, key: int = 0) -> (
            Iterator[Blockref]):
        """The refs below an array, by key, without indirect blocks.

        Keys ascend, and lie in the range of what they are below: so this ends for any image.
        """
        free = key
        for ref in unpack_refs(array):
            if ref.type == EMPTY:
                continue
            if ref.key < free or ref.key >> keybits != key >> keybits or ref.keybits > keybits:
                raise ImageError(f"block {ref.data_off:#x}: key {ref.key:#x} is out of order or "
                                 "range")
            free = ref.key + (1 << ref.keybits)
            if ref.type != INDIRECT:
                yield ref
            elif ref.keybits == keybits:
                raise ImageError(f"block {ref.data_off:#x}: covers as much as its parent")
            else:
                yield from self.refs(self.checked(ref), ref.keybits, ref.key)

    def inode(self, ref: Blockref) -> Inode:
        """The inode that a ref leads to."""
        if ref.size != INODE_BYTES:
            raise ImageError(f"block {ref.data_off:#x}: an inode has {INODE_BYTES} bytes")
        return Inode.unpack(self.checked(ref))

    # --- Labels, names ---------------------------------------------------------------------

    def labels(self) -> list[Label]:
        """All PFSes, by the keys of their labels."""
        tops = [ref for ref in unpack_refs(self.header.sroot_blockset) if ref.type == INODE]
        if not tops:
            raise ImageError("the volume header has no super-root")
        root, found = self.inode(tops[0]), []
        for ref in self.refs(root.data):
            if ref.type == INODE:
                inode = self.inode(ref)
                found.append(Label(inode.filename[:inode.name_len], ref, inode))
        return found

    def label(self, name: bytes) -> Label:
        """One PFS; ImageError names those that there are."""
        found = self.labels()
        for label in found:
            if label.name == name:
                return label
        known = ", ".join(label.name.decode(errors="replace") for label in found)
        raise ImageError(f"there is no label `{name.decode(errors='replace')}`; there are: {known}")

    def inodes(self, label: Label) -> dict[int, Inode]:
        """All inodes of a PFS by number, its root too."""
        found = {ondisk.ROOT_INUM: label.inode}
        for ref in self.refs(label.inode.data):
            if ref.type == INODE:
                found[ref.key] = self.inode(ref)
        return found

    def entries(self, directory: Inode) -> list[Entry]:
        """The names of a directory, sorted."""
        found = []
        for ref in self.refs(directory.data):
            if ref.type == DIRENT and ref.key >= DIRHASH_VISIBLE:
                inum, _, kind = DIRENT_HEAD.unpack(ref.embed)
                found.append(Entry(self.name(ref), inum, kind))
        return sorted(found, key=lambda entry: entry.name)

    def name(self, ref: Blockref) -> bytes:
        """The name of a directory entry."""
        _, length, _ = DIRENT_HEAD.unpack(ref.embed)
        if length <= CHECK_NAME_BYTES:
            return ref.check[:length]
        return self.checked(ref)[:length]

    # --- Files -----------------------------------------------------------------------------

    def content(self, inode: Inode) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of a file or link, without its holes; nothing behind its end."""
        if inode.op_flags & ondisk.OPFLAG_DIRECTDATA:
            yield 0, inode.data[:inode.size]
            return
        for ref in self.refs(inode.data):
            if ref.type == DATA and ref.key < inode.size and ref.size:
                data = self.expanded(ref, self.checked(ref))
                yield ref.key, data[:min(PBUFSIZE, inode.size - ref.key)]

    def target(self, inode: Inode) -> bytes:
        """Where a symbolic link leads."""
        return b"".join(data for _, data in self.content(inode))

    @staticmethod
    def expanded(ref: Blockref, data: bytes) -> bytes:
        """A block of a file without compression."""
        try:
            match ref.methods & 15:
                case ondisk.COMP_LZ4:
                    length, = LZ4_LENGTH.unpack_from(data)
                    if length > len(data) - LZ4_LENGTH.size:
                        raise ValueError("it is longer than its block")
                    packed = data[LZ4_LENGTH.size:LZ4_LENGTH.size + length]
                    return lz4.block.decompress(packed, uncompressed_size=PBUFSIZE)
                case ondisk.COMP_ZLIB:
                    stream = zlib.decompressobj()
                    whole = stream.decompress(data, PBUFSIZE)
                    if not stream.eof and len(whole) < PBUFSIZE:
                        raise ValueError("it ends too early")
                    return whole
                case ondisk.COMP_NONE | ondisk.COMP_AUTOZERO:
                    return data
            raise ValueError("its method is unknown")
        except (ValueError, zlib.error, lz4.block.LZ4BlockError) as error:
            raise ImageError(f"block {ref.data_off:#x}: cannot be expanded: {error}") from error


def _opened(path: Path) -> Volume:
    """A file with the header copies that are in it."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is empty"
        raise ImageError(f"{path}: cannot be read: {reason}") from error
    parts = [part for part in gpt.partitions(data) or [] if part.type == gpt.HAMMER2]
    base, size = (parts[0].offset, parts[0].size) if parts else (0, len(data))
    volume = Volume(path, data, base, size)
    for at in range(0, min(size, NUM_VOLHDRS * ZONE_BYTES), ZONE_BYTES):
        if at + PBUFSIZE <= size:
            copy = _header_copy(data[base + at:base + at + PBUFSIZE], at)
            if copy is not None:
                volume.copies.append(copy)
    if all(copy.header.magic not in MAGICS for copy in volume.copies):
        raise ImageError(f"{path}: not a HAMMER2 volume"
                         + ("" if parts else ", nor a disk with a partition that may be one"))
    return volume


def _header_copy(block: bytes, at: int) -> Copy | None:
    """A copy of the header, with all that is wrong; None where none was ever written."""
    header = VolumeData.unpack(block)
    if at and not any(block):
        return None
    if header.magic == ondisk.VOLUME_ID_ABO:
        return Copy(at, header, ["it is of a machine with the other byte order"])
    if header.magic != ondisk.VOLUME_ID_HBO:
        return Copy(at, header, ["it has no HAMMER2 magic number"])
    wrong = [f"the CRC at {place:#x} is wrong" for place, value in codes.header_crcs(block)
             if int.from_bytes(block[place:place + 4], "little") != value]
    if not ondisk.VERSION_MIN <= header.version <= ondisk.VERSION_MULTI_VOLUMES:
        wrong.append(f"version {header.version} is unknown")
    if header.nvolumes > MAX_VOLUMES:
        wrong.append(f"it says that there are {header.nvolumes} volumes")
    return Copy(at, header, wrong)
