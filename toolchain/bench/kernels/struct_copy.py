# SPDX-License-Identifier: BSD-3-Clause
"""Records copied whole between two tables, one field changed on the way."""
from kpy import Array, Final, copy, ref, struct, trunc, u8, u16, u32, u64, wrapping

COUNT: Final = 512


@struct
class Record:
    id: u64
    flags: u32
    kind: u16
    level: u8
    name: Array[u8, 33]
    blocks: Array[u64, 8]


first: Array[Record, COUNT]
second: Array[Record, COUNT]


def setup() -> None:
    for i in range(COUNT):
        r = ref(first[i])
        r.id = i
        r.flags = u32(i * 3)
        r.kind = trunc(u16, i)
        r.level = 0
        for k in range(33):
            r.name[k] = trunc(u8, i + k)
        for k in range(8):
            r.blocks[k] = i * k


def run(rounds: u64) -> u64:
    total: u64 = 0
    for n in range(rounds):
        for i in range(COUNT):
            copy(second[(i * 5) % COUNT], first[i])
            second[(i * 5) % COUNT].blocks[n % 8] = wrapping(n + i)
        for i in range(COUNT):
            copy(first[i], second[i])
            total = wrapping(total * 3 + first[i].blocks[i % 8] + first[i].name[n % 33])
    return total
