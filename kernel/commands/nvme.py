# SPDX-License-Identifier: BSD-3-Clause
"""nvme: the queues of NVMe controllers, and what they have counted.

Tests     tests/qemu/test_nvme.py
"""
from kpy import Ptr, kprintf, ref, table, unwrap

from kernel.bus import driver as kit
from kernel.bus.pci import device
from kernel.commands import args
from kernel.dev.nvme.controller import Controller
from kernel.dev.nvme.driver import NVME
from kernel.dev.nvme.pair import Pair


@table("command", 110)
def nvme() -> None:
    """nvme"""
    if len(args.rest) != 0:
        kprintf("nvme\n")
        args.fail(2)
        return
    with device.tree:
        for dev in device.devices:              # stable: printing does not block
            if dev.driver is NVME:
                _controller(kit.state_of(Controller, dev))


def _controller(c: Ptr[Controller]) -> None:
    kprintf(f"{c.dev.vendor:04x}:{c.dev.device:04x} {c.pair_count} queues of {c.entries}, "
            f"{c.messages} messages, {c.total_resets} resets, {c.aborts} aborts\n")
    for number in range(c.pair_count):
        _pair(unwrap(c.pairs[number]))


def _pair(pair: Ptr[Pair]) -> None:
    n = ref(pair.counters)
    kprintf(f"queue {pair.number} cpu {pair.cpu} message {pair.message}: {n.submitted} submitted "
            f"{n.completed} completed {n.interrupts} interrupts {n.batches} batches "
            f"{n.doorbells} doorbells {n.waited} waited {n.contended} contended "
            f"{n.errors} errors {n.strays} strays\n")
