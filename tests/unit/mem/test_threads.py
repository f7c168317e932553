# SPDX-License-Identifier: BSD-3-Clause
"""Threads and their stacks."""
from __future__ import annotations

import itertools

PAGE = 4096


def test_a_stack_is_mapped_and_the_page_below_it_is_not(mem):
    mem.start()
    mem.threads.init(1)
    td = mem.threads.thread_alloc()
    assert td.stack_size == 6 * PAGE and td.stack_base % PAGE == 0
    pages = [td.stack_base + n * PAGE in mem.machine.mapped for n in range(-1, 4)]
    assert pages == [False, True, True, True, True]
    mem.module.at("u64", td.stack_base).value = 1


def test_stacks_do_not_touch(mem):
    mem.start()
    mem.threads.init(1)
    bases = sorted(mem.threads.thread_alloc().stack_base for _ in range(50))
    assert all(b - a >= 5 * PAGE for a, b in itertools.pairwise(bases))


def test_a_thread_that_ended_serves_the_next(mem):
    mem.start(cpus=2)
    mem.threads.init(2)
    td = mem.threads.thread_alloc()
    stack = td.stack_base
    mem.threads.thread_free(td)
    again = mem.threads.thread_alloc()
    assert again == td and (again.stack_base, again.stack_size) == (stack, 6 * PAGE)


def test_more_than_is_kept_goes_back(mem):
    mem.start()
    mem.threads.init(1)
    threads = [mem.threads.thread_alloc() for _ in range(200)]
    for td in threads:
        mem.threads.thread_free(td)
    kept = mem.var("threads.cache").limit - mem.var("threads.cache").depot.unallocated
    assert 32 <= kept <= 80
    assert mem.malloc_type.sum(mem.var("threads.M_THREAD")).inuse < kept + 20


def test_no_memory_is_none_at_every_allocation(mem):
    mem.start()
    mem.threads.init(1)
    used = mem.malloc_type.sum(mem.var("threads.M_THREAD")).inuse
    failures = 0
    for n in range(100):
        calls = iter([False] * n + [True])
        with mem.module.provide(fault=lambda site, calls=calls: next(calls, False)):
            td = mem.threads.thread_alloc()
        if td is not None:
            break
        failures += 1
        assert mem.malloc_type.sum(mem.var("threads.M_THREAD")).inuse == used
    assert failures >= 6
