# SPDX-License-Identifier: BSD-3-Clause
"""Tokens by turns: three threads on two CPUs that try, release, are switched out and in again.

What waits and spins is in tests/sim/scenarios/tokens.py.
"""
from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.lwkt.conftest import run_machine
from toolchain import host

EXCLUSIVE, EXCLREQ, STEP, ALL = 1, 2, 4, 0xFFFF_FFFF


def new_token(core, name="t"):
    tok = core.mod.Token()
    core.token.init(tok, name)
    return tok


def test_t1_exclusive_and_ref_go_together(one):
    td = one.run(one.new_thread())
    tok = new_token(one)
    one.token.gettoken(tok)
    assert tok.count == EXCLUSIVE and tok.ref == td.toks[0] and one.token.held(tok)
    one.token.reltoken(tok)
    assert tok.count == 0 and tok.ref is None and not one.token.held(tok)


def test_recursion_counts(one):
    one.run(one.new_thread())
    tok = new_token(one)
    for _ in range(3):
        one.token.gettoken(tok)
    one.token.gettoken_shared(tok)
    assert tok.count == EXCLUSIVE + 3 * STEP
    for _ in range(4):
        assert one.token.held(tok)
        one.token.reltoken(tok)
    assert tok.count == 0


def test_t2_who_is_switched_out_owns_nothing_and_gets_all_again(one):
    td = one.run(one.new_thread())
    a, b = new_token(one), new_token(one)
    one.token.gettoken(a)
    one.token.gettoken_shared(b)
    one.token.gettoken(a)
    one.token.relalltokens(td)
    assert (a.count, b.count, td.toks_stop) == (0, 0, 3)
    assert one.token.getalltokens(td, 0)
    assert (a.count, b.count) == (EXCLUSIVE + STEP, STEP)
    assert one.token.held(a) and one.token.held_any(b) and not one.token.held(b)


def test_t2_only_what_it_has_is_let_go_of_in_the_middle_of_gettoken(one):
    td = one.run(one.new_thread())
    a, b = new_token(one), new_token(one)
    one.token.gettoken(a)
    b.count = EXCLUSIVE                     # somebody else's
    td.toks[1].tok, td.toks[1].mode, td.toks_stop, td.toks_have = b, EXCLUSIVE | EXCLREQ, 2, 1
    one.token.relalltokens(td)
    assert (a.count, b.count, td.toks_have) == (0, EXCLUSIVE, ALL)


def test_t3_only_the_last_is_released(one):
    one.run(one.new_thread())
    a, b = new_token(one), new_token(one)
    one.token.gettoken(a)
    one.token.gettoken(b)
    with pytest.raises(host.Panic, match="reverse order"):
        one.token.reltoken(a)


def test_swap_lets_the_other_be_released_first(one):
    one.run(one.new_thread())
    a, b = new_token(one), new_token(one)
    one.token.gettoken(a)
    one.token.gettoken_shared(b)
    one.token.swap(a, b)
    assert one.token.held(a) and one.token.held_any(b)
    one.token.reltoken(a)
    assert (a.count, b.count) == (0, STEP)
    one.token.reltoken(b)
    assert b.count == 0


@pytest.mark.parametrize("tried", [0, 10])
def test_t4_all_or_none(two, tried):
    mine, other = two.new_thread(0), two.new_thread(1)
    toks = sorted((new_token(two) for _ in range(3)), key=lambda t: t.address)
    two.run(mine)
    for tok in (toks[1], toks[0], toks[2]):
        two.token.gettoken(tok)
    two.token.relalltokens(mine)
    two.run(other)
    two.token.gettoken(toks[2])
    two.run(mine)
    assert not two.token.getalltokens(mine, tried)
    assert [t.count & ~EXCLREQ for t in toks] == [0, 0, EXCLUSIVE]
    two.run(other)
    two.token.reltoken(toks[2])
    two.run(mine)
    assert two.token.getalltokens(mine, tried)
    assert all(two.token.held(t) for t in toks)


def test_sorted_by_address_after_ten_rounds_references_to_one_in_order(one):
    td = one.run(one.new_thread())
    toks = sorted((new_token(one) for _ in range(3)), key=lambda t: t.address)
    for tok in (toks[2], toks[0], toks[2], toks[1]):
        one.token.gettoken(tok)
    order = one.mod.array("u32", [0, 1, 2, 3])
    one.token._sort(td, order, 4)
    assert list(order) == [1, 3, 0, 2]


def test_t5_shared_then_exclusive_is_refused(one):
    one.run(one.new_thread())
    tok = new_token(one)
    one.token.gettoken_shared(tok)
    with pytest.raises(host.Panic, match="wait for itself"):
        one.token.gettoken(tok)


def test_a_writer_that_waits_keeps_new_sharers_out_but_not_those_with_other_tokens(two):
    reader, writer = two.new_thread(0), two.new_thread(1)
    tok, other = new_token(two), new_token(two)
    tok.count = STEP | EXCLREQ              # somebody shares it, somebody waits to be alone
    two.run(reader)
    assert not two.token.trytoken_shared(tok)
    two.token.gettoken(other)
    assert two.token.trytoken_shared(tok)
    two.run(writer)
    assert not two.token.trytoken(tok)
    assert writer.toks_stop == 0


def test_too_many_and_under_a_spinlock(one):
    one.run(one.new_thread())
    toks = [new_token(one) for _ in range(33)]
    for tok in toks[:32]:
        one.token.gettoken(tok)
    with pytest.raises(host.Panic, match="too many"):
        one.token.gettoken(toks[32])
    one.gd.spinlocks = 1
    with pytest.raises(host.Panic):
        one.token.gettoken(toks[32])


def test_pool_tokens_are_of_the_pool_and_spread(one):
    found = {one.token.pool(0xFFFF_8000_0000_0000 + 64 * i).address for i in range(1000)}
    assert len(found) > 800
    assert one.token.pool(12345) == one.token.pool(12345)


class Turns(RuleBasedStateMachine):
    """A model: for each thread the stack of (token, exclusive), and whether it is switched out."""

    @initialize()
    def begin(self):
        core = self.core
        self.threads = [core.new_thread(0), core.new_thread(0), core.new_thread(1)]
        self.toks = [new_token(core) for _ in range(3)]
        self.stacks = [[] for _ in self.threads]
        self.out = [False] * 3
        self.requested = [False] * 3        # EXCLREQ was set, and may be still

    def holders(self, t, but=None):
        """(somebody exclusive, sharers) of token t by threads that are in."""
        inside = [i for i in range(3) if not self.out[i] and i != but]
        exclusive = any(entry == (t, True) for i in inside for entry in self.stacks[i])
        return exclusive, sum(entry == (t, False) for i in inside for entry in self.stacks[i])

    @rule(i=st.integers(0, 2), t=st.integers(0, 2), exclusive=st.booleans())
    def take(self, i, t, exclusive):
        if self.out[i] or len(self.stacks[i]) == 32:
            return
        others_exclusive, others_share = self.holders(t, but=i)
        mine = any(entry == (t, True) for entry in self.stacks[i])
        shared_by_me = any(entry == (t, False) for entry in self.stacks[i])
        self.core.run(self.threads[i])
        call = self.core.token.trytoken if exclusive else self.core.token.trytoken_shared
        got = call(self.toks[t])
        if exclusive:
            expected = mine or not (others_exclusive or others_share or shared_by_me)
        else:
            expected = mine or not others_exclusive
            if not mine and self.toks[t].count & EXCLREQ and not self.stacks[i]:
                expected = False
        assert got == expected
        if got:
            self.stacks[i].append((t, exclusive))

    @rule(i=st.integers(0, 2))
    def release(self, i):
        if self.out[i] or not self.stacks[i]:
            return
        self.core.run(self.threads[i])
        self.core.token.reltoken(self.toks[self.stacks[i].pop()[0]])

    @rule(i=st.integers(0, 2))
    def switch_out(self, i):
        if not self.out[i]:
            self.core.run(self.threads[i])
            self.core.token.relalltokens(self.threads[i])
            self.out[i] = True

    @rule(i=st.integers(0, 2), tried=st.sampled_from([0, 10]))
    def switch_in(self, i, tried):
        if self.out[i]:
            self.core.run(self.threads[i])
            if self.core.token.getalltokens(self.threads[i], tried):
                self.out[i] = False
                for t in {entry[0] for entry in self.stacks[i]}:
                    others, sharers = self.holders(t, but=i)
                    assert not others
                    assert (t, True) not in self.stacks[i] or not sharers

    @precondition(lambda self: hasattr(self, "toks"))
    @invariant()
    def the_counts_agree(self):
        for t, tok in enumerate(self.toks):
            entries = [entry for i in range(3) if not self.out[i] for entry in self.stacks[i]
                       if entry[0] == t]
            exclusive = [e for e in entries if e[1]]
            assert bool(tok.count & EXCLUSIVE) == bool(exclusive)
            assert tok.count // STEP == len(entries) - bool(exclusive)
            assert (tok.ref is not None) == bool(exclusive)


def test_any_turns(two):
    run_machine(two, Turns, examples=60, steps=60)
