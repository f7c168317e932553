# SPDX-License-Identifier: BSD-3-Clause
"""The copies of decompressors, against Python, with memory that ends where the slices do."""
from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.harness.guarded import Guarded
from toolchain import host

SIZE = st.integers(0, 70)
HUGE = st.sampled_from([2**63, 2**64 - 1, 2**64 - 8])
ANY = SIZE | HUGE
SOURCE, TARGET = Guarded(), Guarded()


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def window(request):
    return host.build("kernel/lib/window.py", release=request.param)


@given(room=SIZE, data=st.binary(max_size=70), at=ANY, start=ANY, count=ANY, end=st.booleans())
@example(room=40, data=bytes(range(40)), at=0, start=0, count=40, end=True)
def test_literals_copies_what_fits_and_nothing_else(window, room, data, at, start, count, end):
    target = TARGET.at_end(room) if end else TARGET.at_start(room)
    source = SOURCE.at_end(data) if end else SOURCE.at_start(data)
    fits = at + count <= room and start + count <= len(data)
    assert window.literals(target, at, source, start, count) == fits
    if fits:
        assert bytes(target)[at:at + count] == data[start:start + count]      # W2
    assert bytes(target)[:at] == b"\xEE" * min(at, room)
    assert bytes(source) == data


@given(room=SIZE, before=st.binary(max_size=30), at=ANY, distance=ANY, count=ANY)
@example(room=70, before=b"abc", at=3, distance=3, count=67)
@example(room=70, before=b"abcdefghij", at=10, distance=9, count=30)
def test_repeat_copies_what_was_there(window, room, before, at, distance, count):
    target = TARGET.at_end(room)
    filled = before[:room]
    target[:len(filled)] = filled
    expected = bytearray(target)
    fits = at + count <= room and 0 < distance <= at
    assert window.repeat(target, at, distance, count) == fits
    if fits:
        for i in range(at, at + count):
            expected[i] = expected[i - distance]
        assert bytes(target)[:at + count] == expected[:at + count]
    else:
        assert bytes(target) == expected
