# SPDX-License-Identifier: BSD-3-Clause
"""The state of checking one function body: names, what is known here, implicit conversion.

What is known (`flow`) is a set of facts that hold at this point of the program:

    a Var                the variable has been assigned
    (var, "f", "g")      the pointer in var.f.g is not null
    None instead of a set: this point cannot be reached

    if td.proc is None:          facts: {td}
        return
    td.proc.pid = 7              facts: {td, (td, "proc")}
    work(td)                     a call may change td.proc: {td}

Invariants
  B1  A fact about memory dies at anything that may write it: a store to a field of that name, a
      call, a loop whose body does either.
  B2  coerce() makes exactly the implicit conversions of docs/kpy.md; everything else is reported.
Tests     tests/toolchain/test_check_flow.py, test_check_convert.py
"""
from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import classes, hints
from toolchain.frontend.check.scope import Context, Scope
from toolchain.frontend.tree import Loc


@dataclass(slots=True, eq=False)
class CaughtError:
    """What `except Errno as e` binds: `e.code` reads `var`."""

    var: tree.Var


@dataclass(slots=True, eq=False)
class Frame:
    """The local names of one function, or of one generator expanded into it."""

    scope: Scope
    names: dict[str, Any] = field(default_factory=dict)       # Var or CaughtError
    stored: frozenset[str] = frozenset()                      # names the function assigns
    globals: set[str] = field(default_factory=set)
    generator: Any = None            # loops.Expansion, where this frame is an expanded generator


@dataclass(slots=True, eq=False)
class Target:
    """Where `break` and `continue` of one loop go, and what is known there."""

    break_label: tree.Label
    continue_label: tree.Label
    breaks: list[set[Any]] = field(default_factory=list)
    continues: list[set[Any]] = field(default_factory=list)


@dataclass(slots=True)
class Effects:
    """What a body does, for the effect pass.  Each entry says where and under which lock.

    keeps: (parameter, the one whose object it is stored into, or None: elsewhere).
    address_taken: (function type's name or "struct.field", symbol); the symbol "*TYPE" stands for
    every function of that type.
    """

    calls: list[tuple[str, Loc, Loc | None]] = field(default_factory=list)
    indirect: list[tuple[Any, Loc, Loc | None]] = field(default_factory=list)
    functions: dict[str, tree.Function] = field(default_factory=dict)
    globals: dict[str, tree.Global] = field(default_factory=dict)
    address_taken: list[tuple[str, str]] = field(default_factory=list)
    raises: bool = False                                                 # an error leaves it
    must_not_block: list[tuple[str, Loc]] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)                        # entries("name")
    keeps: list[tuple[int, int | None, Loc]] = field(default_factory=list)
    passes: list[Any] = field(default_factory=list)                      # lifetimes.Pass


class Body:
    """One function body being checked."""

    def __init__(self, cx: Context, function: tree.Function, scope: Scope,
                 node: ast.FunctionDef) -> None:
        self.cx, self.function = cx, function
        self.frame = Frame(scope, stored=stored_names(node))
        scope.locals = self.frame.names
        self.flow: set[Any] | None = set()
        self.out: list[tree.Stmt] = []
        self.targets: list[Target | None] = []
        self.wrap = 1 if function.attrs.wrapping else 0
        self.handlers = 0               # enclosing try blocks that catch
        self.caught: list[CaughtError] = []
        self.region: Loc | None = None  # the innermost lock under which blocking is forbidden
        self.effects = Effects()
        self.expanding: list[str] = []  # generators being expanded
        self.address_taken: set[tree.Var] = set()
        self.to_local: set[tree.Var] = set()       # pointers and slices into this frame
        self.to_constant: set[tree.Var] = set()    # pointers and slices into constants
        self.into_union: dict[tree.Var, tree.Expr] = {}   # pointers that a `case` bound; the union
        self.origins: dict[tree.Var, Any] = {}     # of pointer variables: see lifetimes.py
        self.leads: dict[tree.Var, Any] = {}
        self.overwritten: dict[tree.Var, tuple[str, Loc]] = {}    # those made stale: how, where
        self.unsure = False             # whether a call that was reported comes back
        self._temps = 0
        self._errors_before = cx.sink.errors

    # ---- reporting ------------------------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        return self.frame.scope

    @property
    def is_wrong(self) -> bool:
        """Whether something was reported since this body was begun."""
        return self.cx.sink.errors > self._errors_before

    def loc(self, node: ast.AST) -> Loc:
        return self.scope.module.source.loc(node)

    def error(self, code: str, node: ast.AST, message: str, label: str = "", *, help: str = "",
              notes: tuple[tuple[str, Loc | None], ...] = ()) -> tree.Expr:
        """Report, and give the expression that agrees with everything."""
        self.cx.error(code, self.scope, node, message, label, help=help, notes=notes)
        return self.poison(node)

    def poison(self, node: ast.AST) -> tree.Expr:
        return tree.Const(t.POISON, self.loc(node), 0)

    # ---- variables ------------------------------------------------------------------------------

    def declare(self, name: str, ty: t.Type, node: ast.AST, kind: str = "local") -> tree.Var:
        """A new local of this frame."""
        shown = f".{name}" if self.frame.generator is not None else name
        var = tree.Var(shown, ty, kind, self.loc(node))
        self.frame.names[name] = var
        self.function.locals.append(var)
        return var

    def temp(self, ty: t.Type, init: tree.Expr | None, loc: Loc, name: str = "t") -> tree.Var:
        """A new compiler's local holding `init`; declared in the current statement list."""
        self._temps += 1
        var = tree.Var(f".{name}{self._temps}", ty, "temp", loc)
        self.function.locals.append(var)
        self.out.append(tree.Declare(loc, var, init))
        self.know(var)
        return var

    def load(self, expr: tree.Expr) -> tree.Expr:
        """The value in a place; aggregates stay places.  A pointer known not to be null is Ptr."""
        if not isinstance(expr, tree.Place) or expr.ty.is_aggregate or expr.ty is t.POISON:
            return expr
        value = tree.Load(expr.ty, expr.loc, expr)
        if isinstance(expr.ty, t.PtrType) and expr.ty.nullable:
            path = path_of(expr)
            if path is not None and self.flow is not None and path in self.flow:
                return tree.Convert(t.ptr(expr.ty.elem), expr.loc, "ptr", value)
        return value

    # ---- flow -----------------------------------------------------------------------------------

    @property
    def dead(self) -> bool:
        return self.flow is None

    def know(self, fact: Any) -> None:
        if self.flow is not None:
            self.flow.add(fact)

    def excuse(self, name: str, node: ast.AST) -> None:
        """What was to be assigned to a name was reported: nothing more is said where it is used."""
        found = self.frame.names.get(name)
        self.know(found if isinstance(found, tree.Var) else self.declare(name, t.POISON, node))

    def fork(self) -> set[Any] | None:
        return None if self.flow is None else set(self.flow)

    def assume(self, facts: set[Any]) -> None:
        if self.flow is not None:
            self.flow |= facts

    @staticmethod
    def merge(*flows: set[Any] | None) -> set[Any] | None:
        """What holds after several ways meet."""
        alive = [f for f in flows if f is not None]
        return set.intersection(*alive) if alive else None

    def written(self, place: tree.Expr) -> None:
        """Facts die at a store to `place` (B1)."""
        if self.flow is None:
            return
        for var, union in self.into_union.items():
            if var in self.flow and _overwrites(self, place, union):
                self.flow.discard(var)
                self.overwritten[var] = ("overwritten", place.loc)
        if isinstance(place, tree.VarPlace):
            var = place.var
            self.flow = {f for f in self.flow if not (type(f) is tuple and f[0] is var)}
        elif isinstance(place, tree.FieldPlace):
            name = place.field.name
            self.flow = {f for f in self.flow if not (type(f) is tuple and name in f[1:])}
        else:
            self.forget_memory()

    def forget_memory(self) -> None:
        """Facts about memory die: something unknown may have written it."""
        if self.flow is not None:
            self.flow = {f for f in self.flow if type(f) is not tuple or (
                len(f) == 1 and f[0] not in self.address_taken and isinstance(f[0], tree.Var))}

    def forget_changes(self, *bodies: list[ast.stmt]) -> None:
        """Facts die that these statements, run any number of times, may end."""
        if self.flow is None:
            return
        names, fields, calls = changes(bodies)
        for name in names:
            var = self.frame.names.get(name)
            if isinstance(var, tree.Var):
                self.flow = {f for f in self.flow if not (type(f) is tuple and f[0] is var)}
        for var, union in self.into_union.items():
            if var in self.flow and _changed(self, union, names, fields):
                self.flow.discard(var)
                self.overwritten[var] = ("what is repeated here assigns the Union", union.loc)
        if calls:
            self.forget_memory()
        elif fields:
            self.flow = {f for f in self.flow
                         if not (type(f) is tuple and fields.intersection(
                             p for p in f[1:] if isinstance(p, str)))}

    # ---- conversion -----------------------------------------------------------------------------

    def coerce(self, expr: tree.Expr, want: t.Type, node: ast.AST, what: str = "") -> tree.Expr:
        """`expr` as a `want`, by the implicit conversions; or a report (B2)."""
        have = expr.ty
        if have is want or have is t.POISON or want is t.POISON:
            return expr
        if have is t.NEVER:
            return tree.Seq(want, expr.loc, [tree.ExprStmt(expr.loc, expr)],
                            tree.ZeroInit(want, expr.loc))
        done = _convert(self, expr, have, want, node)
        if done is not None:
            return done
        return self._mismatch(expr, want, node, what)

    def _mismatch(self, expr: tree.Expr, want: t.Type, node: ast.AST, what: str) -> tree.Expr:
        have = expr.ty
        notes: list[tuple[str, Loc | None]] = []
        declared = _declaration(expr)
        if declared is not None:
            notes.append((f"`{declared[0]}` is declared", declared[1]))
        if isinstance(have, t.PtrType) and isinstance(want, t.PtrType) and have.nullable and (
                path := path_of(expr)) is not None:
            self.know(path)                     # said once
        context = f" for {what}" if what else ""
        return self.error("K0308", node, f"expected `{want.name}`{context}, found `{have.name}`",
                          f"this is `{have.name}`", help=hints.conversion(have, want, self, node)
                          or f"give a `{want.name}`, or change the type that is asked for",
                          notes=tuple(notes))

    def boolean(self, expr: tree.Expr, node: ast.AST) -> tree.Expr:
        """`expr` where a truth value is needed: only bool is one."""
        ty = expr.ty
        if ty is t.BOOL or ty is t.POISON:
            return expr
        text = self.scope.module.source.segment(self.loc(node))
        if isinstance(node, ast.NamedExpr | ast.IfExp | ast.BoolOp):
            text = f"({text})"
        if isinstance(ty, t.PtrType | t.MPtrType | t.UserPtrType):
            hint = f"write `{text} is not None`"
        elif isinstance(ty, t.EnumType) and ty.is_flags:
            hint = f"write `{ty.name}.NAME in ...`, or `bits_of({text}) != 0`"
        elif isinstance(ty, t.IntType | t.LiteralType):
            hint = f"write `{text} != 0`"
        elif isinstance(ty, t.SliceType | t.ArrayType):
            hint = f"write `len({text}) != 0`"
        else:
            hint = "compare it with something"
        if isinstance(ty, t.TupleType):
            hint = "test what is in it"
        return self.error("K0309", node, f"`{ty.name}` is not a truth value", help=hint)

    def call_effect(self, function: tree.Function, loc: Loc) -> None:
        """Note that the body calls `function`; what it may write is forgotten."""
        self.effects.calls.append((function.symbol, loc, self.region))
        self.effects.functions[function.symbol] = function
        self.forget_memory()


def path_of(expr: tree.Expr) -> tuple[Any, ...] | None:
    """The facts' name of a place: (var, "field", ...), or None where it has none."""
    parts: list[str] = []
    while True:
        if isinstance(expr, tree.VarPlace):
            return (expr.var, *reversed(parts))
        if isinstance(expr, tree.GlobalPlace):
            return (expr.global_.symbol, *reversed(parts))
        if isinstance(expr, tree.FieldPlace):
            parts.append(expr.field.name)
            expr = expr.base
        elif isinstance(expr, tree.Deref):
            expr = expr.pointer
        elif isinstance(expr, tree.Load):
            expr = expr.place
        elif isinstance(expr, tree.Convert) and expr.kind == "ptr":
            expr = expr.operand
        elif isinstance(expr, tree.AddrOf):
            expr = expr.place
        else:
            return None


def stored_names(node: ast.FunctionDef) -> frozenset[str]:
    """The names that assignments in `node` make local."""
    names: set[str] = set()
    declared_global: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.Global):
            declared_global.update(part.names)
        elif isinstance(part, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and part.name:
            names.add(part.name)
    return frozenset(names - declared_global)


_HARMLESS_CALLS = frozenset({"len", "range", "enumerate", "zip", "reversed", "min", "max", "abs"})


def _overwrites(b: Body, place: tree.Expr, union: tree.Expr) -> bool:
    """Whether a store to `place` may be one to `union` or to what it is part of."""
    while True:
        if place.ty is union.ty and _may_be_same(b, place, union):
            return True
        if not isinstance(union, tree.FieldPlace | tree.IndexPlace):
            return False
        union = union.base


def _may_be_same(b: Body, one: tree.Expr, other: tree.Expr) -> bool:
    """Whether two places of one type may be the same storage."""
    if isinstance(one, tree.FieldPlace) and isinstance(other, tree.FieldPlace):
        return one.field.name == other.field.name and (
            one.base.ty is not other.base.ty or _may_be_same(b, one.base, other.base))
    if isinstance(one, tree.VarPlace) and isinstance(other, tree.VarPlace):
        return one.var is other.var
    if isinstance(one, tree.GlobalPlace) and isinstance(other, tree.GlobalPlace):
        return one.global_ is other.global_
    for place, through in ((one, other), (other, one)):
        if isinstance(place, tree.VarPlace | tree.GlobalPlace) and not isinstance(
                through, tree.Deref | tree.IndexPlace):
            return False
        if isinstance(place, tree.VarPlace) and place.var not in b.address_taken:
            return False
    return True


def _changed(b: Body, union: tree.Expr, names: set[str], fields: set[str]) -> bool:
    """Whether statements that assign these names and fields may overwrite `union`."""
    while isinstance(union, tree.FieldPlace | tree.IndexPlace):
        if isinstance(union, tree.FieldPlace) and union.field.name in fields:
            return True
        union = union.base
    return (isinstance(union, tree.VarPlace) and b.frame.names.get(union.var.name) is union.var
            and union.var.name in names) or (
        isinstance(union, tree.GlobalPlace) and union.global_.name in names)


def changes(bodies: tuple[list[ast.stmt], ...]) -> tuple[set[str], set[str], bool]:
    """(names assigned, fields assigned, whether anything is called) in these statements."""
    names: set[str] = set()
    fields: set[str] = set()
    calls = False
    for body in bodies:
        for statement in body:
            for part in ast.walk(statement):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    names.add(part.id)
                elif isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                    fields.add(part.attr)
                elif isinstance(part, ast.Subscript):
                    calls = calls or isinstance(part.ctx, ast.Store)
                elif isinstance(part, ast.Call):
                    calls = calls or not (isinstance(part.func, ast.Name)
                                          and part.func.id in _HARMLESS_CALLS)
                elif isinstance(part, ast.Yield | ast.With):
                    calls = True
    return names, fields, calls


def _convert(b: Body, expr: tree.Expr, have: t.Type, want: t.Type, node: ast.AST,
             ) -> tree.Expr | None:
    """The implicit conversion of `expr` to `want`, or None where there is none."""
    loc = expr.loc
    if have is t.LITERAL:
        return _literal(b, expr, want, node)
    if have.is_aggregate and not isinstance(expr, tree.Place) and isinstance(
            want, t.PtrType | t.SliceType):
        expr = tree.Temp(have, loc, expr)          # a literal or a result: give it storage
    if isinstance(want, t.IntType) and isinstance(have, t.IntType) and t.lossless(have, want):
        return tree.Convert(want, loc, "widen", expr)
    if isinstance(want, t.PtrType):
        if isinstance(expr, tree.Place) and have.is_aggregate:
            if have is want.elem or t.extends(have, want.elem):
                return address(b, expr, want, node)
            return None
        if t.lossless(have, want):
            return tree.Convert(want, loc, "ptr", expr)
        return None
    if isinstance(want, t.SliceType):
        if isinstance(have, t.ArrayType) and have.elem is want.elem and want is not t.STR:
            mark_address_taken(b, expr)
            return tree.SliceOf(want, loc, expr, None, None)
        if have is t.STR and want.elem is t.U8:
            return tree.Convert(want, loc, "slice", expr)
        return None
    if isinstance(want, t.MPtrType) and isinstance(have, t.PtrType) and have.elem is want.elem:
        return tree.Convert(want, loc, "ptr", expr) if b.scope.module.unsafe else None
    if isinstance(want, t.UnionType) and isinstance(have, t.StructType) and (
            have in want.variants):
        return tree.UnionLit(want, loc, want.variants.index(have), expr)
    if isinstance(want, t.FnType) and isinstance(have, t.FnType):
        if want.params == have.params and want.result is have.result and (
                want.throws == have.throws):
            if want.no_block and isinstance(expr, tree.FnRef):
                b.effects.must_not_block.append((expr.function.symbol, loc))
            elif want.no_block and not have.no_block:
                return None
            return tree.Convert(want, loc, "ptr", expr)
        return None
    if isinstance(want, t.TupleType) and isinstance(expr, tree.MakeTuple) and (
            len(want.items) == len(expr.items)):
        items = [b.coerce(e, ty, node) for e, ty in zip(expr.items, want.items, strict=True)]
        return tree.MakeTuple(want, loc, items)
    return None


def _literal(b: Body, expr: tree.Expr, want: t.Type, node: ast.AST) -> tree.Expr | None:
    """A compile-time integer meets a type."""
    if not isinstance(expr, tree.Const):
        return None
    base = want.base if isinstance(want, t.EndianType) else want
    if not isinstance(base, t.IntType):
        return None
    if not base.holds(expr.value):
        if b.wrap:
            return tree.Const(want, expr.loc, base.wrap(expr.value))
        return b.error("K0311", node, f"{expr.value} does not fit `{want.name}`",
                       f"`{want.name}` holds {base.minimum} to {base.maximum}",
                       help=_fitting(expr.value, want, base))
    return tree.Const(want, expr.loc, expr.value)


def _fitting(value: int, want: t.Type, base: t.IntType) -> str:
    """What to write in place of a number that does not fit."""
    if value < 0 and not base.signed:
        return (f"unsigned types have no negative numbers: use `i{base.bits}`, or "
                f"`{base.name}.MAX` for all bits set")
    return f"use a wider type; `trunc({want.name}, ...)` keeps the low {base.bits} bits"


def address(b: Body, place: tree.Expr, want: t.PtrType, node: ast.AST) -> tree.Expr:
    """The address of storage, as Ptr[T]; refuses what has no aligned address of its own."""
    packed = packed_field(place)
    if packed is not None and place.ty.align > 1:
        return b.error("K0317", node, f"`{packed}` is a packed field: its address may be unaligned",
                       help="read it into a local, or copy() it")
    mark_address_taken(b, place)
    made: tree.Expr = tree.AddrOf(t.ptr(place.ty), place.loc, place)       # type: ignore[arg-type]
    return made if made.ty is want else tree.Convert(want, place.loc, "ptr", made)


def root_of(place: tree.Expr) -> tree.Expr:
    """The variable, global, temporary or dereference that a place lies in."""
    while isinstance(place, tree.FieldPlace | tree.IndexPlace):
        place = place.base
    return place


def pointee(made: tree.Expr) -> tree.Expr | None:
    """The storage that a pointer or slice value certainly points into: its root, or the Load of
    the variable it was derived from."""
    while isinstance(made, tree.Convert):
        made = made.operand
    if isinstance(made, tree.AddrOf):
        return root_of(made.place)
    if isinstance(made, tree.SliceOf):
        return pointee(made.base) if isinstance(made.base, tree.Load) else root_of(made.base)
    if isinstance(made, tree.Load) and isinstance(root_of(made.place),
                                                  tree.VarPlace | tree.GlobalPlace):
        return made
    return made if isinstance(made, tree.ConstData) else None


def points_to_local(b: Body, made: tree.Expr) -> str | None:
    """What of this function's own storage a value points into, for a message; or None."""
    root = pointee(made)
    if isinstance(root, tree.Temp):
        return "this value"
    if isinstance(root, tree.VarPlace) and (
            root.var.ty.is_aggregate or not isinstance(root.ty, t.SliceType)):
        return f"`{root.var.name}`"
    if isinstance(root, tree.Load) and isinstance(root.place, tree.VarPlace) and (
            root.place.var in b.to_local):
        return f"what `{root.place.var.name}` points to"
    return None


def points_to_constant(b: Body, made: tree.Expr) -> bool:
    """Whether a pointer or slice value certainly points into read-only memory."""
    root = pointee(made)
    if isinstance(root, tree.Load) and isinstance(root.place, tree.VarPlace):
        return root.place.var in b.to_constant
    if isinstance(root, tree.Load):      # a constant's slice: its elements are constant too
        held = root_of(root.place)
        return isinstance(root.ty, t.SliceType) and isinstance(
            held, tree.GlobalPlace) and held.global_.constant
    return isinstance(root, tree.ConstData) or (
        isinstance(root, tree.GlobalPlace) and root.global_.constant)


def writes_constant(b: Body, place: tree.Expr, node: ast.AST) -> bool:
    """Whether a store to `place`, or to what slice `place` refers to, would write a constant;
    reported then."""
    root = root_of(place)
    if isinstance(root, tree.GlobalPlace) and root.global_.constant:
        b.error("K0342", node, f"`{root.global_.name}` is a constant",
                notes=(("declared", root.global_.loc),),
                help="leave `Final` out if it should change")
        return True
    through = root.pointer if isinstance(root, tree.Deref) else root
    text = through.operand if isinstance(through, tree.Convert) else through     # as a slice
    if text.ty is t.STR and (place is not root or text is not root):
        b.error("K0342", node, "the bytes of a Str do not change",
                help="text that changes is a `Slice[u8]`, of an Array")
        return True
    if isinstance(through.ty, t.PtrType | t.SliceType) and points_to_constant(b, through):
        b.error("K0342", node, "this is constant: it lies in read-only memory",
                help="copy it into storage of your own first")
        return True
    return False


def packed_field(place: tree.Expr) -> str | None:
    """The name of the packed struct's field that `place` lies in, if any."""
    while isinstance(place, tree.FieldPlace | tree.IndexPlace):
        if isinstance(place, tree.FieldPlace) and isinstance(place.base.ty, t.StructType) and (
                place.base.ty.packed):
            return place.field.name
        place = place.base
    return None


def mark_address_taken(b: Body, place: tree.Expr) -> None:
    """Calls may change the variable from now on."""
    while isinstance(place, tree.FieldPlace | tree.IndexPlace):
        place = place.base
    if isinstance(place, tree.VarPlace):
        b.address_taken.add(place.var)


def _declaration(expr: tree.Expr) -> tuple[str, Loc] | None:
    if isinstance(expr, tree.Load):
        expr = expr.place
    if isinstance(expr, tree.VarPlace) and not expr.var.name.startswith("."):
        return expr.var.name, expr.var.loc
    if isinstance(expr, tree.GlobalPlace):
        return expr.global_.name, expr.global_.loc
    return None


def require_layout(b: Body, ty: t.Type, node: ast.AST) -> bool:
    """The size of `ty` is needed here."""
    return classes.complete(b.cx, ty, b.scope, node)
