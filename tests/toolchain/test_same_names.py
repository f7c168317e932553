# SPDX-License-Identifier: BSD-3-Clause
"""Two types of one name, of two modules, are two: in instances of generics too."""
from __future__ import annotations

import pytest

from toolchain import host

GENERIC = '''
from kpy import Generic, Type, TypeVar, Ptr, sizeof, struct, u64

T = TypeVar("T")


@struct
class Box(Generic[T]):
    item: T

    def bytes(self) -> u64:
        return sizeof(T)


def size(cls: Type[T]) -> u64:
    return sizeof(cls)


def reach(item: Ptr[Ptr[T]]) -> u64:
    return sizeof(T)
'''
USER = '''
from kpy import Array, ref, struct, u8, u64

import common


@struct
class Node:
    data: Array[u8, {size}]


def {name}() -> u64:
    node: Node
    box: common.Box[Node]
    place = ref(node)
    return (common.size(Node) * 1000 + box.bytes()) * 1000 + common.reach(ref(place))
'''


@pytest.mark.parametrize("release", [False, True])
def test_instances_for_types_of_one_name(tmp_path, release):
    (tmp_path / "common.py").write_text(GENERIC)
    for name, size in (("one", 3), ("two", 7)):
        (tmp_path / f"{name}.py").write_text(USER.format(name=name, size=size))
    module = host.build([tmp_path / "one.py", tmp_path / "two.py"], release=release)
    assert module.one() == 3003003
    assert module.two() == 7007007
