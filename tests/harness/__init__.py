# SPDX-License-Identifier: BSD-3-Clause
"""Machines for tests: start one, talk to its console, and hear at once when it dies.

    with Machine(cpus=4, disks=[nvme(image)]) as vm:
        vm.expect("login:")

Public: Machine, MachineError, nvme, ahci, Gdb, probe.build.
"""

from tests.harness.gdb import Gdb
from tests.harness.machine import Machine, MachineError, ahci, nvme

__all__ = ["Gdb", "Machine", "MachineError", "ahci", "nvme"]
