# SPDX-License-Identifier: BSD-3-Clause
"""The state of lowering one function: the current block, slots, registers and source scope.

    x + 1                 b.value(tree.Binary(...))      %3: u32 = load x
                            -> Reg 4                      %4: u32 = add %3, 1 or trap overflow

The files of this package register what they lower by tree class (`values`, `places`,
`statements`, `fills`), and reach each other only through the Builder.

Invariants
  B1  `block` is the block being filled; emit() into an ended block goes nowhere (dead code).
  B2  `scopes` holds the clean-ups and handlers around the current point, outermost first.
Tests     tests/toolchain/test_lower_*.py
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from toolchain.frontend import tree, types
from toolchain.lower import cfg
from toolchain.options import Options

VALUES: dict[type, Callable[..., Any]] = {}
PLACES: dict[type, Callable[..., Any]] = {}
STATEMENTS: dict[type, Callable[..., Any]] = {}
FILLS: dict[type, Callable[..., Any]] = {}


def _register(table: dict[type, Callable[..., Any]], kinds: tuple[type, ...]) -> Any:
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for kind in kinds:
            table[kind] = function
        return function
    return add


def values(*kinds: type) -> Any:
    """Register `f(b, expr) -> Operand | None`."""
    return _register(VALUES, kinds)


def places(*kinds: type) -> Any:
    """Register `f(b, place) -> cfg.Mem`."""
    return _register(PLACES, kinds)


def statements(*kinds: type) -> Any:
    """Register `f(b, statement)`."""
    return _register(STATEMENTS, kinds)


def fills(*kinds: type) -> Any:
    """Register `f(b, expr, mem)`: make an aggregate in fresh storage."""
    return _register(FILLS, kinds)


@dataclass(slots=True, eq=False)
class Target:
    """Where control may leave to: `depth` scopes remain there; `slot` takes a code or result."""

    kind: str                        # "return", "error", "break", "continue"
    depth: int
    block: cfg.Block
    slot: cfg.Slot | None = None


@dataclass(slots=True, eq=False)
class CleanUp:
    """A with or finally around the current point; `exits` are its copies, by destination."""

    body: list[tree.Stmt]
    at: cfg.At
    word: str
    exits: list[tuple[Target, cfg.Block]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Handler:
    """A try with an except clause around the current point."""

    error: Target


class Builder:
    """Lowers one function."""

    def __init__(self, function: tree.Function, options: Options) -> None:
        self.function = function
        self.options = options
        self.throws = function.throws
        self.root = cfg.Scope(None, function.loc, 0)
        self.at = cfg.At(function.loc, self.root)
        self.blocks: list[cfg.Block] = []
        self.slots: list[cfg.Slot] = []
        self.by_var: dict[int, cfg.Slot] = {}
        self.scopes: list[CleanUp | Handler] = []
        self.labels: dict[int, tuple[Target, Target | None]] = {}
        self.registers = 0
        self.names: dict[str, int] = {}
        self.ats: dict[tuple[Any, int], cfg.At] = {}
        self.result_slot: cfg.Slot | None = None
        self.block = self.start(self.new_block("entry"))
        self.returns: Target | None = None
        self.errors: Target | None = None

    # ---- blocks and instructions

    def new_block(self, name: str, note: str = "") -> cfg.Block:
        """A block to be started later."""
        count = self.names.get(name, 0)
        self.names[name] = count + 1
        return cfg.Block(f"{name}.{count}" if count else name, note)

    def start(self, block: cfg.Block) -> cfg.Block:
        """Fill `block` from here on."""
        self.blocks.append(block)
        self.block = block
        return block

    def emit(self, ins: cfg.Ins) -> None:
        block = self.block
        if not block.code or not isinstance(block.code[-1], cfg.TERMINATORS):   # B1
            block.code.append(ins)

    def reg(self, ty: types.Type) -> cfg.Reg:
        number = self.registers
        self.registers = number + 1
        return cfg.Reg(number, ty)

    def jump(self, target: cfg.Block) -> None:
        self.emit(cfg.Jump(self.at, target))

    def branch(self, cond: cfg.Operand, then: cfg.Block, other: cfg.Block,
               likely: bool | None = None) -> None:
        self.emit(cfg.Branch(self.at, cond, then, other, likely))

    def unreachable(self) -> None:
        self.emit(cfg.Unreachable(self.at))

    @property
    def ended(self) -> bool:
        return self.block.ended

    # ---- slots

    def slot(self, var: tree.Var) -> cfg.Slot:
        """The one slot of a variable; its scope grows to hold every use (so gdb shows it)."""
        slot = self.by_var.get(id(var))
        if slot is None:
            slot = self._new_slot(var.name, var.ty, var)
            slot.scope = self.at.scope
            self.by_var[id(var)] = slot
        elif slot.scope is not self.at.scope:
            slot.scope = _common(slot.scope, self.at.scope)
        return slot

    def temp(self, name: str, ty: types.Type) -> cfg.Slot:
        return self._new_slot(f".{name}", ty, None)

    def _new_slot(self, name: str, ty: types.Type, var: tree.Var | None) -> cfg.Slot:
        slot = cfg.Slot(name, ty, var, number=len(self.slots))
        self.slots.append(slot)
        return slot

    def load(self, mem: cfg.Mem, ty: types.Type) -> cfg.Operand:
        dest = self.reg(ty)
        self.emit(cfg.Load(self.at, dest, mem))
        return dest

    def store(self, mem: cfg.Mem, value: cfg.Operand) -> None:
        self.emit(cfg.Store(self.at, mem, value))

    def load_slot(self, slot: cfg.Slot) -> cfg.Operand:
        return self.load(slot_mem(slot), slot.ty)

    def store_slot(self, slot: cfg.Slot, value: cfg.Operand) -> None:
        self.store(slot_mem(slot), value)

    def move(self, to: cfg.Slot, source: cfg.Slot) -> None:
        """Copy one slot to another of its type."""
        if to.ty.is_aggregate:
            self.emit(cfg.Copy(self.at, slot_mem(to), slot_mem(source), to.ty.size))
        else:
            self.store_slot(to, self.load_slot(source))

    # ---- places in the source

    def goto(self, loc: tree.Loc) -> cfg.At:
        """Instructions emitted from here on come from `loc`; returns the place before."""
        before = self.at
        self.at = self._at(loc, before.scope)
        return before

    def _at(self, loc: tree.Loc, scope: cfg.Scope) -> cfg.At:
        key = (loc[1:], id(loc[0]), id(scope))
        at = self.ats.get(key)
        if at is None:
            at = self.ats[key] = cfg.At(loc, scope)
        return at

    def nested(self, body: list[tree.Stmt]) -> None:
        """Lower the statements of an inner block, as a scope of its own."""
        if not body:
            return
        before = self.at
        scope = cfg.Scope(before.scope, body[0].loc, before.scope.depth + 1)
        self.at = self._at(body[0].loc, scope)
        self.run(body)
        self.at = before

    # ---- by class of the tree

    def value(self, expr: tree.Expr) -> Any:
        """The value of an expression; None if its type is VOID."""
        before = self.goto(expr.loc)
        result = VALUES[expr.__class__](self, expr)
        self.at = before
        return result

    def place(self, place: tree.Expr) -> cfg.Mem:
        """The storage of a place."""
        before = self.goto(place.loc)
        result = PLACES[place.__class__](self, place)
        self.at = before
        return result

    def fill(self, expr: tree.Expr, mem: cfg.Mem) -> None:
        """Make the value of `expr` in `mem`, storage that nothing in `expr` can see."""
        if expr.ty.is_aggregate:
            before = self.goto(expr.loc)
            FILLS[expr.__class__](self, expr, mem)
            self.at = before
        else:
            self.store(mem, self.value(expr))

    def run(self, body: list[tree.Stmt]) -> None:
        """Lower statements in the current scope; what follows a jump is dead and dropped."""
        for statement in body:
            if self.ended:
                return
            before = self.goto(statement.loc)
            STATEMENTS[statement.__class__](self, statement)
            self.at = before


def slot_mem(slot: cfg.Slot) -> cfg.Mem:
    return cfg.Mem(slot, 0, slot.ty.align)


def _common(one: cfg.Scope | None, two: cfg.Scope | None) -> cfg.Scope | None:
    """The innermost scope around both."""
    while one is not two and one is not None and two is not None:
        if one.depth >= two.depth:
            one = one.parent
        else:
            two = two.parent
    return one


def parts(node: object) -> Iterator[object]:
    """Every expression, statement and format piece of a tree, the node itself included."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, list | tuple) and not isinstance(item, tree.Loc):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, tree.Expr | tree.Stmt | tree.FormatPiece):
            yield item
            stack.extend(getattr(item, name) for cls in type(item).__mro__
                         for name in getattr(cls, "__slots__", ()))
