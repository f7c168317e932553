# SPDX-License-Identifier: BSD-3-Clause
"""An LRU cache with a hash table and an intrusive list, driven by a little command language.

    set NAME VALUE; get NAME; del NAME; stat
"""
from typing import Final, Generic, TypeVar, Union

from kpy import (
    Array, Errno, FieldVar, Iterator, Ptr, Slice, comptime, copy, field, i64, inline, kprintf, ref,
    struct, throws, trunc, u8, u32, u64, wrapping,
)

ENOENT: Final = 2
EINVAL: Final = 22
ENAMETOOLONG: Final = 36
CAPACITY: Final = 4
BUCKETS: Final = 8
NAME_MAX: Final = 12

T = TypeVar("T")
F = FieldVar("F")


@comptime
def mixing():
    table = []
    x = 0x9E3779B9
    for i in range(256):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        table.append(x)
    return table


MIX: Final[Array[u32, 256]] = mixing()


@struct
class Link(Generic[T]):
    next: Ptr[T] | None
    prev: Ptr[T] | None


@struct
class List(Generic[T, F]):
    """Doubly linked; most recently used first."""
    first: Ptr[T] | None
    last: Ptr[T] | None
    count: u32

    def push_front(self, item: Ptr[T]) -> None:
        old = self.first
        field(item, F).next = old
        field(item, F).prev = None
        if old is None:
            self.last = item
        else:
            field(old, F).prev = item
        self.first = item
        self.count += 1

    def remove(self, item: Ptr[T]) -> None:
        after = field(item, F).next
        before = field(item, F).prev
        if before is None:
            self.first = after
        else:
            field(before, F).next = after
        if after is None:
            self.last = before
        else:
            field(after, F).prev = before
        self.count -= 1

    @inline
    def __iter__(self) -> Iterator[Ptr[T]]:
        item = self.first
        while item is not None:
            following = field(item, F).next
            yield item
            item = following

    def __len__(self) -> u64:
        return self.count


@struct
class Entry:
    lru: "Link[Entry]"
    chain: "Link[Entry]"
    name: Array[u8, NAME_MAX]
    length: u8
    value: i64
    hits: u32

    def text(self) -> Slice[u8]:
        return self.name[:self.length]


@struct
class Cache:
    entries: Array[Entry, CAPACITY]
    free: List[Entry, "lru"]
    used: List[Entry, "lru"]
    buckets: Array[List[Entry, "chain"], BUCKETS]
    evicted: u32
    ready: bool

    def start(self) -> None:
        if self.ready:
            return
        for entry in self.entries:
            self.free.push_front(entry)
        self.ready = True

    def find(self, name: Slice[u8]) -> Ptr[Entry] | None:
        for entry in self.bucket(name):
            if entry.text() == name:
                return entry
        return None

    def bucket(self, name: Slice[u8]) -> "Ptr[List[Entry, 'chain']]":
        return ref(self.buckets[hash_of(name) % BUCKETS])

    @throws
    def get(self, name: Slice[u8]) -> i64:
        entry = self.find(name)
        if entry is None:
            raise Errno(ENOENT)
        self.used.remove(entry)
        self.used.push_front(entry)
        entry.hits += 1
        return entry.value

    @throws
    def set(self, name: Slice[u8], value: i64) -> bool:
        """Whether it is new."""
        if len(name) > NAME_MAX:
            raise Errno(ENAMETOOLONG)
        entry = self.find(name)
        if entry is not None:
            entry.value = value
            return False
        if self.free.first is None:
            self.evict()
        fresh = self.free.first
        assert fresh is not None, "evict() frees one"
        self.free.remove(fresh)
        fresh.name[:len(name)].copy_from(name)
        fresh.length = u8(len(name))
        fresh.value = value
        fresh.hits = 0
        self.used.push_front(fresh)
        self.bucket(name).push_front(fresh)
        return True

    @throws
    def delete(self, name: Slice[u8]) -> None:
        entry = self.find(name)
        if entry is None:
            raise Errno(ENOENT)
        self.drop(entry)

    def evict(self) -> None:
        if self.used.last is not None:
            self.drop(self.used.last)
            self.evicted += 1

    def drop(self, entry: Ptr[Entry]) -> None:
        self.bucket(entry.text()).remove(entry)
        self.used.remove(entry)
        self.free.push_front(entry)


def hash_of(name: Slice[u8]) -> u32:
    h: u32 = 2166136261
    for c in name:
        h = wrapping((h ^ c) * 16777619) ^ MIX[trunc(u8, h)]
    return h


@struct
class Set:
    name: Slice[u8]
    value: i64


@struct
class Get:
    name: Slice[u8]


@struct
class Delete:
    name: Slice[u8]


@struct
class Stat:
    pass


Command = Union[Stat, Set, Get, Delete]


@struct
class Words:
    rest: Slice[u8]

    @throws
    def word(self) -> Slice[u8]:
        start: u64 = 0
        while start < len(self.rest) and self.rest[start] == ord(" "):
            start += 1
        end = start
        while end < len(self.rest) and self.rest[end] != ord(" "):
            end += 1
        if start == end:
            raise Errno(EINVAL)
        found = self.rest[start:end]
        self.rest = self.rest[end:]
        return found

    @throws
    def number(self) -> i64:
        digits = self.word()
        negative = digits[0] == ord("-")
        value: i64 = 0
        for c in digits[1:] if negative else digits:
            if not ord("0") <= c <= ord("9"):
                raise Errno(EINVAL)
            value = value * 10 + (c - ord("0"))
        return -value if negative else value


@throws
def parse(line: Slice[u8], command: Ptr[Command]) -> None:
    words = Words(rest=line)
    verb = words.word()
    match verb:
        case b"set":
            name = words.word()
            copy(command, Set(name, words.number()))
        case b"get":
            copy(command, Get(words.word()))
        case b"del":
            copy(command, Delete(words.word()))
        case b"stat":
            copy(command, Stat())
        case _:
            raise Errno(EINVAL)


cache: Cache
log: Array[i64, 32]
log_count: u64 = 0


@throws
def run(line: Slice[u8]) -> i64:
    command: Command
    parse(line, command)
    match command:
        case Set(name, value):
            return 1 if cache.set(name, value) else 0
        case Get(name):
            return cache.get(name)
        case Delete(name=n):
            cache.delete(n)
            return 0
        case Stat():
            for i, entry in enumerate(cache.used):
                kprintf(f"{i}: {entry.text():<6} = {entry.value:>5} hits {entry.hits}\n")
            return cache.evicted


def lines(text: Slice[u8]) -> i64:
    """Run each line; the sum of results, an error counts as -code."""
    global log_count
    cache.start()
    total: i64 = 0
    start: u64 = 0
    for i, c in enumerate(text):
        if c != ord("\n"):
            continue
        try:
            got = run(text[start:i])
        except Errno as e:
            kprintf(f"{text[start:i]}: error {e.code}\n")
            got = -i64(e.code)
        finally:
            start = i + 1
        log[log_count] = got
        log_count += 1
        total += got
    return total


def script(start: i64) -> i64:
    return start + lines(b"set a 1\nset b 20\nget a\nset c 3\nset d -4\nset e 5\nget b\nget d\ndel e\n"
                         b"get e\nset muchtoolongname 3\nbogus\nset x\nstat\n")
