# SPDX-License-Identifier: BSD-3-Clause
"""Messages between threads and subsystems, and the ports they are sent to.

    domsg(port, msg)     send and wait: if the port answers at once, no queue and no switch
    sendmsg(port, msg)   send; the answer comes to msg.reply_port
    replymsg(msg, e)     answer

A message is owned by exactly one side at a time.  One that nobody is asked about has DONE set.
What a port does with a message is its back end, a table of operations:

    thread   one thread's own: no lock; from another CPU put and reply travel as IPI messages
    spin     several threads wait at it: a spinlock
    serialize  the same under a serializer that every caller holds already
    inline   put calls a function, which may answer at once
    null     replies vanish; panic: replies are a mistake

Invariants
  M1  send requires DONE and not QUEUED; reply requires not DONE.
  M2  QUEUED is set exactly while the message is on a port's queue.
  M3  A SYNC message's reply is not queued: its flags are set, its waiter is scheduled.
  M4  At a thread port only the owner's CPU touches queue and flags, in a critical section.
  M5  Whoever wakes a port's waiters clears WAITING, not the waiter; wakeups may be spurious.
Locking   [p] the port: its owner's CPU, or its spinlock   [m] the message's present owner
          [s] its sender   [r] its reply port: the flags are another's until it is answered
Tests     tests/unit/lwkt/test_msgport.py, tests/guest/messages.py
Source    DragonFly sys/kern/lwkt_msgport.c, sys/sys/msgport.h (design)
"""
from typing import Final

from kpy import (
    Fn,
    Ptr,
    VirtAddr,
    address_of,
    bits_of,
    flags,
    i32,
    inline,
    kassert,
    may_block,
    panic,
    pointer_at,
    recursive,
    struct,
    u32,
    u64,
    unwrap,
    volatile_load,
)

from kernel.lib import queue
from kernel.lib.errno import EASYNC
from kernel.lwkt import crit, ipiq, ktr, sched, serialize, sleepq, spin
from kernel.lwkt.globaldata import curthread, gd, mycpu
from kernel.lwkt.thread import Thread

UNSAFE: Final = True     # ports and messages travel as numbers in IPI messages


@flags(u32)
class MsgFlag:
    """The numbers are DragonFly's; the high 16 bits are for users."""
    DONE = 0x1              # nobody is asked
    REPLY = 0x2             # answered
    QUEUED = 0x4            # on a port's queue
    SYNC = 0x8              # somebody waits: do not queue the reply
    INTRANSIT = 0x10        # on its way to another CPU
    DROPABLE = 0x40         # its receiver may drop it
    ABORTABLE = 0x80
    PRIORITY = 0x100        # before the others


@flags(u32)
class PortFlag:
    WAITING = 1             # somebody waits for a message or a reply


@struct
class Msg:
    """A request; embed it first in a struct that has more to say (`class Read(Msg)`)."""
    link: queue.Link["Msg"]         # [p]
    target_port: Ptr["Port"]        # [m]
    reply_port: Ptr["Port"]         # [I] while in flight
    abort: Fn[[Ptr["Msg"]], None]   # [I] asks the target to answer soon
    flags: MsgFlag                  # [m]
    abort_asked: bool               # [s] the sender has called abort
    waited: bool                    # [r] somebody sleeps until it is answered
    error: i32                      # [m] of the answer
    command: u64                    # [m] what is asked
    result: u64                     # [m] the answer


@struct
class PortOps:
    """What a back end does."""
    getport: Fn[[Ptr["Port"]], Ptr[Msg] | None]
    putport: Fn[[Ptr["Port"], Ptr[Msg]], i32]
    waitmsg: Fn[[Ptr[Msg], sleepq.SleepFlag], i32]
    waitport: Fn[[Ptr["Port"], sleepq.SleepFlag], Ptr[Msg] | None]
    replyport: Fn[[Ptr["Port"], Ptr[Msg]], None]
    dropmsg: Fn[[Ptr["Port"], Ptr[Msg]], bool]


@struct
class Port:
    ops: Ptr[PortOps]                           # [I]
    normal: queue.TailQueue[Msg, "link"]        # [p]
    priority: queue.TailQueue[Msg, "link"]      # [p]
    flags: PortFlag                             # [p]
    td: Ptr[Thread] | None                      # [I] thread ports: the owner
    lock: spin.Spinlock                         # spin ports
    serializer: Ptr[serialize.Serializer] | None    # [I] serialize ports
    handler: Fn[[Ptr[Msg]], i32]                # [I] inline ports
    queued: u64                                 # [p] statistics: messages put


# --- Ports ---------------------------------------------------------------------------------


def init_thread_port(port: Ptr[Port], td: Ptr[Thread]) -> None:
    """A port at which `td`, and nobody else, takes messages and replies."""
    _init(port, THREAD_OPS)
    port.td = td


def init_spin_port(port: Ptr[Port]) -> None:
    """A port at which several threads may wait."""
    _init(port, SPIN_OPS)
    port.lock.name = "msgport"


def init_serialize_port(port: Ptr[Port], slz: Ptr[serialize.Serializer]) -> None:
    """A port whose callers hold `slz`: a driver that has one anyway needs no other lock."""
    _init(port, SERIALIZE_OPS)
    port.serializer = slz


def init_inline_port(port: Ptr[Port], handler: Fn[[Ptr[Msg]], i32]) -> None:
    """A port that calls handler(msg) in the sender's context: an error number or 0 is the
    answer, EASYNC says that it will be replied later."""
    _init(port, INLINE_OPS)
    port.handler = handler


def init_null_port(port: Ptr[Port]) -> None:
    """A reply port for those who do not want to know."""
    _init(port, NULL_OPS)


def init_panic_port(port: Ptr[Port]) -> None:
    """A reply port for messages that must not be replied."""
    _init(port, PANIC_OPS)


def _init(port: Ptr[Port], ops: Ptr[PortOps]) -> None:
    port.ops = ops
    port.handler = _no_handler
    port.normal.first = None
    port.normal.last = None
    port.priority.first = None
    port.priority.last = None
    port.flags = PortFlag(0)
    port.td = None
    port.serializer = None


# --- Messages ------------------------------------------------------------------------------


def init(msg: Ptr[Msg], reply_port: Ptr[Port], how: MsgFlag = MsgFlag(0)) -> None:
    """A message that is ready to be sent; `how` may be DROPABLE, PRIORITY."""
    msg.flags = MsgFlag.DONE | how
    msg.reply_port = reply_port
    msg.target_port = reply_port
    msg.abort = _no_abort
    msg.waited = False
    msg.error = 0


def init_abortable(msg: Ptr[Msg], reply_port: Ptr[Port], abort: Fn[[Ptr[Msg]], None]) -> None:
    """A message that can be called back."""
    init(msg, reply_port, MsgFlag.ABORTABLE)
    msg.abort = abort


def sendmsg(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    """Send; the reply will be at msg.reply_port, perhaps before this returns."""
    _check_idle(msg)
    msg.flags &= ~(MsgFlag.REPLY | MsgFlag.SYNC | MsgFlag.DONE)
    msg.abort_asked = False
    ktr.log(ktr.Event.MSG_SEND, u64(address_of(msg)), u64(address_of(port)))
    gd.counters.msgs_sent += 1
    error = port.ops.putport(port, msg)
    if error != EASYNC:
        gd.counters.msgs_inline += 1
        replymsg(msg, error)


@may_block
def domsg(port: Ptr[Port], msg: Ptr[Msg]) -> i32:
    """Send, and wait for the answer; no queue and no switch if the port answers at once.

    Returns  the error of the answer, 0 for none.
    """
    _check_idle(msg)
    msg.flags = (msg.flags & ~(MsgFlag.REPLY | MsgFlag.DONE)) | MsgFlag.SYNC
    msg.abort_asked = False
    ktr.log(ktr.Event.MSG_SEND, u64(address_of(msg)), u64(address_of(port)))
    gd.counters.msgs_sent += 1
    error = port.ops.putport(port, msg)
    if error == EASYNC:
        return waitmsg(msg)
    gd.counters.msgs_inline += 1
    ktr.log(ktr.Event.MSG_INLINE, u64(address_of(msg)), u64(address_of(port)))
    msg.error = error
    msg.flags |= MsgFlag.DONE | MsgFlag.REPLY
    return error


def forwardmsg(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    """Pass on a message that one has received and not answered; the reply port stays."""
    kassert(bits_of(msg.flags & (MsgFlag.QUEUED | MsgFlag.DONE | MsgFlag.REPLY)) == 0)
    ktr.log(ktr.Event.MSG_FORWARD, u64(address_of(msg)), u64(address_of(port)))
    error = port.ops.putport(port, msg)
    if error != EASYNC:
        replymsg(msg, error)


def replymsg(msg: Ptr[Msg], error: i32) -> None:
    """Answer: from now on the message is its sender's."""
    kassert(bits_of(msg.flags & (MsgFlag.DONE | MsgFlag.QUEUED)) == 0)        # M1
    msg.error = error
    ktr.log(ktr.Event.MSG_REPLY, u64(address_of(msg)), u64(address_of(msg.reply_port)))
    msg.reply_port.ops.replyport(msg.reply_port, msg)


def getport(port: Ptr[Port]) -> Ptr[Msg] | None:
    """The next message or reply; None if there is none."""
    return port.ops.getport(port)


@may_block
def waitport(port: Ptr[Port]) -> Ptr[Msg]:
    """The next message or reply; waits for it."""
    return unwrap(port.ops.waitport(port, sleepq.NO_FLAGS))


@may_block
def waitmsg(msg: Ptr[Msg]) -> i32:
    """Wait for the reply of a message sent to another, and take it off the reply port.

    Returns  its error.
    """
    return msg.reply_port.ops.waitmsg(msg, sleepq.NO_FLAGS)


def abortmsg(msg: Ptr[Msg]) -> None:
    """Ask the target to answer an ABORTABLE message soon.  The reply is still to be waited for.

    The flags are the target's while the message is in flight (M1): the sender only reads them.
    """
    flags_now = volatile_load(msg.flags)    # races: for flags that the target leaves alone
    if MsgFlag.DONE not in flags_now and MsgFlag.ABORTABLE in flags_now and not msg.abort_asked:
        msg.abort_asked = True
        ktr.log(ktr.Event.MSG_ABORT, u64(address_of(msg)), u64(address_of(msg.target_port)))
        msg.abort(msg)


def dropmsg(msg: Ptr[Msg]) -> bool:
    """Take a DROPABLE message out of the port where it waits, which is the caller's.

    Returns  False if it is not queued there (any more).
    """
    kassert(MsgFlag.DROPABLE in msg.flags)
    return msg.target_port.ops.dropmsg(msg.target_port, msg)


def _check_idle(msg: Ptr[Msg]) -> None:
    kassert(MsgFlag.DONE in msg.flags and MsgFlag.QUEUED not in msg.flags)    # M1


@inline
def _push(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    msg.flags = (msg.flags & ~MsgFlag.INTRANSIT) | MsgFlag.QUEUED
    port.queued += 1
    if MsgFlag.PRIORITY in msg.flags:
        port.priority.push_back(msg)
    else:
        port.normal.push_back(msg)


@inline
def _pull(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    msg.flags &= ~MsgFlag.QUEUED
    if MsgFlag.PRIORITY in msg.flags:
        port.priority.remove(msg)
    else:
        port.normal.remove(msg)


@inline
def _poll(port: Ptr[Port]) -> Ptr[Msg] | None:
    msg = port.priority.first
    if msg is None:
        msg = port.normal.first
    if msg is not None:
        _pull(port, msg)
        ktr.log(ktr.Event.MSG_GET, u64(address_of(msg)), u64(address_of(port)))
    return msg


# --- Thread ports --------------------------------------------------------------------------


def _thread_getport(port: Ptr[Port]) -> Ptr[Msg] | None:
    kassert(port.td is curthread(), "a thread port is its owner's")
    crit.crit_enter()
    msg = _poll(port)
    crit.crit_exit()
    return msg


def _thread_putport(port: Ptr[Port], msg: Ptr[Msg]) -> i32:
    msg.target_port = port
    owner = unwrap(port.td)
    crit.crit_enter()
    if volatile_load(owner.gd) is mycpu():      # R6 of sched
        _push(port, msg)
        _wake_thread(port, owner)
    else:
        msg.flags |= MsgFlag.INTRANSIT
        ipiq.send(volatile_load(owner.gd), _thread_put_remote, u64(address_of(msg)), 0)
    crit.crit_exit()
    return EASYNC


def _thread_put_remote(arg: u64, unused: u64) -> None:
    """On the owner's CPU, or where it was: then the message goes after it."""
    msg = pointer_at(Msg, VirtAddr(arg))        # safe: in flight, so nobody else's
    port = msg.target_port
    owner = unwrap(port.td)
    if volatile_load(owner.gd) is mycpu():      # R6 of sched
        _push(port, msg)
        _wake_thread(port, owner)
    else:
        ipiq.send(volatile_load(owner.gd), _thread_put_remote, arg, 0)


def _thread_waitport(port: Ptr[Port], how: sleepq.SleepFlag) -> Ptr[Msg] | None:
    td = curthread()
    kassert(port.td is td, "a thread port is its owner's")
    crit.crit_enter()
    msg = _poll(port)
    while msg is None:
        port.flags |= PortFlag.WAITING
        sleepq.lwkt_sleep("waitport")
        msg = _poll(port)
    crit.crit_exit()
    return msg


def _thread_waitmsg(msg: Ptr[Msg], how: sleepq.SleepFlag) -> i32:
    port = msg.reply_port
    kassert(port.td is curthread(), "only the owner of the reply port waits")
    crit.crit_enter()
    # races: DONE is set on this CPU, the rest is the target's
    while MsgFlag.DONE not in volatile_load(msg.flags):
        port.flags |= PortFlag.WAITING
        sleepq.lwkt_sleep("waitmsg")
    if MsgFlag.QUEUED in msg.flags:
        _pull(port, msg)
    ktr.log(ktr.Event.MSG_DONE, u64(address_of(msg)), u64(address_of(port)))
    crit.crit_exit()
    return msg.error


def _thread_replyport(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    owner = unwrap(port.td)
    crit.crit_enter()
    if volatile_load(owner.gd) is mycpu():      # R6 of sched
        _thread_reply_here(port, owner, msg)
    else:
        msg.flags |= MsgFlag.INTRANSIT
        ipiq.send(volatile_load(owner.gd), _thread_reply_remote, u64(address_of(msg)), 0)
    crit.crit_exit()


def _thread_reply_remote(arg: u64, unused: u64) -> None:
    msg = pointer_at(Msg, VirtAddr(arg))        # safe: in flight, so nobody else's
    port = msg.reply_port
    owner = unwrap(port.td)
    if volatile_load(owner.gd) is mycpu():      # R6 of sched
        _thread_reply_here(port, owner, msg)
    else:
        ipiq.send(volatile_load(owner.gd), _thread_reply_remote, arg, 0)


def _thread_reply_here(port: Ptr[Port], owner: Ptr[Thread], msg: Ptr[Msg]) -> None:
    """M3: a waiter is told by the flags alone.  It owns the message from the last store on."""
    if MsgFlag.SYNC in msg.flags:
        msg.flags = (msg.flags & ~MsgFlag.INTRANSIT) | MsgFlag.DONE | MsgFlag.REPLY
    else:
        _push(port, msg)
        msg.flags |= MsgFlag.DONE | MsgFlag.REPLY
    _wake_thread(port, owner)


@inline
def _wake_thread(port: Ptr[Port], owner: Ptr[Thread]) -> None:
    if PortFlag.WAITING in port.flags:
        port.flags &= ~PortFlag.WAITING         # M5
        sched.schedule(owner)


def _thread_dropmsg(port: Ptr[Port], msg: Ptr[Msg]) -> bool:
    kassert(port.td is curthread(), "a thread port is its owner's")
    crit.crit_enter()
    queued = MsgFlag.QUEUED in msg.flags
    if queued:
        _pull(port, msg)
    crit.crit_exit()
    return queued


# --- Spin ports ----------------------------------------------------------------------------


def _spin_getport(port: Ptr[Port]) -> Ptr[Msg] | None:
    spin.lock(port.lock)
    msg = _poll(port)
    spin.unlock(port.lock)
    return msg


def _spin_putport(port: Ptr[Port], msg: Ptr[Msg]) -> i32:
    spin.lock(port.lock)
    msg.target_port = port
    _push(port, msg)
    waiting = PortFlag.WAITING in port.flags
    port.flags &= ~PortFlag.WAITING
    spin.unlock(port.lock)
    if waiting:
        sleepq.wakeup(u64(address_of(port)))
    return EASYNC


def _spin_waitport(port: Ptr[Port], how: sleepq.SleepFlag) -> Ptr[Msg] | None:
    spin.lock(port.lock)
    msg = _poll(port)
    while msg is None:
        port.flags |= PortFlag.WAITING
        sleepq.ssleep(u64(address_of(port)), port.lock, how, "waitport", 0)
        msg = _poll(port)
    spin.unlock(port.lock)
    return msg


def _spin_waitmsg(msg: Ptr[Msg], how: sleepq.SleepFlag) -> i32:
    port = msg.reply_port
    spin.lock(port.lock)
    # races: DONE is set under this lock, the rest is the target's
    while MsgFlag.DONE not in msg.flags:
        msg.waited = True
        sleepq.ssleep(u64(address_of(msg)), port.lock, how, "waitmsg", 0)
    if MsgFlag.QUEUED in msg.flags:
        _pull(port, msg)
    ktr.log(ktr.Event.MSG_DONE, u64(address_of(msg)), u64(address_of(port)))
    spin.unlock(port.lock)
    return msg.error


def _spin_replyport(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    """A waiter may free the message as soon as the lock is let go of: look at it before."""
    spin.lock(port.lock)
    ident = u64(address_of(msg))
    waiting = msg.waited
    port_waiting = False
    msg.waited = False
    msg.flags &= ~MsgFlag.INTRANSIT
    if MsgFlag.SYNC in msg.flags:
        msg.flags |= MsgFlag.DONE | MsgFlag.REPLY
    else:
        _push(port, msg)
        msg.flags |= MsgFlag.DONE | MsgFlag.REPLY
        port_waiting = PortFlag.WAITING in port.flags
        port.flags &= ~PortFlag.WAITING
    spin.unlock(port.lock)
    if waiting:
        sleepq.wakeup(ident)
    if port_waiting:
        sleepq.wakeup(u64(address_of(port)))


def _spin_dropmsg(port: Ptr[Port], msg: Ptr[Msg]) -> bool:
    spin.lock(port.lock)
    queued = MsgFlag.QUEUED in msg.flags
    if queued:
        _pull(port, msg)
    spin.unlock(port.lock)
    return queued


# --- Serialize ports -----------------------------------------------------------------------


def _serializer(port: Ptr[Port]) -> Ptr[serialize.Serializer]:
    slz = unwrap(port.serializer)
    kassert(serialize.held(slz), "the caller of a serialize port holds its serializer")
    return slz


def _serialize_getport(port: Ptr[Port]) -> Ptr[Msg] | None:
    _serializer(port)
    return _poll(port)


def _serialize_putport(port: Ptr[Port], msg: Ptr[Msg]) -> i32:
    _serializer(port)
    msg.target_port = port
    _push(port, msg)
    _wake_port(port)
    return EASYNC


def _serialize_waitport(port: Ptr[Port], how: sleepq.SleepFlag) -> Ptr[Msg] | None:
    slz = _serializer(port)
    msg = _poll(port)
    while msg is None:
        port.flags |= PortFlag.WAITING
        serialize.zsleep(u64(address_of(port)), slz, how, "waitport", 0)
        msg = _poll(port)
    return msg


def _serialize_waitmsg(msg: Ptr[Msg], how: sleepq.SleepFlag) -> i32:
    port = msg.reply_port
    slz = _serializer(port)
    while MsgFlag.DONE not in msg.flags:
        msg.waited = True
        serialize.zsleep(u64(address_of(msg)), slz, how, "waitmsg", 0)
    if MsgFlag.QUEUED in msg.flags:
        _pull(port, msg)
    return msg.error


def _serialize_replyport(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    _serializer(port)
    waiting = msg.waited
    msg.waited = False
    msg.flags &= ~MsgFlag.INTRANSIT
    if MsgFlag.SYNC not in msg.flags:
        _push(port, msg)
        _wake_port(port)
    msg.flags |= MsgFlag.DONE | MsgFlag.REPLY
    if waiting:
        sleepq.wakeup(u64(address_of(msg)))


def _serialize_dropmsg(port: Ptr[Port], msg: Ptr[Msg]) -> bool:
    _serializer(port)
    queued = MsgFlag.QUEUED in msg.flags
    if queued:
        _pull(port, msg)
    return queued


def _wake_port(port: Ptr[Port]) -> None:
    if PortFlag.WAITING in port.flags:
        port.flags &= ~PortFlag.WAITING                 # M5
        sleepq.wakeup(u64(address_of(port)))


# --- The others ----------------------------------------------------------------------------


@recursive(4)     # a handler may send to another inline port
def _inline_putport(port: Ptr[Port], msg: Ptr[Msg]) -> i32:
    msg.target_port = port
    return port.handler(msg)


def _null_replyport(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    msg.flags |= MsgFlag.DONE | MsgFlag.REPLY


def _no_getport(port: Ptr[Port]) -> Ptr[Msg] | None:
    panic("this port takes no messages")


def _no_putport(port: Ptr[Port], msg: Ptr[Msg]) -> i32:
    panic("this port takes no messages")


def _no_waitmsg(msg: Ptr[Msg], how: sleepq.SleepFlag) -> i32:
    panic("nobody waits at this port")


def _no_waitport(port: Ptr[Port], how: sleepq.SleepFlag) -> Ptr[Msg] | None:
    panic("nobody waits at this port")


def _no_replyport(port: Ptr[Port], msg: Ptr[Msg]) -> None:
    panic("this message must not be replied")


def _no_dropmsg(port: Ptr[Port], msg: Ptr[Msg]) -> bool:
    return False


def _no_handler(msg: Ptr[Msg]) -> i32:
    panic("an inline port without a function")


def _no_abort(msg: Ptr[Msg]) -> None:
    pass


THREAD_OPS: Final = PortOps(getport=_thread_getport, putport=_thread_putport,
                            waitmsg=_thread_waitmsg, waitport=_thread_waitport,
                            replyport=_thread_replyport, dropmsg=_thread_dropmsg)
SPIN_OPS: Final = PortOps(getport=_spin_getport, putport=_spin_putport, waitmsg=_spin_waitmsg,
                          waitport=_spin_waitport, replyport=_spin_replyport,
                          dropmsg=_spin_dropmsg)
SERIALIZE_OPS: Final = PortOps(getport=_serialize_getport, putport=_serialize_putport,
                               waitmsg=_serialize_waitmsg, waitport=_serialize_waitport,
                               replyport=_serialize_replyport, dropmsg=_serialize_dropmsg)
INLINE_OPS: Final = PortOps(getport=_no_getport, putport=_inline_putport, waitmsg=_no_waitmsg,
                            waitport=_no_waitport, replyport=_no_replyport,
                            dropmsg=_no_dropmsg)
NULL_OPS: Final = PortOps(getport=_no_getport, putport=_no_putport, waitmsg=_no_waitmsg,
                          waitport=_no_waitport, replyport=_null_replyport,
                          dropmsg=_no_dropmsg)
PANIC_OPS: Final = PortOps(getport=_no_getport, putport=_no_putport, waitmsg=_no_waitmsg,
                           waitport=_no_waitport, replyport=_no_replyport,
                           dropmsg=_no_dropmsg)
