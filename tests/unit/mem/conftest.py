# SPDX-License-Identifier: BSD-3-Clause
"""Kernel memory on the host: one build for all tests of the folder, with CPUs by turns."""
from __future__ import annotations

import pytest

from tests.unit.mem.fake import Machine
from toolchain import host

MEM = [f"kernel/mem/{name}.py" for name in (
    "page", "kva", "malloc_type", "kmalloc", "kmalloc_obj", "objcache", "threads")]
LWKT = [f"kernel/lwkt/{name}.py" for name in (
    "globaldata", "crit", "spin", "ipiq", "thread", "cpumask")]
EXTRA = ["kernel/machine/types.py", "kernel/mem/flags.py"]
MIB = 1 << 20


class System:
    """A host build with a machine behind it: `mem.kmalloc.kmalloc(...)`, `mem.machine`."""

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
              debug: bool = False, upto: str = "kmalloc") -> None:
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
        self.kmalloc.init(sum(size for _, size in machine.regions))
        machine.each(self.kmalloc.init_cpu)
        self.globals.__setattr__("kernel.mem.kmalloc.debug", debug)

    def type(self, name: str = "test", limit: int = 0):
        """A malloc type."""
        return self.module.MallocType(name=name, limit=limit)

    def var(self, name: str):
        """A variable by its module and name: mem.var("kva.arena")."""
        return getattr(self.globals, f"kernel.mem.{name}")


def system(**options):
    """A fixture that yields a System, its state put back afterwards."""
    bound = host.fixture([*MEM, *LWKT, *EXTRA], **options)

    @pytest.fixture
    def made(built):
        found = System(built)
        yield found
        if found.machine is not None:
            found.machine.close()
    return bound, made


built, mem = system(hooks=True, faults=True)
