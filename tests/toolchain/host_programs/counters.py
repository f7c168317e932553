# SPDX-License-Identifier: BSD-3-Clause
"""Variables of which each CPU has its own, reached in every way there is."""
from kpy import Array, Atomic, PerCpu, Ptr, extern, ref, struct, u8, u32, u64


@struct
class Globaldata:
    cpu: u32
    switches: u64
    self_: "Ptr[Globaldata] | None"


gd: PerCpu[Globaldata]
flag: PerCpu[u8] = 3
ticks: PerCpu[u32] = 100
history: PerCpu[Array[u32, 4]]
pending: PerCpu[Atomic[u32]]
shared: u32 = 0


@extern("machine_switch")
def switch() -> None: ...


def tick() -> u32:
    global ticks, shared
    ticks += 1
    shared += 1
    history[ticks % 4] = ticks
    pending.add(1)
    return ticks


def here() -> Ptr[Globaldata]:
    gd.self_ = ref(gd)
    gd.switches += 1
    return ref(gd)


def number() -> u32:
    """Nothing here ever writes it: whoever made the CPU did."""
    return gd.cpu + flag


def across() -> u64:
    """What is read before and after the machine may have changed the CPU."""
    before = ticks
    switch()
    return u64(before) << 32 | ticks


def total() -> u32:
    sum: u32 = 0
    for n in history:
        sum += n
    return sum
