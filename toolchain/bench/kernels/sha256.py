# SPDX-License-Identifier: BSD-3-Clause
"""SHA-256 of whole blocks."""
from kpy import Array, Final, Slice, comptime, copy, rotr, trunc, u8, u32, u64, wrapping

BLOCKS: Final = 64


@comptime
def constants() -> Array[u32, 64]:
    """The first 32 bits of the fractional parts of the cube roots of the first 64 primes."""
    primes = [n for n in range(2, 312) if all(n % d for d in range(2, n))]
    found = []
    for p in primes:
        low = 0
        while (low + (1 << 40)) ** 3 <= p << 96:
            low += 1 << 40
        for bit in range(39, -1, -1):
            if (low + (1 << bit)) ** 3 <= p << 96:
                low += 1 << bit
        found.append(low & 0xFFFFFFFF)
    return found


K: Final[Array[u32, 64]] = constants()
data: Array[u8, BLOCKS * 64]
state: Array[u32, 8]


def setup() -> None:
    x: u64 = 1
    for i in range(BLOCKS * 64):
        x = wrapping(x * 6364136223846793005 + 1442695040888963407)
        data[i] = trunc(u8, x >> 56)


def block(h: Slice[u32], p: Slice[u8]) -> None:
    w: Array[u32, 64]
    for i in range(16):
        b = p[i * 4:i * 4 + 4]
        w[i] = u32(b[0]) << 24 | u32(b[1]) << 16 | u32(b[2]) << 8 | u32(b[3])
    for i in range(16, 64):
        s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3
        s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10
        w[i] = wrapping(w[i - 16] + s0 + w[i - 7] + s1)
    a = h[0]
    b_ = h[1]
    c = h[2]
    d = h[3]
    e = h[4]
    f = h[5]
    g = h[6]
    k = h[7]
    for i in range(64):
        s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)
        choice = (e & f) ^ (~e & g)
        t1 = wrapping(k + s1 + choice + K[i] + w[i])
        s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)
        t2 = wrapping(s0 + ((a & b_) ^ (a & c) ^ (b_ & c)))
        k = g
        g = f
        f = e
        e = wrapping(d + t1)
        d = c
        c = b_
        b_ = a
        a = wrapping(t1 + t2)
    h[0] = wrapping(h[0] + a)
    h[1] = wrapping(h[1] + b_)
    h[2] = wrapping(h[2] + c)
    h[3] = wrapping(h[3] + d)
    h[4] = wrapping(h[4] + e)
    h[5] = wrapping(h[5] + f)
    h[6] = wrapping(h[6] + g)
    h[7] = wrapping(h[7] + k)


def run(rounds: u64) -> u64:
    initial: Array[u32, 8] = [
        0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
        0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
    copy(state, initial)
    for _ in range(rounds):
        for i in range(BLOCKS):
            block(state[:], data[i * 64:i * 64 + 64])
    return u64(state[0]) << 32 | state[7]
