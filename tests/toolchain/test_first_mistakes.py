# SPDX-License-Identifier: BSD-3-Clause
"""What somebody with C or a week of kpy gets wrong: one diagnostic, and it leads to the fix."""
from __future__ import annotations

import pytest

from tests.toolchain.diagnose import diagnostics

HEAD = """\
from kpy import Array, Errno, Final, Ptr, Slice, Str, enum, i32, i64, kprintf, struct, throws
from kpy import u8, u16, u32, u64
"""
REFUSED: dict[str, tuple[str, str, str]] = {     # name: (code, part of the help, source)
    "forgot colon": ("K0001", "`if`, `while`, `for`, `def`, `class` and", """
def f(n: u32) -> u32
    return n
"""),
    "equals in condition": ("K0001", "compare with `==`", """
def f(n: u32) -> u32:
    if n = 3:
        return 1
    return 0
"""),
    "c style braces": ("K0001", "a block begins with `:`, and its lines are", """
def f(n: u32) -> u32 {
    return n;
}
"""),
    "cast of C": ("K0001", "a conversion is a call: `u32(n)` traps if it", """
def f(n: u64) -> u32:
    return (u32)n
"""),
    "plus plus": ("K0001", "write `n += 1`", """
def f(n: u32) -> u32:
    n++
    return n
"""),
    "&& of C": ("K0001", "write `and`", """
def f(a: bool, b: bool) -> bool:
    return a && b
"""),
    "! of C": ("K0001", "write `not x`", """
def f(a: bool) -> bool:
    return !a
"""),
    "arrow": ("K0001", "a pointer is followed with a dot: `p.x`", """
@struct
class P:
    x: u32
def f(p: Ptr[P]) -> u32:
    return p->x
"""),
    "star pointer type": ("K0001", "a pointer is `Ptr[T]`, one that may be null", """
def f(p: u32*) -> u32:
    return 0
"""),
    "switch": ("K0001", "write `match n:`, with `case 1:` and `case _:`", """
def f(n: u32) -> u32:
    switch n:
        case 1: return 2
"""),
    "ternary": ("K0001", "write `a if condition else b`", """
def f(n: u32) -> u32:
    return n > 3 ? 1 : 2
"""),
    "indentation": ("K0001", "indent what belongs to it by four spaces;", """
def f(n: u32) -> u32:
    if n > 3:
    return 1
    return 2
"""),
    "tabs": ("K0001", "indent with spaces, four for each level", """
def f(n: u32) -> u32:
    if n > 3:
	return 1
    return 2
"""),
    "unclosed paren": ("K0001", "write the closing bracket where the", """
def f(n: u32) -> u32:
    return (n + 1
def g() -> u32:
    return 2
"""),
    "unterminated string": ("K0001", "close it with the quote it began with; text", """
def f() -> None:
    kprintf(f"hello)
"""),
    "else if": ("K0001", "write `elif`", """
def f(n: u32) -> u32:
    if n == 1:
        return 1
    else if n == 2:
        return 2
    return 3
"""),
    "match fallthrough empty": ("K0001", "each case has a block; several values are", """
def f(n: u32) -> u32:
    match n:
        case 1:
        case 2:
            return 1
    return 2
"""),
    "assign in expression": ("K0001", "`n += 1` stands on a line of its own", """
def f(n: u32) -> u32:
    return n += 1
"""),
    "dup param": ("K0001", "give each parameter a name of its own", """
def g(a: u32, a: u32) -> u32:
    return 1
"""),
    "default before non default": ("K0001", "parameters with a default come last", """
def g(a: u32 = 1, b: u32) -> u32:
    return 1
"""),
    "keyword then positional": ("K0001", "arguments with a name come last", """
def g(a: u32, b: u32) -> u32:
    return 1
def f() -> u32:
    return g(a=1, 2)
"""),
    "decorated variable": ("K0001", "a variable has no decorators; its type tells:", """
from kpy import percpu
@percpu
n: u32
"""),
    "generic pep695": ("K0001", 'write `T = TypeVar("T")` in the module, and', """
def largest[T](a: T, b: T) -> T:
    return a
"""),
    "generic class pep695": ("K0001", 'write `T = TypeVar("T")` in the module, and', """
@struct
class P[T]:
    x: T
"""),
    "range of slice": ("K0345", "write `for x in s:`, or `for i, x in", """
def f(s: Slice[u8]) -> None:
    for i in range(s):
        kprintf(f"{i}\\n")
"""),
    "struct or None": ("K0305", "write `Ptr[N] | None`", """
@struct
class N:
    next: N | None
    x: u32
"""),
    "type in parentheses": ("K0301", "write `Ptr[u32]`", """
def f(p: Ptr(u32)) -> None:
    p.value = 1
"""),
    "length before type": ("K0306", "write `Array[u8, 16]`", """
def f() -> None:
    a: Array[16, u8]
"""),
    "array of C": ("K0306", "an array is `Array[u8, 16]`", """
def f() -> None:
    a: u8[16]
"""),
    "slice size": ("K0306", "a Slice knows its length when it runs;", """
def f(a: Slice[u8, 4]) -> None:
    pass
"""),
    "method called as function": ("K0202", "`get` is a method of `P`: `x.get(...)`", """
@struct
class P:
    x: u32
    def get(self) -> u32:
        return self.x
def f(p: Ptr[P]) -> u32:
    return get(p)
"""),
    "method called on the class": ("K0335", "a method is called on a value: `x.get(...)`", """
@struct
class P:
    x: u32
    def get(self) -> u32:
        return self.x
def f() -> u32:
    return P.get()
"""),
    "index pointer": ("K0324", "it is `p.value`; several are a `Slice[u32]`", """
def f(p: Ptr[u32]) -> u32:
    return p[0]
"""),
    "compare pointer with zero": ("K0316", "null is `None`: write `p.next is None`", """
@struct
class P:
    next: "Ptr[P] | None"
def f(p: Ptr[P]) -> bool:
    return p.next == 0
"""),
    "assign zero to ptr": ("K0308", "null is `None`", """
@struct
class P:
    next: "Ptr[P] | None"
def f(p: Ptr[P]) -> None:
    p.next = 0
"""),
    "member as text": ("K0316", "a member is written `S.A`", """
@enum(u8)
class S:
    A = 1
    B = 2
def f(s: S) -> bool:
    return s == "A"
"""),
    "enum iterate": ("K0320", "a member is `S.A`", """
@enum(u8)
class S:
    A = 1
    B = 2
def f() -> u32:
    n: u32 = 0
    for s in S:
        n += 1
    return n
"""),
    "with as of nothing": ("K0344", "write `with l:`, or let `__enter__` return a", """
@struct
class L:
    x: u32
    def __enter__(self) -> None:
        self.x = 1
    def __exit__(self) -> None:
        self.x = 0
def f(l: Ptr[L]) -> None:
    with l as m:
        m.x = 1
"""),
    "exit with three args": ("K0344", "write `def __exit__(self) -> None`: an error", """
@struct
class L:
    x: u32
    def __enter__(self) -> None:
        self.x = 1
    def __exit__(self, a, b, c) -> None:
        self.x = 0
"""),
    "fstring array": ("K0111", "print what is in it, one by one", """
def f() -> None:
    a: Array[u32, 3] = [1, 2, 3]
    kprintf(f"{a}\\n")
"""),
    "two indices": ("K0324", "an array of arrays is indexed twice: `a[1][2]`", """
def f() -> u32:
    a: Array[Array[u32, 3], 2]
    return a[1, 2]
"""),
    "array for a pointer": ("K0308", "`ref(a[0])` is the address of one; to pass", """
def g(p: Ptr[u32]) -> None:
    p.value = 1
def f() -> None:
    a: Array[u32, 2]
    g(a)
"""),
    "pass None to nonnull": ("K0308", "a `Ptr[P]` is never null: declare it `Ptr[P]", """
@struct
class P:
    x: u32
def g(p: Ptr[P]) -> None:
    p.x = 1
def f() -> None:
    g(None)
"""),
    "pass base to derived": ("K0308", "every `Q` is a `P`, not the reverse; an", """
@struct
class P:
    x: u32
@struct
class Q(P):
    y: u32
def g(p: Ptr[Q]) -> None:
    p.x = 1
def f(q: Ptr[P]) -> None:
    g(q)
"""),
    "none-returning in expr": ("K0316", "this function returns nothing", """
def g() -> None:
    pass
def f() -> u32:
    return g() + 1
"""),
    "function as value compare": ("K0316", "call it: `g()`", """
def g() -> u32:
    return 1
def f() -> bool:
    return g == 1
"""),
    "star unpack": ("K0101", "name the items", """
def g() -> tuple[u32, u32]:
    return 1, 2
def f() -> u32:
    a, *b = g()
    return a
"""),
    "different types in branches": ("K0201", "use another name", """
def f(n: u32) -> u64:
    if n > 1:
        x: u32 = 1
    else:
        x: u64 = 2
    return x
"""),
    "import missing": ("K0203", "it is a package of modules, and has none of", """
from kernel import nothere
"""),
    "unknown width from kpy": ("K0203", "the widths are u8 u16 u32 u64 i8 i16 i32 i64", """
from kpy import u128
"""),
    "import kpy": ("K0004", "the vocabulary is imported by name: `from kpy", """
import kpy
def f(n: kpy.u32) -> kpy.u32:
    return n
"""),
    "relative import": ("K0103", "name the module: `from other import thing`", """
from . import x
"""),
    "atomic plain use": ("K0316", "read it first: `n.load()`", """
from kpy import Atomic
n: Atomic[u32]
def f() -> u32:
    return n + 1
"""),
    "atomic assign": ("K0310", "for the module's variable say `global n` first", """
from kpy import Atomic
n: Atomic[u32]
def f() -> None:
    n = 1
"""),
    "union compare tag": ("K0320", "make one: `A(...)`; which of its structs a", """
from kpy import Union
@struct
class A:
    x: u32
@struct
class B:
    y: u32
V = Union[A, B]
def f(v: Ptr[V]) -> u32:
    if v == A:
        return 1
    return 2
"""),
    "variant without parentheses": ("K0347", "a variant is matched with parentheses, `case", """
from kpy import Union
@struct
class A:
    x: u32
@struct
class B:
    y: u32
V = Union[A, B]
def f(v: Ptr[V]) -> u32:
    match v:
        case A:
            return 1
        case B:
            return 2
"""),
    "union wrong field pattern": ("K0203", "its fields are x", """
from kpy import Union
@struct
class A:
    x: u32
@struct
class B:
    y: u32
V = Union[A, B]
def f(v: Ptr[V]) -> u32:
    match v:
        case A(z=n):
            return n
        case B():
            return 2
"""),
    "match missing default int": ("K0402", "add the cases, or `case _:`", """
def f(n: u32) -> u32:
    match n:
        case 1:
            return 1
    return 2
"""),
    "asm no operands": ("K0308", "say where the result is, for example", """
from kpy import asm
def f() -> u32:
    return asm("mov $1, %eax")
"""),
    "naked with code": ("K0804", "nothing sets up a stack frame for it: its", """
from kpy import naked
@naked
def f(n: u32) -> u32:
    return n + 1
"""),
    "interrupt wrong params": ("K0219", "an @interrupt function takes a `Ptr[Frame]`,", """
from kpy import interrupt
@interrupt
def f(n: u32) -> None:
    pass
"""),
    "throws fn in Fn": ("K0308", "it may raise: the type is `ThrowsFn[[u32],", """
from kpy import Fn
@throws
def g(a: u32) -> u32:
    return a
def f() -> u32:
    h: Fn[[u32], u32] = g
    return h(1)
"""),
    "flags in int": ("K0308", "`F.NAME in x` tests, `bits_of(x & F.A) != 0`", """
from kpy import flags
@flags(u32)
class F:
    A = 1
def f(x: F) -> bool:
    return x & F.A
"""),
    "flags if": ("K0316", "`F.NAME in x` tests one; the number is", """
from kpy import flags
@flags(u32)
class F:
    A = 1
def f(x: F) -> u32:
    if x & F.A != 0:
        return 1
    return 0
"""),
    "regs as Ptr": ("K0203", "a device's registers are reached through an", """
from kpy import Mmio, regs, RW
@regs(spec="x")
class R:
    A: RW[u32, 0]
def f(r: Ptr[R]) -> u32:
    return r.A
"""),
    "constant table that misses a function": ("K0314", "give it: `Ops(..., write=...)`", """
from kpy import Fn
@struct
class Ops:
    read: Fn[[u32], u32]
    write: Fn[[u32], u32]
def g(a: u32) -> u32:
    return a
OPS: Final = Ops(read=g)
def f() -> u32:
    return OPS.write(3)
"""),
    "store into a Str": ("K0342", "text that changes is a `Slice[u8]`, of an", """
def f(s: Str) -> None:
    s[0] = 3
"""),
    "return tuple unannotated": ("K0308", "several values are a result `-> tuple[u32,", """
def f(n: u32) -> u32:
    return n, n
"""),
    "bytes into Str": ("K0308", 'text is written `"..."`; what takes bytes of', """
def g(s: Str) -> u64:
    return len(s)
def f() -> u64:
    return g(b"abc")
"""),
    "debug f-string": ("K0111", "leave it out: numbers, enums and text are", """
def f(n: u32) -> None:
    kprintf(f"{n=}\\n")
"""),
    "errno undefined constant": ("K0202", "write `from kernel.lib.errno import ENOENT`", """
@throws
def f() -> None:
    raise Errno(ENOENT)
"""),
    "missing import of struct": ("K0105", "write `from kpy import bits`", """
from kpy import Bit
@enum(u8)
class S:
    A = 1
@bits(u32)
class C:
    A: Bit[0]
"""),
    "if assignment walrus missing": ("K0309", "write `p is not None`", """
def f(p: Ptr[u32] | None) -> u32:
    if p:
        return p.value
    return 0
"""),
    "generator direct arg": ("K0333", "it is no object: its body is expanded into", """
from kpy import inline, Iterator
@inline
def g(n: u32) -> Iterator[u32]:
    yield n
def f() -> u64:
    return len(g(3))
"""),
    "comptime at run time": ("K0506", "make a constant of its result: `X: Final[...]", """
from kpy import comptime
@comptime
def sq(n):
    return n * n
def f(n: u32) -> u32:
    return sq(n)
"""),
    "comptime infinite": ("K0502", "does its loop end?", """
from kpy import comptime
@comptime
def sq(n):
    while True:
        n += 1
X: Final[u32] = sq(3)
"""),
    "mmio write ro": ("K0806", "read it; if the specification lets it be", """
from kpy import Mmio, regs, RO
@regs(spec="x")
class R:
    A: RO[u32, 0]
def f(r: Mmio[R]) -> None:
    r.A = 1
"""),
    "integer for an endian field": ("K0308", "write `be32(u32(3))` to put it into that byte", """
from kpy import be32
@struct
class H:
    n: be32
def f(h: Ptr[H]) -> None:
    h.n = u32(3)
"""),
    "enum too big": ("K0311", "use a smaller value or a wider type, for", """
@enum(u8)
class S:
    A = 256
"""),
    "return slice of local": ("K0343", "let the caller pass the storage in", """
def f() -> Slice[u8]:
    a: Array[u8, 4]
    return a[:]
"""),
    "call nullable Fn": ("K0305", "a table has all its functions: give it one", """
from kpy import Fn
@struct
class Ops:
    read: Fn[[u32], u32] | None
def f(o: Ptr[Ops]) -> u32:
    return o.read(3)
"""),
    "property call": ("K0336", "write `p.twice`, without parentheses", """
@struct
class P:
    x: u32
    @property
    def twice(self) -> u32:
        return self.x * 2
def f(p: Ptr[P]) -> u32:
    return p.twice()
"""),
    "staticmethod self": ("K0217", "it has no `self`: remove it, or remove", """
@struct
class P:
    x: u32
    @staticmethod
    def twice(self) -> u32:
        return self.x * 2
"""),
    "trunc wrong order": ("K0335", "write `trunc(u8, n)`", """
from kpy import trunc
def f(n: u64) -> u8:
    return trunc(n, u8)
"""),
    "default var": ("K0501", "Python would compute it once, where the", """
n: u32 = 3
def g(a: u32 = n) -> u32:
    return a
def f() -> u32:
    return g()
"""),
    "global shadow param": ("K0001", "rename the parameter: it hides the module's", """
n: u32 = 3
def f(n: u32) -> u32:
    global n
    return n
"""),
    "global init from global": ("K0505", "make a constant of it, `n: Final = ...`, or", """
n: u32 = 3
m: u32 = n
"""),
    "assert assignment": ("K0001", "compare with `==`", """
def f(n: u32) -> None:
    assert n = 3
"""),
    "raise from": ("K0602", "an error is one number", """
@throws
def g() -> u32:
    try:
        return g2()
    except Errno as e:
        raise Errno(3) from e
@throws
def g2() -> u32:
    return 1
"""),
    "unreachable call": ("K0320", "call it: `unreachable(...)`", """
from kpy import unreachable
def f(n: u32) -> u32:
    match n:
        case 1:
            return 2
        case _:
            unreachable
"""),
    "pass tuple for slice": ("K0308", "a tuple is no sequence: make an array of it,", """
def g(a: Slice[u32]) -> u32:
    return a[0]
def f() -> u32:
    return g((1, 2, 3))
"""),
    "tuple compare": ("K0316", "compare what is in them one by one: `a[0] ==", """
def f(a: u32, b: u32) -> bool:
    return (a, b) == (1, 2)
"""),
    "star import typing": ("K0103", "name what you use: `from typing import a, b`", """
from typing import *
"""),
    "method without call": ("K0321", "write `p.twice(...)`", """
@struct
class P:
    x: u32
    def twice(self) -> u32:
        return self.x * 2
def f(p: Ptr[P]) -> u32:
    return p.twice
"""),
    "enum negative": ("K0311", "use a smaller value or a wider type, for", """
@enum(u8)
class S:
    A = -1
"""),
    "ref of literal": ("K0340", "this is a value; keep it in a variable first", """
from kpy import ref
def f() -> u32:
    p = ref(3)
    return p.value
"""),
    "except code": ("K0604", "write `except Errno as e:`; `e.code` tells", """
@throws
def g() -> u32:
    return 1
def f() -> u32:
    try:
        return g()
    except Errno(2):
        return 1
"""),
    "const neg index": ("K0325", "a constant index may count from the end: -1", """
def f() -> u8:
    a: Array[u8, 3] = [1, 2, 3]
    return a[-4]
"""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_gets_one_diagnostic_that_says_what_to_write(name):
    code, hint, source = REFUSED[name]
    found = diagnostics(HEAD + source)
    assert [d.code for d in found] == [code], "\n\n".join(d.render() for d in found)
    assert hint in found[0].help
