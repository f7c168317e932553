# SPDX-License-Identifier: BSD-3-Clause
"""The AHCI driver on the host, with an HBA in Python."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.dev.ahci.fake import BAR, BAR_BYTES, Disk, Hba, Machine
from toolchain import host

MIB = 1 << 20
FOLDERS = ("kernel/dev/ahci", "kernel/bus", "kernel/bus/pci", "kernel/mem")
FILES = [*(str(p) for f in FOLDERS for p in sorted(Path(f).glob("[a-z]*.py"))),
         "kernel/io/bio.py", "kernel/io/disk.py",
         *(f"kernel/lwkt/{n}.py" for n in ("globaldata", "crit", "spin", "ipiq", "thread")),
         "kernel/machine/types.py", "kernel/lib/queue.py"]
READ, WRITE, FLUSH, WRITE_ZEROES, FREEBLKS = range(5)
FUA = 1
DEAD = 4
ROUNDS = 200        # in which all that can happen has happened

built = host.fixture(FILES, hooks=True, faults=True)


class Driver:
    """The driver, attached to a fake HBA or about to be."""

    def __init__(self, module) -> None:
        self.mod = module
        self.machine = Machine([(1 * MIB, 127 * MIB)])
        self.part = dict(module.modules.items())
        self.kept: list[object] = []
        self.lists: dict[int, list[int]] = {}
        self.ended = lambda b: self.lists[b.address].append(b.error)
        self.shared = self.h = None

    def __getattr__(self, name: str):
        for prefix in ("kernel.dev.ahci.", "kernel.bus.", "kernel.mem.", "kernel.io."):
            if prefix + name in self.part:
                return self.part[prefix + name]
        raise AttributeError(name)

    def start(self, *devices: Disk | None, **options) -> Driver:
        """A machine with an HBA that has these devices, one disk if nothing is said."""
        machine = self.machine
        machine.controller = Hba(machine.ram, devices or (Disk(),), **options)
        machine.attach(self.mod, 1)
        self.page.init(machine.region_list(), 1)
        machine.each(self.page.init_cpu, 1)
        self.kva.init()
        machine.each(self.kva.init_cpu)
        self.slab.init(127 * MIB)
        machine.each(self.slab.init_cpu)
        self.dev = self.mod.Device()
        self.dev.class_code = 0x010601
        self.dev.bars[5].base, self.dev.bars[5].size = BAR, BAR_BYTES
        for td in machine.threads:
            td.critcount = 1        # so that no thread is switched to
        return self

    @property
    def fake(self) -> Hba:
        return self.machine.controller

    def again(self, *devices: Disk | None, **options) -> None:
        """Detach, if that was not done, and attach to another HBA."""
        if self.h is None:
            self.start(*devices, **options)
        else:
            self.detach()
            self.machine.controller = Hba(self.machine.ram, devices, **options)
        self.attach()

    def attach(self):
        """What attach() of driver.py does, but for the threads."""
        self.hba.attach(self.dev)
        self.h = self.mod.at(self.mod.Hba, self.dev.soft)
        for port in self.ports():
            self.recovery.probe(port)
        for port in self.ports():
            self.recovery.announce(port)
        return self.h

    def detach(self) -> None:
        """What detach() of driver.py does, but for the threads; then what the kit does."""
        self.hba.stop(self.h)
        self.hba.free(self.h)
        self.part["kernel.bus.driver"].release(self.dev)

    def ports(self):
        return [port for port in self.h.ports if port is not None]

    def disk(self, number: int = 0):
        return self.h.ports[number].dp

    # ---- what happens by itself in a kernel

    def work(self, rounds: int = ROUNDS) -> None:
        """Serve interrupts, and let the ports' threads attend to what those were about."""
        if self.fake.gone:
            self.hba.serve(self.h)      # a message that was on its way
        for _ in range(rounds):
            if self.fake.pending() and not self.fake.gone:
                self.hba.serve(self.h)
            busy = [port for port in self.ports() if port.events]
            for port in busy:
                self.recovery.attend(port)
            if not busy and (not self.fake.pending() or self.fake.gone):
                return
        raise AssertionError("it does not come to rest")

    def look(self, seconds: int = 1) -> None:
        """Let so many seconds pass."""
        for _ in range(seconds):
            for port in self.ports():
                self.recovery.look(port)
            self.work()

    # ---- requests

    def shared_pages(self):
        """A page that many requests may have."""
        if self.shared is None:
            self.shared = self.mod.array("PhysAddr", [self.page.addr(self.page.alloc(1))])
        return self.shared

    def bio(self, command: int, block: int, count: int, pages: int = 0, offset: int = 0,
            size: int = 512):
        """A request, its data in new pages or in the shared one; the list its error is added to."""
        request = self.mod.Bio()
        done: list[int] = []
        space = self.part["kernel.io.bio"]
        space.init(request, command, block * size, count * size, self.ended, 0)
        self.lists[request.address] = done
        if pages:
            frames = [self.page.addr(self.page.alloc(1)) for _ in range(pages)]
            held = self.mod.array("PhysAddr", frames)
            self.kept.append(held)
            space.set_pages(request, held, offset)
        elif command in (READ, WRITE):
            space.set_pages(request, self.shared_pages(), offset)
        self.kept.append(request)
        return request, done

    def submit(self, request, number: int = 0) -> None:
        self.part["kernel.io.disk"].strategy(self.disk(number), request)

    def ask(self, command: int, block: int, count: int = 1, number: int = 0, **more) -> list[int]:
        """Make and start a request; the list its error is added to."""
        request, done = self.bio(command, block, count, **more)
        self.submit(request, number)
        return done


@pytest.fixture
def ahci(built):
    made = Driver(built)
    yield made
    made.machine.ram.close()
    made.machine.close()
