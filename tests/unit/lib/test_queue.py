# SPDX-License-Identifier: BSD-3-Clause
"""Queues against a list; Q1 and Q2 after every step."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain import host

USER = "tests/unit/lib/programs/queue_user.py"
STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=60)


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def user(request):
    return host.build(USER, release=request.param)


def check(user, wanted):
    """The links say what the list says, both ways."""
    queue = user.globals.items
    assert (queue.first, queue.last) == ((wanted[0], wanted[-1]) if wanted else (None, None))
    for i, item in enumerate(wanted):
        assert item.link.prev == (wanted[i - 1] if i else None)
        assert item.link.next == (wanted[i + 1] if i + 1 < len(wanted) else None)


@given(steps=STEPS)
def test_it_is_a_list(user, steps):
    before = user.snapshot()
    try:
        wanted = []
        for number, (step, pick) in enumerate(steps):
            item = user.Item(key=number)
            if step == 0:
                user.push_back(item)
                wanted.append(item)
            elif step == 1:
                user.push_front(item)
                wanted.insert(0, item)
            elif step == 2 and wanted:
                at = pick % len(wanted)
                user.insert_before(wanted[at], item)
                wanted.insert(at, item)
            elif step == 3 and wanted:
                user.remove(wanted.pop(pick % len(wanted)))
            elif step == 4:
                assert user.pop_front() == (wanted.pop(0) if wanted else None)
            else:
                keys = user.array("u64", 64)
                count = user.keep_odd(keys)
                assert list(keys)[:count] == [item.key for item in wanted]
                wanted = [item for item in wanted if item.key % 2]
            check(user, wanted)
    finally:
        user.restore(before)
