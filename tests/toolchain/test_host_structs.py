# SPDX-License-Identifier: BSD-3-Clause
"""Structs, arrays, unions, bits and globals as Python objects, and how long they live."""
from __future__ import annotations

import gc
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.host_paths import EVERYTHING
from toolchain import host

every = host.fixture(EVERYTHING)
reader = host.fixture(Path(__file__).parent / "programs_reader" / "lru.py")


def test_new_structs_are_zero_and_take_fields(every):
    node = every.Node(value=7, mode=every.Mode.ON, net=0x01020304, refs=3, name="hello")
    assert (node.value, node.mode, node.refs, node.name) == (7, every.Mode.ON, 3, "hello")
    assert node.next is None
    assert bytes(every.Node()) == bytes(every.sizeof(every.Node))
    assert bytes(node).count(struct.pack(">I", 0x01020304)) == 1
    assert node.address % 8 == 0 and node.owned
    with pytest.raises(TypeError, match="has no field 'nope'"):
        every.Node(nope=1)


def test_nested_structs_and_arrays_are_views(every):
    node = every.Node()
    inner, arr = node.inner, node.arr
    inner.a, inner.b, arr[1] = 500, -3, 9
    assert (node.inner.a, node.inner.b, list(node.arr)) == (500, -3, [0, 9, 0, 0])
    node.arr = [1, 2, 3, 4]
    node.arr[1:3] = [8, 9]
    assert list(arr) == [1, 8, 9, 4] and arr == (1, 8, 9, 4)
    node.inner = every.Inner(a=1, b=2)
    assert (inner.a, inner.b) == (1, 2)
    assert memoryview(arr).format == "H" and memoryview(arr).tolist() == [1, 8, 9, 4]
    assert node.arr[-1] == 4 and list(arr[2:]) == [9, 4]


def test_a_field_refuses_what_does_not_fit(every):
    node = every.Node(value=5)
    for name, value, error in (
            ("value", 2**32, OverflowError), ("value", -1, OverflowError),
            ("value", None, TypeError), ("mode", 9, ValueError), ("next", 4096, TypeError),
            ("next", every.Inner(), TypeError), ("arr", [1, 2], ValueError),
            ("arr", [1, 2, 3, 2**16], OverflowError), ("inner", node, TypeError),
            ("name", 5, TypeError), ("op", 5, TypeError), ("nope", 1, AttributeError)):
        with pytest.raises(error):
            setattr(node, name, value)
    assert node.value == 5 and list(node.arr) == [0] * 4
    with pytest.raises(IndexError):
        node.arr[4] = 1
    with pytest.raises(ValueError, match="neither grows"):
        node.arr[0:2] = [1]


@given(en=st.integers(0, 1), mps=st.integers(0, 15))
def test_bit_fields_of_a_struct_write_through(en, mps):
    node = host.build(EVERYTHING).Node()
    node.ctl.EN, node.ctl.MPS = en, mps
    assert int(node.ctl) == en | mps << 7
    found = node.ctl.EN, node.ctl.MPS
    assert found == (en, mps)
    kept = node.ctl.copy()
    node.ctl = 0
    assert int(kept) == en | mps << 7 and node.ctl == 0


def test_methods_and_subclasses(every):
    colour = every.Colour(value=21, rgb=b"\1\2\3")
    assert colour.double() == 42
    assert isinstance(colour, every.Node)
    assert (every.tinted(colour), every.any_node(colour)) == (2, 21)
    with pytest.raises(TypeError, match="expected"):
        every.tinted(every.Node())


def test_methods_of_generics_that_the_program_uses(reader):
    cache, entry = reader.globals.cache, reader.Entry(value=7)
    cache.start()
    cache.free.push_front(entry)
    assert (cache.free.count, cache.free.first.value) == (5, 7)
    cache.free.remove(entry)
    assert cache.free.count == 4 and cache.free.first == cache.entries[3]


def test_tagged_unions(every):
    shape = every.shape(0, 3)
    assert isinstance(shape.value, every.Rect) and shape.value.w == 3 and shape.tag == 0
    assert every.area(shape) == 9
    shape.value = every.Circle(r=2)
    assert every.area(shape) == 12
    with pytest.raises(TypeError):
        shape.value = every.Inner()


def test_pointers_compare_by_address_and_null_is_none(every):
    a, b = every.Node(value=1), every.Node(value=1)
    a.next = b
    assert a.next == b and a.next is not b and a != b and hash(a.next) == hash(b)
    a.next = None
    assert a.next is None


def test_what_compiled_code_knows_lives_on(every):
    for i in range(100):
        every.push(every.Node(value=i))
    gc.collect()
    assert [every.pop().value for _ in range(100)] == list(range(99, -1, -1))
    assert every.pop() is None


def test_a_view_keeps_its_owner(every):
    arr = every.Node(arr=[1, 2, 3, 4]).arr
    inner = every.Node(inner=every.Inner(a=7)).inner
    gc.collect()
    assert list(arr[1:]) == [2, 3, 4] and inner.a == 7


def test_functions_in_structs(every):
    node = every.Node(op=every.twice)
    assert node.op is every.twice
    node.op = lambda x: x + 5
    assert node.op(1) == 6
    assert every.apply(node.op, 2) == 7


def test_globals(every):
    assert (every.globals.count, list(every.globals.table), every.globals.head) == (5, [0] * 4,
                                                                                   None)
    every.globals.count = 9
    every.globals.table[2] = 5
    every.globals.head = every.Node(value=77)
    gc.collect()
    assert every.globals["everything.count"] == 9
    assert every.pop().value == 77
    with pytest.raises(OverflowError, match="count: -1 does not fit u32"):
        every.globals.count = -1
    with pytest.raises(AttributeError, match=r"no global 'nope'; there are: .*count"):
        every.globals.nope = 1
    assert set(dir(every.globals)) == {"count", "head", "table"}


def test_snapshots_put_back_data_and_what_was_lent(every):
    node = every.Node(value=1)
    every.push(node)
    taken = every.snapshot()
    every.push(every.Node(value=2))
    node.value, every.globals.count = 50, 6
    for _ in range(2):
        every.restore(taken)
        assert (every.globals.head, node.value, every.globals.count) == (node, 1, 5)
        node.value = 3
    with pytest.raises(ValueError, match="another module"):
        host.build(EVERYTHING, fresh=True).restore(taken)


def test_fresh_builds_have_their_own_state(every):
    other = host.build(EVERYTHING, fresh=True)
    other.globals.count = 1
    assert every.globals.count == 5
    with pytest.raises(TypeError):
        every.push(other.Node())


def test_scalars_in_memory(every):
    one = every.new("i64", -5)
    assert one.value == -5 and every.at("u8", one.address)[0] == 0xFB
    assert list(every.at("u8", one.address).slice(8)) == [0xFB] + [0xFF] * 7
    assert bytes(every.array("be32", [1, 2])) == b"\0\0\0\1\0\0\0\2"
