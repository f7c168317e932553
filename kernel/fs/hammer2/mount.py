# SPDX-License-Identifier: BSD-3-Clause
"""What is known of a set of volumes while it is open (hammer2_dev).

Locking   [c] cache.lock   [a] atomic   [I] fixed after volume.open()
"""
from typing import Final

from kpy import Array, Atomic, struct, u8, u32, u64

from kernel import mem
from kernel.fs.hammer2 import chain
from kernel.fs.hammer2.io import Volumes
from kernel.fs.hammer2.ondisk import PBUFSIZE, VolumeData
from kernel.lib import inflate, queue
from kernel.lwkt import spin

MAX_COMPLAINTS: Final = 16      # about damaged blocks, on the console

M_HAMMER2: mem.MallocType = mem.MallocType(name="hammer2")


@struct
class Cache:
    """The chains in memory."""
    lock: spin.Spinlock
    lru: queue.TailQueue["chain.Chain", "lru"]      # [c] those with no references, oldest first
    bytes: u64                                      # [c] of all chains and their blocks
    limit: u64                                      # [I] above it those on the LRU are freed


@struct
class Scratch:
    """What reading compressed data needs for a while."""
    tables: inflate.Tables
    block: Array[u8, PBUFSIZE]


@struct
class Mount:
    """A set of volumes; its storage is whoever opens it."""
    volumes: Volumes                        # [I]
    voldata: VolumeData                     # [I] the chosen header of the root volume
    zone: u32                               # [I] which copy that is
    vchain: "chain.Chain"
    cache: Cache
    spare: Atomic[u64]                      # [a] the address of a Scratch nobody uses, or 0
    complaints: Atomic[u32]                 # [a]
