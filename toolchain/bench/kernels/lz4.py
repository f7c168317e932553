# SPDX-License-Identifier: BSD-3-Clause
"""LZ4 block decompression; the block is made by setup(), greedily."""
from kpy import Array, Final, Slice, trunc, u8, u32, u64, wrapping

SIZE: Final = 65536
BOUND: Final = 70000

plain: Array[u8, SIZE]
packed: Array[u8, BOUND]
output: Array[u8, SIZE]
hashes: Array[u32, 4096]
packed_size: u64 = 0


def word_at(s: Slice[u8], i: u64) -> u32:
    return u32(s[i]) | u32(s[i + 1]) << 8 | u32(s[i + 2]) << 16 | u32(s[i + 3]) << 24


def put_length(n: u64, at: u64) -> u64:
    while n >= 255:
        packed[at] = 255
        at += 1
        n -= 255
    packed[at] = u8(n)
    return at + 1


def emit(literal: u64, end: u64, offset: u64, match: u64, at: u64) -> u64:
    """One sequence: plain[literal:end], then `match` bytes from `offset` back (0: the last)."""
    count = end - literal
    token = at
    at += 1
    if count >= 15:
        at = put_length(count - 15, at)
    for i in range(literal, end):
        packed[at] = plain[i]
        at += 1
    high: u64 = min(count, 15)
    low: u64 = 0
    if offset != 0:
        packed[at] = trunc(u8, offset)
        packed[at + 1] = trunc(u8, offset >> 8)
        at += 2
        low = min(match - 4, 15)
        if low == 15:
            at = put_length(match - 4 - 15, at)
    packed[token] = u8(high << 4 | low)
    return at


def compress() -> u64:
    at: u64 = 0
    literal: u64 = 0
    i: u64 = 0
    while i + 12 < SIZE:
        word = word_at(plain[:], i)
        slot = wrapping(word * 2654435761) >> 20
        candidate = u64(hashes[slot])
        hashes[slot] = u32(i + 1)
        if candidate != 0 and i + 1 - candidate < 65536 and (
                word_at(plain[:], candidate - 1) == word):
            start = candidate - 1
            length: u64 = 4
            while i + length + 5 < SIZE and plain[start + length] == plain[i + length]:
                length += 1
            at = emit(literal, i, i - start, length, at)
            i += length
            literal = i
        else:
            i += 1
    return emit(literal, SIZE, 0, 0, at)


def setup() -> None:
    global packed_size
    x: u64 = 1
    for i in range(SIZE):
        if i % 64 == 0:
            x = wrapping(x * 6364136223846793005 + 1442695040888963407)
        n = (x >> (i % 48)) & 15
        plain[i] = u8(97 + n) if i % 61 < 40 or i < 128 else plain[i - 101]
    for i in range(4096):
        hashes[i] = 0
    packed_size = compress()


def decompress(src: Slice[u8], dst: Slice[u8]) -> u64:
    i: u64 = 0
    o: u64 = 0
    while i < len(src):
        token = src[i]
        i += 1
        count = u64(token >> 4)
        if count == 15:
            while True:
                more = src[i]
                i += 1
                count += more
                if more != 255:
                    break
        dst[o:o + count].copy_from(src[i:i + count])
        i += count
        o += count
        if i >= len(src):
            break
        offset = u64(src[i]) | u64(src[i + 1]) << 8
        i += 2
        match = u64(token & 15)
        if match == 15:
            while True:
                more = src[i]
                i += 1
                match += more
                if more != 255:
                    break
        match += 4
        to = dst[o:o + match]
        back = dst[o - offset:o - offset + match]
        for k in range(match):
            to[k] = back[k]
        o += match
    return o


def run(rounds: u64) -> u64:
    total: u64 = 0
    for _ in range(rounds):
        n = decompress(packed[:packed_size], output[:])
        assert n == SIZE
        total = wrapping(total * 31 + packed_size + output[SIZE // 2 + 5])
    for i in range(SIZE):
        assert output[i] == plain[i]
    return total
