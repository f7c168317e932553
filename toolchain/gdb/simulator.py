# SPDX-License-Identifier: BSD-3-Clause
"""Commands for gdb on the simulator: `scripts/replay NAME SEED --gdb` sources this file.

    vcpus       each virtual CPU: its state, the thread it runs, where it is
    vcpu N      look at CPU N: from here on `bt`, `frame`, `info locals` show its stack
    vcpu        the one that runs again
    vstep [N]   go on by a step of the run, or by N

A virtual CPU that does not run is a saved stack pointer in toolchain/sim/core.c.  `vcpu N` writes
no register: an unwinder says that the innermost frame was called from there, so that `continue`
and `next` go on with the CPU that runs, as ever.  `bt` leaves the frames of core.c out;
`bt -no-filters` shows them.  The commands of helpers.py work too: `lwkt threads`, `tokens`, `ipiq`.

Tests  tests/sim/test_gdb.py
"""
from __future__ import annotations

import linecache
from collections.abc import Iterator
from pathlib import Path

import gdb
from gdb.unwinder import Unwinder, register_unwinder

STOP, CORE, LIBRARY = "sim_stopped", "toolchain/sim/core.c", "code.so"
SAVED = ("r15", "r14", "r13", "r12", "rbx", "rbp")      # what sim_swap() pushed, lowest first
WORD = 8
STATES = ("off", "runs", "pauses", "halts")


def core() -> gdb.Value:
    """The state of the simulator: of the scenario's own copy of the library, as core.c's code in it
    came by."""
    found = library and library.lookup_static_symbol("S")
    if not found:
        raise gdb.GdbError("the simulator has not stopped at a step yet")
    return found.value()


def running() -> int:
    """The virtual CPU that runs; -1 outside of a run."""
    state = core()
    if int(state["cur"]) == 0:
        return -1
    return (int(state["cur"]) - int(state["cpus"].address)) // state["cpus"][0].type.sizeof


class Elsewhere(Unwinder):
    """Has the innermost frame be called from where the CPU that is looked at stands."""

    def __init__(self) -> None:
        super().__init__("virtual CPU")
        self.cpu: int | None = None
        self.stack = 0                          # where the innermost frame is

    def look_at(self, cpu: int | None) -> None:
        """Show the stack of `cpu`, or the true one with None."""
        self.cpu = None
        gdb.invalidate_cached_frames()
        if cpu is not None:
            self.stack = int(gdb.newest_frame().read_register("rsp"))
            self.cpu = cpu
            gdb.invalidate_cached_frames()

    def __call__(self, pending: gdb.PendingFrame) -> gdb.UnwindInfo | None:
        if self.cpu is None or int(pending.read_register("rsp")) != self.stack:
            return None
        sp = core()["cpus"][self.cpu]["sp"]
        words = sp.cast(gdb.lookup_type("unsigned long").pointer())
        info = pending.create_unwind_info(_FrameId(sp, pending.read_register("rip")))
        for number, name in enumerate((*SAVED, "rip")):
            info.add_saved_register(name, words[number])
        info.add_saved_register("rsp", (words + len(SAVED) + 1).cast(words.type))
        return info


class _FrameId:
    """Of a frame that claims to lie on the other stack: so the next is outside of it."""

    def __init__(self, sp: gdb.Value, pc: gdb.Value) -> None:
        self.sp, self.pc = sp, pc


class WithoutCore:
    """A backtrace of kernel code alone."""

    def __init__(self) -> None:
        self.name, self.priority, self.enabled = "simulator", 100, True
        gdb.frame_filters[self.name] = self

    def filter(self, frames: Iterator) -> Iterator:
        return (frame for frame in frames
                if frame.address() and not (frame.filename() or "").endswith(CORE))


elsewhere = Elsewhere()
library: gdb.Objfile | None = None
register_unwinder(None, elsewhere, replace=True)


def frame_of(cpu: int) -> gdb.Frame:
    """The innermost frame of kernel code of a CPU, with `elsewhere` looking there."""
    elsewhere.look_at(None if cpu == running() else cpu)
    frame: gdb.Frame | None = gdb.newest_frame()
    while frame is not None and not is_kpy(frame):
        frame = frame.older()
    if frame is None:
        raise gdb.GdbError(f"CPU {cpu} is in no kernel code")
    return frame


def is_kpy(frame: gdb.Frame) -> bool:
    table = frame.find_sal().symtab
    return table is not None and table.filename.endswith(".py")


def line_of(frame: gdb.Frame) -> str:
    """`function file:line  source`."""
    sal = frame.find_sal()
    source = linecache.getline(sal.symtab.fullname(), sal.line).strip()
    return f"{frame.name()} {sal.symtab.filename}:{sal.line}  {source}"


def thread_of(cpu: int) -> str:
    """The thread that a CPU runs."""
    td = gdb.parse_and_eval(f"'kernel/lwkt/globaldata.py'::cpus[{cpu}]")["curthread"]
    low, high = td["name"].type.range()
    name = bytes(int(td["name"][i]) for i in range(low, high + 1)).split(b"\0")[0].decode()
    return f"{name} {int(td):#x}"


class Vcpus(gdb.Command):
    """vcpus: each virtual CPU, its thread, and where it is; `*` is the one that runs."""

    def __init__(self) -> None:
        super().__init__("vcpus", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        state = core()
        before, selected = elsewhere.cpu, gdb.selected_frame().level()
        try:
            for cpu in range(int(state["count"])):
                c = state["cpus"][cpu]
                waits = ", something pending" if int(c["ipi"]) or any(
                    int(c["vectors"][i]) for i in range(3)) else ""
                print(f"{'*' if cpu == running() else ' '} {cpu}  {STATES[int(c['state'])]}, "
                      f"interrupts {'on' if int(c['takes']) else 'off'}{waits}, "
                      f"{thread_of(cpu)}, at {line_of(frame_of(cpu))}")
        finally:
            elsewhere.look_at(before)
            select(selected)


class Vcpu(gdb.Command):
    """vcpu N: look at the stack of a virtual CPU; without a number at that of the one that runs."""

    def __init__(self) -> None:
        super().__init__("vcpu", gdb.COMMAND_STACK)

    def invoke(self, argument: str, from_tty: bool) -> None:
        count = int(core()["count"])
        wanted = argument.strip() or str(running())
        if not wanted.isdigit() or int(wanted) >= count:
            raise gdb.GdbError(f"there is no CPU `{wanted}`; `vcpus` lists them")
        frame = frame_of(int(wanted))
        frame.select()
        print(f"CPU {wanted}, {thread_of(int(wanted))}, at {line_of(frame)}")


class Vstep(gdb.Command):
    """vstep [N]: go on to the next step of the run, or by N steps."""

    def __init__(self) -> None:
        super().__init__("vstep", gdb.COMMAND_RUNNING)

    def invoke(self, argument: str, from_tty: bool) -> None:
        state = core()
        wanted = int(state["traced"]) + int(gdb.parse_and_eval(argument or "1"))
        data = wanted.to_bytes(state["stop"].type.sizeof, "little")
        gdb.selected_inferior().write_memory(int(state["stop"].address), data)
        gdb.execute("continue")


def select(level: int) -> None:
    frame: gdb.Frame | None = gdb.newest_frame()
    for _ in range(level):
        frame = frame and frame.older()
    if frame is not None:
        frame.select()


class Stop(gdb.Breakpoint):
    """Where core.c comes by in the step that was asked for; shows the kernel code there."""

    def __init__(self) -> None:
        super().__init__(STOP, internal=True)
        self.silent = True


def loaded(event: gdb.NewObjFileEvent) -> None:
    """The first library of a scenario is here: stop in all of them."""
    if Path(event.new_objfile.filename).name == LIBRARY:
        gdb.events.new_objfile.disconnect(loaded)
        Stop()


def stopped(event: gdb.StopEvent) -> None:
    """Look at the CPU that runs, and show where it is."""
    global library  # noqa: PLW0603
    elsewhere.cpu = None
    if isinstance(event, gdb.BreakpointEvent) and any(
            isinstance(b, Stop) for b in event.breakpoints):
        library = gdb.lookup_objfile(gdb.solib_name(gdb.newest_frame().pc()))
        at = int(core()["traced"]) - 1
        frame = frame_of(running())
        frame.select()
        print(f"step {at}: CPU {running()}, {thread_of(running())}, at {line_of(frame)}")


for command in ("set print thread-events off", "set print inferior-events off",
                "set pagination off", "set confirm off", "set debuginfod enabled off",
                "handle SIGSEGV nostop noprint pass"):      # the core notes first writes so
    gdb.execute(command, to_string=True)
gdb.execute("set width 0")                  # to_string would put it back
WithoutCore()
Vcpus()
Vcpu()
Vstep()
gdb.events.new_objfile.connect(loaded)
gdb.events.stop.connect(stopped)
print("vcpus, vcpu N, vstep: the simulator's CPUs; lwkt threads, tokens, ipiq: see help lwkt")
