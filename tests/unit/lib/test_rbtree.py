# SPDX-License-Identifier: BSD-3-Clause
"""Ordered trees against a sorted list; R1 and R2 after every step."""
from __future__ import annotations

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain import host

USER = "tests/unit/lib/programs/rbtree_user.py"


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def user(request):
    return host.build(USER, release=request.param)


def blacks(item, parent, low, high):
    """Checks R1 and R2 below an element; how many black ones are on every way down."""
    if item is None:
        return 0
    node = item.node
    assert node.parent == parent and low < item.key < high
    if node.red:
        assert parent is not None and not parent.node.red
    left = blacks(node.left, item, low, item.key)
    assert left == blacks(node.right, item, item.key, high)
    return left + (not node.red)


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=120))
def test_it_is_a_sorted_list(user, steps):
    before = user.snapshot()
    try:
        items: dict[int, object] = {}
        for add, key in steps:
            if add and key not in items:
                items[key] = user.Item(key=key)
                user.insert(items[key])
            elif not add and key in items:
                user.remove(items.pop(key))
            blacks(user.globals.tree.root, None, -1, 100)
            keys = sorted(items)
            found = user.array("u64", 64)
            count = user.in_order(found)
            assert list(found)[:count] == keys
            assert user.find(key) == items.get(key)
            at = bisect.bisect_left(keys, key)
            assert user.at_least(key) == (items[keys[at]] if at < len(keys) else None)
    finally:
        user.restore(before)


@pytest.mark.parametrize("step", [1, 7, 333, 999])
def test_a_thousand_in_and_out(user, step):
    before = user.snapshot()
    try:
        items = [user.Item(key=i * step % 1000) for i in range(1000)]
        for item in items:
            user.insert(item)
        assert blacks(user.globals.tree.root, None, -1, 2000) <= 10
        for item in items[::2] + items[1::2]:
            user.remove(item)
        assert user.globals.tree.root is None
    finally:
        user.restore(before)
