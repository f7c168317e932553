# SPDX-License-Identifier: BSD-3-Clause
"""A ring of messages between a producer and a consumer, one CPU."""
from kpy import Array, Final, Ptr, ref, struct, trunc, u32, u64, wrapping

SIZE: Final = 256


@struct
class Message:
    kind: u32
    length: u32
    payload: u64


@struct
class Ring:
    slots: Array[Message, SIZE]
    head: u32
    tail: u32

    def put(self, kind: u32, payload: u64) -> bool:
        if wrapping(self.head - self.tail) == SIZE:
            return False
        m = ref(self.slots[self.head % SIZE])
        m.kind = kind
        m.length = kind & 63
        m.payload = payload
        self.head = wrapping(self.head + 1)
        return True

    def get(self, to: Ptr[Message]) -> bool:
        if self.head == self.tail:
            return False
        m = ref(self.slots[self.tail % SIZE])
        to.kind = m.kind
        to.length = m.length
        to.payload = m.payload
        self.tail = wrapping(self.tail + 1)
        return True


ring: Ring


def setup() -> None:
    ring.head = 0xFFFF_FF00
    ring.tail = 0xFFFF_FF00


def run(rounds: u64) -> u64:
    total: u64 = 0
    seed: u64 = 1
    m: Message
    for _ in range(rounds):
        seed = wrapping(seed * 6364136223846793005 + 1442695040888963407)
        burst = seed >> 56
        for i in range(burst):
            if not ring.put(trunc(u32, i), seed ^ i):
                break
        while ring.get(m):
            total = wrapping(total * 3 + m.payload + m.length)
    return total
