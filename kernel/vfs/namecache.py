# SPDX-License-Identifier: BSD-3-Clause
"""The namecache: names that were looked up, in a tree as the directories are.

An entry says what a name in a directory stands for: a vnode, or nothing (a negative entry), or that
nobody has asked yet.  It keeps its parent, so the tree above whatever is in use is there, and `..`
and a file's path need no file system.  Entries nobody holds stay until there are too many.

Finding takes no lock.  Entries are found by parent and name in a hash; whoever changes a bucket
does so under its lock and moves its update counter.  A reader notes the counter, walks, takes a
hold on what it found, and looks at the counter again: if it moved, the hold is given back and the
walk is done again under the lock.  That needs two things of the memory of entries: that it stays
entries for as long as somebody may look (kmalloc_obj, in a critical section), and that `holds` is
only ever added to, also when an entry is freed and made anew: memory begins with 0, and an entry
that is freed has 0 but for holds that are about to be given back.

Invariants
  E1  There is one entry for a parent and name, and it is in the hash, unless GONE.
  E2  holds counts who uses the entry: handles, children, mounts on it.  An entry whose holds were
      0 under the locked bucket, with the counter moved, and that was made GONE there, will not be
      used again.
  E3  RESOLVED: vp is what the name stands for, None for nothing.  It gets there under the entry's
      lock, stays, and vp is changed by who has locked the directory alone; read under `spin`.  vp
      is a reference.
  E4  An entry that is not held and has no children is in its CPU's queue; so is every other: the
      queue is looked through, not searched.
  E5  Locks: the entry's lock before buckets; two buckets by address; a queue before a bucket, and
      that by trylock.
  E6  parent, hash and name of an entry change in rename() alone: by one who has its bucket, both
      directories, and the mount's `renaming` locked.  Whoever has one of these may look at them.
Locking   [b] its bucket; readers check the update counter   [n] the entry's lock   [s] spin
          [q] its queue   [a] atomic   [I] fixed
Tests     tests/guest/files.py
Source    DragonFly sys/kern/vfs_cache.c, sys/sys/namecache.h (design)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    inline,
    kassert,
    make_slice,
    may_block,
    pointer_at,
    ref,
    sizeof,
    struct,
    throws,
    u8,
    u16,
    u32,
    u64,
    unwrap,
    wrapping,
    zeroed,
)

from kernel.lib import queue, words
from kernel.lib.errno import ENAMETOOLONG, ENOENT, ENOMEM
from kernel.lwkt import crit, globaldata, ktr, lockmgr, spin
from kernel.lwkt.globaldata import gd
from kernel.machine.types import MAX_CPUS
from kernel.mem import kmalloc_obj, slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType
from kernel.vfs import mount, vnode
from kernel.vfs.vnode import NAME_MAX, Vnode

UNSAFE: Final = True        # objects of kmalloc_obj are addresses; so are parents in a hash

INLINE_BYTES: Final = 40    # longer names are found under the lock
BUCKET_BITS: Final = 12
BUCKETS: Final = 4096
BUCKET_SHIFT: Final = 64 - BUCKET_BITS
LIMIT_OF: Final = 16384     # one entry for so many bytes of memory, at most

# What `flags` says
RESOLVED: Final[u32] = 1
MOUNT: Final[u32] = 2       # something is mounted here
GONE: Final[u32] = 4        # no longer in the tree; holders may still look at it

M_NAME: MallocType = MallocType(name="ncname")


@struct
class Namecache:
    """A name in a directory."""
    hash_link: queue.Link["Namecache"]      # [b]
    queue_link: queue.Link["Namecache"]     # [q]
    parent: Ptr["Namecache"] | None         # [b] None: a root; held
    hash: u64                               # [b] of parent and name
    holds: Atomic[u32]                      # [a] E2
    flags: Atomic[u32]                      # [a]
    vp: Ptr[Vnode] | None                   # [s] E3
    owner: Ptr[mount.Mount]                 # [I] whose vnodes these are
    cpu: u32                                # [I] whose queue
    length: u16                             # [b] bytes of the name
    used: bool                              # since the hand last passed
    name: Array[u8, INLINE_BYTES]           # [b] filled up with zeros
    long_name: Ptr[u8] | None               # [b] of length over INLINE_BYTES
    lock: lockmgr.Lock                      # [n]
    spin: spin.Spinlock


@struct
class Nch:
    """A place: an entry, seen through a mount.  Held, each is held."""
    mount: Ptr[mount.Mount] | None
    ncp: Ptr[Namecache] | None


@struct(align=64)
class Bucket:
    lock: spin.Spinlock
    names: queue.TailQueue[Namecache, "hash_link"]


@struct(align=64)
class NameQueue:
    """The entries that a CPU made."""
    lock: spin.Spinlock
    names: queue.TailQueue[Namecache, "queue_link"]     # [q] the hand is at the front
    count: u32                                          # [q] of them
    hits: u64                                           # [o] found without a lock
    misses: u64                                         # [o] not found
    locked: u64                                         # [o] had to look under the lock


_buckets: Array[Bucket, BUCKETS]
_queues: Array[NameQueue, MAX_CPUS]
_entries: Atomic[u64]                   # [a]
_limit: u64                             # [I] of `_entries`
_type: kmalloc_obj.ObjType = zeroed(kmalloc_obj.ObjType)


def init(memory: u64) -> None:
    """Before the first mount; `memory` bytes there are in all."""
    global _limit
    _limit = memory // LIMIT_OF
    _type.kind.name = "namecache"
    kmalloc_obj.create(_type, sizeof(Namecache))
    _type.zeroed = True


# --- Handles -------------------------------------------------------------------------------


def hold(ncp: Ptr[Namecache]) -> None:
    """One more hold, by one who has one."""
    ncp.holds.add(1)


def drop(ncp: Ptr[Namecache]) -> None:
    """One hold less; the entry stays, until it is in the way."""
    ncp.holds.sub(1)


def vnode_of_or_none(ncp: Ptr[Namecache]) -> Ptr[Vnode] | None:
    """What a held entry stands for, referenced; None for nothing, or if nobody has asked."""
    with ncp.spin:
        vp = ncp.vp
        if vp is not None:
            vnode.vref(vp)
    return vp


@throws
def vnode_of(ncp: Ptr[Namecache]) -> Ptr[Vnode]:
    """What a held and resolved entry stands for, referenced.  Errors  ENOENT."""
    vp = vnode_of_or_none(ncp)
    if vp is None:
        raise Errno(ENOENT)
    return vp


def name_of(ncp: Ptr[Namecache]) -> Slice[u8]:
    """The name of a held entry; a rename may change it meanwhile."""
    long_name = ncp.long_name
    if long_name is not None:
        return make_slice(long_name, ncp.length)        # safe: so long was it made
    return ncp.name[:ncp.length]


def nch_hold(to: Ptr[Nch], mp: Ptr[mount.Mount], ncp: Ptr[Namecache]) -> None:
    """Make `to` a handle of its own."""
    hold(ncp)
    mp.refs.add(1)
    to.mount = mp
    to.ncp = ncp


def nch_drop(nch: Ptr[Nch]) -> None:
    """The end of a handle; an empty one has none."""
    ncp = nch.ncp
    mp = nch.mount
    nch.ncp = None
    nch.mount = None
    if ncp is not None:
        drop(ncp)
    if mp is not None:
        mp.refs.sub(1)


def parent_of(ncp: Ptr[Namecache]) -> Ptr[Namecache] | None:
    """The parent of a held entry, held, wherever it is being moved to; None of a root."""
    while True:
        bucket = _bucket_of(ncp)
        with bucket.lock:
            if bucket is _bucket_of(ncp):
                parent = ncp.parent
                if parent is not None:
                    hold(parent)
                return parent


@inline
def is_called(ncp: Ptr[Namecache], parent: Ptr[Namecache], name: Slice[u8]) -> bool:
    """Whether a held entry is that of `name` in `parent`, which is held, its directory locked."""
    # races: it may be on its way between other directories, and is not ours then
    return (ncp.parent is parent and ncp.flags.load() & GONE == 0 and name_of(ncp) == name)


# --- Looking up ----------------------------------------------------------------------------


@throws
def lookup(parent: Ptr[Namecache], name: Slice[u8]) -> Ptr[Namecache]:
    """The entry for a name in a held directory entry, held and resolved: what the name stands for
    may be nothing.

    Errors   ENAMETOOLONG, ENOMEM, and those of the file system but for ENOENT.
    """
    ncp = nlookup(parent, name)
    if ncp.flags.load_acquire() & RESOLVED == 0:
        try:
            _resolve(ncp, parent)
        except Errno:
            drop(ncp)
            raise
    return ncp


@throws
def lookup_file(parent: Ptr[Namecache], name: Slice[u8]
                ) -> tuple[Ptr[Namecache], Ptr[Vnode] | None]:
    """lookup(), and what the name stands for, referenced."""
    while True:
        ncp = lookup(parent, name)
        vp = vnode_of_or_none(ncp)
        if vp is not None or ncp.flags.load() & GONE == 0:
            return ncp, vp
        drop(ncp)                           # another file has its name


@throws
def nlookup(parent: Ptr[Namecache], name: Slice[u8]) -> Ptr[Namecache]:
    """The entry, held, resolved or not."""
    if len(name) > NAME_MAX:
        raise Errno(ENAMETOOLONG)
    hashed = _hash(parent, name)
    bucket = ref(_buckets[hashed >> BUCKET_SHIFT])
    found, sure = _find(bucket, parent, hashed, name)
    if not sure:
        _queues[gd.cpuid].locked += 1
        with bucket.lock:
            found = _find_locked(bucket, parent, hashed, name)
    if found is not None:
        _queues[gd.cpuid].hits += 1
        return found
    _queues[gd.cpuid].misses += 1
    if ktr.on(ktr.Event.NAME_MISS):
        ktr.log(ktr.Event.NAME_MISS, ktr.short(name), u64(address_of(parent)))
    fresh = _make(parent, name, hashed, parent.owner)
    spin.update_lock(bucket.lock)
    found = _find_locked(bucket, parent, hashed, name)
    if found is None:
        hold(parent)                        # the child's
        bucket.names.push_front(fresh)
    spin.update_unlock(bucket.lock)
    if found is not None:                   # somebody was faster
        _free(fresh)
        return found
    _enqueue(fresh)
    return fresh


def _find(bucket: Ptr[Bucket], parent: Ptr[Namecache], hashed: u64,
          name: Slice[u8]) -> tuple[Ptr[Namecache] | None, bool]:
    """Look without a lock.  False: what was found, or not found, is not to be relied on."""
    crit.crit_enter()                       # what is freed stays an entry meanwhile
    began = spin.update_begin(bucket.lock)
    ncp = bucket.names.first                # races: the counter says whether it is to be believed
    steps: u32 = 0
    while ncp is not None and steps < 64:
        if _is(ncp, parent, hashed, name):
            break
        ncp = ncp.hash_link.next            # races: likewise
        steps += 1
    sure = steps < 64 and len(name) <= INLINE_BYTES
    if ncp is not None and sure:
        ncp.holds.add(1)                    # a locked operation: orders it before the next load
        sure = spin.update_same(bucket.lock, began)
        if not sure:
            ncp.holds.sub(1)
        elif not ncp.used:                  # races: a hint
            ncp.used = True                 # races: a hint
    elif sure:
        sure = spin.update_same(bucket.lock, began)
    crit.crit_exit()
    return ncp, sure


@inline
def _is(ncp: Ptr[Namecache], parent: Ptr[Namecache], hashed: u64, name: Slice[u8]) -> bool:
    """Whether an entry that may change seems to have that name."""
    # races: the counter says whether it is to be believed
    if ncp.hash != hashed or ncp.parent is not parent or ncp.length != len(name):
        return False
    # races: likewise
    return len(name) <= INLINE_BYTES and ncp.name[:len(name)] == name


def _find_locked(bucket: Ptr[Bucket], parent: Ptr[Namecache], hashed: u64,
                 name: Slice[u8]) -> Ptr[Namecache] | None:
    for ncp in bucket.names:
        if ncp.hash == hashed and ncp.parent is parent and name_of(ncp) == name:
            ncp.holds.add(1)
            return ncp
    return None


@throws
def _resolve(ncp: Ptr[Namecache], parent: Ptr[Namecache]) -> None:
    """Ask the file system; one thread at a time for one entry, which is called so until then."""
    dvp = vnode_of(parent)
    try:
        with ncp.lock:
            if ncp.flags.load() & RESOLVED == 0:
                vp: Ptr[Vnode] | None = None
                try:
                    with dvp.lock.sharing():
                        vp = dvp.ops.nresolve(dvp, name_of(ncp))
                except Errno as e:
                    if e.code != ENOENT:
                        raise
                if ktr.on(ktr.Event.NAME_RESOLVED):
                    stands_for = u64(address_of(vp)) if vp is not None else 0
                    ktr.log(ktr.Event.NAME_RESOLVED, ktr.short(name_of(ncp)), stands_for)
                _set(ncp, vp)
    finally:
        vnode.vrele(dvp)


@may_block
def setvp(ncp: Ptr[Namecache], vp: Ptr[Vnode] | None) -> None:
    """The name, which is RESOLVED, stands for `vp` from now on, or for nothing: by one who has
    changed the directory, and still has it locked.  The reference becomes the entry's."""
    kassert(ncp.flags.load() & RESOLVED != 0)
    _set(ncp, vp)


@may_block
def _set(ncp: Ptr[Namecache], vp: Ptr[Vnode] | None) -> None:
    with ncp.spin:
        before = ncp.vp
        ncp.vp = vp
    ncp.flags.or_(RESOLVED)
    if before is not None:
        vnode.vrele(before)


@throws
def rename(ncp: Ptr[Namecache], parent: Ptr[Namecache], name: Slice[u8]) -> None:
    """Entry `ncp` is now called `name` in `parent`, with all below it; what was called so is GONE,
    and the old name is unknown.  By one who has all that E6 asks for.

    Errors   ENOMEM; then nothing has changed.
    """
    long_name = _copy_long(name)
    target = nlookup(parent, name)
    hashed = _hash(parent, name)
    old = _bucket_of(ncp)
    new = ref(_buckets[hashed >> BUCKET_SHIFT])
    low = old if u64(address_of(old)) < u64(address_of(new)) else new       # E5
    high = new if low is old else old
    spin.update_lock(low.lock)
    if high is not low:
        spin.update_lock(high.lock)
    if target is not ncp:
        new.names.remove(target)
        target.flags.or_(GONE)
    old.names.remove(ncp)
    before = ncp.parent
    dead_name = ncp.long_name
    ncp.parent = parent
    ncp.hash = hashed
    ncp.length = u16(len(name))
    ncp.long_name = long_name
    words.write_text(ncp.name, name)
    new.names.push_front(ncp)
    if high is not low:
        spin.update_unlock(high.lock)
    spin.update_unlock(low.lock)
    hold(parent)
    drop(unwrap(before))
    if dead_name is not None:
        slab.kfree(dead_name, M_NAME)
    drop(target)


# --- Roots ---------------------------------------------------------------------------------


@throws
def make_root(mp: Ptr[mount.Mount], vp: Ptr[Vnode]) -> Ptr[Namecache]:
    """The entry of a mount's root, held; it has no name and is in no hash.  Errors  ENOMEM."""
    ncp = _make(None, b"", 0, mp)
    vnode.vref(vp)
    _set(ncp, vp)
    return ncp


@may_block
def drop_root(mp: Ptr[mount.Mount]) -> None:
    """The end of a mount's root, after purge()."""
    ncp = unwrap(mp.root)
    drop(ncp)
    if ncp.owner is mp:
        kassert(ncp.holds.load() == 0)
        _finish(ncp)


@may_block
def purge(mp: Ptr[mount.Mount]) -> bool:
    """Forget all names of a mount's file system.  False: some are in use."""
    progress = True
    while progress:
        progress = False
        for cpu in globaldata.numbers():
            place = ref(_queues[cpu])
            left = place.count                          # races: as many as there were, or so
            while left != 0:
                victim = _take(place, mp)
                left -= 1
                if victim is not None:
                    _finish(victim)
                    progress = True
    root = unwrap(mp.root)
    return root.owner is not mp or (root.holds.load() == 1 and mp.vnodes.load() == 1)


# --- Making and freeing --------------------------------------------------------------------


@throws
def _make(parent: Ptr[Namecache] | None, name: Slice[u8], hashed: u64,
          owner: Ptr[mount.Mount]) -> Ptr[Namecache]:
    """An entry that is nowhere yet, held."""
    if _entries.add(1) >= _limit:
        _make_room()
    long_name = _copy_long(name)
    address = kmalloc_obj.alloc(_type, M.WAITOK | M.NULLOK)
    if address == 0:
        _entries.sub(1)
        if long_name is not None:
            slab.kfree(long_name, M_NAME)
        raise Errno(ENOMEM)
    ncp = pointer_at(Namecache, VirtAddr(address))      # safe: an object of that size
    ncp.parent = parent
    ncp.hash = hashed
    ncp.flags.store(0)
    ncp.vp = None
    ncp.owner = owner
    ncp.cpu = gd.cpuid
    ncp.used = True
    ncp.length = u16(len(name))
    ncp.long_name = long_name
    words.write_text(ncp.name, name)
    ncp.lock.name = "namecache"
    ncp.holds.add(1)                # not a store: E2
    return ncp


@throws
def _copy_long(name: Slice[u8]) -> Ptr[u8] | None:
    """A copy of a name that does not fit in an entry."""
    if len(name) <= INLINE_BYTES:
        return None
    copied = slab.kmalloc(len(name), M_NAME, M.WAITOK | M.NULLOK)
    if copied is None:
        raise Errno(ENOMEM)
    make_slice(copied, len(name)).copy_from(name)       # safe: so long is it
    return copied


def _free(ncp: Ptr[Namecache]) -> None:
    """Give back an entry that is nowhere, and held by the caller only."""
    drop(ncp)
    long_name = ncp.long_name
    if long_name is not None:
        slab.kfree(long_name, M_NAME)
    kmalloc_obj.free(_type, u64(address_of(ncp)))
    _entries.sub(1)


def _enqueue(ncp: Ptr[Namecache]) -> None:
    place = ref(_queues[ncp.cpu])
    with place.lock:
        place.names.push_back(ncp)
        place.count += 1


@may_block
def _make_room() -> None:
    """Throw away a few entries that nobody uses."""
    for cpu in globaldata.numbers():
        place = ref(_queues[cpu])
        for _ in range(4):
            victim = _take(place, None)
            if victim is not None:
                _finish(victim)


@may_block
def _finish(ncp: Ptr[Namecache]) -> None:
    """The end of an entry that is in no list."""
    vp = ncp.vp
    parent = ncp.parent
    ncp.holds.add(1)
    _free(ncp)
    if vp is not None:
        vnode.vrele(vp)
    if parent is not None:
        drop(parent)


def _take(place: Ptr[NameQueue], of: Ptr[mount.Mount] | None) -> Ptr[Namecache] | None:
    """Look at the entry under a queue's hand; take it out of all lists if nobody holds it, and it
    was not used since the hand last passed, or is one of mount `of`."""
    with place.lock:
        ncp = place.names.pop_front()
        if ncp is None:
            return None
        # races: a hint
        wanted = ncp.owner is of if of is not None else not ncp.used
        ncp.used = ncp.used and of is not None          # races: a hint
        if wanted and ncp.holds.load() == 0 and _unhash(ncp):
            place.count -= 1
            return ncp
        place.names.push_back(ncp)
    return None


def _unhash(ncp: Ptr[Namecache]) -> bool:
    """Take an entry out of the hash, if it is idle still (E2) and the bucket is not busy."""
    bucket = _bucket_of(ncp)
    if not spin.trylock(bucket.lock):
        return False
    bucket.lock.update.add(1, order="acq_rel")
    idle = ncp.holds.load() == 0 and bucket is _bucket_of(ncp)
    if idle and ncp.flags.load() & GONE == 0:
        ncp.flags.or_(GONE)
        bucket.names.remove(ncp)
    spin.update_unlock(bucket.lock)
    return idle


@inline
def _bucket_of(ncp: Ptr[Namecache]) -> Ptr[Bucket]:
    """Where an entry is in the hash; who has nothing of E6 locks that, and asks again."""
    return ref(_buckets[ncp.hash >> BUCKET_SHIFT])      # races: likewise


def _hash(parent: Ptr[Namecache], name: Slice[u8]) -> u64:
    """FNV-1a over the name, from the parent's address on, and mixed."""
    value = u64(address_of(parent)) ^ 0xCBF2_9CE4_8422_2325
    for byte in name:
        value = wrapping((value ^ byte) * 0x0000_0100_0000_01B3)
    return wrapping(value * 0x9E37_79B9_7F4A_7C15)
