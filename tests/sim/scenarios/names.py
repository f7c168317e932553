# SPDX-License-Identifier: BSD-3-Clause
"""Names and vnodes: found without a lock while they come, change and go.

The file system is a tmpfs with two files, a folder, and a file with a long name.

Covers    kernel/vfs/namecache.py E1 to E5, vnode.py N1 to N3, slot.py P1, mount.py M1 to M3,
          calls.py, kernel/fs/tmpfs/node.py T2
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

from kernel.fs.tmpfs.node import M_TMPFS, Node
from kernel.fs.tmpfs.vnops import OPS
from kernel.lib.errno import EBUSY, EEXIST, ENOENT
from kernel.lwkt.globaldata import gd
from kernel.mem import kmalloc_obj, malloc_type
from kernel.mem.flags import NOWAIT
from kernel.vfs import calls, lookup, mount, namecache, vnode
from kernel.vfs.lookup import M_NLOOKUP, Nlc
from kernel.vfs.mount import M_MOUNT, Mount, MountFlag
from kernel.vfs.namecache import M_NAME, Namecache
from kernel.vfs.vnode import M_VNODE, Attr, Vnode, Vtype
from tests.sim import heap, world

UNSAFE: Final = True        # addresses are compared

A: Final[Slice[u8]] = b"a"
B: Final[Slice[u8]] = b"b"
C: Final[Slice[u8]] = b"c"      # not there
LONG: Final[Slice[u8]] = b"a-name-that-does-not-fit-into-an-entry-of-the-cache"
LONG_PATH: Final[Slice[u8]] = b"/a-name-that-does-not-fit-into-an-entry-of-the-cache"
ROOMY: Final[u64] = 100         # entries, before any is thrown away

room: u64 = ROOMY                   # how many entries there may be
users: Atomic[u32]                  # who are not done
gone: Atomic[u32]                   # who are
in_hand: Array[Atomic[u64], 2]      # the vnode of file a that each has
stage: Atomic[u32]
found: Atomic[u32]
above: Ptr[Mount] | None = None     # what is mounted on the folder


# --- Bringing it up -------------------------------------------------------------------------


def _up() -> None:
    heap.up()
    heap.here()
    namecache.init(ROOMY * namecache.LIMIT_OF)
    mount.register(OPS)
    malloc_type.attach(M_NAME)
    malloc_type.attach(M_VNODE)
    malloc_type.attach(M_MOUNT)
    malloc_type.attach(M_NLOOKUP)
    malloc_type.attach(M_TMPFS)
    try:
        mount.mount(b"tmpfs", b"", None, b"/", MountFlag(0))
        _make(b"/a", Vtype.VREG)
        _make(b"/b", Vtype.VREG)
        _make(b"/folder", Vtype.VDIR)
    except Errno:
        panic("no file system")
    assert namecache.purge(mount.root_mount())
    namecache._limit = room


@throws
def _make(path: Slice[u8], kind: Vtype) -> None:
    attr: Attr = Attr(type=kind, mode=0o755)
    vnode.vrele(calls.create(path, attr))


def _here() -> None:
    if gd.cpuid != 0:
        heap.here()
    world.owned(u64(address_of(ref(namecache._type.mine[gd.cpuid]))), sizeof(kmalloc_obj.Mine))
    kmalloc_obj.free(namecache._type, kmalloc_obj.alloc(namecache._type, NOWAIT))   # a slab: slow


def _with_files(number: u32, most: u64) -> None:
    """So many users; at most so many entries, if nobody holds them."""
    global room
    heap.needed()
    world.start_with(_up)
    world.on_each(_here)
    room = most
    users.store(number)
    world.check(_all_given_back)


def _leave() -> None:
    """The last one has all names forgotten: only the root of the tree is in use."""
    if users.load() == gone.add(1) + 1:
        assert namecache.purge(mount.root_mount()), "somebody still holds an entry"


def _all_given_back() -> None:
    assert gone.load() == users.load()
    mp = mount.root_mount()
    assert mp.refs.load() == 0 and mp.vnodes.load() == 1 and namecache._entries.load() == 1
    for cpu in range(world.cpus):
        assert namecache._queues[cpu].count == 0 and namecache._queues[cpu].names.empty()
    heap.all_freed(M_NLOOKUP)
    heap.all_freed(M_NAME)
    assert malloc_type.sum(M_VNODE).inuse == 1 and malloc_type.sum(M_MOUNT).inuse == 1
    # A mount's structure, its root; of each entry the node, the entry, the name.
    root = unwrap(unwrap(mp.root).vp)
    files: u64 = 0
    for _ in pointer_at(Node, VirtAddr(root.data)).entries:
        files += 1
    assert malloc_type.sum(M_TMPFS).inuse == 2 + 3 * files, "a node was lost"


# --- Looking up -----------------------------------------------------------------------------


def _root() -> Ptr[Namecache]:
    return unwrap(mount.root_mount().root)


@may_block
def _file(name: Slice[u8]) -> tuple[Ptr[Namecache], Ptr[Vnode] | None]:
    """The entry of a name in the root, held, and its file."""
    try:
        return namecache.lookup_file(_root(), name)
    except Errno:
        panic("no memory")


@may_block
def _look(name: Slice[u8]) -> bool:
    """Look a name up; whether it stands for a file, which is one."""
    ncp, vp = _file(name)
    assert namecache.RESOLVED & ncp.flags.load() != 0
    if vp is not None:
        assert vp.refs.load() != 0 and vp.type == Vtype.VREG
        vnode.vrele(vp)
    namecache.drop(ncp)
    return vp is not None


@may_block
def _find_a(cpu: u64) -> None:
    """All who have file a at the same time have the same vnode."""
    ncp, vp = _file(A)
    assert vp is not None, "a is there"
    address = u64(address_of(vp))
    other = in_hand[1 - cpu].load()
    assert other == 0 or other == address, "two vnodes for one file"
    in_hand[cpu].store(address)
    world.point()
    in_hand[cpu].store(0)
    vnode.vrele(vp)
    namecache.drop(ncp)


def _find_a_once(cpu: u64) -> None:
    _find_a(cpu)
    _leave()


def _find_all(cpu: u64) -> None:
    for i in range(2):
        _find_a(cpu)
        assert _look(B) and not _look(C)
    _leave()


def _find_c_between(cpu: u64) -> None:
    assert not _look(C)
    _find_a(cpu)
    assert _look(B)
    _leave()


def name_of_two() -> None:
    """Two look up a name that nobody has looked up before: one entry, one vnode."""
    _with_files(2, ROOMY)
    world.thread(_find_a_once, 0, 0)
    world.thread(_find_a_once, 1, 1)


def names_thrown_away() -> None:
    """Names are looked up while there is room for one: entries go, and their memory comes again."""
    _with_files(2, 2)
    world.thread(_find_all, 0, 0)
    world.thread(_find_c_between, 1, 1)


# --- Changes --------------------------------------------------------------------------------


def _create_c(unused: u64) -> None:
    try:
        _make(b"/c", Vtype.VREG)
    except Errno:
        panic("it was not there")
    stage.store(1)
    _leave()


def _see_c_come(unused: u64) -> None:
    """Once it is there it stays."""
    before = stage.load()
    there = _look(C)
    assert there or before == 0, "a name that was made is not found"
    assert not there or _look(C)
    _leave()


def name_comes() -> None:
    """A name that stands for nothing is made, while another looks it up."""
    _with_files(2, ROOMY)
    world.thread(_create_c, 0, 0)
    world.thread(_see_c_come, 0, 1)


def _create_too(unused: u64) -> None:
    """One of two has EEXIST."""
    try:
        _make(b"/c", Vtype.VREG)
        found.add(1)
    except Errno as e:
        assert e.code == EEXIST
    _leave()


def two_create() -> None:
    """Two make the same name."""
    _with_files(2, ROOMY)
    world.thread(_create_too, 0, 0)
    world.thread(_create_too, 0, 1)
    world.check(_one_created)


def _one_created() -> None:
    assert found.load() == 1
    _all_given_back()


def _unlink_a(unused: u64) -> None:
    try:
        calls.unlink(b"/a")
        found.add(1)
    except Errno as e:
        assert e.code == ENOENT
    assert not _look(A)
    _leave()


def _see_a_go(unused: u64) -> None:
    if not _look(A):
        assert not _look(A)
    _leave()


def name_goes() -> None:
    """A file is unlinked while another looks it up: it goes with its last user."""
    _with_files(2, ROOMY)
    world.thread(_unlink_a, 0, 0)
    world.thread(_see_a_go, 0, 1)


def two_unlink() -> None:
    """Two unlink the same file."""
    _with_files(2, ROOMY)
    world.thread(_unlink_a, 0, 0)
    world.thread(_unlink_a, 0, 1)
    world.check(_one_created)


def _resolve_a(times: u64) -> None:
    """Ask the file system itself; nobody else has a reference: the vnode goes each time."""
    dvp = unwrap(_root().vp)
    for _ in range(times):
        vp: Ptr[Vnode] | None = None
        with dvp.lock.sharing():
            try:
                vp = dvp.ops.nresolve(dvp, A)
            except Errno as e:
                assert e.code == ENOENT
        if vp is not None:
            assert vp.refs.load() != 0
            vnode.vrele(vp)
    _leave()


def vnode_comes_and_goes() -> None:
    """Two have the file system find a file whose vnode goes with its last reference."""
    _with_files(2, ROOMY)
    world.thread(_resolve_a, 2, 0)
    world.thread(_resolve_a, 2, 1)


def unlinked_while_reclaimed() -> None:
    """A file is unlinked while its last vnode goes."""
    _with_files(2, ROOMY)
    world.thread(_resolve_a, 1, 0)
    world.thread(_unlink_a, 0, 1)


def _rename_a(unused: u64) -> None:
    try:
        calls.rename(b"/a", b"/b")
    except Errno:
        panic("both were there")
    stage.store(1)
    assert not _look(A) and _look(B)
    _leave()


def _see_renamed(unused: u64) -> None:
    """There is always a b; once a is gone it stays away."""
    assert _look(B)
    before = stage.load()
    there = _look(A)
    assert not there or before == 0, "the old name is found"
    assert _look(B)
    _leave()


def renamed() -> None:
    """A file gets another's name while both are looked up."""
    _with_files(2, ROOMY)
    world.thread(_rename_a, 0, 0)
    world.thread(_see_renamed, 0, 1)


def renamed_and_thrown_away() -> None:
    """The same while entries are thrown away."""
    _with_files(2, 1)
    world.thread(_rename_a, 0, 0)
    world.thread(_see_renamed, 0, 1)


def _lengthen(unused: u64) -> None:
    try:
        calls.rename(b"/a", LONG_PATH)
        calls.rename(LONG_PATH, b"/c")
    except Errno:
        panic("they are there")
    _leave()


def _see_lengthened(unused: u64) -> None:
    """It has one of three names, or just had another."""
    if _look(LONG):
        found.add(1)
    _look(A)
    _leave()


def long_name() -> None:
    """A name too long for its entry is looked up under the lock, and comes and goes."""
    _with_files(2, ROOMY)
    world.thread(_lengthen, 0, 0)
    world.thread(_see_lengthened, 0, 1)


# --- Mounts ---------------------------------------------------------------------------------


def _up_and_mounted() -> None:
    """Another tmpfs on the folder."""
    global above
    _up()
    try:
        nd = lookup.nlookup(b"/folder", Nlc.FOLLOW)
        above = mount.mount(b"tmpfs", b"", nd.nch, b"/folder", MountFlag(0))
        lookup.done(nd)
    except Errno:
        panic("nothing was mounted")


def _unmount(unused: u64) -> None:
    """Until nobody is in there."""
    while stage.load() == 0:
        try:
            mount.unmount(unwrap(above))
            stage.store(1)
        except Errno as e:
            assert e.code == EBUSY
            world.wait()
    _leave()


def _walk_in(unused: u64) -> None:
    """A name below the folder, which is in neither file system."""
    try:
        lookup.done(lookup.nlookup(b"/folder/x", Nlc.CREATE))
    except Errno:
        panic("the folder is there")
    _leave()


def unmounted() -> None:
    """A file system is unmounted while somebody walks into it."""
    _with_files(2, ROOMY)
    world.start_with(_up_and_mounted)
    world.thread(_unmount, 0, 0)
    world.thread(_walk_in, 0, 1)
