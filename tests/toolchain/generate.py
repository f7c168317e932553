# SPDX-License-Identifier: BSD-3-Clause
"""Well-typed kpy functions made of bytes: each decision takes a byte, 0 is the plainest choice.

    b"\\x02\\x41..." -> def f0(p0: u8, p1: Slice[i16]) -> u8:
                            v1: u8 = p0 // 3
                            for v2 in p1: ...

Bytes run out into zeros, so every byte string is a program and a shorter or smaller one a simpler
program: hypothesis shrinks them as they are.  What may trap (overflow, an index, a conversion, a
divisor) is generated freely; what the checker would refuse (a literal out of range, a constant
index outside) is not.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from toolchain.frontend import types as ty

INTS = (ty.U8, ty.U32, ty.I32, ty.U64, ty.I8, ty.U16, ty.I16, ty.I64)
FIELDS = {"a": ty.U8, "b": ty.I32, "c": ty.U64, "d": ty.I16}
ARITHMETIC = ("+", "-", "*", "&", "|", "^", "//", "%")
COMPARISONS = ("==", "<", ">", "!=", "<=", ">=")
LEAF_CALLS = 2        # functions that call no generated function, callable from all others

PRELUDE = '''\
# SPDX-License-Identifier: BSD-3-Clause
"""Generated."""
from kpy import (
    Array, Atomic, Errno, Fn, Slice, Union, bits, bits_of, enum, from_bits, kprintf, popcount, ref,
    rotl, struct, throws, trunc, wrapping, u3, u5, u8, u16, u24, u32, u64, i8, i16, i32, i64,
)


@enum(u8)
class Mode:
    A = 0
    B = 1
    C = 5


@struct
class Item:
    a: u8
    b: i32
    c: u64
    d: i16
    row: Array[u16, 4]

    def bump(self, n: u8) -> u8:
        self.a = wrapping(self.a + n)
        return self.a


@struct
class Lock:
    n: u64

    def __enter__(self) -> None:
        mark(self.n)

    def __exit__(self) -> None:
        mark(self.n + 1)


@struct
class Left:
    x: u32


@struct
class Right:
    x: u8
    y: i64


@bits(u32)
class Ctl:
    low: u3
    mid: u5
    top: u24


counter: Atomic[u16]
trace: u64 = 0
lock: Lock = Lock(n=7)
shared: Item = Item(a=3, b=-4, c=5)


def mark(n: u64) -> None:
    global trace
    trace = wrapping(trace * 31 + n)


@throws
def fail_if(c: i32) -> i32:
    if c % 3 == 0:
        raise Errno(5)
    if c % 3 == 1:
        raise Errno(40)
    return c


def halve(n: i32) -> i32:
    return n // 2


def negate(n: i32) -> i32:
    return -n


OPS: Array[Fn[[i32], i32], 2] = [halve, negate]


def both(a: u32, b: i64) -> tuple[i64, u32]:
    return b - 1, a // 3


def either(n: u32) -> Union[Left, Right]:
    if n % 2 == 0:
        return Left(x=n)
    return Right(x=trunc(u8, n), y=n)
'''


@dataclass
class Scope:
    """What a statement may use."""

    ints: list[tuple[str, ty.IntType]] = field(default_factory=list)
    fixed: list[tuple[str, ty.IntType]] = field(default_factory=list)    # loop variables
    bools: list[str] = field(default_factory=list)
    rows: list[tuple[str, ty.IntType, int]] = field(default_factory=list)   # -1: a slice
    items: list[str] = field(default_factory=list)
    loops: int = 0
    depth: int = 0

    def inner(self) -> Scope:
        return Scope(list(self.ints), list(self.fixed), list(self.bools), list(self.rows),
                     list(self.items), self.loops, self.depth + 1)


@dataclass
class Made:
    """A generated function; `params` are IntType, or ("slice", IntType)."""

    name: str
    params: list[Any]
    result: ty.IntType
    throws: bool
    text: str


class Generator:
    """One function out of one byte string."""

    def __init__(self, name: str, data: bytes, callable_: list[Made]) -> None:
        self.name, self.data, self.at = name, data, 0
        self.callable = callable_
        self.lines: list[str] = []
        self.count = 0
        self.throws = False
        self.result: ty.IntType = ty.U8

    # ---- decisions

    def pick(self, n: int) -> int:
        """A number below n; 0 when the bytes have run out."""
        if self.at >= len(self.data) or n <= 1:
            return 0
        self.at += 1
        return self.data[self.at - 1] % n

    def choose(self, options: Any) -> Any:
        return options[self.pick(len(options))]

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def emit(self, scope: Scope, text: str) -> None:
        self.lines.append("    " * (scope.depth + 1) + text)

    # ---- functions

    def function(self) -> Made:
        scope = Scope()
        self.result = self.choose(INTS)
        self.throws = self.pick(4) == 3
        params: list[Any] = []
        for number in range(1 + self.pick(3)):
            kind = self.choose(INTS)
            if self.pick(3) == 2:
                params.append(("slice", kind))
                scope.rows.append((f"p{number}", kind, -1))
            else:
                params.append(kind)
                scope.ints.append((f"p{number}", kind))
        for _ in range(2 + self.pick(7)):
            self.statement(scope)
        self.emit(scope, f"return {self.expr(self.result, scope, 2)}")
        shown = ", ".join(f"p{n}: " + (f"Slice[{p[1]}]" if isinstance(p, tuple) else str(p))
                          for n, p in enumerate(params))
        head = "@throws\n" * self.throws + f"def {self.name}({shown}) -> {self.result}:\n"
        if any("trace" in line for line in self.lines):
            head += "    global trace\n"
        return Made(self.name, params, self.result, self.throws, head + "\n".join(self.lines))

    # ---- expressions: text without a literal's ambiguity, so never a bare literal

    def expr(self, of: ty.IntType, scope: Scope, depth: int) -> str:
        """An expression of exactly type `of`."""
        if depth == 0:
            return self.leaf(of, scope)
        match self.pick(15):
            case 0 | 1:
                return self.leaf(of, scope)
            case 2 | 3 | 4:
                return self.arithmetic(of, scope, depth)
            case 5:
                op = self.choose((">>", "<<"))
                count = f"{self.leaf(self.choose((ty.U8, ty.U32, ty.U64)), scope)}"
                if self.pick(3):
                    count = f"({count} & 7)"
                return f"({self.expr(of, scope, depth - 1)} {op} {count})"
            case 6:
                sign = "-" if of.signed and self.pick(2) else "~"
                return f"({sign}{self.expr(of, scope, depth - 1)})"
            case 7:
                return f"wrapping({self.arithmetic(of, scope, depth)})"
            case 8:
                return f"trunc({of}, {self.expr(self.choose(INTS), scope, depth - 1)})"
            case 9:
                return f"{of}({self.expr(self.choose(INTS), scope, depth - 1)})"
            case 10:
                return (f"({self.expr(of, scope, depth - 1)} if {self.condition(scope, 1)} "
                        f"else {self.expr(of, scope, depth - 1)})")
            case 11:
                name = self.choose(("min", "max"))
                return (f"{name}({self.expr(of, scope, depth - 1)}, "
                        f"{self.operand(of, scope, depth - 1)})")
            case 12:
                if of.signed:
                    return f"abs({self.expr(of, scope, depth - 1)})"
                name = self.choose(("popcount({0})", "rotl({0}, ({0} & 7))"))
                return name.format(self.leaf(of, scope))
            case 13:
                return self.call(of, scope, depth)
            case _:
                return f"{of}({self.condition(scope, 1)})"

    def arithmetic(self, of: ty.IntType, scope: Scope, depth: int) -> str:
        op = self.choose(ARITHMETIC)
        left = self.expr(of, scope, depth - 1)
        return f"({left} {op} {self.operand(of, scope, depth - 1, divides=op in ('//', '%'))})"

    def operand(self, of: ty.IntType, scope: Scope, depth: int, divides: bool = False) -> str:
        """Something that goes with an `of`: of it, narrower, or a literal."""
        how = self.pick(4)
        if how == 0:
            return self.literal(of, nonzero=divides)
        narrower = [kind for kind in INTS if ty.lossless(kind, of)]
        made = self.expr(self.choose(narrower) if how == 1 else of, scope, depth)
        return f"({made} | 1)" if divides and self.pick(8) else made

    def literal(self, of: ty.IntType, nonzero: bool = False) -> str:
        value = self.choose((1, 2, 3, 7, 0, 100, of.maximum, of.minimum, of.maximum // 2, -1))
        if not of.holds(value) or (nonzero and value == 0):
            value = 5
        return str(value)

    def leaf(self, of: ty.IntType, scope: Scope) -> str:
        """A variable of the type, or anything converted to it."""
        names = [name for name, kind in (*scope.ints, *scope.fixed) if kind is of]
        names += [f"{item}.{name}" for item in scope.items for name, kind in FIELDS.items()
                  if kind is of]
        rows = [(name, count) for name, kind, count in scope.rows if kind is of]
        if rows and self.pick(3) == 2:
            return self.element(*self.choose(rows), scope)
        if names:
            return self.choose(names)
        others = (*scope.ints, *scope.fixed)
        if others:
            return f"trunc({of}, {self.choose(others)[0]})"
        return f"trunc({of}, {self.choose(['shared.c', 'trace'])})"

    def element(self, name: str, count: int, scope: Scope) -> str:
        index = self.leaf(self.choose((ty.U64, ty.U8, ty.U32, ty.I32)), scope)
        if self.pick(5) == 4:
            return f"{name}[{index}]"
        if count > 0:
            return f"{name}[trunc(u64, {index}) % {count}]"
        return f"{name}[trunc(u64, {index}) % max(len({name}), 1)]"

    def condition(self, scope: Scope, depth: int) -> str:
        if depth > 0:
            match self.pick(6):
                case 4:
                    op = self.choose(("and", "or"))
                    return (f"({self.condition(scope, depth - 1)} {op} "
                            f"{self.condition(scope, depth - 1)})")
                case 5:
                    return f"(not {self.condition(scope, depth - 1)})"
        if scope.bools and self.pick(3) == 2:
            return self.choose(scope.bools)
        of = self.choose(INTS)
        return (f"({self.expr(of, scope, depth)} {self.choose(COMPARISONS)} "
                f"{self.operand(of, scope, 0)})")

    def call(self, of: ty.IntType, scope: Scope, depth: int) -> str:
        fits = [made for made in self.callable if made.result is of and not made.throws
                and all(isinstance(p, ty.IntType) or any(r[1] is p[1] for r in scope.rows)
                        for p in made.params)]
        if not fits:
            return self.leaf(of, scope)
        made = self.choose(fits)
        return f"{made.name}({', '.join(self.argument(p, scope, depth) for p in made.params)})"

    def argument(self, param: Any, scope: Scope, depth: int) -> str:
        if isinstance(param, ty.IntType):
            return self.expr(param, scope, depth - 1)
        return self.row(param[1], scope)

    def row(self, of: ty.IntType, scope: Scope) -> str:
        """A slice of elements `of`, perhaps a part of one."""
        name, _, count = self.choose([r for r in scope.rows if r[1] is of])
        how = self.pick(4)
        if how == 1:
            return f"{name}[{self.leaf(ty.U64, scope)}:]"
        if how == 2:
            return f"{name}[{self.leaf(ty.U8, scope)} % 3:{self.leaf(ty.U32, scope)}]"
        return f"{name}[:]" if count > 0 else name

    # ---- statements

    def statement(self, scope: Scope) -> None:
        deep = scope.depth >= 3
        kind = self.pick(17 if deep else 25)
        simple = (self.declare, self.assign, self.augment, self.declare_bool, self.declare_row,
                  self.set_element, self.declare_item, self.set_field, self.mark, self.leave,
                  self.show, self.pair, self.alias, self.control, self.results, self.indirect,
                  self.atomic)
        nested = (self.branch, self.count_loop, self.each_loop, self.while_loop, self.attempt,
                  self.locked, self.match_int, self.match_other)
        (simple + nested)[kind](scope)

    def declare(self, scope: Scope) -> None:
        of = self.choose(INTS)
        value = self.expr(of, scope, 2)
        name = self.fresh()
        self.emit(scope, f"{name}: {of} = {value}")
        scope.ints.append((name, of))

    def assign(self, scope: Scope) -> None:
        if scope.ints:
            name, of = self.choose(scope.ints)
            self.emit(scope, f"{name} = {self.expr(of, scope, 3)}")
        else:
            self.declare(scope)

    def augment(self, scope: Scope) -> None:
        if not scope.ints:
            return self.declare(scope)
        name, of = self.choose(scope.ints)
        op = self.choose((*ARITHMETIC, ">>", "<<"))
        if op in {">>", "<<"}:
            value = self.leaf(ty.U8, scope) + self.choose((" & 7", ""))
        else:
            value = self.operand(of, scope, 2, divides=op in {"//", "%"})
        self.emit(scope, f"{name} {op}= {value}")
        return None

    def declare_bool(self, scope: Scope) -> None:
        value = self.condition(scope, 2)
        name = self.fresh("b")
        self.emit(scope, f"{name} = {value}")
        scope.bools.append(name)

    def declare_row(self, scope: Scope) -> None:
        of, count = self.choose(INTS), 1 + self.pick(5)
        name = self.fresh("a")
        init = ""
        if self.pick(2):
            init = " = [" + ", ".join(self.literal(of) for _ in range(count)) + "]"
        self.emit(scope, f"{name}: Array[{of}, {count}]{init}")
        scope.rows.append((name, of, count))

    def set_element(self, scope: Scope) -> None:
        if not scope.rows:
            return self.declare_row(scope)
        name, of, count = self.choose(scope.rows)
        op = self.choose(("=", "+=", "^="))
        value = self.expr(of, scope, 2)
        self.emit(scope, f"{self.element(name, count, scope)} {op} {value}")
        return None

    def declare_item(self, scope: Scope) -> None:
        parts = [f"{name}={self.expr(of, scope, 1)}" for name, of in FIELDS.items()
                 if self.pick(2)]
        name = self.fresh("s")
        self.emit(scope, f"{name} = Item({', '.join(parts)})")
        scope.items.append(name)
        scope.rows.append((f"{name}.row", ty.U16, 4))

    def set_field(self, scope: Scope) -> None:
        if not scope.items:
            return self.declare_item(scope)
        item, (name, of) = self.choose(scope.items), self.choose(list(FIELDS.items()))
        if self.pick(4) == 3:
            self.emit(scope, f"{item}.bump({self.expr(ty.U8, scope, 1)})")
        else:
            op = self.choose(("=", "+=", "-="))
            self.emit(scope, f"{item}.{name} {op} {self.expr(of, scope, 2)}")
        return None

    def mark(self, scope: Scope) -> None:
        self.emit(scope, f"mark({self.expr(ty.U64, scope, 1)})")

    def leave(self, scope: Scope) -> None:
        """return, raise, break or continue, if some condition holds."""
        ways = [f"return {self.expr(self.result, scope, 1)}"]
        if self.throws:
            ways.append("raise Errno(7)")
        if scope.loops:
            ways += ["break", "continue"]
        way = self.choose(ways)
        self.emit(scope, f"if {self.condition(scope, 1)}:")
        self.emit(scope, f"    {way}")

    def show(self, scope: Scope) -> None:
        of = self.choose(INTS)
        spec = self.choose(("", ":x", ":5", ":#b", ":<7", ":04"))
        value = self.leaf(of, scope)
        if any(sign in value for sign in "[%"):
            value = f"wrapping({value} + 0)"
        name = self.fresh()
        self.emit(scope, f"{name}: {of} = {value}")
        self.emit(scope, f'kprintf(f"<{{{name}{spec}}}>")')

    def pair(self, scope: Scope) -> None:
        """Two at once: the right side is complete before the left changes."""
        same = [(a, b) for n, a in enumerate(scope.ints) for b in scope.ints[n + 1:]
                if a[1] is b[1]]
        if same:
            (a, of), (b, _) = self.choose(same)
            self.emit(scope, f"{a}, {b} = {self.expr(of, scope, 1)}, {a}")
        else:
            self.declare(scope)

    def alias(self, scope: Scope) -> None:
        """Another name for a struct: the same storage."""
        name = self.fresh("q")
        storage = [item for item in scope.items if item.startswith("s")]
        self.emit(scope, f"{name} = ref({self.choose((*storage, 'shared'))})")
        scope.items.append(name)

    def control(self, scope: Scope) -> None:
        """A bit struct: made, changed in one field, taken apart."""
        name, part = self.fresh("c"), self.choose(("mid", "low", "top"))
        width = {"low": 3, "mid": 5, "top": 24}[part]
        self.emit(scope, f"{name} = from_bits(Ctl, {self.expr(ty.U32, scope, 1)})")
        mask = f" & {(1 << width) - 1}" if self.pick(3) else ""
        self.emit(scope, f"{name}.{part} = u{width}({self.expr(ty.U32, scope, 1)}{mask})")
        if self.pick(2):
            self.emit(scope, f"{name}.{part} += 1")
        for text in (f"bits_of({name})", f"{name}.{part}"):
            made = self.fresh()
            self.emit(scope, f"{made}: u32 = {text}")
            scope.ints.append((made, ty.U32))

    def results(self, scope: Scope) -> None:
        """A tuple, unpacked or indexed."""
        call = f"both({self.expr(ty.U32, scope, 1)}, {self.expr(ty.I64, scope, 1)})"
        a, b = self.fresh(), self.fresh()
        if self.pick(2):
            self.emit(scope, f"{a}, {b} = {call}")
            scope.ints += [(a, ty.I64), (b, ty.U32)]
        else:
            self.emit(scope, f"{a} = {call}")
            self.emit(scope, f"{b}: i64 = {a}[0] + {a}[1]")
            scope.ints.append((b, ty.I64))

    def indirect(self, scope: Scope) -> None:
        """A call through a table, whose index may be wrong."""
        name = self.fresh()
        index = self.leaf(ty.U64, scope) + self.choose((" % 2", " % 2", " % 2", ""))
        self.emit(scope, f"{name}: i32 = OPS[{index}]({self.expr(ty.I32, scope, 1)})")
        scope.ints.append((name, ty.I32))

    def atomic(self, scope: Scope) -> None:
        name, op = self.fresh(), self.choose(("add", "sub", "swap", "xor", "or_", "and_"))
        self.emit(scope, f"{name}: u16 = counter.{op}({self.expr(ty.U16, scope, 1)})")
        self.emit(scope, f"if counter.cas({self.leaf(ty.U16, scope)}, {name}):")
        self.emit(scope, "    mark(3)")
        scope.ints.append((name, ty.U16))

    def body(self, scope: Scope) -> None:
        for _ in range(1 + self.pick(3)):
            self.statement(scope)

    def branch(self, scope: Scope) -> None:
        self.emit(scope, f"if {self.condition(scope, 2)}:")
        self.body(scope.inner())
        if self.pick(2):
            self.emit(scope, "else:")
            self.body(scope.inner())

    def loop_scope(self, scope: Scope) -> Scope:
        inner = scope.inner()
        inner.loops += 1
        return inner

    def count_loop(self, scope: Scope) -> None:
        inner, name = self.loop_scope(scope), self.fresh("k")
        head = self.choose((f"range({2 + self.pick(4)})", "range(1, 6, 2)",
                            f"reversed(range({2 + self.pick(3)}))",
                            f"range({self.leaf(ty.U64, scope)} % 5)"))
        self.emit(scope, f"for {name} in {head}:")
        inner.fixed.append((name, ty.U64))
        self.body(inner)

    def each_loop(self, scope: Scope) -> None:
        if not scope.rows:
            return self.count_loop(scope)
        inner, name = self.loop_scope(scope), self.fresh("x")
        row, of, _ = self.choose(scope.rows)
        if self.pick(2):
            index = self.fresh("k")
            self.emit(scope, f"for {index}, {name} in enumerate({row}):")
            inner.fixed.append((index, ty.U64))
        else:
            self.emit(scope, f"for {name} in {row}:")
        inner.fixed.append((name, of))
        self.body(inner)
        return None

    def while_loop(self, scope: Scope) -> None:
        inner, name = self.loop_scope(scope), self.fresh("n")
        self.emit(scope, f"{name}: u32 = 0")
        self.emit(scope, f"while {name} < {1 + self.pick(5)} and {self.condition(scope, 1)}:")
        self.emit(inner, f"{name} += 1")
        inner.fixed.append((name, ty.U32))
        self.body(inner)
        if self.pick(2):
            self.emit(scope, "else:")
            self.body(scope.inner())

    def attempt(self, scope: Scope) -> None:
        inner = scope.inner()
        self.emit(scope, "try:")
        if self.pick(2):
            self.body(inner)
        name = self.fresh()
        throwing = [made for made in self.callable if made.throws
                    and all(isinstance(p, ty.IntType) for p in made.params)]
        if throwing and self.pick(2):
            made = self.choose(throwing)
            args = ", ".join(self.expr(p, inner, 1) for p in made.params)
            self.emit(inner, f"{name}: {made.result} = {made.name}({args})")
            inner.ints.append((name, made.result))
        else:
            self.emit(inner, f"{name}: i32 = fail_if({self.expr(ty.I32, inner, 1)})")
            inner.ints.append((name, ty.I32))
        self.body(inner)
        how = self.pick(3)
        if how != 2:
            caught = scope.inner()
            error = self.fresh("e")
            self.emit(scope, f"except Errno as {error}:")
            code = self.fresh()
            self.emit(caught, f"{code}: i32 = {error}.code")
            caught.ints.append((code, ty.I32))
            if self.throws and self.pick(4) == 3:
                self.emit(caught, "mark(9)")
                self.emit(caught, "raise")
            else:
                self.body(caught)
                if how == 1:
                    self.emit(scope, "else:")
                    self.body(scope.inner())
        else:
            self.emit(scope, "except Errno:")
            self.emit(scope, "    mark(1)")
        if how == 2 or self.pick(2):
            self.emit(scope, "finally:")
            final = scope.inner()
            self.emit(final, f"mark({self.expr(ty.U64, final, 1)})")

    def locked(self, scope: Scope) -> None:
        self.emit(scope, "with lock:")
        self.body(scope.inner())

    def match_int(self, scope: Scope) -> None:
        of = self.choose(INTS)
        self.emit(scope, f"match {self.expr(of, scope, 1)}:")
        inner = scope.inner()
        for case in ("0", "1 | 2", str(of.maximum)):
            self.emit(inner, f"case {case}:")
            self.body(inner.inner())
        name = self.fresh("m")
        if self.pick(2):
            self.emit(inner, f"case {name} if {self.condition(scope, 1)}:")
            self.emit(inner, f"    mark(trunc(u64, {name}))")
        self.emit(inner, "case _:")
        self.body(inner.inner())

    def match_other(self, scope: Scope) -> None:
        """A match that must be exhaustive: over an enum, or a union."""
        inner = scope.inner()
        if self.pick(2) == 0:
            self.emit(scope, f"match Mode({self.leaf(ty.U8, scope)} % 2):")
            for case in ("Mode.A", "Mode.B | Mode.C"):
                self.emit(inner, f"case {case}:")
                self.body(inner.inner())
            return
        name = self.fresh("w")
        self.emit(scope, f"{name} = either({self.expr(ty.U32, scope, 1)})")
        self.emit(scope, f"match {name}:")
        for case, kind in (("Left(x={0})", ty.U32), ("Right(y={0})", ty.I64)):
            bound, arm = self.fresh("m"), inner.inner()
            self.emit(inner, f"case {case.format(bound)}:")
            arm.fixed.append((bound, kind))
            self.body(arm)


def module(chunks: list[bytes]) -> tuple[str, list[Made]]:
    """The source of a module with one function a chunk."""
    made: list[Made] = []
    for number, data in enumerate(chunks):
        made.append(Generator(f"f{number}", data, made[:LEAF_CALLS] if number >= LEAF_CALLS
                              else []).function())
    return PRELUDE + "".join(f"\n\n{one.text}\n" for one in made), made


def arguments(made: Made, data: bytes) -> tuple[Any, ...]:
    """Arguments for a call, leaning to the ends of each type."""
    source = Generator("", data, [])

    def number(of: ty.IntType) -> int:
        ends = (0, 1, 3, of.maximum, of.minimum, of.maximum - 1, of.maximum // 2 + 1, -1 % 256)
        value = ends[source.pick(len(ends))] if source.pick(3) else of.wrap(
            int.from_bytes(data[:8].ljust(8, b"\x5a"), "little") * (source.pick(97) + 1))
        return value if of.holds(value) else of.maximum

    return tuple(number(p) if isinstance(p, ty.IntType)
                 else [number(p[1]) for _ in range(source.pick(5))] for p in made.params)
