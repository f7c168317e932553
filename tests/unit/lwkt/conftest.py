# SPDX-License-Identifier: BSD-3-Clause
"""The nucleus on the host: one build for all tests of the folder."""
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.lwkt.fake import Nucleus
from toolchain import host

FILES = [*sorted(str(p) for p in Path("kernel/lwkt").glob("[a-z]*.py")),
         "kernel/lib/queue.py", "kernel/machine/types.py", "kernel/machine/upcalls.py"]

built = host.fixture(FILES, hooks=True)


@pytest.fixture
def core(built):
    """The nucleus, not yet started."""
    return Nucleus(built)


@pytest.fixture
def one(core):
    """The nucleus on one CPU."""
    core.boot(1)
    return core


@pytest.fixture
def two(core):
    """The nucleus on two CPUs."""
    core.boot(2)
    return core


def run_machine(core: Nucleus, machine: type, examples: int = 40, steps: int = 40) -> None:
    """Run a hypothesis state machine with a started `core`, as it is now for each example."""
    taken = core.mod.snapshot()

    class Bound(machine):               # type: ignore[misc, valid-type]
        def teardown(self) -> None:
            super().teardown()
            core.mod.restore(taken)
            core.on(0)

    Bound.core = core                   # type: ignore[attr-defined]
    run_state_machine_as_test(Bound, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck)))
