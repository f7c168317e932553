# SPDX-License-Identifier: BSD-3-Clause
"""Values of every kind, passed and returned: what the tests of host bindings call."""
from kpy import (
    Array,
    Atomic,
    Bit,
    Bits,
    Errno,
    Fn,
    PhysAddr,
    Ptr,
    Slice,
    Str,
    Union,
    be32,
    bits,
    enum,
    extern,
    flags,
    i8,
    i32,
    i64,
    kprintf,
    le16,
    panic,
    struct,
    throws,
    u8,
    u16,
    u32,
    u64,
    upcall,
)

@enum(u8)
class Mode:
    OFF = 0
    ON = 1

@flags(u32)
class Opt:
    A = 1
    B = 2

@bits(u32)
class Ctl:
    EN: Bit[0]
    MPS: Bits[10, 7]

@struct
class Inner:
    a: u16
    b: i8

@struct
class Node:
    value: u32
    next: Ptr["Node"] | None
    inner: Inner
    arr: Array[u16, 4]
    ctl: Ctl
    mode: Mode
    opt: Opt
    refs: Atomic[u32]
    net: be32
    name: Str
    op: Fn[[u32], u32]

    def double(self) -> u32:
        return self.value * 2

@struct
class Rect:
    w: u32
    h: u32

@struct
class Circle:
    r: u32

Shape = Union[Rect, Circle]

count: u32 = 5
table: Array[u32, 4]
head: Ptr[Node] | None = None

@extern("hw_inb")
def inb(port: u16) -> u8: ...

@upcall
@throws
def read_block(n: u64) -> u32: ...

def add(a: u8, b: u8) -> u8:
    return a + b

def neg(a: i32) -> i64:
    return -i64(a)

def poll(port: u16) -> u32:
    n: u32 = 0
    while inb(port) & 1 == 0:
        n += 1
    return n

@throws
def block(n: u64) -> u32:
    if n == 99:
        raise Errno(5)
    return read_block(n) + 1

def total(xs: Slice[u32]) -> u64:
    s: u64 = 0
    for x in xs:
        s += x
    return s

def fill(xs: Slice[u8], v: u8) -> None:
    for i in range(len(xs)):
        xs[i] = v

def pair(a: u8, b: bool) -> tuple[u8, bool]:
    return a, not b

def push(n: Ptr[Node]) -> None:
    global head
    n.next = head
    head = n

def pop() -> Ptr[Node] | None:
    global head
    h = head
    if h is not None:
        head = h.next
    return h

def shape(kind: u32, a: u32) -> Shape:
    if kind == 0:
        return Rect(w=a, h=a)
    return Circle(r=a)

def area(s: Ptr[Shape]) -> u32:
    match s:
        case Rect(w=w, h=h):
            return w * h
        case Circle(r=r):
            return 3 * r * r

def apply(f: Fn[[u32], u32], x: u32) -> u32:
    return f(x)

def twice(x: u32) -> u32:
    return 2 * x

def die(n: u32) -> None:
    panic(f"dead {n}")

def check(n: u32) -> None:
    assert n < 5, f"too big"

def flip(m: Mode) -> Mode:
    if m == Mode.ON:
        return Mode.OFF
    return Mode.ON

def hello(s: Str) -> Str:
    kprintf(f"hi {s}\n")
    return s

def null() -> u32:
    return 0


@struct
class Colour(Node):
    rgb: Array[u8, 3]


def tinted(c: Ptr[Colour]) -> u8:
    return c.rgb[1]


def any_node(n: Ptr[Node]) -> u32:
    return n.value


def first_half(xs: Slice[u8]) -> Slice[u8]:
    return xs[:len(xs) // 2]


def swap(a: le16) -> be32:
    return be32(u32(u16(a)))


def page(a: PhysAddr) -> PhysAddr:
    return a + 4096


def enable(c: Ctl) -> Ctl:
    c.EN = 1
    return c


def options(o: Opt) -> bool:
    return Opt.A in o


def int(long: u8, cdef: u8) -> u8:
    return long + cdef


def extremes(a: i8, b: u64, c: i64) -> tuple[i64, u64, i8]:
    return c, b, a


@upcall
def ask_tuple(a: u8, b: bool) -> tuple[i64, u8, bool]: ...


@upcall
@throws
def ask_pair(a: i8) -> tuple[u64, u64]: ...


@upcall
def ask_struct(xs: Slice[u16]) -> Rect: ...


@upcall
@throws
def ask_shape(kind: Mode) -> Shape: ...


@upcall
def ask_text(n: u8) -> Str: ...


@upcall
def ask_node(n: Ptr[Node] | None) -> Ptr[Node] | None: ...


def asked_tuple(a: u8, b: bool) -> tuple[i64, u8, bool]:
    return ask_tuple(a, b)


@throws
def asked_pair(a: i8) -> tuple[u64, u64]:
    return ask_pair(a)


def asked_area(xs: Slice[u16]) -> u32:
    r = ask_struct(xs)
    return r.w * r.h


@throws
def asked_shape(kind: Mode) -> Shape:
    return ask_shape(kind)


def asked_text(n: u8) -> Str:
    return ask_text(n)


def asked_node(n: Ptr[Node] | None) -> Ptr[Node] | None:
    return ask_node(n)


@throws
def maybe(n: u32) -> tuple[u8, Slice[u8]]:
    if n == 0:
        raise Errno(2)
    return 3, b"text"


def pick(throwing: bool) -> Fn[[u8, bool], tuple[u8, bool]]:
    return pair


def to_rect(n: u32) -> Rect:
    return Rect(w=n, h=n)


def squared(f: Fn[[u32], Rect], n: u32) -> u32:
    r = f(n)
    return r.w * r.h
