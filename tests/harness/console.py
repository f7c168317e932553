# SPDX-License-Identifier: BSD-3-Clause
"""What a machine has printed so far, and waiting for what it prints next.

Invariants
  C1  Text is matched once: expect() goes on after the end of its last match.
  C2  expect() returns or raises as soon as it can be known which: on a match, a panic, the end
      of the console, or the time-out, whichever comes first.
Tests  tests/qemu/test_harness.py
"""

import codecs
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

_LONGEST_MATCH = 16384
"""How far back a match may begin before what has just come; older text is not searched again."""
_BATCH_S = 0.002
"""A guest prints a few bytes at a time: wait this long for more before searching again."""
_PANIC = re.compile(r"^(panic: .*)\n", re.MULTILINE)


class Console:
    """The serial line of a machine over a connected socket, logged to a file."""

    def __init__(self, link: socket.socket, log: Path) -> None:
        self._link, self._log = link, log
        self._text, self._at, self._closed = "", 0, False
        self._pieces: list[str] = []
        self._panic: str | None = None
        self._panic_from = 0
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="console", daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All that was printed, carriage returns removed."""
        with self._news:
            self._take()
            return self._text

    @property
    def panic(self) -> str | None:
        """The line of the first panic, once it is complete, or None."""
        with self._news:
            self._take()
            return self._panic

    def send(self, text: str) -> None:
        """Type `text`."""
        self._link.sendall(text.encode())

    def expect(
        self, pattern: str | re.Pattern[str], timeout: float, stop_at_panic: bool = True
    ) -> re.Match[str] | None:
        """The next match of a string or pattern; None if it will not come, or not in time."""
        wanted = re.compile(re.escape(pattern)) if isinstance(pattern, str) else pattern
        deadline, scan = time.monotonic() + timeout, self._at
        while True:
            with self._news:
                self._take()
                match = wanted.search(self._text, scan)
                if match:
                    self._at = match.end()
                    return match
                if self._closed or (stop_at_panic and self._panic):
                    return None
                scan = max(self._at, len(self._text) - _LONGEST_MATCH)
                if not self._news.wait(deadline - time.monotonic()):
                    return None
            time.sleep(_BATCH_S)

    def wait_closed(self, timeout: float) -> bool:
        """Whether the machine closes its end within `timeout` seconds."""
        with self._news:
            return self._news.wait_for(lambda: self._closed, timeout)

    def close(self) -> None:
        """Read what is still to come, then let go of the socket."""
        self._reader.join(2)
        self._link.close()

    def _take(self) -> None:
        """Add what the reader has brought to the text.  Holds _news."""
        if not self._pieces:
            return
        self._text += "".join(self._pieces)
        self._pieces.clear()
        if self._panic is None:
            found = _PANIC.search(self._text, self._panic_from)
            self._panic = found.group(1) if found else None
            self._panic_from = self._text.rfind("\n") + 1

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with self._log.open("wb") as log:
            while data := self._receive():
                log.write(data)
                log.flush()
                with self._news:
                    self._pieces.append(decoder.decode(data).replace("\r", ""))
                    self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._link.recv(65536)
        except OSError:
            return b""


def connect(path: Path, alive: Callable[[], bool], timeout: float = 10) -> socket.socket:
    """A connection to the socket that a starting machine creates at `path`."""
    deadline = time.monotonic() + timeout
    while True:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.connect(str(path))
            return link
        except OSError:
            link.close()
            if not alive() or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
