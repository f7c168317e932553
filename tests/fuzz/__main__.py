# SPDX-License-Identifier: BSD-3-Clause
"""The fuzzers by name: `scripts/fuzz hammer2 --minutes 60 --seed 7`."""
from __future__ import annotations

import sys

from tests.unit.fs.hammer2 import fuzz as hammer2

FUZZERS = {"hammer2": hammer2.main}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in FUZZERS:
        sys.exit(f"usage: scripts/fuzz {{{','.join(FUZZERS)}}} [--help]")
    sys.exit(FUZZERS[sys.argv[1]](sys.argv[2:]))
