# SPDX-License-Identifier: BSD-3-Clause
"""A machine for the tests of kernel/lwkt: CPUs by turns, a clock that the test moves.

Nothing happens by itself: a doorbell that was rung waits until the test lets the CPU hear it, a
timer until the test lets its time come.  Each CPU runs its idle thread, or a thread of the test's
that never leaves its stack: what has to be switched is for tests/sim.
"""
from __future__ import annotations

HZ = 1_000_000


class Cpu:
    """What a test sees of one CPU."""

    def __init__(self, number: int, offset: int) -> None:
        self.number, self.offset = number, offset
        self.rung = 0                       # doorbells not heard yet
        self.deadline: int | None = None    # of its timer
        self.enabled = False
        self.unmasked: list[int] = []


class Nucleus:
    """The booted nucleus: `core.token.gettoken(...)`, `core.gd`, `core.on(1)`."""

    def __init__(self, module) -> None:
        self.mod = module
        for name, space in module.modules.items():
            setattr(self, name.rpartition(".")[2], space)
        self.now = 0

    def boot(self, cpus: int = 1) -> None:
        """Boot `cpus` CPUs; CPU 0 goes on."""
        mod = self.mod
        mod.provide({symbol: getattr(self, up.name) for symbol, up in mod.needed.items()
                     if not symbol.startswith("kpy.hook.ktr")
                     and callable(getattr(self, up.name, None))})
        offsets = [0] + [mod.percpu_copy() for _ in range(cpus - 1)]
        self.cpus = [Cpu(n, offset) for n, offset in enumerate(offsets)]
        mod.globals.ncpus = cpus
        mod.globals.cpu_limit = cpus
        size = self.start.area_bytes(cpus)
        self.areas = [mod.array("u8", size + 64) for _ in range(cpus)]
        for cpu, area in zip(self.cpus, self.areas, strict=True):
            self.start.prepare(cpu.number, cpus, (area[0:].address + 63) // 64 * 64)
        for cpu in self.cpus:
            self.on(cpu.number)
            self.start.init_cpu(cpu.number)
            self.gd.ktr.mask = 0
            cpu.enabled = True
        self.on(0)

    def on(self, number: int):
        """Run as CPU `number` from here on; its Globaldata."""
        self.current = self.cpus[number]
        self.mod.percpu_offset = self.current.offset
        return self.gd

    @property
    def gd(self):
        """The current CPU's Globaldata."""
        return self.mod.globals.gd

    def find(self, cpu: int):
        """The Globaldata of a CPU, as others see it."""
        return self.globaldata.find(cpu)

    def new_thread(self, cpu: int = 0, name: bytes = b"test", pri: int = 12):
        """A thread of `cpu`, runnable nowhere yet, with a stack that nobody will stand on."""
        td = self.mod.Thread()
        stack = self.mod.array("u8", 4096)
        td.stack_base = (stack[0:].address + 15) // 16 * 16
        td.stack_size = 4000 // 16 * 16
        self.sched.init_thread(td, name, self.find(cpu), 12, self.begin, 0)
        td.pri = pri
        td.critcount = 0
        return td

    def begin(self, argument: int) -> None:
        raise AssertionError("a thread of the test was really switched to")

    def run(self, td):
        """Have `td` be the thread that runs on its CPU."""
        self.on(td.gd.cpuid)
        self.gd.curthread = td
        td.flags |= self.mod.ThreadFlag.RUNNING
        return td

    # ---- events

    def hear(self, number: int) -> None:
        """Let a CPU hear its doorbell."""
        before = self.current.number
        self.on(number)
        self.current.rung = 0
        self.interrupted(self.intr.ipi_arrived, self.mod.Frame())
        self.on(before)

    def hear_all(self) -> None:
        """Let every CPU hear, until none has anything to hear."""
        while any(cpu.rung for cpu in self.cpus):
            for cpu in self.cpus:
                if cpu.rung:
                    self.hear(cpu.number)

    def interrupted(self, upcall, *arguments) -> None:
        """What an interrupt does: off, the upcall, on again."""
        self.current.enabled = False
        upcall(*arguments)
        self.current.enabled = True
        if self.gd.curthread == self.gd.idlethread:
            self.splz.splz_check()          # the idle loop's next step

    def pass_time(self, ticks: int) -> None:
        """Let so much time go by, with the interrupts of all timers in it."""
        end = self.now + ticks
        while True:
            due = [c for c in self.cpus if c.deadline is not None and c.deadline <= end]
            if not due:
                break
            first = min(due, key=lambda c: c.deadline)
            self.now = max(self.now, first.deadline)
            first.deadline = None
            before = self.current.number
            self.on(first.number)
            self.interrupted(self.intr.timer_expired, self.mod.Frame())
            self.on(before)
        self.now = end

    # ---- the contract

    def cputimer_count(self) -> int:
        return self.now

    def cputimer_hz(self) -> int:
        return HZ

    def cputimer_arm(self, ticks: int) -> None:
        assert ticks >= 1
        self.current.deadline = self.now + ticks

    def ipi_send(self, cpu: int) -> None:
        self.cpus[cpu].rung += 1

    def intr_enable(self) -> None:
        self.current.enabled = True

    def intr_disable(self) -> None:
        self.current.enabled = False

    def intr_enabled(self) -> bool:
        return self.current.enabled

    def intr_unmask(self, cpu: int, vector: int) -> None:
        self.cpus[cpu].unmasked.append(vector)

    def idle_halt(self) -> None:
        raise AssertionError("the idle loop is for tests/sim")

    def command_line(self) -> bytes:
        return b""

    def cpu_ready(self) -> None:
        pass

    def cpu_init(self, cpu: int) -> None:
        pass

    def thread_alloc(self):
        td = self.mod.Thread()
        stack = self.mod.array("u8", 4096)
        td.stack_base = (stack[0:].address + 15) // 16 * 16
        td.stack_size = 4000 // 16 * 16
        return td

    def thread_free(self, td) -> None:
        pass


def walk(queue, link="link"):
    """The items of a queue, after checking that it reads the same backwards."""
    found, item = [], queue.first
    while item is not None:
        found.append(item)
        item = getattr(item, link).next
    backwards, item = [], queue.last
    while item is not None:
        backwards.append(item)
        item = getattr(item, link).prev
    assert found == backwards[::-1]
    return found
