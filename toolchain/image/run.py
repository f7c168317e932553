# SPDX-License-Identifier: BSD-3-Clause
"""scripts/run: boot an image on this terminal, or run commands in it and be gone.

Tests  tests/qemu/test_run.py
"""

import argparse
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from toolchain.image import accel, qemu

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_IMAGE = ROOT / "build" / "kernel.elf"
DEFAULT_ROOT = ROOT / "build" / "root.img"
GDB_ADDRESS = "tcp:localhost:1234"
STX, ETX = b"\x02", b"\x03"
_PANIC_LINGER_S = 2.0
_PANIC = re.compile(rb"(?:^|\x02)(" + qemu.PANIC_PREFIX + rb")", re.MULTILINE)
_ADDRESS = re.compile(r"\b(?:0x)?([0-9a-f]{16})\b")


def main(arguments: list[str] | None = None) -> int:
    """The command line of scripts/run; returns the exit status (see qemu)."""
    flags = _parser().parse_args(arguments)
    flags.root = _root(flags)
    flags.image = flags.image or DEFAULT_IMAGE
    try:
        return _execute(flags) if flags.exec is not None else _interactive(flags)
    except qemu.RunError as error:
        print(f"run: {error}", file=sys.stderr)
        return error.status


@dataclass
class Console:
    """Splits what the guest prints: the commands' own output, their status, a panic.

    `show` gets the output between STX and ETX as it comes; `log` keeps everything.
    """

    show: Callable[[bytes], object]
    log: bytearray = field(default_factory=bytearray)
    status: int | None = None
    _output: bool = False
    _line: bytes | None = b""      # an unfinished line held back; None once a panic is seen
    _tail: bytes | None = None
    _panic_at: int | None = None
    _line_at: int = 0

    def feed(self, data: bytes) -> None:
        self.log += data
        self._look_for_panic()
        data = data.replace(b"\r", b"")
        if self._line is None:
            return
        if self._tail is not None:
            self._end(data)
            return
        if not self._output:
            _, mark, data = data.partition(STX)
            self._output = bool(mark)
        if self._output and data:
            text, mark, rest = data.partition(ETX)
            self._show(text, bool(mark))
            if mark:
                self._tail = b""
                self._end(rest)

    def _show(self, text: bytes, last: bool) -> None:
        """Show output, but for what is, or may become, the line of a panic."""
        text = self._line + text
        found = re.search(rb"^" + qemu.PANIC_PREFIX, text, re.MULTILINE)
        if found:
            self.show(text[: found.start()])
            self._line = None
            return
        start = text.rfind(b"\n") + 1
        hold = not last and qemu.PANIC_PREFIX.startswith(text[start:])
        self._line = text[start:] if hold else b""
        self.show(text[:start] if hold else text)

    @property
    def panic(self) -> bytes | None:
        """From the panic's line to the end of the log, or None."""
        return None if self._panic_at is None else bytes(self.log[self._panic_at :])

    def _look_for_panic(self) -> None:
        if self._panic_at is None:
            found = _PANIC.search(self.log, self._line_at)
            self._panic_at = found.start(1) if found else None
            self._line_at = self.log.rfind(b"\n") + 1

    def _end(self, data: bytes) -> None:
        self._tail += data
        number, newline, _ = self._tail.partition(b"\n")
        if newline and self.status is None and number.strip().isdigit():
            self.status = int(number) & 0xFF


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/run",
        description="Boot a kernel image under QEMU.",
        epilog="Exit status: the guest's; 124 time-out, 70 panic, 69 something is missing.",
    )
    add = parser.add_argument
    add("--image", type=Path, help="kernel image (build/kernel.elf)")
    add("--cpus", type=_cpu_count, default=1, metavar="N", help="number of CPUs, 1 to 255")
    add("--mem", default="256M", metavar="SIZE", help="memory, such as 64M or 8G")
    add("--accel", choices=("tcg", "kvm", "auto"), default="tcg",
        help="auto takes KVM if it is there and measured to be faster")  # fmt: skip
    add("--disk", action="append", default=[], metavar="BUS:FILE[,serial=S]",
        help="attach a disk, BUS nvme, ahci or virtio; repeatable")  # fmt: skip
    add("--root", metavar="FILE",
        help="image of the first disk, on NVMe; its PFS ROOT is mounted on /mnt; none for no such "
        "disk (build/root.img if it is there and --image is not given)")  # fmt: skip
    add("--cdrom", type=Path, metavar="FILE", help="boot from this medium, not from --image")
    add("--append", default="", metavar="LINE", help="kernel command line")
    add("--machine", choices=("q35", "pc"), default="q35", help="QEMU machine")
    add("--cpu", default="max", metavar="MODEL", help="QEMU CPU model")
    add("--gdb", nargs="?", const=GDB_ADDRESS, default="", metavar="ADDRESS",
        help=f"wait for gdb before the start, at {GDB_ADDRESS} or where you say")  # fmt: skip
    add("--icount", action="store_true", help="one clock tick an instruction; repeatable timing")
    add("--qmp", default="", metavar="SOCKET", help="QMP control socket to create")
    add("--timeout", type=float, metavar="S", help="end after S seconds, with status 124")
    add("--exec", metavar="COMMANDS", help="run shell commands, print what they print, exit")
    return parser


def _cpu_count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 255:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number from 1 to 255")
    return int(text)


def _root(flags: argparse.Namespace) -> Path | None:
    """The root disk's image: what is asked for, else the usual one with the usual kernel."""
    if flags.root is not None:
        return None if flags.root == "none" else Path(flags.root)
    return DEFAULT_ROOT if flags.image is None and DEFAULT_ROOT.is_file() else None


def _append(flags: argparse.Namespace) -> str:
    """The kernel's command line; who says `mount=` means something else to be mounted."""
    asked = any(word.startswith("mount=") for word in flags.append.split())
    more = [qemu.ROOT_MOUNT] if flags.root and not asked else []
    return " ".join([*more, flags.append] if flags.append else more)


def _options(flags: argparse.Namespace, **more: object) -> qemu.Options:
    return qemu.Options(
        image=flags.image, cpus=flags.cpus, mem=flags.mem, accel=accel.choose(flags.accel),
        machine=flags.machine, cpu=flags.cpu, append=_append(flags), cdrom=flags.cdrom,
        root=flags.root,
        disks=tuple(qemu.Drive.parse(text) for text in flags.disk), icount=flags.icount,
        gdb=flags.gdb, paused=bool(flags.gdb), qmp=flags.qmp, **more,
    )  # fmt: skip


def _interactive(flags: argparse.Namespace) -> int:
    """The guest's console on this terminal; ctrl-a x ends QEMU."""
    command = qemu.command(_options(flags, serial="mon:stdio"))
    if flags.gdb:
        print(f"waiting for gdb at {flags.gdb}", file=sys.stderr)
    process = subprocess.Popen(command)
    try:
        return qemu.guest_status(process.wait(flags.timeout))
    except subprocess.TimeoutExpired:
        _end(process)
        print(f"run: no end after {flags.timeout:g} s", file=sys.stderr)
        return qemu.STATUS_TIMEOUT
    except KeyboardInterrupt:
        _end(process)
        return 128 + signal.SIGINT


def _execute(flags: argparse.Namespace) -> int:
    """Run flags.exec in the guest; print what it prints and nothing else."""
    with tempfile.TemporaryDirectory(prefix="damselfly-") as folder:
        commands = Path(folder, "exec")
        commands.write_bytes(os.fsencode(flags.exec) + b"\n")
        command = qemu.command(_options(flags, exec_file=commands))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        console = Console(_show)
        try:
            ended = _watch(process, console, flags.timeout)
        finally:
            _end(process)
    if console.panic is not None:
        _report_panic(console.panic, flags.image)
        return qemu.STATUS_PANIC
    if not ended:
        print(f"run: no end after {flags.timeout:g} s", file=sys.stderr)
        return qemu.STATUS_TIMEOUT
    status = qemu.guest_status(process.returncode)
    if status == 0 and console.status is None:
        print("run: the guest ended without having run the commands", file=sys.stderr)
        _show_log_end(console.log)
        return qemu.STATUS_CRASH
    if status == qemu.STATUS_CRASH:
        print("run: the machine stopped without powering off", file=sys.stderr)
        _show_log_end(console.log)
    return status or console.status or 0


def _watch(process: subprocess.Popen, console: Console, timeout: float | None) -> bool:
    """Feed `console` until QEMU ends, or a while after a panic; False on time-out."""
    deadline = None if timeout is None else time.monotonic() + timeout
    panicked = False
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return panicked
            if selector.select(left):
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    process.wait()
                    return True
                console.feed(data)
            if not panicked and console.panic is not None:
                panicked = True
                linger = time.monotonic() + _PANIC_LINGER_S
                deadline = linger if deadline is None else min(deadline, linger)


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _show(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def _show_log_end(log: bytes, lines: int = 20) -> None:
    for line in log.decode(errors="replace").splitlines()[-lines:]:
        print(f"  {line}", file=sys.stderr)


def _report_panic(text: bytes, image: Path) -> None:
    """The panic on standard error, each address with its function and line."""
    from toolchain.link.symbols import SymbolTable  # noqa: PLC0415 (slow, and rarely needed)

    table = SymbolTable.read(image)
    for line in text.decode(errors="replace").splitlines():
        names = [table.describe(int(found, 16)) for found in _ADDRESS.findall(line)]
        known = [name for name in names if name and name not in line]
        print(line.rstrip() + "".join(f"  {name}" for name in known), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
