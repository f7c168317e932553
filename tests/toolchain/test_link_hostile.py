# SPDX-License-Identifier: BSD-3-Clause
"""Whatever bytes an object has, the linker links or refuses it: no traceback, no hang."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toolchain.link_objects import asm, module
from toolchain.link.elf import ObjectFile
from toolchain.link.errors import LinkError
from toolchain.link.layout import USER
from toolchain.link.linker import link

START = asm(".text\n.global _start\n_start: ret\n", "start.o")
VICTIM = module(0, 1, functions=2, structs=1)
GROUPED = asm(
    '.section .data.x,"awG",@progbits,x,comdat\n.weak x\nx: .quad y\n.comm y, 8, 8\n'
    '.section set,"a",@progbits\n.quad x, __start_set\n'
).data
SEEDS = [VICTIM, GROUPED]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "out"


def survives(data: bytes, output) -> None:
    try:
        link([START, ObjectFile.parse("victim.o", data)], layout=USER, output=output)
    except LinkError as error:
        assert error.problems


@pytest.mark.parametrize("seed", SEEDS)
def test_truncated_objects(seed, output):
    for length in range(0, len(seed), 7):
        survives(seed[:length], output)


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_objects_with_changed_bytes(seed, output, data):
    hostile = bytearray(seed)
    headers = int.from_bytes(seed[40:48], "little")
    places = st.one_of(
        st.integers(0, 63), st.integers(headers, len(seed) - 1), st.integers(0, len(seed) - 1)
    )
    for at in data.draw(st.lists(places, min_size=1, max_size=6)):
        width = data.draw(st.sampled_from([1, 2, 4, 8]))
        value = data.draw(st.one_of(st.integers(0, 300), st.integers(0, (1 << 8 * width) - 1)))
        hostile[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    survives(bytes(hostile[: len(seed)]), output)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes(output, data):
    survives(data, output)
    survives(VICTIM[:64] + data, output)
