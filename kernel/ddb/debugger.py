# SPDX-License-Identifier: BSD-3-Clause
"""Stopping the machine, and reading commands.

One CPU owns the debugger; all others are stopped by an NMI, wherever they are, and wait until it
lets go.  Nothing here allocates, locks or switches: it works at any depth of failure.

Invariants
  D1  `owner` is the CPU that has the debugger, plus one; 0: nobody.
  D2  A stopped CPU touches nothing but its slot in `stopped` and `resume`.
  D3  A panic inside the debugger ends the machine.
Tests     tests/qemu/test_ddb.py, tests/qemu/test_panic.py
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Never,
    Ptr,
    Slice,
    asm,
    cold,
    frame_address,
    implements,
    kprintf,
    noinline,
    pause,
    return_address,
    u8,
    u32,
    u64,
)

from kernel import machine
from kernel.ddb import backtrace, show
from kernel.lib import fmt, words
from kernel.lwkt import globaldata, ktr
from kernel.lwkt.globaldata import curthread, find, gd
from kernel.machine import upcalls
from kernel.machine.types import MAX_CPUS, Frame

UNSAFE: Final = True     # frames are named by their addresses

STATUS_PANIC: Final[u32] = 70
STOP_SPINS: Final = 20_000_000      # how long to wait for a CPU that does not stop
LINE_BYTES: Final = 128
BACKSPACE: Final = 8
NEWLINE: Final = 10
RETURN: Final = 13
DELETE: Final = 127
NO_BYTE: Final = 0x100

owner: Atomic[u32]                                      # [a] D1
resume: Atomic[u32]                                     # [a] counts how often CPUs were let go
stopped: Array[Ptr[Frame] | None, MAX_CPUS]             # where each stopped CPU was
interactive: bool = True                                # [I] False: a panic ends the machine


@noinline
def breakpoint() -> None:
    """Enter the debugger here."""
    asm("int3")


@cold
def enter(frame: Ptr[Frame]) -> None:
    """Stop all other CPUs, read commands until `continue`.  Interrupts off."""
    if not _own():
        return
    kprintf(f"\nddb: cpu {gd.cpuid}, thread {show.name_of(curthread())}; "
            f"`help` lists the commands\n")
    backtrace.show_address(frame.rip)
    _stop_others()
    stopped[gd.cpuid] = frame
    _commands(frame)
    _let_go()


@implements(fmt.stop)
@cold
def stop() -> Never:
    """A panic's message is printed: show where all CPUs are, and end or debug."""
    machine.intr_disable()
    gd.panicked = 1
    if not _own():
        if owner.load() == gd.cpuid + 1:
            kprintf("panic inside the debugger: that is the end\n")     # D3
            machine.power_off(STATUS_PANIC)
        machine.halt()
    kprintf(f"cpu {gd.cpuid}, thread {show.name_of(curthread())}\n")
    backtrace.here(u64(return_address()) - 1, u64(frame_address()))
    _stop_others()
    for cpu in globaldata.numbers():
        frame = stopped[cpu]
        if frame is not None:
            kprintf(f"cpu {cpu}, thread {show.name_of(find(cpu).curthread)}\n")
            backtrace.frame(frame)
    if interactive:
        made = Frame(rip=u64(return_address()), rbp=u64(frame_address()))
        _commands(made)
    machine.power_off(STATUS_PANIC)


@implements(upcalls.cpu_stopped)
def cpu_stopped(frame: Ptr[Frame]) -> None:
    """On each other CPU: wait here."""
    seen = resume.load()
    stopped[gd.cpuid] = frame
    while resume.load_acquire() == seen:
        pause()
    stopped[gd.cpuid] = None


def _own() -> bool:
    return owner.cas(0, gd.cpuid + 1)


def _stop_others() -> None:
    if globaldata.ncpus == 1:
        return
    machine.ipi_stop_others()
    for cpu in globaldata.numbers():
        spins: u64 = 0
        while cpu != gd.cpuid and stopped[cpu] is None:
            pause()
            spins += 1
            if spins == STOP_SPINS:
                kprintf(f"cpu {cpu} does not stop\n")
                break


def _let_go() -> None:
    stopped[gd.cpuid] = None
    resume.add(1)
    owner.store(0)


def _commands(frame: Ptr[Frame]) -> None:
    """Read and execute commands until `continue`."""
    line: Array[u8, LINE_BYTES]
    cpu = gd.cpuid
    while True:
        kprintf(f"ddb:{cpu}> ")
        command, rest = words.split(line[:_read_line(line)])
        match command:
            case b"":
                pass
            case b"continue" | b"c":
                return
            case b"cpu":
                number, ok = words.number(rest)
                if ok and globaldata.runs(number):
                    cpu = u32(number)
                else:
                    kprintf(f"there are CPUs 0 to {globaldata.cpu_limit - 1}\n")
            case b"trace" | b"bt":
                _trace(frame, cpu, rest)
            case b"registers":
                where = stopped[cpu]
                registers(frame if where is None else where)
            case b"poweroff":
                machine.power_off(0)
            case _:
                if not show_command(command, rest):
                    kprintf("continue, cpu N, trace [THREAD], registers, poweroff,\n")
                    kprintf(SHOW_HELP)


SHOW_HELP: Final = ("ps, show tokens|ipiq|slab|msgport|counters|interrupts, ktr [CPU [N]], "
                    "ktr on|off|clear|mask M, examine ADDRESS [WORDS], symbol ADDRESS\n")


def show_command(command: Slice[u8], rest: Slice[u8]) -> bool:
    """The commands that the debugger and the prompt share; False for any other."""
    first, more = words.split(rest)
    match command:
        case b"ps":
            show.ps()
        case b"show":
            return _show(first)
        case b"ktr":
            _ktr(first, more)
        case b"examine":
            address, ok = words.number(first)
            count, given = words.number(more)
            if not ok:
                kprintf("examine ADDRESS [WORDS]\n")
            else:
                show.examine(address, count if given else 8)
        case b"symbol":
            address, ok = words.number(first)
            if ok:
                backtrace.show_address(address)
        case _:
            return False
    return True


def _ktr(what: Slice[u8], more: Slice[u8]) -> None:
    """Show a CPU's trace ring, or say what all rings are to hold."""
    number, ok = words.number(more)
    match what:
        case b"on":
            _ktr_mask(ktr.USUAL)
        case b"off":
            _ktr_mask(0)
        case b"mask":
            if ok and number <= ktr.EVERY:
                _ktr_mask(u32(number))
            else:
                kprintf(f"ktr mask M: bit n for class n, up to {ktr.EVERY:#x}\n")
        case b"clear":
            for cpu in globaldata.numbers():
                find(cpu).ktr.cleared = find(cpu).ktr.index.load()
        case _:
            which, given = words.number(what)
            if not given or not globaldata.runs(which):
                which = 0
            show.trace(u32(which), number if ok else 20)


def _ktr_mask(mask: u32) -> None:
    for cpu in globaldata.numbers():
        find(cpu).ktr.mask = mask


def _show(what: Slice[u8]) -> bool:
    match what:
        case b"tokens":
            show.tokens()
        case b"ipiq":
            show.ipiqs()
        case b"msgport":
            show.msgports()
        case b"slab":
            show.slabs()
        case b"counters":
            show.counters()
        case b"interrupts":
            show.interrupts()
        case _:
            return False
    return True


def _trace(frame: Ptr[Frame], cpu: u32, rest: Slice[u8]) -> None:
    """The stack of a thread by its address, else of what the chosen CPU was doing."""
    address, ok = words.number(rest)
    if ok:
        td = show.thread_at(address)
        if td is None:
            kprintf(f"there is no thread at {address:#x}; `ps` lists them\n")
        else:
            backtrace.thread(td)
        return
    where = stopped[cpu]
    backtrace.frame(frame if where is None else where)


def registers(frame: Ptr[Frame]) -> None:
    """All registers of interrupted code."""
    kprintf(f"  rax {frame.rax:016x}  rbx {frame.rbx:016x}  rcx {frame.rcx:016x}\n"
            f"  rdx {frame.rdx:016x}  rsi {frame.rsi:016x}  rdi {frame.rdi:016x}\n"
            f"  rbp {frame.rbp:016x}  rsp {frame.rsp:016x}  r8  {frame.r8:016x}\n"
            f"  r9  {frame.r9:016x}  r10 {frame.r10:016x}  r11 {frame.r11:016x}\n"
            f"  r12 {frame.r12:016x}  r13 {frame.r13:016x}  r14 {frame.r14:016x}\n"
            f"  r15 {frame.r15:016x}  rip {frame.rip:016x}  rflags {frame.rflags:#x}\n")


def _read_line(to: Slice[u8]) -> u64:
    """Read a line from the device itself; its length."""
    used: u64 = 0
    while True:
        byte = machine.console_read_polled()
        if byte == NO_BYTE:
            pause()
        elif byte in (RETURN, NEWLINE):
            kprintf("\n")
            return used
        elif byte in (BACKSPACE, DELETE):
            if used > 0:
                used -= 1
                kprintf("\b \b")
        elif used < len(to):
            to[used] = u8(byte)
            used += 1
            fmt.console_write(to[used - 1:used])
