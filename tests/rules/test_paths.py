# SPDX-License-Identifier: BSD-3-Clause
"""A test that a header or a document names is there."""
from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"tests/[a-z0-9_/]+\w+\.py")
FILES = [*(ROOT / "kernel").rglob("*.py"), *(ROOT / "boot").rglob("*.py"),
         *(ROOT / "toolchain").rglob("*.py"), *(ROOT / "toolchain").rglob("*.pyx"),
         *(ROOT / "docs").rglob("*.md"), ROOT / "ARCHITECTURE.md", ROOT / "README.md"]


def test_every_test_that_is_named_exists():
    named = {(str(path.relative_to(ROOT)), name) for path in FILES
             for name in NAMED.findall(path.read_text(encoding="utf-8"))}
    assert named
    assert [pair for pair in sorted(named) if not (ROOT / pair[1]).is_file()] == []
