# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel's core operations cost, and how long it takes to the prompt.

instructions   tests/guest/figures.py under -icount on one CPU: one clock tick an instruction, so
               these repeat exactly; the release build; the peer is our aim
nanoseconds    the same on two CPUs under TCG, where time is the host's: never a limit; the peer is
               the like operation on one CPU, in the same run
seconds        from the start of QEMU to the prompt, the least of several; the peer is our aim

docs/performance.md says what each is, beside what is known of DragonFly, Linux and xv6.
"""
from __future__ import annotations

import re
import time
from pathlib import Path

from tests.harness import Machine
from tests.harness.build import kernel_image, suite_image

AIMS = {"lwkt.switch": 80, "token.pair": 30, "kmalloc.pair": 60}     # instructions
LIKE = {"msgport.round_trip_other_cpu": "msgport.round_trip",
        "ipiq.round_trip": "msgport.inline",
        "kmalloc.remote_free": "kmalloc.pair",
        "token.contended_pair": "token.pair"}
PROMPT_AIM_S = 0.5
STARTS = 5
Row = dict[str, object]


def measure() -> list[Row]:
    """All rows of bench.json about the kernel."""
    image = suite_image("--release")
    counted, _ = figures(image, cpus=1, icount=True)
    timed, hz = figures(image, cpus=2)
    rows = [_row(name, value, "instructions", "aim" if name in AIMS else "", AIMS.get(name))
            for name, value in counted.items()]
    nanoseconds = {name: value * 1e9 / hz for name, value in timed.items()}
    rows += [_row(f"{name}, 2 CPUs", nanoseconds[name], "ns", like, nanoseconds[like])
             for name, like in LIKE.items()]
    rows += [_row(f"start to prompt, {cpus} CPUs", start(cpus), "s", "aim", PROMPT_AIM_S)
             for cpus in (1, 4)]
    return rows


def figures(image: Path, *, cpus: int, icount: bool = False) -> tuple[dict[str, float], int]:
    """Ticks an operation by name, and the ticks of a second, as the guest measures them."""
    with Machine(image, cpus=cpus, icount=icount, name=f"bench-{cpus}", timeout=120,
                 append="panic=off") as vm:
        vm.expect("damselfly> ")
        vm.send("test figure_*\r")
        vm.expect("ok figure_asynchronous\n")
        found = re.findall(r"^figure (\S+) (\d+) (\d+)$", vm.console.text, re.MULTILINE)
    return {name: int(value) / 100 for name, value, _ in found}, int(found[0][2])


def start(cpus: int) -> float:
    """Seconds from the start of QEMU to the prompt."""
    best = float("inf")
    for _ in range(STARTS):
        began = time.perf_counter()
        with Machine(kernel_image("--release"), cpus=cpus, name=f"bench-start-{cpus}") as vm:
            vm.expect("damselfly> ")
            best = min(best, time.perf_counter() - began)
    return best


def show(rows: list[Row]) -> None:
    for row in rows:
        peer = f"  {row['peer']} {row['peer_value']:.4g}: {row['ratio']:.2f}" if row["peer"] else ""
        print(f"{row['name']:<40}{row['value']:>10.4g} {row['unit']}{peer}")


def _row(name: str, value: float, unit: str, peer: str, peer_value: float | None) -> Row:
    return {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value,
            "ratio": value / peer_value if peer_value else None}
