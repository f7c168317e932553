# SPDX-License-Identifier: BSD-3-Clause
"""A queue and its elements, for tests/unit/lib/test_queue.py."""
from kpy import Ptr, Slice, struct, u64

from kernel.lib import queue


@struct
class Item:
    link: queue.Link["Item"]
    key: u64


items: queue.TailQueue[Item, "link"]


def push_back(item: Ptr[Item]) -> None:
    items.push_back(item)


def push_front(item: Ptr[Item]) -> None:
    items.push_front(item)


def insert_before(place: Ptr[Item], item: Ptr[Item]) -> None:
    items.insert_before(place, item)


def remove(item: Ptr[Item]) -> None:
    items.remove(item)


def pop_front() -> Ptr[Item] | None:
    return items.pop_front()


def keep_odd(keys: Slice[u64]) -> u64:
    """The keys from the front; even ones are removed on the way.  How many there were."""
    count: u64 = 0
    for item in items:
        keys[count] = item.key
        count += 1
        if item.key % 2 == 0:
            items.remove(item)
    return count
