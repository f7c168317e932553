# SPDX-License-Identifier: BSD-3-Clause
"""What the checker says of a piece of source, in short: `K0308 3:9`."""
from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path

from toolchain.diagnostics import Diagnostic
from toolchain.driver import check_files


def diagnostics(source: str | bytes, **others: str) -> list[Diagnostic]:
    """The diagnostics of `source`, as module `example`, beside modules `others`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.py"
        path.write_bytes(source if isinstance(source, bytes)
                         else textwrap.dedent(source).encode())
        for name, text in others.items():
            (Path(folder) / f"{name}.py").write_text(textwrap.dedent(text))
        return check_files([path])[1]


def codes(source: str | bytes, **others: str) -> list[str]:
    """`CODE line:column` of each diagnostic, columns from 1."""
    return [f"{d.code} {d.loc.line}:{d.loc.source.column(d.loc.line, d.loc.col) + 1}"
            if d.loc else d.code for d in diagnostics(source, **others)]


def rendered(source: str | bytes, **others: str) -> str:
    """What a person reads of `source`, the folder left off the paths."""
    found = diagnostics(source, **others)
    for d in found:
        for loc in [d.loc, *[where for _, where in d.notes]]:
            if loc is not None:
                loc.source.path = Path(loc.source.path).name
    return "\n\n".join(d.render() for d in found)
