# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's page tables: W^X everywhere, nothing low; mapping pages of kernel_space()."""
from __future__ import annotations

import pytest

from tests.harness import guest


@pytest.mark.parametrize("cpu", ["qemu64", "max"])
@pytest.mark.parametrize("mem", ["64M", "8G"])
def test_no_page_is_writable_and_executable(cpu, mem):
    found = guest.numbers(guest.run("tables", cpu=cpu, mem=mem))
    assert found["mapped"] > 500
    assert (found["writable_executable"], found["user"], found["low"]) == (0, 0, 0)
    assert found["executable"] == found["text_pages"]


def test_much_memory_takes_few_pages_where_the_cpu_has_large_ones():
    small = guest.numbers(guest.run("tables", cpu="max,-pdpe1gb", mem="8G"))["mapped"]
    large = guest.numbers(guest.run("tables", cpu="max", mem="8G"))["mapped"]
    assert small - large > 2000


def test_pages_are_mapped_looked_up_and_unmapped():
    found = guest.run("pmap")
    assert found["space"] == str(64 << 30)
    assert found["empty"] == "0"
    assert (found["low"], found["high"]) == ("0x55667788", "0x11223344")
    for name in ("entered", "extract", "physical", "image", "removed"):
        assert found[name] == "True", name
    assert (found["gone"], found["removed_twice"]) == ("0", "0")


def test_copy_probe_reads_what_is_mapped_and_nothing_else():
    found = guest.run("pmap")
    assert found["probe"] == "True 0x88 0x11"
    for name in ("probe_hole", "probe_null", "probe_bad", "probe_end"):
        assert found[name] == "False", name


def test_lack_of_memory_for_a_table_is_an_answer():
    found = guest.run("pmap")
    assert found["tables"] == "2"
    assert found["no_memory"] == "False"
