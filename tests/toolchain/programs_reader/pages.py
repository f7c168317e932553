# SPDX-License-Identifier: BSD-3-Clause
"""A page allocator: a bitmap of pages, generic in its size, with a buddy allocator over it."""

from typing import Final

from kpy import (
    Array, ConstVar, Errno, Generic, Iterator, PhysAddr, bits_of, ctz, inline, kprintf, panic, popcount, ref,
    struct, throws, trunc, u8, u32, u64, wrapping,
)

ENOMEM: Final = 12
EINVAL: Final = 22
EBUSY: Final = 16

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PAGES: Final = 256
ORDERS: Final = 9          # blocks of 1 to 256 pages
BASE: Final = PhysAddr(0x100000)

WORDS = ConstVar("WORDS")


@struct
class Bitmap(Generic[WORDS]):
    """A bit for each page; a set bit means the page is taken."""

    words: Array[u64, WORDS]

    def __len__(self) -> u64:
        return WORDS * 64

    def __contains__(self, n: u64) -> bool:
        return (self.words[n // 64] >> (n % 64)) & 1 != 0

    def set(self, n: u64) -> None:
        self.words[n // 64] |= 1 << (n % 64)

    def clear(self, n: u64) -> None:
        self.words[n // 64] &= ~(1 << (n % 64))

    def first_clear(self) -> tuple[bool, u64]:
        for i, word in enumerate(self.words):
            if word != u64.MAX:
                return True, i * 64 + ctz(~word)
        return False, 0

    def count(self) -> u64:
        total: u64 = 0
        for word in self.words:
            total += popcount(word)
        return total

    @inline
    def __iter__(self) -> Iterator[u64]:
        """Every set bit, lowest first."""
        for i in range(WORDS):
            word = self.words[i]
            while word != 0:
                yield i * 64 + ctz(word)
                word &= word - 1


@struct
class Statistics:
    allocations: u32
    frees: u32
    failures: u32
    splits: u32
    merges: u32
    pages: u64
    peak: u64


@struct
class Buddy:
    free: Array[Bitmap[4], ORDERS]      # free[o]: the blocks of order o that are free, by first page
    order_of: Array[u8, PAGES]          # order + 1 of the block taken at this page
    statistics: Statistics

    def reset(self) -> None:
        for order in range(ORDERS):
            for page in range(PAGES):
                self.free[order].clear(page)
        self.order_of[:].fill(0)
        self.statistics = Statistics()
        self.free[ORDERS - 1].set(0)

    @throws
    def alloc(self, order: u8) -> PhysAddr:
        """2**order pages, aligned to their size."""
        if order >= ORDERS:
            raise Errno(EINVAL)
        for found in range(order, ORDERS):
            for page in self.free[found]:
                self.free[found].clear(page)
                while found > order:
                    found -= 1
                    self.free[found].set(page + (1 << found))
                    self.statistics.splits += 1
                self.order_of[page] = order + 1
                self.account(1 << order)
                return BASE + page * PAGE_SIZE
        self.statistics.failures += 1
        raise Errno(ENOMEM)

    def account(self, pages: u64) -> None:
        s = ref(self.statistics)
        s.allocations += 1
        s.pages += pages
        s.peak = max(s.peak, s.pages)

    @throws
    def free_block(self, address: PhysAddr) -> None:
        if address < BASE or bits_of(address) % PAGE_SIZE != 0:
            raise Errno(EINVAL)
        page = (address - BASE) >> PAGE_SHIFT
        if page >= PAGES:
            raise Errno(EINVAL)
        if self.order_of[page] == 0:
            raise Errno(EBUSY)
        order = self.order_of[page] - 1
        self.order_of[page] = 0
        self.statistics.frees += 1
        self.statistics.pages -= 1 << order
        while order < ORDERS - 1:
            buddy = page ^ (u64(1) << order)
            if buddy not in self.free[order]:
                break
            self.free[order].clear(buddy)
            page = min(page, buddy)
            order += 1
            self.statistics.merges += 1
        self.free[order].set(page)

    def free_pages(self) -> u64:
        total: u64 = 0
        for order, bitmap in enumerate(self.free):
            total += bitmap.count() << order
        return total

    def report(self) -> None:
        s = ref(self.statistics)
        kprintf(f"{s.allocations} allocated, {s.frees} freed, {s.failures} failed, {s.splits} splits, ")
        kprintf(f"{s.merges} merges, {s.pages} pages in use, peak {s.peak}\n")
        for order, bitmap in enumerate(self.free):
            if bitmap.count() != 0:
                kprintf(f"  order {order}:")
                for page in bitmap:
                    kprintf(f" {page:#04x}")
                kprintf("\n")


buddy: Buddy


def bitmap_test(a: u64, b: u64) -> u64:
    map: Bitmap[2]
    map.set(a)
    map.set(b)
    sum: u64 = 0
    for n in map:
        sum = sum * 1000 + n
    assert a in map and len(map) == 128, f"{a} is missing"
    map.clear(a)
    assert a not in map
    return sum


def fill_bitmap() -> u64:
    map: Bitmap[1]
    steps: u64 = 0
    while True:
        found, n = map.first_clear()
        if not found:
            break
        map.set(n)
        steps += 1
    return steps * 100 + map.count()


def exercise(order: u8, times: u32) -> u64:
    """Allocate, free every other, report; the pages free at the end."""
    buddy.reset()
    addresses: Array[PhysAddr, 64]
    got: u32 = 0
    try:
        for i in range(times):
            addresses[i] = buddy.alloc(order)
            got += 1
    except Errno as e:
        kprintf(f"errno {e.code} after {got}\n")
    for i in range(0, got, 2):
        try:
            buddy.free_block(addresses[i])
        except Errno as e:
            panic(f"free: {e.code}")
    buddy.report()
    return buddy.free_pages()


def everything_back(seed: u32) -> u64:
    """Random sizes, all freed again: one block of 256 pages must remain."""
    buddy.reset()
    taken: Array[PhysAddr, 32]
    n: u64 = 0
    state = seed
    try:
        while n < len(taken):
            state = wrapping(state * 1664525 + 1013904223)
            taken[n] = buddy.alloc(trunc(u8, state >> 24) % 4)
            n += 1
    except Errno:
        pass
    for address in reversed(taken[:n]):
        try:
            buddy.free_block(address)
        except Errno as e:
            return 10000 + u64(e.code)
    buddy.report()
    return buddy.free[ORDERS - 1].count() * 1000 + n


@throws
def double_free() -> None:
    buddy.reset()
    a = buddy.alloc(3)
    buddy.free_block(a)
    buddy.free_block(a)


@throws
def bad_address(address: u64) -> None:
    buddy.reset()
    buddy.free_block(PhysAddr(address))
