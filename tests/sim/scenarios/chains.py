# SPDX-License-Identifier: BSD-3-Clause
"""HAMMER2's tree in memory: looked up by several while others let go of it and it is thrown away.

The volume is a physical buffer of a few blocks, as a medium holds them, without check codes (which
would be most of the steps): the array of a PFS's root has two indirect blocks, one that is damaged,
and an inode; below them lie inodes: one of them damaged, one a file with a plain
block, a compressed one, a hole and two damaged ones.  A read sleeps until one of two disk heads
answers; they begin at either end.

Covers    kernel/fs/hammer2/chain.py C1 to C6, inode.py N1, N2, scratch.py, strategy.py
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Ptr,
    address_of,
    i32,
    le16,
    le64,
    may_block,
    panic,
    ref,
    throws,
    u8,
    u32,
    u64,
    zeroed,
)

from kernel.fs.hammer2 import chain, inode, io, mount, ondisk, pfs, scratch, strategy
from kernel.fs.hammer2.chain import Chain, Cursor
from kernel.fs.hammer2.ondisk import PBUFSIZE, Blockref, BrefType, Check, Comp, ObjType
from kernel.fs.hammer2.validate import Tree
from kernel.lib.errno import EIO, ENOENT, ENOMEM
from kernel.lib.views import view
from kernel.lwkt import sleepq
from kernel.mem import malloc_type
from tests.sim import heap, world

UNSAFE: Final = True        # addresses are compared, and slept on

RADIX: Final[u64] = 10      # all blocks have 1 KiB
NEAR: Final[u64] = 1        # keys: below the first indirect block
FILE: Final[u64] = 2
BAD: Final[u64] = 3         # an inode that is none
FAR: Final[u64] = 0x12      # below the second
TOP: Final[u64] = 0x30      # in the root itself
KEYS: Final = 0x31
ALL: Final = 100_000        # a limit that throws nothing away
MAX: Final = 4              # reads at a time
PLAIN: Final[u64] = 0x1234_5678_9ABC_DEF0
TORN: Final[u64] = 3 * PBUFSIZE     # where the file is damaged
WRONG: Final[u64] = 4 * PBUFSIZE    # and has a check code, which is wrong
FEW: Final[u64] = 4000              # bytes: a path to one inode, not two
ASKED: Final = 1
ANSWERED: Final = 2

image: Array[u8, PBUFSIZE] = zeroed(Array[u8, PBUFSIZE])
m: mount.Mount = zeroed(mount.Mount)
pmp: pfs.Pfs = zeroed(pfs.Pfs)
source: io.BlockSource = zeroed(io.BlockSource)
slow: bool = False                      # reads sleep
reading: Array[Atomic[u32], MAX]
lent: Atomic[u32]                       # physical buffers that are held
broken: Atomic[u32]                     # reads fail
may_fail: bool = False                  # in this scenario
users: Atomic[u32]                      # who are not done
gone: Atomic[u32]                       # who are
found: Atomic[u32]
in_hand: Array[Atomic[u64], KEYS * 2]   # chains that somebody has, by key and CPU


# --- The volume -----------------------------------------------------------------------------


def _ref(where: u64, kind: BrefType, key: u64, keybits: u8, block: u64) -> Ptr[Blockref]:
    """A blockref at byte `where` that leads to the block of a number; 0 is the root's array."""
    bref = view(Blockref, image, where)
    bref.type = kind
    bref.key = le64(key)
    bref.keybits = keybits
    bref.data_off = le64(block << RADIX | RADIX)
    return bref


def _inode(block: u64, key: u64) -> Ptr[ondisk.Inode]:
    """An inode of eight bytes, its own number."""
    ip = view(ondisk.Inode, image, block << RADIX)
    ip.version = le16(ondisk.INODE_VERSION_ONE)
    ip.type = ObjType.REGFILE
    ip.op_flags = u8(ondisk.OPFLAG_DIRECTDATA)
    ip.inum = le64(key)
    ip.size = 8
    ip.nlinks = 1
    return ip


def _make_volume() -> None:
    _ref(0, BrefType.INDIRECT, 0, 4, 1)
    _ref(128, BrefType.INDIRECT, 0x10, 4, 2)
    _ref(256, BrefType.INDIRECT, 0x20, 4, 11)
    _ref(384, BrefType.INODE, TOP, 0, 3)
    _inode(3, TOP)
    _ref(1 << RADIX, BrefType.INODE, NEAR, 0, 4)
    _ref((1 << RADIX) + 256, BrefType.INODE, FILE, 0, 5)
    _ref((1 << RADIX) + 384, BrefType.INODE, BAD, 0, 6)
    _ref((2 << RADIX) + 128, BrefType.INODE, FAR, 0, 7)
    _ref(11 << RADIX, BrefType.DATA, 0x20, 0, 8)        # which may not stand there
    _inode(4, NEAR)
    _inode(7, FAR)
    file = _inode(5, FILE)
    file.op_flags = 0
    file.size = 5 * PBUFSIZE
    _ref((5 << RADIX) + 512, BrefType.DATA, 0, 16, 8)
    packed = _ref((5 << RADIX) + 640, BrefType.DATA, PBUFSIZE, 16, 9)
    packed.methods.comp = u8(Comp.LZ4)
    torn = _ref((5 << RADIX) + 768, BrefType.DATA, 3 * PBUFSIZE, 16, 10)
    torn.methods.comp = u8(Comp.LZ4)
    wrong = _ref((5 << RADIX) + 896, BrefType.DATA, 4 * PBUFSIZE, 16, 8)
    wrong.methods.check = u8(Check.ISCSI32)
    image[10 << RADIX] = 1              # a token, and none of the literals it announces
    image[(10 << RADIX) + 4] = 0x80
    for i in range(8):
        image[(8 << RADIX) + i] = u8(PLAIN >> (8 * i) & 0xFF)
        image[(9 << RADIX) + 5 + i] = u8(PLAIN >> (8 * i) & 0xFF)
    image[9 << RADIX] = 9               # the bytes of a sequence: its token, eight literals
    image[(9 << RADIX) + 4] = 0x80


# --- Reading it -----------------------------------------------------------------------------


@throws
def _bread(unused: Ptr[io.BlockSource], offset: u64) -> io.Dio:
    if slow:
        _sleep()
    if broken.load() != 0:
        raise Errno(EIO)
    lent.add(1)
    return io.Dio(source=source, data=image[offset:offset + PBUFSIZE], buf=0)


def _brelse(dio: Ptr[io.Dio]) -> None:
    lent.sub(1)


@may_block
def _sleep() -> None:
    """Until a head has answered."""
    place: u64 = 0
    while not reading[place].cas(0, ASKED):
        place = (place + 1) % MAX
    ident = u64(address_of(ref(reading[place])))
    while True:
        sleepq.tsleep_interlock(ident)
        if reading[place].load() == ANSWERED:
            sleepq.tsleep_remove()
            break
        sleepq.tsleep(ident, sleepq.SleepFlag.PINTERLOCKED, "read", 0)
    reading[place].store(0)


def _head(first: u64) -> None:
    """A disk head: answers from a place on, until all are done."""
    while gone.load() < users.load():
        for i in range(MAX):
            place = first ^ i
            if reading[place].load() == ASKED and reading[place].cas(ASKED, ANSWERED):
                sleepq.wakeup(u64(address_of(ref(reading[place]))))
        world.wait()


# --- Bringing it up -------------------------------------------------------------------------


def _up() -> None:
    """The root's chain is in memory, as that of a mounted PFS is."""
    heap.up()
    heap.here()
    malloc_type.attach(mount.M_HAMMER2)
    _make_volume()
    source.bread = _bread
    source.brelse = _brelse
    source.size = PBUFSIZE
    m.volumes.count = 1
    m.volumes.total_size = PBUFSIZE
    m.volumes.volume[0].source = source
    m.volumes.volume[0].size = PBUFSIZE
    root = ref(m.vchain)
    root.mount = m
    root.refs = 1
    root.lock.name = "h2chain"
    root.bref.type = BrefType.VOLUME
    root.below = Tree.PFSROOT
    root.array = image[:512]
    root.loaded = True
    pmp.mount = m
    pmp.root = root


def _with_volume(number: u32, limit: u64) -> None:
    """So many users; above `limit` bytes chains are thrown away."""
    heap.needed()
    world.start_with(_up)
    m.cache.limit = limit
    users.store(number)
    world.check(_all_given_back)


def _with_heads() -> None:
    global slow
    slow = True
    world.thread(_head, 0, 2)
    world.thread(_head, MAX - 1, 3)


def _all_given_back() -> None:
    assert gone.load() == users.load() and lent.load() == 0
    root = ref(m.vchain)
    assert root.refs == 1 and root.children.root is None, "C1"
    assert m.cache.lru.empty() and m.cache.bytes == 0
    assert root.lock.count == 0 and pmp.inodes.root is None
    heap.all_freed(mount.M_HAMMER2)


# --- Users ----------------------------------------------------------------------------------


def _leave() -> None:
    """The last one has all thrown away."""
    if users.load() == gone.add(1) + 1:
        _tree_is_sound()
        chain.trim(m.cache, 0)
        scratch.free(m)


def _tree_is_sound() -> None:
    """C1, C2: everything is on the LRU or has children, and is counted."""
    bytes_: u64 = 0
    with m.cache.lock:
        for at in m.cache.lru:
            assert at.refs == 0 and at.children.root is None
            parent = at.parent
            assert parent is not None and parent.refs != 0
            bytes_ += len(at.memory)
        assert bytes_ <= m.cache.bytes


def _use(block: Ptr[Chain], key: u64, cpu: u64) -> None:
    """Look at a chain, and see that no other stands for the same block."""
    mine = key * 2 + cpu
    other = in_hand[key * 2 + 1 - cpu].load()
    assert other == 0 or other == u64(address_of(block)), "two chains for one block"
    in_hand[mine].store(u64(address_of(block)))
    try:
        chain.lock(block)
        assert block.loaded and u64(inode.meta_of(block).inum) == key, "another inode"
        chain.unlock(block)
        assert u64(inode.meta_of(block).size) != 0      # C3
        found.add(1)
    except Errno as e:
        assert e.code == EIO and (may_fail or key == BAD), "the disk did not fail"
    in_hand[mine].store(0)


@may_block
def _look_up(key: u64, cpu: u64) -> None:
    """Find an inode's chain by its key, use it, and let it go."""
    cursor = Cursor(base=m.vchain, parent=m.vchain)
    try:
        chain.lookup_init(cursor)
        block: Ptr[Chain] | None = None
        try:
            if chain.lookup(cursor, key, key):
                assert u64(cursor.bref.key) == key
                block = chain.child(cursor)
        finally:
            chain.lookup_done(cursor)
        if block is not None:
            _use(block, key, cpu)
            chain.drop(block)
        else:
            assert cursor.error == EIO and may_fail, "it was not found"
    except Errno:
        panic("no memory")


def _look_up_near(cpu: u64) -> None:
    _look_up(NEAR, cpu)
    _leave()


def _look_up_both(cpu: u64) -> None:
    _look_up(NEAR if cpu == 0 else FAR, cpu)
    _look_up(FAR if cpu == 0 else NEAR, cpu)
    _leave()


def _look_up_twice(cpu: u64) -> None:
    _look_up(NEAR, cpu)
    _look_up(NEAR, cpu)
    _leave()


def same_key() -> None:
    """Two look up one key that nobody has looked up before."""
    _with_volume(2, ALL)
    world.thread(_look_up_near, 0, 0)
    world.thread(_look_up_near, 1, 1)


def same_key_thrown_away() -> None:
    """Two look up one key, again and again: a chain goes with its last reference."""
    _with_volume(2, 0)
    world.thread(_look_up_twice, 0, 0)
    world.thread(_look_up_twice, 1, 1)


def keys_crosswise() -> None:
    """Two look up two keys in different order; reads sleep, and are answered in any order."""
    _with_volume(2, 0)
    _with_heads()
    world.thread(_look_up_both, 0, 0)
    world.thread(_look_up_both, 1, 1)


def same_cpu() -> None:
    """Two on one CPU: one goes on while the other sleeps in a read."""
    _with_volume(2, 0)
    _with_heads()
    world.thread(_look_up_both, 0, 0)
    world.thread(_look_up_both, 1, 0)


def neighbours() -> None:
    """One looks up a key beside a damaged block, the other the damaged one, which says EIO."""
    _with_volume(2, ALL)
    world.thread(_look_up_near, 0, 0)
    world.thread(_look_up_bad, 1, 1)


def _look_up_bad(cpu: u64) -> None:
    _look_up(BAD, cpu)
    _look_up(NEAR, cpu)
    _leave()


# --- Going through --------------------------------------------------------------------------


def _go_through(cpu: u64) -> None:
    """All keys in their order; each inode is used where the cursor stands."""
    cursor = Cursor(base=m.vchain, parent=m.vchain)
    number: u32 = 0
    before: u64 = 0
    try:
        chain.lookup_init(cursor)
        try:
            more = chain.lookup(cursor, 0, u64.MAX)
            while more:
                key = u64(cursor.bref.key)
                assert key > before, "C5"
                before = key
                number += 1
                if key != BAD:
                    block = chain.child(cursor)
                    _use(block, key, cpu)
                    chain.drop(block)
                more = chain.next(cursor, u64.MAX)
            assert cursor.error == EIO, "a damaged block was not noticed"
        finally:
            chain.lookup_done(cursor)
    except Errno:
        panic("no memory")
    assert number == 5 or may_fail
    _leave()


def iteration() -> None:
    """One goes through all keys while another has the blocks thrown away under it."""
    _with_volume(2, 0)
    world.thread(_go_through, 0, 0)
    world.thread(_look_up_both, 1, 1)


# --- Errors ---------------------------------------------------------------------------------


def _break_and_mend(unused: u64) -> None:
    """For a while, reads fail."""
    broken.store(1)
    _look_up(NEAR, 0)
    broken.store(0)
    _look_up_again(0)


def _look_up_again(cpu: u64) -> None:
    """What failed for a while is found afterwards."""
    _look_up(NEAR, cpu)
    while found.load() == 0:
        _look_up(NEAR, cpu)
    _leave()


def blocks_unreadable() -> None:
    """Any of the reads fails; who asks again has the block."""
    global may_fail
    _with_volume(2, ALL)
    may_fail = True
    world.thread(_break_and_mend, 0, 0)
    world.thread(_look_up_again, 1, 1)


# --- Inodes and files -----------------------------------------------------------------------


@may_block
def _read_file(offset: u64, expected: u64) -> i32:
    """Eight bytes of the file; 0, or the error."""
    bytes_: Array[u8, 8]
    try:
        ip = inode.get(pmp, FILE)
        try:
            assert strategy.read(ip, offset, bytes_) == 8
        finally:
            inode.drop(ip)
    except Errno as e:
        assert may_fail or offset >= TORN, "the file was not read"
        return e.code
    value: u64 = 0
    for i in range(8):
        value |= u64(bytes_[i]) << (8 * i)
    assert value == expected
    return 0


def _read_packed(unused: u64) -> None:
    for _ in range(2):
        _read_file(PBUFSIZE, PLAIN)
    _leave()


def _read_all(unused: u64) -> None:
    _read_file(0, PLAIN)
    _read_file(2 * PBUFSIZE, 0)
    _leave()


def file_read() -> None:
    """Two read a file, its blocks and its hole; the inode goes with its last user."""
    _with_volume(2, 0)
    world.thread(_read_all, 0, 0)
    world.thread(_read_all, 1, 1)


def file_decompressed() -> None:
    """Two decompress a block at the same time, each in memory of its own."""
    _with_volume(2, ALL)
    world.thread(_read_packed, 0, 0)
    world.thread(_read_packed, 1, 1)


def _miss(unused: u64) -> None:
    """What there is not, what is damaged, and the root."""
    try:
        inode.drop(inode.get(pmp, NEAR + 6))
        panic("found what there is not")
    except Errno as e:
        assert e.code == ENOENT
    try:
        inode.drop(inode.get(pmp, BAD))
        panic("found what is damaged")
    except Errno as e:
        assert e.code == EIO
    try:
        inode.drop(inode.get(pmp, ondisk.ROOT_INUM))
    except Errno:
        panic("no root")
    _leave()


def inodes_missed() -> None:
    """One asks for inodes that cannot be had, beside one who reads a file."""
    _with_volume(2, 0)
    world.thread(_miss, 0, 0)
    world.thread(_read_all, 1, 1)


def _read_torn(unused: u64) -> None:
    assert _read_file(TORN, 0) == EIO
    assert _read_file(PBUFSIZE, PLAIN) == 0
    _leave()


def _read_wrong(unused: u64) -> None:
    assert _read_file(WRONG, 0) == EIO
    _leave()


def file_wrong() -> None:
    """A block of a file is not what its check code says."""
    _with_volume(1, ALL)
    world.thread(_read_wrong, 0, 0)


def file_damaged() -> None:
    """Two read a block that cannot be decompressed, and the one before it."""
    _with_volume(2, ALL)
    world.thread(_read_torn, 0, 0)
    world.thread(_read_torn, 1, 1)


def _break_file(unused: u64) -> None:
    """The inode is in memory when the reads begin to fail."""
    try:
        ip = inode.get(pmp, FILE)
        broken.store(1)
        assert _read_file(0, PLAIN) == EIO
        broken.store(0)
        assert _read_file(0, PLAIN) == 0
        inode.drop(ip)
    except Errno:
        panic("the disk did not fail yet")
    _leave()


def _read_until_right(unused: u64) -> None:
    while _read_file(PBUFSIZE, PLAIN) != 0:
        world.wait()
    _leave()


def file_read_errors() -> None:
    """Reads of a file's blocks fail for a while."""
    global may_fail
    _with_volume(2, ALL)
    may_fail = True
    world.thread(_break_file, 0, 0)
    world.thread(_read_until_right, 1, 1)


# --- Without memory -------------------------------------------------------------------------


def _up_with_little() -> None:
    _up()
    mount.M_HAMMER2.limit = FEW


def _read_if_possible(unused: u64) -> None:
    """Each attempt succeeds, or says that there is no memory."""
    for _ in range(2):
        error = _read_file(0, PLAIN)
        assert error == 0 or error == ENOMEM
    _leave()


def memory_refused() -> None:
    """There is memory for one way to an inode at a time: who has none leaves nothing behind.
    With clocks: who is refused just when another has freed waits for a tick."""
    global may_fail
    world.clocks()
    _with_volume(3, 0)
    world.start_with(_up_with_little)
    may_fail = True
    world.thread(_read_if_possible, 0, 0)
    world.thread(_read_if_possible, 0, 1)
    world.thread(_read_if_possible, 0, 2)


def _read_with_more_and_more(unused: u64) -> None:
    """Somewhere on the way memory is refused, at last nowhere."""
    error: i32 = ENOMEM
    bytes_: u64 = 0
    while error == ENOMEM:
        mount.M_HAMMER2.limit = bytes_
        error = _read_file(0, PLAIN)
        bytes_ += 128
    assert error == 0 and bytes_ > 1024
    _leave()


def memory_refused_anywhere() -> None:
    """With a little more memory each time, the way to a file's block is refused one step later."""
    global may_fail
    _with_volume(1, 0)
    may_fail = True
    world.thread(_read_with_more_and_more, 0, 0)
