# SPDX-License-Identifier: BSD-3-Clause
"""Threads on several CPUs, worker threads, and a real volume on NVMe between them."""
from __future__ import annotations

import re

import pytest

from tests.harness import volumes
from tests.harness.build import suite_image
from tests.harness.machine import Machine, nvme


@pytest.mark.parametrize("cpus", [1, 4])
def test_threads_see_through_workers_what_one_sees_alone(cpus):
    image = volumes.sets()["s11-mixed-methods"].images()[0]
    with Machine(suite_image(), cpus=cpus, append="panic=off", timeout=120,
                 disks=[nvme(image)]) as vm:
        vm.expect("damselfly> ")
        vm.send("test hammer2_messages\r")
        vm.expect("ok hammer2_messages")
        said = re.search(r"(\d+) operations, (\d+) wrong", vm.console.text)
        assert said is not None and int(said[1]) > 100 and said[2] == "0"
        vm.send("poweroff\r")
        assert vm.wait_exit() == 0
