# SPDX-License-Identifier: BSD-3-Clause
"""The memory map against a model that knows the kind of every page."""
from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain import host

PAGE = 4096
LIMIT = 1 << 46
CAUTION = {0: 0, 1: 1, 3: 2, 4: 3, 2: 4, 5: 5}       # by kind: USABLE, ACPI, NVS, RESERVED, BAD
EDGE = 64                                             # pages the model knows


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def physical(request):
    return host.build("kernel/platform/pc64/physical.py", release=request.param)


def settled(physical, ranges, act=lambda module: None):
    """(memory, free) as lists of (base, end, kind), after act(module)."""
    before = physical.snapshot()
    try:
        for base, size, kind in ranges:
            physical.add(base, size, kind)
        physical.settle()
        act(physical)
        return shown(physical.globals.memory), shown(physical.globals.free)
    finally:
        physical.restore(before)


def shown(regions):
    return [(r.base, r.base + r.size, int(r.kind)) for r in
            (regions.at[i] for i in range(regions.count))]


RANGES = st.lists(st.tuples(st.integers(0, EDGE * PAGE), st.integers(0, 20 * PAGE),
                            st.integers(0, 7)), max_size=12)


@given(RANGES)
def test_every_page_has_the_most_cautious_kind_named(physical, ranges):
    memory, free = settled(physical, ranges)
    model = [0] * (2 * EDGE)
    for base, size, number in ranges:
        kind = number if number in range(1, 6) else 2
        first, last = base // PAGE, -(-(base + size) // PAGE)
        if kind == 1:
            first, last = -(-base // PAGE), (base + size) // PAGE
        for page in range(first, last if size else first):
            if CAUTION[kind] > CAUTION[model[page]]:
                model[page] = kind
    found = [0] * (2 * EDGE)
    for base, end, kind in memory:
        for page in range(base // PAGE, end // PAGE):
            assert found[page] == 0
            found[page] = kind
    assert found == model
    assert [page for base, end, _ in free for page in range(base // PAGE, end // PAGE)] == [
        page for page, kind in enumerate(model) if kind == 1 and page]


@given(RANGES)
def test_the_lists_are_in_order_and_whole_pages(physical, ranges):
    for regions in settled(physical, ranges):
        assert all(base < end and base % PAGE == end % PAGE == 0 for base, end, _ in regions)
        assert all(a[1] <= b[0] for a, b in pairwise(regions))
        assert all(a[1] < b[0] or a[2] != b[2] for a, b in pairwise(regions))


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1),
                          st.integers(0, 2**32 - 1)), max_size=200))
def test_any_numbers_are_survived(physical, ranges):
    memory, _ = settled(physical, ranges)
    assert all(end <= LIMIT for _, end, _ in memory)


@given(cuts=st.lists(st.tuples(st.integers(0, EDGE * PAGE), st.integers(1, 9 * PAGE)),
                     max_size=12))
def test_what_is_reserved_is_not_free(physical, cuts):
    def act(module):
        for base, size in cuts:
            module.reserve(base, size)

    _, free = settled(physical, [(0, EDGE * PAGE, 1)], act)
    pages = {page for base, end, _ in free for page in range(base // PAGE, end // PAGE)}
    gone = {page for base, size in cuts
            for page in range(base // PAGE, -(-(base + size) // PAGE))}
    assert pages == set(range(1, EDGE)) - gone


@given(st.lists(st.tuples(st.integers(1, 5 * PAGE), st.sampled_from([1, 8, PAGE, 4 * PAGE])),
                max_size=30))
def test_taken_ranges_are_aligned_and_disjoint(physical, wanted):
    taken = []

    def act(module):
        for size, align in wanted:
            base = module.take(size, align, 2 * PAGE, 48 * PAGE)
            if base:
                assert base % max(align, PAGE) == 0
                taken.append((base, base + -(-size // PAGE) * PAGE))

    _, free = settled(physical, [(0, EDGE * PAGE, 1)], act)
    ranges = sorted(taken + [(base, end) for base, end, _ in free])
    assert all(a[1] <= b[0] for a, b in pairwise(ranges))
    assert sum(end - base for base, end in ranges) == (EDGE - 1) * PAGE
    assert all(base >= 2 * PAGE and end <= 48 * PAGE for base, end in taken)


def test_without_room_nothing_is_taken(physical):
    def act(module):
        assert module.take(100 * PAGE, PAGE, 0, LIMIT) == 0
        assert module.take(PAGE, PAGE, 0, PAGE) == 0

    _, free = settled(physical, [(0, EDGE * PAGE, 1)], act)
    assert free == [(PAGE, EDGE * PAGE, 1)]
