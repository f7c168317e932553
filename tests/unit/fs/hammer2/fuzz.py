# SPDX-License-Identifier: BSD-3-Clause
"""Hostile volumes, one after the other, led by what they make the driver do.

A mutant that takes an edge of the driver's code for the first time, or so many times as none did,
is kept and changed further.  What must hold of each: no failed check, no fault, an end after
MOST_WORK edges, all memory and all buffers given back.  What does not is a finding: its pages, in a
file that tests/unit/fs/hammer2/test_hostile.py reads again.
"""
from __future__ import annotations

import argparse
import base64
import ctypes
import json
import random
import signal
import time
import zlib
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from tests.harness import volumes
from tests.unit.fs.hammer2.driver import FILES, Driver
from tests.unit.fs.hammer2.mutate import Mutator
from toolchain import host

STEPS = 400                 # of a survey: some thousand calls of the driver
MOST_WORK = 100_000_000     # edges taken by a mutant; a good volume takes up to 13 million
LIMIT_S = 5.0               # then it is asked again: a machine may be slow, once
FINDINGS = Path(__file__).resolve().parent / "findings"
IMAGES = ("s11-mixed-methods", "s08-zlib-sha192", "s03-lz4-xxh64", "s10-multipfs-snap")
SLOT_OF = np.array([0, 1, 2, 3] + [4] * 4 + [5] * 8 + [6] * 16 + [7] * 96, dtype=np.uint8)


class Hang(Exception):  # noqa: N818
    """The driver did not come to an end."""


def _late(number: int, frame: FrameType | None) -> None:
    raise Hang(f"more than {LIMIT_S} s")


class Target:
    """One image, a driver, and mutants of the one read by the other."""

    def __init__(self, module: Any, name: str, seed: int) -> None:
        self.module, self.name = module, name
        self.before = module.snapshot()
        self.data = volumes.mapped(volumes.sets()[name].images()[0])
        self.view = (ctypes.c_ubyte * len(self.data)).from_buffer(self.data)
        self._start()
        crc = module.modules["kernel.lib.crc32c"].crc32c
        self.mutator = Mutator(self.data, seed, lambda data: crc(data, 0))

    def _start(self) -> None:
        self.driver = Driver(self.module)
        self.mount = self.module.Mount()
        self.source = self.module.BlockSource()
        self.driver.memory.set_up(self.source, ctypes.addressof(self.view), len(self.view))

    def again(self) -> None:
        """A new driver, after a finding."""
        self.driver.stop()
        self.module.restore(self.before)
        self._start()

    def close(self) -> None:
        """The module as it was."""
        self.driver.stop()
        self.module.restore(self.before)

    def read(self) -> int:
        """The image as it is now, by the driver; returns the steps that were left, -1 if it cannot
        be opened.  Raises what a finding is."""
        ctypes.memset(self.mount.address, 0, len(bytes(self.mount)))
        driver, left = self.driver, -1
        signal.signal(signal.SIGALRM, _late)
        signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
        try:
            try:
                driver.volume.open(self.mount, [self.source], 1 << 20)
            except host.KpyError:
                return left
            left = self.module.survey(self.mount, STEPS)
            driver.volume.close(self.mount)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.module.output.clear()
        assert driver.in_use() == 0, "memory was not given back"
        assert driver.var("tests.unit.fs.hammer2.programs.memory_volume.held") == 0, \
            "a buffer was not given back"
        return left


class Fuzzer:
    """Mutants of one image, led by coverage."""

    def __init__(self, target: Target, seed: int) -> None:
        self.target, self.rng = target, random.Random(seed)
        self.corpus: list[dict[int, bytes]] = [{}]
        self.seen: Any = None
        self.runs = self.opened = self.most = 0
        self.findings: list[tuple[str, dict[int, bytes]]] = []

    def step(self) -> None:
        """One mutant."""
        target, mutator = self.target, self.target.mutator
        mutator.apply(self.rng.choice(self.corpus))
        edits = mutator.mutate()
        target.module.reset_edges()
        try:
            self.opened += self._read() >= 0
            self._learn()
        except (host.Panic, host.Fault, AssertionError, Hang) as error:
            self.findings.append((f"{error!r} after {edits}", mutator.difference()))
            target.again()
        self.runs += 1
        mutator.undo()

    def _read(self) -> int:
        """What the driver makes of the mutant.  What is late once may be the machine's fault."""
        try:
            return self.target.read()
        except Hang:
            self.target.again()
            self.target.module.reset_edges()
            return self.target.read()

    def _learn(self) -> None:
        """Keep the mutant if it did something new."""
        counts = np.frombuffer(self.target.module.edge_counts(), dtype=np.uint64)
        work = int(counts.sum())
        assert work <= MOST_WORK, f"{work} edges taken"
        self.most = max(self.most, work)
        slots = np.left_shift(1, SLOT_OF[np.minimum(counts, len(SLOT_OF) - 1).astype(np.intp)])
        slots[counts == 0] = 0
        if self.seen is None:
            self.seen = np.zeros_like(slots)
        if np.any(slots & ~self.seen):
            self.seen |= slots
            difference = self.target.mutator.difference()
            if len(difference) < 400:
                self.corpus.append(difference)

    @property
    def edges(self) -> tuple[int, int]:
        """Edges taken, and edges that there are."""
        return (0, 0) if self.seen is None else (int(np.count_nonzero(self.seen)), len(self.seen))


def save(folder: Path, image: str, text: str, pages: dict[int, bytes]) -> Path:
    """A finding as a file."""
    packed = {str(page): base64.b64encode(zlib.compress(data)).decode()
              for page, data in pages.items()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{image}-{zlib.crc32(repr(sorted(packed.items())).encode()):08x}.json"
    path.write_text(json.dumps({"image": image, "was": text, "pages": packed}, indent=1) + "\n")
    return path


def load(path: Path) -> tuple[str, dict[int, bytes]]:
    """(image, pages) of a finding's file."""
    told = json.loads(path.read_text())
    return told["image"], {int(page): zlib.decompress(base64.b64decode(data))
                           for page, data in told["pages"].items()}


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz hammer2", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--image", action="append", help="names of volumes; the default: several")
    parser.add_argument("--release", action="store_true", help="without overflow checks")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz/hammer2"))
    options = parser.parse_args(arguments)
    print(volumes.report(), flush=True)
    names = [n for n in options.image or IMAGES if n in volumes.sets()]
    module = host.build(FILES, edges=True, faults=True, release=options.release)
    failed = 0
    for number, name in enumerate(names):
        target = Target(module, name, options.seed * 1000 + number)
        fuzzer = Fuzzer(target, options.seed)
        start = shown = time.monotonic()
        while (now := time.monotonic()) < start + options.minutes * 60 / len(names):
            fuzzer.step()
            if now > shown + 30:
                shown = now
                print(line(fuzzer, name, now - start), flush=True)
        print(line(fuzzer, name, time.monotonic() - start), flush=True)
        for text, pages in fuzzer.findings:
            print(f"  {save(options.out, name, text, pages)}: {text}")
        failed += len(fuzzer.findings)
        target.close()
    return 1 if failed else 0


def line(fuzzer: Fuzzer, name: str, seconds: float) -> str:
    """How far it has come."""
    taken, edges = fuzzer.edges
    return (f"{name}: {fuzzer.runs} mutants in {seconds:.0f} s, {fuzzer.opened} opened, "
            f"{taken} of {edges} edges, at most {fuzzer.most / 1e6:.0f} M times, "
            f"{len(fuzzer.corpus)} kept, {len(fuzzer.findings)} findings")
