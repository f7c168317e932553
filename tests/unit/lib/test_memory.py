# SPDX-License-Identifier: BSD-3-Clause
"""memcpy, memmove, memset and memcmp against Python's bytes."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain import host

SIZES = st.integers(0, 80)


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def memory(request):
    return host.build("kernel/lib/memory.py", release=request.param)


@given(data=st.binary(max_size=80), at=st.integers(0, 9))
def test_memcpy_copies_and_touches_nothing_else(memory, data, at):
    to = memory.array("u8", b"\xEE" * 100)
    found = memory.memcpy(to[at:], data, len(data))
    assert bytes(to) == b"\xEE" * at + data + b"\xEE" * (100 - at - len(data))
    assert found.address == to.address + at


@given(data=st.binary(min_size=60, max_size=60), source=SIZES, to=SIZES, size=SIZES)
def test_memmove_copies_between_ranges_that_overlap(memory, data, source, to, size):
    source, to = source % 60, to % 60
    size = min(size, 60 - max(source, to))
    area, expected = memory.array("u8", data), bytearray(data)
    expected[to:to + size] = data[source:source + size]
    memory.memmove(area[to:], area[source:], size)
    assert bytes(area) == expected


@given(value=st.integers(-2**31, 2**31 - 1), size=SIZES)
def test_memset_fills_with_the_low_byte(memory, value, size):
    area = memory.array("u8", 100)
    memory.memset(area, value, size)
    assert bytes(area) == bytes([value & 0xFF]) * size + bytes(100 - size)


@given(left=st.binary(max_size=40), right=st.binary(max_size=40), common=st.binary(max_size=40))
def test_memcmp_orders_as_bytes_do(memory, left, right, common):
    left, right = common + left, common + right
    size = min(len(left), len(right))
    found = memory.memcmp(left, right, size)
    a, b = left[:size], right[:size]
    assert (found > 0) - (found < 0) == (a > b) - (a < b)
