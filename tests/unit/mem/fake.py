# SPDX-License-Identifier: BSD-3-Clause
"""A machine for the tests of kernel/mem: memory that is really mapped, and CPUs by turns.

Physical memory is a sparse file; the physmap is a mapping of all of it, kernel_space() a range of
addresses in which pmap_enter() maps pages of the file.  So compiled code that reads an unmapped
page faults here too.  Each CPU has its TLB, a set of pages, for tests to compare.
"""
from __future__ import annotations

import ctypes
import itertools
import os

PAGE = 4096
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                       ctypes.c_long]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_READ, _WRITE = 1, 2
_SHARED, _PRIVATE, _FIXED, _ANONYMOUS, _NORESERVE = 1, 2, 0x10, 0x20, 0x4000
_WASTE = 2 << 20


def _mmap(address: int, size: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    found = _LIBC.mmap(address, size, prot, flags, fd, offset)
    if found in {None, ctypes.c_void_p(-1).value}:
        raise OSError(ctypes.get_errno(), "mmap")
    return found


class Cpu:
    """What a test sees of one CPU."""

    def __init__(self, number: int, offset: int) -> None:
        self.number, self.offset = number, offset
        self.rung = 0                   # doorbells


class Machine:
    """Provides the machine's contract, and what lwkt does with other CPUs."""

    def __init__(self, regions: list[tuple[int, int]], space: int = 64 << 20) -> None:
        self.regions = regions
        top = max(base + size for base, size in regions)
        self.file = os.memfd_create("ram")
        os.ftruncate(self.file, top)
        self.top = top
        self.physmap = _mmap(0, top, _READ | _WRITE, _SHARED | _NORESERVE, self.file)
        self.reserved = _mmap(0, space + _WASTE, 0, _PRIVATE | _ANONYMOUS | _NORESERVE)
        self.space = (self.reserved + _WASTE - 1) // _WASTE * _WASTE
        self.space_size = space
        self.mapped: dict[int, int] = {}
        self.invalidations: list[tuple[int, int, int]] = []
        self.clock = itertools.count()
        self.refuse_tables = False
        self.sleeps = 0

    def close(self) -> None:
        """Give the host its memory back."""
        _LIBC.munmap(self.physmap, self.top)
        _LIBC.munmap(self.reserved, self.space_size + _WASTE)
        os.close(self.file)

    # ---- the contract

    def phys_to_virt(self, pa: int) -> int:
        return self.physmap + pa

    def virt_to_phys(self, va: int) -> int:
        assert self.physmap <= va < self.physmap + self.top, f"{va:#x} is not in the physmap"
        return va - self.physmap

    def kernel_space(self) -> tuple[int, int]:
        return self.space, self.space_size

    def pmap_enter(self, va: int, pa: int, prot: int) -> bool:
        assert va % PAGE == 0 and pa % PAGE == 0
        assert self.space <= va < self.space + self.space_size and va not in self.mapped
        if self.refuse_tables:
            return False
        self.mapped[va] = pa
        _mmap(va, PAGE, _READ | (_WRITE if int(prot) & 1 else 0), _SHARED | _FIXED, self.file, pa)
        return True

    def pmap_remove(self, va: int) -> int:
        if va not in self.mapped:
            return 0
        _mmap(va, PAGE, 0, _PRIVATE | _ANONYMOUS | _NORESERVE | _FIXED)
        return self.mapped.pop(va)

    def pmap_extract(self, va: int) -> int:
        if self.physmap <= va < self.physmap + self.top:
            return va - self.physmap
        page = self.mapped.get(va & -PAGE)
        return 0 if page is None else page + va % PAGE

    def pmap_invalidate(self, va: int, pages: int) -> None:
        self.invalidations.append((self.current.number, va, pages))

    def cputimer_count(self) -> int:
        return next(self.clock)

    def cputimer_hz(self) -> int:
        return 1_000_000

    # ---- the CPUs

    def attach(self, module, cpus: int = 1) -> None:
        """Give `module` its CPUs, each with a thread that runs."""
        self.module = module
        self.core = module.modules["kernel.lwkt.globaldata"]
        self.ipiq = module.modules["kernel.lwkt.ipiq"]
        offsets = [0] + [module.percpu_copy() for _ in range(cpus - 1)]
        self.cpus = [Cpu(n, offset) for n, offset in enumerate(offsets)]
        self.threads = []
        module.provide({symbol: getattr(self, up.name) for symbol, up in module.needed.items()
                        if up.name != "on"          # ktr's: ours is another
                        and callable(getattr(self, up.name, None))})
        module.globals.ncpus = module.globals.cpu_limit = cpus
        for cpu in self.cpus:
            self.on(cpu.number)
            self.core.init(cpu.number)
            td = module.Thread()
            self.threads.append(td)
            gd = module.globals.gd
            gd.curthread = td
            td.gd = gd.self
            queues, slots = module.array(module.Ipiq, cpus), module.array(module.IpiMessage,
                                                                          cpus * 256)
            self.ipiq.init(queues, slots[0], 256)
            gd.ipiq = queues
        self.on(0)

    def on(self, number: int) -> None:
        """Run as CPU `number` from here on."""
        self.current = self.cpus[number]
        self.module.percpu_offset = self.current.offset

    def each(self, function, *arguments):
        """Call function(cpu, ...) on every CPU."""
        for cpu in self.cpus:
            self.on(cpu.number)
            function(cpu.number, *arguments)
        self.on(0)

    def region_list(self):
        """memory_regions(), as the module's structs."""
        made = self.module.array(self.module.Region, len(self.regions))
        for region, (base, size) in zip(made, self.regions, strict=True):
            region.base, region.size, region.kind = base, size, 1
        return made

    def ipi_send(self, cpu: int) -> None:
        """The doorbell of a CPU: it looks at once, as a real one would between two instructions."""
        self.cpus[cpu].rung += 1
        self.poll(cpu)

    def poll(self, number: int) -> None:
        """Let CPU `number` execute its messages."""
        before = self.current.number
        self.on(number)
        td = self.module.globals.gd.curthread
        td.critcount += 1
        self.ipiq.process(0)
        td.critcount -= 1
        self.on(before)

    def poll_all(self) -> None:
        for cpu in self.cpus:
            self.poll(cpu.number)

    def waiting(self, number: int) -> bool:
        """Whether messages wait for CPU `number`."""
        self.on(number)
        found = any(self.module.globals.gd.ipimask.words)
        self.on(0)
        return found

    def intr_enabled(self) -> bool:
        return True

    def intr_enable(self) -> None:
        pass

    def intr_disable(self) -> None:
        pass

    # ---- sleeping: the test says what happens meanwhile (builds with hooks)

    def wait(self, pages, wmesg) -> None:
        """page.wait()."""
        self.sleeps += 1
        self.while_asleep()

    def while_asleep(self) -> None:
        raise AssertionError("nobody will wake us")
