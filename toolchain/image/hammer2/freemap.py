# SPDX-License-Identifier: BSD-3-Clause
"""Where blocks are put, and the map of what is allocated.

A volume is cut into segments of 4 MiB, each for blocks of one type, and these into granules of
16 KiB.  Smaller blocks share a granule, one behind the other; larger ones begin at a multiple of
their size.  The first segment of each GiB is reserved: volume headers and the map itself are there.

Invariants
  F1  No block crosses a granule unless it is a multiple of one; none overlaps another.
  F2  A granule is marked exactly if a block lies in it.
  F3  A segment has blocks of one type while there are unused segments.
Limits  Nothing is ever freed: this allocates for a volume that is written once.
Tests   tests/toolchain/test_image_freemap.py
Source  DragonFly sys/vfs/hammer2/hammer2_freemap.c (policy)
"""
from __future__ import annotations

from dataclasses import dataclass, field

from toolchain.image.hammer2 import codes
from toolchain.image.hammer2.ondisk import (
    CHECK_FREEMAP,
    FREEMAP_BYTES,
    FREEMAP_CHECK,
    FREEMAP_LEAF,
    FREEMAP_NODE,
    GIB,
    GRANULE_BYTES,
    GRANULE_RADIX,
    GRANULES,
    LEAF_RADIX,
    NODE_RADIX,
    RESERVED_BYTES,
    SEGMENT_BYTES,
    SET_COUNT,
    Blockref,
    FreemapRecord,
    ImageError,
    freemap_address,
)
from toolchain.image.hammer2.radix import packed

CLASS_RADIX = 16                # the lower half of FreemapRecord.class_
ALL_RADIXES = 0xFFFFFFFF        # bigmask: room for blocks of every size, as far as is known
FREEMAP_RADIX = FREEMAP_BYTES.bit_length() - 1


@dataclass
class Segment:
    """4 MiB for blocks of one type."""
    base: int
    type: int
    linear: int = 0             # where the next small block goes; on a granule's edge: nowhere
    free: int = 0               # the first granule that nothing was put in or behind
    gaps: list[int] = field(default_factory=list)       # granules left out, to align a block
    used: bytearray = field(default_factory=lambda: bytearray(GRANULES))

    def place(self, size: int) -> int | None:
        """The media address of room for a block; None if there is none."""
        at = self._take(size)
        return None if at is None else self.base + at | size.bit_length() - 1

    def _take(self, size: int) -> int | None:
        if size >= GRANULE_BYTES:
            granule = self._granules(size // GRANULE_BYTES)
            return None if granule is None else granule << GRANULE_RADIX
        left = -self.linear % GRANULE_BYTES
        if left < size:
            granule = self._granules(1)
            if granule is None:
                return None
            self.linear = granule << GRANULE_RADIX
        at = self.linear
        self.linear += size
        return at

    def _granules(self, count: int) -> int | None:
        if count == 1 and self.gaps:
            granule = self.gaps.pop(0)
        else:
            granule = -(-self.free // count) * count
            if granule + count > GRANULES:
                return None
            self.gaps += range(self.free, granule)
            self.free = granule + count
        self.used[granule:granule + count] = b"\1" * count
        return granule

    def record(self) -> FreemapRecord:
        bits = sum(3 << 2 * granule for granule, used in enumerate(self.used) if used)
        return FreemapRecord(self.linear, self.type << 8 | CLASS_RADIX,
                             SEGMENT_BYTES - sum(self.used) * GRANULE_BYTES,
                             bits.to_bytes(GRANULES // 4, "little"))


class Freemap:
    """Allocates from `begin` up to `limit`; without one, as far as it takes."""

    def __init__(self, begin: int, limit: int | None = None) -> None:
        self.begin = -(-begin // SEGMENT_BYTES) * SEGMENT_BYTES
        self.limit = limit
        self.segments: list[Segment] = []
        self._next = self.begin
        self._current: dict[int, Segment] = {}

    def allocate(self, kind: int, size: int) -> int:
        """The media address of room for a block of that type.  ImageError if there is none."""
        segment = self._current.get(kind)
        at = None if segment is None else segment.place(size)
        if at is not None:
            return at
        segment = self._fresh(kind)
        if segment is not None:
            self._current[kind] = segment
        for one in self.segments if segment is None else [segment]:     # None: nearly full
            at = one.place(size)
            if at is not None:
                return at
        raise ImageError(f"the folder does not fit in {self.limit} bytes; give a larger --size, or "
                         "none")

    def _fresh(self, kind: int) -> Segment | None:
        if self._next % GIB == 0:
            self._next += RESERVED_BYTES
        if self.limit is not None and self._next + SEGMENT_BYTES > self.limit:
            return None
        made = Segment(self._next, kind)
        self.segments.append(made)
        self._next += SEGMENT_BYTES
        return made

    @property
    def end(self) -> int:
        """Where the segments that are used end."""
        return self.segments[-1].base + SEGMENT_BYTES if self.segments else self.begin

    @property
    def allocated(self) -> int:
        """Bytes of granules that are marked."""
        return sum(sum(segment.used) for segment in self.segments) * GRANULE_BYTES

    def blocks(self, size: int, tid: int) -> tuple[list[tuple[int, bytes]], list[Blockref]]:
        """The map of a volume of that size: (address, block) of all of it, and its top refs."""
        records = {segment.base: segment.record().pack() for segment in self.segments}
        out: list[tuple[int, bytes]] = []
        refs = [self._leaf(base, size, records, out, tid)
                for base in sorted({at // GIB * GIB for at in records})]
        level = 2
        while len(refs) > SET_COUNT:
            refs = self._nodes(refs, level, out, tid)
            level += 1
        return out, refs

    def _leaf(self, base: int, size: int, records: dict[int, bytes],
              out: list[tuple[int, bytes]], tid: int) -> Blockref:
        taken = FreemapRecord(SEGMENT_BYTES, 0, 0, b"\xff" * (GRANULES // 4)).pack()
        unused = FreemapRecord().pack()
        parts, avail = [], 0
        for at in range(base, base + GIB, SEGMENT_BYTES):
            if at < self.begin or at == base or at + SEGMENT_BYTES > size:
                parts.append(taken)
            else:
                parts.append(records.get(at, unused))
                avail += FreemapRecord.unpack(parts[-1], 0).avail
        return self._stored(FREEMAP_LEAF, base, 1, b"".join(parts), avail, out, tid)

    def _nodes(self, refs: list[Blockref], level: int, out: list[tuple[int, bytes]],
               tid: int) -> list[Blockref]:
        """The refs of the next level: each block has those of one range."""
        keybits = LEAF_RADIX + NODE_RADIX * (level - 1)
        made = []
        for key in sorted({ref.key >> keybits << keybits for ref in refs}):
            below = [ref for ref in refs if ref.key >> keybits << keybits == key]
            avail = sum(FREEMAP_CHECK.unpack_from(ref.check)[2] for ref in below)
            made.append(self._stored(FREEMAP_NODE, key, level, packed(below, FREEMAP_BYTES),
                                     avail, out, tid))
        return made

    @staticmethod
    def _stored(kind: int, key: int, level: int, block: bytes, avail: int,
                out: list[tuple[int, bytes]], tid: int) -> Blockref:
        at = freemap_address(key, level, 0)
        out.append((at, block))
        check = FREEMAP_CHECK.pack(codes.crc32c(block), ALL_RADIXES, avail)
        return Blockref(type=kind, methods=CHECK_FREEMAP << 4,
                        keybits=LEAF_RADIX + NODE_RADIX * (level - 1), key=key, mirror_tid=tid,
                        modify_tid=tid, data_off=at | FREEMAP_RADIX, check=check.ljust(64, b"\0"))
