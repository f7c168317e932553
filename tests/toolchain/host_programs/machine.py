# SPDX-License-Identifier: BSD-3-Clause
"""What needs a machine: registers, atomics, hooks, faults, and ways to go wrong."""
from kpy import (
    RO,
    RW,
    Atomic,
    Bit,
    Bits,
    Final,
    Mmio,
    MPtr,
    Never,
    PerCpu,
    Ptr,
    Slice,
    ThrowsFn,
    TypeVar,
    bits,
    cast,
    fault_site,
    hook,
    make_slice,
    pointer_at,
    recursive,
    regs,
    struct,
    throws,
    u8,
    u32,
    u64,
    upcall,
)

UNSAFE: Final = True
DIGITS: Final[Slice[u8]] = b"0123"

@bits(u32)
class Cc:
    EN: Bit[0]
    MPS: Bits[10, 7]

@regs(spec="x")
class Regs:
    CAP: RO[u32, 0x00]
    CC: RW[Cc, 0x04]
    DB: RW[u32, 0x10, 4, 8]

T = TypeVar("T")

lock: Atomic[u32]
per: PerCpu[u32]

def start(r: Mmio[Regs]) -> u32:
    r.CC.EN = 1
    n: u32 = 0
    while r.CAP & 1 == 0:
        n += 1
    return n

@hook("clock")
def now() -> u64:
    return 7

def when() -> u64:
    return now() + 1

def take() -> u32:
    n: u32 = 0
    while not lock.cas(0, 1):
        n += 1
    return n

@throws
@fault_site("alloc")
def alloc(n: u64) -> u64:
    return n

@throws
def use(n: u64) -> u64:
    return alloc(n) + 1

def biggest(a: T, b: T) -> T:
    return a if a > b else b

def big(a: u32, b: u32) -> u32:
    return biggest(a, b)

def peek(a: u64) -> u32:
    return cast(MPtr[u32], pointer_at(u8, a))[0]

@recursive(1000000)
def deep(n: u64) -> u64:
    if n == 0:
        return 0
    return deep(n - 1) + n

def forever() -> None:
    while True:
        pass

@upcall
def outer(n: u32) -> u32: ...
@upcall
def leave() -> Never: ...

def call_outer(n: u32) -> u32:
    return outer(n) + 1

def go() -> None:
    leave()

@throws
def may(f: ThrowsFn[[u32], u32], n: u32) -> u32:
    return f(n)

def first(p: MPtr[u8], n: u64) -> Slice[u8]:
    return make_slice(p, n)[1:]

@struct
class Tok:
    depth: u32
    def __enter__(self) -> None:
        self.depth += 1
    def __exit__(self) -> None:
        self.depth -= 1
    @staticmethod
    def two() -> u32:
        return 2
    @property
    def twice(self) -> u32:
        return self.depth * 2
