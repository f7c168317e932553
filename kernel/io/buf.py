# SPDX-License-Identifier: BSD-3-Clause
"""The buffer cache: blocks of devices and files, kept in memory while there is room.

    bp = buf.bread(bo, offset, size)        the block, read if it is not there
    ... buf.data(bp) ...
    buf.brelse(bp)

What has blocks is a BufObject, embedded in a device's or a file's structure; its strategy() reads
and writes them.  A buffer is found by object and offset in a hash; each bucket has its lock, and
finding what is there takes no other.  breadn() also starts reads of what will be asked for next;
neighbouring ones travel as one request (a cluster) as large as the object's device takes.

Buffers that nobody holds are thrown away by need, those of the CPU that is in need first.  Each CPU
has a queue of the buffers it made, and goes round it like the hand of a clock: a buffer that was
used since the hand last passed stays once more.  So a use costs a store, and moves nothing.

Invariants
  C1  There is at most one buffer for an object and offset, always of the same size.
  C2  Data is looked at by holders of a buffer that is VALID.  One that is BUSY is being read by
      whoever made it; others sleep on its address until it is not.
  C3  A buffer whose read failed has `error`, and leaves the hash with its last holder: the next who
      asks tries again.
  C4  A buffer is freed by the one who set DYING under its bucket's lock, with no holder left; it
      has none from then on, though it may be in the other lists for a while.
  C5  Locks are taken in this order: object, queue, bucket; a bucket under a queue by trylock only.
  C6  purge() returns when the object has no buffers, and nobody must be making more.
Locking   [b] its bucket   [q] its queue   [j] its object   [a] atomic   [I] fixed after it was made
          [h] whoever made it BUSY
Tests     tests/guest/buffers.py
Source    DragonFly sys/kern/vfs_bio.c, vfs_cluster.c (design); Corbató, "A Paging Experiment with
          the Multics System" (1968), for the clock
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    NoBlock,
    PhysAddr,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    i32,
    inline,
    kassert,
    make_slice,
    may_block,
    no_block,
    pointer_at,
    ref,
    struct,
    throws,
    u8,
    u32,
    u64,
    unwrap,
    wrapping,
)

from kernel import machine
from kernel.io import bio
from kernel.io.bio import Bio, BioCmd
from kernel.lib import queue
from kernel.lib.errno import ENOMEM
from kernel.lwkt import globaldata, ktr, sleepq, spin
from kernel.lwkt.globaldata import gd
from kernel.machine.types import MAX_CPUS, PAGE_SIZE
from kernel.mem import slab
from kernel.mem.flags import NOWAIT, M
from kernel.mem.malloc_type import MallocType

UNSAFE: Final = True        # memory by address; buffers travel through requests as addresses

MAX_SIZE: Final = 65536
MAX_PAGES: Final = 16
BUCKET_BITS: Final = 12
BUCKETS: Final = 4096
BUCKET_SHIFT: Final = 64 - BUCKET_BITS
CLUSTER_PAGES: Final = 64           # 256 KiB
CLUSTER_BUFS: Final = 32
SHARE: Final = 4                    # a quarter of memory, at most, holds buffers

# What `flags` says
VALID: Final[u32] = 1
BUSY: Final[u32] = 2
DYING: Final[u32] = 4
USED: Final[u32] = 8                # since the hand last passed
WANTED: Final[u32] = 16             # somebody sleeps until it is not BUSY
MARK: Final[u32] = 32               # who asks for this one is to read on (breadn)

M_BUF: MallocType = MallocType(name="buf")


@struct
class BufObject:
    """Who has blocks."""
    lock: spin.Spinlock
    bufs: queue.TailQueue["Buf", "object_link"]             # [j]
    strategy: NoBlock[Fn[[Ptr["BufObject"], Ptr[Bio]], None]]   # [I] offsets count in this object
    size: u64                                               # [o] bytes; blocks end there
    max_transfer: u32                                       # [I] bytes that one request may carry
    owner: u64                                              # [I] for strategy


@struct
class Buf:
    """A block."""
    hash_link: queue.Link["Buf"]        # [b]
    queue_link: queue.Link["Buf"]       # [q]
    object_link: queue.Link["Buf"]      # [j]
    bo: Ptr[BufObject]                  # [I]
    offset: u64                         # [I] bytes
    size: u32                           # [I] bytes
    cpu: u32                            # [I] whose queue
    holders: u32                        # [b]
    flags: Atomic[u32]                  # [a]
    error: i32                          # [h]
    memory: Ptr[u8]                     # [I] `size` bytes
    request: Bio                        # [h]
    page_offset: u32                    # [I] where in the first page it begins
    pages: Array[PhysAddr, MAX_PAGES]   # [I] where `memory` is


@struct
class Cluster:
    """Several buffers that are read by one request."""
    request: Bio
    count: u32
    keeps_first: bool               # its hold is not the read's, but its reader's
    bufs: Array[Ptr[Buf] | None, CLUSTER_BUFS]
    pages: Array[PhysAddr, CLUSTER_PAGES]


@struct(align=64)
class Bucket:
    lock: spin.Spinlock
    bufs: queue.TailQueue[Buf, "hash_link"]


@struct(align=64)
class BufQueue:
    """The buffers that a CPU made."""
    lock: spin.Spinlock
    bufs: queue.TailQueue[Buf, "queue_link"]    # [q] the hand is at the front
    count: u32                                  # [q] of them
    hits: u64                                   # [o] buffers that were there
    misses: u64                                 # [o] and were not
    ahead: u64                                  # [o] read before anybody asked


_buckets: Array[Bucket, BUCKETS]
_queues: Array[BufQueue, MAX_CPUS]
_bytes: Atomic[u64]                 # [a] in buffers
_limit: u64                         # [I] of `_bytes`


def init(memory: u64) -> None:
    """Before the first buffer; `memory` bytes there are in all."""
    global _limit
    _limit = memory // SHARE
    M_BUF.limit = memory            # `_limit` is what counts


def init_object(bo: Ptr[BufObject], strategy: NoBlock[Fn[[Ptr[BufObject], Ptr[Bio]], None]],
                size: u64, max_transfer: u32, owner: u64) -> None:
    """An object without buffers so far."""
    bo.lock.name = "bufobject"
    bo.bufs.first = None
    bo.bufs.last = None
    bo.strategy = strategy
    bo.size = size
    bo.max_transfer = max_transfer
    bo.owner = owner


# --- Reading -------------------------------------------------------------------------------


@throws
def bread(bo: Ptr[BufObject], offset: u64, size: u32) -> Ptr[Buf]:
    """The block at `offset`, valid and held; brelse() it.

    Errors   ENOMEM, and of the read.
    """
    bp, made = getblk(bo, offset, size)
    if made:
        _read(bp, release=False)
    return _await(bp)


@throws
def breadn(bo: Ptr[BufObject], offset: u64, size: u32, ahead: u32) -> Ptr[Buf]:
    """As bread(), for those who go on from here: the `ahead` blocks behind it are read as well,
    and the next `ahead` ones once the first of these is asked for."""
    bp, made = getblk(bo, offset, size)
    if made:
        _read_from(bp, bo, offset + size, size, ahead)
    elif bp.flags.load_relaxed() & MARK != 0:
        bp.flags.and_(~MARK)
        _read_from(None, bo, offset + u64(ahead) * size, size, ahead)
    return _await(bp)


@throws
def getblk(bo: Ptr[BufObject], offset: u64, size: u32) -> tuple[Ptr[Buf], bool]:
    """The buffer for a block, held.  True: it is new, BUSY and without data, and the caller is to
    read or fill it, and call done().

    Errors   ENOMEM.
    """
    kassert(size <= MAX_SIZE)
    bucket = _bucket(bo, offset)
    with bucket.lock:
        bp = _look(bucket, bo, offset)
    if bp is not None:
        _queues[gd.cpuid].hits += 1
        return bp, False
    fresh = _make(bo, offset, size)
    with bucket.lock:
        bp = _look(bucket, bo, offset)
        if bp is None:
            bucket.bufs.push_front(fresh)
    if bp is not None:                  # somebody was faster
        _free(fresh)
        return bp, False
    _queues[gd.cpuid].misses += 1
    ktr.log(ktr.Event.BUF_MISS, offset, size)
    with bo.lock:
        bo.bufs.push_back(fresh)
    own = ref(_queues[fresh.cpu])
    with own.lock:
        own.bufs.push_back(fresh)
        own.count += 1
    return fresh, True


@inline
def data(bp: Ptr[Buf]) -> Slice[u8]:
    """What the block holds."""
    return make_slice(bp.memory, bp.size)       # safe: so many bytes, while it is held


@no_block
def brelse(bp: Ptr[Buf]) -> None:
    """The end of a hold."""
    bucket = _bucket(bp.bo, bp.offset)
    with bucket.lock:
        bp.holders -= 1
        dies = bp.holders == 0 and bp.error != 0
        if dies:
            _unhash(bucket, bp)
    if dies:
        _destroy(bp)


@no_block
def done(bp: Ptr[Buf], error: i32) -> None:
    """A BUSY buffer has its data, or not: let the others have it."""
    bp.error = error
    ktr.log(ktr.Event.BUF_DONE, bp.offset, u64(error))
    if error == 0:
        bp.flags.or_(VALID)
    was = bp.flags.and_(~(BUSY | WANTED))
    if was & WANTED != 0:
        sleepq.wakeup(u64(address_of(bp)))


@may_block
def purge(bo: Ptr[BufObject]) -> None:
    """Forget all that an object has (C6), waiting for reads and holders."""
    while True:
        with bo.lock:
            bp = bo.bufs.first
            dying = False
            if bp is not None:
                with _bucket(bo, bp.offset).lock:       # C5
                    dying = bp.flags.load() & DYING != 0
                    if not dying:
                        bp.holders += 1
        if bp is None:
            return
        if dying or not _purge(bp):
            sleepq.tsleep(u64(address_of(bo)), sleepq.NO_FLAGS, "purge", 1)


@may_block
def _purge(bp: Ptr[Buf]) -> bool:
    """End a hold, and the buffer with it; False: it has other holders."""
    _wait(bp)
    bucket = _bucket(bp.bo, bp.offset)
    with bucket.lock:
        bp.holders -= 1
        alone = bp.holders == 0
        if alone:
            _unhash(bucket, bp)
    if alone:
        _destroy(bp)
    return alone


@inline
def of(request: Ptr[Bio]) -> Ptr[Buf]:
    """In an object's strategy(): the buffer that a request is for.  Of objects whose max_transfer
    is one block only: a request may else be for several buffers."""
    return pointer_at(Buf, VirtAddr(request.track[0].info))     # safe: _read() put it there


# --- Inside: reading -----------------------------------------------------------------------


@throws
def _await(bp: Ptr[Buf]) -> Ptr[Buf]:
    """Wait for the read of a held buffer; the hold ends if it failed."""
    if bp.flags.load() & (VALID | BUSY) != VALID:       # who is in done() still writes to flags
        _wait(bp)
        error = bp.error
        if error != 0:
            brelse(bp)
            raise Errno(error)
    return bp


@may_block
def _wait(bp: Ptr[Buf]) -> None:
    ident = u64(address_of(bp))
    while True:
        sleepq.tsleep_interlock(ident)
        if bp.flags.or_(WANTED) & BUSY == 0:
            sleepq.tsleep_remove()
            return
        sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, "getblk", 0)


def _read(bp: Ptr[Buf], release: bool) -> None:
    """Read one buffer; with `release` the caller's hold ends with it."""
    info = u64(address_of(bp))
    if release:
        bio.init(bp.request, BioCmd.READ, bp.offset, bp.size, _read_ahead_done, info)
    else:
        bio.init(bp.request, BioCmd.READ, bp.offset, bp.size, _read_done, info)
    bio.set_pages(bp.request, bp.pages, bp.page_offset)
    bp.bo.strategy(bp.bo, bp.request)


@no_block
def _read_done(request: Ptr[Bio]) -> None:
    done(of(request), request.error)


@no_block
def _read_ahead_done(request: Ptr[Bio]) -> None:
    bp = of(request)
    done(bp, request.error)
    brelse(bp)


@may_block
def _read_from(first: Ptr[Buf] | None, bo: Ptr[BufObject], offset: u64, size: u32,
               ahead: u32) -> None:
    """Read `first`, if there is one, and up to `ahead` blocks from `offset` on, which follow it,
    in requests as large as may be.  Only `first` stays held."""
    run: Array[Ptr[Buf] | None, CLUSTER_BUFS]
    most = min(max(bo.max_transfer // size, 1), CLUSTER_PAGES * PAGE_SIZE // size, CLUSTER_BUFS)
    count: u32 = 0
    keeps_first = first is not None
    if first is not None:
        run[0] = first
        count = 1
    marked = False
    for _ in range(ahead):
        if offset >= bo.size or bo.size - offset < size:
            break
        try:
            bp, made = getblk(bo, offset, size)
        except Errno:
            break                           # no memory for what nobody has asked for
        offset += size
        if not made:
            brelse(bp)
        elif not marked:
            bp.flags.or_(MARK)
            marked = True
        if count != 0 and (not made or count == most):
            _send(run[:count], keeps_first)
            keeps_first = False
            count = 0
        if made:
            _queues[gd.cpuid].ahead += 1
            run[count] = bp
            count += 1
    if count != 0:
        _send(run[:count], keeps_first)


def _send(run: Slice[Ptr[Buf] | None], keeps_first: bool) -> None:
    """Read neighbours, in one request if there is memory for it."""
    first = unwrap(run[0])
    cluster: Ptr[Cluster] | None = None
    if len(run) > 1 and first.size % PAGE_SIZE == 0:
        cluster = slab.new(Cluster, M_BUF, NOWAIT)
    if cluster is None:
        for i, bp in enumerate(run):
            _read(unwrap(bp), i != 0 or not keeps_first)
        return
    used: u64 = 0
    for i, bp in enumerate(run):
        neighbour = unwrap(bp)
        cluster.bufs[i] = neighbour
        for pa in neighbour.pages[:neighbour.size // PAGE_SIZE]:
            cluster.pages[used] = pa
            used += 1
    cluster.count = u32(len(run))
    cluster.keeps_first = keeps_first
    bio.init(cluster.request, BioCmd.READ, first.offset, used * PAGE_SIZE, _cluster_done,
             u64(address_of(cluster)))
    bio.set_pages(cluster.request, cluster.pages[:used], 0)
    first.bo.strategy(first.bo, cluster.request)


@no_block
def _cluster_done(request: Ptr[Bio]) -> None:
    # safe: _send() put it there
    cluster = pointer_at(Cluster, VirtAddr(bio.info_of(request)))
    for i in range(cluster.count):
        bp = unwrap(cluster.bufs[i])
        done(bp, request.error)
        if i != 0 or not cluster.keeps_first:
            brelse(bp)
    slab.kfree(cluster, M_BUF)


# --- Inside: finding and making ------------------------------------------------------------


@inline
def _bucket(bo: Ptr[BufObject], offset: u64) -> Ptr[Bucket]:
    mixed = wrapping((u64(address_of(bo)) >> 6) * 0x9E37_79B9_7F4A_7C15
                     + (offset >> 10) * 0xC2B2_AE3D_27D4_EB4F)
    return ref(_buckets[mixed >> BUCKET_SHIFT])


def _look(bucket: Ptr[Bucket], bo: Ptr[BufObject], offset: u64) -> Ptr[Buf] | None:
    """The buffer in a locked bucket, held; None if it is not there."""
    for bp in bucket.bufs:
        if bp.bo is bo and bp.offset == offset:
            bp.holders += 1
            if bp.flags.load_relaxed() & USED == 0:
                bp.flags.or_(USED)
            return bp
    return None


def _unhash(bucket: Ptr[Bucket], bp: Ptr[Buf]) -> None:
    """With the bucket locked: whoever does this frees the buffer (C4)."""
    bp.flags.or_(DYING)
    bucket.bufs.remove(bp)


@throws
def _make(bo: Ptr[BufObject], offset: u64, size: u32) -> Ptr[Buf]:
    """A buffer that is in no list yet, held and BUSY; of the memory of another one, if possible."""
    bp: Ptr[Buf] | None = None
    while _bytes.load_relaxed() + size > _limit:
        victim = _evict()
        if victim is None:
            break                           # all are in use: more than the limit, then
        if victim.size == size:
            bp = victim
            break
        _free(victim)
    if bp is None:
        bp = _allocate(size)
    bp.bo = bo
    bp.offset = offset
    bp.cpu = gd.cpuid
    bp.holders = 1
    bp.error = 0
    bp.flags.store(BUSY)
    return bp


@throws
def _allocate(size: u32) -> Ptr[Buf]:
    bp = slab.new(Buf, M_BUF, M.WAITOK | M.NULLOK)
    if bp is None:
        raise Errno(ENOMEM)
    memory = slab.kmalloc(size, M_BUF, M.WAITOK | M.NULLOK)
    if memory is None:
        slab.kfree(bp, M_BUF)
        raise Errno(ENOMEM)
    bp.memory = memory
    bp.size = size
    at = u64(address_of(memory))
    bp.page_offset = u32(at % PAGE_SIZE)
    for i in range((bp.page_offset + size + PAGE_SIZE - 1) // PAGE_SIZE):
        bp.pages[i] = machine.pmap_extract(VirtAddr(at - bp.page_offset + u64(i) * PAGE_SIZE))
    _bytes.add(size)
    return bp


def _free(bp: Ptr[Buf]) -> None:
    """Give back the memory of a buffer that is in no list."""
    _bytes.sub(bp.size)
    slab.kfree(bp.memory, M_BUF)
    slab.kfree(bp, M_BUF)


def _destroy(bp: Ptr[Buf]) -> None:
    """After _unhash(): out of the other lists, and free it."""
    place = ref(_queues[bp.cpu])
    with place.lock:
        place.bufs.remove(bp)
        place.count -= 1
    bo = bp.bo
    with bo.lock:
        bo.bufs.remove(bp)
    _free(bp)


def _evict() -> Ptr[Buf] | None:
    """Take a buffer that nobody holds out of all lists: of this CPU's, or of another's."""
    own = gd.cpuid
    bp = _evict_from(own)
    if bp is None:
        for cpu in globaldata.numbers():
            if cpu != own:
                bp = _evict_from(cpu)
                if bp is not None:
                    break
    if bp is None:
        return None
    bo = bp.bo
    with bo.lock:
        bo.bufs.remove(bp)
    return bp


def _evict_from(cpu: u32) -> Ptr[Buf] | None:
    """Twice round a CPU's queue at most; the first time may only find that all were used."""
    place = ref(_queues[cpu])
    with place.lock:
        for _ in range(place.count * 2):
            bp = place.bufs.pop_front()
            if bp is None:
                break
            bucket = _bucket(bp.bo, bp.offset)
            if spin.trylock(bucket.lock):       # C5
                flags = bp.flags.load_relaxed()
                idle = bp.holders == 0 and flags & DYING == 0
                if idle and flags & USED == 0:
                    _unhash(bucket, bp)
                    spin.unlock(bucket.lock)
                    place.count -= 1
                    return bp
                if idle:
                    bp.flags.and_(~USED)
                spin.unlock(bucket.lock)
            place.bufs.push_back(bp)
    return None


# --- For people ----------------------------------------------------------------------------


def total_bytes() -> u64:
    """What buffers hold."""
    return _bytes.load_relaxed()


def limit() -> u64:
    """What they may hold, as far as their holders let go of them."""
    return _limit
