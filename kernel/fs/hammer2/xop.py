# SPDX-License-Identifier: BSD-3-Clause
"""Operations as messages (hammer2_xop): who asks, and who looks into the volume.

        front end (any thread)                      worker thread, some per mount
        nresolve(workers, dip, name)
          Xop with Nresolve(dip, name)  --- port -->  execute(xop): dirent.nresolve()
          waits for the reply           <-- reply --  error number; the result is in the request

An operation goes to the worker that the number of its inode chooses: operations of one inode are
done in the order in which they were asked for, those of different ones side by side.  Who wants to
wait for nothing sends an Xop of its own with start() and gets the reply at its port.

Blocks of files are read for the buffer cache by strategy_read(): there a worker is chosen by inode
and block, so that what is read ahead is read and decompressed side by side; and nobody waits for a
reply: the worker ends the request, and frees the Xop.

What the workers call, execute(), may be called directly where no second thread is wanted.

Invariants
  X1  From start() to its reply an Xop, and what its request refers to, is the worker's.
  X2  An inode or buffer that a request refers to stays as long: the front end has a reference.
  X3  A worker waits for nothing but blocks of the volume: never for another operation.
Locking   [m] whose message it is (X1)   [I] fixed after start_workers()
Tests     tests/unit/fs/hammer2/test_xop.py
Source    DragonFly sys/vfs/hammer2/hammer2_admin.c (threads, distribution by inode)
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Ptr,
    Slice,
    Str,
    Union,
    VirtAddr,
    address_of,
    cast,
    cold,
    i32,
    lend,
    may_block,
    no_block,
    noinline,
    pointer_at,
    ref,
    sizeof,
    struct,
    throws,
    u8,
    u32,
    u64,
    unwrap,
    wrapping,
    zeroed,
)

from kernel import lwkt, mem
from kernel.fs.hammer2 import dirent, inode, pfs, strategy
from kernel.fs.hammer2.inode import Inode
from kernel.fs.hammer2.mount import M_HAMMER2
from kernel.fs.hammer2.ondisk import PBUFSIZE
from kernel.io import bio, buf
from kernel.io.bio import Bio
from kernel.lib.errno import ENOMEM
from kernel.lwkt import ktr, msgport, sched
from kernel.lwkt.thread import Pri, Thread, ThreadFlag

UNSAFE: Final = True     # a worker's messages are Xops, and nothing else is sent to its port

MAX_WORKERS: Final = 32
GOLDEN: Final[u64] = 0x9E3779B97F4A7C15     # spreads numbers that follow each other


@struct
class Stop:
    """The worker is to end."""


@struct
class Lookup:
    """inode.get(): the inode of a number."""
    pmp: Ptr[pfs.Pfs]
    inum: u64
    found: Ptr[Inode] | None


@struct
class Nresolve:
    """dirent.nresolve(): the inode of a name."""
    dip: Ptr[Inode]
    name: Slice[u8]
    found: Ptr[Inode] | None


@struct
class Readdir:
    """dirent.readdir(): the entries from a place on."""
    dip: Ptr[Inode]
    place: Ptr[dirent.Place]
    entries: Slice[dirent.Entry]
    count: u64


@struct
class Read:
    """strategy.read(): bytes of a file."""
    ip: Ptr[Inode]
    offset: u64
    target: Slice[u8]
    count: u64


@struct
class Strategy:
    """strategy.read() of one logical block into the buffer that a request is for."""
    ip: Ptr[Inode]
    request: Ptr[Bio]


Request = Union[Stop, Lookup, Nresolve, Readdir, Read, Strategy]


@struct
class Xop(msgport.Msg):
    """An operation under way; storage is the front end's."""
    request: Request            # [m]


@struct
class Worker:
    """A thread and where it takes its messages."""
    port: msgport.Port
    td: Ptr[Thread] | None      # [I]


@struct
class Workers:
    """Those of a mount."""
    count: u32                              # [I]
    worker: Array[Worker, MAX_WORKERS]


# --- Workers -------------------------------------------------------------------------------


@throws
def start_workers(workers: Ptr[Workers], count: u32) -> None:
    """Begin with zeroed storage, and up to MAX_WORKERS threads.

    Errors   ENOMEM; then none runs.
    """
    while workers.count < count:
        worker = ref(workers.worker[workers.count])
        try:
            td = sched.create(_work, u64(address_of(worker)), b"h2xop", -1, Pri.KERN_DAEMON,
                              ThreadFlag.NOSTART)
        except Errno:
            stop_workers(workers)
            raise
        worker.td = td
        msgport.init_thread_port(worker.port, td)
        workers.count += 1
        sched.start_thread(td)


@may_block
def stop_workers(workers: Ptr[Workers]) -> None:
    """Let each end what it was asked for, and itself."""
    while workers.count != 0:
        workers.count -= 1
        reply: msgport.Port = zeroed(msgport.Port)
        xop: Xop = zeroed(Xop)
        prepare(xop, reply)
        msgport.domsg(workers.worker[workers.count].port, xop)


@may_block
def _work(address: u64) -> None:
    """A worker's life."""
    # safe: start_workers() made it, and it outlives its thread
    worker = pointer_at(Worker, VirtAddr(address))
    while serve(msgport.waitport(worker.port)):
        pass


@may_block
def serve(msg: Ptr[msgport.Msg]) -> bool:
    """Do what a message asks for, and answer; False if that was to stop."""
    # safe: only Xops are sent to a worker
    xop = cast(Ptr[Xop], msg)
    going_on = True
    match xop.request:
        case Stop():
            going_on = False
        case Strategy(request=request):
            request.error = execute(xop)
            mem.kfree(xop, M_HAMMER2)
            bio.biodone(request)
            return True
        case _:
            pass
    msgport.replymsg(xop, execute(xop))
    return going_on


# --- Front ends ----------------------------------------------------------------------------


def prepare(xop: Ptr[Xop], reply: Ptr[msgport.Port]) -> None:
    """A zeroed Xop for the running thread, with a zeroed port for its reply: Stop, as yet."""
    msgport.init_thread_port(reply, lwkt.curthread())
    msgport.init(xop, reply)
    xop.request = Stop()


def start(workers: Ptr[Workers], xop: Ptr[Xop], inum: u64) -> None:
    """Send an operation on its way; the reply comes to its port (X1)."""
    msgport.sendmsg(_port_of(workers, inum), xop)


@throws
@may_block
def run(workers: Ptr[Workers], xop: Ptr[Xop], inum: u64) -> None:
    """Have an operation done, and wait for it.

    Errors   those of the operation.
    """
    error = msgport.domsg(_port_of(workers, inum), xop)
    if error != 0:
        raise Errno(error)


@throws
@may_block
def nresolve(workers: Ptr[Workers], dip: Ptr[Inode], name: Slice[u8]) -> Ptr[Inode]:
    """dirent.nresolve() by a worker."""
    reply: msgport.Port = zeroed(msgport.Port)
    xop: Xop = zeroed(Xop)
    prepare(xop, reply)
    xop.request = Nresolve(dip=dip, name=lend(name))
    run(workers, xop, dip.inum)
    return unwrap(found(xop))


@throws
@may_block
def lookup(workers: Ptr[Workers], pmp: Ptr[pfs.Pfs], inum: u64) -> Ptr[Inode]:
    """inode.get() by a worker."""
    reply: msgport.Port = zeroed(msgport.Port)
    xop: Xop = zeroed(Xop)
    prepare(xop, reply)
    xop.request = Lookup(pmp=pmp, inum=inum)
    run(workers, xop, inum)
    return unwrap(found(xop))


@throws
@may_block
def readdir(workers: Ptr[Workers], dip: Ptr[Inode], place: Ptr[dirent.Place],
            entries: Slice[dirent.Entry]) -> u64:
    """dirent.readdir() by a worker."""
    reply: msgport.Port = zeroed(msgport.Port)
    xop: Xop = zeroed(Xop)
    prepare(xop, reply)
    xop.request = Readdir(dip=dip, place=lend(place), entries=lend(entries))
    run(workers, xop, dip.inum)
    return count(xop)


@throws
@may_block
def read(workers: Ptr[Workers], ip: Ptr[Inode], offset: u64, target: Slice[u8]) -> u64:
    """strategy.read() by a worker."""
    reply: msgport.Port = zeroed(msgport.Port)
    xop: Xop = zeroed(Xop)
    prepare(xop, reply)
    xop.request = Read(ip=ip, offset=offset, target=lend(target))
    run(workers, xop, ip.inum)
    return count(xop)


@no_block
def strategy_read(workers: Ptr[Workers], ip: Ptr[Inode], request: Ptr[Bio]) -> None:
    """Read the logical block that a buffer's request is for; ends with biodone().

    Errors   in the request: ENOMEM, and those of strategy.read().
    """
    memory = mem.kmalloc_nowait(sizeof(Xop), M_HAMMER2, mem.NOWAIT)
    if memory is None:
        bio.fail(request, ENOMEM)
        return
    # safe: so many bytes, that are ours
    xop = pointer_at(Xop, VirtAddr(u64(address_of(memory))))
    msgport.init(xop, workers.worker[0].port)           # there is no reply
    xop.request = Strategy(ip=ip, request=request)
    start(workers, xop, wrapping(ip.inum + bio.offset(request) // PBUFSIZE))


def found(xop: Ptr[Xop]) -> Ptr[Inode] | None:
    """The inode that an operation found, with a reference; None if it failed, or looks for none."""
    match xop.request:
        case Lookup(found=ip):
            return ip
        case Nresolve(found=ip):
            return ip
        case _:
            return None


def count(xop: Ptr[Xop]) -> u64:
    """How many entries or bytes an operation has brought."""
    match xop.request:
        case Readdir(count=n):
            return n
        case Read(count=n):
            return n
        case _:
            return 0


def _port_of(workers: Ptr[Workers], inum: u64) -> Ptr[msgport.Port]:
    return ref(workers.worker[(wrapping(inum * GOLDEN) >> 32) % workers.count].port)


# --- What is done --------------------------------------------------------------------------


@may_block
def execute(xop: Ptr[Xop]) -> i32:
    """Do it; 0, or the number of the error."""
    if ktr.on(ktr.Event.XOP_BEGIN):
        _trace(xop)
    error: i32 = 0
    try:
        _execute(xop)
    except Errno as e:
        error = e.code
    ktr.log(ktr.Event.XOP_END, u64(error), 0)
    return error


@cold
@noinline
def _trace(xop: Ptr[Xop]) -> None:
    """Note what begins."""
    what: Str = ""
    inum: u64 = 0
    match xop.request:
        case Stop():
            what = "stop"
        case Lookup() as a:
            what = "lookup"
            inum = a.inum
        case Nresolve() as b:
            what = "nresolve"
            inum = b.dip.inum
        case Readdir() as c:
            what = "readdir"
            inum = c.dip.inum
        case Read() as d:
            what = "read"
            inum = d.ip.inum
        case Strategy() as e:
            what = "strategy"
            inum = e.ip.inum
    ktr.log(ktr.Event.XOP_BEGIN, ktr.text(what), inum)


@throws
def _execute(xop: Ptr[Xop]) -> None:
    match xop.request:
        case Stop():
            pass
        case Lookup() as a:
            a.found = inode.get(a.pmp, a.inum)
        case Nresolve() as b:
            b.found = dirent.nresolve(b.dip, b.name)
        case Readdir() as c:
            c.count = dirent.readdir(c.dip, c.place, c.entries)
        case Read() as d:
            d.count = strategy.read(d.ip, d.offset, d.target)
        case Strategy() as e:
            bp = buf.of(e.request)
            got = strategy.read(e.ip, bp.offset, buf.data(bp))
            buf.data(bp)[got:].fill(0)
