# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark's kernels do the same work in C and in kpy; how fast is `make bench`'s affair."""
import json
import shutil

import pytest

from toolchain.backend.worker import Pool
from toolchain.bench import run as bench

NAMES = sorted(path.stem for path in bench.KERNELS.glob("*.py"))


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    if not any(map(shutil.which, bench.CLANGS)):
        pytest.fail("clang is not installed: run scripts/setup")
    with Pool() as pool:
        yield (bench.c_builds(NAMES, bench.find_clang(), tmp_path_factory.mktemp("bench")),
               {mode: bench.kpy_builds(NAMES, mode, pool) for mode in bench.LIMITS})


@pytest.mark.parametrize("name", NAMES)
def test_kernel_gives_the_same_in_c_and_kpy(builds, name):
    c, kpy = builds
    for rounds in (1, 3):
        expected = c[name].timed(rounds)[1]
        assert {mode: kpy[mode][name].timed(rounds)[1] for mode in kpy} == dict.fromkeys(
            kpy, expected)


def test_every_kernel_has_both_sources():
    assert sorted(path.stem for path in bench.KERNELS.glob("*.c")) == NAMES
    assert len(NAMES) >= 13


def test_records_have_what_a_dashboard_reads():
    figures = [bench.Figure("a", 0.5, {"release": 0.5, "dev": 1.0}),
               bench.Figure("b", 1.0, {"release": 4.0, "dev": 2.0})]
    made = json.loads(json.dumps(bench.records(figures, "clang")))
    assert {tuple(record) for record in made} == {
        ("name", "value", "unit", "peer", "peer_value", "ratio")}
    assert made[0] == {"name": "a/release", "value": 500.0, "unit": "ms", "peer": "clang",
                       "peer_value": 500.0, "ratio": 1.0}
    assert made[-2]["ratio"] == pytest.approx(2.0)
