# SPDX-License-Identifier: BSD-3-Clause
"""Building: what is kept, what a change costs, and what goes wrong."""
from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toolchain.host_paths import EVERYTHING
from toolchain import explain, host
from toolchain.driver import main
from toolchain.host import compile as tools
from toolchain.host import glue, steps

ROOT = Path(__file__).resolve().parents[2]
SOURCE = '''"""A module to change."""
from kpy import u32

count: u32 = 1


def get() -> u32:
    return count + 1
'''


def source(folder: Path, text: str = SOURCE, name: str = "changing") -> Path:
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def test_an_unchanged_module_is_not_built_again():
    first = host.build(EVERYTHING)
    started = time.perf_counter()
    assert host.build(EVERYTHING) is first
    assert time.perf_counter() - started < 0.5


def test_a_changed_body_needs_no_c_compiler(tmp_path, monkeypatch):
    path = source(tmp_path)
    assert host.build(path).get() == 2

    def refuse(*_):
        raise AssertionError("compiled the extension again")
    monkeypatch.setattr(tools, "extension", refuse)
    path.write_text(SOURCE.replace("+ 1", "+ 41"))
    assert host.build(path).get() == 42


def test_two_versions_live_side_by_side(tmp_path):
    path = source(tmp_path)
    old = host.build(path)
    path.write_text(SOURCE.replace("= 1", "= 5"))
    new = host.build(path)
    old.globals.count = 100
    assert (old.get(), new.get()) == (101, 6)


def test_the_text_says_what_it_was_made_from(tmp_path):
    module = host.build(source(tmp_path))
    folder = Path(module.__file__).parent
    text = (folder / "glue.pyx").read_text()
    assert text.startswith("# Made by kpyc host from changing; not to be edited.\n")
    assert text == glue.pyx_text(json.loads((folder / "layout.json").read_text()))


def test_errors_of_the_program(tmp_path):
    with pytest.raises(host.HostError) as caught:
        host.build(source(tmp_path, SOURCE.replace("+ 1", '+ "x"')))
    assert [d.code for d in caught.value.diagnostics] == ["K0316"]
    assert "changing.py:8:12" in str(caught.value)


def test_a_missing_file():
    with pytest.raises(host.HostError, match=r"K1105.*there is no file `/no/such.py`"):
        host.build("/no/such.py")


def test_no_c_compiler(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "compiler_name", lambda: "")
    with pytest.raises(host.HostError, match=r"K1101.*there is no C compiler"):
        host.build(source(tmp_path))


def test_no_cython(tmp_path, monkeypatch):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(host.HostError, match=r"K1102.*Cython is not installed"):
        host.build(source(tmp_path), folder=tmp_path)


def test_cython_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(glue, "pyx_text", lambda description: "def broken(:\n")
    (tmp_path / f"native-{tools.native_digest()}").mkdir()
    with pytest.raises(host.HostError, match=r"K1103.*Cython refused") as caught:
        host.build(source(tmp_path), folder=tmp_path)
    assert "glue.pyx:1" in str(caught.value)


def test_linking_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(steps.stubs, "_ASM", '.globl gone\n.text\ncall gone\n')
    with pytest.raises(host.HostError, match=r"K1104.*could not be linked"):
        host.build(source(tmp_path))


def test_every_code_has_a_story():
    for code in ("K1101", "K1102", "K1103", "K1104", "K1105", "K1106"):
        assert explain.story(code).startswith(f"{code}: ")


def test_the_command(tmp_path, capsys):
    path, output = source(tmp_path), tmp_path / "bound"
    for _ in range(2):
        assert main(["host", str(path), "-o", str(output)]) == 0
    assert "1 module bound" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-c", "import bound; print(bound.get(), bound.globals.count)"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}, capture_output=True, text=True, check=True)
    assert done.stdout == "2 1\n"


def test_the_command_refuses_a_bad_output(tmp_path, capsys):
    path = source(tmp_path)
    assert main(["host", str(path), "-o", str(tmp_path)]) == 1
    assert "is there and not a host build" in capsys.readouterr().err
    assert main(["host", str(path), "-o", str(tmp_path / "not-a-name")]) == 1
    assert "cannot be the name of a Python module" in capsys.readouterr().err
    assert main(["host", str(tmp_path / "none.py")]) == 1


def test_snapshots_take_microseconds():
    every = host.build(EVERYTHING)
    taken = every.snapshot()
    started = time.perf_counter()
    for _ in range(1000):
        every.restore(taken)
    assert time.perf_counter() - started < 0.1


def test_a_function_that_is_inlined_everywhere_can_still_be_called(tmp_path):
    low = source(tmp_path, "from kpy import inline, u32\n\n\n@inline\ndef one() -> u32:\n"
                           "    return 1\n", "inlined_low")
    high = source(tmp_path, "from kpy import u32\n\nimport inlined_low\n\n\n"
                            "def two() -> u32:\n    return inlined_low.one() * 2\n", "inlined_high")
    module = host.build([high, low])
    assert (module.one(), module.two()) == (1, 2)
