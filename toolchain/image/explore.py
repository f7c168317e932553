# SPDX-License-Identifier: BSD-3-Clause
"""scripts/explore TEST: a test inside the kernel under many schedules, each named by a seed.

The kernel is built with --pauses (kernel/pauses.py), and run under -icount, where all CPUs take
turns on one host thread: so a seed's run is the same each time.  Boots once a seed; says which is
the first that fails, what it printed, and how to have it again.

Tests     tests/qemu/test_schedules.py
"""
from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from toolchain import kernel
from toolchain.image import qemu

ROOT = kernel.ROOT
IMAGE = ROOT / "build" / "explore" / "kernel.elf"
MAINS = {"machine"}             # of tests/guest: kernels of their own
SEEDS, CPUS, TIMEOUT = 20, 4, 120.0
PANIC = "panic=off"             # the machine ends with it


@dataclass(frozen=True)
class Run:
    """What came of one seed."""

    seed: int | None
    status: int
    said: str


def main(arguments: list[str] | None = None) -> int:
    """The command line of scripts/explore: 0 if no seed fails, 1 if one does."""
    flags = _parser().parse_args(arguments)
    try:
        image = flags.image or build_image(IMAGE)
        return _explore(image, flags)
    except (qemu.RunError, FileNotFoundError) as error:
        print(f"explore: {error}", file=sys.stderr)
        return qemu.STATUS_UNAVAILABLE


def build_image(output: Path, *flags: str) -> Path:
    """The kernel with the tests of tests/guest, planted bugs among them, and pauses."""
    guest = ROOT / "tests" / "guest"
    tests = [*sorted(guest.glob("*.py")), *sorted(guest.glob("planted/*.py"))]
    subprocess.run([sys.executable, "-m", "toolchain", "build", "-q", "--pauses", *flags,
                    "-o", str(output), *map(str, kernel.files()),
                    *(str(path) for path in tests if path.stem not in MAINS)],
                   cwd=ROOT, check=True)
    return output


def command(image: Path, test: str, seed: int | None, cpus: int = CPUS, timeout: float = TIMEOUT,
            append: str = "") -> list[str]:
    """The words that run one seed, after `scripts/run`; without a seed nothing pauses."""
    schedule = "" if seed is None else f"schedule={seed}"
    line = " ".join(word for word in (PANIC, schedule, append) if word)
    return ["--icount", "--cpus", str(cpus), "--image", os.path.relpath(image, ROOT),
            "--append", line, "--timeout", f"{timeout:g}", "--exec", f"test {test}"]


def run(image: Path, test: str, seed: int | None, cpus: int = CPUS, timeout: float = TIMEOUT,
        append: str = "") -> Run:
    """Boot, run the test under the schedule of `seed`, and be gone."""
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.image.run",
         *command(image, test, seed, cpus, timeout, append)],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False)
    return Run(seed, done.returncode, done.stdout.decode(errors="replace"))


def runs(image: Path, test: str, seeds: range, cpus: int = CPUS, timeout: float = TIMEOUT,
         append: str = "", jobs: int = 1) -> Iterator[Run]:
    """What comes of each seed, in order, until one fails."""
    with ThreadPoolExecutor(jobs) as pool:
        for at in range(0, len(seeds), jobs):
            for found in pool.map(lambda seed: run(image, test, seed, cpus, timeout, append),
                                  seeds[at:at + jobs]):
                yield found
                if found.status:
                    return


def _explore(image: Path, flags: argparse.Namespace) -> int:
    began, count = time.monotonic(), 0
    seeds = range(flags.first, flags.first + flags.seeds)
    for found in runs(image, flags.test, seeds, flags.cpus, flags.timeout, flags.append,
                      flags.jobs):
        count += 1
        if found.status:
            print(found.said.rstrip())
            again = command(image, flags.test, found.seed, flags.cpus, flags.timeout, flags.append)
            print(f"{flags.test} fails with schedule={found.seed} (status {found.status}), after "
                  f"{count - 1} that pass; again:\n    scripts/run {shlex.join(again)}")
            return 1
    print(f"{flags.test}: {count} schedules of {flags.cpus} CPUs pass, "
          f"{(time.monotonic() - began) / max(count, 1):.1f} s each")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/explore",
        description="Run a test inside the kernel under many schedules, each named by a seed.",
        epilog="Exit status: 0 no seed fails, 1 one does.")
    add = parser.add_argument
    add("test", help="a test of tests/guest; one that needs no disk, so that runs repeat")
    add("--seeds", type=int, default=SEEDS, metavar="N", help=f"how many ({SEEDS})")
    add("--first", type=int, default=0, metavar="SEED", help="where to begin (0)")
    add("--cpus", type=int, default=CPUS, metavar="N", help=f"CPUs of the guest ({CPUS})")
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N",
        help="so many at a time (the host's CPUs)")
    add("--append", default="", metavar="LINE", help="more of the kernel command line")
    add("--image", type=Path, metavar="FILE", help="a kernel built with --pauses; else it is built")
    add("--timeout", type=float, default=TIMEOUT, metavar="S",
        help=f"a run that takes longer fails ({TIMEOUT:g})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
