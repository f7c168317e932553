# SPDX-License-Identifier: BSD-3-Clause
"""An NVMe controller in Python, on the memory of tests/unit/mem/fake.py, that can misbehave.

It has no interrupts: the driver polls it.  Commands are executed when their doorbell is rung,
unless `hold` is set; `tamper` is asked for each I/O command what becomes of its completion.

Source    NVMe 1.4, sections 3.1, 4, 5, 6
"""
from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

from tests.unit.mem import fake

PAGE = 4096
BAR = 0x1_0000_0000         # beyond the machine's memory
BAR_BYTES = 0x4000
CAP_LOW, CAP_HIGH, VS, CC, CSTS, AQA, ASQ, ACQ = 0, 4, 8, 0x14, 0x1C, 0x24, 0x28, 0x30
DOORBELLS = 0x1000
ABORT_REQUESTED = 0x07


class Queue:
    def __init__(self, base: int, entries: int) -> None:
        self.base, self.entries = base, entries
        self.head = self.tail = 0
        self.phase = 1
        self.cq = 0


class Controller:
    """What is behind the registers."""

    def __init__(self, ram: mmap.mmap, *, mqes: int = 63, queues: int = 64, blocks: int = 4096,
                 namespaces: tuple[int, ...] = (1,), lbads: int = 9, mdts: int = 5) -> None:
        self.ram, self.mqes, self.queues, self.blocks = ram, mqes, queues, blocks
        self.namespaces, self.lbads, self.mdts = namespaces, lbads, mdts
        self.cc = self.csts = self.aqa = self.asq = self.acq = 0
        self.sqs: dict[int, Queue] = {}
        self.cqs: dict[int, Queue] = {}
        self.accesses = 0
        self.gone_at: int | None = None     # the access from which on nothing answers
        self.stuck = False                  # CSTS.RDY does not follow CC.EN
        self.hold = False                   # I/O commands are taken and not executed
        self.deaf = False                   # admin commands are taken and not answered
        self.held: list[tuple[int, bytes]] = []
        self.tamper: Callable[[int, int, int], list[tuple[int, int, int]]] | None = None
        self.log: list[tuple[int, int, int]] = []      # (opcode, block, count) of I/O commands
        self.aborts: list[tuple[int, int]] = []
        self.resets = 0
        self.media = {n: bytearray(blocks << lbads) for n in namespaces}

    # ---- registers

    def read(self, offset: int, size: int) -> int:
        if self._lost():
            return (1 << 8 * size) - 1
        return {CAP_LOW: self.mqes | 1 << 24 | 1 << 16, CAP_HIGH: 1 << 5, VS: 0x10400,
                CC: self.cc, CSTS: self.csts, AQA: self.aqa, ASQ: self.asq,
                ACQ: self.acq}.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        if self._lost():
            return
        if offset == CC:
            self._configure(value)
        elif offset == AQA:
            self.aqa = value
        elif offset == ASQ:
            self.asq = value
        elif offset == ACQ:
            self.acq = value
        elif offset >= DOORBELLS:
            number, completion = divmod((offset - DOORBELLS) // 4, 2)
            if completion:
                self.cqs[number].head = value
            elif number in self.sqs:
                self._ring(number, value)

    def _lost(self) -> bool:
        self.accesses += 1
        return self.gone_at is not None and self.accesses >= self.gone_at

    def _configure(self, value: int) -> None:
        was, self.cc = self.cc & 1, value
        if value & 1 and not was:
            self.sqs = {0: Queue(self.asq, (self.aqa & 0xFFF) + 1)}
            self.cqs = {0: Queue(self.acq, (self.aqa >> 16 & 0xFFF) + 1)}
            assert not self.asq % PAGE and not self.acq % PAGE
            self.csts = 0 if self.stuck else 1
        elif not value & 1 and was:
            self.resets += 1
            self.held = []
            self.sqs, self.cqs = {}, {}
            self.csts = 1 if self.stuck else 0
        elif value >> 14 & 3:
            self.csts = self.csts & ~0xC | 2 << 2

    # ---- queues

    def _ring(self, number: int, tail: int) -> None:
        sq = self.sqs[number]
        assert tail < sq.entries
        while sq.head != tail and number in self.sqs:
            command = self.ram[sq.base + 64 * sq.head:sq.base + 64 * sq.head + 64]
            sq.head = (sq.head + 1) % sq.entries
            if number == 0:
                self._admin(command)
            elif self.hold:
                self.held.append((number, command))
            else:
                self._io(number, command)

    def release(self) -> None:
        """Execute what was held."""
        held, self.held = self.held, []
        for number, command in held:
            self._io(number, command)

    def post(self, number: int, cid: int, status: int = 0, result: int = 0,
             sqid: int | None = None) -> None:
        """Write a completion to the queue that submission queue `number` uses."""
        cq = self.cqs[self.sqs[number].cq]
        at = cq.base + 16 * cq.tail
        self.ram[at:at + 16] = struct.pack(
            "<IIHHHH", result, 0, self.sqs[number].head, number if sqid is None else sqid, cid,
            status << 1 | cq.phase)
        cq.tail = (cq.tail + 1) % cq.entries
        if cq.tail == 0:
            cq.phase ^= 1

    # ---- commands

    def _admin(self, command: bytes) -> None:
        opcode, cid, nsid = struct.unpack_from("<HHI", command)
        prp1, = struct.unpack_from("<Q", command, 24)
        cdw10, cdw11 = struct.unpack_from("<II", command, 40)
        status = result = 0
        if self.deaf:
            return
        match opcode & 0xFF:
            case 0x06:
                data = self._identify(nsid, cdw10 & 0xFF)
                self.ram[prp1:prp1 + PAGE] = data
            case 0x09:
                assert cdw10 == 7
                result = min(cdw11 & 0xFFFF, self.queues - 1) * 0x10001
            case 0x05:
                self.cqs[cdw10 & 0xFFFF] = Queue(prp1, (cdw10 >> 16) + 1)
            case 0x01:
                self.sqs[cdw10 & 0xFFFF] = Queue(prp1, (cdw10 >> 16) + 1)
                self.sqs[cdw10 & 0xFFFF].cq = cdw11 >> 16
            case 0x08:
                result = self._abort(cdw10 & 0xFFFF, cdw10 >> 16)
            case _:
                status = 1
        self.post(0, cid, status, result)

    def _identify(self, nsid: int, cns: int) -> bytes:
        data = bytearray(PAGE)
        if cns == 1:
            data[4:24] = b"SERIAL".ljust(20)
            data[24:64] = b"Model M".ljust(40)
            data[77] = self.mdts
            data[520] = 1 << 2 | 1 << 3
        elif cns == 2:
            after = sorted(n for n in self.namespaces if n > nsid)
            struct.pack_into(f"<{len(after)}I", data, 0, *after)
        elif nsid in self.namespaces:
            struct.pack_into("<QQQ", data, 0, self.blocks, self.blocks, 0)
            struct.pack_into("<I", data, 128, self.lbads << 16)
        return bytes(data)

    def _abort(self, number: int, cid: int) -> int:
        self.aborts.append((number, cid))
        for entry in self.held:
            if entry[0] == number and struct.unpack_from("<H", entry[1], 2)[0] == cid:
                self.held.remove(entry)
                self.post(number, cid, ABORT_REQUESTED)
                return 0
        return 1

    def _io(self, number: int, command: bytes) -> None:
        opcode, cid, nsid = struct.unpack_from("<HHI", command)
        block, cdw12 = struct.unpack_from("<QI", command, 40)
        count = (cdw12 & 0xFFFF) + 1
        self.log.append((opcode, block, count))
        media, size = self.media[nsid], count << self.lbads
        at = block << self.lbads
        match opcode:
            case 2:
                self._scatter(command, media[at:at + size])
            case 1:
                media[at:at + size] = self._gather(command, size)
            case 8:
                media[at:at + size] = bytes(size)
            case 9:
                prp1, = struct.unpack_from("<Q", command, 24)
                _, blocks, start = struct.unpack("<IIQ", self.ram[prp1:prp1 + 16])
                self.log[-1] = (9, start, blocks)
        answers = [(cid, 0, number)]
        if self.tamper is not None:
            answers = self.tamper(opcode, cid, number)
        for answer, status, sqid in answers:
            self.post(number, answer, status, sqid=sqid)

    def _pages(self, command: bytes, size: int) -> list[tuple[int, int]]:
        """(address, bytes) of the data of a command."""
        prp1, prp2 = struct.unpack_from("<QQ", command, 24)
        first = min(PAGE - prp1 % PAGE, size)
        parts, left = [(prp1, first)], size - first
        if left > PAGE:
            assert not prp2 % 8
            for i in range((left + PAGE - 1) // PAGE):
                page, = struct.unpack("<Q", self.ram[prp2 + 8 * i:prp2 + 8 * i + 8])
                assert not page % PAGE
                parts.append((page, min(PAGE, left)))
                left -= parts[-1][1]
        elif left:
            assert not prp2 % PAGE
            parts.append((prp2, left))
        return parts

    def _scatter(self, command: bytes, data: bytes) -> None:
        done = 0
        for address, size in self._pages(command, len(data)):
            self.ram[address:address + size] = data[done:done + size]
            done += size

    def _gather(self, command: bytes, size: int) -> bytes:
        return b"".join(self.ram[at:at + part] for at, part in self._pages(command, size))


class Page:
    """A page of the controller's registers, as mapped."""

    def __init__(self, controller: Controller, base: int) -> None:
        self.controller, self.base = controller, base

    def read(self, offset: int, size: int) -> int:
        return self.controller.read(self.base + offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self.controller.write(self.base + offset, size, value)


class Machine(fake.Machine):
    """Memory, CPUs, a controller at BAR, and a clock that waits make go."""

    def __init__(self, regions) -> None:
        super().__init__(regions)
        self.ram = mmap.mmap(self.file, self.top)
        self.now = 0
        self.controller = Controller(self.ram)
        self.windows: dict[int, Page] = {}
        self.commands: list[int] = []       # what was written to the function's COMMAND

    def cputimer_count(self) -> int:
        self.now += 1
        return self.now

    def pmap_enter(self, va: int, pa: int, prot: int) -> bool:
        if pa < BAR:
            return super().pmap_enter(va, pa, prot)
        self.windows[va] = Page(self.controller, pa - BAR)
        self.module.map(va, PAGE, self.windows[va])
        self.mapped[va] = pa
        return True

    def pmap_remove(self, va: int) -> int:
        if va in self.windows:
            self.module.unmap(self.windows.pop(va))
            return self.mapped.pop(va)
        return super().pmap_remove(va)

    # ---- hooks: where the driver waits, time passes

    def between(self, *unused) -> None:
        self.now += 10_000

    def pci_read(self, address, offset: int, size: int) -> int:
        return 0 if offset == 4 else (1 << 8 * size) - 1

    def pci_write(self, address, offset: int, size: int, value: int) -> None:
        if offset == 4:
            self.commands.append(value)

    def disk_found(self, dp) -> None:
        pass

    def disk_lost(self, dp) -> None:
        pass

    def command_line(self) -> bytes:
        return b""
