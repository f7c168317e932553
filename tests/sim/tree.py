# SPDX-License-Identifier: BSD-3-Clause
"""A tree of files for scenarios: a tmpfs with two files and a folder, all names forgotten.

    tree.with_files(2, tree.ROOMY)      in a scenario: two threads, and room for all names
    tree.leave()                        the last that each of them does
    tree.up(), tree.here()              where it has more to bring up, as of heap.py

At the end nothing is held, nothing is lost, and only the root of the tree is in use.
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Fn,
    Ptr,
    Slice,
    ThrowsFn,
    VirtAddr,
    address_of,
    i32,
    may_block,
    panic,
    pointer_at,
    ref,
    sizeof,
    throws,
    u8,
    u32,
    u64,
    unwrap,
)

from kernel.fs.nullfs import vfsops as nullfs
from kernel.fs.tmpfs.node import M_TMPFS, Node
from kernel.fs.tmpfs.vnops import OPS
from kernel.lib.errno import ENOENT
from kernel.lwkt.globaldata import gd
from kernel.mem import kmalloc_obj, malloc_type
from kernel.mem.flags import NOWAIT
from kernel.vfs import calls, lookup, mount, namecache, vnode
from kernel.vfs.lookup import M_NLOOKUP, Nlc
from kernel.vfs.mount import M_MOUNT, MountFlag
from kernel.vfs.namecache import M_NAME, Namecache
from kernel.vfs.vnode import M_VNODE, Attr, Vnode, Vtype
from tests.sim import heap, world

UNSAFE: Final = True        # addresses are compared

A: Final[Slice[u8]] = b"a"
B: Final[Slice[u8]] = b"b"
C: Final[Slice[u8]] = b"c"      # not there
MANY: Final[Slice[u8]] = b"acdefg"      # names
MOST_FILES: Final = 16
LARGE: Final = 30_000           # four entries to a slab: their memory comes again soon
ROOMY: Final[u64] = 100         # entries, before any is thrown away

room: u64 = ROOMY                   # how many entries there may be
users: Atomic[u32]                  # who are not done
gone: Atomic[u32]                   # who are
stage: Atomic[u32]                  # the scenario's own, as are these
victim: Atomic[u64]
found: Atomic[u32]


# --- Bringing it up -------------------------------------------------------------------------


def with_files(number: u32, most: u64) -> None:
    """So many users; at most so many entries, if nobody holds them."""
    global room
    heap.needed()
    world.start_with(up)
    world.on_each(here)
    room = most
    users.store(number)
    world.check(all_given_back)


def with_two_slabs(bring_up: Fn[[], None]) -> None:
    """There is memory for more names, without a slab to be made on the way, which takes long."""
    heap.needed(3 * heap.MIB)
    world.start_with(bring_up)
    world.on_each(_here_with_two_slabs)


def up() -> None:
    heap.up()
    heap.here()
    namecache._limit = ROOMY
    namecache._type.kind.name = "namecache"
    namecache._type.kind.limit = heap.MIB
    kmalloc_obj.create(namecache._type, LARGE)
    namecache._type.zeroed = True
    mount.register(OPS)
    mount.register(nullfs.OPS)
    malloc_type.attach(M_NAME)
    malloc_type.attach(M_VNODE)
    malloc_type.attach(M_MOUNT)
    malloc_type.attach(M_NLOOKUP)
    malloc_type.attach(M_TMPFS)
    try:
        mount.mount(b"tmpfs", b"", None, b"/", MountFlag(0))
        make(b"/a", Vtype.VREG)
        make(b"/b", Vtype.VREG)
        make(b"/folder", Vtype.VDIR)
    except Errno:
        panic("no file system")
    forget_names()
    namecache._limit = room


def up_with_folders() -> None:
    """Another folder, and one in the folder."""
    up()
    try:
        make(b"/other", Vtype.VDIR)
        make(b"/folder/inner", Vtype.VDIR)
    except Errno:
        panic("no folders")
    forget_names()


def here() -> None:
    if gd.cpuid != 0:
        heap.here()
    world.owned(u64(address_of(ref(namecache._type.mine[gd.cpuid]))), sizeof(kmalloc_obj.Mine))
    kmalloc_obj.free(namecache._type, kmalloc_obj.alloc(namecache._type, NOWAIT))   # a slab: slow


def _here_with_two_slabs() -> None:
    here()
    addresses: Array[u64, 6]
    for i in range(len(addresses)):
        addresses[i] = kmalloc_obj.alloc(namecache._type, NOWAIT)
    for i in range(len(addresses)):
        kmalloc_obj.free(namecache._type, addresses[i])


def leave() -> None:
    """The last one has all names forgotten: only the root of the tree is in use."""
    if users.load() == gone.add(1) + 1:
        forget_names()


@may_block
def forget_names() -> None:
    """Nobody uses any."""
    assert namecache.purge(mount.root_mount()), "somebody still holds an entry"


def all_given_back() -> None:
    assert gone.load() == users.load()
    mp = mount.root_mount()
    assert mp.refs.load() == 0 and mp.vnodes.load() == 1 and namecache._entries.load() == 1
    for cpu in range(world.cpus):
        assert namecache._queues[cpu].count == 0 and namecache._queues[cpu].names.empty()
    assert _none_called(A) and _none_called(B) and _none_called(C), "an entry that is free"
    heap.all_freed(M_NLOOKUP)
    heap.all_freed(M_NAME)
    assert malloc_type.sum(M_VNODE).inuse == 1 and malloc_type.sum(M_MOUNT).inuse == 1
    root_vnode = unwrap(unwrap(mp.root).vp)
    assert root_vnode.refs.load() == 1, "the root's vnode is still in use"
    # safe: tmpfs put it there
    used = _chunks_below(pointer_at(Node, VirtAddr(root_vnode.data)))
    assert malloc_type.sum(M_TMPFS).inuse == 1 + used, "a node was lost"    # ... the mount's


def _none_called(name: Slice[u8]) -> bool:
    """Whether the bucket of a name in the root is empty."""
    bucket = namecache._hash(root(), name) >> namecache.BUCKET_SHIFT
    return namecache._buckets[bucket].names.empty()


def _chunks_below(top: Ptr[Node]) -> u64:
    """The chunks of all files and folders: nodes, pages, and of each entry itself and its name.
    Each node has as many links as it should (T1 of tmpfs)."""
    nodes: Array[Ptr[Node] | None, MOST_FILES]
    links: Array[u64, MOST_FILES]
    nodes[0] = top
    links[0] = 2
    known: u64 = 1
    seen: u64 = 0
    chunks: u64 = 0
    while seen < known:
        node = unwrap(nodes[seen])
        chunks += 1 + node.pages
        for entry in node.entries:
            chunks += 2
            number: u64 = 0
            while number < known and nodes[number] is not entry.node:
                number += 1
            is_folder = entry.node.type == Vtype.VDIR
            if number == known:
                nodes[known] = entry.node
                links[known] = u64(is_folder)
                known += 1
            links[number] += 1
            links[seen] += u64(is_folder)
        seen += 1
    for i in range(known):
        assert unwrap(nodes[i]).nlink == links[i], "a link too many or too few"
    return chunks


# --- Looking up -----------------------------------------------------------------------------


def root() -> Ptr[Namecache]:
    return unwrap(mount.root_mount().root)


@may_block
def file(name: Slice[u8]) -> tuple[Ptr[Namecache], Ptr[Vnode] | None]:
    """The entry of a name in the root, held, and its file."""
    try:
        return namecache.lookup_file(root(), name)
    except Errno:
        panic("no memory")


@may_block
def look(name: Slice[u8]) -> bool:
    """Look a name up; whether it stands for a file, which is one."""
    ncp, vp = file(name)
    assert namecache.RESOLVED & ncp.flags.load() != 0
    if vp is not None:
        assert vp.refs.load() != 0 and vp.type == Vtype.VREG
        vnode.vrele(vp)
    namecache.drop(ncp)
    return vp is not None


# --- Changes, and what comes of them --------------------------------------------------------


@throws
def make(path: Slice[u8], kind: Vtype) -> None:
    attr: Attr = Attr(type=kind, mode=0o755)
    vnode.vrele(calls.create(path, attr))


@may_block
def try_make(path: Slice[u8], kind: Vtype) -> i32:
    """make(), and the error, or 0."""
    try:
        make(path, kind)
        return 0
    except Errno as e:
        return e.code


@may_block
def try_rename(old: Slice[u8], new: Slice[u8]) -> i32:
    return _error_of_two(calls.rename, old, new)


@may_block
def try_link(old: Slice[u8], new: Slice[u8]) -> i32:
    return _error_of_two(calls.link, old, new)


@may_block
def try_unlink(path: Slice[u8]) -> i32:
    return _error_of(calls.unlink, path)


@may_block
def try_rmdir(path: Slice[u8]) -> i32:
    return _error_of(calls.rmdir, path)


@may_block
def try_stat(path: Slice[u8], follow: bool) -> i32:
    attr: Attr
    try:
        calls.stat(path, attr, follow)
        return 0
    except Errno as e:
        return e.code


@may_block
def try_walk_in() -> i32:
    """Look up a name below the folder, which is not there."""
    try:
        lookup.done(lookup.nlookup(b"/folder/x", Nlc.CREATE))
        return 0
    except Errno as e:
        return e.code


@may_block
def _error_of(change: ThrowsFn[[Slice[u8]], None], path: Slice[u8]) -> i32:
    try:
        change(path)
        return 0
    except Errno as e:
        return e.code


@may_block
def _error_of_two(change: ThrowsFn[[Slice[u8], Slice[u8]], None], old: Slice[u8], new: Slice[u8],
                  ) -> i32:
    try:
        change(old, new)
        return 0
    except Errno as e:
        return e.code


@may_block
def unlink_a() -> None:
    """Unless another has; then it is gone."""
    error = try_unlink(b"/a")
    assert not look(A)
    one_of_two(error, ENOENT)


# --- Of two changes one is possible ---------------------------------------------------------


@may_block
def one_of_two(error: i32, either: i32) -> None:
    """What came of a change: the other one is told `either`."""
    if error == 0:
        found.add(1)
    else:
        assert error == either
    leave()


def one_done() -> None:
    assert found.load() == 1, "both were done, or none"
    all_given_back()
