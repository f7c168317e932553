# SPDX-License-Identifier: BSD-3-Clause
"""kpy modules that the tests of host bindings bind, and the paths of them."""
from pathlib import Path

HERE = Path(__file__).resolve().parent / "host_programs"
COUNTERS, EVERYTHING, MACHINE, UART = (
    HERE / f"{n}.py" for n in ("counters", "everything", "machine", "uart"))
