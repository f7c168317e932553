# SPDX-License-Identifier: BSD-3-Clause
"""The console's command interpreter, until there is a user shell.

A line is a command and its words.  Commands from scripts/run --exec run first; their output
stands between STX and ETX, the last status follows, and the machine switches off.

Tests     tests/qemu/test_prompt.py
"""
from typing import Final

from kpy import Array, Never, Slice, Str, entries, kprintf, panic, u8, u32, u64

from kernel import console, machine
from kernel.bus import thread
from kernel.commands import args
from kernel.ddb import debugger
from kernel.lib import fmt, words

LINE_BYTES: Final = 256
SCRIPT_BYTES: Final = 4096
EXEC_FILE: Final[Slice[u8]] = b"opt/damselfly/exec"
BACKSPACE: Final = 8
NEWLINE: Final = 10
RETURN: Final = 13
STAR: Final = 42
DELETE: Final = 127
NOT_FOUND: Final[u32] = 127        # as a Unix shell has it

script: Array[u8, SCRIPT_BYTES]     # one prompt, one thread; a stack is small
line: Array[u8, LINE_BYTES]


def run() -> Never:
    """Run the commands handed in, if any; else read them from the console for good."""
    size = machine.read_file(EXEC_FILE, script)
    if size > 0:
        kprintf("\x02")
        status = run_script(script[:size])
        kprintf(f"\x03{status}\n")
        power_off(status)
    while True:
        kprintf("damselfly> ")
        command(line[:_read_line(line)])


def power_off(status: u32) -> Never:
    """Once no device is in use any more."""
    thread.shut_down()
    machine.power_off(status)


def run_script(text: Slice[u8]) -> u32:
    """Run the lines of `text`; the status of the last."""
    status: u32 = 0
    start: u64 = 0
    for i in range(len(text)):
        if text[i] == NEWLINE:
            status = command(text[start:i])
            start = i + 1
    return status


def command(typed: Slice[u8]) -> u32:
    """Run one line; its status, 0 for success.  After `time` it is said how long that took."""
    name, rest = words.split(typed)
    if name != b"time":
        return _run(name, rest)
    began = machine.cputimer_count()
    name, rest = words.split(rest)
    status = _run(name, rest)
    ticks = machine.cputimer_count() - began
    kprintf(f"{ticks * 1_000_000 // machine.cputimer_hz()} us\n")
    return status


def _run(name: Slice[u8], rest: Slice[u8]) -> u32:
    """Run a command with its arguments."""
    if len(name) == 0:
        return 0
    match name:
        case b"echo":
            kprintf(f"{rest}\n")
        case b"help":
            kprintf("echo TEXT, ddb, false, help, panic TEXT, poweroff, test NAME, "
                    "time COMMAND, true,\n")
            kprintf(debugger.SHOW_HELP)
            for entry in entries("command"):
                kprintf(f"{entry.name} ")
            kprintf("\n")
        case b"panic":
            panic(f"{rest}")
        case b"poweroff":
            power_off(0)
        case b"true":
            pass
        case b"false":
            return 1
        case b"ddb":
            debugger.breakpoint()
        case b"test":
            return _test(rest)
        case _:
            if args.run(name, rest):
                return args.status
            if debugger.show_command(name, rest):
                return 0
            kprintf(f"{name}: not a command; `help` lists them\n")
            return NOT_FOUND
    return 0


def _test(name: Slice[u8]) -> u32:
    """Run a test of the image, by its name; without one list them.  A test that fails panics."""
    found = False
    for entry in entries("guest_test"):
        if len(name) == 0:
            kprintf(f"{entry.name}\n")
        elif _matches(entry.name, name):
            found = True
            entry.function()
            kprintf(f"ok {entry.name}\n")
    if len(name) != 0 and not found:
        kprintf(f"no test {name} in this image; `test` lists them\n")
        return 1
    return 0


def _matches(name: Str, pattern: Slice[u8]) -> bool:
    """Whether `pattern` is the name, or a prefix followed by `*`."""
    stem = len(pattern) - 1
    if pattern[stem] == STAR:
        return stem <= len(name) and name[:stem] == pattern[:stem]
    return name == pattern


def _read_line(to: Slice[u8]) -> u64:
    """Read a line with echo and backspace; its length.  What does not fit is not taken."""
    used: u64 = 0
    while True:
        byte = console.read()
        if byte in (RETURN, NEWLINE):
            kprintf("\n")
            return used
        if byte in (BACKSPACE, DELETE):
            if used > 0:
                used -= 1
                kprintf("\b \b")
        elif used < len(to):
            to[used] = byte
            used += 1
            fmt.console_write(to[used - 1:used])

