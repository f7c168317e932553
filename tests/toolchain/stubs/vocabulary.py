# SPDX-License-Identifier: BSD-3-Clause
"""Valid kpy that uses most of the vocabulary: mypy must find nothing."""
from kpy import (
    RO,
    RW,
    Array,
    Atomic,
    Bit,
    Bits,
    ConstVar,
    Errno,
    FieldVar,
    Final,
    Fn,
    Generic,
    Mmio,
    MPtr,
    Never,
    Ptr,
    Slice,
    Str,
    ThrowsFn,
    TypeVar,
    Union,
    acquire,
    bits,
    copy,
    enum,
    flags,
    inline,
    kprintf,
    lend,
    ref,
    regs,
    sizeof,
    struct,
    throws,
    trunc,
    u1,
    u3,
    u8,
    u16,
    u28,
    u32,
    u64,
    upcall,
    wrapping,
)

T = TypeVar("T")
N = ConstVar("N")
F = FieldVar("F")
MAX: Final = 16
ENOMEM: Final = 12
count: u32 = 0
TABLE: Array[u32, 4] = [1, 2, 3, 4]


@enum(u8)
class Kind:
    """k"""
    A = 1
    B = 2


@flags(u32)
class Mode:
    R = 1
    W = 2


@bits(u32)
class Cc:
    EN: Bit[0]
    MPS: Bits[10, 7]


@bits(u32)
class Ctrl:
    en: u1
    mode: u3
    rest: u28


@regs(spec="x")
class Regs:
    CAP: RO[Cc, 0x00]
    CC: RW[Cc, 0x14]
    DB: RW[u32, 0x1000, 64, 8]


@struct
class Node:
    next: Ptr["Node"] | None
    value: u32
    name: Array[u8, MAX * 2]
    refs: Atomic[u32]
    kind: Kind

    def double(self) -> u32:
        return self.value * 2

    def __enter__(self) -> None:
        self.value += 1

    def __exit__(self) -> None:
        self.value -= 1


@struct(packed=True, size=6)
class Read:
    off: u32
    n: u16


@struct
class Write:
    off: u32


@struct
class Ring(Generic[T, N]):
    items: Array[T, N]
    head: u32

    def push(self, x: T) -> None:
        self.items[self.head % N] = x
        self.head += 1


@struct
class TailQ(Generic[T, F]):
    first: Ptr[T] | None

    @inline
    def __iter__(self):
        p = self.first
        while p is not None:
            yield p
            p = None


@struct
class Ops:
    read: Fn[[Ptr[Node], u32], u32]
    write: ThrowsFn[[u32], u32]

ring: Ring[u32, 16]
queue: TailQ[Node, "next"]


def f(p: Ptr[Node] | None) -> u32:
    if p is None:
        return 0
    return p.value + p.double() + p.refs.load(order=acquire)


def g(m: Mmio[Regs], q: Union[Read, Write], k: Kind, r: Ptr[Ring[Node, 4]]) -> u32:
    m.CC.EN = 1
    m.DB[3] = 4
    x: u32 = m.CAP.MPS
    match q:
        case Read(off=o):
            x += o
        case Write(o):
            x += o
    match k:
        case Kind.A:
            return x
        case Kind.B:
            return x + u32(k)


def h(s: Slice[u8], t: Str) -> u64:
    n: Node
    n.value = 3
    b = Read(off=1)
    c = Read(off=2, n=3)
    copy(b, c)
    with n:
        n.value = trunc(u8, wrapping(n.value * 3))
    kprintf(f"{n.value} {t}")
    ring.push(3)
    for x in s:
        n.value += x
    for i, y in enumerate(s[1:3]):
        n.value += y
    for z in queue:
        n.value += z.value
    m = Mode.R | Mode.W
    if Mode.R in m:
        n.value = 0
    return len(s) + len(n.name)


@throws
def may(x: u32) -> Ptr[Node]:
    if x == 0:
        raise Errno(ENOMEM)
    return lend(ref(NODES[0]))


NODES: Array[Node, 4]


def call() -> u64:
    global count
    count += 1
    try:
        may(0)
    except Errno as e:
        return u64(e.code)
    return h(b"abc", "abc")


@upcall
def low(x: u32) -> u32:
    """Someone else."""


@upcall
def dead(x: u32) -> Never:
    """Someone else."""
