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

from kernel.fs.tmpfs.node import M_TMPFS, Node
from kernel.fs.tmpfs.vnops import OPS
from kernel.lib.errno import EBUSY, EEXIST, ENOENT, ENOMEM, ENOTDIR, ENOTEMPTY
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
MANY: Final[Slice[u8]] = b"acdefg"      # names
LONG_PATH: Final[Slice[u8]] = b"/a-name-that-does-not-fit-into-an-entry-of-the-cache"
LARGE: Final = 30_000           # four entries to a slab: their memory comes again soon
ROOMY: Final[u64] = 100         # entries, before any is thrown away

room: u64 = ROOMY                   # how many entries there may be
users: Atomic[u32]                  # who are not done
gone: Atomic[u32]                   # who are
in_hand: Array[Atomic[u64], 2]      # the vnode of file a that each has
stage: Atomic[u32]
victim: Atomic[u64]
twin: Array[u8, 4]                  # see one_bucket_of_names
found: Atomic[u32]
above: Ptr[Mount] | None = None     # what is mounted on the folder


# --- Bringing it up -------------------------------------------------------------------------


def _up() -> None:
    heap.up()
    heap.here()
    namecache._limit = ROOMY
    namecache._type.kind.name = "namecache"
    namecache._type.kind.limit = heap.MIB
    kmalloc_obj.create(namecache._type, LARGE)
    namecache._type.zeroed = True
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
    assert _none_called(A) and _none_called(B) and _none_called(C), "an entry that is free"
    heap.all_freed(M_NLOOKUP)
    heap.all_freed(M_NAME)
    assert malloc_type.sum(M_VNODE).inuse == 1 and malloc_type.sum(M_MOUNT).inuse == 1
    # A mount's structure, its root; of each entry the node, the entry, the name.
    root = unwrap(unwrap(mp.root).vp)
    assert root.refs.load() == 1, "the root's vnode is still in use"
    assert malloc_type.sum(M_TMPFS).inuse == 2 + 3 * _files_below(root), "a node was lost"


def _none_called(name: Slice[u8]) -> bool:
    """Whether the bucket of a name in the root is empty."""
    bucket = namecache._hash(_root(), name) >> namecache.BUCKET_SHIFT
    return namecache._buckets[bucket].names.empty()


def _files_below(root: Ptr[Vnode]) -> u64:
    """How many files and folders there are, but the root."""
    folders: Array[Ptr[Node] | None, 8]
    folders[0] = pointer_at(Node, VirtAddr(root.data))
    seen: u64 = 0
    known: u64 = 1
    files: u64 = 0
    while seen < known:
        for entry in unwrap(folders[seen]).entries:
            files += 1
            if entry.node.type == Vtype.VDIR:
                folders[known] = entry.node
                known += 1
        seen += 1
    return files


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
    assert _look(B)
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
    world.check(_one_done)


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
    world.check(_one_done)


def _resolve_a(times: u64) -> None:
    _resolve(A, times)


def _resolve_b(times: u64) -> None:
    _resolve(B, times)


@may_block
def _resolve(name: Slice[u8], times: u64) -> None:
    """Ask the file system itself; nobody else has a reference: the vnode goes each time."""
    dvp = unwrap(_root().vp)
    for _ in range(times):
        vp: Ptr[Vnode] | None = None
        with dvp.lock.sharing():
            try:
                vp = dvp.ops.nresolve(dvp, name)
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


def vnodes_of_two_files() -> None:
    """Two find a file, and a third another: all vnodes are counted."""
    _with_files(3, ROOMY)
    world.thread(_resolve_a, 2, 0)
    world.thread(_resolve_a, 2, 1)
    world.thread(_resolve_b, 2, 2)


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


def _rename_and_forget(unused: u64) -> None:
    """The entry that was renamed over is thrown away; the other one stays what is found."""
    target, vp = _file(B)
    if vp is not None:
        vnode.vrele(vp)
    try:
        calls.rename(b"/a", b"/b")
    except Errno:
        panic("both were there")
    namecache.drop(target)
    kept, vp = _file(B)
    assert kept is not target and vp is not None
    vnode.vrele(vp)
    assert not namecache.purge(mount.root_mount())      # `kept` is held
    again, vp = _file(B)
    assert again is kept and vp is not None, "two entries for one name"
    vnode.vrele(vp)
    namecache.drop(again)
    namecache.drop(kept)
    _leave()


def renamed_over() -> None:
    """An entry that was renamed over goes, and takes nothing with it."""
    _with_files(1, ROOMY)
    world.thread(_rename_and_forget, 0, 0)


def _make_entries_of_it(unused: u64) -> None:
    """An entry is thrown away, and its memory becomes another's."""
    ncp, vp = _file(A)
    if vp is not None:
        vnode.vrele(vp)
    victim.store(u64(address_of(ncp)))
    namecache.drop(ncp)
    while not namecache.purge(mount.root_mount()):
        world.wait()
    for i in range(len(MANY)):
        _look(MANY[i:i + 1])
    while stage.load() == 0:
        world.wait()
    _leave()


def _hold_for_a_moment(times: u64) -> None:
    """As _find() does with what it found, before it looks at the counter."""
    while victim.load() == 0:
        world.wait()
    # safe: the memory of entries stays that
    ncp = pointer_at(Namecache, VirtAddr(victim.load()))
    for _ in range(times):
        ncp.holds.add(1)
        ncp.holds.sub(1)
    stage.store(1)
    _leave()


def stale_holds() -> None:
    """Who found an entry that is thrown away holds it for a moment, whatever it has become."""
    _with_files(2, ROOMY)
    heap.needed(3 * heap.MIB)
    world.start_with(_up)
    world.on_each(_here_with_two_slabs)
    world.thread(_make_entries_of_it, 0, 0)
    world.thread(_hold_for_a_moment, 20, 1)


def _up_and_look_for_twin() -> None:
    """A name, which there is no file for, that falls into the bucket of a."""
    _up()
    bucket = namecache._hash(_root(), A) >> namecache.BUCKET_SHIFT
    number: u64 = 0
    while True:
        for i in range(len(twin)):
            twin[i] = u8(65 + (number >> (4 * i) & 15))
        if namecache._hash(_root(), twin) >> namecache.BUCKET_SHIFT == bucket:
            return
        number += 1


def _find_twins(first: u64) -> None:
    """Names in one bucket are told apart."""
    if first == 0:
        assert not _look(twin)
    _find_a(first)
    assert not _look(twin)
    _leave()


def one_bucket_of_names() -> None:
    """Two names fall into one bucket."""
    _with_files(2, ROOMY)
    world.start_with(_up_and_look_for_twin)
    world.thread(_find_twins, 0, 0)
    world.thread(_find_twins, 1, 1)


def _up_without_surplus() -> None:
    """A slab that is free again is one too many."""
    _up()
    namecache._type.nfull = kmalloc_obj.KEEP_FULL


def _here_with_two_slabs() -> None:
    _here()
    addresses: Array[u64, 6]
    for i in range(len(addresses)):
        addresses[i] = kmalloc_obj.alloc(namecache._type, NOWAIT)
    for i in range(len(addresses)):
        kmalloc_obj.free(namecache._type, addresses[i])


def _find_a_twice(cpu: u64) -> None:
    _find_a(cpu)
    _find_a(cpu)
    _leave()


def _look_for_twin(unused: u64) -> None:
    assert not _look(twin)
    _leave()


def bucket_of_three() -> None:
    """Two find a name while another comes into its bucket."""
    _with_files(3, ROOMY)
    world.start_with(_up_and_find_twin)
    world.thread(_find_a_twice, 0, 0)
    world.thread(_find_a_twice, 1, 1)
    world.thread(_look_for_twin, 0, 2)


def _up_and_find_twin() -> None:
    _up_and_look_for_twin()
    assert _look(A)


def _find_for_a_while(unused: u64) -> None:
    for _ in range(3):
        _look(A)
    stage.store(1)
    _leave()


def _forget_all(unused: u64) -> None:
    """More names than there are in a slab are looked up and forgotten, with the slab."""
    for i in range(len(MANY)):
        _look(MANY[i:i + 1])
    namecache.purge(mount.root_mount())
    kmalloc_obj.poll()
    kmalloc_obj.drain()
    _leave()


def entries_retired() -> None:
    """Names are looked up while the memory of those that were forgotten is unmapped."""
    _with_files(2, ROOMY)
    heap.needed(3 * heap.MIB)
    world.start_with(_up_without_surplus)
    world.on_each(_here_with_two_slabs)
    world.thread(_forget_all, 0, 0)
    world.thread(_find_for_a_while, 0, 1)


# --- Changes that meet ----------------------------------------------------------------------


@may_block
def _one_of_two(error: i32, either: i32) -> None:
    """Only one change of two is possible; what the other one is told."""
    if error == 0:
        found.add(1)
    else:
        assert error == either
    _leave()


@may_block
def _try_rename(old: Slice[u8], new: Slice[u8]) -> i32:
    try:
        calls.rename(old, new)
        return 0
    except Errno as e:
        return e.code


def _rename_a_to_c(unused: u64) -> None:
    _one_of_two(_try_rename(b"/a", b"/c"), ENOENT)


def _rename_a_to_d(unused: u64) -> None:
    _one_of_two(_try_rename(b"/a", b"/d"), ENOENT)


def _move_a(unused: u64) -> None:
    _one_of_two(_try_rename(b"/a", b"/folder/a"), ENOENT)


def two_rename() -> None:
    """Two rename one file."""
    _with_files(2, ROOMY)
    world.thread(_rename_a_to_c, 0, 0)
    world.thread(_rename_a_to_d, 0, 1)
    world.check(_one_done)


def moved_and_renamed() -> None:
    """One moves a file into a folder, another gives it a name."""
    _with_files(2, ROOMY)
    world.thread(_move_a, 0, 0)
    world.thread(_rename_a_to_d, 0, 1)
    world.check(_one_done)


def moved_and_unlinked() -> None:
    """A file is moved away while another unlinks it."""
    _with_files(2, ROOMY)
    world.thread(_move_a, 0, 0)
    world.thread(_unlink_a, 0, 1)
    world.check(_one_done)


def _up_with_folders() -> None:
    _up()
    try:
        _make(b"/other", Vtype.VDIR)
        _make(b"/folder/inner", Vtype.VDIR)
    except Errno:
        panic("no folders")
    assert namecache.purge(mount.root_mount())


def _move_folder(unused: u64) -> None:
    _one_of_two(_try_rename(b"/folder", b"/other/x"), ENOENT)


def _move_other(unused: u64) -> None:
    _one_of_two(_try_rename(b"/other", b"/folder/inner/x"), ENOENT)


def into_each_other() -> None:
    """Two folders are each moved into the other: one is."""
    _with_files(2, ROOMY)
    world.start_with(_up_with_folders)
    world.thread(_move_folder, 0, 0)
    world.thread(_move_other, 0, 1)
    world.check(_one_done)


def _move_inner(unused: u64) -> None:
    assert _try_rename(b"/folder/inner", b"/c") == 0
    _leave()


def _go_up(unused: u64) -> None:
    """From the inner folder to the one that it is in, or was."""
    try:
        vnode.vrele(lookup.vnode_at(b"/folder/inner/..", Nlc.FOLLOW))
    except Errno as e:
        assert e.code == ENOENT
    _leave()


def up_from_what_moves() -> None:
    """`..` of a folder that is moved meanwhile."""
    _with_files(2, ROOMY)
    world.start_with(_up_with_folders)
    world.thread(_move_inner, 0, 0)
    world.thread(_go_up, 0, 1)


def _move_twice(unused: u64) -> None:
    """Into a third bucket, and on to another."""
    assert _try_rename(b"/folder/inner", b"/c") == 0
    assert _try_rename(b"/c", b"/d") == 0
    _leave()


def _up_and_hold_inner() -> None:
    _up_with_folders()
    try:
        folder = namecache.lookup(_root(), b"folder")
        inner = namecache.lookup(folder, b"inner")
        namecache.drop(folder)
        victim.store(u64(address_of(inner)))
    except Errno:
        panic("they are there")


def _find_parent(unused: u64) -> None:
    """It is the folder, or the root."""
    ncp = pointer_at(Namecache, VirtAddr(victim.load()))    # safe: it is held
    parent = unwrap(namecache.parent_of(ncp))
    assert parent.holds.load() != 0
    namecache.drop(parent)
    namecache.drop(ncp)
    _leave()


def parent_of_what_moves() -> None:
    """The parent of an entry that is moved twice meanwhile."""
    _with_files(2, ROOMY)
    heap.needed(3 * heap.MIB)
    world.start_with(_up_and_hold_inner)
    world.on_each(_here_with_two_slabs)
    world.thread(_move_twice, 0, 0)
    world.thread(_find_parent, 0, 1)


def _up_and_find_all() -> None:
    """Entries of a and the folder that nobody uses, nor has used lately."""
    _up()
    assert _look(A)
    try:
        namecache.drop(namecache.lookup(_root(), b"folder"))
    except Errno:
        panic("no memory")
    place = ref(namecache._queues[gd.cpuid])
    for ncp in place.names:
        ncp.used = False
    stage.store(gd.cpuid)


def _throw_away(unused: u64) -> None:
    """What was looked up first, if it is idle; then the other."""
    for _ in range(2):
        idle = namecache._take(ref(namecache._queues[stage.load()]), None)
        if idle is not None:
            namecache._finish(idle)
    _leave()


def _rename_and_look(unused: u64) -> None:
    assert _try_rename(b"/a", b"/c") == 0
    assert _look(C) and not _look(A) and _look(C)
    _leave()


def thrown_away_while_renamed() -> None:
    """An entry is renamed just when it was found to be idle, and was to be thrown away."""
    _with_files(2, ROOMY)
    world.start_with(_up_and_find_all)
    world.thread(_throw_away, 0, 0)
    world.thread(_rename_and_look, 0, 1)


def _go_into_folder(unused: u64) -> None:
    try:
        lookup.done(lookup.nlookup(b"/folder/x", Nlc.CREATE))
    except Errno:
        panic("the folder is there")
    _leave()


def thrown_away_while_entered() -> None:
    """A folder is gone into just when its entry was found to be idle."""
    _with_files(2, ROOMY)
    world.start_with(_up_and_find_all)
    world.thread(_throw_away, 0, 0)
    world.thread(_go_into_folder, 0, 1)


def _remove_if_empty(unused: u64) -> None:
    error: i32 = 0
    try:
        calls.rmdir(b"/folder")
    except Errno as e:
        error = e.code
    _one_of_two(error, ENOTEMPTY)


def _create_in_folder(unused: u64) -> None:
    error: i32 = 0
    try:
        _make(b"/folder/x", Vtype.VREG)
    except Errno as e:
        error = e.code
    _one_of_two(error, ENOENT)


def made_in_what_goes() -> None:
    """A file is made in a folder that is removed meanwhile: one of the two fails."""
    _with_files(2, ROOMY)
    world.thread(_remove_if_empty, 0, 0)
    world.thread(_create_in_folder, 0, 1)
    world.check(_one_done)


def _remove_if_free(unused: u64) -> None:
    error: i32 = 0
    try:
        calls.rmdir(b"/folder")
    except Errno as e:
        error = e.code
    _one_of_two(error, EBUSY)


def _mount_if_there(unused: u64) -> None:
    error: i32 = 0
    try:
        nd = lookup.nlookup(b"/folder", Nlc(0))
        try:
            above_it = mount.mount(b"tmpfs", b"", nd.nch, b"/folder", MountFlag(0))
        finally:
            lookup.done(nd)
        while found.load() == 0 and users.load() != gone.load() + 1:
            world.wait()                        # the other finds it covered
        while not _unmounted(above_it):
            world.wait()
    except Errno as e:
        error = e.code
    _one_of_two(error, ENOENT)


def mounted_on_what_goes() -> None:
    """Something is mounted on a folder that is removed meanwhile: one of the two fails."""
    _with_files(2, ROOMY)
    world.thread(_remove_if_free, 0, 0)
    world.thread(_mount_if_there, 0, 1)
    world.check(_one_done)


def _link_c(unused: u64) -> None:
    try:
        calls.link(b"/a", b"/c")
    except Errno as e:
        assert e.code == ENOENT
    _leave()


def _unlink_a_and_b(unused: u64) -> None:
    try:
        calls.unlink(b"/a")
        calls.unlink(b"/b")
    except Errno:
        panic("both are there")
    _leave()


def linked_and_unlinked() -> None:
    """A file gets another name while it loses its only one."""
    _with_files(2, ROOMY)
    world.thread(_link_c, 0, 0)
    world.thread(_unlink_a_and_b, 0, 1)


def _one_done() -> None:
    assert found.load() == 1, "both were done, or none"
    _all_given_back()


# --- Mounts ---------------------------------------------------------------------------------


def _up_and_mounted() -> None:
    """Another tmpfs on the folder, with a file."""
    global above
    _up()
    try:
        nd = lookup.nlookup(b"/folder", Nlc.FOLLOW)
        mp = mount.mount(b"tmpfs", b"", nd.nch, b"/folder", MountFlag(0))
        lookup.done(nd)
        _make(b"/folder/inner", Vtype.VREG)
    except Errno:
        panic("nothing was mounted")
    assert namecache.purge(mp)
    above = mp


def _go_in_and_out(unused: u64) -> None:
    """Through the mount both ways."""
    for _ in range(2):
        try:
            vp = lookup.vnode_at(b"/folder/inner/../../a", Nlc.FOLLOW)
            panic("a file is no directory")
        except Errno as e:
            assert e.code == ENOTDIR
        try:
            vp = lookup.vnode_at(b"/folder/../folder/inner", Nlc.FOLLOW)
            assert vp.mount is unwrap(above)
            vnode.vrele(vp)
        except Errno:
            panic("it is mounted there")
    if users.load() == stage.add(1) + 1:
        assert _unmounted(unwrap(above)), "somebody still refers to it"
    _leave()


def gone_through() -> None:
    """Two go through a mount in both directions."""
    _with_files(2, ROOMY)
    world.start_with(_up_and_mounted)
    world.thread(_go_in_and_out, 0, 0)
    world.thread(_go_in_and_out, 0, 1)


def _unmount(unused: u64) -> None:
    """Until nobody is in there."""
    while not _unmounted(unwrap(above)):
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


def _remove_folder(unused: u64) -> None:
    try:
        calls.rmdir(b"/folder")
    except Errno:
        panic("the folder is there, and empty")
    _leave()


def _look_into_folder(unused: u64) -> None:
    """A name in it; it goes meanwhile."""
    try:
        lookup.done(lookup.nlookup(b"/folder/x", Nlc.CREATE))
    except Errno as e:
        assert e.code == ENOENT
    _leave()


def folder_goes() -> None:
    """A folder is removed while somebody looks up a name in it."""
    _with_files(2, ROOMY)
    world.thread(_remove_folder, 0, 0)
    world.thread(_look_into_folder, 0, 1)


def _mount_too(unused: u64) -> None:
    """On the folder, or on what another has mounted there; EBUSY if that was in between."""
    try:
        nd = lookup.nlookup(b"/folder", Nlc(0))
        try:
            mp = mount.mount(b"tmpfs", b"", nd.nch, b"/folder", MountFlag(0))
        finally:
            lookup.done(nd)
        assert mount.nth(1) is not None
        while not _unmounted(mp):
            world.wait()
    except Errno as e:
        assert e.code == EBUSY
    _leave()


@may_block
def _unmounted(mp: Ptr[Mount]) -> bool:
    try:
        mount.unmount(mp)
        return True
    except Errno as e:
        assert e.code == EBUSY
        return False


def two_mount() -> None:
    """Two mount on one place: one on the other, or only one of them."""
    _with_files(2, ROOMY)
    world.thread(_mount_too, 0, 0)
    world.thread(_mount_too, 0, 1)


def _up_without_vnodes() -> None:
    """This CPU has been granted memory for some; others are refused any."""
    _up()
    M_VNODE.limit = 1


@may_block
def _look_for_many() -> None:
    """There is no memory for all of them."""
    for i in range(len(MANY)):
        try:
            namecache.drop(namecache.lookup(_root(), MANY[i:i + 1]))
        except Errno as e:
            assert e.code == ENOMEM
            found.add(1)


def _hold_folder(unused: u64) -> None:
    """The folder's entry is there until the other is done, and there is no memory for more."""
    ncp, vp = _file(b"folder")
    namecache._type.kind.limit = 1
    stage.store(1)
    _look_for_many()
    while stage.load() == 1:
        world.wait()
    if vp is not None:
        vnode.vrele(vp)
    namecache.drop(ncp)
    _leave()


def _mount_in_vain(unused: u64) -> None:
    """When it has used up what was granted, there is no entry for a root."""
    while stage.load() == 0:
        world.wait()
    _look_for_many()
    assert found.load() != 0
    try:
        nd = lookup.nlookup(b"/folder", Nlc(0))
        try:
            mount.mount(b"tmpfs", b"", nd.nch, b"/folder", MountFlag(0))
            panic("it has an entry for its root")
        finally:
            lookup.done(nd)
    except Errno as e:
        assert e.code == ENOMEM
    stage.store(2)
    _leave()


def entries_refused() -> None:
    """There is no memory for entries: nothing is looked up, nor mounted, nor left behind."""
    _with_files(2, ROOMY)
    world.thread(_hold_folder, 0, 0)
    world.thread(_mount_in_vain, 0, 1)


def _look_in_vain(unused: u64) -> None:
    """Somebody else may have found it; else there is no memory for a vnode."""
    try:
        ncp, vp = namecache.lookup_file(_root(), A)
        assert vp is not None
        vnode.vrele(vp)
        namecache.drop(ncp)
    except Errno as e:
        assert e.code == ENOMEM
    _leave()


def vnodes_refused() -> None:
    """One looks a name up and has no memory for its vnode, another has."""
    _with_files(2, ROOMY)
    world.start_with(_up_without_vnodes)
    world.thread(_find_a_once, 0, 0)
    world.thread(_look_in_vain, 0, 1)
