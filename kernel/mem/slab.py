# SPDX-License-Identifier: BSD-3-Clause
"""kmalloc: memory of any size, from slabs that belong to CPUs.

A zone is 32 to 128 KiB of memory, aligned to its size, cut into chunks of one of 80 sizes.  It
belongs to the CPU that made it: only that CPU allocates from it.  A chunk's zone is found by
masking its address.  Requests of whole pages, or of a quarter of a zone and more, are pages of
their own; the first frame's slot holds their number, that of a slab page -(cpu + 1).

Freeing on another CPU: the chunk is pushed on the zone's `rchunks`, where the owner collects it
when it runs out.  Only if the zone is off the owner's active list (`rsignal`), and rchunks was
empty, the owner gets a passive IPI message, once.  A zone can be taken away from under whoever has
just pushed its last chunk; so who might have to signal holds `rcount` first, and hands it to the
message.  That pushes come before rsignal is read, and that the owner sets rsignal before it looks
at rchunks a last time, are locked operations: one of the two sees the other.

The common cases take no slow path: a chunk on the list of the first active zone, within what the
type may use without asking (malloc_type); freeing to a zone of this CPU that is active.  `owner`
is set in such zones only.  In a zone made under `debug` it is never set, and free chunks are kept
aside: every operation goes the slow way, which checks for double frees (a bitmap) and for writes to
freed memory (filled with 0xdeadc0de); the fast path does not know of it.  `debug` is a variable,
not a kind of build, because it costs nothing while it is off.  Events of ktr are written on the
slow way only.

Invariants
  Z1  Only the owner CPU touches a zone, but for rchunks, rsignal and rcount.
  Z2  nmax - nused is the number of chunks on lchunks (or dchunks) and of those never used; so
      chunks on rchunks count as used.
  Z3  A zone is on exactly one list: active of its size, off (all chunks used), or free (none
      used, rcount 0).
  Z4  A zone off the active list has rsignal set, or is being put back.
  Z5  rcount counts the pushes and messages that may still look at the zone; while it is not 0 the
      zone is not free.
  Z6  Chunks of a power of two are aligned to their size; all to the largest power of two in theirs.
  Z7  No zone is returned to kva in an IPI callback: only when allocating, or in trim() and drain().
  Z8  slab.quick[c] is the first active zone of class c, or `nobody`, which has no chunks.
Locking   [o] the owner CPU, in a critical section   [a] atomic   [I] fixed after _new_zone()
Tests     tests/unit/mem/test_slab.py, tests/guest/memory.py
Source    DragonFly sys/kern/kern_slaballoc.c (design)
Decision  docs/decisions/0008-a-remote-free-pins-first.md
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    MPtr,
    PerCpu,
    Ptr,
    Slice,
    Type,
    TypeVar,
    VirtAddr,
    address_of,
    bits_of,
    cast,
    clz,
    cold,
    compiler_fence,
    comptime,
    fault_site,
    i32,
    inline,
    make_slice,
    memset,
    noinline,
    panic,
    pointer_at,
    ref,
    sizeof,
    struct,
    sub_borrow,
    u8,
    u32,
    u64,
    unwrap,
    wrapping,
    zeroed,
)

from kernel import machine
from kernel.lib import queue
from kernel.lwkt import crit, ipiq, ktr, splz
from kernel.lwkt.globaldata import RQF_PENDING, Globaldata, curthread, find, gd, mycpu
from kernel.lwkt.thread import Thread
from kernel.machine.types import MAX_CPUS, PAGE_SHIFT, PAGE_SIZE
from kernel.mem import kva, malloc_type, page
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType
from kernel.mem.page import Page

UNSAFE: Final = True     # makes memory of numbers; a zone is found by masking an address

MAGIC: Final[u32] = 0x534C_4142
POISON: Final[u32] = 0xDEAD_C0DE
NZONES: Final = 80
MIN_ZONE: Final = 32 * 1024
MAX_ZONE: Final = 128 * 1024
SMALL: Final = 2048                     # sizes whose class is looked up in a table
SLIDE: Final = 20                       # chunks by which the first used one of each zone moves on
MIN_KEPT: Final = 32                    # free zones that a CPU keeps
ZERO_LENGTH: Final[u64] = 0xFFFF_FFFF_FFFF_F000      # what kmalloc(0) is: nothing is there
GIB: Final = 1 << 30


@comptime
def chunk_sizes():
    """The size of each class: 8 to 128 by 8, then eight steps for each power of two."""
    sizes = [8 * (i + 1) for i in range(16)]
    low = 128
    while low < 32768:
        sizes += [low + low // 8 * (i + 1) for i in range(8)]
        low *= 2
    return sizes


@comptime
def small_classes():
    """The class of (size - 1) // 8, for sizes up to SMALL."""
    classes = []
    for wanted in range(8, SMALL + 1, 8):
        classes.append(len([size for size in chunk_sizes() if size < wanted]))
    return classes


CHUNK_SIZES: Final[Array[u32, NZONES]] = chunk_sizes()
SMALL_CLASSES: Final[Array[u8, 256]] = small_classes()

T = TypeVar("T")


@struct
class Chunk:
    """A free chunk."""
    next: "Ptr[Chunk] | None"


@struct(align=64)
class Zone:
    """The head of a zone."""
    lchunks: Ptr[Chunk] | None          # [o] free chunks; None under debug
    owner: Ptr[Globaldata] | None       # [o] set while active and not debugged: see the header
    chunk_size: u64                     # [I]
    nused: u32                          # [o] Z2
    nmax: u32                           # [I] chunks
    magic: u32                          # [I] MAGIC
    cpu: u32                            # [I] whose it is
    zindex: u32                         # [I] its class
    active: bool                        # [o] on the list of its class
    debug: bool                         # [I]
    link: queue.Link["Zone"]            # [o]
    base: u64                           # [I] address of chunk 0
    uindex: u32                         # [o] the next chunk never used
    unused: u32                         # [o] chunks never used
    dchunks: Ptr[Chunk] | None          # [o] free chunks under debug
    bitmap: MPtr[u64]                   # [o] chunks in use, under debug
    rchunks: Atomic[Ptr[Chunk] | None]  # [a] freed by other CPUs
    rsignal: Atomic[u32]                # [a] tell me when rchunks is no longer empty
    rcount: Atomic[u32]                 # [a] Z5


@struct
class Counters:
    """Statistics of a CPU."""
    zones_made: u64
    zones_returned: u64
    remote_frees: u64
    remote_signals: u64
    collected: u64


@struct(align=64)
class Slab:
    """A CPU's zones."""
    quick: Array[Ptr[Zone], 256]                        # [o] Z8; NZONES are used
    zones: Array[queue.TailQueue[Zone, "link"], NZONES] # [o] active, by class
    off: queue.TailQueue[Zone, "link"]                  # [o] without free chunks
    free: queue.TailQueue[Zone, "link"]                 # [o] without used chunks
    nfree_zones: u32                                    # [o] length of `free`
    nzones: u32                                         # [o] all of them
    jindex: u32                                         # [o] where the next zone begins
    counters: Counters                                  # [o]


slab: PerCpu[Slab] = zeroed(Slab)
nobody: Zone
slabs: Array[Ptr[Slab] | None, MAX_CPUS]    # [I]
zone_size: u64 = MIN_ZONE                   # [I]
zone_mask: u64 = 0                          # [I] of an address, what is its zone's
zone_limit: u64 = MIN_ZONE // 4             # [I] sizes from here on are pages
zones_kept: u32 = MIN_KEPT                  # [I] free zones beyond this go back
debug: bool = False                         # zones made from now on are checked


def init(memory: u64) -> None:
    """`memory` bytes there are in all.  Boot CPU, once, after kva.init()."""
    global zone_size, zone_mask, zone_limit, zones_kept
    zone_size = MIN_ZONE
    while zone_size < MAX_ZONE and zone_size * 2 <= memory // 1024:
        zone_size *= 2
    zone_mask = ~(zone_size - 1)
    zone_limit = zone_size // 4
    zones_kept = MIN_KEPT
    if memory >= 8 * GIB:
        zones_kept *= 2
    if memory >= 16 * GIB:
        zones_kept *= 2
    malloc_type.init(memory)


def init_cpu(cpu: u32) -> None:
    """Make this CPU's zones known."""
    slabs[cpu] = ref(slab)
    for zindex in range(len(slab.quick)):
        slab.quick[zindex] = ref(nobody)
    malloc_type.init_cpu(cpu)


# --- Allocating ----------------------------------------------------------------------------


@fault_site("alloc")
@inline
def kmalloc(size: u64, kind: Ptr[MallocType], how: M) -> Ptr[u8] | None:
    """`size` bytes, aligned to 8 and to whatever power of two the size contains.

    Context  thread, no spinlock.
    Blocks   with WAITOK, while memory is short.
    Returns  None without WAITOK if there is no memory; with NULLOK at the type's limit.
    Panics   at the type's limit without NULLOK.
    """
    # Of a constant size the class is one too, and the test is not there.
    if wrapping(size - 1) < SMALL and not _special(how):
        return _kmalloc_class(SMALL_CLASSES[(size - 1) >> 3], kind, how)
    return _kmalloc_wait(size, kind, how)


@noinline
def _kmalloc_class(zindex: u8, kind: Ptr[MallocType], how: M) -> Ptr[u8] | None:
    """The common case: a chunk of a class."""
    td = curthread()
    _enter(td)
    chunk = _quick(zindex, kind)
    if chunk is None:
        return _kmalloc_missed(zindex, kind, how)
    if _leave(td):
        return _left(chunk)
    return chunk


@fault_site("alloc")
def kmalloc_nowait(size: u64, kind: Ptr[MallocType], how: M) -> Ptr[u8] | None:
    """kmalloc() that never sleeps, whatever `how` says, for where sleeping is forbidden.

    Context  any but an IPI callback; no spinlock.
    """
    if wrapping(size - 1) < SMALL and not _special(how):
        crit.crit_enter()
        chunk = _quick(SMALL_CLASSES[(size - 1) >> 3], kind)
        crit.crit_exit()
        if chunk is not None:
            return chunk
    return _attempt(size, kind, how)


@inline
def new(cls: Type[T], kind: Ptr[MallocType], how: M) -> Ptr[T] | None:
    """A zeroed T, or None as kmalloc().  Who asks fills in the pointers that may not be null."""
    memory = kmalloc(sizeof(cls), kind, how | M.ZERO)
    # safe: so many bytes, aligned, that are nobody else's
    return None if memory is None else pointer_at(cls, VirtAddr(u64(address_of(memory))))


@inline
def _special(how: M) -> bool:
    """Whether there is more to do than to find memory."""
    return bits_of(how) & (bits_of(M.ZERO) | bits_of(M.POWEROF2)) != 0


@inline
def _enter(td: Ptr[Thread]) -> None:
    """crit_enter() of this thread."""
    td.critcount += 1
    compiler_fence()


@inline
def _leave(td: Ptr[Thread]) -> bool:
    """crit_exit(), but True if something was deferred: who asks sees to it as his last act, which
    so needs no stack frame."""
    compiler_fence()
    depth = td.critcount - 1
    td.critcount = depth
    compiler_fence()
    return depth == 0 and gd.reqflags.load_relaxed() & RQF_PENDING != 0


@cold
@noinline
def _left(chunk: Ptr[u8]) -> Ptr[u8]:
    """What was deferred, with the result of kmalloc() in hand."""
    splz.crit_exit_pending()
    return chunk


@inline
def _quick(zindex: u8, kind: Ptr[MallocType]) -> Ptr[u8] | None:
    """A chunk from the first zone's list, if there is one and the type need not be asked.
    Critical section."""
    zone = slab.quick[zindex]
    chunk = zone.lchunks
    if chunk is None:
        return None
    use = kind.index.load_relaxed()
    left, short = sub_borrow(malloc_type.uses[use].loose_left, zone.chunk_size)
    if short:
        return None
    malloc_type.uses[use].loose_left = left
    malloc_type.uses[use].calls = wrapping(malloc_type.uses[use].calls + 1)
    zone.lchunks = chunk.next
    zone.nused += 1
    return cast(Ptr[u8], chunk)         # safe: nobody else's from now on


@cold
@noinline
def _kmalloc_missed(zindex: u8, kind: Ptr[MallocType], how: M) -> Ptr[u8] | None:
    """_quick() found nothing: _kmalloc_wait(), after the critical section that it needed."""
    crit.crit_exit()
    return _kmalloc_wait(CHUNK_SIZES[zindex], kind, how)


@cold
@noinline
def _kmalloc_wait(size: u64, kind: Ptr[MallocType], how: M) -> Ptr[u8] | None:
    while True:
        found = _attempt(size, kind, how)
        if found is not None or M.RNOWAIT in how or M.WAITOK not in how:
            return found
        if M.NULLOK in how and not malloc_type.admit(kind, size):
            return None                         # it is the limit, not memory
        drain()
        page.wait(max(size, zone_size) >> PAGE_SHIFT, "kmalloc")


def _admitted(size: u64, kind: Ptr[MallocType], how: M) -> bool:
    """Whether the type may have so much; panics if not and the caller does not reckon with it."""
    if malloc_type.admit(kind, size):
        return True
    if M.NULLOK not in how:
        panic(f"malloc type {kind.name}: more than its limit of {kind.limit} bytes")
    return False


@noinline
def _attempt(size: u64, kind: Ptr[MallocType], how: M) -> Ptr[u8] | None:
    """One attempt at any kind of request."""
    assert gd.spinlocks == 0
    if size == 0:
        return pointer_at(u8, VirtAddr(ZERO_LENGTH))
    wanted = size
    if M.POWEROF2 in how and size & (size - 1) != 0:
        wanted = u64(1) << (64 - u64(clz(size)))
    large = wanted >= zone_limit or wanted % PAGE_SIZE == 0
    zindex: u32 = 0
    if large:
        wanted = (wanted + PAGE_SIZE - 1) & ~u64(PAGE_SIZE - 1)
    else:
        zindex = class_of(wanted)
        wanted = CHUNK_SIZES[zindex]
    if not _admitted(wanted, kind, how):
        return None
    if slab.nfree_zones > zones_kept:  # races: a hint; _return_zones() looks again
        _return_zones(zones_kept)
    crit.crit_enter()
    address = _large(wanted >> PAGE_SHIFT, how) if large else _small(zindex, how)
    if address != 0:
        malloc_type.count(kind, wanted)
        ktr.log(ktr.Event.ALLOC, address, wanted)
    crit.crit_exit()
    if address == 0:
        return None
    # safe: `wanted` bytes that are nobody else's from now on
    found = pointer_at(u8, VirtAddr(address))
    if M.ZERO in how:
        memset(cast(MPtr[u8], found), 0, size)
    return found


def class_of(size: u64) -> u32:
    """The class whose chunks are just large enough; 1 <= size <= 32768."""
    if size <= SMALL:
        return SMALL_CLASSES[(size - 1) >> 3]
    shift = 60 - u32(clz(size - 1))
    return 16 + 8 * (shift - 4) + u32((size - 1) >> shift) - 8


def _large(pages: u64, how: M) -> u64:
    """Whole pages: one is a frame where all memory is seen, several are mapped in a row."""
    if pages == 1:
        frame = page.alloc(how)
        if frame is None:
            return 0
        frame.slot = 1
        return u64(page.virt(frame))
    va = kva.alloc(pages, how)
    if va != 0:
        unwrap(page.of(machine.pmap_extract(VirtAddr(va)))).slot = i32(pages)
    return va


def _small(zindex: u32, how: M) -> u64:
    """A chunk of a class.  Critical section."""
    while True:
        zone = slab.zones[zindex].first
        if zone is None:
            zone = _new_zone(zindex, how)
            if zone is None:
                return 0
        if zone.nused == zone.nmax:
            _collect(zone)
        if zone.nused < zone.nmax:
            return _pop(zone)
        _deactivate(zone)


def _pop(zone: Ptr[Zone]) -> u64:
    """A free chunk of a zone that has one."""
    assert zone.magic == MAGIC and zone.cpu == gd.cpuid and zone.nused < zone.nmax
    zone.nused += 1
    chunk = zone.lchunks
    if chunk is not None:
        zone.lchunks = chunk.next
        return u64(address_of(chunk))
    checked = zone.dchunks
    if checked is not None:
        zone.dchunks = checked.next
        address = u64(address_of(checked))
        _check_poison(zone, address)
        _mark_used(zone, address)
        return address
    assert zone.unused != 0
    address = zone.base + zone.uindex * zone.chunk_size
    zone.uindex = zone.uindex + 1 if zone.uindex + 1 < zone.nmax else 0
    zone.unused -= 1
    if zone.debug:
        _mark_used(zone, address)
    return address


# --- Freeing -------------------------------------------------------------------------------


@inline
def kfree(item: Ptr[T], kind: Ptr[MallocType]) -> None:
    """Give back what kmalloc() gave, with the same type.

    Context  any but an IPI callback; no spinlock.
    """
    free_address(u64(address_of(item)), kind)


def free_address(address: u64, kind: Ptr[MallocType]) -> None:
    """kfree() of an address."""
    if address & (PAGE_SIZE - 8) != 0:          # not the start of a page: a chunk
        # safe: every address that kmalloc() gave and that begins no page lies in a zone
        zone = pointer_at(Zone, VirtAddr(address & zone_mask))
        td = curthread()
        _enter(td)
        if zone.owner is mycpu():  # races: set to this CPU by this CPU only
            chunk = pointer_at(Chunk, VirtAddr(address))
            chunk.next = zone.lchunks
            zone.lchunks = chunk
            use = kind.index.load_relaxed()
            malloc_type.uses[use].frees = wrapping(malloc_type.uses[use].frees + 1)
            malloc_type.uses[use].memuse = wrapping(malloc_type.uses[use].memuse - zone.chunk_size)
            nused = zone.nused - 1
            zone.nused = nused
            if nused == 0:
                _freed_last(address)    # the address: it is where a first argument is passed
            elif _leave(td):
                splz.crit_exit_pending()
                compiler_fence()        # a call, not a jump: then only this path sets up a frame
            return
        _free_missed(address, kind)
        return
    _free_slow(address, kind)


@cold
@noinline
def _freed_last(address: u64) -> None:
    """The rest of free_address() where all chunks of the zone are free now."""
    _retire(pointer_at(Zone, VirtAddr(address & zone_mask)), 1)     # safe: as in free_address()
    crit.crit_exit()


@cold
@noinline
def _free_missed(address: u64, kind: Ptr[MallocType]) -> None:
    """The rest of free_address() where the zone needs care."""
    crit.crit_exit()
    _free_slow(address, kind)


@noinline
def _free_slow(address: u64, kind: Ptr[MallocType]) -> None:
    """Free anything."""
    assert gd.spinlocks == 0
    if address == ZERO_LENGTH:
        return
    if address & (PAGE_SIZE - 1) == 0:
        frame = page.of(machine.pmap_extract(VirtAddr(address)))
        if frame is None or frame.slot == 0:
            panic(f"kfree: {address:#x} was not allocated, or was freed")
        if frame.slot > 0:
            _free_large(address, frame, kind)
            return
    # safe: as in free_address()
    zone = pointer_at(Zone, VirtAddr(address & zone_mask))
    assert zone.magic == MAGIC, "kfree: not an address of kmalloc()"
    offset = wrapping(address - zone.base)
    assert offset % zone.chunk_size == 0 and offset // zone.chunk_size < zone.nmax, (
        "kfree: not the start of a chunk")
    if zone.debug:
        _poison(zone, address)
    crit.crit_enter()
    ktr.log(ktr.Event.FREE, address, zone.chunk_size)
    malloc_type.discount(kind, zone.chunk_size)
    chunk = pointer_at(Chunk, VirtAddr(address))
    if zone.cpu == gd.cpuid:
        _push(zone, chunk)
        if not zone.active:
            _activate(zone)
        if zone.nused == 0:
            _retire(zone, 1)
    else:
        _push_remote(zone, chunk)
    crit.crit_exit()


def _free_large(address: u64, frame: Ptr[Page], kind: Ptr[MallocType]) -> None:
    pages = u64(frame.slot)
    frame.slot = 0
    crit.crit_enter()
    malloc_type.discount(kind, pages << PAGE_SHIFT)
    crit.crit_exit()
    if pages == 1:
        page.free(frame)
    else:
        kva.free(address, pages)


def _push(zone: Ptr[Zone], chunk: Ptr[Chunk]) -> None:
    """Have a chunk in its zone again.  The owner, in a critical section."""
    assert zone.nused != 0, "kfree: more chunks than there are"
    zone.nused -= 1
    if zone.debug:
        _mark_free(zone, u64(address_of(chunk)))
        chunk.next = zone.dchunks
        zone.dchunks = chunk
    else:
        chunk.next = zone.lchunks
        zone.lchunks = chunk


def _push_remote(zone: Ptr[Zone], chunk: Ptr[Chunk]) -> None:
    """Free a chunk of another CPU's zone.  See the header.  Critical section."""
    slab.counters.remote_frees += 1
    owner = zone.cpu
    ktr.log(ktr.Event.FREE_REMOTE, u64(address_of(chunk)), owner)
    pinned = False
    while True:
        head = zone.rchunks.load_relaxed()
        if head is None and not pinned:
            zone.rcount.add(1)                          # before the push: Z5
            pinned = True
        chunk.next = head
        if zone.rchunks.cas(head, chunk):
            break
    if not pinned:
        return                                          # the zone may be gone already

    if head is None and zone.rsignal.load() != 0:       # after the push: Z4
        slab.counters.remote_signals += 1
        ipiq.send_passive(find(owner), _kfree_remote, u64(address_of(zone)), 0)
    else:
        zone.rcount.sub(1)


def _kfree_remote(record: u64, unused: u64) -> None:
    """On the owner: chunks came back to a zone that had none.  IPI callback."""
    zone = pointer_at(Zone, VirtAddr(record))           # safe: it is pinned for us (Z5)
    assert zone.magic == MAGIC and zone.cpu == gd.cpuid
    _collect(zone)
    if not zone.active and zone.nused < zone.nmax:
        _activate(zone)

    zone.rcount.sub(1)                                  # the last look, but for an owner's

    if zone.active and zone.nused == 0:
        _retire(zone, 1)


# --- Zones ---------------------------------------------------------------------------------


def _new_zone(zindex: u32, how: M) -> Ptr[Zone] | None:
    """A zone for a class, active; None if there is no memory.  Critical section."""
    zone = slab.free.pop_front()
    if zone is not None:
        slab.nfree_zones -= 1
    else:
        zone = _get_zone(how)
        if zone is None:
            return None
    size = u64(CHUNK_SIZES[zindex])
    align = size & wrapping(-size)
    header = u64(sizeof(Zone))
    if debug:
        header += (zone_size // size + 63) // 64 * 8
    start = (header + align - 1) & ~(align - 1)
    zone.lchunks = None
    zone.dchunks = None
    zone.owner = None
    zone.chunk_size = size
    zone.nmax = u32((zone_size - start) // size)
    zone.nused = 0
    zone.unused = zone.nmax
    zone.cpu = gd.cpuid
    zone.zindex = zindex
    zone.debug = debug
    zone.base = u64(address_of(zone)) + start
    zone.uindex = slab.jindex % zone.nmax
    slab.jindex = (slab.jindex + SLIDE) & 0xFFFF
    zone.rchunks.store(None)
    zone.rcount.store(0)
    if debug:
        zone.bitmap = cast(MPtr[u64], pointer_at(u64, VirtAddr(
            u64(address_of(zone)) + sizeof(Zone))))
        for i in range((zone.nmax + 63) // 64):
            zone.bitmap[i] = 0
    zone.magic = MAGIC
    slab.off.push_front(zone)
    _activate(zone)
    return zone


def _get_zone(how: M) -> Ptr[Zone] | None:
    """Memory for a zone."""
    pages = zone_size >> PAGE_SHIFT
    va = kva.alloc(pages, how, pages)
    if va == 0:
        return None
    for i in range(pages):
        frame = unwrap(page.of(machine.pmap_extract(VirtAddr(va + (i << PAGE_SHIFT)))))
        frame.slot = -i32(gd.cpuid + 1)
    slab.nzones += 1
    slab.counters.zones_made += 1
    # safe: zone_size bytes, aligned to as much, that are this CPU's
    return pointer_at(Zone, VirtAddr(va))


def _activate(zone: Ptr[Zone]) -> None:
    """From `off` to the list of its class."""
    slab.off.remove(zone)
    slab.zones[zone.zindex].push_front(zone)
    slab.quick[zone.zindex] = zone
    zone.active = True
    zone.rsignal.store(0)
    if not zone.debug:
        zone.owner = mycpu()


def _deactivate(zone: Ptr[Zone]) -> None:
    """A zone has no free chunk: off the list, unless chunks arrive at this moment (Z4)."""
    _take_off(zone)
    slab.off.push_front(zone)

    zone.rsignal.swap(1)                            # a full fence, before the last look

    _collect(zone)
    if zone.nused < zone.nmax:
        _activate(zone)


def _take_off(zone: Ptr[Zone]) -> None:
    """Off the list of its class."""
    zones = ref(slab.zones[zone.zindex])
    zones.remove(zone)
    first = zones.first
    slab.quick[zone.zindex] = ref(nobody) if first is None else first
    zone.active = False
    zone.owner = None


def _collect(zone: Ptr[Zone]) -> None:
    """Take in what other CPUs freed."""
    if zone.rchunks.load_relaxed() is None:
        return
    chunk = zone.rchunks.swap(None)
    while chunk is not None:
        following = chunk.next
        _push(zone, chunk)
        slab.counters.collected += 1
        chunk = following


@noinline
def _retire(zone: Ptr[Zone], others: u32) -> None:
    """All chunks of an active zone are free: keep it as a free zone, if nobody looks at it, and
    unless it is the last of its class and `others` is 1."""
    if zone.rcount.load() != 0:
        return
    zones = ref(slab.zones[zone.zindex])
    if others != 0 and zones.first is zones.last:
        return
    _take_off(zone)
    slab.free.push_front(zone)
    slab.nfree_zones += 1


def _return_zones(keep: u32) -> None:
    """Give free zones back to kva, until `keep` are left (Z7)."""
    while True:
        crit.crit_enter()
        if slab.nfree_zones <= keep:
            crit.crit_exit()
            return
        zone = unwrap(slab.free.pop_front())
        slab.nfree_zones -= 1
        slab.nzones -= 1
        slab.counters.zones_returned += 1
        zone.magic = 0
        crit.crit_exit()
        kva.free(u64(address_of(zone)), zone_size >> PAGE_SHIFT)


def trim() -> None:
    """Collect what others freed, and give free zones beyond those kept back to kva.  Each CPU's
    duty every 10 seconds.

    Context  thread, no spinlock.
    """
    _sweep()
    _return_zones(zones_kept)


def drain() -> None:
    """trim(), and keep no free zone."""
    _sweep()
    _return_zones(0)


def _sweep() -> None:
    """Find active zones that are free, or have become so by other CPUs."""
    for zindex in range(NZONES):
        crit.crit_enter()
        for zone in slab.zones[zindex]:
            _collect(zone)
            if zone.nused == 0:
                _retire(zone, 0)
        crit.crit_exit()


# --- Debugging -----------------------------------------------------------------------------


def _mark_used(zone: Ptr[Zone], address: u64) -> None:
    number = (address - zone.base) // zone.chunk_size
    bit = u64(1) << (number % 64)
    assert zone.bitmap[number // 64] & bit == 0, "kmalloc: the chunk is in use already"
    zone.bitmap[number // 64] |= bit


def _mark_free(zone: Ptr[Zone], address: u64) -> None:
    number = (address - zone.base) // zone.chunk_size
    bit = u64(1) << (number % 64)
    assert zone.bitmap[number // 64] & bit != 0, "kfree: the chunk is free already"
    zone.bitmap[number // 64] &= ~bit


def _words(zone: Ptr[Zone], address: u64) -> Slice[u32]:
    """A free chunk but for its link."""
    # safe: the rest of a chunk that nobody uses
    return make_slice(cast(MPtr[u32], pointer_at(u32, VirtAddr(address + 8))),
                      zone.chunk_size // 4 - 2)


def _poison(zone: Ptr[Zone], address: u64) -> None:
    _words(zone, address).fill(POISON)


def _check_poison(zone: Ptr[Zone], address: u64) -> None:
    for word in _words(zone, address):
        assert word == POISON, "kmalloc: memory was written to after it was freed"
