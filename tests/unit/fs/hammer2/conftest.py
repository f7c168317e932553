# SPDX-License-Identifier: BSD-3-Clause
"""The driver on the host, with memory as the kernel has it; volumes are bytes."""
from __future__ import annotations

import pytest

from tests.harness import volumes
from tests.unit.fs.hammer2.driver import FILES, Driver
from toolchain import host

built = host.fixture(FILES, faults=True)


@pytest.fixture
def h2(built):
    """The driver, memory ready, nothing open."""
    driver = Driver(built)
    yield driver
    driver.stop()


@pytest.fixture(params=sorted(volumes.sets()))
def volume_set(request):
    """Each set of volumes that there is."""
    return volumes.sets()[request.param]
