# SPDX-License-Identifier: BSD-3-Clause
"""How long the compiler takes: the kernel cold, and again after one body changed.

The program is a copy of this kernel, linked to a bootable image with full DWARF; a limit holds
for 20,000 lines, so the kernel must not be shorter.  Both runs are the command line, so Python's
start, the check of the image and all else a person waits for is counted.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES = 20_000
COLD_LIMIT_S = 30.0
CHANGE_LIMIT_S = 2.0
CHANGED = "kernel/vfs/vnode.py"
BODY = "    unlock(vp)\n    vrele(vp)\n"


def measure() -> list[dict[str, object]]:
    """The two figures, as make bench lists them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("kernel", "boot", "toolchain"):
            shutil.copytree(ROOT / part, folder / part,
                            ignore=shutil.ignore_patterns("__pycache__"))
        lines = sum(path.read_text().count("\n")
                    for part in ("kernel", "boot") for path in (folder / part).rglob("*.py"))
        assert lines >= LINES, f"the kernel has {lines} lines, the limit is of {LINES}"
        cold = _build(folder)
        text = (folder / CHANGED).read_text()
        assert text.count(BODY) == 1, f"{CHANGED} has another body now"
        (folder / CHANGED).write_text(text.replace(BODY, BODY + "    vrele(vp)\n"))
        change = _build(folder)
    return [
        {"name": f"compile {lines} lines, cold", "value": cold, "unit": "s", "peer": "limit",
         "peer_value": COLD_LIMIT_S, "ratio": cold / COLD_LIMIT_S},
        {"name": f"compile {lines} lines, one body changed", "value": change, "unit": "s",
         "peer": "limit", "peer_value": CHANGE_LIMIT_S, "ratio": change / CHANGE_LIMIT_S},
    ]


def _build(folder: Path) -> float:
    """Seconds; Python keeps the compiler's byte code, as it does unless told not to."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "toolchain", "build", "--quiet", "--cache", "cache",
               "-o", "image.elf"]
    started = time.perf_counter()
    subprocess.run(command, check=True, cwd=folder, env={**environment, "PYTHONPATH": str(folder)})
    return time.perf_counter() - started


def main() -> int:
    """Print the figures."""
    for row in measure():
        print(f"{row['name']:45} {row['value']:6.2f} s  (limit {row['peer_value']} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
