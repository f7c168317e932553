# SPDX-License-Identifier: BSD-3-Clause
"""A block request, on its way down to a driver and back.

Its data are pages: a list of page addresses, where in the first it begins, and a length.  So the
request means the same to whoever reads it, in whatever address space.

A layer that passes a request on pushes a track: the offset as the layer below counts it, and what
to call when the layer below is done.  biodone() takes the tracks off again, one a call:

    file system   track 0   offset in the partition, the maker's own done
    slice         track 1   offset on the whole disk
    driver        calls biodone()

strategy() functions never block: they start the request or queue it.

Invariants
  B1  From strategy() to its maker's `done` a request, its page list and its pages belong to the
      layers below; nobody else touches them.
  B2  Each track's `done` is called exactly once, on any CPU, in any thread's or interrupt thread's
      context, and does not block.  It may be called before strategy() has returned: one that asks
      for more from within must not do so after an error, or the stack grows with each.
  B3  After an error `error` is not 0, and none of the data is to be relied on.
Locking   [b] who has the request (B1)   [I] fixed while it is on its way
          [a] atomic
Tests     tests/guest/blocks.py, tests/guest/buffers.py
Source    DragonFly sys/sys/bio.h, sys/kern/vfs_bio.c biodone() (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Fn,
    NoBlock,
    PhysAddr,
    Ptr,
    Slice,
    TypeAlias,
    address_of,
    enum,
    flags,
    i32,
    inline,
    may_block,
    no_block,
    ref,
    struct,
    u32,
    u64,
)

from kernel.lib import queue
from kernel.lwkt import sleepq

UNSAFE: Final = True        # the address of a request is what its maker sleeps on

TRACKS: Final = 4


@enum(u32)
class BioCmd:
    """What is asked of a block device."""
    READ = 0
    WRITE = 1
    FLUSH = 2           # all writes that are done are to survive a loss of power
    WRITE_ZEROES = 3    # no data
    FREEBLKS = 4        # what the blocks hold is no longer needed: TRIM, Deallocate


@flags(u32)
class BioFlag:
    FUA = 1             # this write is to survive a loss of power once it is done
    RETRIED = 2         # a driver has tried it before


Done: TypeAlias = NoBlock[Fn[[Ptr["Bio"]], None]]


@struct
class Track:
    """What one layer knows of a request."""
    offset: u64             # bytes, as counted by the layer below the one that pushed
    done: Done              # what that layer wants called
    info: u64               # that layer's own


@struct
class Parts:
    """What a request was before it was cut, and how far it is."""
    length: u64             # bytes; 0: it goes in one
    done: u64               # bytes that earlier parts have carried
    pages: Slice[PhysAddr]


@struct
class Bio:
    """A request; its storage is its maker's."""
    link: queue.Link["Bio"]         # [b]
    command: BioCmd                 # [I]
    flags: BioFlag                  # [b]
    length: u64                     # [I] bytes, whole blocks of the device; [b] below disk.py
    pages: Slice[PhysAddr]          # [I] as many as page_offset + length needs; [b] below disk.py
    page_offset: u32                # [I] bytes, below PAGE_SIZE
    depth: u32                      # [b] tracks in use
    error: i32                      # [b] 0, or an error number
    driver: Array[u64, 2]           # [b] for the driver while it has the request
    finished: Atomic[u32]           # [a] biowait(): 1 once it is done
    start: u64                      # [b] cputimer_count() when the disk was asked
    parts: Parts                    # [b] disk.py: of a request that goes to the driver in parts
    track: Array[Track, TRACKS]     # [b]


def init(bio: Ptr[Bio], command: BioCmd, offset: u64, length: u64, done: Done,
         info: u64 = 0) -> None:
    """A request of `length` bytes at `offset`; set_pages() gives it its data."""
    bio.command = command
    bio.flags = BioFlag(0)
    bio.length = length
    bio.pages = bio.pages[:0]
    bio.page_offset = 0
    bio.error = 0
    bio.depth = 0
    bio.parts.length = 0
    push_bio(bio, offset, done, info)


def set_pages(bio: Ptr[Bio], pages: Slice[PhysAddr], page_offset: u32) -> None:
    """The data, from byte `page_offset` of the first page on."""
    bio.pages = pages
    bio.page_offset = page_offset


@inline
def offset(bio: Ptr[Bio]) -> u64:
    """Where on the device it was passed to, in bytes."""
    return bio.track[bio.depth - 1].offset


def push_bio(bio: Ptr[Bio], where: u64, done: Done, info: u64) -> None:
    """Before passing a request on: the layer below is to work at `where`, and then call `done`."""
    track = ref(bio.track[bio.depth])
    track.offset = where
    track.done = done
    track.info = info
    bio.depth += 1


@no_block
def biodone(bio: Ptr[Bio]) -> None:
    """The request is done, well or with bio.error: tell the layer above."""
    bio.depth -= 1
    bio.track[bio.depth].done(bio)


@no_block
def fail(bio: Ptr[Bio], error: i32) -> None:
    """The request cannot be done."""
    bio.error = error
    biodone(bio)


@inline
def info_of(bio: Ptr[Bio]) -> u64:
    """In a `done`: what its layer gave push_bio() as info."""
    return bio.track[bio.depth].info


# --- Ending several at once ----------------------------------------------------------------


@struct
class Ended:
    """Requests that are over, collected under a driver's lock, and told of without it."""
    first: Ptr[Bio] | None
    last: Ptr[Bio] | None

    @inline
    def add(self, bio: Ptr[Bio]) -> None:
        bio.link.next = None
        last = self.last
        if last is None:
            self.first = bio
        else:
            last.link.next = bio
        self.last = bio

    def add_failed(self, bio: Ptr[Bio], error: i32) -> None:
        bio.error = error
        self.add(bio)

    @no_block
    def tell(self) -> None:
        """biodone() for each, in the order in which they were added."""
        bio = self.first
        while bio is not None:
            following = bio.link.next           # before it is its maker's again
            biodone(bio)
            bio = following


# --- Waiting for one -----------------------------------------------------------------------


def init_waited(bio: Ptr[Bio], command: BioCmd, where: u64, length: u64) -> None:
    """A request that its maker will biowait() for."""
    init(bio, command, where, length, _finish)
    bio.finished.store_relaxed(0)


@may_block
def biowait(bio: Ptr[Bio]) -> i32:
    """Wait until a request of init_waited() is done; its error."""
    ident = u64(address_of(bio))
    while True:
        sleepq.tsleep_interlock(ident)
        if bio.finished.load() != 0:
            sleepq.tsleep_remove()
            return bio.error
        sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, "biowait", 0)


@no_block
def _finish(bio: Ptr[Bio]) -> None:
    """Nothing of `bio` is touched once it is finished: its maker may be gone."""
    ident = u64(address_of(bio))
    bio.finished.store(1)
    sleepq.wakeup(ident)
