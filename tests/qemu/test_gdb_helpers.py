# SPDX-License-Identifier: BSD-3-Clause
"""The helpers of toolchain/gdb on a live guest: threads, stacks of blocked ones, tokens, queues."""
from __future__ import annotations

import re

import pytest

from tests.harness import Machine
from tests.harness.build import ROOT, suite_image

HELPERS = f"source {ROOT / 'toolchain' / 'gdb' / 'helpers.py'}"


def line_of(file: str, text: str) -> int:
    lines = (ROOT / file).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture(scope="module")
def said():
    """What gdb says of a guest that has run a test and waits at its prompt."""
    with Machine(suite_image("-O", "0"), cpus=2, gdb=True, timeout=120) as vm:
        vm.qmp("cont")
        vm.expect("damselfly> ")
        vm.send("test tokens_nest\r")
        vm.expect("nested and swapped")
        return vm.gdb().batch(
            HELPERS, "lwkt threads", "lwkt bt softclock",
            "lwkt bt main", "lwkt cpus", "ipiq", "msgs", "slabs",
            "print 'kernel/lwkt/globaldata.py'::cpus[1].tdallq",
            "print 'kernel/lwkt/globaldata.py'::cpus[0].idlethread.flags",
            "print 'kernel/lwkt/globaldata.py'::cpus[0].reqflags", "lwkt threads")


def test_threads_of_all_cpus_are_listed(said):
    rows = re.findall(r"^ +\d+ +(\d) +0x[0-9a-f]{16} +(\d+) +(\w+) .* (idle|softclock|main)",
                      said, re.MULTILINE)
    assert {(cpu, name) for cpu, _, _, name in rows} >= {
        ("0", "idle"), ("1", "idle"), ("0", "softclock"), ("1", "softclock"), ("0", "main")}
    assert ("0", "16", "blocked", "softclock") in rows


def test_stack_of_a_blocked_thread_is_walked_to_its_end(said):
    stack = said.split("softclock of CPU 0: blocked\n")[1].split("main of CPU 0")[0]
    frames = [text for text in stack.splitlines() if text.startswith("#")]
    assert any("lwkt_sleep" in frame for frame in frames)
    assert any("softclock" in frame and "kernel/lwkt/callout.py" in frame for frame in frames)
    assert "thread_trampoline" in frames[-1]
    assert not any("??" in frame for frame in frames)


def test_registers_are_put_back(said):
    lists = [re.findall(r"^ +\d+ +\d+ +0x.*$", part, re.MULTILINE)
             for part in said.split("  #  cpu  thread")[1:]]
    assert len(lists) == 2 and lists[0] == lists[1]


def test_queues_and_slabs_are_shown(said):
    assert re.search(r"^cpu 0: sent \d+, received \d+, full \d+", said, re.MULTILINE)
    assert re.search(r"^port of +message", said, re.MULTILINE)
    assert re.search(r"^thread +\d+ +\d+ +\d+", said, re.MULTILINE)
    assert re.search(r"^ +0 +\d+ +\d+ +\d+ +\d+$", said, re.MULTILINE)


def test_lists_flags_and_atomics_are_printed(said):
    assert re.search(r"= TailQueue\[Thread, all_link\] = \{0x[0-9a-f]+", said)
    assert re.search(r"= \(?(RUNNING \| )?SYSTHREAD \| FIXEDCPU", said)


def test_breakpoint_on_a_kpy_line_shows_held_tokens(tmp_path):
    line = line_of("tests/guest/tokens.py", "assert token.held(tok) and token.held(other)")
    commands = tmp_path / "exec"
    commands.write_text("test tokens_nest\n")
    with Machine(suite_image("-O", "0"), cpus=2, gdb=True, timeout=120, exec_file=commands) as vm:
        said = vm.gdb().batch(HELPERS, f"hbreak tests/guest/tokens.py:{line}", "continue",
                              "tokens", "next", "print tok.count", "print *tok.ref", "bt",
                              timeout=120)
    held = [row for row in said.splitlines() if row.endswith("holds it")]
    assert sum("nest2" in row for row in held) == 1
    assert sum("nest " in row for row in held) == 3         # twice exclusive, once shared
    frames = [text for text in said.splitlines() if text.startswith("#")]
    assert "tokens_nest" in frames[0] and "thread_trampoline" in frames[-1]
