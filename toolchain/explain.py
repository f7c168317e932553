# SPDX-License-Identifier: BSD-3-Clause
"""The longer story of each diagnostic, for `kpyc explain CODE`.

Tests     tests/toolchain/test_explain.py
"""
from __future__ import annotations

from toolchain.link import stories as link_stories

STORIES: dict[str, tuple[str, str]] = {**link_stories.STORIES}


def story(code: str) -> str | None:
    """The text for one code, or for "all" a list of them."""
    if code == "all":
        return "\n".join(f"{c}  {title}" for c, (title, _) in sorted(STORIES.items()))
    found = STORIES.get(code.upper())
    return f"{code.upper()}: {found[0]}\n\n{found[1].strip()}" if found else None
