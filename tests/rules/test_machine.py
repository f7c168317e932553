# SPDX-License-Identifier: BSD-3-Clause
"""Every platform defines exactly the machine contract; mypy accepts the kernel."""
from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain import kernel

ROOT = Path(__file__).resolve().parents[2]
PLATFORMS = sorted(p.parent for p in (ROOT / "kernel" / "platform").glob("*/__init__.py"))


def signatures(path: Path) -> dict[str, str]:
    """Function name to its signature, as text."""
    return {node.name: f"{ast.unparse(node.args)} -> {ast.unparse(node.returns)}"
            for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


CONTRACT = signatures(ROOT / "kernel" / "machine" / "contract.py")


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: p.name)
def test_platform_defines_exactly_the_contract(platform):
    face = ast.parse((platform / "__init__.py").read_text())
    offered = {alias.name: node.module for node in face.body if isinstance(node, ast.ImportFrom)
               for alias in node.names}
    assert set(offered) == set(CONTRACT)
    for name, module in offered.items():
        file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        assert signatures(file)[name] == CONTRACT[name]


def test_the_name_machine_is_bound_to_a_platform():
    for name, target in kernel.binding().items():
        assert name == "kernel.machine"
        assert ROOT.joinpath(*target.split(".")) in PLATFORMS


@pytest.mark.parametrize("folder", ["kernel", "boot"])
def test_mypy_accepts(folder):
    done = subprocess.run([sys.executable, "-m", "mypy", folder], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
