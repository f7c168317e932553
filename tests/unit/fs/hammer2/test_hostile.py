# SPDX-License-Identifier: BSD-3-Clause
"""Hostile volumes never stop the driver: mutants by seed, and all that fuzzing ever found."""
from __future__ import annotations

import pytest

from tests.harness import volumes
from tests.unit.fs.hammer2 import fuzz
from tests.unit.fs.hammer2.driver import FILES
from tests.unit.fs.hammer2.image import DATA, INDIRECT, INODE, Image
from toolchain import host

MUTANTS = 250


@pytest.fixture(scope="module")
def module():
    return host.build(FILES, edges=True, faults=True)


@pytest.fixture
def target(module):
    made = []

    def make(name, seed=0):
        volumes.named(name)
        made.append(fuzz.Target(module, name, seed))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["s01-bare", "s11-mixed-methods"])
def test_mutants_end_in_errors(target, name, seed):
    fuzzer = fuzz.Fuzzer(target(name, seed), seed)
    for _ in range(MUTANTS):
        fuzzer.step()
    assert not fuzzer.findings, fuzzer.findings[0][0]
    assert fuzzer.opened > MUTANTS // 3


def test_what_was_found_once(target):
    for path in sorted(fuzz.FINDINGS.glob("*.json")):
        name, pages = fuzz.load(path)
        made = target(name)
        made.mutator.apply(pages)
        made.read()


def test_a_survey_of_a_good_volume_has_no_errors(target):
    made = target("s11-mixed-methods")
    assert made.read() > 0
    assert made.driver.var("tests.unit.fs.hammer2.programs.survey.errors") == 0
    assert made.driver.var("tests.unit.fs.hammer2.programs.survey.files") > 250


@pytest.mark.parametrize("kind", [INODE, INDIRECT, DATA])
def test_a_block_that_hangs_below_itself_is_an_error_and_an_end(target, kind):
    made = target("s11-mixed-methods")
    image = Image(made.data)
    block = next(b for b in image.blocks() if b.type == INDIRECT)
    ref = next(r for r in image.array(block) if image.data[r])
    wanted = block if kind == INDIRECT else next(b for b in image.blocks() if b.type == kind)
    image.put(ref, 1, kind)
    image.put(ref + 3, 1, {INODE: 0, INDIRECT: block.keybits - 1, DATA: 16}[kind])
    image.put(ref + 0x20, 8, wanted.offset | wanted.size.bit_length() - 1)
    image.put(ref + 1, 1, 0)
    image.put(block.ref + 1, 1, 0)
    image.mend(block)
    before = made.driver.var("tests.unit.fs.hammer2.programs.survey.errors")
    assert made.read() >= 0
    assert made.driver.var("tests.unit.fs.hammer2.programs.survey.errors") > before
