# SPDX-License-Identifier: BSD-3-Clause
"""xxHash, 64 bits, over bytes."""
from kpy import Array, Final, Slice, rotl, trunc, u8, u32, u64, wrapping

SIZE: Final = 16384
P1: Final[u64] = 0x9E3779B185EBCA87
P2: Final[u64] = 0xC2B2AE3D27D4EB4F
P3: Final[u64] = 0x165667B19E3779F9
P4: Final[u64] = 0x85EBCA77C2B2AE63
P5: Final[u64] = 0x27D4EB2F165667C5

data: Array[u8, SIZE]


def setup() -> None:
    x: u64 = 1
    for i in range(SIZE):
        x = wrapping(x * 6364136223846793005 + 1442695040888963407)
        data[i] = trunc(u8, x >> 56)


def get64(s: Slice[u8]) -> u64:
    v: u64 = 0
    b = s[:8]
    v = b[0]
    v |= u64(b[1]) << 8
    v |= u64(b[2]) << 16
    v |= u64(b[3]) << 24
    v |= u64(b[4]) << 32
    v |= u64(b[5]) << 40
    v |= u64(b[6]) << 48
    v |= u64(b[7]) << 56
    return v


def get32(s: Slice[u8]) -> u32:
    b = s[:4]
    return u32(b[0]) | u32(b[1]) << 8 | u32(b[2]) << 16 | u32(b[3]) << 24


def step(acc: u64, word: u64) -> u64:
    return wrapping(rotl(acc + word * P2, 31) * P1)


def merge(acc: u64, value: u64) -> u64:
    return wrapping((acc ^ step(0, value)) * P1 + P4)


def xxhash64(s: Slice[u8], seed: u64) -> u64:
    total = len(s)
    if total >= 32:
        v1 = wrapping(seed + P1 + P2)
        v2 = wrapping(seed + P2)
        v3 = seed
        v4 = wrapping(seed - P1)
        while len(s) >= 32:
            v1 = step(v1, get64(s))
            v2 = step(v2, get64(s[8:]))
            v3 = step(v3, get64(s[16:]))
            v4 = step(v4, get64(s[24:]))
            s = s[32:]
        h = wrapping(rotl(v1, 1) + rotl(v2, 7) + rotl(v3, 12) + rotl(v4, 18))
        h = merge(merge(merge(merge(h, v1), v2), v3), v4)
    else:
        h = wrapping(seed + P5)
    h = wrapping(h + total)
    while len(s) >= 8:
        h = wrapping(rotl(h ^ step(0, get64(s)), 27) * P1 + P4)
        s = s[8:]
    if len(s) >= 4:
        h = wrapping(rotl(h ^ get32(s) * P1, 23) * P2 + P3)
        s = s[4:]
    for b in s:
        h = wrapping(rotl(h ^ b * P5, 11) * P1)
    h = wrapping((h ^ h >> 33) * P2)
    h = wrapping((h ^ h >> 29) * P3)
    return h ^ h >> 32


def run(rounds: u64) -> u64:
    h: u64 = 0
    for i in range(rounds):
        h ^= xxhash64(data[: SIZE - (i & 31)], h)
    return h
