# SPDX-License-Identifier: BSD-3-Clause
"""Names and vnodes: found without a lock while they come, go, and are thrown away.

Covers    kernel/vfs/namecache.py E1 to E5, vnode.py N1 to N3, slot.py P1,
          kernel/fs/tmpfs/node.py T2
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
    u8,
    u64,
    unwrap,
    zeroed,
)

from kernel.fs.tmpfs.node import Node
from kernel.fs.tmpfs.vnops import VOPS
from kernel.lib.errno import ENOENT, ENOMEM
from kernel.lwkt import intr
from kernel.lwkt.globaldata import gd
from kernel.mem import kmalloc_obj
from kernel.vfs import lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc
from kernel.vfs.mount import MountFlag
from kernel.vfs.namecache import Namecache
from kernel.vfs.vnode import M_VNODE, Vnode
from tests.sim import heap, tree, world
from tests.sim.tree import MANY, ROOMY, A, B, C

UNSAFE: Final = True        # addresses are compared

EARLY: Final[u64] = 20              # stale holds of an entry that is going
TWINS: Final = 16                   # names in one bucket
VECTOR: Final = 5

in_hand: Array[Atomic[u64], 2]      # the vnode of file a that each has
twin: Array[u8, 4]                  # see one_bucket_of_names
twins: Array[Array[u8, 4], TWINS]   # see walked_while_retired
info: intr.IntrInfo = zeroed(intr.IntrInfo)
handler: intr.Handler = zeroed(intr.Handler)


# --- Looking up -----------------------------------------------------------------------------


@may_block
def _find_a(cpu: u64) -> None:
    """All who have file a at the same time have the same vnode."""
    ncp, vp = tree.file(A)
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
    tree.leave()


def _find_all(cpu: u64) -> None:
    for i in range(2):
        _find_a(cpu)
        assert tree.look(B) and not tree.look(C)
    tree.leave()


def _find_c_between(cpu: u64) -> None:
    assert not tree.look(C)
    _find_a(cpu)
    assert tree.look(B)
    tree.leave()


def name_of_two() -> None:
    """Two look up a name that nobody has looked up before: one entry, one vnode."""
    tree.with_files(2, ROOMY)
    world.thread(_find_a_once, 0, 0)
    world.thread(_find_a_once, 1, 1)


def names_thrown_away() -> None:
    """Names are looked up while there is room for one: entries go, and their memory comes again."""
    tree.with_files(2, 2)
    world.thread(_find_all, 0, 0)
    world.thread(_find_c_between, 1, 1)


# --- Vnodes ---------------------------------------------------------------------------------


def _resolve_a(times: u64) -> None:
    _resolve(A, times)


def _resolve_b(times: u64) -> None:
    _resolve(B, times)


@may_block
def _resolve(name: Slice[u8], times: u64) -> None:
    """Ask the file system itself; nobody else has a reference: the vnode goes each time."""
    dvp = unwrap(tree.root().vp)
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
    tree.leave()


def vnode_comes_and_goes() -> None:
    """Two have the file system find a file whose vnode goes with its last reference."""
    tree.with_files(2, ROOMY)
    world.thread(_resolve_a, 2, 0)
    world.thread(_resolve_a, 2, 1)


def vnodes_of_two_files() -> None:
    """Two find a file, and a third another: all vnodes are counted."""
    tree.with_files(3, ROOMY)
    world.thread(_resolve_a, 2, 0)
    world.thread(_resolve_a, 2, 1)
    world.thread(_resolve_b, 2, 2)


def _let_go_of_a(unused: u64) -> None:
    """The last reference, unless the other is faster."""
    dvp = unwrap(tree.root().vp)
    vp: Ptr[Vnode] | None = None
    with dvp.lock.sharing():
        try:
            vp = dvp.ops.nresolve(dvp, A)
        except Errno:
            panic("no memory")
    if vp is not None:
        tree.stage.store(1)
        vnode.vrele(vp)
    tree.stage.store(2)
    tree.leave()


def _find_it_going(unused: u64) -> None:
    """What is found stays, whoever else lets go of it."""
    slot = ref(_node_of_a().slot)
    while tree.stage.load() == 0:
        world.wait()
    vp = vnode.find(slot)
    if vp is not None:
        while tree.stage.load() != 2:
            world.wait()
        with slot.lock:
            assert slot.vnode == u64(address_of(vp)), "it was found, and is no more"
        vnode.vrele(vp)
    tree.leave()


def vnode_found_while_it_goes() -> None:
    """A file's vnode is found while its last reference goes: it stays, or was not found."""
    tree.with_files(2, ROOMY)
    world.thread(_let_go_of_a, 0, 0)
    world.thread(_find_it_going, 0, 1)


def _node_of_a() -> Ptr[Node]:
    top = pointer_at(Node, VirtAddr(unwrap(tree.root().vp).data))   # safe: tmpfs put it there
    return unwrap(top.entries.first).node


def _install_too(unused: u64) -> None:
    """One of two vnodes stands for the file."""
    node = _node_of_a()
    mp = mount.root_mount()
    try:
        fresh = vnode.make(mp, node.type, ref(VOPS), u64(address_of(node)))
        _await_both()
        vp = vnode.install(node.slot, fresh)
        with node.slot.lock:
            assert node.slot.vnode == u64(address_of(vp))
        _await_both()
        vnode.vrele(vp)
    except Errno:
        panic("no memory")
    tree.leave()


@may_block
def _await_both() -> None:
    """Two have come here as often as this one."""
    wanted = (tree.stage.add(1) + 2) // 2 * 2
    while tree.stage.load() < wanted:
        world.wait()


def _count_vnodes(times: u64) -> None:
    """As make() and vrele() of another file do."""
    mp = mount.root_mount()
    while tree.stage.load() < 2:
        world.wait()
    for _ in range(times):
        mp.vnodes.add(1)
        mp.vnodes.sub(1)
    tree.leave()


def vnode_too_many() -> None:
    """Two have made a vnode for one file, and one is freed, while another file's is counted."""
    tree.with_files(3, ROOMY)
    world.thread(_install_too, 0, 0)
    world.thread(_install_too, 0, 1)
    world.thread(_count_vnodes, 20, 2)


def _unlink_a(unused: u64) -> None:
    tree.unlink_a()


def unlinked_while_reclaimed() -> None:
    """A file is unlinked while its last vnode goes."""
    tree.with_files(2, ROOMY)
    world.thread(_resolve_a, 1, 0)
    world.thread(_unlink_a, 0, 1)


# --- The memory of entries, and buckets -----------------------------------------------------


def _make_entries_of_it(unused: u64) -> None:
    """An entry is thrown away, and its memory becomes another's."""
    ncp, vp = tree.file(A)
    if vp is not None:
        vnode.vrele(vp)
    tree.victim.store(u64(address_of(ncp)))
    namecache.drop(ncp)
    while not namecache.purge(mount.root_mount()):
        world.wait()
    tree.stage.store(1)
    for i in range(len(MANY)):
        tree.look(MANY[i:i + 1])
    while tree.stage.load() == 1:
        world.wait()
    tree.leave()


def _hold_for_a_moment(times: u64) -> None:
    """As _find() does with what it found, before it looks at the counter."""
    while tree.victim.load() == 0:
        world.wait()
    # safe: the memory of entries stays that
    ncp = pointer_at(Namecache, VirtAddr(tree.victim.load()))
    for i in range(times):
        ncp.holds.add(1)
        ncp.holds.sub(1)
        while i == EARLY and tree.stage.load() == 0:
            world.wait()                            # the rest when it becomes another's
    tree.stage.store(2)
    tree.leave()


def stale_holds() -> None:
    """Who found an entry that is thrown away holds it for a moment, whatever it has become."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(tree.up)
    world.thread(_make_entries_of_it, 0, 0)
    world.thread(_hold_for_a_moment, 200, 1)


def _up_and_look_for_twin() -> None:
    """A name, which there is no file for, that falls into the bucket of a."""
    tree.up()
    _name_in(namecache._hash(tree.root(), A) >> namecache.BUCKET_SHIFT, twin, 0)


def _name_in(bucket: u64, name: Slice[u8], first: u64) -> u64:
    """Make a name in the root that falls into a bucket, of those from number `first` on; the number
    of the next one."""
    number = first
    while True:
        for i in range(len(name)):
            name[i] = u8(65 + (number >> (4 * i) & 15))
        number += 1
        if namecache._hash(tree.root(), name) >> namecache.BUCKET_SHIFT == bucket:
            return number


def _find_twins(first: u64) -> None:
    """Names in one bucket are told apart."""
    if first == 0:
        assert not tree.look(twin)
    _find_a(first)
    assert not tree.look(twin)
    tree.leave()


def one_bucket_of_names() -> None:
    """Two names fall into one bucket."""
    tree.with_files(2, ROOMY)
    world.start_with(_up_and_look_for_twin)
    world.thread(_find_twins, 0, 0)
    world.thread(_find_twins, 1, 1)


def _up_without_surplus() -> None:
    """A slab that is free again is one too many."""
    tree.up()
    namecache._type.nfull = kmalloc_obj.KEEP_FULL


def _find_a_twice(cpu: u64) -> None:
    _find_a(cpu)
    _find_a(cpu)
    tree.leave()


def _look_for_twin(unused: u64) -> None:
    assert not tree.look(twin)
    tree.leave()


def bucket_of_three() -> None:
    """Two find a name while another comes into its bucket."""
    tree.with_files(3, ROOMY)
    world.start_with(_up_and_find_twin)
    world.thread(_find_a_twice, 0, 0)
    world.thread(_find_a_twice, 1, 1)
    world.thread(_look_for_twin, 0, 2)


def _up_and_find_twin() -> None:
    _up_and_look_for_twin()
    assert tree.look(A)


def _up_with_long_bucket() -> None:
    """Four slabs of entries are in one bucket, one after the other; that of the root is the last,
    and a slab that is free is one too many."""
    _up_without_surplus()
    number: u64 = 0
    for i in range(TWINS):
        number = _name_in(0, twins[i], number)
        assert not tree.look(twins[i])


def _retire_twins(self: Ptr[intr.Handler]) -> None:
    namecache.purge(mount.root_mount())
    kmalloc_obj.poll()
    kmalloc_obj.drain()
    tree.stage.store(1)


def _up_and_handled() -> None:
    _up_with_long_bucket()
    handler.func = _retire_twins
    handler.name = "retire"
    try:
        intr.register(info, 0, VECTOR, b"retire")
    except Errno:
        panic("no interrupt thread")
    intr.add_handler(info, 0, handler)


def _walk(unused: u64) -> None:
    world.interrupt(0, VECTOR)
    assert not tree.look(twins[0])
    while tree.stage.load() == 0:
        world.wait()
    tree.leave()


def walked_while_retired() -> None:
    """The memory of what is in a bucket is unmapped by a thread that interrupts a walk of it."""
    tree.with_files(1, ROOMY)
    heap.needed(3 * heap.MIB)
    world.start_with(_up_and_handled)
    world.on_each(tree.here)
    world.thread(_walk, 0, 0)


def _find_for_a_while(unused: u64) -> None:
    for _ in range(3):
        tree.look(A)
    tree.stage.store(1)
    tree.leave()


def _forget_all(unused: u64) -> None:
    """More names than there are in a slab are looked up and forgotten, with the slab."""
    for i in range(len(MANY)):
        tree.look(MANY[i:i + 1])
    namecache.purge(mount.root_mount())
    kmalloc_obj.poll()
    kmalloc_obj.drain()
    tree.leave()


def entries_retired() -> None:
    """Names are looked up while the memory of those that were forgotten is unmapped."""
    tree.with_files(2, ROOMY)
    tree.with_two_slabs(_up_without_surplus)
    world.thread(_forget_all, 0, 0)
    world.thread(_find_for_a_while, 0, 1)


def _up_and_find_all() -> None:
    """Entries of a and the folder that nobody uses, nor has used lately."""
    tree.up()
    assert tree.look(A)
    try:
        namecache.drop(namecache.lookup(tree.root(), b"folder"))
    except Errno:
        panic("no memory")
    place = ref(namecache._queues[gd.cpuid])
    for ncp in place.names:
        ncp.used = False
    tree.stage.store(gd.cpuid)


def _throw_away(unused: u64) -> None:
    """What was looked up first, if it is idle; then the other."""
    for _ in range(2):
        idle = namecache._take(ref(namecache._queues[tree.stage.load()]), None)
        if idle is not None:
            namecache._finish(idle)
    tree.found.store(1)
    tree.leave()


def _rename_and_look(unused: u64) -> None:
    assert tree.try_rename(b"/a", b"/c") == 0
    assert tree.look(C) and not tree.look(A) and tree.look(C)
    tree.leave()


def thrown_away_while_renamed() -> None:
    """An entry is renamed just when it was found to be idle, and was to be thrown away."""
    tree.with_files(2, ROOMY)
    world.start_with(_up_and_find_all)
    world.thread(_throw_away, 0, 0)
    world.thread(_rename_and_look, 0, 1)


def _go_into_folder(unused: u64) -> None:
    """What is held is in the tree."""
    try:
        nd = lookup.nlookup(b"/folder/x", Nlc.CREATE)
        while tree.found.load() == 0:
            world.wait()
        assert unwrap(nd.parent).flags.load() & namecache.GONE == 0, "it is held, and was let go of"
        lookup.done(nd)
    except Errno:
        panic("the folder is there")
    tree.leave()


def thrown_away_while_entered() -> None:
    """A folder is gone into just when its entry was found to be idle."""
    tree.with_files(2, ROOMY)
    world.start_with(_up_and_find_all)
    world.thread(_throw_away, 0, 0)
    world.thread(_go_into_folder, 0, 1)


# --- No memory ------------------------------------------------------------------------------


def _up_without_vnodes() -> None:
    """This CPU has been granted memory for some; others are refused any."""
    tree.up()
    M_VNODE.limit = 1


@may_block
def _look_for_many() -> None:
    """There is no memory for all of them."""
    for i in range(len(MANY)):
        try:
            namecache.drop(namecache.lookup(tree.root(), MANY[i:i + 1]))
        except Errno as e:
            assert e.code == ENOMEM
            tree.found.add(1)


def _hold_folder(unused: u64) -> None:
    """The folder's entry is there until the other is done, and there is no memory for more."""
    ncp, vp = tree.file(b"folder")
    namecache._type.kind.limit = 1
    tree.stage.store(1)
    _look_for_many()
    while tree.stage.load() == 1:
        world.wait()
    if vp is not None:
        vnode.vrele(vp)
    namecache.drop(ncp)
    tree.leave()


def _mount_in_vain(unused: u64) -> None:
    """When it has used up what was granted, there is no entry for a root."""
    while tree.stage.load() == 0:
        world.wait()
    _look_for_many()
    assert tree.found.load() != 0
    try:
        nd = lookup.nlookup(b"/folder", Nlc(0))
        try:
            mount.mount(b"tmpfs", b"", nd.nch, b"/folder", MountFlag(0))
            panic("it has an entry for its root")
        finally:
            lookup.done(nd)
    except Errno as e:
        assert e.code == ENOMEM
    tree.stage.store(2)
    tree.leave()


def entries_refused() -> None:
    """There is no memory for entries: nothing is looked up, nor mounted, nor left behind."""
    tree.with_files(2, ROOMY)
    world.thread(_hold_folder, 0, 0)
    world.thread(_mount_in_vain, 0, 1)


def _look_in_vain(unused: u64) -> None:
    """Somebody else may have found it; else there is no memory for a vnode."""
    try:
        ncp, vp = namecache.lookup_file(tree.root(), A)
        assert vp is not None
        vnode.vrele(vp)
        namecache.drop(ncp)
    except Errno as e:
        assert e.code == ENOMEM
    tree.leave()


def vnodes_refused() -> None:
    """One looks a name up and has no memory for its vnode, another has."""
    tree.with_files(2, ROOMY)
    world.start_with(_up_without_vnodes)
    world.thread(_find_a_once, 0, 0)
    world.thread(_look_in_vain, 0, 1)
