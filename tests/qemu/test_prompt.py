# SPDX-License-Identifier: BSD-3-Clause
"""The kernel, compiled by kpyc, boots to its prompt and takes commands; gdb reads it."""
from __future__ import annotations

import re
import subprocess

import pytest

from tests.harness import Machine
from tests.harness.build import ROOT, kernel_image

BUILDS = {"dev": (), "release": ("--release",), "debug": ("-O", "0")}


@pytest.fixture(params=BUILDS, scope="module")
def image(request):
    return kernel_image(*BUILDS[request.param])


def run(image, commands: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "scripts" / "run"), "--accel", "tcg", "--image", str(image),
                           "--timeout", "60", *flags, "--exec", commands], text=True,
                          capture_output=True, timeout=120, check=False)


def test_commands_print_and_give_their_status(image):
    done = run(image, "echo one\necho two  three\nfalse")
    assert (done.stdout, done.returncode) == ("one\ntwo  three\n", 1)
    assert run(image, "true").returncode == 0


def test_unknown_command_says_so(image):
    done = run(image, "nonsense")
    assert done.returncode == 127
    assert "nonsense: not a command" in done.stdout


def test_panic_is_status_70_with_its_place(image):
    done = run(image, "panic all is lost")
    assert done.returncode == 70
    assert "panic: all is lost" in done.stderr
    assert re.search(r"at kernel/prompt\.py:\d+:\d+ in kernel\.prompt\._run", done.stderr)


def test_prompt_edits_a_line(image):
    with Machine(image) as vm:
        vm.expect("damselfly> ")
        vm.send("echo helxx\x7f\x7flo\r")
        vm.expect("\nhello\n")
        vm.send("poweroff\r")
        assert vm.wait_exit() == 0


def test_gdb_stops_on_a_kpy_line_and_reads_python_names(tmp_path):
    image = kernel_image("-O", "0")
    lines = (ROOT / "kernel" / "prompt.py").read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "name, rest = words.split(typed)" in text)
    commands = tmp_path / "exec"
    commands.write_text("echo a b\n")
    with Machine(image, gdb=True, exec_file=commands) as vm:
        said = vm.gdb().batch(f"hbreak kernel/prompt.py:{line}", "continue", "info args", "next",
                              "print name.len", "print rest.len", "bt")
    assert "typed = {" in said
    assert "$1 = 4" in said and "$2 = 3" in said
    frames = [text for text in said.splitlines() if text.startswith("#")]
    assert "command" in frames[0] and "thread_trampoline" in frames[-1]
    assert not any("??" in frame for frame in frames)
