# SPDX-License-Identifier: BSD-3-Clause
"""The NVMe driver on the host, with a controller in Python."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.dev.nvme.fake import BAR, BAR_BYTES, Controller, Machine
from toolchain import host

MIB = 1 << 20
FOLDERS = ("kernel/dev/nvme", "kernel/bus", "kernel/bus/pci", "kernel/mem")
FILES = [*(str(p) for f in FOLDERS for p in sorted(Path(f).glob("[a-z]*.py"))),
         "kernel/io/bio.py", "kernel/io/disk.py",
         *(f"kernel/lwkt/{n}.py" for n in ("globaldata", "crit", "spin", "ipiq", "thread")),
         "kernel/machine/types.py", "kernel/lib/queue.py"]
READ, WRITE, FLUSH, WRITE_ZEROES, FREEBLKS = range(5)

built = host.fixture(FILES, hooks=True, faults=True)


class Driver:
    """The driver, attached to a fake controller or about to be."""

    def __init__(self, module) -> None:
        self.mod = module
        self.machine = Machine([(1 * MIB, 127 * MIB)])
        self.part = {name: space for name, space in module.modules.items()}
        self.kept: list[object] = []
        self.lists: dict[int, list[int]] = {}
        self.ended = lambda b: self.lists[b.address].append(b.error)
        self.c = self.shared = None

    def __getattr__(self, name: str):
        for prefix in ("kernel.dev.nvme.", "kernel.bus.", "kernel.mem.", "kernel.io."):
            if prefix + name in self.part:
                return self.part[prefix + name]
        raise AttributeError(name)

    def start(self, cpus: int = 1, **options) -> Driver:
        """A machine with a controller of these `options`, and a device that stands for it."""
        machine = self.machine
        machine.controller = Controller(machine.ram, **options)
        machine.attach(self.mod, cpus)
        self.page.init(machine.region_list(), cpus)
        machine.each(self.page.init_cpu, cpus)
        self.kva.init()
        machine.each(self.kva.init_cpu)
        self.slab.init(127 * MIB)
        machine.each(self.slab.init_cpu)
        self.free_at_start = self.page.count_free()
        self.dev = self.mod.Device()
        self.dev.class_code = 0x010802
        self.dev.bars[0].base, self.dev.bars[0].size = BAR, BAR_BYTES
        for td in machine.threads:
            td.critcount = 1        # so that no thread is switched to
        return self

    @property
    def controller(self) -> Controller:
        return self.machine.controller

    def attach(self):
        """Bring the controller up; its structure."""
        self.part["kernel.dev.nvme.controller"].attach(self.dev)
        self.c = self.mod.at(self.mod.Controller, self.dev.soft)
        return self.c

    def detach(self) -> None:
        """What detach() of driver.py does, but for the thread; then what the kit does."""
        space = self.part["kernel.dev.nvme.controller"]
        space.stop(self.c)
        space.free(self.c)
        self.part["kernel.bus.driver"].release(self.dev)

    def disk(self, number: int = 0):
        item = self.c.namespaces.first
        for _ in range(number):
            item = item.link.next
        return item.dp

    def shared_pages(self):
        """A page that many requests may have."""
        if self.shared is None:
            self.shared = self.mod.array("PhysAddr", [self.page.addr(self.page.alloc(1))])
        return self.shared

    def keep(self, thing):
        """Have something live as long as this."""
        self.kept.append(thing)
        return thing

    def start_request(self, request, number: int = 0) -> None:
        self.part["kernel.io.disk"].strategy(self.disk(number), request)

    def poll(self) -> None:
        self.part["kernel.dev.nvme.controller"].poll(self.c)

    def look(self, seconds: int = 1) -> None:
        """Let the supervisor look so often."""
        for _ in range(seconds):
            self.part["kernel.dev.nvme.supervisor"].look(self.c)

    def pair(self, number: int = 0):
        return self.c.pairs[number]

    def bio(self, command: int, block: int, count: int, pages: int = 0, offset: int = 0):
        """A request, its data in new pages; `done` is a list that it is added to."""
        request = self.mod.Bio()
        done: list[int] = []
        self.part["kernel.io.bio"].init(request, command, block * 512, count * 512,
                                        self.ended, 0)
        self.lists[request.address] = done
        if pages:
            frames = [self.page.addr(self.page.alloc(1)) for _ in range(pages)]
            held = self.mod.array("PhysAddr", frames)
            self.kept.append(held)
            self.part["kernel.io.bio"].set_pages(request, held, offset)
        self.kept.append(request)
        return request, done


@pytest.fixture
def nvme(built):
    made = Driver(built)
    yield made
    made.machine.ram.close()
    made.machine.close()
