# SPDX-License-Identifier: BSD-3-Clause
"""A struct may extend one other: the base's fields come first.

# run: layout() == (0, 8, 16)
# run: through_base() == 11
# run: inherited() == 5
"""
from kpy import Ptr, offsetof, sizeof, struct, u32, u64


@struct
class Node:
    key: u32
    kind: u32

    def get(self) -> u32:
        return self.key


@struct
class File(Node):
    size: u64


def layout() -> tuple[u64, u64, u64]:
    return offsetof(File, "key"), offsetof(File, "size"), sizeof(File)


def set_key(n: Ptr[Node], key: u32) -> None:
    n.key = key


def through_base() -> u64:
    f = File(size=1)
    set_key(f, 10)
    return f.key + f.size


def inherited() -> u32:
    f = File(key=5)
    return f.get()
