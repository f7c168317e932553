# SPDX-License-Identifier: BSD-3-Clause
"""A simulator of several CPUs: the real nucleus, every schedule decided by a seed.

    from toolchain import sim

    scenario = sim.load("tests/sim/scenarios/tokens.py")["exclusive"]
    scenario.random(100_000)                    # raises Failed with a seed and a story
    scenario.pct(100_000, depth=3)
    scenario.search(bound=3).schedules          # all with at most 3 preemptions
    scenario.replay("pct:3:210:5000:77")        # a failing seed again, step by step

A scenario is a kpy function that describes threads and what must hold (tests/sim/world.py, and
docs/sim.md, which tells it from the beginning).  The kernel modules are compiled with hooks and
yields and linked with core.c, which decides at every schedule point who goes on; Python only
starts it, and explains what it found.

Invariants
  U1  A scenario's world is its own: each is a fresh load of the library.
  U2  A seed names policy and all its parameters: replay() does what the run did.
Tests     tests/sim/test_core.py
"""
from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain import host
from toolchain.sim.story import Story

__all__ = ["Failed", "Figures", "Scenario", "load"]

ROOT = Path(__file__).resolve().parents[2]
CORE = Path(__file__).resolve().with_name("core.c")
WORLD = ROOT / "tests" / "sim" / "world.py"
POLICIES = {"random": 0, "pct": 1, "path": 2}
MODELS = {"": (False, False, False), "tso-": (True, False, False),
          "unfenced-": (True, True, False), "race-": (False, False, True)}
RESULTS = ("done", "deadlock", "livelock", "too long", "diverged", "exhausted", "booted",
           "redundant", "a translation that is no longer true was used",
           "an access to a page that is not mapped",
           "an access outside of a critical section", "a race")
CONFLICTS = ("an access outside of a critical section", "a race")
EXCUSE = "# races:"             # on a line whose access is known to break X9 or X10 of core.c
MAX_PATH = 20_000
LIMIT = 100_000                 # steps of a run before it counts as endless
SEARCH_LIMIT = 2_000            # the same in a search, which does not mind
MUTANT_LIMIT = 20_000           # the same with a mutant awake
EVENT = 12                      # the kind of what ktr.log() was told, among the operations
TRIAL = 64                      # runs at random that tell how long one is


class Failed(AssertionError):  # noqa: N818
    """A schedule under which something does not hold: `seed` brings it back, `story` tells it."""

    def __init__(self, scenario: str, seed: str, what: str, story: Story) -> None:
        self.scenario, self.seed, self.what, self.story = scenario, seed, what, story
        super().__init__(f"{scenario}, seed {seed}: {what}\n{story.brief()}")


@dataclass(frozen=True, slots=True)
class Figures:
    """What an exploration did."""
    schedules: int
    steps: int
    longest: int
    seconds: float
    complete: bool = False      # of a search: there are no more
    truncated: int = 0          # endless under an unfair schedule: cut off, or made fair
    redundant: int = 0          # of a search: left off, as another order of independent steps

    @property
    def rate(self) -> float:
        """Schedules a second."""
        return self.schedules / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Operation:
    """An atomic operation of a run; `kind` as in lower/instrument.py, 11 a doorbell of CPU
    `address`."""
    cpu: int
    kind: int
    address: int
    before: int
    after: int


class Scenario:
    """A plan, its CPUs booted up to the first step of each one's first thread."""

    def __init__(self, folder: Path, module: str, name: str) -> None:
        self.name, self.module = name, module
        self.mod = host.load(folder, "scenario", fresh=True)
        self.world = self.mod.modules["tests.sim.world"]
        plan = getattr(self.mod.modules[module], name)
        self.doc = plan.__doc__ or ""
        plan()
        for start, size in self.mod._core.sections:
            self.world.region(start, size)
        self.world.create(self.mod.percpu_start, self.mod.percpu_size)
        for site in _excused(self.mod.sites()):
            self.world.excuse(site)
        found = self.world.boot()
        if RESULTS[found] != "booted":
            raise RuntimeError(f"{name} does not boot: {RESULTS[found]}")
        self.cpus = self.world.figure(9)
        self.length = 0

    # ---- exploring

    def random(self, runs: int, seed: int = 1, limit: int = LIMIT, model: str = "") -> Figures:
        """`runs` schedules by chance.  `model` "tso-": with store buffers; "unfenced-": also as if
        the kernel had no full fence."""
        return self._explore(f"{model}random", runs, seed, 0, 0, limit)

    def pct(self, runs: int, depth: int = 3, seed: int = 1, limit: int = LIMIT,
            model: str = "") -> Figures:
        """`runs` schedules by priorities that change at depth - 1 points of each run."""
        return self._explore(f"{model}pct", runs, seed, depth - 1, self.steps(), limit)

    def search(self, bound: int = 2, most: int = 1_000_000, reduce: bool = False,
               limit: int = SEARCH_LIMIT) -> Figures:
        """All schedules with at most `bound` preemptions; with `reduce` and a bound that none
        reaches, one of each class that differs in the order of independent steps."""
        began = time.perf_counter()
        self._under("path")
        result = self._run(lambda: self.world.search(bound, reduce, most, limit),
                           lambda: self._path_seed(bound, reduce, limit))
        return self._figures(began, complete=RESULTS[result] == "exhausted")

    def killed_after(self, mutant: int, policy: str, runs: int, seed: int = 1,
                     limit: int = MUTANT_LIMIT) -> int | None:
        """Wake a mutant (lower/mutate.py) and explore by `policy` ("random", "pct", "tso-random",
        "tso-pct"): how many schedules passed before one failed, or None."""
        code, depth, length = self._under(policy), 0, 0
        if policy.endswith("pct"):
            depth, length = 2, self.steps()
        self.world.mutant(mutant, False)
        try:
            result = self.world.explore(code, seed, runs, depth, length, limit)
        except (host.Panic, host.Fault):
            return int(self.world.figure(0))
        finally:
            self.world.stop()
            self.world.mutant(0, False)
        return int(self.world.figure(0)) if RESULTS[result] != "done" else None

    def comes_by(self, mutants: Iterable[int], runs: int = 300) -> set[int]:
        """Those of the mutants whose place a few schedules come by."""
        self.world.mutant(0, True)
        self.random(runs)
        self.pct(runs)
        self.world.mutant(0, False)
        return {number for number in mutants if self.world.met(number)}

    def steps(self) -> int:
        """How long a run is, more or less."""
        if not self.length:
            self.random(TRIAL, seed=1 << 40)
            self.length = max(self.world.figure(1) // TRIAL, 10)
        return self.length

    def replay(self, seed: str) -> Story:
        """The run that a seed names, step by step; raises Failed if it still fails."""
        policy, *numbers = seed.split(":")
        error: Any = None
        result = 0
        try:
            if policy == "path":
                bound, reduce, limit, *path = map(int, numbers)
                result = self._replay_path(bound, bool(reduce), limit, path)
            else:
                depth, length, limit, number = map(int, numbers)
                result = self.world.replay(self._under(policy), number, depth, length, limit)
        except (host.Panic, host.Fault) as caught:
            error = caught
        self.world.stop()
        story = self._tell(seed, result, error)
        if error is not None or RESULTS[result] != "done":
            raise Failed(self.name, seed, story.what, story) from error
        return story

    def operations(self, policy: str, number: int) -> list[Operation]:
        """What the atomic operations of a run that holds did, in order, and its doorbells."""
        depth, length = (2, self.steps()) if policy.endswith("pct") else (0, 0)
        result = self.world.replay(self._under(policy), number, depth, length, LIMIT)
        assert RESULTS[result] == "done", f"{self.name}, {policy} {number}: {RESULTS[result]}"
        self.world.stop()
        return [Operation(*(self.world.operation(at, field) for field in range(5)))
                for at in range(self.world.figure(10)) if self.world.operation(at, 1) != EVENT]

    def _explore(self, policy: str, runs: int, seed: int, depth: int, length: int,
                 limit: int) -> Figures:
        began = time.perf_counter()
        self._run(
            lambda: self.world.explore(self._under(policy), seed, runs, depth, length, limit),
            lambda: f"{policy}:{depth}:{length}:{limit}:{seed + self.world.figure(0)}")
        return self._figures(began)

    def _under(self, policy: str) -> int:
        """Set the memory model that a policy's name begins with; the number of the policy."""
        model, dash, plain = policy.rpartition("-")
        self.world.model(*MODELS[model + dash])
        return POLICIES[plain]

    def _run(self, start: Any, seed_of: Any) -> int:
        """Start an exploration; what fails is run again, for its story."""
        error: Exception | None = None
        result = 0
        try:
            result = start()
        except (host.Panic, host.Fault) as caught:
            error = caught
        if error is None and RESULTS[result] in ("done", "exhausted"):
            return int(result)
        seed = seed_of()
        self.world.stop()
        self.replay(seed)
        raise RuntimeError(f"{self.name}: {error or RESULTS[result]} with seed {seed}, "
                           "but not when it was run again") from error

    def _figures(self, began: float, complete: bool = False) -> Figures:
        figure = self.world.figure
        return Figures(figure(0), figure(1), figure(2), time.perf_counter() - began, complete,
                       figure(3), figure(4))

    def _path_seed(self, bound: int, reduce: bool, limit: int) -> str:
        taken = self.mod.array("u8", MAX_PATH)
        count = self.world.path(taken)
        return ":".join(map(str, ("path", bound, int(reduce), limit, *taken[:count])))

    def _replay_path(self, bound: int, reduce: bool, limit: int, path: list[int]) -> int:
        self._under("path")
        self.world.set_path(bound, reduce, bytes(path))
        return int(self.world.replay(POLICIES["path"], 0, 0, 0, limit))

    def _tell(self, seed: str, result: int, error: Any) -> Story:
        what = RESULTS[result] if error is None else str(error)
        if error is None and what in CONFLICTS:
            what += self._conflict()
        return Story(self, seed, what)

    def _conflict(self) -> str:
        """Which accesses, by which CPUs."""
        sites, figure = self.mod.sites(), self.world.figure
        told = []
        for site, cpu in ((figure(12), figure(14)), (figure(13), figure(15))):
            if site in sites:
                file, line, function = sites[site]
                told.append(f"{Path(file).name}:{line} ({function}) on cpu {cpu}")
        return f" to {figure(11):#x}: {' and '.join(told)}"


def _excused(sites: dict[int, tuple[str, int, str]]) -> list[int]:
    """The accesses whose line, or a comment above, says `# races:` and why that is right."""
    lines: dict[str, list[str]] = {}
    found = []
    for site, (file, line, _) in sites.items():
        if file and file not in lines:
            lines[file] = Path(file).read_text().splitlines()
        here, above = lines[file][line - 1], lines[file][line - 2].strip()
        if EXCUSE in here or above.startswith(EXCUSE):
            found.append(site)
    return found


def load(*paths: str | Path, **options: Any) -> dict[str, Scenario]:
    """The scenarios of these files by name, each booted when it is first asked for."""
    files = [ROOT / path for path in paths]
    folder = build(files, **options)
    return _Lazy(folder, files)


def build(files: Iterable[Path], **options: Any) -> Path:
    """The folder of the files' build, with the simulator's core in it."""
    found = host.build([WORLD, *files], hooks=True, yields=True, native=(CORE,), **options)
    return Path(found.__file__).parent


class _Lazy(dict[str, Scenario]):
    """Scenarios that are made when they are wanted."""

    def __init__(self, folder: Path, files: list[Path]) -> None:
        super().__init__()
        self.folder = folder
        found = host.load(folder, "scenarios")
        self.modules = {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in files}
        self.names = {
            name: module for module in self.modules
            for name, made in vars(found.modules[module]).items()
            if not name.startswith("_") and getattr(made, "__qualname__", None) == name
            and getattr(made, "__module__", None) == module and not isinstance(made, type)}

    def __missing__(self, name: str) -> Scenario:
        made = self[name] = Scenario(self.folder, self.names[name], name)
        return made
