# SPDX-License-Identifier: BSD-3-Clause
"""Message ports: inline answers, other CPUs, forwarding, aborting, priority, spin ports."""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Ptr,
    address_of,
    i32,
    kprintf,
    may_block,
    ref,
    table,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel.lib.errno import EINTR, EINVAL
from kernel.lwkt import msgport, sched, serialize, sleepq
from kernel.lwkt.globaldata import curthread
from kernel.lwkt.msgport import Msg, MsgFlag, Port
from tests.guest import support

UNSAFE: Final = True         # ports begin as zeroed storage

ROUNDS: Final = 100_000
ORDER: Final[Array[u64, 8]] = [1, 3, 5, 7, 0, 2, 4, 6]

inline_port: Port = zeroed(Port)
spin_port: Port = zeroed(Port)
server: Atomic[Ptr[Port] | None]
second: Atomic[Ptr[Port] | None]
aborted: Atomic[u32]
quit: Msg = zeroed(Msg)

COMMAND_QUIT: Final = 0
COMMAND_ADD: Final = 1
COMMAND_FORWARD: Final = 2
COMMAND_HOLD: Final = 3


def _at_once(msg: Ptr[Msg]) -> i32:
    if msg.command != COMMAND_ADD:
        return EINVAL
    msg.result += 1
    return 0


@table("guest_test", 40)
def inline_port_answers_without_a_switch() -> None:
    """ROUNDS synchronous messages to an inline port: no queue, no switch."""
    rounds = support.rounds(ROUNDS)
    msgport.init_inline_port(inline_port, _at_once)
    msg: Msg = zeroed(Msg)
    msgport.init(msg, curthread().msgport)
    msg.command = COMMAND_ADD
    before = curthread().switches
    for _ in range(rounds):
        error = msgport.domsg(inline_port, msg)
        assert error == 0
    switched = curthread().switches - before
    assert msg.result == rounds
    msg.command = COMMAND_QUIT
    assert msgport.domsg(inline_port, msg) == EINVAL
    msg.command = COMMAND_ADD
    msgport.sendmsg(inline_port, msg)                   # the reply is queued at our port
    assert MsgFlag.QUEUED in msg.flags
    assert msgport.waitport(curthread().msgport) is msg
    assert switched == 0
    kprintf(f"{rounds} messages, {switched} switches\n")


def _serve(unused: u64) -> None:
    port = ref(curthread().msgport)
    server.store(port)
    sleepq.wakeup(u64(address_of(server)))
    while True:
        msg = msgport.waitport(port)
        match msg.command:
            case 0:
                break
            case 2:
                msgport.forwardmsg(unwrap(second.load()), msg)
            case 3:
                pass                                    # answered by _abort only
            case _:
                msg.result += 1
                msgport.replymsg(msg, 0)
    server.store(None)
    msgport.replymsg(quit, 0)
    support.done()


def _serve_second(unused: u64) -> None:
    port = ref(curthread().msgport)
    second.store(port)
    while True:
        msg = msgport.waitport(port)
        if msg.command == COMMAND_QUIT:
            msgport.replymsg(msg, 0)
            break
        msg.result += 100
        msgport.replymsg(msg, 0)
    support.done()


@may_block
def _start_server(cpu: u32) -> Ptr[Port]:
    server.store(None)
    support.spawn(_serve, 0, cpu)
    while server.load() is None:
        support.pause_ticks(1)
    return unwrap(server.load())


@may_block
def _stop_server(port: Ptr[Port]) -> None:
    msgport.init(quit, curthread().msgport)
    quit.command = COMMAND_QUIT
    msgport.domsg(port, quit)
    support.join()


@table("guest_test", 41)
def messages_cross_cpus() -> None:
    """ROUNDS synchronous messages to a thread of another CPU, and ROUNDS to one of this."""
    rounds = support.rounds(ROUNDS)
    msg: Msg = zeroed(Msg)
    targets: Array[u32, 2] = [support.cpus() - 1, 0]
    for cpu in targets:
        port = _start_server(cpu)
        msgport.init(msg, curthread().msgport)
        msg.command = COMMAND_ADD
        msg.result = 0
        for _ in range(rounds):
            assert msgport.domsg(port, msg) == 0
        assert msg.result == rounds
        _stop_server(port)
        kprintf(f"{rounds} messages to CPU {cpu} and back\n")


@table("guest_test", 42)
def asynchronous_messages_come_back() -> None:
    """Many messages under way at once; each reply arrives once."""
    port = _start_server(support.cpus() - 1)
    msgs: Array[Msg, 64] = zeroed(Array[Msg, 64])
    rounds = support.rounds(ROUNDS) // 64
    for i in range(64):
        msgport.init(msgs[i], curthread().msgport)
        msgs[i].command = COMMAND_ADD
        msgport.sendmsg(port, msgs[i])
    for _ in range(rounds * 64):
        msg = msgport.waitport(curthread().msgport)
        assert MsgFlag.REPLY in msg.flags
        msgport.sendmsg(port, msg)
    total: u64 = 0
    for i in range(64):
        msgport.waitmsg(msgs[i])
        total += msgs[i].result
    assert total == rounds * 64 + 64
    _stop_server(port)
    kprintf(f"{total} messages, 64 under way\n")


@table("guest_test", 43)
def forwarded_messages_are_answered_by_another() -> None:
    """ROUNDS messages that the first receiver passes on to a thread of another CPU."""
    rounds = support.rounds(ROUNDS)
    port = _start_server(support.cpus() - 1)
    second.store(None)
    support.spawn(_serve_second, 0, 0)
    while second.load() is None:
        support.pause_ticks(1)
    msg: Msg = zeroed(Msg)
    msgport.init(msg, curthread().msgport)
    msg.command = COMMAND_FORWARD
    for _ in range(rounds):
        assert msgport.domsg(port, msg) == 0
    assert msg.result == 100 * rounds
    msg.command = COMMAND_QUIT
    msgport.domsg(unwrap(second.load()), msg)
    _stop_server(port)
    kprintf(f"{rounds} messages forwarded\n")


def _abort(msg: Ptr[Msg]) -> None:
    aborted.add(1)
    msgport.replymsg(msg, EINTR)


@table("guest_test", 44)
def aborted_messages_are_answered_early() -> None:
    """ROUNDS messages that nobody would answer, called back: each is answered EINTR, once."""
    rounds = support.rounds(ROUNDS)
    port = _start_server(support.cpus() - 1)
    aborted.store(0)
    msg: Msg = zeroed(Msg)
    msgport.init_abortable(msg, curthread().msgport, _abort)
    msg.command = COMMAND_HOLD
    before = port.queued
    for i in range(rounds):
        msgport.sendmsg(port, msg)
        while port.queued - before <= i or MsgFlag.QUEUED in msg.flags:
            sched.yield_()                              # queued, and taken by the server
        msgport.abortmsg(msg)
        msgport.abortmsg(msg)                           # the second does nothing
        assert msgport.waitmsg(msg) == EINTR
    assert aborted.load() == rounds
    _stop_server(port)
    kprintf(f"{rounds} messages aborted\n")


@table("guest_test", 45)
def priority_messages_come_first() -> None:
    """Priority messages overtake others at a port, in order among themselves."""
    msgport.init_spin_port(spin_port)
    msgs: Array[Msg, 8] = zeroed(Array[Msg, 8])
    rounds = support.rounds(ROUNDS) // 8
    for _ in range(rounds):
        for i in range(8):
            urgent = MsgFlag.PRIORITY if i % 2 == 1 else MsgFlag(0)
            msgport.init(msgs[i], curthread().msgport, urgent)
            msgs[i].command = i
            msgport.sendmsg(spin_port, msgs[i])
        for want in ORDER:
            msg = unwrap(msgport.getport(spin_port))
            assert msg.command == want
            msgport.replymsg(msg, 0)
        for i in range(8):
            msgport.waitmsg(msgs[i])
    assert msgport.getport(spin_port) is None
    kprintf(f"{rounds * 8} messages in order of priority\n")


def _work(unused: u64) -> None:
    while True:
        msg = msgport.waitport(spin_port)
        last = msg.command == COMMAND_QUIT
        msg.result += 1
        msgport.replymsg(msg, 0)
        if last:
            break
    support.done()


@table("guest_test", 46)
def several_threads_wait_at_a_spin_port() -> None:
    """A crew on all CPUs takes messages from one port."""
    rounds = support.rounds(ROUNDS)
    msgport.init_spin_port(spin_port)
    crew = min(2 * support.cpus(), 8)
    for i in range(crew):
        support.spawn(_work, 0, u32(i) % support.cpus())
    msg: Msg = zeroed(Msg)
    msgport.init(msg, curthread().msgport)
    msg.command = COMMAND_ADD
    for _ in range(rounds // 10):
        msgport.domsg(spin_port, msg)
    assert msg.result == rounds // 10
    for _ in range(crew):
        msg.command = COMMAND_QUIT
        msgport.domsg(spin_port, msg)
    support.join()
    kprintf(f"{rounds // 10} messages to {crew} threads\n")


serialize_port: Port = zeroed(Port)
serializer: serialize.Serializer


def _work_serialized(unused: u64) -> None:
    serialize.enter(serializer)
    while True:
        msg = msgport.waitport(serialize_port)
        last = msg.command == COMMAND_QUIT
        msg.result += 1
        msgport.replymsg(msg, 0)
        if last:
            break
    serialize.leave(serializer)
    support.done()


@table("guest_test", 47)
def serialize_ports_work_under_their_serializer() -> None:
    """Threads of two CPUs talk by ports that one serializer protects, the replies too."""
    rounds = support.rounds(ROUNDS)
    serializer.name = "slz"
    msgport.init_serialize_port(serialize_port, serializer)
    replies: Port = zeroed(Port)
    msgport.init_serialize_port(replies, serializer)
    support.spawn(_work_serialized, 0, support.cpus() - 1)
    msg: Msg = zeroed(Msg)
    serialize.enter(serializer)
    msgport.init(msg, replies)
    for i in range(rounds // 10):
        msg.command = COMMAND_ADD
        if i % 2 == 0:
            msgport.domsg(serialize_port, msg)
        else:
            msgport.sendmsg(serialize_port, msg)
            assert msgport.waitport(replies) is msg
    assert msg.result == rounds // 10
    msg.command = COMMAND_QUIT
    msgport.domsg(serialize_port, msg)
    serialize.leave(serializer)
    support.join()
    kprintf(f"{rounds // 10} messages\n")
