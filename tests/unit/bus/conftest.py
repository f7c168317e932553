# SPDX-License-Identifier: BSD-3-Clause
"""The bus on the host, with configuration spaces in Python."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.mem import fake
from toolchain import host

MIB = 1 << 20
FILES = [*(str(p) for f in ("kernel/bus", "kernel/bus/pci", "kernel/mem")
           for p in sorted(Path(f).glob("[a-z]*.py"))),
         *(f"kernel/lwkt/{n}.py" for n in ("globaldata", "crit", "spin", "ipiq", "thread")),
         "kernel/machine/types.py", "kernel/lib/queue.py"]

built = host.fixture(FILES, hooks=True, faults=True)


class Function:
    """A configuration space: bytes, and which bits of its base addresses can be set."""

    def __init__(self, vendor: int = 0x1234, device: int = 1, code: int = 0x020000,
                 header: int = 0) -> None:
        self.space = bytearray(256)
        self.masks: dict[int, int] = {}
        self.set(0, vendor, 2).set(2, device, 2).set(8, code << 8, 4).set(0xE, header, 1)

    def set(self, offset: int, value: int, size: int) -> Function:
        self.space[offset:offset + size] = value.to_bytes(size, "little")
        return self

    def bar(self, index: int, size: int, base: int = 0, flags: int = 0) -> Function:
        offset = 0x10 + 4 * index
        if size:
            self.masks[offset] = -size & 0xFFFF_FFF0 | flags
            self.set(offset, base & 0xFFFF_FFFF | flags, 4)
            if flags & 4:
                self.masks[offset + 4] = -size >> 32 & 0xFFFF_FFFF
                self.set(offset + 4, base >> 32, 4)
        return self

    def read(self, offset: int, size: int) -> int:
        return int.from_bytes(self.space[offset:offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        if 0x10 <= offset < 0x28 and not (self.space[0xE] & 0x7F and offset >= 0x18):
            mask = self.masks.get(offset, 0)
            value = value & mask | self.read(offset, 4) & 0xF if mask else 0
        self.set(offset, value, size)


def bridge(secondary: int, subordinate: int, memory: tuple[int, int] = (1, 0)) -> Function:
    """A bridge that passes on memory from memory[0] to memory[1], in MiB."""
    made = Function(code=0x060400, header=1)
    made.set(0x19, secondary, 1).set(0x1A, subordinate, 1)
    return made.set(0x20, memory[0] << 4, 2).set(0x22, memory[1] << 4, 2)


class Machine(fake.Machine):
    """Memory, one CPU, and functions by (bus, device, function)."""

    def __init__(self, regions) -> None:
        super().__init__(regions)
        self.functions: dict[tuple[int, int, int], Function] = {}
        self.now = 0
        self.waits = 0

    def pci_window(self, index: int) -> tuple[int, int, int]:
        return (0, 0, 15) if index == 0 else (0, 1, 0)

    def find(self, address) -> Function | None:
        return self.functions.get((address.BUS, address.DEVICE, address.FUNCTION))

    def pci_read(self, address, offset: int, size: int) -> int:
        found = self.find(address)
        return (1 << 8 * size) - 1 if found is None else found.read(offset, size)

    def pci_write(self, address, offset: int, size: int, value: int) -> None:
        found = self.find(address)
        if found is not None:
            found.write(offset, size, value)

    def cputimer_count(self) -> int:
        self.now += 1
        return self.now

    def between(self, number: int) -> None:
        self.waits += 1
        self.now += 10_000


class Bus:
    """`bus.scan`, `bus.driver`, `bus.devices()`."""

    def __init__(self, module) -> None:
        self.mod = module
        self.machine = Machine([(1 * MIB, 31 * MIB)])
        for name, space in module.modules.items():
            if name.startswith(("kernel.bus.", "kernel.mem.", "kernel.lwkt.")):
                setattr(self, name.rpartition(".")[2], space)
        self.machine.attach(module, 1)
        self.page.init(self.machine.region_list(), 1)
        self.machine.each(self.page.init_cpu, 1)
        self.kva.init()
        self.machine.each(self.kva.init_cpu)
        self.slab.init(31 * MIB)
        self.machine.each(self.slab.init_cpu)
        self.machine.threads[0].critcount = 1       # so that no thread is switched to

    def scan_all(self, **functions) -> list[tuple[int, int, int]]:
        """What is found of functions named as b0d4f1."""
        for name, function in functions.items():
            bus, rest = name[1:].split("d")
            device, _, number = rest.partition("f")
            self.machine.functions[int(bus), int(device), int(number or 0)] = function
        self.scan.everything()
        return [(d.address.BUS, d.address.DEVICE, d.address.FUNCTION) for d in self.devices()]

    def devices(self) -> list:
        found, item = [], self.mod.globals.devices.first
        while item is not None:
            found.append(item)
            item = item.link.next
        return found


@pytest.fixture
def bus(built):
    made = Bus(built)
    yield made
    made.machine.close()
