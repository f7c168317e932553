# SPDX-License-Identifier: BSD-3-Clause
"""Imports of the kernel go down its layers; every file opens as the house style says."""
from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = tomllib.loads((ROOT / "kernel" / "layers.toml").read_text())
LEVEL = {name: level for level, names in enumerate(LAYERS["order"]) for name in names}
APART = ("dev", "fs", "platform")      # folders inside these do not see each other
KERNEL = sorted((ROOT / "kernel").rglob("*.py"))
ALL = sorted(p for folder in ("kernel", "boot", "toolchain", "userland", "tests", "scripts")
             for p in (ROOT / folder).rglob("*.py") if p.stat().st_size)


def layer(module: str) -> str:
    """The package below `kernel` that a module belongs to; "main" for kernel/*.py."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVEL else "main"


def imported(path: Path) -> list[str]:
    """The kernel modules that a file imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kernel"):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.startswith("kernel")]
    return names


@pytest.mark.parametrize("path", KERNEL, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    own = layer(module)
    for name in imported(path):
        other = layer(name)
        same = other == own and (own not in APART or name.split(".")[2] == module.split(".")[2])
        assert same or LEVEL[other] < LEVEL[own], f"{module} imports {name}"
        assert own == "platform" or other != "platform", f"{module} imports {name}"


@pytest.mark.parametrize("path", ALL, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_opens_with_licence_and_idea(path):
    text = path.read_text()
    if "programs" in path.parts or "stubs" in path.parts:
        return
    assert text.startswith("# SPDX-License-Identifier: BSD-3-Clause\n")
    assert ast.get_docstring(ast.parse(text)), "no docstring: say the file's idea"

