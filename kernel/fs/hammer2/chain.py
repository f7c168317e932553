# SPDX-License-Identifier: BSD-3-Clause
"""The tree of blocks, as far as it is in memory (hammer2_chain).

A Chain stands for a block that has something of its own to say: the volume header, an inode, an
indirect block.  It keeps a copy of the block, checked and validated, and its children as far as
they are in memory.  Blocks of data and short entries have no chain: their blockref says it all, and
the Cursor that found it has a copy.

Looking up goes from an inode's chain down: in each array of blockrefs to the ref that covers the
key, and through indirect blocks to the ref that leads to what is wanted.  A Cursor stays in the
array where it found something, so that the next one costs a step; when that array is at its end it
starts at the top again, with the next key.

        parent (locked, shared) --- array of blockrefs, sorted, with gaps
           |            |
         child        child          loaded when they are locked first

A block that cannot be read, or is not what its blockref says, has its error in its chain: who locks
it gets EIO, what lies beside it is found as ever.  A Cursor passes over it and keeps the error.

Invariants
  C1  A chain holds a reference to its parent: with refs 0 it has no children.
  C2  A chain is on the LRU exactly while refs is 0.  All on it may be freed at any time.
  C3  Once loaded, memory and array do not change while there is a reference: who has looked at
      them under the lock may look at them as long as it has the reference.
  C4  A parent is locked before its child, never the reverse, and a thread has one Cursor at a
      time: no two threads wait for one another.
  C5  On the way from an inode down, keybits strictly decrease (validate.blockset): at most 64
      steps.  Of a scan the next key strictly increases: it ends.
  C6  cache.lock is held for a few steps, without blocking.
Locking   [c] mount.cache.lock   [l] `lock`: to read shared, to change alone
          [I] fixed after it is in the tree
Tests     tests/unit/fs/hammer2/test_chain.py
Source    DragonFly sys/vfs/hammer2/hammer2_chain.c (the tree, lookup and next, errors in chains)
Limits    reading only: the array of a loaded chain is final
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    Slice,
    Str,
    copy,
    i32,
    inline,
    kassert,
    kprintf,
    make_slice,
    ref,
    sizeof,
    struct,
    throws,
    u8,
    u32,
    u64,
)

from kernel import mem
from kernel.fs.hammer2 import check, io, mount, validate
from kernel.fs.hammer2.ondisk import BLOCKREF_BYTES, Blockref, BrefType, Inode
from kernel.fs.hammer2.validate import Tree
from kernel.lib import queue, rbtree
from kernel.lib.errno import EIO, ENOMEM
from kernel.lib.views import view
from kernel.lwkt import ktr, mutex

UNSAFE: Final = True     # a chain's block is memory from the allocator, with its length


@struct
class Chain:
    """A block in memory."""
    mount: Ptr["mount.Mount"]                           # [I]
    parent: Ptr["Chain"] | None                         # [I] None of the volume's
    node: rbtree.Node["Chain"]                          # [c] in the parent's children
    children: rbtree.Tree["Chain", "node", "key"]       # [c]
    lru: queue.Link["Chain"]                            # [c] C2
    key: u64                                            # [I] bref.key
    tree: Tree                                          # [I] what it stands in
    refs: u32                                           # [c]
    lock: mutex.Mutex
    bref: Blockref                                      # [I]
    loaded: bool                                        # [l] C3
    error: i32                                          # [l] of a loaded one: 0, or EIO
    below: Tree                                         # [l] what its array holds
    memory: Slice[u8]                                   # [l] the block
    array: Slice[u8]                                    # [l] the blockrefs in it


@struct
class Cursor:
    """A place in the tree below an inode; storage is the caller's.

    `base` is the caller's, who has a reference to it.  `parent` is locked, shared: the base or an
    indirect block below it.
    """
    base: Ptr[Chain]
    parent: Ptr[Chain]
    bref: Blockref              # what was found
    following: u64              # the key behind it
    ended: bool                 # there is no such key
    error: i32                  # 0, or why something was passed over


# --- Chains --------------------------------------------------------------------------------


def hold(chain: Ptr[Chain]) -> None:
    """One reference more, by somebody who has one."""
    with chain.mount.cache.lock:
        chain.refs += 1


def drop(chain: Ptr[Chain]) -> None:
    """One reference less.  The chain may be gone afterwards."""
    cache = ref(chain.mount.cache)
    with cache.lock:
        _unref(cache, chain)
    trim(cache, cache.limit)


def _unref(cache: Ptr["mount.Cache"], chain: Ptr[Chain]) -> None:
    """C2, under the lock."""
    kassert(chain.refs != 0)
    chain.refs -= 1
    if chain.refs == 0:
        cache.lru.push_back(chain)


def trim(cache: Ptr["mount.Cache"], limit: u64) -> None:
    """Free chains that nobody refers to, the oldest first, until all have at most `limit` bytes."""
    while True:
        with cache.lock:
            victim: Ptr[Chain] | None = None
            if cache.bytes > limit:
                victim = cache.lru.pop_front()
            if victim is not None:
                parent = victim.parent
                if parent is not None:
                    parent.children.remove(victim)
                    _unref(cache, parent)
                cache.bytes -= sizeof(Chain) + len(victim.memory)
        if victim is None:
            return
        if len(victim.memory) != 0:
            mem.kfree(ref(victim.memory[0]), mount.M_HAMMER2)
        mem.kfree(victim, mount.M_HAMMER2)


@throws
def get(parent: Ptr[Chain], bref: Ptr[Blockref]) -> Ptr[Chain]:
    """The chain of a blockref in the array of `parent`, which is locked; a reference to it.

    Errors   ENOMEM.
    """
    cache = ref(parent.mount.cache)
    found: Ptr[Chain] | None = None
    with cache.lock:
        found = _find(cache, parent, u64(bref.key))
    if found is not None:
        return found
    made = mem.new(Chain, mount.M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if made is None:
        raise Errno(ENOMEM)
    made.mount = parent.mount
    made.parent = parent
    made.key = u64(bref.key)
    made.tree = parent.below
    made.refs = 1
    made.lock.name = "h2chain"
    copy(made.bref, bref)
    with cache.lock:
        found = _find(cache, parent, made.key)
        if found is None:
            parent.children.insert(made)
            parent.refs += 1
            cache.bytes += sizeof(Chain)
    if found is not None:                       # somebody else was faster
        mem.kfree(made, mount.M_HAMMER2)
        return found
    return made


def _find(cache: Ptr["mount.Cache"], parent: Ptr[Chain], key: u64) -> Ptr[Chain] | None:
    """A child that is in memory, with one reference more; under the lock."""
    child = parent.children.find(key)
    if child is not None:
        if child.refs == 0:
            cache.lru.remove(child)
        child.refs += 1
    return child


@throws
def lock(chain: Ptr[Chain]) -> None:
    """Lock a chain, shared, with its block in memory.

    Blocks   yes.
    Errors   EIO, ENOMEM; then it is not locked.
    """
    mutex.lock_shared(chain.lock)
    if not chain.loaded:
        mutex.unlock(chain.lock)
        mutex.lock(chain.lock)
        try:
            if not chain.loaded:
                _load(chain)
        except Errno:
            mutex.unlock(chain.lock)
            raise
        mutex.downgrade(chain.lock)
    if chain.error != 0:
        error = chain.error
        mutex.unlock(chain.lock)
        raise Errno(error)


def unlock(chain: Ptr[Chain]) -> None:
    """Undo lock()."""
    mutex.unlock(chain.lock)


@throws
def _load(chain: Ptr[Chain]) -> None:
    """Bring the block into memory, locked alone.  Damage stays in chain.error; what may go away
    (a device's error, no memory) is raised."""
    ktr.log(ktr.Event.CHAIN_LOAD, u64(chain.bref.data_off), chain.key)
    memory = _copy_of(chain)
    chain.memory = memory
    if not check.testcheck(chain.bref, memory):
        complain(chain.mount, chain.bref, "has a wrong check code")
        chain.error = EIO
    elif not _accept(chain):
        complain(chain.mount, chain.bref, "is not valid")
        chain.error = EIO
    chain.loaded = True


@throws
def _copy_of(chain: Ptr[Chain]) -> Slice[u8]:
    """The block, in memory of its own: what is checked in it stays so."""
    size = validate.bytes_of_ref(u64(chain.bref.data_off))
    allocated = mem.kmalloc(size, mount.M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if allocated is None:
        raise Errno(ENOMEM)
    # safe: so many bytes, and nobody else's
    memory = make_slice(allocated, size)
    try:
        dio = io.bread(chain.mount.volumes, u64(chain.bref.data_off))
        memory.copy_from(io.data(dio, u64(chain.bref.data_off)))
        io.bqrelse(dio)
    except Errno:
        mem.kfree(allocated, mount.M_HAMMER2)
        complain(chain.mount, chain.bref, "cannot be read")
        raise
    with chain.mount.cache.lock:
        chain.mount.cache.bytes += size
    return memory


def _accept(chain: Ptr[Chain]) -> bool:
    """Whether the block is what its place in the tree says; then it has its array."""
    total_size = chain.mount.volumes.total_size
    if chain.bref.type == BrefType.INODE:
        inode = view(Inode, chain.memory, 0)
        if not validate.inode(inode, chain.tree, chain.key, total_size):
            return False
        chain.below = validate.tree_of(inode)
        if chain.below != Tree.NOTHING:
            chain.array = inode.data[:]
        return True
    chain.below = chain.tree
    chain.array = chain.memory
    return validate.blockset(chain.memory, chain.tree, chain.key, chain.bref.keybits, total_size)


@throws
def read_block(m: Ptr["mount.Mount"], bref: Ptr[Blockref]) -> io.Dio:
    """A block without a chain, checked; the caller gives the buffer back with io.bqrelse().

    Errors   EIO, which the console has been told of.
    """
    try:
        dio = io.bread(m.volumes, u64(bref.data_off))
    except Errno:
        complain(m, bref, "cannot be read")
        raise
    if not check.testcheck(bref, io.data(dio, u64(bref.data_off))):
        io.bqrelse(dio)
        complain(m, bref, "has a wrong check code")
        raise Errno(EIO)
    ktr.log(ktr.Event.BLOCK_READ, u64(bref.data_off), u64(bref.key))
    return dio


def complain(m: Ptr["mount.Mount"], bref: Ptr[Blockref], what: Str) -> None:
    """Name a damaged block on the console, unless it has been told of many."""
    told = m.complaints.load_relaxed()
    if told >= mount.MAX_COMPLAINTS:
        return
    m.complaints.store_relaxed(told + 1)
    kprintf(f"hammer2: block {u64(bref.data_off):#x} (type {bref.type}, key {u64(bref.key):#x}) "
            f"{what}\n")
    if told + 1 == mount.MAX_COMPLAINTS:
        kprintf("hammer2: no more is told of damaged blocks\n")


# --- Lookup --------------------------------------------------------------------------------


@throws
def lookup_init(cursor: Ptr[Cursor]) -> None:
    """Begin with Cursor(base=chain, parent=chain): lock the base.

    Errors   EIO, ENOMEM; then there is nothing to undo.
    """
    lock(cursor.base)


@throws
def lookup(cursor: Ptr[Cursor], first: u64, last: u64) -> bool:
    """Find the ref of the least keys that are not all below `first`; False if it begins behind
    `last`, or there is none.

    What is damaged on the way is passed over, with cursor.error set.
    Blocks   yes.
    Errors   ENOMEM.
    """
    key = first
    while True:
        parent = cursor.parent
        if parent is not cursor.base and not _covers(ref(parent.bref), key):
            _to_base(cursor)
            continue
        found = _search(parent.array, key)
        if found is None:
            if parent is cursor.base or _last(ref(parent.bref)) >= last:
                return False
            key = _last(ref(parent.bref)) + 1
            continue
        if u64(found.key) > last:
            return False
        if found.type != BrefType.INDIRECT:
            copy(cursor.bref, found)
            cursor.ended = _last(found) == u64.MAX
            cursor.following = 0 if cursor.ended else _last(found) + 1
            return True
        key = max(key, u64(found.key))
        if not _descend(cursor, found):
            if _last(found) >= last:
                return False
            key = _last(found) + 1


@throws
def next(cursor: Ptr[Cursor], last: u64) -> bool:
    """lookup() of what comes behind what was found last."""
    return not cursor.ended and cursor.following <= last \
        and lookup(cursor, cursor.following, last)


@throws
def child(cursor: Ptr[Cursor]) -> Ptr[Chain]:
    """The chain of the inode that was found, with a reference, not locked.

    Errors   ENOMEM.
    """
    return get(cursor.parent, cursor.bref)


@throws
def missed(cursor: Ptr[Cursor]) -> None:
    """After a lookup in vain: raise the error, if something was passed over."""
    if cursor.error != 0:
        raise Errno(cursor.error)


def lookup_done(cursor: Ptr[Cursor]) -> None:
    """Unlock."""
    unlock(cursor.parent)
    if cursor.parent is not cursor.base:
        drop(cursor.parent)


@throws
def _to_base(cursor: Ptr[Cursor]) -> None:
    """Start at the top again; the base is loaded, so that locking it cannot fail."""
    lookup_done(cursor)
    cursor.parent = cursor.base
    lock(cursor.base)


@throws
def _descend(cursor: Ptr[Cursor], bref: Ptr[Blockref]) -> bool:
    """Go on in an indirect block; False, with the error noted, if it cannot be read."""
    below = get(cursor.parent, bref)
    try:
        lock(below)                             # C4
    except Errno as e:
        drop(below)
        if e.code != EIO:
            raise
        cursor.error = EIO
        return False
    lookup_done(cursor)
    cursor.parent = below
    return True


@inline
def _last(bref: Ptr[Blockref]) -> u64:
    """The greatest key that a ref covers; validate.blockset() has seen to it that there is one."""
    return u64(bref.key) + ((u64(1) << bref.keybits) - 1)


@inline
def _covers(bref: Ptr[Blockref], key: u64) -> bool:
    return u64(bref.key) <= key <= _last(bref)


def _search(array: Slice[u8], key: u64) -> Ptr[Blockref] | None:
    """The first ref that ends at `key` or behind it: by halves, gaps being skipped."""
    best: Ptr[Blockref] | None = None
    low: u64 = 0
    high = len(array) // BLOCKREF_BYTES
    while low < high:
        middle = (low + high) // 2
        at = middle
        bref = view(Blockref, array, at * BLOCKREF_BYTES)
        while bref.type == BrefType.EMPTY and at + 1 < high:
            at += 1
            bref = view(Blockref, array, at * BLOCKREF_BYTES)
        if bref.type == BrefType.EMPTY:
            high = middle
        elif _last(bref) < key:
            low = at + 1
        else:
            best = bref
            high = middle
    return best
