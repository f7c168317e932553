# SPDX-License-Identifier: BSD-3-Clause
"""An AHCI HBA in Python, on the memory of tests/unit/mem/fake.py, that can misbehave.

It has no interrupts: the test serves IS.  Commands are executed when PxCI is written, unless `hold`
is set; `tamper` is asked for each command of a disk what becomes of it; `fails` says which sectors
cannot be read or written.

Source    AHCI 1.3.1, sections 3 to 6; ACS-3, section 7
"""
from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

from tests.unit.dev.nvme import fake

BAR = fake.BAR
BAR_BYTES = 0x1100
CAP, GHC, IS, PI, CAP2, BOHC = 0, 4, 8, 0xC, 0x24, 0x28
CLB, CLBU, FB, FBU, PXIS, PXIE, CMD, TFD, SIG, SSTS, SCTL, SERR, SACT, CI = (
    0, 4, 8, 0xC, 0x10, 0x14, 0x18, 0x20, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38)
ST, CLO, FRE, FR, CR = 1, 1 << 3, 1 << 4, 1 << 14, 1 << 15
DHRS, SDBS, PCS, PRCS, IFS, TFES = 1, 1 << 3, 1 << 6, 1 << 22, 1 << 27, 1 << 30
BSY, DF, DRQ, ERR = 0x80, 0x20, 0x08, 0x01
ABRT, UNC, ICRC = 0x04, 0x40, 0x80
QUEUED = (0x60, 0x61)


def swapped(text: bytes, size: int) -> bytes:
    """A text as IDENTIFY has it."""
    padded = text.ljust(size)
    return b"".join(padded[i + 1:i + 2] + padded[i:i + 1] for i in range(0, size, 2))


class Disk:
    """A device at the end of a cable."""

    signature = 0x101

    def __init__(self, sectors: int = 4096, *, serial: bytes = b"SERIAL", depth: int = 32,
                 ncq: bool = True, log: bool = True, fua: bool = False, trim: bool = True,
                 sector_bytes: int = 512, standby: bool = False, flush: bool = True) -> None:
        self.sectors, self.serial, self.depth, self.ncq = sectors, serial, depth, ncq
        self.log, self.fua, self.trim, self.flush = log, fua, trim, flush
        self.sector_bytes, self.standby = sector_bytes, standby
        self.media = mmap.mmap(-1, max(sectors * sector_bytes, 1))  # what is untouched is not there

    def identify(self) -> bytes:
        words = [0] * 256
        words[2] = 0x37C8 if self.standby else 0
        words[75] = self.depth - 1
        words[76] = self.ncq << 8
        words[83] = 1 << 14 | 1 << 10 | self.flush << 13
        words[84] = 1 << 14 | self.log << 5 | self.fua << 6
        words[169] = int(self.trim)
        words[217] = 1
        if self.sector_bytes != 512:
            words[106] = 1 << 14 | 1 << 12
        data = bytearray(struct.pack("<256H", *words))
        data[20:40] = swapped(self.serial, 20)
        data[54:94] = swapped(b"Model M", 40)
        struct.pack_into("<Q", data, 200, self.sectors)
        if self.sector_bytes != 512:
            struct.pack_into("<I", data, 234, self.sector_bytes // 2)
        return bytes(data)


class Cd(Disk):
    """A CD drive, perhaps with a CD in it."""

    signature = 0xEB140101

    def __init__(self, sectors: int = 100, *, attentions: int = 1, serial: bytes = b"CD") -> None:
        super().__init__(sectors, serial=serial, sector_bytes=2048)
        self.attentions = attentions

    def identify(self) -> bytes:
        data = bytearray(512)
        struct.pack_into("<H", data, 0, 0x8580)
        data[20:40] = swapped(self.serial, 20)
        data[54:94] = swapped(b"Reader", 40)
        return bytes(data)


class Port:
    """A port and what is attached to it."""

    def __init__(self, hba: Hba, number: int, device: Disk | None) -> None:
        self.hba, self.number, self.device = hba, number, device
        self.r = dict.fromkeys(range(0, 0x80, 4), 0)
        self.r[TFD] = 0x7F
        self.hold = False                   # I/O commands are taken and not executed
        self.held: list[int] = []
        self.queued: set[int] = set()       # slots with queued commands under way
        self.failed = False                 # a queued command has failed: only the log can be read
        self.error_log = bytes(512)
        self.fails: dict[int, tuple[int, int]] = {}         # sector: (status, error)
        self.tamper: Callable[[int, bool], list[str]] | None = None
        self.log: list[tuple[int, int, int]] = []           # (opcode, sector, count) of I/O
        self.resets = self.soft_resets = 0
        self.stuck_cr = False               # PxCMD.CR does not follow ST
        self.stuck_busy = False             # the device stays busy after a reset
        self.deaf = False                   # commands that are not I/O are not answered
        self.comes_back: Disk | None = None     # another device answers the next reset

    # ---- registers

    def read(self, offset: int) -> int:
        if offset == SSTS:
            return 0x123 if self.device else 0
        return self.r[offset]

    def write(self, offset: int, value: int) -> None:
        if offset == PXIS:
            self.r[PXIS] &= ~value | self._sticky()
        elif offset == SERR:
            self.r[SERR] &= ~value
        elif offset == CMD:
            self._command(value)
        elif offset == SCTL:
            if self.r[SCTL] & 1 and not value & 1:
                self.reset()
            self.r[SCTL] = value
        elif offset == SACT:
            self.r[SACT] |= value
        elif offset == CI:
            self.r[CI] |= value
            for slot in range(32):
                if value >> slot & 1:
                    self._execute(slot)
        else:
            self.r[offset] = value

    def _sticky(self) -> int:
        """Events that only PxSERR takes back."""
        return (PCS if self.r[SERR] >> 26 & 1 else 0) | (PRCS if self.r[SERR] >> 16 & 1 else 0)

    def _command(self, value: int) -> None:
        was = self.r[CMD]
        if was & ST and not value & ST:
            self.r[CI] = self.r[SACT] = 0
            self.held, self.queued = [], set()
        if value & CLO:
            self.r[TFD] &= ~(BSY | DRQ)
        running = CR if value & ST or self.stuck_cr else 0
        self.r[CMD] = value & ~(CLO | FR | CR) | running | (FR if value & FRE else 0)

    def reset(self) -> None:
        """COMRESET."""
        self.resets += 1
        self.held, self.queued, self.failed = [], set(), False
        if self.comes_back is not None:
            self.device, self.comes_back = self.comes_back, None
        self.r[SERR] |= 1 << 26 | 1 << 16
        self.r[PXIS] |= PCS | PRCS
        if self.device:
            self._ready()

    def _ready(self) -> None:
        assert self.device is not None
        self.r[TFD] = BSY if self.stuck_busy else 0x150
        self.r[SIG] = self.device.signature
        self.failed = False

    def pull(self) -> None:
        """The cable is pulled out."""
        self.device = None
        self.held = []
        self.r[SERR] |= 1 << 16
        self.r[PXIS] |= PRCS

    def plug(self, device: Disk) -> None:
        """A device is plugged in."""
        self.device = device
        self.r[SERR] |= 1 << 26
        self.r[PXIS] |= PCS
        self._ready()

    # ---- commands

    def _frame(self, slot: int) -> tuple[int, int, bytes]:
        """(Header, address of the table, the frame)."""
        at = (self.r[CLBU] << 32 | self.r[CLB]) + 32 * slot
        state, table = struct.unpack("<QQ", self.hba.ram[at:at + 16])
        assert not table % 128
        return state, table, self.hba.ram[table:table + 20]

    def _execute(self, slot: int) -> None:
        if not self.r[CMD] & ST or self.device is None or (self.failed and not self._log(slot)):
            return
        state, table, fis = self._frame(slot)
        assert fis[0] == 0x27 and state & 31 == 5
        if not fis[1] & 0x80:
            self._control(slot, fis[15])
            return
        opcode = fis[2]
        queued = opcode in QUEUED
        if queued:
            assert self.device.ncq and fis[12] >> 3 == slot and self.r[SACT] >> slot & 1
            self.r[CI] &= ~(1 << slot)
            self.queued.add(slot)
        else:
            assert not self.queued and self.r[CI] == 1 << slot, "commands of two kinds at once"
        reads_packet = opcode == 0xA0 and self._packet(table)[0] == 0x28
        if opcode in {0xEC, 0xA1, 0xEF, 0x2F} or (opcode == 0xA0 and not reads_packet):
            self._other(slot, opcode, table)
        elif self.hold:
            self.held.append(slot)
        else:
            self._io(slot)

    def _log(self, slot: int) -> bool:
        return self._frame(slot)[2][2] == 0x2F

    def _control(self, slot: int, control: int) -> None:
        self.r[CI] &= ~(1 << slot)
        if control & 4:
            self.r[TFD] |= BSY
        elif self.r[TFD] & BSY:
            self.soft_resets += 1
            self._ready()

    def release(self) -> None:
        """Execute what was held."""
        held, self.held = self.held, []
        for slot in held:
            self._io(slot)

    def _packet(self, table: int) -> bytes:
        return self.hba.ram[table + 64:table + 80]

    def _other(self, slot: int, opcode: int, table: int) -> None:
        """A command that is not I/O."""
        device = self.device
        assert device is not None
        if self.deaf:
            return
        if opcode in (0xEC, 0xA1):
            right = (opcode == 0xA1) == isinstance(device, Cd)
            self._bring(slot, device.identify()) if right else self.fail(slot, 0x41, ABRT)
        elif opcode == 0x2F:
            self.failed = False
            fis = self._frame(slot)[2]
            assert fis[4] == 0x10 and fis[12] == 1
            self._bring(slot, self.error_log) if device.log else self.fail(slot, 0x41, ABRT)
        elif opcode == 0xEF:
            device.standby = False
            self.end(slot)
        elif isinstance(device, Cd) and device.attentions:
            device.attentions -= 1
            self.fail(slot, 0x41, 6 << 4)
        elif not device.sectors:
            self.fail(slot, 0x41, 2 << 4)
        elif self._packet(table)[0] == 0x25:
            self._bring(slot, struct.pack(">II", device.sectors - 1, device.sector_bytes))
        else:
            self.end(slot)

    def _io(self, slot: int) -> None:
        device = self.device
        if device is None or self.failed:
            return
        _, table, fis = self._frame(slot)
        opcode = fis[2]
        sector = int.from_bytes(fis[4:7] + fis[8:11], "little")
        count = fis[3] | fis[11] << 8 if opcode in QUEUED else fis[12] | fis[13] << 8
        if opcode == 0xA0:
            sector, count = struct.unpack_from(">xxIxH", self._packet(table))
        self.log.append((opcode, sector, count))
        bad = next((self.fails[n] for n in range(sector, sector + count) if n in self.fails), None)
        if bad and opcode not in (0x06, 0xEA):
            self.fail(slot, *bad)
            return
        at, size = sector * device.sector_bytes, count * device.sector_bytes
        assert at + size <= len(device.media)
        if opcode in (0x60, 0x25, 0xA0):
            self._bring(slot, bytes(device.media[at:at + size]), end=False)
        elif opcode in (0x61, 0x35, 0x3D):
            device.media[at:at + size] = self._gather(slot, size)
        elif opcode == 0x06:
            assert device.trim and fis[3] == 1
            entries = struct.unpack("<64Q", self._gather(slot, 512))
            self.log[-1] = (6, entries[0] & (1 << 48) - 1, sum(e >> 48 for e in entries))
        for action in self.tamper(slot, opcode in QUEUED) if self.tamper else ["ok"]:
            self._act(slot, action)

    def _act(self, slot: int, action: str) -> None:
        if action == "ok":
            self.end(slot)
        elif action == "wrong":                 # the bit of a slot that has no command
            if (slot ^ 31) not in self.queued and not self.r[CI] >> (slot ^ 31) & 1:
                self.r[SACT] &= ~(1 << (slot ^ 31))
            self.r[PXIS] |= SDBS
        elif action == "spurious":
            self.r[PXIS] |= SDBS
        elif action == "set":                   # bits appear that nobody set
            self.r[SACT] |= 1 << 31
        else:
            assert action == "never"

    def end(self, slot: int) -> None:
        """A command succeeds."""
        queued = self._frame(slot)[2][2] in QUEUED
        self.queued.discard(slot)
        self.r[SACT if queued else CI] &= ~(1 << slot)
        self.r[PXIS] |= SDBS if queued else DHRS
        self.r[TFD] = 0x50

    def fail(self, slot: int, status: int, error: int) -> None:
        """A command fails: the bits of all that are under way stay."""
        self.r[TFD] = error << 8 | status
        self.r[PXIS] |= TFES
        if self._frame(slot)[2][2] in QUEUED:
            self.failed = True
            self.held = []
            page = bytearray(512)
            page[0], page[2], page[3] = slot, status, error
            page[511] = -sum(page) & 0xFF
            self.error_log = bytes(page)

    # ---- data

    def _entries(self, slot: int, size: int) -> list[tuple[int, int]]:
        """(address, bytes) of the data of a command."""
        state, table, _ = self._frame(slot)
        parts, left = [], size
        for i in range(state >> 16 & 0xFFFF):
            at = table + 128 + 16 * i
            address, _, count = struct.unpack("<QII", self.hba.ram[at:at + 16])
            assert not address % 2 and count % 2
            parts.append((address, min(count + 1, left)))
            left -= parts[-1][1]
        assert not left, "the table has too few bytes"
        return parts

    def _bring(self, slot: int, data: bytes, end: bool = True) -> None:
        """Data to memory."""
        done = 0
        for address, size in self._entries(slot, len(data)):
            self.hba.ram[address:address + size] = data[done:done + size]
            done += size
        at = (self.r[CLBU] << 32 | self.r[CLB]) + 32 * slot + 4
        self.hba.ram[at:at + 4] = struct.pack("<I", done)
        if end:
            self.end(slot)

    def _gather(self, slot: int, size: int) -> bytes:
        return b"".join(self.hba.ram[at:at + part] for at, part in self._entries(slot, size))


class Hba:
    """What is behind the registers."""

    def __init__(self, ram: mmap.mmap, devices: tuple[Disk | None, ...] = (), *, slots: int = 32,
                 ncq: bool = True, wide: bool = True, clo: bool = True, bios: bool = False) -> None:
        self.ram = ram
        self.cap = (len(devices) - 1 | slots - 1 << 8 | clo << 24 | ncq << 30 | wide << 31)
        self.ghc = 0
        self.pi = sum(1 << n for n in range(len(devices)))
        self.bios = bios                    # firmware owns it, and lets go when asked
        self.ports = [Port(self, n, device) for n, device in enumerate(devices)]
        self.accesses = 0
        self.gone_at: int | None = None     # the access from which on nothing answers
        self.stuck = False                  # GHC.HR stays
        self.resets = 0

    @property
    def gone(self) -> bool:
        return self.gone_at is not None and self.accesses >= self.gone_at

    def pending(self) -> int:
        """IS."""
        return sum(1 << p.number for p in self.ports if p.r[PXIS] & p.r[PXIE])

    def read(self, offset: int, size: int) -> int:
        assert size == 4
        self.accesses += 1
        if self.gone:
            return 0xFFFF_FFFF
        if offset >= 0x100:
            return self.ports[(offset - 0x100) >> 7].read(offset & 0x7F)
        return {CAP: self.cap, GHC: self.ghc, IS: self.pending(), PI: self.pi, CAP2: self.bios,
                BOHC: int(self.bios)}.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        assert size == 4
        self.accesses += 1
        if self.gone:
            return
        if offset >= 0x100:
            self.ports[(offset - 0x100) >> 7].write(offset & 0x7F, value)
        elif offset == GHC:
            self._control(value)
        elif offset == BOHC and value & 2:
            self.bios = False

    def _control(self, value: int) -> None:
        self.ghc = value
        if value & 1:
            assert not self.bios
            self.resets += 1
            for port in self.ports:
                port.write(CMD, 0)
                port.r[PXIE] = 0
            self.ghc = 1 if self.stuck else 0


class Machine(fake.Machine):
    """Memory, CPUs, an HBA at BAR, and a clock that waits make go."""
