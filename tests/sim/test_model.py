# SPDX-License-Identifier: BSD-3-Clause
"""The models of token and doorbell: all their states, their own bugs, and the real code in them."""
from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sim.suite import scenarios
from toolchain.sim import model

RUNS = 150
X, S = "X", "S"
PROGRAMS = {
    "in opposite orders": [[(0, X), (1, X)], [(1, X), (0, X)], [(0, S), (1, X)]],
    "shared and alone": [[(0, X), (1, X)], [(1, X), (0, X)], [(1, S), (0, S)]],
    "again what one has": [[(0, S), (1, S)], [(1, S), (0, X)], [(0, X), (0, S), (1, X)]],
    "one reader": [[(0, X), (1, S)], [(0, S), (1, X)], [(0, X)]],
}
TOKEN_BUGS = {
    "split": "is held by", "hold and wait": "deadlock", "flag first": "T1",
    "shared anyway": "is held by", "request stays": "wait"}
DOORBELL_BUGS = ["ring first", "no last look", "no fence"]
TOKENS = ["exclusive", "exclusive_many", "shared", "writer_waits", "recursive", "tried",
          "blocked_holder", "any_order", "sorted_reacquire", "recursive_beside_readers"]
BELLS = ["one_way", "both_ways", "doorbell", "full", "nested", "waited_for", "passive_and_asked"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_states_of_the_token(name, record_property, capsys):
    """Three CPUs, two tokens: nobody together with one alone, no deadlock, nobody left behind."""
    found = model.explore(model.Token(PROGRAMS[name]))
    record_property("states", found.states)
    with capsys.disabled():
        print(f"\ntoken, {name}: {found.states} states, {found.steps} steps, "
              f"{found.deepest} deep", end="")
    assert found.states > 400


@pytest.mark.parametrize("messages", [1, 2, 3])
def test_all_states_of_the_doorbell(messages, capsys):
    """Two senders and a receiver: no message is left with nobody to ring for it."""
    found = model.explore(model.Doorbell(messages=messages))
    with capsys.disabled():
        print(f"\ndoorbell, {messages} messages each: {found.states} states, {found.steps} steps, "
              f"{found.deepest} deep", end="")


@pytest.mark.parametrize("bug", TOKEN_BUGS)
def test_a_seeded_bug_of_the_token_is_found(bug):
    with pytest.raises(model.Wrong) as found:
        for programs in PROGRAMS.values():
            model.explore(model.Token(programs, bug=bug))
    assert TOKEN_BUGS[bug] in found.value.what and found.value.path


@pytest.mark.parametrize("bug", DOORBELL_BUGS)
def test_a_seeded_bug_of_the_doorbell_is_found(bug):
    with pytest.raises(model.Wrong, match="lost doorbell"):
        model.explore(model.Doorbell(bug=bug))


def rules_for_tokens(scenario):
    names = scenario.mod.globals
    return model.TokenRules({
        getattr(names, f"tests.sim.scenarios.tokens.{name}").address: number
        for number, name in enumerate(("tok", "other"))})


def offset(view, name):
    return getattr(type(view), name).offset


def rules_for_doorbells(scenario):
    places = {}
    cpus = [scenario.world.globaldata_of(cpu) for cpu in range(scenario.cpus)]
    depth = 0
    for target, gd in enumerate(cpus):
        places[gd.address + offset(gd, "npoll")] = ("npoll", target)
        places[gd.ipimask.address] = ("mask", target)
        for source, other in enumerate(cpus):
            if source != target:
                queue = other.ipiq[target]
                places[queue.address] = ("windex", source, target)
                places[queue.address + offset(queue, "rindex")] = ("rindex", source, target)
                depth = queue.depth
    return model.DoorbellRules(places, depth)


def runs_of(scenario):
    """Runs by chance and by PCT: the operations of each."""
    for number in range(RUNS):
        yield scenario.operations("random" if number % 2 else "pct", number)


@pytest.mark.parametrize("name", TOKENS)
def test_real_tokens_do_what_the_model_allows(name):
    scenario = scenarios()[name]
    for operations in runs_of(scenario):
        assert model.accepts(rules_for_tokens(scenario), operations) == len(operations)


@pytest.mark.parametrize("name", BELLS)
def test_real_doorbells_do_what_the_model_allows(name):
    scenario = scenarios()[name]
    for operations in runs_of(scenario):
        assert model.accepts(rules_for_doorbells(scenario), operations) == len(operations)


@pytest.mark.parametrize(("name", "rules"), [
    ("exclusive", rules_for_tokens), ("shared", rules_for_tokens), ("doorbell",
                                                                   rules_for_doorbells)])
def test_an_operation_left_out_or_done_by_another_is_refused(name, rules):
    """The acceptor bites: most single changes of a run are no run of the model."""
    scenario = scenarios()[name]
    operations = scenario.operations("random", 3)
    known = rules(scenario)
    places = getattr(known, "places", None) or known.addresses
    mine = [at for at, op in enumerate(operations) if op.kind != model.LOAD and (
        op.address in places or op.address & ~63 in places) and op.before != op.after]
    assert len(mine) >= 6
    refused = 0
    for at in mine:
        moved = replace(operations[at], cpu=(operations[at].cpu + 1) % scenario.cpus)
        for changed in ([*operations[:at], *operations[at + 1:]],
                        [*operations[:at], moved, *operations[at + 1:]]):
            try:
                model.accepts(rules(scenario), changed)
            except model.Wrong:
                refused += 1
    assert refused >= len(mine)
