# SPDX-License-Identifier: BSD-3-Clause
"""QMP without asyncio: qemu.qmp's client, run by a thread of its own.

Tests  tests/qemu/test_harness.py
"""

import asyncio
import json
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from pathlib import Path
from typing import Any

from qemu.qmp import ConnectError, EventListener, QMPClient


class Monitor:
    """A connected QMP client; every event and command is written to `log`."""

    def __init__(self, path: Path, log: Path, timeout: float = 60) -> None:
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._log = log.open("w", encoding="utf-8")
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._serve(),), name="qmp", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        self._call(self._connect(path, timeout), timeout + 1)

    def command(self, name: str, timeout: float = 60, **arguments: Any) -> Any:
        """Execute a QMP command; ExecuteError from qemu.qmp if it is refused."""
        self._write({"execute": name, "arguments": arguments})
        reply = self._call(self._client.execute(name, arguments or None), timeout)
        self._write({"return": reply})
        return reply

    def wait_event(self, name: str, timeout: float = 60, **data: Any) -> dict[str, Any]:
        """The first event of this name, with `data` among its data, also one that has come
        already."""

        def find() -> dict[str, Any] | None:
            return next((event for event in self.events if event["event"] == name
                         and data.items() <= event.get("data", {}).items()), None)

        with self._news:
            if not self._news.wait_for(find, timeout):
                raise TimeoutError(f"no QMP event {name} within {timeout} s")
            return find()

    def close(self) -> None:
        """Disconnect and end the thread; never fails."""
        with suppress(Exception):
            self._call(self._client.disconnect(), 5)
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(5)
        self._log.close()

    async def _serve(self) -> None:
        """The thread's life: until close().  What still runs then is cancelled by asyncio."""
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        self._client = QMPClient("harness")
        self._ready.set()
        await self._done.wait()

    async def _connect(self, path: Path, timeout: float) -> None:
        listener = EventListener()
        self._client.register_listener(listener)
        deadline = self._loop.time() + timeout
        while True:
            try:
                await self._client.connect(str(path))
                break
            except ConnectError:
                if self._loop.time() > deadline:
                    raise
                await asyncio.sleep(0.01)
        self._listening = self._loop.create_task(self._listen(listener))

    async def _listen(self, listener: EventListener) -> None:
        async for event in listener:
            self._write(dict(event))
            with self._news:
                self.events.append(dict(event))
                self._news.notify_all()

    def _call(self, work: Coroutine[Any, Any, Any], timeout: float) -> Any:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except FutureTimeout:
            future.cancel()
            raise TimeoutError(f"QEMU's monitor did not answer within {timeout} s") from None

    def _write(self, message: dict[str, Any]) -> None:
        self._log.write(json.dumps(message, default=str) + "\n")
        self._log.flush()
