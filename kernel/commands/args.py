# SPDX-License-Identifier: BSD-3-Clause
"""What the prompt and the command that it runs tell each other.

Locking   the prompt's thread; it runs one command at a time
"""
from kpy import Slice, entries, u8, u32

rest: Slice[u8] = b""       # what was typed after the command's name
status: u32 = 0             # how it went; 0: well


def run(name: Slice[u8], typed: Slice[u8]) -> bool:
    """Run a command of the table, with `typed` behind its name; False if there is none of this
    name."""
    global rest, status
    for entry in entries("command"):
        if entry.name == name:
            rest = typed
            status = 0
            entry.function()
            return True
    return False


def fail(code: u32) -> None:
    """Have the command end with this status."""
    global status
    status = code
