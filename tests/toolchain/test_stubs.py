# SPDX-License-Identifier: BSD-3-Clause
"""mypy with the shipped stubs and plugin: silent on valid kpy, and not blind."""
import importlib
import re
from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def complaints(*paths: Path, cache: Path) -> dict[tuple[str, int], str]:
    """mypy's errors: (file, line) -> code."""
    found: dict[tuple[str, int], str] = {}
    text, crash, _ = api.run([
        "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(cache),
        "--no-error-summary", "--hide-error-context", *map(str, paths)])
    assert not crash, crash
    for line in text.splitlines():
        hit = re.match(r"(.*?):(\d+): error: .*\[([\w-]+)\]$", line)
        assert hit or ": note:" in line, line
        if hit:
            found[Path(hit[1]).name, int(hit[2])] = hit[3]
    return found


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_valid_kpy_passes(tmp_path):
    paths = [HERE / "stubs/vocabulary.py", ROOT / "toolchain/kpy/rt.py"]
    assert complaints(*paths, cache=tmp_path) == {}


def test_valid_kpy_passes_with_a_warm_cache(tmp_path):
    path = HERE / "stubs/vocabulary.py"
    complaints(path, cache=tmp_path)
    other = tmp_path / "other.py"
    other.write_text("from tests.toolchain.stubs import vocabulary\n\n\ndef f() -> int:\n"
                     '    return vocabulary.h(b"a", "b") + vocabulary.ring.head\n')
    assert complaints(path, other, cache=tmp_path) == {}


def test_every_program_of_the_corpus_passes(tmp_path):
    valid = [path for path in sorted((HERE / "programs").glob("*.py"))
             if "# error:" not in path.read_text() and "# mypy: skip" not in path.read_text()]
    assert complaints(*valid, cache=tmp_path) == {}


def test_mistakes_are_found(tmp_path):
    path = HERE / "stubs/errors.py"
    expected = {("errors.py", number): hit[1]
                for number, line in enumerate(path.read_text().splitlines(), 1)
                if (hit := re.search(r"# error: ([\w-]+)$", line))}
    assert complaints(path, cache=tmp_path) == expected


def test_vocabulary_of_the_reference_is_importable():
    kpy = importlib.import_module("toolchain.kpy")
    table = (ROOT / "docs/kpy.md").read_text().split("## 2.")[0]
    names = set(re.findall(r"@(\w+)", table)) - {"property", "staticmethod"}
    assert names <= set(kpy.__all__)
    assert all(hasattr(kpy, name) for name in kpy.__all__)


def test_stub_and_module_name_the_same():
    kpy = importlib.import_module("toolchain.kpy")
    stub = (ROOT / "toolchain/kpy/__init__.pyi").read_text()
    listed = re.search(r"__all__ = \[.*?\]\n", stub, re.S)[0].split("\n", 1)[1]
    assert re.findall(r'"(\w+)"', listed) == list(kpy.__all__)


def test_integers_check_their_range_under_cpython():
    kpy = importlib.import_module("toolchain.kpy")
    assert kpy.u8(255) == 255
    assert kpy.trunc(kpy.i8, 255) == -1
    with pytest.raises(OverflowError, match="256 does not fit u8"):
        kpy.u8(256)
    with pytest.raises(kpy.NotCompiledError):
        kpy.rotl(1, 2)
