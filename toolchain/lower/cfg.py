# SPDX-License-Identifier: BSD-3-Clause
"""The control-flow graph: blocks of three-address instructions with explicit clean-up edges.

    def total(xs: Slice[u32]) -> u64:     function demo.total(xs: Slice[u32]) -> u64
        s: u64 = 0                          slot xs: Slice[u32], s: u64, x: u32, .i: u64
        for x in xs:                        while:
            s += x                            %0: u64 = load .i
        return s                              %1: u64 = load xs+8
                                              %2: bool = lt %0, %1
                                              branch %2, while.body, while.end
                                            while.body:
                                              check index %3, %4
                                              ...
                                              %9: u64 = add %7, %8 or trap overflow

What holds of it (verify.py tests it)
  C1  A block ends in exactly one terminator; every block is reachable from the first.
  C2  A register is assigned once, before each use on every path.  Values that meet go through a
      slot; a slot is a variable of the source (one Var, one slot) or a temporary.
  C3  Clean-up is ordinary blocks: no instruction has a hidden exit but a trap, which does not
      return.  The error code of a throwing call is always read.
  C4  An instruction that may trap has `trap`; one without it cannot.
  C5  Memory is touched by Load, Store, Copy, Zero, Atomic, Mmio*, Call, Intrinsic and Asm only.
      Their addresses are Mem operands: a base plus a constant, with the known alignment.
  C6  An aggregate is never in a register; a slice or tuple may be.
Tests     tests/toolchain/test_lower_*.py
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from toolchain.frontend.types import Type

if TYPE_CHECKING:
    from toolchain.frontend import tree
    from toolchain.frontend.types import Field, FnType


class Trap(IntEnum):
    """Why an instruction may not return: `Check` of toolchain/kpy/rt.py, number for number."""

    OVERFLOW = 1
    INDEX = 2
    SLICE = 3
    ZERO_DIVISOR = 4
    SHIFT = 5
    CONVERSION = 6
    NULL = 7
    NOT_A_MEMBER = 8
    UNREACHABLE = 9
    ASSERT = 10
    PANIC = 11
    PRINT = 12


class Address(Type):
    """The type of a register that holds an address made by IndexAddr."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self.name, self.size, self.align = name, 8, 8


ADDRESS = Address("address")
PERCPU_ADDRESS = Address("percpu address")    # relative to this CPU's segment base


# ---- where an instruction comes from ------------------------------------------------------------

@dataclass(slots=True, eq=False)
class Scope:
    """A lexical block of the source, for debuggers.  `used`: some variable lives in it."""

    parent: Scope | None
    loc: tree.Loc
    depth: int
    used: bool = False

    def effective(self) -> Scope:
        """The innermost enclosing scope that has variables (the outermost always counts)."""
        scope = self
        while scope.parent is not None and not scope.used:
            scope = scope.parent
        return scope


@dataclass(slots=True, eq=False)
class At:
    """A source location inside a scope; shared by the instructions that come from it."""

    loc: tree.Loc
    scope: Scope


# ---- operands -----------------------------------------------------------------------------------

@dataclass(slots=True, eq=False)
class Reg:
    number: int
    ty: Type

    def __str__(self) -> str:
        return f"%{self.number}"


@dataclass(slots=True)
class Imm:
    """An integer-like constant, or a null or fixed pointer; raw bits as the type reads them."""

    ty: Type
    value: int

    def __str__(self) -> str:
        return str(self.value)


@dataclass(slots=True)
class ZeroValue:
    """A slice or tuple of zeros."""

    ty: Type

    def __str__(self) -> str:
        return "zero"


@dataclass(slots=True, eq=False)
class Slot:
    """A variable or temporary in the frame.  As an operand it is its address."""

    name: str
    ty: Type
    var: tree.Var | None = None
    scope: Scope | None = None
    param: int = -1                 # which parameter it receives, from 0
    number: int = 0

    def __str__(self) -> str:
        return f"&{self.name}"


@dataclass(slots=True)
class Sym:
    """The address of a function or global."""

    symbol: str
    ty: Type
    percpu: bool = False

    def __str__(self) -> str:
        return f"@{self.symbol}"


@dataclass(slots=True)
class Data:
    """The address of anonymous read-only data: the elements of a constant slice, or an
    aggregate."""

    ty: Type
    value: object

    def __str__(self) -> str:
        text = repr(self.value)
        return f"data({text if len(text) < 40 else text[:37] + '...'})"


Operand: TypeAlias = Reg | Imm | ZeroValue | Slot | Sym | Data


@dataclass(slots=True)
class Mem:
    """The storage at base + offset.  `align` is what is known of the address.

    `bits`: it is this bit field of the integer `whole` at the address.
    """

    base: Operand
    offset: int
    align: int
    percpu: bool = False
    bits: Field | None = None
    whole: Type | None = None

    def __str__(self) -> str:
        name = str(self.base).lstrip("&@")
        text = f"{name}+{self.offset}" if self.offset else name
        return ("gs:" if self.percpu else "") + text


# ---- instructions -------------------------------------------------------------------------------

@dataclass(slots=True, eq=False)
class Ins:
    """`USES` names the fields that are operands (or lists of them), `MEMS` those that are Mem."""

    at: At
    USES: ClassVar[tuple[str, ...]] = ()
    MEMS: ClassVar[tuple[str, ...]] = ()
    DEFS: ClassVar[tuple[str, ...]] = ("dest",)


@dataclass(slots=True, eq=False)
class Load(Ins):
    """dest = the value of type dest.ty in `mem`."""

    dest: Reg
    mem: Mem
    volatile: bool = False
    MEMS = ("mem",)


@dataclass(slots=True, eq=False)
class Store(Ins):
    mem: Mem
    value: Operand
    volatile: bool = False
    USES, MEMS, DEFS = ("value",), ("mem",), ()


@dataclass(slots=True, eq=False)
class Copy(Ins):
    """`size` bytes; the two do not overlap, or are the same."""

    to: Mem
    source: Mem
    size: int
    MEMS, DEFS = ("to", "source"), ()


@dataclass(slots=True, eq=False)
class Zero(Ins):
    mem: Mem
    size: int
    MEMS, DEFS = ("mem",), ()


@dataclass(slots=True, eq=False)
class Addr(Ins):
    """dest = the address of `mem`; of per-CPU storage, this CPU's copy of it."""

    dest: Reg
    mem: Mem
    MEMS = ("mem",)


@dataclass(slots=True, eq=False)
class IndexAddr(Ins):
    """dest = address of mem + index * scale."""

    dest: Reg
    mem: Mem
    index: Operand
    scale: int
    USES, MEMS = ("index",), ("mem",)


@dataclass(slots=True, eq=False)
class Unary(Ins):
    """op: neg inv not."""

    dest: Reg
    op: str
    operand: Operand
    trap: Trap | None = None
    USES = ("operand",)


@dataclass(slots=True, eq=False)
class Binary(Ins):
    """op: add sub mul floordiv mod and or xor shl shr.

    `trap`: when the exact result does not fit; without it the result wraps.  floordiv and mod
    trap on a zero divisor as well, unless the divisor is an Imm that is not zero.
    """

    dest: Reg
    op: str
    left: Operand
    right: Operand
    trap: Trap | None = None
    USES = ("left", "right")


@dataclass(slots=True, eq=False)
class Compare(Ins):
    """op: eq ne lt le gt ge, as the operands' type orders."""

    dest: Reg
    op: str
    left: Operand
    right: Operand
    USES = ("left", "right")


@dataclass(slots=True, eq=False)
class Convert(Ins):
    """kind as tree.Convert's, without slice and unwrap."""

    dest: Reg
    kind: str
    operand: Operand
    trap: Trap | None = None
    USES = ("operand",)


@dataclass(slots=True, eq=False)
class Check(Ins):
    """kind: index (i, n) traps unless i < n; slice (lo, hi, n) unless lo <= hi <= n; same (m, n)
    unless m == n; null (p) unless p; unreachable () always."""

    kind: str
    operands: list[Operand]
    trap: Trap
    USES, DEFS = ("operands",), ()


@dataclass(slots=True, eq=False)
class Make(Ins):
    """dest = the slice (address, length) or tuple of `items`."""

    dest: Reg
    items: list[Operand]
    USES = ("items",)


@dataclass(slots=True, eq=False)
class Extract(Ins):
    """dest = item `index` of a tuple; 0 and 1 of a slice: address, length."""

    dest: Reg
    operand: Operand
    index: int
    USES = ("operand",)


@dataclass(slots=True, eq=False)
class BitsGet(Ins):
    """dest = `width` bits of an integer from bit `bit`, as dest.ty."""

    dest: Reg
    operand: Operand
    bit: int
    width: int
    USES = ("operand",)


@dataclass(slots=True, eq=False)
class BitsSet(Ins):
    """dest = operand with those bits replaced by the low bits of `value`."""

    dest: Reg
    operand: Operand
    bit: int
    width: int
    value: Operand
    USES = ("operand", "value")


@dataclass(slots=True, eq=False)
class Call(Ins):
    """A call.  `code` receives a throwing callee's error code.  `into`: where an aggregate result
    goes.  `function`: the callee, where it is known."""

    dest: Reg | None
    code: Reg | None
    callee: Operand
    signature: FnType
    args: list[Operand]
    into: Mem | None = None
    function: tree.Function | None = None
    USES, DEFS = ("callee", "args"), ("dest", "code")


@dataclass(slots=True, eq=False)
class Runtime(Ins):
    """A call of one of the plain C functions the compiler itself needs (kpy.rt.*, hooks,
    memcmp).  `site`: the first pointer argument is the record of this place, of that kind."""

    dest: Reg | None
    symbol: str
    args: list[Operand]
    site: Trap | None = None
    site_after: int = 0             # how many arguments come before it
    noreturn: bool = False
    site_text: str = ""
    USES = ("args",)


@dataclass(slots=True, eq=False)
class Atomic(Ins):
    """op: load store swap add sub and or xor cas cas_value."""

    dest: Reg | None
    op: str
    mem: Mem
    ty: Type
    args: list[Operand]
    order: str
    USES, MEMS = ("args",), ("mem",)


@dataclass(slots=True, eq=False)
class Fence(Ins):
    order: str
    DEFS = ()


@dataclass(slots=True, eq=False)
class MmioRead(Ins):
    dest: Reg
    mem: Mem
    MEMS = ("mem",)


@dataclass(slots=True, eq=False)
class MmioWrite(Ins):
    mem: Mem
    value: Operand
    USES, MEMS, DEFS = ("value",), ("mem",), ()


@dataclass(slots=True, eq=False)
class Intrinsic(Ins):
    """op as tree.Intrinsic's."""

    dest: Reg | None
    op: str
    args: list[Operand]
    USES = ("args",)


@dataclass(slots=True, eq=False)
class Asm(Ins):
    dest: Reg | None
    template: str
    constraints: str
    args: list[Operand]
    volatile: bool
    USES = ("args",)


@dataclass(slots=True, eq=False)
class Count(Ins):
    """Increment edge counter `number` of the module (instrumented builds only)."""

    number: int
    DEFS = ()


# ---- terminators --------------------------------------------------------------------------------

@dataclass(slots=True, eq=False)
class Jump(Ins):
    target: Block
    DEFS = ()


@dataclass(slots=True, eq=False)
class Branch(Ins):
    """`likely`: which way is expected, True, False or None."""

    cond: Operand
    then: Block
    other: Block
    likely: bool | None = None
    USES, DEFS = ("cond",), ()


@dataclass(slots=True, eq=False)
class Switch(Ins):
    value: Operand
    cases: list[tuple[int, Block]]
    default: Block
    USES, DEFS = ("value",), ()


@dataclass(slots=True, eq=False)
class Return(Ins):
    """`value` None: no result, or it is in the result storage.  `code`: of a throwing function."""

    value: Operand | None
    code: Operand | None
    USES, DEFS = ("value", "code"), ()


@dataclass(slots=True, eq=False)
class Unreachable(Ins):
    """After something that does not return."""

    DEFS = ()


TERMINATORS = (Jump, Branch, Switch, Return, Unreachable)


@dataclass(slots=True, eq=False)
class Block:
    """`note` says what a clean-up block is for."""

    name: str
    note: str = ""
    code: list[Ins] = field(default_factory=list)
    number: int = 0

    @property
    def ended(self) -> bool:
        return bool(self.code) and isinstance(self.code[-1], TERMINATORS)

    def successors(self) -> list[Block]:
        last = self.code[-1]
        if isinstance(last, Jump):
            return [last.target]
        if isinstance(last, Branch):
            return [last.then, last.other]
        if isinstance(last, Switch):
            return [*(block for _, block in last.cases), last.default]
        return []


@dataclass(slots=True, eq=False)
class Function:
    """`linkage`: "strong"; "shared", one of several equal copies, of which one must stay;
    "copy", dropped where nothing needs it."""

    source: tree.Function
    slots: list[Slot]
    blocks: list[Block]
    scope: Scope
    linkage: str = "strong"

    @property
    def symbol(self) -> str:
        return self.source.attrs.export or self.source.symbol


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change that sleeps in the graph: see mutate.py."""

    name: str
    at: At


@dataclass(slots=True, eq=False)
class Module:
    """`externs` are functions used here and defined elsewhere; `edges` the places of the edge
    counters, `sites` those of numbered schedule points and fault sites."""

    source: tree.Module
    functions: list[Function]
    externs: list[tree.Function]
    edges: list[At] = field(default_factory=list)
    sites: list[tuple[int, At]] = field(default_factory=list)
    mutants: list[Mutant] = field(default_factory=list)


def uses(ins: Ins) -> Iterator[Operand]:
    """Every operand an instruction reads, the bases of its addresses included."""
    for name in ins.USES:
        value = getattr(ins, name)
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value
    for name in ins.MEMS:
        yield getattr(ins, name).base
    if isinstance(ins, Call) and ins.into is not None:
        yield ins.into.base


def defs(ins: Ins) -> Iterator[Reg]:
    """Every register an instruction assigns."""
    for name in ins.DEFS:
        reg = getattr(ins, name)
        if reg is not None:
            yield reg


# ---- the graph as text --------------------------------------------------------------------------

def dump(module: Module, name: str | None = None) -> str:
    """The graph as `kpyc dump --stage cfg` shows it; `name`: one function, by its symbol or
    its name in the module.  Source lines stand as comments above what they became."""
    wanted = [f for f in module.functions
              if name is None or name in (f.symbol, f.source.symbol.removeprefix(
                  f.source.module + "."))]
    return "\n".join(dump_function(function) for function in wanted)


def dump_function(function: Function) -> str:
    """One function as text."""
    source = function.source
    params = ", ".join(f"{p.name}: {p.ty}" for p in source.params)
    lines = [f"function {function.symbol}({params}) -> {source.result}"
             + (" throws" if source.throws else "")]
    if function.slots:
        lines.append("    slots " + ", ".join(f"{s.name}: {s.ty}" for s in function.slots))
    shown: tuple[int, int] | None = None
    for block in function.blocks:
        lines.append(f"  {block.name}:" + (f"    # {block.note}" if block.note else ""))
        for ins in block.code:
            loc = ins.at.loc
            if (id(loc.source), loc.line) != shown:
                shown = (id(loc.source), loc.line)
                where = "" if loc.source is source.loc.source else f"{loc.source.path}:"
                lines.append(f"    # {where}{loc.line}| {loc.source.line_text(loc.line).strip()}")
            lines.append(f"    {text(ins)}")
    return "\n".join(lines) + "\n"


def text(ins: Ins) -> str:
    """One instruction as a line."""
    made = ", ".join(f"{reg}: {reg.ty}" for reg in defs(ins))
    body = _TEXT[type(ins)](ins)
    trap = getattr(ins, "trap", None)
    return (f"{made} = " if made else "") + body + (f" or trap {trap.name.lower()}"
                                                    if trap is not None else "")


def _list(operands: list[Operand]) -> str:
    return ", ".join(map(str, operands))


def _call_text(ins: Call) -> str:
    into = f" into {ins.into}" if ins.into is not None else ""
    return f"call {str(ins.callee).lstrip('@')}({_list(ins.args)}){into}"


def _runtime_text(ins: Runtime) -> str:
    args = [str(arg) for arg in ins.args]
    if ins.site is not None:
        args.insert(ins.site_after, f"site {ins.site.name.lower()}")
    return f"call {ins.symbol}({', '.join(args)})"


def _branch_text(ins: Branch) -> str:
    hint = "" if ins.likely is None else "   # likely" if ins.likely else "   # unlikely"
    return f"branch {ins.cond}, {ins.then.name}, {ins.other.name}{hint}"


def _return_text(ins: Return) -> str:
    parts = [str(ins.value)] if ins.value is not None else []
    parts += [f"code {ins.code}"] if ins.code is not None else []
    return " ".join(["return", ", ".join(parts)]).strip()


def _volatile(ins: Load | Store) -> str:
    return " volatile" if ins.volatile else ""


_TEXT = {
    Load: lambda i: f"load{_volatile(i)} {i.mem}",
    Store: lambda i: f"store{_volatile(i)} {i.mem}, {i.value}",
    Copy: lambda i: f"copy {i.to}, {i.source}, {i.size} bytes",
    Zero: lambda i: f"zero {i.mem}, {i.size} bytes",
    Addr: lambda i: f"address {i.mem}",
    IndexAddr: lambda i: f"index {i.mem}, {i.index} * {i.scale}",
    Unary: lambda i: f"{i.op} {i.operand}",
    Binary: lambda i: f"{i.op} {i.left}, {i.right}",
    Compare: lambda i: f"{i.op} {i.left}, {i.right}",
    Convert: lambda i: f"convert {i.kind} {i.operand}",
    Check: lambda i: f"check {i.kind} {_list(i.operands)}".rstrip(),
    Make: lambda i: f"make {_list(i.items)}",
    Extract: lambda i: f"item {i.index} of {i.operand}",
    BitsGet: lambda i: f"bits {i.bit}..{i.bit + i.width - 1} of {i.operand}",
    BitsSet: lambda i: f"{i.operand} with bits {i.bit}..{i.bit + i.width - 1} = {i.value}",
    Call: _call_text,
    Runtime: _runtime_text,
    Atomic: lambda i: f"atomic {i.op} {i.mem}"
                      + (f", {_list(i.args)}" if i.args else "") + f", {i.order}",
    Fence: lambda i: f"fence {i.order}",
    MmioRead: lambda i: f"mmio read {i.mem}",
    MmioWrite: lambda i: f"mmio write {i.mem}, {i.value}",
    Intrinsic: lambda i: f"{i.op} {_list(i.args)}".rstrip(),
    Asm: lambda i: f"asm {i.template!r} ({_list(i.args)})",
    Count: lambda i: f"count edge {i.number}",
    Jump: lambda i: f"jump {i.target.name}",
    Branch: _branch_text,
    Switch: lambda i: f"switch {i.value}, "
                      + ", ".join(f"{n}: {b.name}" for n, b in i.cases)
                      + f", other: {i.default.name}",
    Return: _return_text,
    Unreachable: lambda i: "unreachable",
}
