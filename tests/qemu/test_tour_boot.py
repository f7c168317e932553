# SPDX-License-Identifier: BSD-3-Clause
"""docs/tours/boot.md: every stop is reached, in the order in which the tour has them."""
from __future__ import annotations

import re

from tests.harness import Machine
from tests.harness.build import ROOT, kernel_image

TOUR = ROOT / "docs" / "tours" / "boot.md"
OTHERS = "kernel.machine.upcalls.cpu_entered"       # the stop that is not on CPU 0


def test_stops_are_reached_in_order():
    stops = re.findall(r"^\d+\. \*\*`([\w.]+)`\*\*", TOUR.read_text(), re.MULTILINE)
    assert len(stops) >= 15
    with Machine(kernel_image("-O", "0"), cpus=4, gdb=True) as vm:
        breaks = [f"thbreak *'{stop}'" + ("" if stop == OTHERS else " if $_thread == 1")
                  for stop in stops]
        steps = [word for _ in stops for word in ("continue", "info symbol $pc")]
        said = vm.gdb().batch(*breaks, *steps, timeout=20)
    reached = re.findall(r"^(\S+) in section", said, re.MULTILINE)
    assert [re.sub(r"\[(\w+)\]", r".\1", name) for name in reached] == stops   # gdb: `main[kmain]`
