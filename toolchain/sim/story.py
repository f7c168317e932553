# SPDX-License-Identifier: BSD-3-Clause
"""A run told: who did what in which order, and who waits for whom at its end.

Made from the trace that core.c wrote during a replay and from the CPUs' memory as the run left it.
Tests     tests/sim/test_core.py
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain.sim import Scenario

_STATES = ("off", "runs", "pauses", "halts")
_LAST = 40


@dataclass(frozen=True, slots=True)
class Step:
    """One step: which CPU, whether it was interrupted there, and what it did next."""
    cpu: int
    interrupt: bool
    file: str
    line: int
    source: str
    thread: int = field(default=0, compare=False)   # the address of the one that ran

    def place(self) -> str:
        """File and line."""
        return f"{Path(self.file).name}:{self.line}" if self.file else ""


class Story:
    """What happened in a run, and why it ended."""

    def __init__(self, scenario: Scenario, seed: str, ended: str) -> None:
        self.seed = seed
        self.world = scenario.world
        self.mod = scenario.mod
        self.cpus = scenario.cpus
        self.names = self._names()          # of the scenario's threads, by address
        self.steps = self._steps()
        self.state = self._state()
        self.what = ended

    def brief(self) -> str:
        """The end of the table and who waits for what."""
        return "\n".join([*self.table()[-_LAST:], *self.state])

    def table(self) -> list[str]:
        """A column a CPU, a row a step; a step that the same CPU goes on with has no mark."""
        out: list[str] = []
        before = -1
        for number, step in enumerate(self.steps):
            mark = "!" if step.interrupt else ">" if step.cpu != before else " "
            out.append(f"{number:5} {'  ' * step.cpu}{mark}cpu{step.cpu:<2} {step.place():18} "
                       f"{step.source}")
            before = step.cpu
        return out

    def _names(self) -> dict[int, str]:
        planned = self.mod.globals["tests.sim.world.planned"]
        count = self.mod.globals["tests.sim.world.count"]
        return {at.td.address: f"{at.func.__name__}({at.arg})"
                for at in (planned[i] for i in range(count)) if at.td is not None}

    def _steps(self) -> list[Step]:
        sites = self.mod.sites()
        texts: dict[str, list[str]] = {}
        found = []
        for at in range(self.world.figure(6)):
            entity, site = self.world.step(at, 0), self.world.step(at, 1)
            file, line, _ = sites.get(site, ("", 0, ""))
            if file and file not in texts:
                path = Path(file)
                texts[file] = path.read_text().splitlines() if path.is_file() else []
            lines = texts.get(file, [])
            source = lines[line - 1].strip() if 0 < line <= len(lines) else ""
            found.append(Step(entity // 2, bool(entity & 1), file, line, source,
                              self.world.step(at, 4)))
        return found

    def _state(self) -> list[str]:
        """Each CPU and its threads, as the run left them."""
        sites = self.mod.sites()
        out = []
        for cpu in range(self.cpus):
            state, takes, pending, site, _ = (
                self.world.cpu_state(cpu, field) for field in range(5))
            file, line, _ = sites.get(site, ("", 0, ""))
            at = f" at {Path(file).name}:{line}" if file else ""
            gd = self.world.globaldata_of(cpu)
            out.append(f"cpu {cpu} {_STATES[state]}{at}, interrupts {'on' if takes else 'off'}"
                       f"{', something pending' if pending else ''}")
            td = gd.tdallq.first
            while td is not None:
                out.append("    " + self._thread(td, td == gd.curthread))
                td = td.all_link.next
        return out

    def _thread(self, td: Any, current: bool) -> str:
        name = self.names.get(td.address) or bytes(td.name).rstrip(b"\0").decode(errors="replace")
        flags = [f.name for f in type(td.flags) if f in td.flags]
        parts = [f"{name} {td.address:#x}", "runs" if current else "", "|".join(map(str, flags))]
        if td.wchan or td.wmesg:
            parts.append(f"sleeps on {td.wchan:#x} {td.wmesg!s}")
        for i in range(td.toks_stop):
            tok = td.toks[i].tok
            if tok is not None:
                held = td.toks_have == 0xFFFF_FFFF or i < td.toks_have
                parts.append(f"{'holds' if held else 'waits for'} token {tok.name!s} "
                             f"{tok.address:#x}, count {tok.count:#x}")
        return ", ".join(p for p in parts if p)
