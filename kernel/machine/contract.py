# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel asks of a machine, as signatures: the document for porting.

The build binds the name `kernel.machine` to a folder of kernel/platform, which defines exactly
these, with the same types.

Tests     tests/rules/test_machine.py
"""
from kpy import Never, Slice, u8, u32, u64, upcall


@upcall
def console_read() -> u8:
    """The next byte typed.

    Context  thread.
    Blocks   waits for the byte.
    """


@upcall
def power_off(status: u32) -> Never:
    """End the machine; under QEMU, `status` is what scripts/run exits with."""


@upcall
def halt() -> Never:
    """Stop this CPU for good."""


@upcall
def read_file(name: Slice[u8], to: Slice[u8]) -> u64:
    """Read file `name`, handed in from outside the machine, into `to`, as much as fits.

    Returns  the bytes read; 0 where there is no such file.
    """
