# SPDX-License-Identifier: BSD-3-Clause
"""Messages and ports: each answered once, the sender woken, whoever moves or aborts meanwhile.

Covers    kernel/lwkt/msgport.py M1 to M5
"""
from typing import Final

from kpy import Array, Atomic, Ptr, i32, ref, u32, u64, zeroed

from kernel.lib.errno import EASYNC
from kernel.lwkt import crit, globaldata, msgport, sched, serialize
from kernel.lwkt.globaldata import find
from kernel.lwkt.msgport import Msg, MsgFlag, Port
from tests.sim import world

UNSAFE: Final = True        # ports and messages begin as zero and are filled by the plan

EINTR: Final = 4

port: Port = zeroed(Port)
second: Port = zeroed(Port)
msgs: Array[Msg, 4] = zeroed(Array[Msg, 4])
served: Atomic[u32]
aborted: Atomic[u32]
stage: Atomic[u32]
spinning: bool = False      # the port at hand is the spin port
slz: serialize.Serializer = zeroed(serialize.Serializer)


def _serve_one(port: Ptr[Port]) -> None:
    msg = msgport.waitport(port)
    assert MsgFlag.DONE not in msg.flags and MsgFlag.QUEUED not in msg.flags
    served.add(1)
    msg.result = msg.command * 2
    msgport.replymsg(msg, 0)


def _serve_own(times: u64) -> None:
    """At one's own thread port."""
    for _ in range(times):
        _serve_one(globaldata.curthread().msgport)
    world.rest()


def _serve_shared(times: u64) -> None:
    """At the spin port."""
    for _ in range(times):
        _serve_one(port)


def _request(number: u64, to: Ptr[Port]) -> None:
    msg = ref(msgs[number])
    msgport.init(msg, globaldata.curthread().msgport, MsgFlag(0))
    msg.command = number + 10
    error = msgport.domsg(to, msg)
    assert error == 0 and msg.result == (number + 10) * 2
    assert MsgFlag.DONE in msg.flags and MsgFlag.QUEUED not in msg.flags


def _ask_thread(number: u64) -> None:
    _request(number, world.td_of(0).msgport)


def _ask_shared(number: u64) -> None:
    _request(number, port)


def synchronous() -> None:
    """domsg() to a thread of another CPU."""
    world.thread(_serve_own, 1, 0)
    world.thread(_ask_thread, 0, 1)
    world.check(_one)


def two_clients() -> None:
    """Two CPUs ask one thread, one of them its own CPU's."""
    world.thread(_serve_own, 2, 0)
    world.thread(_ask_thread, 0, 1)
    world.thread(_ask_thread, 1, 0)
    world.to_quiescence()
    world.check(_two)


def _one() -> None:
    assert served.load() == 1


def _two() -> None:
    assert served.load() == 2


def spin_port() -> None:
    """Two threads of two CPUs serve one port, two others ask."""
    msgport.init_spin_port(port)
    world.thread(_serve_shared, 1, 0)
    world.thread(_serve_shared, 1, 1)
    world.thread(_ask_shared, 0, 1)
    world.thread(_ask_shared, 1, 2)
    world.check(_two)


# --- Asynchronous ---------------------------------------------------------------------------


def _send_three(unused: u64) -> None:
    own = ref(globaldata.curthread().msgport)
    for i in range(3):
        msg = ref(msgs[i])
        msgport.init(msg, own, MsgFlag.PRIORITY if i == 2 else MsgFlag(0))
        msg.command = i
        msgport.sendmsg(world.td_of(0).msgport, msg)
    for _ in range(3):
        msg = msgport.waitport(own)
        assert MsgFlag.DONE in msg.flags and MsgFlag.REPLY in msg.flags
        assert msg.result == msg.command * 2
        stage.add(1)
    assert msgport.getport(own) is None


def asynchronous() -> None:
    """Three messages under way at once; their answers are taken from the sender's own port."""
    world.thread(_serve_own, 3, 0)
    world.thread(_send_three, 0, 1)
    world.check(_three)


def _three() -> None:
    assert served.load() == 3 and stage.load() == 3


# --- Forwarding -----------------------------------------------------------------------------


def _forward_one(unused: u64) -> None:
    msg = msgport.waitport(globaldata.curthread().msgport)
    msgport.forwardmsg(world.td_of(1).msgport, msg)
    world.rest()


def forwarded() -> None:
    """A message is passed on to a third CPU, which answers its sender."""
    world.thread(_forward_one, 0, 0)
    world.thread(_serve_own, 1, 1)
    world.thread(_ask_thread, 0, 2)
    world.check(_one)


# --- Aborting -------------------------------------------------------------------------------


def _asked_to_abort(msg: Ptr[Msg]) -> None:
    """The target's side, in the context of who aborts: it marks what the server looks for."""
    aborted.store(1)


def _serve_or_abort(unused: u64) -> None:
    msg = msgport.waitport(globaldata.curthread().msgport)
    served.add(1)
    msgport.replymsg(msg, EINTR if aborted.load() != 0 else 0)
    world.rest()


def _send_and_abort(unused: u64) -> None:
    own = ref(globaldata.curthread().msgport)
    msg = ref(msgs[0])
    msgport.init_abortable(msg, own, _asked_to_abort)
    msgport.sendmsg(world.td_of(0).msgport, msg)
    msgport.abortmsg(msg)
    error = msgport.waitmsg(msg)
    assert error == 0 or error == EINTR
    assert MsgFlag.DONE in msg.flags and MsgFlag.QUEUED not in msg.flags
    assert msgport.getport(own) is None


def abort_and_reply() -> None:
    """An abort races with the answer: one answer in any case."""
    world.thread(_serve_or_abort, 0, 0)
    world.thread(_send_and_abort, 0, 1)
    world.check(_one)


# --- Who moves ------------------------------------------------------------------------------


def _serve_on_the_move(unused: u64) -> None:
    """A server that goes to another CPU while messages for it are under way."""
    own = ref(globaldata.curthread().msgport)
    _serve_one(own)
    sched.setcpu_self(find(1))
    _serve_one(own)
    world.rest()


def server_moves() -> None:
    """Messages go after a thread that moves."""
    world.thread(_serve_on_the_move, 0, 0)
    world.thread(_ask_thread, 0, 2)
    world.thread(_ask_thread, 1, 2)
    world.to_quiescence()
    world.check(_two)


def _ask_on_the_move(number: u64) -> None:
    """A client that moves while the answer is under way."""
    own = ref(globaldata.curthread().msgport)
    msg = ref(msgs[number])
    msgport.init(msg, own, MsgFlag(0))
    msg.command = number
    msgport.sendmsg(world.td_of(0).msgport, msg)
    sched.setcpu_self(find(1))
    assert msgport.waitport(own) is msg
    assert msg.result == number * 2


def client_moves() -> None:
    """Answers do too."""
    world.thread(_serve_own, 1, 0)
    world.thread(_ask_on_the_move, 0, 2)
    world.need(3)
    world.to_quiescence()
    world.check(_one)


# --- Answered at once -----------------------------------------------------------------------


def _answer(msg: Ptr[Msg]) -> i32:
    msg.result = msg.command * 2
    served.add(1)
    return 0


def _pass_on(msg: Ptr[Msg]) -> i32:
    """Answers later, from another thread."""
    msgport.forwardmsg(world.td_of(0).msgport, msg)
    return EASYNC


def at_once() -> None:
    """A port that answers in the sender's context, used by two CPUs."""
    msgport.init_inline_port(port, _answer)
    world.thread(_ask_shared, 0, 0)
    world.thread(_ask_shared, 1, 1)
    world.check(_two)


def later() -> None:
    """A port whose function passes the message on to a thread."""
    msgport.init_inline_port(second, _pass_on)
    world.thread(_serve_own, 1, 0)
    world.thread(_ask_second, 0, 1)
    world.check(_one)


def _ask_second(number: u64) -> None:
    _request(number, second)


# --- Replies at other ports -----------------------------------------------------------------


def _ask_for_two(unused: u64) -> None:
    """Two messages whose replies come to a spin port: one is waited for, one is taken there."""
    for i in range(2):
        msg = ref(msgs[i])
        msgport.init(msg, port)
        msg.command = i
        msgport.sendmsg(world.td_of(0).msgport, msg)
    assert msgport.waitmsg(msgs[1]) == 0 and msgs[1].result == 2
    reply = msgport.getport(port)
    if reply is None:
        reply = msgport.waitport(port)
    assert reply is msgs[0] and msgs[0].result == 0
    assert msgport.getport(port) is None
    stage.add(1)


def spin_replies() -> None:
    """Replies at a spin port, for who waits for one of them and for who takes any."""
    msgport.init_spin_port(port)
    world.thread(_serve_own, 2, 0)
    world.thread(_ask_for_two, 0, 1)
    world.check(_two)


def _send_two(unused: u64) -> None:
    """The first of them may be dropped by its receiver."""
    to = _dropping()
    for i in range(2):
        msg = ref(msgs[i])
        how = MsgFlag(0) if i != 0 else MsgFlag.DROPABLE
        msgport.init(msg, globaldata.curthread().msgport, how)
        msg.command = i
        msgport.sendmsg(to, msg)
        stage.add(1)
    assert msgport.waitmsg(msgs[0]) == EINTR and msgport.waitmsg(msgs[1]) == 0
    assert msgport.getport(globaldata.curthread().msgport) is None


def _dropping() -> Ptr[Port]:
    return ref(port) if spinning else ref(world.td_of(0).msgport)


def _drop_and_serve(unused: u64) -> None:
    """The owner of the port takes the first out of its middle, while the second comes."""
    while stage.load() == 0:
        world.wait()
    while not msgport.dropmsg(msgs[0]):
        world.wait()
    aborted.store(1)
    msgport.replymsg(msgs[0], EINTR)
    _serve_one(_dropping())
    world.rest()


def dropped() -> None:
    """A message is taken out of a spin port's queue while another comes."""
    global spinning
    spinning = True
    msgport.init_spin_port(port)
    world.thread(_drop_and_serve, 0, 0)
    world.thread(_send_two, 0, 1)
    world.check(_one)


def dropped_by_thread() -> None:
    """The same at a thread port."""
    world.thread(_drop_and_serve, 0, 0)
    world.thread(_send_two, 0, 1)
    world.check(_one)


def _serve_serialized(times: u64) -> None:
    for _ in range(times):
        with slz:
            _serve_one(port)


def _ask_serialized(number: u64) -> None:
    """Request and reply at ports that one serializer protects."""
    msg = ref(msgs[number])
    with slz:
        msgport.init(msg, second)
        msg.command = number + 10
        error = msgport.domsg(port, msg)
        assert error == 0 and msg.result == (number + 10) * 2


def _take_serialized(number: u64) -> None:
    msg = ref(msgs[number])
    with slz:
        msgport.init(msg, second)
        msg.command = number + 10
        msgport.sendmsg(port, msg)
        assert msgport.waitport(second) is msg and msg.result == (number + 10) * 2


def _serialize_ports() -> None:
    msgport.init_serialize_port(port, slz)
    msgport.init_serialize_port(second, slz)


def serialize_port() -> None:
    """A port, and one for its replies, under one serializer; who asks waits for the message."""
    _serialize_ports()
    world.thread(_serve_serialized, 1, 0)
    world.thread(_ask_serialized, 0, 1)
    world.check(_one)


def serialize_replies() -> None:
    """The same, but the reply is taken from its port."""
    _serialize_ports()
    world.thread(_serve_serialized, 1, 0)
    world.thread(_take_serialized, 0, 1)
    world.check(_one)


def _poll_for_three(unused: u64) -> None:
    """Answers are taken one by one as they come, without waiting."""
    own = ref(globaldata.curthread().msgport)
    for i in range(3):
        msgport.init(msgs[i], own)
        msgs[i].command = i
        msgport.sendmsg(world.td_of(u32(i % 2)).msgport, msgs[i])
    while stage.load() < 3:
        msg = msgport.getport(own)
        if msg is None:
            crit.crit_enter()
            sched.rotate()              # the server of this CPU has its turn
            crit.crit_exit()
            sched.switch()
            world.wait()
        else:
            assert msg.result == msg.command * 2
            stage.add(1)
    assert own.normal.first is None and own.normal.last is None


def polled() -> None:
    """Two servers, one of the sender's CPU, answer a sender that polls."""
    world.thread(_serve_own, 2, 0)
    world.thread(_serve_own, 1, 1)
    world.thread(_poll_for_three, 0, 0)
    world.to_quiescence()
    world.check(_three)


def _poll_spin(unused: u64) -> None:
    for i in range(2):
        msgport.init(msgs[i], port)
        msgs[i].command = i
        msgport.sendmsg(world.td_of(0).msgport, msgs[i])
    assert msgport.waitport(port).error == 0
    while stage.load() == 0:
        if msgport.getport(port) is not None:
            stage.store(1)
        else:
            world.wait()
    assert port.normal.first is None and port.normal.last is None


def spin_polled() -> None:
    """Replies at a spin port: one is waited for at the port, the other polled for."""
    msgport.init_spin_port(port)
    world.thread(_serve_own, 2, 0)
    world.thread(_poll_spin, 0, 1)
    world.check(_two)
