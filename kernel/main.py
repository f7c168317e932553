# SPDX-License-Identifier: BSD-3-Clause
"""The start order of the whole system, one line a subsystem.

boot/entry.py calls kmain() in the higher half, on the boot stack, interrupts off.
"""
from kpy import Never, entry, kprintf, u32, u64

from kernel import machine, prompt, threadless


@entry(60 * 1024)
def kmain(magic: u32, info: u64) -> Never:
    """Bring the kernel up.  `magic` says who booted us, `info` is its information's address."""
    kprintf("Damselfly: a microkernel in Python syntax\n")
    machine.start(magic, info)
    machine.start_clock()
    threadless.make_stacks()
    running = machine.start_cpus()
    kprintf(f"cpus: {running} of {machine.cpu_count()} are running\n")
    prompt.run()
