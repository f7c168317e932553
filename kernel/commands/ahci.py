# SPDX-License-Identifier: BSD-3-Clause
"""ahci: the ports of AHCI HBAs, and what they have counted.

Tests     tests/qemu/test_ahci.py
"""
from kpy import Ptr, kprintf, popcount, ref, table

from kernel.bus import driver as kit
from kernel.bus.pci import device
from kernel.commands import args
from kernel.dev.ahci import regs
from kernel.dev.ahci.driver import AHCI
from kernel.dev.ahci.hba import Hba
from kernel.dev.ahci.port import Port
from kernel.io import disk


@table("command", 111)
def ahci() -> None:
    """ahci"""
    if len(args.rest) != 0:
        kprintf("ahci\n")
        args.fail(2)
        return
    with device.tree:
        for dev in device.devices:              # stable: printing does not block
            if dev.driver is AHCI:
                _hba(kit.state_of(Hba, dev))


def _hba(h: Ptr[Hba]) -> None:
    kprintf(f"{h.dev.vendor:04x}:{h.dev.device:04x} {h.cap.NP + 1} ports of {h.cap.NCS + 1} slots, "
            f"{h.messages} messages, {h.interrupts} interrupts, {h.strays} strays\n")
    for number in range(regs.PORTS):
        port = h.ports[number]
        if port is not None:
            _port(port)


def _port(port: Ptr[Port]) -> None:
    dp = port.dp
    if dp is None:
        kprintf(f"port {port.number}: nothing\n")
        return
    n = ref(port.counters)
    kind = "queued" if port.drive.queued else "single"
    kprintf(f"port {port.number}: {disk.name_of(dp)} {popcount(port.all)} {kind} commands: "
            f"{n.submitted} submitted {n.completed} completed {n.interrupts} interrupts "
            f"{n.batches} batches {n.issues} issues {n.waited} waited {n.contended} contended "
            f"{n.errors} errors {n.again} again {n.soft_resets} soft {n.hard_resets} hard resets\n")
