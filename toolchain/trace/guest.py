# SPDX-License-Identifier: BSD-3-Clause
"""A machine that runs a workload, stops, and has its memory read.

The guest is given a script: rings cleared, all classes on, the workload, all classes off, and
`ddb`, where it waits with all CPUs stopped.  A panic ends there too.  Then QEMU stops the machine
and saves what is asked for, by virtual address, to files.

Tests  tests/qemu/test_trace.py
"""
from __future__ import annotations

import os
import re
import selectors
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from toolchain.image import qemu
from toolchain.trace.image import CLOCK_HZ, LWKT, Image
from toolchain.trace.rings import Event, Loss, Ring, decode, merge

EVERY = 0xFFE                       # ktr.EVERY: all classes, with each token taken and let go of
RING_ENTRIES = 1 << 16
PROMPT = re.compile(rb"^ddb:\d+> $")
PANIC = re.compile(r"[\n\x02]" + qemu.PANIC_PREFIX.decode())
TEXT_SHIFT = 48                     # ktr.text()
TEXT_MOST = 64
HIGH_HALF = 0xFFFF << TEXT_SHIFT
MAX_CPUS = 255


class GuestError(Exception):
    """The workload did not come to its end; the message has the console's last lines."""


@dataclass
class Snapshot:
    """A run: its events, and the names of what they speak of by address."""

    events: list[Event]
    hz: int                                             # ticks a second
    losses: dict[int, Loss]                             # by CPU
    threads: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)     # by ktr.text()'s value
    functions: dict[int, str] = field(default_factory=dict)
    idle: set[int] = field(default_factory=set)             # the idle threads
    ports: dict[int, int] = field(default_factory=dict)     # a thread's port: the thread
    console: str = ""


def record(image: Path, workload: str, *, cpus: int = 4, entries: int = RING_ENTRIES,
           mask: int = EVERY, mem: str = "512M", timeout: float = 120,
           disks: Sequence[qemu.Drive] = ()) -> Snapshot:
    """Run `workload`, lines for the guest's prompt, and bring its trace.

    GuestError if it does not end within `timeout` seconds, or the machine dies.
    """
    script = f"ktr clear\nktr mask {mask:#x}\n{workload}\nktr off\nddb\n"
    with Guest(image, script, cpus, entries, mem, disks) as guest:
        guest.wait(timeout)
        guest.stop()
        return snapshot(guest, Image.read(image))


class Guest:
    """One QEMU; what it prints is in `console`."""

    def __init__(self, image: Path, script: str, cpus: int, entries: int, mem: str,
                 disks: Sequence[qemu.Drive] = ()) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="damselfly-")
        self.folder = Path(self._folder.name)
        self.console = b""
        commands = self.folder / "exec"
        commands.write_text(script)
        self._command = qemu.command(qemu.Options(
            image=image, cpus=cpus, mem=mem, append=f"ktr={entries}", exec_file=commands,
            disks=tuple(disks), qmp=str(self.folder / "qmp")))
        self._saved = 0

    def __enter__(self) -> Guest:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def wait(self, timeout: float) -> None:
        """Return when the guest waits in its debugger."""
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not PROMPT.match(self.console.rpartition(b"\n")[2]):
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise GuestError(self._story(f"no end after {timeout:g} s"))
                data = os.read(self._process.stdout.fileno(), 65536)
                if not data:
                    raise GuestError(self._story("the machine ended before the workload did"))
                self.console += data

    def stop(self) -> None:
        """Stop the machine; from now on its memory can be read."""
        self._monitor = QEMUMonitorProtocol(str(self.folder / "qmp"))
        self._monitor.connect()
        self._monitor.cmd("stop")

    def read(self, address: int, size: int) -> bytes | None:
        """`size` bytes at a virtual address; None where nothing is mapped."""
        self._saved += 1
        file = self.folder / f"memory{self._saved}"
        try:
            self._monitor.cmd("memsave", val=_signed(address), size=size, filename=str(file))
        except QMPError:
            return None
        data = file.read_bytes()
        file.unlink()
        return data

    def word(self, address: int, size: int = 8) -> int:
        return int.from_bytes(self.read(address, size) or b"", "little")

    def _story(self, what: str) -> str:
        lines = self.console.decode(errors="replace").splitlines()[-20:]
        return "\n".join([what, *(f"  {line}" for line in lines)])


def panicked(console: str) -> bool:
    """Whether what the guest printed has a panic in it."""
    return PANIC.search(console) is not None


def snapshot(guest: Guest, image: Image) -> Snapshot:
    """What the stopped `guest` has traced."""
    layout = image.structs
    gd, ring = layout["Globaldata"].offset, layout["Ring"].offset
    found: list[list[Event]] = []
    result = Snapshot([], guest.word(image.address[CLOCK_HZ]), {},
                      console=guest.console.decode(errors="replace"))
    limit = min(guest.word(image.address[f"{LWKT}.cpu_limit"], 4), MAX_CPUS)
    bases = [guest.word(image.address[f"{LWKT}.cpus"] + 8 * cpu) for cpu in range(limit)]
    for cpu, base in enumerate(bases):
        if base == 0:
            continue                    # it did not start
        values = {name: guest.word(base + gd["ktr"] + ring[name])
                  for name in ("entries", "size", "index", "cleared")}
        data = guest.read(values["entries"], values["size"] * layout["Entry"].size) or b""
        events, result.losses[cpu] = decode(
            Ring(cpu, data, values["size"], values["index"], values["cleared"]),
            layout["Entry"], image.events)
        found.append(events)
        result.idle.add(base + gd["idlethread"])
    result.events = merge(found)
    _name_all(result, guest, image)
    return result


def _name_all(result: Snapshot, guest: Guest, image: Image) -> None:
    """Read the names of all that the events speak of."""
    threads, tokens = set(result.idle), set()
    for event in result.events:
        threads.add(event.thread)
        match event.name:
            case "SWITCH" | "PREEMPT" | "SCHEDULE" | "CREATE" | "EXIT":
                threads.add(event.a)
            case "TOKEN_GET" | "TOKEN_RELEASE" | "TOKEN_WAIT" | "TOKEN_SPIN":
                tokens.add(event.a)
            case "SLEEP":
                result.texts.setdefault(event.b, _text(guest, event.b))
            case "XOP_BEGIN":
                result.texts.setdefault(event.a, _text(guest, event.a))
            case "IPI_SEND" | "IPI_RECEIVE":
                result.functions.setdefault(event.b, image.function(event.b))
    thread, token = image.structs["Thread"], image.structs["Token"]
    start = thread.offset["name"]
    end = min(at for at in (*thread.offset.values(), thread.size) if at > start)
    for address in threads:
        memory = guest.read(address, thread.size) or b""
        name = memory[start:end].split(b"\0")[0]
        result.threads[address] = name.decode("utf-8", "replace")
        result.ports[address + thread.offset["msgport"]] = address
    text = image.structs["Str"].offset
    for address in tokens:
        at = address + token.offset["name"]
        length = min(guest.word(at + text["len"]), TEXT_MOST)
        name = guest.read(guest.word(at + text["ptr"]), length) if length else None
        result.tokens[address] = (name or b"").decode("utf-8", "replace")


def _signed(address: int) -> int:
    """As QMP has it: a 64-bit integer with a sign."""
    return address - (1 << 64) if address >> 63 else address


def _text(guest: Guest, value: int) -> str:
    """What ktr.text() made one value of."""
    length = min(value >> TEXT_SHIFT, TEXT_MOST)
    data = guest.read(value | HIGH_HALF, length) if length else None
    return (data or b"").decode("utf-8", "replace")
