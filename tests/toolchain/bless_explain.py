# SPDX-License-Identifier: BSD-3-Clause
"""Write what the compiler says now into the stories: `python -m tests.toolchain.bless_explain`.

Prints each story that changed; `git diff toolchain/explain` is what there is to review.
"""
from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.toolchain.diagnose import rendered
from toolchain import explain


def main(names: list[str]) -> int:
    """Bless the stories named, or all; the number of them that do not show their own code."""
    odd = 0
    for path in sorted(explain.FOLDER.glob("K*.md")):
        if names and path.stem not in names:
            continue
        made = explain.read(path)
        if not made.wrong:
            continue
        says = rendered(made.wrong)
        if f"[{path.stem}]" not in says or says.count("[K0") + says.count("[K1") != 1:
            odd += 1
            print(f"{path.stem}: the example gives\n{says}\n", file=sys.stderr)
        if made.right and rendered(made.right):
            odd += 1
            print(f"{path.stem}: the right example gives\n{rendered(made.right)}\n",
                  file=sys.stderr)
        if _bless(path, says):
            print(f"{path.name} changed")
    return odd


def _bless(path: Path, says: str) -> bool:
    old = path.read_text(encoding="utf-8")
    block = f"## Says\n\n```text\n{says}\n```\n"
    new = re.sub(r"^## Says\n+```text\n.*?^```\n", lambda _: block, old, count=1,
                 flags=re.MULTILINE | re.DOTALL)
    if new == old and "\n## Says\n" not in old:
        new = re.sub(r"(^## Wrong\n+```python\n.*?^```\n)", lambda m: f"{m[1]}\n{block}", old,
                     count=1, flags=re.MULTILINE | re.DOTALL)
    path.write_text(new, encoding="utf-8")
    return new != old


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]) and 1)
