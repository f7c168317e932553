# SPDX-License-Identifier: BSD-3-Clause
"""Ports and messages by turns: each back end without waiting; with it under any schedule."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.suite import scenarios
from tests.unit.lwkt.fake import walk
from toolchain import host


@pytest.fixture
def turns(two):
    """Two threads of two CPUs, each with its port."""
    two.threads = [two.new_thread(0), two.new_thread(1)]
    two.run(two.threads[0])
    return two


def message(core, owner, how=0):
    msg = core.mod.Msg(target_port=owner.msgport, reply_port=owner.msgport, abort=lambda m: None)
    core.msgport.init(msg, owner.msgport, how)
    return msg


def names(core, msg):
    return {f.name for f in core.mod.MsgFlag if f in msg.flags}


def test_m1_only_an_idle_message_is_sent_and_only_an_open_one_answered(turns):
    mine, theirs = turns.threads
    msg = message(turns, mine)
    with pytest.raises(host.Panic):
        turns.msgport.replymsg(msg, 0)
    turns.msgport.sendmsg(mine.msgport, msg)
    with pytest.raises(host.Panic):
        turns.msgport.sendmsg(theirs.msgport, msg)


def test_m2_queued_exactly_while_on_a_queue(turns):
    mine = turns.threads[0]
    msg = message(turns, mine)
    turns.msgport.sendmsg(mine.msgport, msg)
    assert names(turns, msg) == {"QUEUED"} and walk(mine.msgport.normal) == [msg]
    assert turns.msgport.getport(mine.msgport) == msg
    assert names(turns, msg) == set() and walk(mine.msgport.normal) == []
    turns.msgport.replymsg(msg, 5)
    assert names(turns, msg) == {"QUEUED", "DONE", "REPLY"} and msg.error == 5
    assert turns.msgport.getport(mine.msgport) == msg
    assert names(turns, msg) == {"DONE", "REPLY"}


def test_m4_from_another_cpu_it_travels(turns):
    mine, theirs = turns.threads
    msg = message(turns, mine)
    turns.msgport.sendmsg(theirs.msgport, msg)
    assert names(turns, msg) == {"INTRANSIT"} and theirs.msgport.normal.first is None
    turns.hear_all()
    assert names(turns, msg) == {"QUEUED"}
    turns.run(theirs)
    assert turns.msgport.getport(theirs.msgport) == msg
    turns.msgport.replymsg(msg, 0)
    turns.run(mine)
    assert turns.msgport.getport(mine.msgport) is None
    turns.hear_all()
    assert turns.msgport.getport(mine.msgport) == msg


def test_m4_only_the_owner_takes(turns):
    with pytest.raises(host.Panic, match="owner"):
        turns.msgport.getport(turns.threads[1].msgport)


def test_m3_a_synchronous_answer_is_not_queued(turns):
    mine = turns.threads[0]
    msg = message(turns, mine)
    msg.flags = turns.mod.MsgFlag.SYNC
    turns.msgport.replymsg(msg, 3)
    assert names(turns, msg) == {"SYNC", "DONE", "REPLY"}
    assert walk(mine.msgport.normal) == []
    assert turns.msgport.waitmsg(msg) == 3


def test_m5_the_waker_clears_waiting(turns):
    mine, theirs = turns.threads
    theirs.msgport.flags = 1                # it waits
    turns.on(0)
    turns.msgport.sendmsg(theirs.msgport, message(turns, mine))
    turns.hear_all()
    assert int(theirs.msgport.flags) == 0
    assert turns.mod.ThreadFlag.RUNQ in theirs.flags


def test_an_inline_port_answers_at_once(turns):
    mine = turns.threads[0]
    port = turns.mod.Port(ops=mine.msgport.ops, handler=lambda m: 0)

    def handler(msg):
        msg.result = msg.command + 1
        return 7
    turns.msgport.init_inline_port(port, handler)
    msg = message(turns, mine)
    msg.command = 4
    switches = turns.gd.counters.switch_count
    assert turns.msgport.domsg(port, msg) == 7
    assert msg.result == 5 and turns.gd.counters.switch_count == switches
    assert "QUEUED" not in names(turns, msg)


def test_an_abort_is_asked_for_once_and_touches_no_flag(turns):
    mine, theirs = turns.threads
    asked = []

    def abort(m):
        asked.append(m.address)
    msg = message(turns, mine)
    turns.msgport.init_abortable(msg, mine.msgport, abort)
    turns.msgport.abortmsg(msg)             # not in flight
    assert asked == []
    turns.msgport.sendmsg(theirs.msgport, msg)
    before = msg.flags
    turns.msgport.abortmsg(msg)
    turns.msgport.abortmsg(msg)
    assert asked == [msg.address] and msg.flags == before


def test_dropping(turns):
    mine = turns.threads[0]
    msg = message(turns, mine, turns.mod.MsgFlag.DROPABLE)
    turns.msgport.sendmsg(mine.msgport, msg)
    assert turns.msgport.dropmsg(msg)
    assert not turns.msgport.dropmsg(msg) and walk(mine.msgport.normal) == []


def test_null_and_panic_ports(turns):
    mine = turns.threads[0]
    port = turns.mod.Port(ops=mine.msgport.ops, handler=lambda m: 0)
    turns.msgport.init_null_port(port)
    msg = message(turns, mine)
    msg.flags = 0
    msg.reply_port = port
    turns.msgport.replymsg(msg, 0)
    assert "DONE" in names(turns, msg)
    turns.msgport.init_panic_port(port)
    msg.flags = 0
    with pytest.raises(host.Panic, match="must not be replied"):
        turns.msgport.replymsg(msg, 0)


def test_priority_goes_first_each_kind_in_order(turns):
    mine = turns.threads[0]
    taken = turns.mod.snapshot()

    @given(st.lists(st.booleans(), max_size=12))
    def check(plan):
        turns.mod.restore(taken)
        priority = turns.mod.MsgFlag.PRIORITY
        msgs = [message(turns, mine, priority if first else 0) for first in plan]
        for msg in msgs:
            turns.msgport.sendmsg(mine.msgport, msg)
        order = []
        while (msg := turns.msgport.getport(mine.msgport)) is not None:
            order.append(msgs.index(msg))
        assert order == sorted(range(len(plan)), key=lambda i: not plan[i])
    check()


@pytest.mark.parametrize("name", [
    "synchronous", "two_clients", "spin_port", "asynchronous", "forwarded", "abort_and_reply",
    "server_moves", "client_moves", "at_once", "later"])
def test_under_any_schedule(name):
    assert scenarios()[name].random(2000).schedules == 2000
