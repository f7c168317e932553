# SPDX-License-Identifier: BSD-3-Clause
"""Disks: what a driver offers, and what the rest of the kernel sees of it.

    disk.create(dp, b"nvme", ops)       a disk, named nvme0, nvme1, ... ; nothing known of it yet
    disk.set_info(dp, info)             its medium can be read
    disk.destroy(dp)                    it is gone: requests fail from now on

A driver answers `strategy`.  Requests enter by strategy(), which counts them, refuses those that
are not whole blocks of the medium, and passes the others to the driver in the caller's context:
there is no queue and no lock between a file system and the driver's own queue of this CPU.

Invariants
  D1  A driver sees only requests of whole blocks that lie on the medium, at most
      info.max_transfer bytes of data each, between set_info() and destroy().
  D2  `inflight` counts, on each CPU, requests that entered less those that ended there; the sum is
      what the driver has.  destroy() returns when it is 0.
Locking   [l] `lock`   [o] the CPU, in a critical section   [a] atomic   [I] fixed after set_info()
Tests     tests/unit/io/test_disk.py
Source    DragonFly sys/kern/subr_disk.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Fn,
    NoBlock,
    PerCpu,
    Ptr,
    Slice,
    enum,
    no_block,
    struct,
    u8,
    u32,
    u64,
)

from kernel.io.bio import Bio
from kernel.lib import queue

NAME_BYTES: Final = 16
SERIAL_BYTES: Final = 64
MODEL_BYTES: Final = 64


@struct
class DiskInfo:
    """What the driver knows of the medium."""
    block_size: u32                         # bytes, a power of two from 512 to 4096
    max_transfer: u32                       # bytes that one request may carry
    blocks: u64                             # of block_size
    trim: bool                              # knows FREEBLKS
    write_zeroes: bool                      # knows WRITE_ZEROES
    serial: Array[u8, SERIAL_BYTES]         # text, filled up with zeros; empty if there is none
    model: Array[u8, MODEL_BYTES]           # the same


@struct
class DiskOps:
    """A driver's half."""
    strategy: NoBlock[Fn[[Ptr["Disk"], Ptr[Bio]], None]]    # start or queue; ends with biodone()


@struct(align=64)
class DiskStats:
    """Counted on one CPU; sums over CPUs mean something."""
    requests: Array[u64, 5]     # [o] by BioCmd, when they end
    bytes: Array[u64, 5]        # [o] the same
    errors: u64                 # [o]
    busy: u64                   # [o] ticks of machine.cputimer_count(), summed over requests
    inflight: i64               # [o] D2


@enum(u32)
class DiskState:
    CREATED = 0         # no medium yet
    READY = 1
    GONE = 2


@struct
class Disk:
    """A whole disk; its storage is the driver's, and may be freed after destroy()."""
    link: queue.Link["Disk"]                # [l]
    name: Array[u8, NAME_BYTES]             # [I] text, filled up with zeros
    ops: Ptr[DiskOps]                       # [I]
    driver: u64                             # [I] the driver's own
    info: DiskInfo                          # [I]
    state: Atomic[u32]                      # [a] DiskState
    stats: Array[DiskStats, MAX_CPUS]       # [o]
