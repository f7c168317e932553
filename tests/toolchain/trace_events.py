# SPDX-License-Identifier: BSD-3-Clause
"""Made-up runs for the tests of toolchain/trace: one tick is a microsecond."""
from __future__ import annotations

from toolchain.trace.guest import Snapshot
from toolchain.trace.rings import Event

HZ = 1_000_000
IDLE = (0x10000, 0x10040)               # of CPU 0 and CPU 1
ANN, BOB, EVE = 0x20000, 0x20040, 0x20080
TOKEN = 0x30000
PORT = 0x500                            # from a thread's address to its port
EXCLUSIVE, SHARED, TRACED, LAPSED = 3, 4, 8, 16


class Run:
    """Collects events: `run(5, 0, ANN, "SWITCH", BOB)` is one at 5 µs on CPU 0 in ANN."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, time: int, cpu: int, thread: int, name: str, a: int = 0, b: int = 0) -> None:
        self.events.append(Event(1000 + time, cpu, len(self.events) + 1, name, thread, a, b))

    def get(self, time: int, cpu: int, thread: int, mode: int = EXCLUSIVE,
            token: int = TOKEN, by: int = 0) -> None:
        self(time, cpu, by or thread, "TOKEN_GET", token, thread | mode | TRACED)

    def release(self, time: int, cpu: int, thread: int, mode: int = EXCLUSIVE,
                token: int = TOKEN) -> None:
        self(time, cpu, thread, "TOKEN_RELEASE", token, thread | mode | TRACED)

    def snapshot(self) -> Snapshot:
        threads = {IDLE[0]: "idle", IDLE[1]: "idle", ANN: "ann", BOB: "bob", EVE: "eve"}
        return Snapshot(
            self.events, HZ, {0: None, 1: None}, threads=threads, tokens={TOKEN: "tok"},
            texts={77: "why"}, functions={88: "sched._schedule_remote"}, idle=set(IDLE),
            ports={address + PORT: address for address in threads})


def conversation() -> Run:
    """ANN on CPU 0 asks BOB on CPU 1, under a token that BOB waits for before he answers."""
    run = Run()
    run(0, 0, ANN, "MARK", 1, 2)
    run(0, 1, IDLE[1], "IDLE_HALT")
    run.get(1, 0, ANN)
    run(2, 0, ANN, "MSG_SEND", 0x900, BOB + PORT)
    run(3, 0, ANN, "IPI_SEND", 1 | 7 << 32, 88)
    run(4, 1, IDLE[1], "DOORBELL")
    run(4, 1, IDLE[1], "IDLE_WAKE", 1)
    run(5, 1, IDLE[1], "IPI_RECEIVE", 0 | 7 << 32, 88)
    run(6, 1, IDLE[1], "SCHEDULE", BOB, 1)
    run(7, 1, IDLE[1], "SWITCH", BOB, 12 | 1 << 32)
    run(8, 1, BOB, "MSG_GET", 0x900, BOB + PORT)
    run(9, 1, BOB, "TOKEN_SPIN", TOKEN, 1)
    run(12, 0, ANN, "SLEEP", 0, 77)
    run(12, 0, ANN, "TOKEN_DROP", 1)
    run.release(13, 0, ANN, EXCLUSIVE | LAPSED)
    run(14, 0, ANN, "SWITCH", IDLE[0])
    run.get(15, 1, BOB)
    run(18, 1, BOB, "MSG_REPLY", 0x900, ANN + PORT)
    run(19, 0, IDLE[0], "SCHEDULE", ANN, 1)
    run.release(20, 1, BOB)
    run(21, 0, IDLE[0], "TOKEN_REGAIN", 1, ANN)
    run.get(21, 0, ANN, by=IDLE[0])
    run(22, 0, IDLE[0], "SWITCH", ANN, 12 | 1 << 32)
    run(23, 0, ANN, "MSG_DONE", 0x900, ANN + PORT)
    run.release(24, 0, ANN)
    run(25, 1, BOB, "EXIT", BOB, int.from_bytes(b"bob", "little"))
    run(26, 1, BOB, "SWITCH", IDLE[1])
    run(30, 0, ANN, "MARK")
    return run
