# SPDX-License-Identifier: BSD-3-Clause
"""Sets of CPUs, plain and atomic.

Source    DragonFly sys/sys/cpumask.h (design)
"""
from typing import Final

from kpy import Array, Atomic, Iterator, Ptr, ctz, inline, popcount, struct, u32, u64

from kernel.machine.types import MAX_CPUS

WORDS: Final = MAX_CPUS // 64


@struct
class Cpumask:
    """A set of CPUs.  The owner's alone; see AtomicCpumask for one that is shared."""
    words: Array[u64, WORDS]

    @inline
    def add(self, cpu: u32) -> None:
        self.words[cpu >> 6] |= u64(1) << (cpu & 63)

    @inline
    def discard(self, cpu: u32) -> None:
        self.words[cpu >> 6] &= ~(u64(1) << (cpu & 63))

    @inline
    def __contains__(self, cpu: u32) -> bool:
        return (self.words[cpu >> 6] >> (cpu & 63)) & 1 != 0

    def empty(self) -> bool:
        for word in self.words:
            if word != 0:
                return False
        return True

    def __len__(self) -> u64:
        count: u64 = 0
        for word in self.words:
            count += popcount(word)
        return count

    @inline
    def __iter__(self) -> Iterator[u32]:
        """The CPUs in order, as they were when each word was reached."""
        index: u32 = 0
        rest: u64 = self.words[0]
        while index < WORDS:
            if rest == 0:
                index += 1
                if index < WORDS:
                    rest = self.words[index]
            else:
                bit = u32(ctz(rest))
                rest &= rest - 1
                yield index * 64 + bit


@struct
class AtomicCpumask:
    """A set of CPUs that several CPUs change.  Only single words are read or changed at once."""
    words: Array[Atomic[u64], WORDS]

    @inline
    def add(self, cpu: u32) -> None:
        self.words[cpu >> 6].or_(u64(1) << (cpu & 63))

    @inline
    def discard(self, cpu: u32) -> None:
        self.words[cpu >> 6].and_(~(u64(1) << (cpu & 63)))

    @inline
    def __contains__(self, cpu: u32) -> bool:
        return (self.words[cpu >> 6].load_acquire() >> (cpu & 63)) & 1 != 0

    @inline
    def empty(self) -> bool:
        return (self.words[0].load_acquire() | self.words[1].load_acquire()
                | self.words[2].load_acquire() | self.words[3].load_acquire()) == 0

    def clear(self) -> None:
        for i in range(WORDS):
            self.words[i].store(0)

    def take(self, into: Ptr[Cpumask]) -> None:
        """Move all members into `into`, replacing what it held."""
        for i in range(WORDS):
            into.words[i] = 0
            if self.words[i].load_relaxed() != 0:
                into.words[i] = self.words[i].swap(0)

    def read(self, into: Ptr[Cpumask]) -> None:
        """Copy the members into `into`."""
        for i in range(WORDS):
            into.words[i] = self.words[i].load_acquire()
