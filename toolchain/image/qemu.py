# SPDX-License-Identifier: BSD-3-Clause
"""Boots an image under QEMU: what `make run`, scripts/run and the test harness share.

How guest and host talk, beyond the console on COM1:

    exit      The guest writes a 32-bit status to port 0xf4 (isa-debug-exit).  QEMU then ends
              with 2 * status + 1; we turn that back.  0: powered off.  70: panic.  It ends at
              once: the guest first waits until COM1 has sent everything (LSR.TEMT).
    panic     A line that starts with `panic: `.  The lines after it are its backtrace.
    commands  (--exec)  The fw_cfg file opt/damselfly/exec holds shell commands.  The guest runs
              them without a prompt, prints STX (0x02) before their output, ETX (0x03), the last
              command's status in decimal and a newline after it, and powers off.

Exit status of run(): that of the last command with --exec, else 0 on power-off;
124 on time-out; 70 on panic; 69 (no QEMU, no image) and 64 (wrong flags) before anything ran;
71 if QEMU ended without the guest's consent (a triple fault, a killed process).

Tests  tests/qemu/test_run.py, tests/toolchain/test_qemu_command.py
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

QEMU = "qemu-system-x86_64"
EXIT_PORT = 0xF4
EXEC_FILE = "opt/damselfly/exec"

STATUS_USAGE = 64
STATUS_UNAVAILABLE = 69
STATUS_PANIC = 70
STATUS_CRASH = 71
STATUS_TIMEOUT = 124

PANIC_PREFIX = b"panic: "
BUSES = ("nvme", "ahci", "virtio")
ROOT_SERIAL = "root"
ROOT_MOUNT = f"mount=hammer2:/dev/serno/{ROOT_SERIAL}.s0@ROOT:/mnt"
"""What the kernel is told of the root disk: the first entry of its GPT, by serial number."""


class RunError(Exception):
    """The machine cannot be started; the message says what is missing."""

    def __init__(self, message: str, status: int = STATUS_UNAVAILABLE) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True)
class Drive:
    """A disk of the machine, on one of BUSES."""

    bus: str
    file: Path
    serial: str = ""

    @staticmethod
    def parse(text: str) -> "Drive":
        """A drive from `BUS:FILE[,serial=S]`; RunError if it is not that."""
        bus, colon, rest = text.partition(":")
        name, _, serial = rest.partition(",serial=")
        if bus not in BUSES or not colon or not name:
            buses = ", ".join(BUSES)
            message = f"--disk wants BUS:FILE[,serial=S] with BUS one of {buses}; got `{text}`"
            raise RunError(message, STATUS_USAGE)
        return Drive(bus, Path(name), serial)


@dataclass(frozen=True)
class Options:
    """One machine.  `accel` is what QEMU is told: tcg or kvm, already chosen.

    With `cdrom` the machine boots from that instead of having `image` put in its memory.
    """

    image: Path
    cpus: int = 1
    mem: str = "256M"
    accel: str = "tcg"
    machine: str = "q35"
    cpu: str = "max"
    append: str = ""
    cdrom: Path | None = None
    firmware: Path | None = None
    root: Path | None = None
    disks: Sequence[Drive] = field(default_factory=tuple)
    icount: bool = False
    gdb: str = ""
    paused: bool = False
    qmp: str = ""
    exec_file: Path | None = None
    serial: str = "stdio"
    exit_device: bool = True
    extra: Sequence[str] = field(default_factory=tuple)


def command(options: Options) -> list[str]:
    """QEMU's command line for `options`.  RunError names a missing program or file."""
    _require(options)
    words = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-vga", "std"]
    words += ["-machine", options.machine, "-cpu", options.cpu, "-m", options.mem]
    words += ["-smp", str(options.cpus), "-accel", _accel(options)]
    if options.icount:
        words += ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm"]
    words += ["-no-reboot", "-serial", options.serial]
    if options.cdrom:
        words += ["-cdrom", str(options.cdrom)]
    else:
        words += ["-kernel", str(options.image)]
    if options.firmware:
        words += ["-bios", str(options.firmware)]
    if options.exit_device:
        words += ["-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"]
    if options.append:
        words += ["-append", options.append]
    if options.exec_file:
        words += ["-fw_cfg", f"name={EXEC_FILE},file={options.exec_file}"]
    if options.gdb:
        words += ["-gdb", options.gdb]
    if options.paused:
        words += ["-S"]
    if options.qmp:
        words += ["-qmp", f"unix:{options.qmp},server=on,wait=off"]
    return words + _disks(options) + list(options.extra)


def guest_status(code: int) -> int:
    """The status that the guest gave, from QEMU's; STATUS_CRASH if it gave none."""
    if code < 0 or code % 2 == 0:
        return STATUS_CRASH if code else 0
    return code >> 1


def _require(options: Options) -> None:
    if shutil.which(QEMU) is None:
        raise RunError(f"{QEMU} is not installed; scripts/setup installs it")
    files = [options.image, *(drive.file for drive in options.disks)]
    files += [file for file in (options.root, options.cdrom, options.firmware) if file]
    for file in files:
        if not Path(file).is_file():
            raise RunError(f"{file}: no such file")


def _accel(options: Options) -> str:
    if options.icount or options.accel == "tcg":
        return "tcg" if options.icount else "tcg,thread=multi"
    return options.accel


def _disks(options: Options) -> list[str]:
    """The root disk first, on NVMe, then the others in order."""
    root = [Drive("nvme", options.root, ROOT_SERIAL)] if options.root else []
    words, ahci = [], 0
    for number, drive in enumerate([*root, *options.disks]):
        name = f"disk{number}"
        words += ["-drive", f"if=none,id={name},format=raw,file={_escape(drive.file)}"]
        serial = f",serial={_escape(drive.serial or name)}"
        if drive.bus == "nvme":
            words += ["-device", f"nvme,drive={name}{serial}"]
        elif drive.bus == "virtio":
            words += ["-device", f"virtio-blk-pci,drive={name}{serial}"]
        else:
            if not ahci:
                words += ["-device", "ahci,id=ahci"]
            words += ["-device", f"ide-hd,bus=ahci.{ahci},drive={name}{serial}"]
            ahci += 1
    return words


def _escape(value: Path | str) -> str:
    return str(value).replace(",", ",,")
