# SPDX-License-Identifier: BSD-3-Clause
"""The tests bite: each mutant of the nucleus is killed by the scenario that its table names."""
from __future__ import annotations

from collections import Counter

import pytest

from tests.sim import hunt, mutants
from tests.sim.suite import NAMES

MOST = 20_000               # schedules for one mutant
FEW = 40                    # of each scenario, for one that is said to be equivalent


def test_each_mutant_is_in_one_list(capsys):
    """Killed, equivalent or open: said by name."""
    lists = [set(mutants.KILLED), set(mutants.EQUIVALENT), set(mutants.OPEN)]
    known = set().union(*lists)
    assert sum(map(len, lists)) == len(known), "in two lists"
    assert set(mutants.names()) - known == set(), "new: see tests/sim/hunt.py"
    assert known - set(mutants.names()) == set(), "there is no such mutant any more"
    assert all(len(reason) > 20 for reason in mutants.EQUIVALENT.values())
    killed = Counter(name.split()[0] for name in mutants.KILLED)
    with capsys.disabled():
        print(f"\n{len(known)} mutants: {len(lists[0])} killed, {len(lists[1])} equivalent, "
              f"{len(lists[2])} open; killed by operator: "
              f"{', '.join(f'{n} {o}' for o, n in killed.most_common())}", end="")
    assert len(lists[0]) >= 700 and len(lists[2]) <= 2
    assert all(".vfs." in name for name in mutants.OPEN)


@pytest.mark.parametrize("name", mutants.KILLED)
def test_it_is_killed(name):
    place, policy, _ = mutants.KILLED[name]
    found = hunt.attempt(name, [place], (policy,), (MOST,), mutants.scenarios())
    assert found is not None, f"the mutant `{name}` survives {MOST} schedules of {place}"
    alone = hunt.attempt("none", [place], (policy,), (found[2] + 1,), mutants.scenarios())
    assert alone is None, f"{place} fails by itself: {alone}"


@pytest.mark.parametrize("name", mutants.EQUIVALENT)
def test_an_equivalent_one_is_not_killed(name):
    found = hunt.attempt(name, NAMES, ("random",), (FEW,), mutants.scenarios())
    assert found is None, f"the mutant `{name}` is not equivalent: {found} kills it"
