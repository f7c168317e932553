# SPDX-License-Identifier: BSD-3-Clause
"""Constructed objects in magazines, with a back end in Python."""
from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.mem.conftest import run_machine
from toolchain import host


class Maker:
    """A back end: numbers from 1000 on, by steps of 8; it knows which are made and constructed."""

    def __init__(self, mem, limit=0, nominal=64, cpus=1):
        self.mem, self.next, self.fail = mem, 1000, set()
        self.live, self.constructed, self.ended = set(), set(), 0
        self.cache = mem.module.ObjCache(
            name="test", alloc=self.alloc, free=self.free, ctor=self.ctor, dtor=self.dtor, priv=7,
            kind=mem.type())
        self.done = mem.objcache.create(self.cache, limit, nominal, cpus, mem.NOWAIT)

    def alloc(self, priv, how):
        assert priv == 7
        if "alloc" in self.fail:
            return 0
        self.next += 8
        self.live.add(self.next)
        return self.next

    def free(self, item, priv):
        assert item not in self.constructed
        self.live.remove(item)

    def ctor(self, item, priv, how):
        assert item in self.live and item not in self.constructed
        if "ctor" in self.fail:
            return False
        self.constructed.add(item)
        return True

    def dtor(self, item, priv):
        self.constructed.remove(item)
        self.ended += 1

    def get(self):
        return self.mem.objcache.get_nowait(self.cache, self.mem.NOWAIT)

    def put(self, item):
        self.mem.objcache.put(self.cache, item)


@pytest.mark.parametrize(("nominal", "cpus", "capacity"), [
    (0, 1, 4), (64, 1, 17), (256, 3, 33), (10_000, 4, 128), (32, 255, 4)])
def test_the_capacity_follows_what_shall_be_kept(mem, nominal, cpus, capacity):
    mem.start(cpus=min(cpus, 4))
    assert Maker(mem, nominal=nominal, cpus=cpus).cache.capacity == capacity


def test_what_is_put_back_is_given_again_without_construction(mem):
    mem.start()
    maker = Maker(mem)
    first = maker.get()
    maker.put(first)
    assert maker.get() == first
    assert len(maker.live) == 1 and maker.ended == 0


def test_two_magazines_are_enough_to_get_and_put_by_turns(mem):
    mem.start()
    maker = Maker(mem)
    capacity = maker.cache.capacity
    items = [maker.get() for _ in range(capacity + 1)]
    for item in items:
        maker.put(item)
    before = maker.cache.depot.exchanges
    for _ in range(100):
        maker.put(maker.get())
        a, b = maker.get(), maker.get()
        maker.put(a)
        maker.put(b)
    assert maker.cache.depot.exchanges == before


def test_whole_magazines_go_through_the_depot_to_other_cpus(mem):
    mem.start(cpus=2)
    maker = Maker(mem, cpus=2)
    capacity = maker.cache.capacity
    items = [maker.get() for _ in range(capacity * 3)]
    for item in items:
        maker.put(item)
    assert maker.cache.depot.full.first is not None
    mem.machine.on(1)
    again = [maker.get() for _ in range(capacity)]
    assert set(again) <= set(items)


def test_objects_are_destroyed_only_without_an_empty_magazine(mem):
    mem.start()
    maker = Maker(mem, nominal=0)
    items = [maker.get() for _ in range(40)]
    spare = 2 + 2                                   # the CPU's own and those of the depot
    for n, item in enumerate(items, 1):
        maker.put(item)
        assert maker.ended == max(0, n - spare * maker.cache.capacity)


def test_the_limit_holds(mem):
    mem.start()
    maker = Maker(mem, limit=10)
    items = [maker.get() for _ in range(12)]
    assert items.count(0) == 2 and maker.cache.depot.unallocated == 0
    maker.put(items[0])
    assert maker.get() == items[0]
    mem.objcache.destroy_object(maker.cache, items[0])
    assert maker.get() not in (0, items[0])


@pytest.mark.parametrize("what", ["alloc", "ctor"])
def test_failure_of_the_back_end_costs_nothing(mem, what):
    mem.start()
    maker = Maker(mem, limit=3)
    maker.fail = {what}
    assert [maker.get() for _ in range(5)] == [0] * 5
    assert maker.live == set()
    maker.fail = set()
    assert 0 not in [maker.get() for _ in range(3)]


def test_waiting_for_memory_ends_when_there_is_some(mem):
    mem.start()
    maker = Maker(mem)
    maker.fail = {"alloc"}
    mem.machine.while_asleep = lambda: maker.fail.clear()
    assert mem.objcache.get(maker.cache, mem.M.WAITOK) != 0
    assert mem.machine.sleeps == 1


def test_creating_may_fail_at_any_allocation(mem):
    mem.start()
    Maker(mem)
    free = mem.malloc_type
    for n in range(40):
        calls = iter([False] * n + [True])
        with mem.module.provide(fault=lambda site, calls=calls: next(calls, False)):
            maker = Maker(mem)
        if maker.done:
            break
        assert free.sum(maker.cache.kind).inuse == 0
    assert n > 5 and maker.done


def test_the_end_gives_everything_back(mem):
    mem.start(cpus=3)
    maker = Maker(mem, cpus=3)
    items = []
    for cpu in range(3):
        mem.machine.on(cpu)
        items += [maker.get() for _ in range(50)]
    for n, item in enumerate(items):
        mem.machine.on(n % 3)
        maker.put(item)
    mem.objcache.trim(maker.cache)
    mem.objcache.destroy(maker.cache)
    assert maker.live == maker.constructed == set()
    assert mem.malloc_type.sum(maker.cache.kind).inuse == 0


def test_the_end_with_an_object_in_use_panics(mem):
    mem.start()
    maker = Maker(mem)
    maker.get()
    with pytest.raises(host.Panic, match=r"objcache\.destroy"):
        mem.objcache.destroy(maker.cache)


class Cache(RuleBasedStateMachine):
    """Random use on random CPUs (O1 to O3)."""

    mem = None

    @initialize(cpus=st.sampled_from([1, 3]), limit=st.sampled_from([0, 60]))
    def start(self, cpus, limit):
        self.mem.start(cpus=cpus)
        self.cpus, self.taken = cpus, set()
        self.maker = Maker(self.mem, limit=limit, nominal=24, cpus=cpus)

    @rule(cpu=st.integers(0, 2), count=st.integers(1, 40))
    def get(self, cpu, count):
        self.mem.machine.on(cpu % self.cpus)
        for _ in range(count):
            item = self.maker.get()
            if item != 0:
                assert item not in self.taken and item in self.maker.constructed
                self.taken.add(item)

    @rule(cpu=st.integers(0, 2), count=st.integers(1, 60))
    def put(self, cpu, count):
        self.mem.machine.on(cpu % self.cpus)
        for _ in range(min(count, len(self.taken))):
            self.maker.put(self.taken.pop())

    @rule()
    def trim(self):
        self.mem.objcache.trim(self.maker.cache)

    @invariant()
    def magazines_are_whole(self):
        if self.mem.machine is None:
            return
        cache = self.maker.cache
        assert self.maker.live == self.maker.constructed
        assert cache.limit - cache.depot.unallocated == len(self.maker.live)
        for queue, rounds in ((cache.depot.full, cache.capacity), (cache.depot.empty, 0)):
            magazine = queue.first
            while magazine is not None:
                assert magazine.rounds == rounds
                magazine = magazine.link.next


def test_random_use_against_a_model(mem):
    run_machine(mem, Cache, examples=30, steps=25)
