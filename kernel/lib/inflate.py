# SPDX-License-Identifier: BSD-3-Clause
"""zlib streams, decompressed: Huffman codes by table, in memory that the caller brings.

A code of up to FAST bits is found by one look at the next bits: the entry of `fast` there has the
code's length and what it stands for.  Longer codes, which are rare by their nature, are found by
counting: codes of one length are numbers in a row, so a code of n bits is in its row if it is less
than `first + count` of that row (6 lines of arithmetic in place of second tables).

An entry, u32: bits 0-3 length of the code, 0 for none so short; 4-7 extra bits that follow;
8-9 kind; 16-31 a literal, or the base of a length or distance.

Invariants
  I1  Every turn of every loop takes bits of the source or makes bytes of the target: it ends.
  I2  `have` bits of `bits` are from the source; bits beyond the source's end are never used.
  I3  Nothing but `source` is read and nothing but `target` and the Tables written.
Tests     tests/unit/lib/test_inflate.py
Source    RFC 1950 (the stream), RFC 1951 (blocks; section 3.2.2 codes, 3.2.5 lengths, distances);
          the counting is that of Mark Adler's puff.c (idea)
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Ptr,
    Slice,
    comptime,
    inline,
    ref,
    struct,
    throws,
    trunc,
    u8,
    u16,
    u32,
    u64,
    wrapping,
)

from kernel.lib import window
from kernel.lib.errno import EINVAL
from kernel.lib.littleendian import get64

MAX_BITS: Final = 15
FAST: Final = 10
FAST_ENTRIES: Final = 1 << FAST
SYMBOLS: Final = 288

# Kinds of entries
LITERAL: Final = 0
BASE: Final = 1                 # a length or a distance
END: Final = 2                  # of the block
BAD: Final = 3                  # a code that stands for nothing

CODE_ORDER: Final[Array[u8, 19]] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]


@comptime
def make_literals() -> Array[u32, 288]:
    """By symbol: the entry, without its code's length."""
    made = [n << 16 for n in range(256)] + [2 << 8]
    base = 3
    for n in range(28):
        extra = 0 if n < 8 else n // 4 - 1
        made.append(base << 16 | 1 << 8 | extra << 4)
        base += 1 << extra
    made.append(258 << 16 | 1 << 8)
    return [*made, 3 << 8, 3 << 8]


@comptime
def make_distances() -> Array[u32, 32]:
    """The same of distances."""
    made, base = [], 1
    for n in range(30):
        extra = 0 if n < 4 else n // 2 - 1
        made.append(base << 16 | 1 << 8 | extra << 4)
        base += 1 << extra
    return [*made, 3 << 8, 3 << 8]


@comptime
def make_lengths() -> Array[u32, 19]:
    """The same of the code lengths of a dynamic block: the symbol itself."""
    return [n << 16 for n in range(19)]


LITERALS: Final[Array[u32, 288]] = make_literals()
DISTANCES: Final[Array[u32, 32]] = make_distances()
LENGTHS: Final[Array[u32, 19]] = make_lengths()


@struct
class Code:
    """A Huffman code, ready for decoding."""
    fast: Array[u32, FAST_ENTRIES]      # by the next FAST bits
    count: Array[u16, 16]               # codes of each length
    sorted: Array[u32, SYMBOLS]         # entries in the order of their codes


@struct
class Tables:
    """What inflate() needs of memory, 12 KB."""
    literals: Code
    distances: Code
    lengths: Array[u8, 320]


@struct
class Reader:
    """The source, bit by bit."""
    source: Slice[u8]
    at: u64                 # the next byte to take
    bits: u64
    have: u64               # I2

    @inline
    def refill(self) -> None:
        """Have at least 56 bits, or all that there are."""
        if len(self.source) - self.at >= 8:
            self.bits |= wrapping(get64(self.source, self.at) << self.have)
            self.at += (63 - self.have) >> 3
            self.have |= 56
        else:
            self.refill_end()

    def refill_end(self) -> None:
        """Near the end of the source, byte by byte."""
        while self.have <= 55 and self.at < len(self.source):
            self.bits |= u64(self.source[self.at]) << self.have
            self.at += 1
            self.have += 8

    @inline
    @throws
    def take(self, count: u64) -> u64:
        """The next `count` bits, at most 32."""
        if count > self.have:
            raise Errno(EINVAL)
        found = self.bits & ((u64(1) << count) - 1)
        self.bits >>= count
        self.have -= count
        return found

    @throws
    def need(self, count: u64) -> u64:
        """refill() and take()."""
        self.refill()
        return self.take(count)

    def to_byte(self) -> None:
        """Go on at the next whole byte, with no bits held."""
        self.at -= self.have >> 3
        self.bits = 0
        self.have = 0


@throws
def inflate(source: Slice[u8], target: Slice[u8], tables: Ptr[Tables]) -> u64:
    """Decompress a zlib stream; what follows it in `source` is ignored.

    Returns  how many bytes of `target` it filled.
    Errors   EINVAL: it is no stream, its checksum is wrong, or it has more than `target` holds.
    """
    if len(source) < 6 or source[0] & 15 != 8 or source[0] >> 4 > 7 or source[1] & 0x20 != 0 \
            or (u32(source[0]) << 8 | source[1]) % 31 != 0:
        raise Errno(EINVAL)
    reader = Reader(source=source, at=2)
    made: u64 = 0
    last = False
    while not last:
        head = reader.need(3)
        last = head & 1 != 0
        match head >> 1:
            case 0:
                made = _stored(reader, target, made)
            case 1:
                _fixed(tables)
                made = _block(reader, target, made, tables)
            case 2:
                _dynamic(reader, tables)
                made = _block(reader, target, made, tables)
            case _:
                raise Errno(EINVAL)
    reader.to_byte()
    at = reader.at
    if len(source) - at < 4:
        raise Errno(EINVAL)
    wanted = (u32(source[at]) << 24 | u32(source[at + 1]) << 16 | u32(source[at + 2]) << 8
              | source[at + 3])
    if adler32(target[:made]) != wanted:
        raise Errno(EINVAL)
    return made


ADLER_MODULUS: Final[u32] = 65521
ADLER_RUN: Final = 5552         # the most bytes whose sums fit 32 bits


def adler32(data: Slice[u8]) -> u32:
    """The checksum of RFC 1950, section 8.2."""
    a: u32 = 1
    b: u32 = 0
    rest = data
    while len(rest) != 0:
        run = rest[:min(len(rest), ADLER_RUN)]
        for byte in run:
            a = wrapping(a + byte)
            b = wrapping(b + a)
        a %= ADLER_MODULUS
        b %= ADLER_MODULUS
        rest = rest[len(run):]
    return b << 16 | a


# --- Blocks --------------------------------------------------------------------------------


@throws
def _stored(reader: Ptr[Reader], target: Slice[u8], made: u64) -> u64:
    """RFC 1951, 3.2.4."""
    reader.to_byte()
    sizes = reader.need(32)
    size = sizes & 0xFFFF
    if size != (~sizes >> 16) & 0xFFFF:
        raise Errno(EINVAL)
    reader.to_byte()
    if not window.literals(target, made, reader.source, reader.at, size):
        raise Errno(EINVAL)
    reader.at += size
    return made + size


@throws
def _block(reader: Ptr[Reader], target: Slice[u8], start: u64, tables: Ptr[Tables]) -> u64:
    """The literals and matches of a block, to its end; returns what is made then."""
    # The reader's state is kept in locals, and the tables as slices: this is where the time goes.
    source = reader.source
    at = reader.at
    bits = reader.bits
    have = reader.have
    literals = tables.literals.fast[:]
    distances = tables.distances.fast[:]
    made = start
    while True:
        # 48 bits are the most that a length and a distance take with their extra bits.
        if have < 48:
            if len(source) - at >= 8:
                bits |= wrapping(get64(source, at) << have)
                at += (63 - have) >> 3
                have |= 56
            else:
                while have <= 55 and at < len(source):
                    bits |= u64(source[at]) << have
                    at += 1
                    have += 8
        entry = literals[bits & (FAST_ENTRIES - 1)]
        if entry & 15 == 0:
            entry = _slow(tables.literals, bits)
        used = entry & 15
        if used > have:
            raise Errno(EINVAL)
        bits >>= used
        have -= used
        kind = entry >> 8 & 3
        if kind == LITERAL:
            if made >= len(target):
                raise Errno(EINVAL)
            target[made] = trunc(u8, entry >> 16)
            made += 1
            continue
        if kind != BASE:
            if kind == BAD:
                raise Errno(EINVAL)
            break
        extra = entry >> 4 & 15
        count = u64(entry >> 16) + (bits & ((u64(1) << extra) - 1))
        entry = distances[(bits >> extra) & (FAST_ENTRIES - 1)]
        if entry & 15 == 0:
            entry = _slow(tables.distances, bits >> extra)
        used = extra + (entry & 15)
        more = entry >> 4 & 15
        if used + more > have or entry >> 8 & 3 == BAD:
            raise Errno(EINVAL)
        distance = u64(entry >> 16) + ((bits >> used) & ((u64(1) << more) - 1))
        bits >>= used + more
        have -= used + more
        if not window.repeat(target, made, distance, count):
            raise Errno(EINVAL)
        made += count
    reader.at = at
    reader.bits = bits
    reader.have = have
    return made


def _fixed(tables: Ptr[Tables]) -> None:
    """The codes of RFC 1951, 3.2.6."""
    lengths = tables.lengths[:]
    lengths[:144].fill(8)
    lengths[144:256].fill(9)
    lengths[256:280].fill(7)
    lengths[280:288].fill(8)
    _build(tables.literals, lengths[:288], LITERALS)
    lengths[:32].fill(5)
    _build(tables.distances, lengths[:32], DISTANCES)


@throws
def _dynamic(reader: Ptr[Reader], tables: Ptr[Tables]) -> None:
    """The codes that a block brings: RFC 1951, 3.2.7."""
    head = reader.need(14)
    literals = (head & 31) + 257
    distances = (head >> 5 & 31) + 1
    if literals > 286 or distances > 30:
        raise Errno(EINVAL)
    lengths = tables.lengths[:]
    lengths[:19].fill(0)
    for order in CODE_ORDER[:(head >> 10) + 4]:
        lengths[order] = trunc(u8, reader.need(3))
    code = ref(tables.literals)
    if not _build(code, lengths[:19], LENGTHS):
        raise Errno(EINVAL)
    total = literals + distances
    i: u64 = 0
    while i < total:
        reader.refill()
        entry = code.fast[reader.bits & (FAST_ENTRIES - 1)]
        if entry & 15 == 0:                 # these codes have 7 bits at most
            raise Errno(EINVAL)
        reader.take(entry & 15)
        symbol = entry >> 16
        if symbol < 16:
            lengths[i] = trunc(u8, symbol)
            i += 1
            continue
        value: u8 = 0
        count: u64 = 0
        if symbol == 16:
            if i == 0:
                raise Errno(EINVAL)
            value = lengths[i - 1]
            count = 3 + reader.take(2)
        elif symbol == 17:
            count = 3 + reader.take(3)
        else:
            count = 11 + reader.take(7)
        if count > total - i:
            raise Errno(EINVAL)
        lengths[i:i + count].fill(value)
        i += count
    if lengths[256] == 0 or not _build(code, lengths[:literals], LITERALS) \
            or not _build(tables.distances, lengths[literals:total], DISTANCES):
        raise Errno(EINVAL)


# --- Codes ---------------------------------------------------------------------------------


def _build(code: Ptr[Code], lengths: Slice[u8], entries: Slice[u32]) -> bool:
    """Make the tables of the code with these lengths, by symbol; False if there is no such code.

    As zlib does it takes an incomplete code only of one symbol, or none.
    """
    code.count[:].fill(0)
    for length in lengths:
        code.count[length] += 1
    unused = len(lengths) - code.count[0]
    code.count[0] = 0
    left: u64 = 1
    next_code: Array[u64, 16]
    next_index: Array[u64, 16]
    number: u64 = 0
    index: u64 = 0
    for n in range(1, 16):
        count = u64(code.count[n])
        left <<= 1
        if count > left:
            return False
        left -= count
        number <<= 1
        next_code[n] = number
        next_index[n] = index
        number += count
        index += count
    if left != 0 and (unused > 1 or unused != code.count[1]):
        return False
    code.fast[:].fill(0)
    for symbol, length in enumerate(lengths):
        if length != 0:
            entry = entries[symbol] | length
            code.sorted[next_index[length]] = entry
            next_index[length] += 1
            if length <= FAST:
                _enter(code, _reversed(next_code[length], length), length, entry)
            next_code[length] += 1
    return True


def _enter(code: Ptr[Code], first: u64, length: u8, entry: u32) -> None:
    """Every look whose lowest `length` bits are `first`."""
    step = u64(1) << length
    look = first
    while look < FAST_ENTRIES:
        code.fast[look] = entry
        look += step


def _reversed(number: u64, count: u8) -> u64:
    """The lowest `count` bits, the other way round: codes come highest bit first."""
    result: u64 = 0
    for i in range(count):
        result = result << 1 | (number >> i & 1)
    return result


def _slow(code: Ptr[Code], bits: u64) -> u32:
    """The entry of the code that `bits` begin with; with length 15, BAD, if there is none."""
    number: u64 = 0
    first: u64 = 0
    index: u64 = 0
    for n in range(1, MAX_BITS + 1):
        number = number << 1 | (bits >> (n - 1) & 1)
        count = u64(code.count[n])
        if number < first + count:
            return code.sorted[index + (number - first)]
        index += count
        first = (first + count) << 1
    return BAD << 8 | MAX_BITS
