# SPDX-License-Identifier: BSD-3-Clause
"""Every program of the corpus, with all instrumentation and for every target, through LLVM."""
from __future__ import annotations

import pytest

from tests.toolchain import corpus
from tests.toolchain.compiled import job, pool
from tests.toolchain.test_programs import ACCEPTED, checked
from toolchain.options import Options

CASES = {
    "all instruments, dev": Options(target="host", hooks=True, yields=True, edges=True,
                                    faults=True, host_wrappers=True),
    "all instruments, release": Options(target="host", mode="release", hooks=True, yields=True,
                                        edges=True, faults=True),
    "kernel, dev": Options(target="pc64"),
    "kernel, release": Options(target="pc64", mode="release"),
    "user, unoptimised": Options(target="user", opt=0),
    "no debug information": Options(target="pc64", debug_info=False),
}


@pytest.mark.parametrize("case", CASES)
def test_compiles(case):
    """The graphs keep their invariants (job() verifies them) and LLVM accepts the text."""
    assert corpus.programs()
    results = pool().compile([job(name, checked(name)[0], CASES[case]) for name in ACCEPTED])
    failed = {r.name: r.failure.message for r in results if r.failure is not None}
    assert not failed
    assert all(r.object for r in results)


def test_equal_input_gives_equal_objects():
    """Twice the same module: the same text and the same bytes (caches rely on it)."""
    for options in CASES.values():
        jobs = [job(name, checked(name)[0], options) for name in ACCEPTED[:12]]
        again = [job(name, checked(name)[0], options) for name in ACCEPTED[:12]]
        assert [j.modules for j in jobs] == [j.modules for j in again]
    first, second = pool().compile(jobs), pool().compile(again)
    assert [r.object for r in first] == [r.object for r in second]
