# SPDX-License-Identifier: BSD-3-Clause
"""Measure kpy against clang -O2: `python -m toolchain.bench.run [NAME...]`.

Each kernel has setup() and run(rounds) in kpy and in C.  All are loaded into this process, each
as a library of its own (where its loops lie must not depend on its neighbours); the three builds
(C, kpy release, kpy dev with its checks) take turns, and the least of several turns counts, so
what else the machine does hits all alike.  Before anything is timed the results of the three must
be equal.  Both compilers generate for plain x86-64, so both may use SSE2 and no more.

Output: a table, and build/bench.json: [{name, value, unit, peer, peer_value, ratio}, ...].
"""
from __future__ import annotations

import argparse
import ctypes
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolchain.backend import jit
from toolchain.backend.llvm import emit_module
from toolchain.backend.worker import Job, Pool, Result
from toolchain.bench import bindings, codecs, compile_time, nucleus, schedules, storage
from toolchain.driver import check_files
from toolchain.lower.lower import lower_module
from toolchain.options import DEV, RELEASE, Options

KERNELS = Path(__file__).resolve().parent / "kernels"
CLANGS = [*(f"clang-{version}" for version in range(22, 13, -1)), "clang"]
C_FLAGS = ["-std=c11", "-O2", "-march=x86-64", "-fPIC", "-shared"]
LIMITS = {RELEASE: 1.05, DEV: 1.35}      # of the geometric mean
WORST = 1.25                             # of one kernel in release
Run = Callable[[int], int]               # setup(), then run(rounds): its result


@dataclass
class Build:
    """One kernel as one compiler made it."""

    setup: Callable[[], None]
    run: Run

    def timed(self, rounds: int) -> tuple[float, int]:
        self.setup()
        start = time.perf_counter()
        result = self.run(rounds)
        return time.perf_counter() - start, result


@dataclass
class Figure:
    """Seconds for the same work."""

    name: str
    c: float
    kpy: dict[str, float]                # by mode

    def ratio(self, mode: str) -> float:
        return self.kpy[mode] / self.c


def find_clang() -> str:
    for name in CLANGS:
        path = shutil.which(name)
        if path:
            return path
    raise SystemExit("bench: no clang found: install clang to have something to compare with")


def c_builds(names: list[str], clang: str, folder: Path) -> dict[str, Build]:
    builds = {}
    for name in names:
        library = folder / f"{name}.so"
        subprocess.run([clang, *C_FLAGS, str(KERNELS / f"{name}.c"), "-o", str(library)],
                       check=True)
        loaded = ctypes.CDLL(str(library))
        loaded.setup.restype = None
        loaded.run.restype, loaded.run.argtypes = ctypes.c_uint64, [ctypes.c_uint64]
        builds[name] = Build(loaded.setup, loaded.run)
    return builds


def kpy_builds(names: list[str], mode: str, pool: Pool) -> dict[str, Build]:
    """As the build makes them: release is a whole program, dev keeps every function apart."""
    options = Options(target="host", mode=mode, host_wrappers=True, debug_info=False)
    jobs, functions = [], {}
    for name in names:
        modules, diagnostics = check_files([KERNELS / f"{name}.py"])
        if diagnostics:
            raise SystemExit("\n".join(d.render() for d in diagnostics))
        functions[name] = {f.name: f for f in modules[-1].functions}
        keep = None if mode == DEV else frozenset(
            f"kpy.call.{functions[name][entry].symbol}" for entry in ("setup", "run"))
        texts: list[str | bytes] = [emit_module(lower_module(m, options), options)
                                    for m in modules]
        jobs.append(Job(name, texts, options.target, options.opt_level, keep=keep))
    results = pool.compile(jobs)
    for result in results:
        if result.failure is not None:
            raise SystemExit(f"bench: {result.name}: {result.failure.message}")

    def build(result: Result) -> Build:
        program, entry = jit.load([result.object], pool), functions[result.name]
        return Build(lambda: program.call(entry["setup"]),
                     lambda rounds: program.call(entry["run"], rounds))
    return {result.name: build(result) for result in results}


def measure(name: str, c: Build, kpy: dict[str, Build], turns: int, least: float) -> Figure:
    """Turn about, with enough rounds for `least` seconds in C."""
    rounds = 1
    while c.timed(rounds)[0] < least:
        rounds *= 2
    expected = c.timed(rounds)[1]
    for mode, build in kpy.items():
        result = build.timed(rounds)[1]
        if result != expected:
            raise SystemExit(f"bench: {name}: C gives {expected:#x}, kpy {mode} {result:#x}")
    best = {mode: math.inf for mode in ("c", *kpy)}
    for _ in range(turns):
        for mode, build in (("c", c), *kpy.items()):
            best[mode] = min(best[mode], build.timed(rounds)[0])
    return Figure(name, best.pop("c"), best)


def mean(figures: list[Figure], mode: str) -> float:
    """The geometric mean of the ratios."""
    return math.exp(sum(math.log(f.ratio(mode)) for f in figures) / len(figures))


def records(figures: list[Figure], peer: str) -> list[dict[str, object]]:
    made: list[dict[str, object]] = [
        {"name": f"{figure.name}/{mode}", "value": figure.kpy[mode] * 1e3, "unit": "ms",
         "peer": peer, "peer_value": figure.c * 1e3, "ratio": figure.ratio(mode)}
        for figure in figures for mode in figure.kpy]
    made += [{"name": f"geometric mean/{mode}", "value": mean(figures, mode), "unit": "ratio",
              "peer": peer, "peer_value": 1.0, "ratio": mean(figures, mode)} for mode in LIMITS]
    return made


def show(figures: list[Figure]) -> None:
    print(f"{'kernel':<16}{'C ms':>9}{'release':>9}{'ratio':>7}{'dev':>9}{'ratio':>7}")
    for figure in figures:
        cells = "".join(f"{figure.kpy[mode] * 1e3:>9.2f}{figure.ratio(mode):>7.2f}"
                        for mode in LIMITS)
        print(f"{figure.name:<16}{figure.c * 1e3:>9.2f}{cells}")
    cells = "".join(f"{'':>9}{mean(figures, mode):>7.2f}" for mode in LIMITS)
    print(f"{'geometric mean':<16}{'':>9}{cells}")


def compiler() -> list[dict[str, object]]:
    """How long the compiler itself takes."""
    rows = compile_time.measure()
    for row in rows:
        print(f"{row['name']:<45}{row['value']:>6.2f} s, limit {row['peer_value']} s")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="kernels (all of them)")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--least", type=float, default=0.02, metavar="SECONDS")
    parser.add_argument("--limits", action="store_true", help="exit 1 where a limit is passed")
    flags = parser.parse_args()
    names = flags.names or sorted(path.stem for path in KERNELS.glob("*.py"))
    clang = find_clang()
    version = subprocess.run([clang, "--version"], capture_output=True, text=True, check=True)
    peer = f"{Path(clang).name} -O2 ({version.stdout.splitlines()[0]})"
    print(f"C: {peer}: {' '.join(C_FLAGS)}\nkpy: cpu x86-64; release O2, dev O1 with checks")
    with Pool() as pool, tempfile.TemporaryDirectory() as folder:
        c = c_builds(names, clang, Path(folder))
        kpy = {mode: kpy_builds(names, mode, pool) for mode in LIMITS}
        figures = [measure(name, c[name], {mode: kpy[mode][name] for mode in kpy},
                           flags.turns, flags.least) for name in names]
    show(figures)
    rows = records(figures, peer)
    if not flags.names:
        rows += compiler()
        bound = bindings.measure()
        bindings.show(bound)
        rows += bound
        codec = codecs.measure()
        codecs.show(codec)
        rows += codec
        kernel = nucleus.measure()
        nucleus.show(kernel)
        rows += kernel
        disks = storage.measure()
        nucleus.show(disks)
        rows += disks
        explored = schedules.measure()
        schedules.show(explored)
        rows += explored
    output = Path("build/bench.json")
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(rows, indent=1) + "\n")
    passed = [f"{mode}: geometric mean {mean(figures, mode):.2f} is over {limit}"
              for mode, limit in LIMITS.items() if mean(figures, mode) > limit]
    passed += [f"{f.name}: {f.ratio(RELEASE):.2f} is over {WORST}" for f in figures
               if f.ratio(RELEASE) > WORST]
    for line in passed:
        print(line, file=sys.stderr)
    return 1 if passed and flags.limits else 0


if __name__ == "__main__":
    raise SystemExit(main())
