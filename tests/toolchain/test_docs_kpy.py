# SPDX-License-Identifier: BSD-3-Clause
"""Every example of docs/kpy.md compiles, or is refused as it says."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from toolchain import kpy
from toolchain.driver import check_files
from toolchain.frontend.check import vocabulary

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "kpy.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_example_compiles_or_is_refused_as_said(number, tmp_path):
    path = tmp_path / "example.py"
    path.write_text(BLOCKS[number])
    refused = re.match(r"# refused: (K\d+)", BLOCKS[number])
    _, diagnostics = check_files([path])
    codes = [d.code for d in diagnostics]
    assert codes == ([refused.group(1)] if refused else []), "\n\n".join(
        d.render() for d in diagnostics)


def test_the_vocabulary_table_names_what_the_compiler_and_the_stubs_know():
    table = DOCUMENT.read_text().split("## 1. Vocabulary")[1].split("## 2.")[0]
    words = set(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", " ".join(re.findall(r"`([^`]*)`", table))))
    public = {n for n in vocabulary.NAMES if not re.fullmatch(r"u\d+", n)} - {"TYPE_CHECKING"}
    public -= {"Bit", "Bits", "RO", "RW", "WO", "RW1C", "TypeAlias", "TableEntry"}
    assert not {n for n in public if n not in words}
    builtin = {"bool", "property", "staticmethod"}
    assert not {n for n in vocabulary.NAMES - builtin if not hasattr(kpy, n)}
