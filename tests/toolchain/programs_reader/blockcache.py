# SPDX-License-Identifier: BSD-3-Clause
"""A small block cache: hash buckets, least recently used out first, every block checked by its CRC."""

from typing import Final

from kpy import (
    Array, Atomic, Errno, Iterator, Ptr, Slice, be32, bytes_of, comptime, enum, forbids_blocking,
    inline, kprintf, le32, le64, ref, relaxed, sizeof, static_assert, struct, throws, trunc, u8, u32, u64, wrapping,
)

EIO: Final = 5
EBUSY: Final = 16
EINVAL: Final = 22
EILSEQ: Final = 84

BLOCK_SIZE: Final = 64
BUFFERS: Final = 4
BUCKETS: Final = 8
DISK_BLOCKS: Final = 32
MAGIC: Final = 0x4B425546


@comptime
def make_crc_table(polynomial):
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (polynomial if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE: Final[Array[u32, 256]] = make_crc_table(0xEDB88320)

static_assert(CRC_TABLE[1] == 0x77073096, "the table of zlib")


def crc32(data: Slice[u8], crc: u32 = 0) -> u32:
    crc = ~crc
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return ~crc


@struct(packed=True, size=16)
class Header:
    magic: le32
    checksum: be32
    number: le64


@struct
class DiskBlock:
    header: Header
    data: Array[u8, BLOCK_SIZE]


static_assert(sizeof(DiskBlock) == 80)


@struct
class SpinLock:
    held: Atomic[u32]
    taken: u64

    @forbids_blocking
    def __enter__(self) -> None:
        while not self.held.cas(0, 1):
            pass
        self.taken += 1

    def __exit__(self) -> None:
        assert self.held.load(order=relaxed) == 1, "not locked"
        self.held.store_release(0)


@enum(u8)
class State:
    EMPTY = 0
    CLEAN = 1
    DIRTY = 2


@struct
class Buffer:
    hash_next: "Ptr[Buffer] | None"
    newer: "Ptr[Buffer] | None"
    older: "Ptr[Buffer] | None"
    number: u64
    references: u32
    state: State
    data: Array[u8, BLOCK_SIZE]


@struct
class Statistics:
    hits: u64
    misses: u64
    evictions: u64
    writebacks: u64
    errors: u64

    @property
    def ratio(self) -> u64:
        """Hits per hundred."""
        total = self.hits + self.misses
        return self.hits * 100 // total if total != 0 else 0


disk: Array[DiskBlock, DISK_BLOCKS]


@throws
def disk_read(number: u64, into: Slice[u8]) -> None:
    block = ref(disk[number])
    if u32(block.header.magic) != MAGIC or u64(block.header.number) != number:
        raise Errno(EIO)
    if crc32(block.data) != u32(block.header.checksum):
        raise Errno(EILSEQ)
    into.copy_from(block.data)


@throws
def disk_write(number: u64, data: Slice[u8]) -> None:
    if number >= DISK_BLOCKS:
        raise Errno(EIO)
    block = ref(disk[number])
    block.header = Header(magic=MAGIC, checksum=be32(crc32(data)), number=le64(number))
    block.data[:].copy_from(data)


@struct
class Cache:
    lock: SpinLock
    buckets: Array[Ptr[Buffer] | None, BUCKETS]
    buffers: Array[Buffer, BUFFERS]
    newest: Ptr[Buffer] | None
    oldest: Ptr[Buffer] | None
    stats: Statistics

    def init(self) -> None:
        for buffer in self.buffers:
            self.make_newest(buffer)

    def make_newest(self, buffer: Ptr[Buffer]) -> None:
        buffer.older = self.newest
        buffer.newer = None
        if self.newest is not None:
            self.newest.newer = buffer
        else:
            self.oldest = buffer
        self.newest = buffer

    def unlink(self, buffer: Ptr[Buffer]) -> None:
        if buffer.newer is None:
            self.newest = buffer.older
        else:
            buffer.newer.older = buffer.older
        if buffer.older is None:
            self.oldest = buffer.newer
        else:
            buffer.older.newer = buffer.newer

    @inline
    def by_age(self) -> Iterator[Ptr[Buffer]]:
        """Oldest first."""
        buffer = self.oldest
        while buffer is not None:
            yield buffer
            buffer = buffer.newer

    def bucket(self, number: u64) -> u64:
        return wrapping(number * 0x9E3779B97F4A7C15) >> 61

    def lookup(self, number: u64) -> Ptr[Buffer] | None:
        buffer = self.buckets[self.bucket(number)]
        while buffer is not None and buffer.number != number:
            buffer = buffer.hash_next
        return buffer

    def unhash(self, victim: Ptr[Buffer]) -> None:
        bucket = self.bucket(victim.number)
        before: Ptr[Buffer] | None = None
        buffer = self.buckets[bucket]
        while buffer is not None and buffer is not victim:
            before = buffer
            buffer = buffer.hash_next
        assert buffer is victim, "not in its bucket"
        if before is None:
            self.buckets[bucket] = victim.hash_next
        else:
            before.hash_next = victim.hash_next

    @throws
    def victim(self) -> Ptr[Buffer]:
        for buffer in self.by_age():
            if buffer.references == 0:
                if buffer.state != State.EMPTY:
                    if buffer.state == State.DIRTY:
                        disk_write(buffer.number, buffer.data)
                        self.stats.writebacks += 1
                    self.unhash(buffer)
                    self.stats.evictions += 1
                    buffer.state = State.EMPTY
                return buffer
        raise Errno(EBUSY)

    @throws
    def get(self, number: u64) -> Ptr[Buffer]:
        if number >= DISK_BLOCKS:
            raise Errno(EINVAL)
        with self.lock:
            buffer = self.lookup(number)
            if buffer is not None:
                self.stats.hits += 1
            else:
                self.stats.misses += 1
                buffer = self.victim()
                try:
                    disk_read(number, buffer.data)
                except Errno as e:
                    self.stats.errors += 1
                    kprintf(f"block {number}: errno {e.code}\n")
                    raise
                buffer.number = number
                buffer.state = State.CLEAN
                buffer.hash_next = self.buckets[self.bucket(number)]
                self.buckets[self.bucket(number)] = buffer
            self.unlink(buffer)
            self.make_newest(buffer)
            buffer.references += 1
            return buffer

    def put(self, buffer: Ptr[Buffer]) -> None:
        with self.lock:
            assert buffer.references > 0
            buffer.references -= 1

    @throws
    def flush(self) -> u32:
        count: u32 = 0
        with self.lock:
            for buffer in self.buffers:
                if buffer.state == State.DIRTY:
                    disk_write(buffer.number, buffer.data)
                    buffer.state = State.CLEAN
                    count += 1
        return count

    def report(self) -> None:
        s = ref(self.stats)
        kprintf(f"{s.hits:>6} hits {s.misses:>6} misses ({s.ratio}%), {s.evictions} evictions, ")
        kprintf(f"{s.writebacks} written back, {s.errors} errors, lock taken {self.lock.taken} times\n")
        for buffer in self.by_age():
            kprintf(f"  {buffer.number:>3} {buffer.state} {buffer.references} {crc32(buffer.data):#010x}\n")


cache: Cache


@throws
def format() -> None:
    global cache
    block: Array[u8, BLOCK_SIZE]
    for n in range(DISK_BLOCKS):
        for i in range(BLOCK_SIZE):
            block[i] = trunc(u8, n * 7 + i)
        disk_write(n, block)
    cache = Cache()
    cache.init()


@throws
def increment(number: u64) -> u8:
    """Add one to a block's first byte."""
    buffer = cache.get(number)
    try:
        buffer.data[0] = wrapping(buffer.data[0] + 1)
        buffer.state = State.DIRTY
        return buffer.data[0]
    finally:
        cache.put(buffer)


@throws
def run(numbers: Slice[u8]) -> u64:
    format()
    sum: u64 = 0
    for n in numbers:
        sum += increment(n)
    cache.report()
    assert cache.lock.held.load() == 0
    return sum


@throws
def damage(number: u64, byte: u64) -> u64:
    """Spoil a byte on the disk; the read must notice, let go of the lock, and leave the cache usable."""
    format()
    disk[number].data[byte] ^= 0x40
    try:
        return increment(number)
    except Errno as e:
        code = u64(e.code)
    assert cache.lock.held.load() == 0, "the lock was kept"
    disk[number].data[byte] ^= 0x40
    return code * 1000 + increment(number)


@throws
def busy() -> u64:
    """With every buffer in use there is no victim."""
    format()
    held: Array[Ptr[Buffer] | None, BUFFERS]
    for i in range(BUFFERS):
        held[i] = cache.get(i)
    code: u64 = 0
    try:
        cache.get(BUFFERS)
    except Errno as e:
        code = u64(e.code)
    for buffer in held:
        if buffer is not None:
            cache.put(buffer)
    cache.get(BUFFERS)
    return code * 100 + u64(cache.flush())


def checksum(data: Slice[u8]) -> u32:
    return crc32(data)


@throws
def header_checksum(number: u64) -> u32:
    """The CRC of the header's own bytes."""
    format()
    return crc32(bytes_of(disk[number].header))
