# SPDX-License-Identifier: BSD-3-Clause
"""The buffer cache over a disk that is a function: what is read is right, whoever reads, however
little room there is; errors are told and tried again; read-ahead comes in clusters."""
from typing import Final

from kpy import (
    Atomic,
    Errno,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    kprintf,
    no_block,
    pointer_at,
    ref,
    table,
    u8,
    u32,
    u64,
    wrapping,
    zeroed,
)

from kernel import machine
from kernel.io import bio, buf
from kernel.io.bio import Bio
from kernel.io.buf import BufObject
from kernel.lib import queue
from kernel.lib.errno import EIO
from kernel.lwkt import spin
from kernel.machine.types import PAGE_SIZE
from tests.guest import support

UNSAFE: Final = True        # blocks are looked at by address

BLOCK: Final = 65536
BLOCKS: Final = 4096        # 256 MiB: more than buffers may hold
ROUNDS: Final = 1500
BAD: Final = 7              # the block that cannot be read

waiting: queue.TailQueue[Bio, "link"]       # requests that are not done at once
waiting_lock: spin.Spinlock
readers_gone: Atomic[u64]
first: BufObject = zeroed(BufObject)
second: BufObject = zeroed(BufObject)
requests: Atomic[u64]
largest: Atomic[u64]
bad_reads: Atomic[u64]
wrong: Atomic[u64]


@no_block
def _strategy(bo: Ptr[BufObject], request: Ptr[Bio]) -> None:
    """A disk whose words are their own addresses; every third read is done at once, the others at
    the next tick."""
    number = requests.add(1)
    if request.length > largest.load():
        largest.store(request.length)
    at = bio.offset(request)
    for i, pa in enumerate(request.pages):
        page = pointer_at(u64, machine.phys_to_virt(pa))
        page.value = at + i * PAGE_SIZE + bo.owner
    if at // BLOCK == BAD:
        bad_reads.add(1)
        request.error = EIO
    if number % 3 == 0:
        bio.biodone(request)
        return
    with waiting_lock:
        waiting.push_back(request)


def _disk(readers: u64) -> None:
    """Ends what waits at each tick, until all readers have gone."""
    while readers_gone.load() != readers:
        support.pause_ticks(1)
        while True:
            with waiting_lock:
                request = waiting.pop_front()
            if request is None:
                break
            bio.biodone(request)
    support.done()


def _good(data: Slice[u8], at: u64) -> bool:
    """Each page begins with its own address."""
    for page in range(BLOCK // PAGE_SIZE):
        word = pointer_at(u64, VirtAddr(address_of(data[page * PAGE_SIZE:])))
        if word.value != at + page * PAGE_SIZE:
            return False
    return True


def _reader(number: u64) -> None:
    """Blocks at random, and runs of them with read-ahead."""
    bo = ref(first) if number % 2 == 0 else ref(second)
    seed: u32 = u32(number) * 77 + 5
    for turn in range(ROUNDS):
        seed = wrapping(seed * 1_664_525 + 1_013_904_223)
        start = u64(seed >> 8) % BLOCKS
        run: u64 = 1 if turn % 8 != 0 else 6
        for i in range(run):
            block = (start + i) % BLOCKS
            try:
                bp = buf.breadn(bo, block * BLOCK, BLOCK, 4 if run > 1 else 0)
                if not _good(buf.data(bp), block * BLOCK + bo.owner) or block == BAD:
                    wrong.add(1)
                buf.brelse(bp)
            except Errno as e:
                if e.code != EIO or block != BAD:
                    wrong.add(1)
    readers_gone.add(1)
    support.done()


@table("guest_test", 230)
def buffers_on_all_cpus() -> None:
    """Two objects of four times the room there is, read by all CPUs; then nothing is left."""
    buf.init_object(first, _strategy, BLOCKS * BLOCK, 4 * BLOCK, 0)
    buf.init_object(second, _strategy, BLOCKS * BLOCK, 2 * BLOCK, 8)
    before = buf.total_bytes()
    readers_gone.store(0)
    support.spawn(_disk, u64(support.cpus()) * 2, 0)
    for cpu in range(support.cpus()):
        support.spawn(_reader, cpu, cpu)
        support.spawn(_reader, cpu + 1, cpu)
    support.join()
    assert wrong.load() == 0
    assert buf.total_bytes() <= buf.limit() + 64 * BLOCK
    assert 2 * BLOCK <= largest.load() <= 4 * BLOCK
    buf.purge(first)
    buf.purge(second)
    assert first.bufs.empty() and second.bufs.empty()
    assert buf.total_bytes() <= before
    kprintf(f"{support.cpus() * 2 * ROUNDS} reads, {requests.load()} requests, "
            f"{largest.load() >> 10} KiB the largest\n")


@table("guest_test", 231)
def a_failed_read_is_tried_again() -> None:
    """The error goes to who asked; the next one's asking reads anew."""
    buf.init_object(first, _strategy, BLOCKS * BLOCK, BLOCK, 0)
    failed: u32 = 0
    began = bad_reads.load()
    for _ in range(3):
        try:
            requests.store(0)               # the first is done at once
            buf.brelse(buf.bread(first, BAD * BLOCK, BLOCK))
        except Errno as e:
            assert e.code == EIO
            failed += 1
    assert failed == 3 and bad_reads.load() == began + 3
    assert first.bufs.empty()
    kprintf("errors were told, and nothing kept\n")
