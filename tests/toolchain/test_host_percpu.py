# SPDX-License-Identifier: BSD-3-Clause
"""Several virtual CPUs in one process: each has its own copy of the PerCpu variables."""
from __future__ import annotations

import io

import pytest
from elftools.elf.elffile import ELFFile

from tests.toolchain.host_paths import COUNTERS, EVERYTHING
from toolchain import host

dev = host.fixture(COUNTERS)
release = host.fixture(COUNTERS, release=True)


@pytest.fixture(params=["dev", "release"])
def counters(request):
    return request.getfixturevalue(request.param)


def test_the_first_cpu_is_the_section_itself(counters):
    assert counters.percpu_offset == 0
    assert counters.percpu_size >= 52
    assert counters.tick() == 101
    view = counters.here()
    assert counters.percpu_start <= view.address < counters.percpu_start + counters.percpu_size


def test_a_copy_begins_as_the_variables_were_loaded_and_is_its_own(counters):
    counters.tick()
    second = counters.percpu_copy()
    assert second != 0
    counters.percpu_offset = second
    assert [counters.tick(), counters.tick()] == [101, 102]
    assert (counters.globals.ticks, counters.total()) == (102, 203)
    assert counters.globals.pending == 2
    counters.percpu_offset = 0
    assert (counters.globals.ticks, counters.total()) == (101, 101)
    assert counters.globals.shared == 3


def test_an_address_is_that_of_the_current_copy(counters):
    first = counters.here().address
    offset = counters.percpu_copy()
    counters.percpu_offset = offset
    second = counters.here()
    assert second.address == first + offset
    assert (second.self_.address, second.switches) == (second.address, 1)


def test_what_only_the_simulator_writes_is_not_taken_for_its_initial_value(counters):
    offsets = [0, counters.percpu_copy(), counters.percpu_copy()]
    for cpu, offset in enumerate(offsets):
        counters.percpu_offset = offset
        counters.globals.gd.cpu = cpu
        counters.globals.flag = 10
    for cpu, offset in enumerate(offsets):
        counters.percpu_offset = offset
        assert counters.number() == cpu + 10


def test_a_switch_in_the_middle_of_a_call_is_seen_after_it(counters):
    other = counters.percpu_copy()
    counters.globals.ticks = 5

    def machine_switch():
        counters.percpu_offset = other
        counters.globals.ticks = 9
    counters.provide(switch=machine_switch)
    assert counters.across() == 5 << 32 | 9


def test_restore_puts_back_every_copy_and_the_current_cpu(counters):
    other = counters.percpu_copy()
    counters.percpu_offset = other
    counters.tick()
    counters.percpu_offset = 0
    taken = counters.snapshot()
    counters.tick()
    counters.percpu_offset = other
    counters.tick()
    counters.restore(taken)
    assert (counters.percpu_offset, counters.globals.ticks) == (0, 100)
    counters.percpu_offset = other
    assert counters.globals.ticks == 101


def test_a_copy_is_aligned_as_the_section(counters):
    assert counters.percpu_start % 8 == 0
    assert counters.percpu_copy() % 8 == 0


def test_a_module_without_such_variables_has_an_empty_section():
    module = host.build(EVERYTHING)
    assert (module.percpu_size, module.percpu_offset, module.percpu_copy()) == (0, 0, 0)
    with pytest.raises(LookupError, match="no PerCpu variable"):
        module.percpu_offset = 64


def test_all_of_them_lie_in_one_section_of_the_library(counters):
    with open(counters.__file__, "rb") as file:
        elf = ELFFile(io.BytesIO(file.read()))
    section = elf.get_section_by_name(".percpu")
    named = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
    start, size = section["sh_addr"], section["sh_size"]
    inside = {name.rpartition(".")[2] for name, at in named.items()
              if start <= at < start + size and name.startswith("counters.")}
    assert size == counters.percpu_size
    assert inside == {"gd", "flag", "ticks", "history", "pending"}


def test_a_simulator_in_kpy_writes_the_offset_itself(tmp_path):
    source = tmp_path / "simulator.py"
    source.write_text('''from kpy import Final, PerCpu, i64, pointer_at, symbol_address, u32

UNSAFE: Final = True
ticks: PerCpu[u32] = 1


def on(offset: i64) -> u32:
    global ticks
    ticks += 1
    place = pointer_at(i64, symbol_address("kpy.percpu.offset"))
    before = place.value
    place.value = offset
    found = ticks
    place.value = before
    return found * 10 + ticks
''')
    module = host.build(source)
    assert module.on(module.percpu_copy()) == 12
