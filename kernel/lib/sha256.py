# SPDX-License-Identifier: BSD-3-Clause
"""SHA-256, in pieces or at once.

    state = sha256.Sha256()
    state.begin()
    state.update(data)
    state.finish(digest)

Invariants
  S1  pending[:length % 64] is what has not been mixed in yet.
Tests     tests/unit/lib/test_checksums.py
Source    FIPS PUB 180-4, sections 4.1.2, 4.2.2, 5.3.3, 6.2
"""
from typing import Final

from kpy import (
    Array,
    Slice,
    comptime,
    copy,
    inline,
    rotr,
    struct,
    trunc,
    u8,
    u32,
    u64,
    wrapping,
)

BLOCK_BYTES: Final = 64
DIGEST_BYTES: Final = 32


@comptime
def make_constants() -> Array[u32, 64]:
    """The first 32 bits of the fractional parts of the cube roots of the first 64 primes."""
    primes = [n for n in range(2, 312) if all(n % d for d in range(2, n))]
    found = []
    for p in primes:
        root = 0
        for bit in range(42, -1, -1):
            if (root + (1 << bit)) ** 3 <= p << 96:
                root += 1 << bit
        found.append(root & 0xFFFFFFFF)
    return found


K: Final[Array[u32, 64]] = make_constants()
INITIAL: Final[Array[u32, 8]] = [
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]


@struct
class Sha256:
    """A hash under way."""
    h: Array[u32, 8]
    length: u64                         # bytes so far
    pending: Array[u8, BLOCK_BYTES]     # S1

    def begin(self) -> None:
        """Start anew."""
        copy(self.h, INITIAL)
        self.length = 0

    def update(self, data: Slice[u8]) -> None:
        """Go on with `data`."""
        rest = data
        used = self.length % BLOCK_BYTES
        self.length += len(data)
        if used != 0:
            take = min(BLOCK_BYTES - used, len(rest))
            self.pending[used:used + take].copy_from(rest[:take])
            rest = rest[take:]
            if used + take < BLOCK_BYTES:
                return
            _mix(self.h, self.pending)
        while len(rest) >= BLOCK_BYTES:
            _mix(self.h, rest[:BLOCK_BYTES])
            rest = rest[BLOCK_BYTES:]
        self.pending[:len(rest)].copy_from(rest)

    def finish(self, digest: Slice[u8]) -> None:
        """The hash, to digest[:32].  After this only begin() makes sense."""
        used = self.length % BLOCK_BYTES
        self.pending[used] = 0x80
        self.pending[used + 1:].fill(0)
        if used + 9 > BLOCK_BYTES:
            _mix(self.h, self.pending)
            self.pending[:].fill(0)
        for i in range(8):
            self.pending[BLOCK_BYTES - 1 - i] = trunc(u8, (self.length << 3) >> (i * 8))
        _mix(self.h, self.pending)
        for i in range(8):
            for k in range(4):
                digest[i * 4 + k] = trunc(u8, self.h[i] >> (24 - k * 8))


def sha256(data: Slice[u8], digest: Slice[u8]) -> None:
    """The hash of `data`, to digest[:32]."""
    state = Sha256()
    state.begin()
    state.update(data)
    state.finish(digest)


@inline
def _be32(data: Slice[u8], at: u64) -> u32:
    b = data[at:at + 4]
    return u32(b[0]) << 24 | u32(b[1]) << 16 | u32(b[2]) << 8 | u32(b[3])


def _mix(h: Slice[u32], data: Slice[u8]) -> None:
    """One block into the state: FIPS 180-4, section 6.2.2; the names are its own."""
    w: Array[u32, 64]
    for i in range(16):
        w[i] = _be32(data, i * 4)
    for i in range(16, 64):
        s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3
        s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10
        w[i] = wrapping(w[i - 16] + s0 + w[i - 7] + s1)
    a = h[0]
    b = h[1]
    c = h[2]
    d = h[3]
    e = h[4]
    f = h[5]
    g = h[6]
    k = h[7]
    for i in range(64):
        t1 = wrapping(k + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g))
                      + K[i] + w[i])
        t2 = wrapping((rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c)))
        k = g
        g = f
        f = e
        e = wrapping(d + t1)
        d = c
        c = b
        b = a
        a = wrapping(t1 + t2)
    h[0] = wrapping(h[0] + a)
    h[1] = wrapping(h[1] + b)
    h[2] = wrapping(h[2] + c)
    h[3] = wrapping(h[3] + d)
    h[4] = wrapping(h[4] + e)
    h[5] = wrapping(h[5] + f)
    h[6] = wrapping(h[6] + g)
    h[7] = wrapping(h[7] + k)
