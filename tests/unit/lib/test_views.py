# SPDX-License-Identifier: BSD-3-Clause
"""Structs looked at in bytes: at any offset, and never past the end."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.guarded import Guarded
from toolchain import host

RECORD = 8
MEMORY = Guarded()


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def user(request):
    return host.build("tests/unit/lib/programs/views_user.py", release=request.param)


@given(words=st.integers(0, 3), kind=st.integers(0, 255), size=st.integers(0, 1 << 30),
       port=st.integers(0, 65535))
def test_fields_where_they_lie(user, words, kind, size, port):
    record = size.to_bytes(4, "little") + port.to_bytes(2, "big") + bytes([kind, 9])
    assert user.sum_at(MEMORY.at_end(bytes(4 * words) + record), 4 * words) == kind + size + port


@given(length=st.integers(0, 20), at=st.integers(0, 30) | st.just(2**64 - 1))
def test_a_struct_that_is_not_all_there_is_a_failed_check(user, length, at):
    if at + RECORD > length:
        with pytest.raises(host.CheckFailed):
            user.sum_at(MEMORY.at_end(length), at)
