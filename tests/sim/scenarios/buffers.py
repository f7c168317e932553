# SPDX-License-Identifier: BSD-3-Clause
"""Buffers: one for a block, with the block's data or an error, and none used after it is freed.

The disk is threads, or an interrupt thread, that answer requests when they like, in any order.  The
last reader purges what it read from; then all memory has been given back.

Covers    kernel/io/buf.py C1 to C6, bio.py B1, B2
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Ptr,
    VirtAddr,
    address_of,
    may_block,
    no_block,
    panic,
    pointer_at,
    ref,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel.io import bio, buf
from kernel.io.bio import Bio, BioCmd
from kernel.io.buf import Buf, BufObject, Cluster
from kernel.lib import queue
from kernel.lib.errno import EIO
from kernel.lwkt import intr, spin
from kernel.mem import malloc_type
from tests.sim import heap, world

UNSAFE: Final = True        # the disk finds buffers by address

BLOCK: Final = 4096
HALF: Final = 2048          # a smaller block, and what an object has behind its last whole one
BLOCKS: Final = 4           # of each object
VECTOR: Final = 5
LATE: Final = 1             # of _disk(): it answers the last request first

objects: Array[BufObject, 2] = zeroed(Array[BufObject, 2])
guard: spin.Spinlock
asked: queue.TailQueue[Bio, "link"]     # under `guard`
waiting: Atomic[u32]                    # as many, for those who look without it
readers: Atomic[u32]                    # who are not done
stage: Atomic[u32]
broken: Atomic[u32]                     # the disk has only errors
damaged: bool = False                   # it may have them in this scenario
reads: Atomic[u32]                      # blocks that it has read
right: Atomic[u32]                      # blocks that readers were given
info: intr.IntrInfo = zeroed(intr.IntrInfo)
handler: intr.Handler = zeroed(intr.Handler)
waited: Bio = zeroed(Bio)
twin: u64 = 1               # see one_bucket


# --- The disk -------------------------------------------------------------------------------


@no_block
def _strategy(bo: Ptr[BufObject], request: Ptr[Bio]) -> None:
    with guard:
        asked.push_back(request)
        waiting.add(1)


@no_block
def _strategy_by_interrupt(bo: Ptr[BufObject], request: Ptr[Bio]) -> None:
    _strategy(bo, request)
    world.interrupt(0, VECTOR)


def _next(late: bool) -> Ptr[Bio] | None:
    if waiting.load() == 0:
        return None
    with guard:
        request = asked.last if late else asked.first
        if request is not None:
            asked.remove(request)
            waiting.sub(1)
    return request


def _answer(request: Ptr[Bio]) -> None:
    if broken.load() != 0:
        request.error = EIO
    elif request.length <= BLOCK:
        _fill(buf.of(request))
    else:
        cluster = pointer_at(Cluster, VirtAddr(request.track[0].info))
        for i in range(cluster.count):
            _fill(unwrap(cluster.bufs[i]))
    bio.biodone(request)


def _fill(bp: Ptr[Buf]) -> None:
    assert bp.offset + bp.size <= bp.bo.size, "behind the end"
    reads.add(1)
    _first_word(bp).value = _stamp(bp.bo, bp.offset)


def _first_word(bp: Ptr[Buf]) -> Ptr[u64]:
    return pointer_at(u64, VirtAddr(u64(address_of(bp.memory))))


def _stamp(bo: Ptr[BufObject], offset: u64) -> u64:
    """What a block holds."""
    return u64(address_of(bo)) + offset + 1


def _disk(order: u64) -> None:
    """Answers until the last reader is done."""
    while True:
        left = readers.load()
        request = _next(order == LATE)
        if request is not None:
            _answer(request)
        elif left == 0:
            return
        else:
            world.wait()


def _handle(self: Ptr[intr.Handler]) -> None:
    request = _next(False)
    while request is not None:
        _answer(request)
        request = _next(False)


# --- Bringing it up -------------------------------------------------------------------------


def _up() -> None:
    """Room for two blocks; each object may ask for two in one request."""
    heap.up()
    heap.here()
    buf.init(2 * BLOCK * buf.SHARE)
    buf.M_BUF.limit = heap.MIB
    malloc_type.attach(buf.M_BUF)
    for i in range(len(objects)):
        buf.init_object(objects[i], _strategy, BLOCKS * BLOCK + HALF, 2 * BLOCK, 0)


def _up_and_filled() -> None:
    """Two blocks of the first object are in memory."""
    _up()
    for i in range(2):
        try:
            bp, made = buf.getblk(objects[0], u64(i) * BLOCK, BLOCK)
        except Errno:
            panic("no memory")
        assert made
        _fill(bp)
        buf.done(bp, 0)
        buf.brelse(bp)


def _up_with_interrupts() -> None:
    _up()
    objects[0].strategy = _strategy_by_interrupt
    handler.func = _handle
    handler.name = "disk"
    try:
        intr.register(info, 0, VECTOR, b"disk")
    except Errno:
        panic("no interrupt thread")
    intr.add_handler(info, 0, handler)


def _with_buffers(number: u32) -> None:
    """So many readers."""
    heap.needed()
    world.start_with(_up)
    readers.store(number)
    world.check(_all_gone)


def _all_gone() -> None:
    assert buf.total_bytes() == 0
    heap.all_freed(buf.M_BUF)
    for cpu in range(world.cpus):
        assert buf._queues[cpu].count == 0 and buf._queues[cpu].bufs.empty()
    for i in range(len(objects)):
        assert objects[i].bufs.empty()
    assert asked.empty(), "a request was lost"


# --- Readers --------------------------------------------------------------------------------


@may_block
def _read(which: u32, block: u64, ahead: u32 = 0, size: u32 = BLOCK) -> bool:
    """Read a block and look at it; False if the disk failed."""
    bo = ref(objects[which])
    try:
        bp = buf.breadn(bo, block * size, size, ahead) if ahead != 0 else \
            buf.bread(bo, block * size, size)
    except Errno as e:
        assert e.code == EIO and damaged, "the disk did not fail"
        return False
    assert bp.size == size
    assert _first_word(bp).value == _stamp(bo, block * size), "another block's data"
    right.add(1)
    buf.brelse(bp)
    return True


@may_block
def _leave() -> None:
    """A reader is done; the last one lets go of all buffers before the disk stops."""
    if stage.add(1) + 1 == readers.load():
        for i in range(len(objects)):
            buf.purge(objects[i])
        readers.store(0)


def _read_one(block: u64) -> None:
    _read(0, block)
    _leave()


def _read_up(count: u64) -> None:
    for block in range(count):
        _read(0, block)
    _leave()


def _read_down(count: u64) -> None:
    for block in range(count):
        _read(0, count - 1 - block)
    _leave()


def same_block() -> None:
    """Two ask for one block: it is read once, and both have it."""
    _with_buffers(2)
    world.thread(_read_one, 0, 0)
    world.thread(_read_one, 0, 1)
    world.thread(_disk, 0, 2)
    world.check(_read_once)


def _read_once() -> None:
    _all_gone()
    assert right.load() == 2 and reads.load() <= 2


def blocks_evicted() -> None:
    """Two go through three blocks from either end, with room for two, on a disk with two heads."""
    _with_buffers(2)
    world.thread(_read_up, 3, 0)
    world.thread(_read_down, 3, 1)
    world.thread(_disk, 0, 2)
    world.thread(_disk, LATE, 3)


def blocks_evicted_of_another() -> None:
    """One's buffers are taken by another, and wanted again."""
    _with_buffers(2)
    world.start_with(_up_and_filled)
    world.thread(_read_up, 2, 0)
    world.thread(_read_other, 2, 1)
    world.thread(_disk, 0, 2)


def _read_other(count: u64) -> None:
    for block in range(count):
        _read(1, block)
    _leave()


def interrupting_disk() -> None:
    """The disk answers by interrupts, to one who reads on their CPU and one who does elsewhere."""
    _with_buffers(2)
    world.start_with(_up_with_interrupts)
    world.thread(_read_up, 2, 0)
    world.thread(_read_up, 2, 1)


def _read_many(unused: u64) -> None:
    """Of two sizes; only so much stays as there is room for."""
    for block in range(BLOCKS):
        _read(0, block)
    assert buf.total_bytes() <= 2 * BLOCK, "more stays than there is room for"
    for block in range(3):
        _read(1, block, 0, HALF)
    assert buf.total_bytes() <= 2 * BLOCK, "more stays than there is room for"
    _leave()


def blocks_of_two_sizes() -> None:
    """One reads more than there is room for, in blocks of two sizes."""
    _with_buffers(1)
    world.thread(_read_many, 0, 0)
    world.thread(_disk, 0, 1)


def _up_and_look_for_twin() -> None:
    """A block that falls into the bucket of the first one."""
    global twin
    _up()
    bucket = buf._bucket(objects[0], 0)
    while buf._bucket(objects[0], twin * BLOCK) is not bucket:
        twin += 1
    objects[0].size = (twin + 1) * BLOCK


def _read_twins(first: u64) -> None:
    _read(0, twin * first)
    _read(0, twin * (1 - first))
    _leave()


def one_bucket() -> None:
    """Two blocks fall into one bucket."""
    _with_buffers(2)
    world.start_with(_up_and_look_for_twin)
    world.thread(_read_twins, 0, 0)
    world.thread(_read_twins, 1, 1)
    world.thread(_disk, 0, 2)


# --- Errors ---------------------------------------------------------------------------------


def _read_and_mend(unused: u64) -> None:
    """The disk works again after the first read."""
    _read(0, 0)
    broken.store(0)
    _read_again()
    _leave()


def _read_twice(unused: u64) -> None:
    _read(0, 0)
    _read_again()
    _leave()


@may_block
def _read_again() -> None:
    """An error goes with those who waited for that read."""
    while not _read(0, 0):
        world.wait()


def _with_damage(number: u32) -> None:
    global damaged
    _with_buffers(number)
    damaged = True
    broken.store(1)


def read_errors() -> None:
    """Who waited for a read that failed has the error; who asks afterwards has the block."""
    _with_damage(2)
    world.thread(_read_and_mend, 0, 0)
    world.thread(_read_twice, 0, 1)
    world.thread(_disk, 0, 2)


# --- Reading on -----------------------------------------------------------------------------


def _read_on(count: u64) -> None:
    for block in range(count):
        _read(0, block, 2)
    _leave()


def read_ahead() -> None:
    """Two read on through the same blocks."""
    _with_buffers(2)
    world.clocks()
    world.thread(_read_on, 3, 0)
    world.thread(_read_on, 3, 1)
    world.thread(_disk, 0, 2)


def _read_on_alone(unused: u64) -> None:
    """What is read ahead is there without another asking; what lies behind the end is not read."""
    _read(0, 0, 2)
    while reads.load() < 3:
        world.wait()
    for block in range(1, BLOCKS):
        _read(0, block, 2)
    _leave()


def read_ahead_alone() -> None:
    """One reads on to the end."""
    _with_buffers(1)
    world.clocks()
    world.thread(_read_on_alone, 0, 0)
    world.thread(_disk, 0, 1)


def _read_one_and_on(unused: u64) -> None:
    _read(0, 0, 1)
    _leave()


def wanted_while_read_ahead() -> None:
    """A block is asked for at the moment in which another begins to read it ahead."""
    _with_buffers(2)
    world.clocks()
    world.thread(_read_one_and_on, 0, 0)
    world.thread(_read_one, 1, 1)
    world.thread(_disk, 0, 2)


# --- Purging --------------------------------------------------------------------------------


def _start_reading(unused: u64) -> None:
    """Have blocks read that nobody waits for."""
    _read(0, 0, 2)
    stage.store(1)


def _purge(unused: u64) -> None:
    """When nobody makes more; afterwards the object's storage is used for something else."""
    while stage.load() == 0:
        world.wait()
    bo = ref(objects[0])
    buf.purge(bo)
    assert bo.bufs.empty()
    bo.size = 0
    bo.owner = 1
    readers.store(0)


def purged_while_reads_fail() -> None:
    """Blocks that were read ahead end with an error while their object is purged."""
    _with_damage(1)
    world.clocks()
    world.thread(_start_reading, 0, 0)
    world.thread(_purge, 0, 1)
    world.thread(_disk, 0, 2)


def purged_while_read() -> None:
    """Blocks that were read ahead arrive while their object is purged."""
    _with_buffers(1)
    world.clocks()
    world.thread(_start_reading, 0, 0)
    world.thread(_purge, 0, 1)
    world.thread(_disk, 0, 2)


def _purge_at_once(unused: u64) -> None:
    buf.purge(objects[0])
    objects[0].size = 0
    _leave()


def purged_while_evicted() -> None:
    """An object is purged while another takes its buffers."""
    _with_buffers(2)
    world.clocks()
    world.start_with(_up_and_filled)
    world.thread(_purge_at_once, 0, 0)
    world.thread(_read_other, 2, 1)
    world.thread(_disk, 0, 2)


# --- One request ----------------------------------------------------------------------------


def _wait_for_request(unused: u64) -> None:
    bio.init_waited(waited, BioCmd.FLUSH, 0, 0)
    _strategy(objects[0], waited)
    assert bio.biowait(waited) == EIO
    waited.error = 0
    readers.store(0)


def request_waited_for() -> None:
    """Who waits for a request of his own goes on when it is done."""
    _with_damage(1)
    world.thread(_wait_for_request, 0, 0)
    world.thread(_disk, 0, 2)
