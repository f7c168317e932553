# SPDX-License-Identifier: BSD-3-Clause
"""Each CPU's own storage: copies of the section .percpu, and which %gs base shows which.

%gs base + the address of a PerCpu variable is its address in the CPU's copy.  CPU 0 uses the
section itself, with base 0; start() keeps the section as it was linked for the copies of others.

Invariants
  M1 of kernel/machine/contract.py.
Tests     tests/qemu/test_cpus.py
Source    toolchain/link/layout.py (the section), Intel SDM vol. 3A, 3.4.4.1 "Segment Loading
          Instructions in IA-32e Mode" (%gs base)
"""
from typing import Final

from kpy import (
    Array,
    MPtr,
    PerCpu,
    VirtAddr,
    address_of,
    bits_of,
    cast,
    inline,
    memcpy,
    pointer_at,
    ref,
    symbol_address,
    u8,
    u32,
    u64,
    wrapping,
)

from kernel.arch.x86_64 import descriptors
from kernel.machine.types import MAX_CPUS, PAGE_SIZE
from kernel.platform.pc64 import physical

UNSAFE: Final = True     # storage is copied, and other CPUs' variables found, by address

number: PerCpu[u32]      # this CPU's
bases: Array[u64, MAX_CPUS]
pristine: u64 = 0        # address of the section as it was linked


@inline
def this_cpu() -> u32:
    """The number of the CPU that runs this."""
    return number


def keep() -> None:
    """Keep the section as it is now, before anything in it changes.  Boot CPU, once."""
    global pristine
    pristine = _copy(bits_of(symbol_address("__percpu_start")))


def make(cpu: u32) -> None:
    """Make the storage of `cpu`, with its number and %gs base in it."""
    base = wrapping(_copy(pristine) - bits_of(symbol_address("__percpu_start")))
    bases[cpu] = base
    # safe: both lie in the copy just made.
    pointer_at(u64, VirtAddr(wrapping(base + bits_of(symbol_address("percpu_base"))))
               ).value = base
    pointer_at(u32, of(cpu, address_of(ref(number)))).value = cpu


def of(cpu: u32, mine: VirtAddr) -> VirtAddr:
    """Where `cpu` has the variable that this CPU has at `mine`."""
    return VirtAddr(wrapping(bits_of(mine) - bases[number] + bases[cpu]))


def make_ist_stacks() -> VirtAddr:
    """Stacks for a CPU's double faults, NMIs and machine checks."""
    return physical.phys_to_virt(physical.boot_alloc(
        descriptors.IST_STACKS * descriptors.IST_STACK_BYTES, PAGE_SIZE))


def _copy(source: u64) -> u64:
    """A copy of the section at `source`, aligned as the section is; its address."""
    start = bits_of(symbol_address("__percpu_start"))
    size = bits_of(symbol_address("__percpu_end")) - start
    room = physical.boot_alloc(size + start % PAGE_SIZE, PAGE_SIZE)
    to = bits_of(physical.phys_to_virt(room)) + start % PAGE_SIZE
    # safe: just allocated, of that size.
    memcpy(cast(MPtr[u8], pointer_at(u8, VirtAddr(to))),
           cast(MPtr[u8], pointer_at(u8, VirtAddr(source))), size)
    return to
