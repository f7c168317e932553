# SPDX-License-Identifier: BSD-3-Clause
"""A virtual machine as a context manager: QEMU, its console and its monitor.

Everything the machine says is kept in build/test/<name>/: console.log, qemu.log (what QEMU says,
and the CPU's state at a triple fault), qmp.log, gdb.log, command.txt; of a machine that did not say
in time what was waited for, registers.txt and memory.elf, a core that gdb reads beside its kernel.

Invariants
  M1  A panic, a triple fault, a reset or an unasked end of QEMU fails the test that waits, at
      once; the failure names the log and shows its last lines.
  M2  When the `with` block is left QEMU is gone, whatever happened in it.
  M3  The guest does not run before console and monitor are connected: nothing is missed.
  M4  A panic that nobody waited for fails the test at the end of the block, unless it was
      awaited with expect_panic().
Tests  tests/qemu/test_harness.py
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.harness.console import Console, connect
from tests.harness.gdb import Gdb
from tests.harness.monitor import Monitor
from toolchain.image import qemu

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "test"
DEFAULT_IMAGE = ROOT / "build" / "kernel.elf"
_LAST_LINES = 25
_BACKTRACE_S = 1.0
"""How long a guest may take to print its backtrace after a panic's line."""


class MachineError(AssertionError):
    """The machine died, or did not say what was expected; the message says where to look."""


def nvme(file: Path | str, serial: str = "") -> qemu.Drive:
    """A disk on NVMe."""
    return qemu.Drive("nvme", Path(file), serial)


def ahci(file: Path | str, serial: str = "") -> qemu.Drive:
    """A disk on AHCI."""
    return qemu.Drive("ahci", Path(file), serial)


class Machine:
    """One QEMU.  `timeout` bounds each wait that does not give its own.

    With gdb=True the guest waits for gdb() to start it.  Further keywords are qemu.Options'.
    """

    def __init__(
        self,
        image: Path | str = DEFAULT_IMAGE,
        *,
        cpus: int = 1,
        mem: str = "256M",
        disks: Sequence[qemu.Drive] = (),
        append: str = "",
        name: str = "",
        timeout: float = 60,
        gdb: bool = False,
        **options: Any,
    ) -> None:
        self.name = name or _test_name()
        self.folder = LOGS / self.name
        self.timeout = timeout
        self._sockets = Path(tempfile.mkdtemp(prefix="damselfly-"))
        self._panic_awaited = False
        self._gdb = gdb
        self.options = qemu.Options(
            image=Path(image),
            cpus=cpus,
            mem=mem,
            disks=tuple(disks),
            append=append,
            serial=f"unix:{self._sockets / 'console'},server=on",
            qmp=str(self._sockets / "qmp"),
            gdb=f"unix:{self._sockets / 'gdb'},server=on,wait=off" if gdb else "",
            paused=True,
            extra=("-d", "guest_errors,cpu_reset", "-D", str(self.folder / "qemu.log")),
        )
        options["extra"] = (*self.options.extra, *options.get("extra", ()))
        self.options = replace(self.options, **options)

    def __enter__(self) -> "Machine":
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        words = qemu.command(self.options)
        (self.folder / "command.txt").write_text(shlex.join(words) + "\n")
        self._errors = (self.folder / "stderr.log").open("wb")
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=self._errors)
        try:
            link = connect(self._sockets / "console", lambda: self._process.poll() is None)
        except OSError:
            self._stop()
            raise MachineError(self._story("QEMU did not start")) from None
        self.console = Console(link, self.folder / "console.log")
        try:
            self.monitor = Monitor(self._sockets / "qmp", self.folder / "qmp.log")
            if not self._gdb:
                self.monitor.command("cont")
        except Exception as error:
            self._stop()
            raise MachineError(self._story(f"QEMU's monitor does not answer: {error}")) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        if kind is None and self.console.panic and not self._panic_awaited:
            raise MachineError(self._story(f"the guest said `{self.console.panic}`"))

    def expect(self, pattern: str | re.Pattern[str], timeout: float | None = None) -> re.Match:
        """Wait for a text (str) or a pattern on the console; MachineError if it cannot come."""
        match = self.console.expect(pattern, self._limit(timeout))
        if match is None:
            text = pattern if isinstance(pattern, str) else pattern.pattern
            why = self._why()
            if self._process.poll() is None and not self.console.panic:
                self._keep_state()
            raise MachineError(self._story(f"waited for `{text}`, but {why}"))
        return match

    def expect_panic(
        self, pattern: str | re.Pattern[str] = "", timeout: float | None = None
    ) -> re.Match:
        """Wait for a panic whose line contains `pattern`; the machine may end by it."""
        self._panic_awaited = True
        text = re.escape(pattern) if isinstance(pattern, str) else pattern.pattern
        wanted = re.compile(f"^panic: .*{text}.*\n", re.MULTILINE)
        match = self.console.expect(wanted, self._limit(timeout), stop_at_panic=False)
        if match is None:
            raise MachineError(self._story(f"waited for a panic with `{text}`"))
        return match

    def send(self, text: str) -> None:
        """Type `text` on the console."""
        self.console.send(text)

    def wait_exit(self, timeout: float | None = None) -> int:
        """Wait until the guest ends; returns its status (qemu.guest_status)."""
        try:
            code = self._process.wait(self._limit(timeout))
        except subprocess.TimeoutExpired:
            raise MachineError(self._story("waited for the machine to end")) from None
        self.console.wait_closed(5)
        if self.console.panic and not self._panic_awaited:
            raise MachineError(self._story(f"the guest said `{self.console.panic}`"))
        status = qemu.guest_status(code)
        if status == qemu.STATUS_CRASH or (code == 0 and self._was_reset()):
            raise MachineError(self._story(self._why()))
        return status

    def qmp(self, command: str, **arguments: Any) -> Any:
        """Execute a QMP command and return what it returns."""
        return self.monitor.command(command, **arguments)

    def plug(self, driver: str, ident: str, **properties: Any) -> None:
        """Hot-plug a device."""
        self.qmp("device_add", driver=driver, id=ident, **properties)

    def unplug(self, ident: str, timeout: float | None = None) -> None:
        """Ask the guest to let go of a device, and wait until it has."""
        self.qmp("device_del", id=ident)
        self.monitor.wait_event("DEVICE_DELETED", self._limit(timeout), device=ident)

    def cut_power(self) -> None:
        """End QEMU as a power cut ends a machine: nothing is flushed by it or by the guest."""
        self._process.kill()
        self._process.wait()

    def dump_memory(self, file: Path | str) -> Path:
        """Write guest memory, as an ELF core that gdb reads, to `file`."""
        path = Path(file).resolve()
        self.qmp("dump-guest-memory", paging=False, protocol=f"file:{path}")
        return path

    def _keep_state(self) -> None:
        """Stop the guest, and write down what its CPUs do and what is in its memory: who hangs
        cannot be asked again."""
        try:
            self.qmp("stop")
            said = self.qmp("human-monitor-command", **{"command-line": "info registers -a"})
            (self.folder / "registers.txt").write_text(said)
            self.dump_memory(self.folder / "memory.elf")
        except Exception as error:              # the failure that it is about comes first
            (self.folder / "registers.txt").write_text(f"not kept: {error}\n")

    def gdb(self) -> Gdb:
        """A gdb for this machine, which must have been made with gdb=True."""
        return Gdb(self.options.image, str(self._sockets / "gdb"), self.folder / "gdb.log")

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for part in ("monitor", "console"):
            if hasattr(self, part):
                getattr(self, part).close()
        self._errors.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _limit(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else timeout

    def _was_reset(self) -> bool:
        return any(
            event.get("data", {}).get("reason") == "guest-reset" for event in self.monitor.events
        )

    def _why(self) -> str:
        """What kept the machine from going on."""
        if self.console.panic:
            self.console.wait_closed(_BACKTRACE_S)
            return f"the guest said `{self.console.panic}`"
        deadline = time.monotonic() + 1
        while self.console.wait_closed(0) and self._process.poll() is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        code = self._process.poll()
        if code is None:
            return "it did not come in time"
        if self._was_reset():
            return "the machine was reset (a triple fault, or the guest asked for it)"
        if code < 0:
            return f"QEMU was killed by signal {-code}"
        return f"the machine ended with status {qemu.guest_status(code)}"

    def _story(self, what: str) -> str:
        lines = [what, f"  logs: {self.folder}"]
        for title, file in (("console", "console.log"), ("QEMU", "stderr.log")):
            path = self.folder / file
            text = path.read_text(errors="replace") if path.exists() else ""
            if text.strip():
                lines.append(f"  {title}, last lines:")
                lines += [f"    {line}" for line in text.splitlines()[-_LAST_LINES:]]
        return "\n".join(lines)


def _test_name() -> str:
    """The running test's name as a folder: `test_boot.test_prints-4`."""
    current = os.environ.get("PYTEST_CURRENT_TEST", f"machine-{os.getpid()}").split(" ")[0]
    file, _, test = current.partition("::")
    return re.sub(r"[^\w.-]+", "-", f"{Path(file).stem}.{test}".rstrip(".")).strip("-")
