# SPDX-License-Identifier: BSD-3-Clause
"""The start order of the whole system, one line a subsystem.

boot/entry.py calls kmain() in the higher half, on the boot stack, interrupts off.  What may block
starts in a thread, start_rest(); the boot stack becomes that of CPU 0's idle thread.

Tests     tests/qemu/test_boot_entry.py, tests/qemu/test_cpus.py
"""
from kpy import Errno, Never, entries, entry, kprintf, panic, u32, u64

from kernel import console, machine, prompt
from kernel.bus import thread as bus
from kernel.ddb import debugger, trap  # noqa: F401  (trap is called by the machine)
from kernel.io import buf, cdev, slices
from kernel.lib import words
from kernel.lwkt import sched
from kernel.lwkt import start as lwkt_start
from kernel.lwkt.thread import Pri, ThreadFlag
from kernel.machine.types import PAGE_SIZE
from kernel.mem import page
from kernel.mem import setup as mem_setup
from kernel.vfs import start as vfs_start


@entry(60 * 1024)
def kmain(magic: u32, info: u64) -> Never:
    """Bring the kernel up.  `magic` says who booted us, `info` is its information's address."""
    kprintf("Damselfly: a microkernel in Python syntax\n")
    machine.start(magic, info)                      # traps, memory map, page tables, ACPI
    for early in entries("sysinit"):                # what an image has linked in for it
        early.function()
    cpus = machine.cpu_count()
    wanted, _ = words.number(words.value_of(machine.command_line(), b"ktr"))
    lwkt_start.set_ring_entries(wanted)             # `ktr=N` on the command line
    for cpu in range(cpus):                         # stacks and message queues of each CPU
        area = machine.boot_alloc(lwkt_start.area_bytes(cpus), PAGE_SIZE)
        lwkt_start.prepare(cpu, cpus, machine.phys_to_virt(area))
    lwkt_start.init_cpu(0)                          # from here on there is a current thread
    mem_setup.init()                                # pages, addresses, slabs
    buf.init(page.count_free() * PAGE_SIZE)         # and what they may hold of disks
    machine.start_clock()                           # calibrated timer
    machine.intr_enable()
    running = machine.start_cpus()                  # each idles from here on
    kprintf(f"cpus: {running} of {cpus} are running\n")
    try:
        lwkt_start.run(running)                     # clocks, callouts
        mem_setup.start()                           # what memory does from time to time
        sched.create(start_rest, 0, b"main", 0, Pri.KERN_DAEMON, ThreadFlag.FIXEDCPU)
    except Errno as e:
        panic(f"no memory for the first threads: error {e.code}")
    sched.idle()


def start_rest(unused: u64) -> None:
    """What may block."""
    try:
        cdev.start()                                # devices by name
        slices.start()                              # disks
        vfs_start.run()                             # an empty tree, /dev in it
    except Errno as e:
        panic(f"files cannot be reached: error {e.code}")
    debugger.interactive = words.value_of(machine.command_line(), b"panic") != b"off"
    try:
        console.start()                             # what is typed
    except Errno as e:
        panic(f"the console cannot start: error {e.code}")
    machine.console_start_interrupts()              # and is shown
    try:
        bus.start()                                 # devices, and their drivers
    except Errno as e:
        panic(f"no memory for the bus thread: error {e.code}")
    bus.settle()                                    # what was there at start is attached
    slices.settle()                                 # and its disks are in /dev
    vfs_start.mount_asked(machine.command_line())   # `mount=TYPE:SOURCE:PATH`
    prompt.run()
