# SPDX-License-Identifier: BSD-3-Clause
"""Blocks do not overlap, lie where they may, and exactly their granules are marked."""
from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.image.hammer2.freemap import Freemap
from toolchain.image.hammer2.ondisk import (
    DATA,
    FREEMAP_LEAF,
    FREEMAP_NODE,
    GIB,
    INDIRECT,
    INODE,
    MIB,
    FreemapRecord,
    ImageError,
    freemap_address,
)

BEGIN = 20 * MIB + 3072
GRANULE = 16384


def marked(freemap: Freemap, size: int) -> set[int]:
    """Granules that the map of a volume has as allocated and that are not reserved."""
    found = set()
    for at, block in freemap.blocks(size, 16)[0]:
        base = at // GIB * GIB
        for number in range(256):
            record = FreemapRecord.unpack(block, 128 * number)
            segment = base + number * 4 * MIB
            bits = int.from_bytes(record.bitmap, "little")
            if segment % GIB and BEGIN <= segment < size:
                found |= {segment // GRANULE + n for n in range(256) if bits >> 2 * n & 3 == 3}
            else:
                assert bits == (1 << 512) - 1 and record.avail == 0
    return found


@given(st.lists(st.tuples(st.sampled_from([INODE, INDIRECT, DATA]), st.integers(10, 16)),
                max_size=400), st.booleans())
@settings(max_examples=60, deadline=None)
def test_blocks_lie_apart_and_are_marked(wanted, limited):
    freemap = Freemap(BEGIN, 64 * MIB if limited else None)
    taken, granules, kinds = [], set(), {}
    for kind, radix in wanted:
        address = freemap.allocate(kind, 1 << radix)
        at, size = address & ~63, 1 << (address & 63)
        assert size == 1 << radix and at >= 24 * MIB and at % 1024 == 0
        assert at % GRANULE + size <= GRANULE or at % size == 0
        taken.append((at, at + size))
        granules |= set(range(at // GRANULE, (at + size - 1) // GRANULE + 1))
        kinds.setdefault(at // (4 * MIB), set()).add(kind)
    taken.sort()
    assert all(end <= begin for (_, end), (begin, _) in pairwise(taken))
    assert marked(freemap, 64 * MIB) == granules
    assert freemap.allocated == len(granules) * GRANULE
    assert all(len(here) == 1 for here in kinds.values())


def test_a_full_volume_takes_any_segment_and_then_says_so():
    freemap, count = Freemap(BEGIN, 32 * MIB), 0
    freemap.allocate(INODE, 1024)
    freemap.allocate(INDIRECT, 4096)
    with pytest.raises(ImageError, match="does not fit in 33554432 bytes"):
        while True:
            freemap.allocate(DATA, 65536)
            count += 1
    assert count == 8 * MIB // 65536 - 2
    freemap.allocate(INODE, 1024)


def test_each_gib_begins_with_a_reserved_segment():
    freemap = Freemap(BEGIN)
    for _ in range(5 * GIB // 65536):
        address = freemap.allocate(DATA, 65536)
        assert address % GIB >= 4 * MIB
    blocks, refs = freemap.blocks(6 * GIB, 16)
    assert [ref.type for ref in refs] == [FREEMAP_NODE] and refs[0].keybits == 38
    assert [at for at, _ in blocks] == [*(freemap_address(n * GIB, 1, 0) for n in range(6)),
                                        freemap_address(0, 2, 0)]


def test_up_to_four_leaves_hang_in_the_header():
    freemap = Freemap(BEGIN)
    while freemap.end < 3 * GIB:
        freemap.allocate(DATA, 65536)
    refs = freemap.blocks(4 * GIB, 16)[1]
    assert [(ref.type, ref.key) for ref in refs] == [(FREEMAP_LEAF, n * GIB) for n in range(3)]
