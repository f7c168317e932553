# SPDX-License-Identifier: BSD-3-Clause
"""Kernel memory on the host: one build for all tests of the folder, with CPUs by turns."""
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.mem.fake import Machine
from toolchain import host

MEM = [str(path) for path in sorted(Path("kernel/mem").glob("[a-z]*.py"))]
LWKT = [f"kernel/lwkt/{name}.py" for name in (
    "globaldata", "crit", "spin", "ipiq", "thread", "cpumask")]
EXTRA = ["kernel/machine/types.py", "kernel/lib/queue.py"]
MIB = 1 << 20


class System:
    """A host build with a machine behind it: `mem.slab.kmalloc(...)`, `mem.machine`."""

    def __init__(self, module) -> None:
        self.module = module
        self.globals = module.globals
        for name, space in module.modules.items():
            setattr(self, name.rpartition(".")[2] if name != "kernel.machine" else "contract",
                    space)
        self.M = module.M
        self.NOWAIT = module.M.RNOWAIT | module.M.NULLOK
        self.machine: Machine = None        # type: ignore[assignment]

    def start(self, cpus: int = 1, regions=((1 * MIB, 63 * MIB),), space: int = 64 * MIB,
              debug: bool = False, upto: str = "slab") -> None:
        """Bring memory up on `cpus` CPUs."""
        self.machine = machine = Machine(list(regions), space)
        machine.attach(self.module, cpus)
        self.page.init(machine.region_list(), cpus)
        machine.each(self.page.init_cpu, cpus)
        if upto == "page":
            return
        self.kva.init()
        machine.each(self.kva.init_cpu)
        if upto == "kva":
            return
        self.slab.init(sum(size for _, size in machine.regions))
        machine.each(self.slab.init_cpu)
        self.globals.__setattr__("kernel.mem.slab.debug", debug)

    def stop(self) -> None:
        """Take the machine away."""
        if self.machine is not None:
            self.machine.close()
            self.machine = None         # type: ignore[assignment]

    def type(self, name: str = "test", limit: int = 0):
        """A malloc type."""
        return self.module.MallocType(name=name, limit=limit)

    def var(self, name: str):
        """A variable by its module and name: mem.var("kva.arena")."""
        return getattr(self.globals, f"kernel.mem.{name}")


def run_machine(mem: System, machine: type, examples: int, steps: int) -> None:
    """Run a hypothesis state machine with `mem` as its attribute, a fresh one for each example."""
    taken = mem.module.snapshot()

    class Bound(machine):               # type: ignore[misc, valid-type]
        def teardown(self) -> None:
            try:
                super().teardown()
            finally:
                mem.stop()
                mem.module.restore(taken)

    Bound.mem = mem                     # type: ignore[attr-defined]
    run_state_machine_as_test(Bound, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck)))


def system(**options):
    """A fixture that yields a System, its state put back afterwards."""
    bound = host.fixture([*MEM, *LWKT, *EXTRA], **options)

    @pytest.fixture
    def made(built):
        found = System(built)
        yield found
        found.stop()
    return bound, made


built, mem = system(hooks=True, faults=True)
