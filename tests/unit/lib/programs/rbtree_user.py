# SPDX-License-Identifier: BSD-3-Clause
"""A tree and its elements, for tests/unit/lib/test_rbtree.py."""
from kpy import Ptr, Slice, struct, u64

from kernel.lib import rbtree


@struct
class Item:
    node: rbtree.Node["Item"]
    key: u64


tree: rbtree.Tree[Item, "node", "key"]


def insert(item: Ptr[Item]) -> None:
    tree.insert(item)


def remove(item: Ptr[Item]) -> None:
    tree.remove(item)


def find(key: u64) -> Ptr[Item] | None:
    return tree.find(key)


def at_least(key: u64) -> Ptr[Item] | None:
    return tree.at_least(key)


def in_order(keys: Slice[u64]) -> u64:
    """The keys as the tree yields them; how many."""
    count: u64 = 0
    for item in tree:
        keys[count] = item.key
        count += 1
    return count
