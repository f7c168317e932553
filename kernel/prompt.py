# SPDX-License-Identifier: BSD-3-Clause
"""The console's command interpreter, until there is a user shell.

A line is a command and its words.  Commands from scripts/run --exec run first; their output
stands between STX and ETX, the last status follows, and the machine switches off.

Tests     tests/qemu/test_prompt.py
"""
from typing import Final

from kpy import Array, Never, Slice, kprintf, panic, pause, u8, u32, u64

from kernel import machine
from kernel.lib import fmt

LINE_BYTES: Final = 256
SCRIPT_BYTES: Final = 4096
EXEC_FILE: Final[Slice[u8]] = b"opt/damselfly/exec"
BACKSPACE: Final = 8
NEWLINE: Final = 10
RETURN: Final = 13
SPACE: Final = 32
DELETE: Final = 127
NOT_FOUND: Final[u32] = 127        # as a Unix shell has it


def run() -> Never:
    """Run the commands handed in, if any; else read them from the console for good."""
    script: Array[u8, SCRIPT_BYTES]
    size = machine.read_file(EXEC_FILE, script)
    if size > 0:
        kprintf("\x02")
        status = run_script(script[:size])
        kprintf(f"\x03{status}\n")
        machine.power_off(status)
    line: Array[u8, LINE_BYTES]
    while True:
        kprintf("damselfly> ")
        command(line[:_read_line(line)])


def run_script(script: Slice[u8]) -> u32:
    """Run the lines of `script`; the status of the last."""
    status: u32 = 0
    start: u64 = 0
    for i in range(len(script)):
        if script[i] == NEWLINE:
            status = command(script[start:i])
            start = i + 1
    return status


def command(line: Slice[u8]) -> u32:
    """Run one line; its status, 0 for success."""
    name, rest = _split(line)
    if len(name) == 0:
        return 0
    match name:
        case b"echo":
            kprintf(f"{rest}\n")
        case b"help":
            kprintf("echo TEXT, false, help, panic TEXT, poweroff, true\n")
        case b"panic":
            panic(f"{rest}")
        case b"poweroff":
            machine.power_off(0)
        case b"true":
            pass
        case b"false":
            return 1
        case _:
            kprintf(f"{name}: not a command; `help` lists them\n")
            return NOT_FOUND
    return 0


def _split(line: Slice[u8]) -> tuple[Slice[u8], Slice[u8]]:
    """The first word of a line, and what follows it."""
    start: u64 = 0
    while start < len(line) and line[start] == SPACE:
        start += 1
    end = start
    while end < len(line) and line[end] != SPACE:
        end += 1
    rest = end
    while rest < len(line) and line[rest] == SPACE:
        rest += 1
    return line[start:end], line[rest:]


def _read_line(to: Slice[u8]) -> u64:
    """Read a line with echo and backspace; its length.  What does not fit is not taken."""
    used: u64 = 0
    while True:
        byte = _read_byte()
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


def _read_byte() -> u8:
    """The next byte typed.  Waits for it."""
    while (byte := machine.console_read_polled()) > u8.MAX:
        pause()
    return u8(byte)
