# SPDX-License-Identifier: BSD-3-Clause
"""What a Python programmer writes first: one diagnostic, and it says what to write instead."""
from __future__ import annotations

import pytest

from tests.toolchain.diagnose import diagnostics

HEAD = """\
from kpy import Array, Errno, Final, Ptr, Slice, Str, enum, i32, i64, kprintf, struct, throws
from kpy import u8, u16, u32, u64
"""
REFUSED: dict[str, tuple[str, str, str]] = {     # name: (code, part of the help, source)
    "print": ("K0202", 'use kprintf(f"...") (`from kpy import kprintf`)', """
def f() -> None:
    print("hello")
"""),
    "print in f-string": ("K0202", 'use kprintf(f"...") (`from kpy import kprintf`)', """
def f(n: u32) -> None:
    print(f"n = {n}")
"""),
    "list of ints empty": ("K0318", "for example `x: Array[u32, 3] = [1, 2, 3]`;", """
def f() -> None:
    xs = []
"""),
    "list append": ("K0318", "for example `x: Array[u32, 3] = [1, 2, 3]`;", """
def f() -> None:
    xs = [1, 2, 3]
    xs.append(4)
"""),
    "array append": ("K0203", "an array does not grow: keep a count beside it,", """
def f() -> None:
    xs: Array[u32, 3] = [1, 2, 3]
    xs.append(4)
"""),
    "dict literal": ("K0101", "use an Array indexed by an enum, or a tree of", """
def f() -> None:
    d = {"a": 1}
"""),
    "set literal": ("K0101", "use a @flags enum or a bitmap; `x in (A, B)`", """
def f() -> None:
    d = {1, 2}
"""),
    "dict call": ("K0202", "use an Array, a radix or red-black tree of", """
def f() -> None:
    d = dict()
"""),
    "list call": ("K0202", "use `Array[T, N]` or an intrusive list of", """
def f() -> None:
    d = list()
"""),
    "list comprehension": ("K0101", "write the loop; nothing grows by itself here", """
def f(xs: Slice[u32]) -> None:
    ys = [x + 1 for x in xs]
"""),
    "sum of generator": ("K0202", "write the loop; a sum may overflow, and the", """
def f(xs: Slice[u32]) -> u32:
    return sum(x for x in xs)
"""),
    "class without decorator": ("K0206", "mark it @struct, @enum(u8), @flags(u32),", """
class Point:
    x: u32
    y: u32
"""),
    "class without decorator used": ("K0206", "mark it @struct, @enum(u8), @flags(u32),", """
class Point:
    x: u32
    y: u32
def f() -> u32:
    p = Point(x=1, y=2)
    return p.x
"""),
    "int annotation": ("K0202", "choose a width: u8 u16 u32 u64 i8 i16 i32 i64", """
def f(n: int) -> u32:
    return n
"""),
    "int call": ("K0202", "choose a width: u8 u16 u32 u64 i8 i16 i32 i64", """
def f(n: u32) -> u64:
    return int(n)
"""),
    "str annotation": ("K0202", "text is `Str`, bytes are `Slice[u8]` (`from kpy", """
def f(s: str) -> None:
    pass
"""),
    "float annotation": ("K0202", "the kernel has no floating point; scale to an", """
def f(s: float) -> None:
    pass
"""),
    "list annotation": ("K0202", "use `Array[T, N]` or an intrusive list of", """
def f(s: list[u32]) -> None:
    pass
"""),
    "typing List": ("K0202", "use `Array[T, N]` for storage, `Slice[T]` for a", """
from typing import List
def f(s: List[u32]) -> None:
    pass
"""),
    "typing Optional": ("K0202", "write `Ptr[T] | None`; only a Ptr has a null", """
from typing import Optional
@struct
class Node:
    next: Optional[Ptr["Node"]]
"""),
    "typing Dict": ("K0202", "use an Array, a radix or red-black tree of", """
from typing import Dict
d: Dict[u32, u32] = {}
"""),
    "missing param annotation": ("K0217", "for example `n: u32`", """
def f(n) -> u32:
    return n + 1
"""),
    "missing return annotation": ("K0217", "write `-> None` where it returns nothing", """
def f(n: u32):
    return n + 1
"""),
    "missing return annotation called": ("K0217", "write `-> None` where it returns nothing", """
def f(n: u32):
    return n + 1
def g() -> u32:
    return f(3)
"""),
    "x is 0": ("K0310", "write `x: u32 = 0`", """
def f() -> u32:
    x = 0
    return x
"""),
    "x is 0 loop": ("K0310", "write `total: u32 = 0`", """
def f(n: u32) -> u32:
    total = 0
    for i in range(n):
        total += i
    return total
"""),
    "implicit truth int": ("K0309", "write `n != 0`", """
def f(n: u32) -> u32:
    if n:
        return 1
    return 0
"""),
    "while n": ("K0309", "write `n != 0`", """
def f(n: u32) -> u32:
    while n:
        n -= 1
    return n
"""),
    "not n": ("K0309", "write `n != 0`", """
def f(n: u32) -> bool:
    return not n
"""),
    "truth of pointer": ("K0309", "write `p.next is not None`", """
@struct
class Node:
    next: "Ptr[Node] | None"
def f(p: Ptr[Node]) -> bool:
    if p.next:
        return True
    return False
"""),
    "truth of slice": ("K0309", "write `len(p) != 0`", """
def f(p: Slice[u8]) -> bool:
    if p:
        return True
    return False
"""),
    "is with ints": ("K0331", "compare values with `==`", """
def f(n: u32) -> bool:
    return n is 3
"""),
    "is not with ints": ("K0331", "compare values with `==`", """
def f(n: u32) -> bool:
    return n is not 3
"""),
    "int is None": ("K0331", "only `Ptr[T] | None` can be; drop the test", """
def f(n: u32) -> bool:
    return n is None
"""),
    "== None": ("K0329", "write `p.next is None`", """
@struct
class Node:
    next: "Ptr[Node] | None"
def f(p: Ptr[Node]) -> bool:
    return p.next == None
"""),
    "negative slice step": ("K0324", "loop with range(a, b, step)", """
def f(s: Slice[u8]) -> Slice[u8]:
    return s[::-1]
"""),
    "slice step": ("K0324", "loop with range(a, b, step)", """
def f(s: Slice[u8]) -> Slice[u8]:
    return s[::2]
"""),
    "percent formatting": ("K0316", "text is not built in memory; print the parts", """
def f(n: u32) -> None:
    kprintf("n = %d\\n" % n)
"""),
    "percent formatting args": ("K0335", 'for example `kprintf(f"x = {x}\\n")`', """
def f(n: u32) -> None:
    kprintf("n = %d\\n", n)
"""),
    "str format": ("K0203", 'print it so: kprintf(f"n = {n:>8}', """
def f(n: u32) -> None:
    kprintf("n = {}\\n".format(n))
"""),
    "f-string assignment": ("K0108", "use it as the argument of kprintf, klog, panic", """
def f(n: u32) -> None:
    s = f"n = {n}"
    kprintf(s)
"""),
    "string concat": ("K0316", "text is not built in memory; print the parts", """
def f(a: Str, b: Str) -> Str:
    return a + b
"""),
    "string plus int": ("K0316", "text is not built in memory; print the parts", """
def f(a: Str, n: u32) -> Str:
    return a + n
"""),
    "str call": ("K0202", "text is `Str`, bytes are `Slice[u8]` (`from kpy", """
def f(n: u32) -> Str:
    return str(n)
"""),
    "string times": ("K0316", "text is not built in memory; print the parts", """
def f(n: u64) -> Str:
    return "-" * n
"""),
    "try except ValueError": ("K0604", "write `except Errno as e:`; `e.code` tells which", """
@throws
def g() -> u32:
    raise Errno(1)
def f() -> u32:
    try:
        return g()
    except ValueError:
        return 0
"""),
    "try except bare Exception": ("K0604", "write `except Errno as e:`; `e.code` tells which", """
@throws
def g() -> u32:
    raise Errno(1)
def f() -> u32:
    try:
        return g()
    except Exception as e:
        return 0
"""),
    "raise ValueError": ("K0602", "`raise Errno(ENOMEM)`; the codes are in", """
@throws
def f(n: u32) -> u32:
    if n > 3:
        raise ValueError("too big")
    return n
"""),
    "forgot throws": ("K0602", "mark it @throws; its callers then handle the", """
def f(n: u32) -> u32:
    if n > 3:
        raise Errno(22)
    return n
"""),
    "forgot throws at caller": ("K0601", "call it in `try: ... except Errno as e:`, or", """
@throws
def g() -> u32:
    raise Errno(1)
def f() -> u32:
    return g() + 1
"""),
    "mutable default": ("K0318", "for example `x: Array[u32, 3] = [1, 2, 3]`;", """
def f(xs: Slice[u32] = []) -> u64:
    return len(xs)
def g() -> u64:
    return f()
"""),
    "isinstance": ("K0202", "use `match` on a Union; other types are known", """
def f(n: u32) -> bool:
    return isinstance(n, u32)
"""),
    "type call": ("K0202", "types are known at compile time; write the", """
def f(n: u32) -> bool:
    return type(n) is None
"""),
    "import os": ("K0004", "`os` is CPython's: a kernel has no interpreter", """
import os
def f() -> None:
    os.exit(1)
"""),
    "import sys from": ("K0004", "`sys` is CPython's: a kernel has no interpreter", """
from sys import exit
def f() -> None:
    exit(1)
"""),
    "import math": ("K0004", "`math` is CPython's: a kernel has no", """
import math
def f(n: u32) -> u32:
    return math.sqrt(n)
"""),
    "from dataclasses": ("K0004", "`dataclasses` is CPython's: a record is a class", """
from dataclasses import dataclass
@dataclass
class Point:
    x: u32
"""),
    "from enum": ("K0004", "`enum` is CPython's: an enum is a class marked", """
from enum import Enum
class Colour(Enum):
    RED = 1
"""),
    "global list": ("K0104", "write `items: Final = ...` for a constant,", """
items = []
def f() -> None:
    pass
"""),
    "global int": ("K0104", "write `count: Final = ...` for a constant,", """
count = 0
def f() -> None:
    global count
    count += 1
"""),
    "global without global": ("K0403", "say `global count` first, as in Python", """
count: u32 = 0
def f() -> None:
    count += 1
"""),
    "global read then assign": ("K0403", "a name assigned anywhere in a function is local", """
count: u32 = 0
def f() -> None:
    if count > 3:
        count = 0
"""),
    "range with float": ("K0107", "scale to an integer: the kernel keeps no FPU", """
def f() -> None:
    for i in range(0.5):
        pass
"""),
    "range step variable": ("K0501", "a constant is declared in the module: `N: Final", """
def f(n: u32) -> None:
    for i in range(0, 10, n):
        pass
"""),
    "tuple return without annotation": ("K0217", "write `-> None` where it returns nothing", """
def f(n: u32):
    return n, n + 1
"""),
    "tuple return of literals": ("K0341", "give 2", """
def f() -> tuple[u32, u32]:
    return 1, 2, 3
"""),
    "return None from u32": ("K0312", "only `Ptr[T] | None` has a null", """
def f(n: u32) -> u32:
    if n == 0:
        return None
    return n
"""),
    "u32 or None": ("K0305", "return a bool beside the value, or raise Errno", """
def f(n: u32) -> u32 | None:
    return n
"""),
    "Optional result int": ("K0305", "return a bool beside the value, or raise Errno", """
def f(n: u32) -> "u32 | None":
    return n
"""),
    "compare signed unsigned": ("K0316", "convert both to `i64`", """
def f(a: u32, b: i32) -> bool:
    return a < b
"""),
    "add signed unsigned": ("K0316", "convert one: `i64(...)` holds both", """
def f(a: u32, b: i32) -> u32:
    return a + b
"""),
    "compare negative literal": ("K0311", "unsigned types have no negative numbers: use", """
def f(a: u32) -> bool:
    return a == -1
"""),
    "narrow": ("K0308", "write `u32(a)` (traps if it does not fit) or", """
def f(a: u64) -> u32:
    return a
"""),
    "len to u32": ("K0308", "write `u32(len(a))` (traps if it does not fit)", """
def f(a: Slice[u8]) -> u32:
    return len(a)
"""),
    "missing self": ("K0217", "write `def get(self)`, or mark it @staticmethod", """
@struct
class P:
    x: u32
    def get() -> u32:
        return 1
"""),
    "missing self used": ("K0217", "write `def get(self, n: u32)`, or mark it", """
@struct
class P:
    x: u32
    def get(n: u32) -> u32:
        return n
def f(p: Ptr[P]) -> u32:
    return p.get(3)
"""),
    "self not used for field": ("K0202", "write `self.x`, as in Python", """
@struct
class P:
    x: u32
    def get(self) -> u32:
        return x
"""),
    "shadow parameter": ("K0201", "use another name", """
def f(n: u32) -> u32:
    n: u64 = 3
    return 1
"""),
    "shadow in loop": ("K0308", "write `u32(n)` (traps if it does not fit) or", """
def f(n: u32) -> u32:
    for n in range(u64(3)):
        pass
    return n
"""),
    "unused result comparison": ("K0405", "assign it, or remove it", """
def f(n: u32) -> None:
    n == 3
"""),
    "expression statement name": ("K0405", "assign it, or remove it", """
def f(n: u32) -> None:
    n
"""),
    "call without parens": ("K0405", "assign it, or remove it", """
def g() -> None:
    pass
def f() -> None:
    g
"""),
    "method on none-able": ("K0401", "test it first: `if p is not None:`", """
@struct
class N:
    x: u32
    def go(self) -> None:
        pass
def f(p: Ptr[N] | None) -> None:
    p.go()
"""),
    "field of none-able": ("K0401", "test `p.next is not None` just before, or keep", """
@struct
class N:
    next: "Ptr[N] | None"
    x: u32
def f(p: Ptr[N]) -> u32:
    return p.next.next.x
"""),
    "nested def": ("K0101", "move it to module level and pass what it needs", """
def f(n: u32) -> u32:
    def g(x: u32) -> u32:
        return x + n
    return g(3)
"""),
    "lambda": ("K0101", "write a function and pass its name", """
def f(n: u32) -> u32:
    g = lambda x: x + 1
    return g(n)
"""),
    "star args": ("K0106", "pass a Slice, or a struct", """
def f(*args: u32) -> None:
    pass
"""),
    "kwargs": ("K0106", "pass a Slice, or a struct", """
def f(**kw: u32) -> None:
    pass
"""),
    "star call": ("K0106", "name the arguments", """
def g(a: u32, b: u32) -> None:
    pass
def f(xs: Slice[u32]) -> None:
    g(*xs)
"""),
    "async def": ("K0101", "write a thread and a message port instead", """
async def f() -> None:
    pass
"""),
    "await": ("K0101", "block on a message port or tsleep()", """
def g() -> None:
    pass
def f() -> None:
    await g()
"""),
    "own decorator": ("K0105", "decorators are the vocabulary's own;", """
from kpy import Fn
def twice(f: Fn[[], None]) -> Fn[[], None]:
    return f
@twice
def g() -> None:
    pass
"""),
    "two bases": ("K0208", "hold the other as a field", """
@struct
class A:
    x: u32
@struct
class B:
    y: u32
@struct
class C(A, B):
    z: u32
"""),
    "init": ("K0210", "its name with fields, `P(x=1)`, makes one; for", """
@struct
class P:
    x: u32
    def __init__(self, x: u32) -> None:
        self.x = x
def f() -> u32:
    p = P(3)
    return p.x
"""),
    "init undeclared fields": ("K0210", "its name with fields, `P(x=1)`, makes one; for", """
@struct
class P:
    def __init__(self, x: u32) -> None:
        self.x = x
"""),
    "super": ("K0202", "a struct's base fields and methods are its own:", """
@struct
class A:
    x: u32
    def go(self) -> u32:
        return self.x
@struct
class B(A):
    y: u32
    def go(self) -> u32:
        return super().go() + self.y
"""),
    "property setter": ("K0105", "a property is read only; write a method", """
@struct
class P:
    x: u32
    @property
    def double(self) -> u32:
        return self.x * 2
    @double.setter
    def double(self, v: u32) -> None:
        self.x = v // 2
"""),
    "classmethod": ("K0105", "use @staticmethod: the class is known, write", """
@struct
class P:
    x: u32
    @classmethod
    def make(cls) -> u32:
        return 1
"""),
    "float division": ("K0327", "`//` divides integers, rounding down", """
def f(a: u32, b: u32) -> u32:
    return a / b
"""),
    "float literal": ("K0107", "scale to an integer: the kernel keeps no FPU", """
def f(a: u32) -> u32:
    x = 1.5
    return a
"""),
    "power": ("K0327", "multiply, or shift: `1 << n`", """
def f(a: u32) -> u32:
    return a ** 2
"""),
    "power of literal": ("K0327", "multiply, or shift: `1 << n`", """
def f(a: u32) -> u32:
    return 2 ** a
"""),
    "div assign": ("K0327", "`//` divides integers, rounding down", """
def f(a: u32) -> u32:
    a /= 2
    return a
"""),
    "augmented undefined": ("K0403", "give it its first value before: `total: u32 = 0`", """
def f() -> u32:
    total += 1
    return total
"""),
    "del": ("K0101", "storage ends with its function or owner", """
def f(a: u32) -> None:
    del a
"""),
    "assert tuple": ("K0309", 'leave the parentheses out: `assert cond, "text"`', """
def f(a: u32) -> None:
    assert (a == 3, "three")
"""),
    "walrus literal": ("K0310", "say it: `n := u32(10)`", """
def f() -> None:
    if (n := 10) > 5:
        pass
"""),
    "match class pattern": ("K0346", "it takes integers, enums, bools, bytes and", """
@struct
class P:
    x: u32
def f(p: Ptr[P]) -> u32:
    match p:
        case P(x=3):
            return 1
        case _:
            return 0
"""),
    "match string": ("K0346", "a case is a value known at compile time", """
def f(n: u32) -> u32:
    match n:
        case "ab":
            return 1
        case _:
            return 0
"""),
    "match list pattern": ("K0346", "elements are looked at one by one, with `if`", """
def f(n: Slice[u8]) -> u32:
    match n:
        case [a, b]:
            return 1
        case _:
            return 0
"""),
    "chained assign": ("K0109", "write two assignments", """
def f() -> None:
    a = b = u32(0)
"""),
    "unknown name typo": ("K0202", "did you mean `count`?", """
def f(count: u32) -> u32:
    return coutn + 1
"""),
    "forgot import": ("K0202", "write `from kpy import popcount`", """
def f(n: u32) -> u32:
    return popcount(n)
"""),
    "if name main": ("K0102", "a kernel has no main program: `kpyc run FILE", """
def main() -> None:
    pass
if __name__ == "__main__":
    main()
"""),
    "statement at top level": ("K0102", "declare here; put code in a function. Tables", """
kprintf("hello\\n")
"""),
    "None variable": ("K0312", "only `Ptr[T] | None` has a null", """
def f() -> None:
    x = None
"""),
    "struct copy": ("K0337", "write `ref(b)` for the same storage, or declare", """
@struct
class P:
    x: u32
def f(a: Ptr[P]) -> u32:
    b = P(x=1)
    c = b
    return c.x
"""),
    "struct param": ("K0315", "take `p: Ptr[P]`; callers pass the same", """
@struct
class P:
    x: u32
def f(p: P) -> u32:
    return p.x
"""),
    "array of unknown size": ("K0501", "a constant is declared in the module: `N: Final", """
def f(n: u32) -> None:
    a: Array[u8, n]
"""),
    "array no length": ("K0306", "for example `Array[u8, 16]`", """
def f() -> None:
    a: Array[u8]
"""),
    "array times": ("K0318", "for example `x: Array[u32, 3] = [1, 2, 3]`;", """
def f() -> None:
    a = [0] * 10
"""),
    "string index compare": ("K0316", "a character is a number: `ord('a')`", """
def f(s: Str) -> bool:
    return s[0] == "a"
"""),
    "string compare char": ("K0316", "a character is a number: `ord('a')`", """
def f(s: Slice[u8]) -> bool:
    for c in s:
        if c == "a":
            return True
    return False
"""),
    "in string": ("K0332", "write the loop, or `x in (A, B, C)`", """
def f(s: Str) -> bool:
    return "a" in s
"""),
    "input": ("K0202", "see the console of kernel/platform", """
def f() -> None:
    s = input("name")
"""),
    "open": ("K0202", "there are no Python files here; see kernel/vfs", """
def f() -> None:
    s = open("name")
"""),
    "sorted": ("K0202", "sort in place, with kernel/lib", """
def f(x: Slice[u32]) -> None:
    s = sorted(x)
"""),
    "with open": ("K0202", "there are no Python files here; see kernel/vfs", """
def f() -> None:
    with open("x") as g:
        pass
"""),
    "yield": ("K0218", "a function with `yield` is `@inline` and `->", """
def f(n: u32) -> u32:
    yield n
"""),
    "generator not inline": ("K0218", "its body is expanded into the loop that uses", """
from kpy import Iterator
def f(n: u32) -> Iterator[u32]:
    yield n
"""),
    "bool arithmetic": ("K0316", "a bool is no number: `u32(flag)` is 0 or 1", """
def f(n: bool) -> u32:
    return n + 1
"""),
    "bool to int": ("K0308", "write `u32(n)`", """
def f(n: bool) -> u32:
    return n
"""),
    "int to bool": ("K0308", "write `n != 0`", """
def f(n: u32) -> bool:
    return n
"""),
    "return value from None function": ("K0308", "give it a result type: `-> ...`", """
def f(n: u32) -> None:
    return n
"""),
    "bare return": ("K0308", "return a `u32`, or say `-> None`", """
def f(n: u32) -> u32:
    return
"""),
    "missing return at the end": ("K0408", "return on every way out", """
def f(n: u32) -> u32:
    if n > 3:
        return 1
"""),
    "enum compare to int": ("K0316", "compare with a member, or compare bits_of(x)", """
@enum(u8)
class S:
    A = 0
    B = 1
def f(s: S) -> bool:
    return s == 0
"""),
    "enum auto": ("K0202", "give each member its number", """
@enum(u8)
class S:
    A = auto()
"""),
    "enum value attr": ("K0203", "write `bits_of(s)`", """
@enum(u8)
class S:
    A = 0
def f(s: S) -> u8:
    return s.value
"""),
    "enum name attr": ("K0203", "a member is a number; `match` on it and print", """
@enum(u8)
class S:
    A = 0
def f(s: S) -> None:
    kprintf(f"{s.name}\\n")
"""),
    "enum without type": ("K0207", "for example `@enum(u8)` or `@bits(u32)`", """
@enum
class S:
    A = 0
"""),
    "struct default": ("K0209", "storage begins as zero; give it in the", """
@struct
class S:
    a: u32 = 5
"""),
    "class constant in struct": ("K0210", "a field is `name: type`", """
@struct
class S:
    MAX = 5
    a: u32
"""),
    "unary minus unsigned": ("K0328", "write `wrapping(-x)` if wrap is meant, or", """
def f(n: u32) -> u32:
    return -n
"""),
    "negative literal to unsigned": ("K0311", "unsigned types have no negative numbers: use", """
def f() -> None:
    n: u32 = -1
"""),
    "literal too big": ("K0311", "use a wider type; `trunc(u8, ...)` keeps the", """
def f() -> None:
    n: u8 = 256
"""),
    "too few args": ("K0335", "it is `g(a: u32, b: u32)`", """
def g(a: u32, b: u32) -> u32:
    return a
def f() -> u32:
    return g(1)
"""),
    "too many args": ("K0335", "it is `g(a: u32)`", """
def g(a: u32) -> u32:
    return a
def f() -> u32:
    return g(1, 2)
"""),
    "wrong keyword": ("K0335", "did you mean `count`?", """
def g(count: u32) -> u32:
    return count
def f() -> u32:
    return g(cout=1)
"""),
    "bytes vs str": ("K0202", "bytes are `Slice[u8]` (`from kpy import Slice,", """
def f(s: Slice[u8]) -> None:
    pass
def g() -> Slice[u8]:
    return bytes("abc")
"""),
    "global const assign": ("K0342", "for a variable write `LIMIT: u32 = ...` in the", """
LIMIT: Final = 3
def f() -> None:
    global LIMIT
    LIMIT = 4
"""),
    "tuple index": ("K0325", "valid: 0 to 1", """
def f() -> u32:
    t: tuple[u32, u32] = (1, 2)
    return t[2]
"""),
    "string multiply print": ("K0316", "text is not built in memory; print the parts", """
def f() -> None:
    kprintf("=" * 20)
"""),
    "min of list": ("K0335", "write the loop; it keeps the least", """
def f(xs: Slice[u32]) -> u32:
    return min(xs)
"""),
    "round": ("K0202", "integers are whole: `(a + b // 2) // b` rounds", """
def f(a: u32) -> u32:
    return round(a)
"""),
    "pass by type name typo": ("K0202", "the widths are u8 u16 u32 u64 i8 i16 i32 i64", """
def f(n: u23) -> None:
    pass
"""),
    "uint32": ("K0202", "the widths are u8 u16 u32 u64 i8 i16 i32 i64", """
def f(n: uint32) -> None:
    pass
"""),
    "String annotation unknown": ("K0202", "declare it in this module, or import it", """
def f(n: "Ptr[Thead]") -> None:
    pass
"""),
    "else on try": ("K0310", "write `x: u32 = 3`", """
def f() -> None:
    try:
        x = 3
    except:
        pass
"""),
    "conditional expression literal": ("K0310", "write one branch as `u32(...)`", """
def f(c: bool) -> None:
    x = 1 if c else 2
"""),
    "hex": ("K0202", 'print it so: kprintf(f"{n:#x}")', """
def f(n: u32) -> None:
    kprintf(hex(n))
"""),
    "chr": ("K0202", "a character is a u8; print it so:", """
def f(n: u32) -> None:
    kprintf(f"{chr(n)}")
"""),
    "format repr": ("K0111", "leave it out: numbers, enums and text are", """
def f(n: u32) -> None:
    kprintf(f"{n!r}")
"""),
    "format float spec": ("K0111", "a format is [<>][+][#][0][width][d x X o b c];", """
def f(n: u32) -> None:
    kprintf(f"{n:.2f}")
"""),
    "nonlocal": ("K0101", "pass a Ptr", """
def f(n: u32) -> None:
    nonlocal n
"""),
    "import in function": ("K0101", "move it there", """
def f() -> None:
    import os
"""),
    "slice assign": ("K0342", "write `s[0:2].copy_from(...)`, or `.fill(value)`", """
def f(s: Slice[u8]) -> None:
    s[0:2] = b"ab"
"""),
    "str is immutable store": ("K0308", "a character is a number: `ord('a')`", """
def f(s: Slice[u8]) -> None:
    s[0] = "a"
"""),
    "address of": ("K0308", "write `ref(x)` for its address", """
def g(p: Ptr[u32]) -> None:
    pass
def f() -> None:
    x: u32 = 3
    g(x)
"""),
    "dereference": ("K0308", "copy it out: `value: u32 = ...` and", """
def f(p: Ptr[u32]) -> u32:
    return p
"""),
    "deref star": ("K0316", "pointers have no arithmetic; index a Slice, or", """
def f(p: Ptr[u32]) -> u32:
    return p + 1
"""),
    "recursion": ("K0704", "a kernel stack is small: write a loop, or state", """
def fact(n: u64) -> u64:
    return n * fact(n - 1) if n > 1 else 1
"""),
    "list slice copy": ("K0203", "write `to.copy_from(from)`", """
def f(s: Slice[u8]) -> None:
    t = s.copy()
"""),
    "join": ("K0203", "text is compared, indexed, sliced and printed;", """
def f(s: Str) -> Str:
    return ", ".join(s)
"""),
    "startswith": ("K0203", "compare a slice: `len(s) >= n and s[:n] == ...`", """
def f(s: Str) -> bool:
    return s.startswith("a")
"""),
    "unknown field": ("K0203", "did you mean `count`?", """
@struct
class P:
    count: u32
def f(p: Ptr[P]) -> u32:
    return p.cuont
"""),
    "dynamic attribute": ("K0203", "its fields are count", """
@struct
class P:
    count: u32
def f(p: Ptr[P]) -> None:
    p.extra = 3
"""),
    "any": ("K0202", "write the loop", """
def f(xs: Slice[u32]) -> bool:
    return any(x > 3 for x in xs)
"""),
    "map": ("K0202", "write the loop", """
def f(xs: Slice[u32]) -> None:
    map(f, xs)
"""),
    "hash": ("K0202", "hash the bytes: kernel/lib/xxhash.py", """
def f(n: u32) -> u64:
    return hash(n)
"""),
    "None compare": ("K0329", "write `n is None`", """
def f(n: u32) -> bool:
    return n == None
"""),
    "else if types": ("K0316", "both must have one type; storage is chosen by", """
def f(c: bool, a: u32, b: i32) -> u32:
    x = a if c else b
    return 1
"""),
    "or default": ("K0309", "write `a != 0`", """
def f(a: u32) -> u32:
    return a or 5
"""),
    "const list": ("K0505", "for example `Final[Array[u32, 3]]`", """
PRIMES: Final = [2, 3, 5]
"""),
    "const float": ("K0107", "scale to an integer, for example thousandths", """
PI: Final = 3.14
"""),
    "const dict": ("K0505", "use an Array: `Final[Array[u32, 4]]`; @comptime", """
D: Final = {1: 2}
"""),
    "variable initialised by call": ("K0502", "mark it @comptime, or set the variable in a", """
def g() -> u32:
    return 1
x: u32 = g()
"""),
    "no null global": ("K0314", "give it a value, make the pointer `| None`", """
@struct
class P:
    x: u32
p: Ptr[P]
"""),
    "thread safe nothing": ("K0402", "add the cases, or `case _:`", """
def f(x: u32) -> u32:
    match x:
        case 1:
            return 1
"""),
    "unpack call": ("K0341", "name each of them; `_` takes one that is not", """
def g() -> tuple[u32, u32]:
    return 1, 2
def f() -> u32:
    a, b, c = g()
    return a
"""),
    "unpack number": ("K0341", "a function gives several values with `->", """
def f(n: u32) -> None:
    a, b = n
"""),
    "loop over int": ("K0333", "`range(n)` counts", """
def f(n: u32) -> None:
    for i in n:
        pass
"""),
    "loop over dict items": ("K0203", "its length is len(x); it has copy_from(other)", """
def f(xs: Slice[u32]) -> None:
    for i, x in xs.items():
        pass
"""),
    "loop struct": ("K0333", "give the struct an @inline generator `__iter__`", """
@struct
class P:
    x: u32
def f(p: Ptr[P]) -> None:
    for i in p:
        pass
"""),
    "use after loop": ("K0403", "assign it before the branch, or on every way to", """
def f(n: u32) -> u32:
    for i in range(n):
        pass
    return i
"""),
    "pointer arithmetic": ("K0316", "pointers have no arithmetic; index a Slice, or", """
def f(p: Ptr[u8]) -> Ptr[u8]:
    return p + 1
"""),
    "self without type call": ("K0202", "write `self.get2`, as in Python", """
@struct
class P:
    x: u32
    def get(self) -> u32:
        return get2()
    def get2(self) -> u32:
        return 1
"""),
    "assign to function": ("K0310", "write `g: u32 = 3`", """
def g() -> None:
    pass
def f() -> None:
    g = 3
"""),
    "return in init tuple": ("K0001", "a result of several values is `-> tuple[A, B]`", """
def f() -> u32, u32:
    return 1, 2
"""),
    "plusplus": ("K0001", "write `n += 1`", """
def f(n: u32) -> u32:
    n++
    return n
"""),
    "and-and": ("K0001", "write `and`", """
def f(n: u32) -> bool:
    return n > 1 && n < 3
"""),
    "single equals": ("K0001", "compare with `==`", """
def f(n: u32) -> bool:
    if n = 3:
        return True
    return False
"""),
    "abs": ("K0308", "write `u32(abs(n))` (traps if it does not fit)", """
def f(n: i32) -> u32:
    return abs(n)
"""),
    "divmod": ("K0202", "write `a // b` and `a % b`", """
def f(n: u32) -> u32:
    q, r = divmod(n, 3)
    return q
"""),
    "pow": ("K0202", "multiply, or shift: `1 << n`", """
def f(n: u32) -> u32:
    return pow(n, 2)
"""),
    "bit shift too far": ("K0326", "convert to a wider type first", """
def f(n: u32) -> u32:
    return n << 33
"""),
    "literal shift": ("K0310", "for example `u64(1)`", """
def f(n: u32) -> None:
    x = 1 << n
"""),
}
ACCEPTED: dict[str, str] = {
    "shadow builtin": """
def f(n: u32) -> u32:
    len = n
    return len
""",
    "enumerate start": """
def f(xs: Slice[u32]) -> u64:
    n: u64 = 0
    for i, x in enumerate(xs, 1):
        n += i
    return n
""",
    "enumerate start keyword": """
def f(xs: Slice[u32]) -> u64:
    n: u64 = 0
    for i, x in enumerate(xs, start=1):
        n += i
    return n
""",
    "match capture": """
def f(n: u32) -> u32:
    match n:
        case 1:
            return 1
        case other:
            return other
""",
    "swap": """
def f(a: u32, b: u32) -> u32:
    a, b = b, a
    return a
""",
    "struct compare": """
@struct
class P:
    x: u32
def f(a: Ptr[P], b: Ptr[P]) -> bool:
    return a == b
""",
    "len of str literal": """
def f() -> u64:
    return len("abc")
""",
    "in list literal": """
def f(n: u32) -> bool:
    return n in [1, 2, 3]
""",
    "nested function call as statement unused": """
def g() -> u32:
    return 1
def f() -> None:
    g()
""",
    "max three": """
def f(a: u32, b: u32, c: u32) -> u32:
    return max(a, b, c)
""",
    "while True no break": """
def f() -> u32:
    while True:
        pass
""",
    "list of structs": """
@struct
class P:
    x: u32
def f() -> None:
    ps: Array[P, 2] = [P(x=1), P(x=2)]
""",
    "struct positional": """
@struct
class P:
    x: u32
    y: u32
def f() -> u32:
    p = P(1, 2)
    return p.x
""",
}


@pytest.mark.parametrize("name", REFUSED)
def test_gets_one_diagnostic_that_says_what_to_write(name):
    code, hint, source = REFUSED[name]
    found = diagnostics(HEAD + source)
    assert [d.code for d in found] == [code], "\n\n".join(d.render() for d in found)
    assert hint in f"{found[0].label}\n{found[0].help}"


@pytest.mark.parametrize("name", ACCEPTED)
def test_means_in_kpy_what_it_means_in_python(name):
    assert diagnostics(HEAD + ACCEPTED[name]) == []
