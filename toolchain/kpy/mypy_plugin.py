# SPDX-License-Identifier: BSD-3-Clause
"""mypy plugin: what kpy says that Python's type system has no words for.

    x: Array[u8, MAX * 2]           Array[int]: constants among type arguments go
    MPS: Bits[10, 7]                int; Bit[0, bool] is bool
    u32.MAX                         int
    @naked def f() -> u64: asm(..)  def f() -> u64: ...
    CC: RW[Cc, 0x14]                Cc
    class TailQ(Generic[T, N, F])   Generic[T]
    q: TailQ[Thread, 8, "runq"]     TailQ[Thread]
    @enum(u8) class Kind: A = 1     an enum, so `match` is checked for exhaustiveness
    @struct class P: x: u32         P(), P(x=1): fields not named are zero
    T = TypeVar("T")                with bound=Any
    with token:                     __exit__ takes self alone
    s: Str = "text"; b"..", [1, 2]  literals are Str, Slice and Array

Every hook only loosens: what the compiler accepts must pass; the compiler refuses the rest.

Limits  a type with a size is not understood among values: write sizeof(ring), of storage, for
        sizeof(Ring[u8, 16]).
"""
from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import (
    ARG_NAMED,
    ARG_NAMED_OPT,
    ARG_OPT,
    ARG_STAR,
    MDEF,
    ArgKind,
    Argument,
    AssignmentStmt,
    CallExpr,
    ClassDef,
    Decorator,
    EllipsisExpr,
    ExpressionStmt,
    ImportFrom,
    IndexExpr,
    MypyFile,
    NameExpr,
    Statement,
    SymbolTableNode,
    TupleExpr,
    TypeAlias,
    TypeInfo,
    Var,
)
from mypy.plugin import AnalyzeTypeContext, ClassDefContext, MethodSigContext, Plugin
from mypy.plugins.common import add_method_to_class
from mypy.typeanal import TypeAnalyser
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    LiteralType,
    NoneType,
    RawExpressionType,
    TupleType,
    Type,
    TypeOfAny,
    UnboundType,
)

REGISTERS = {"kpy.RO", "kpy.RW", "kpy.WO", "kpy.RW1C"}
LITERALS = {"builtins.str": "kpy.Str", "builtins.bytes": "kpy.Array", "builtins.list": "kpy.Array",
            "builtins.tuple": "kpy.Array"}


def any_type() -> AnyType:
    return AnyType(TypeOfAny.special_form)


class KpyPlugin(Plugin):
    """Hooks by fully qualified name; see the table at the head of the file."""

    _again = ""          # the type whose analysis drop_constants() has asked mypy to do
    _promoted = False

    def get_type_analyze_hook(self, fullname: str) -> Callable[[AnalyzeTypeContext], Type] | None:
        self._promote_literals()
        if fullname == self._again:
            self._again = ""
            return None
        if fullname in {"kpy.Bit", "kpy.Bits"}:
            return bit_field
        if fullname in REGISTERS:
            return register
        if fullname.startswith(("builtins.", "typing.", "typing_extensions.")):
            return None
        return lambda ctx: self._drop_constants(fullname, ctx)

    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        """Not asked for what it is named after: this is where mypy shows a file it has parsed."""
        if any(isinstance(part, ImportFrom) and part.id == "kpy" for part in file.imports):
            drop_constant_parameters(file)
            loosen_type_variables(file)
            empty_naked_functions(file)
        return []

    def get_class_decorator_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        return {"kpy.enum": lambda ctx: enum(ctx, "kpy._Enum"),
                "kpy.flags": lambda ctx: enum(ctx, "kpy._Flags")}.get(fullname)

    def get_class_decorator_hook_2(self, fullname: str) -> Callable[[ClassDefContext], bool] | None:
        return {"kpy.struct": struct, "kpy.bits": bits}.get(fullname)

    def get_method_signature_hook(self, fullname: str,
                                  ) -> Callable[[MethodSigContext], FunctionLike] | None:
        return leave_alone if fullname.endswith(".__exit__") else None

    def _drop_constants(self, fullname: str, ctx: AnalyzeTypeContext) -> Type:
        """Let mypy analyse the type again, without the arguments that are not types."""
        analyser = ctx.api
        assert isinstance(ctx.type, UnboundType) and isinstance(analyser, TypeAnalyser)
        ctx.type.args = tuple(arg for arg in ctx.type.args if not is_constant(arg, analyser))
        self._again = fullname
        return analyser.analyze_type(ctx.type)

    def _promote_literals(self) -> None:
        """str, bytes and list literals may stand where a Str, Slice or Array is wanted."""
        if self._promoted or self._modules is None:
            return
        if not {"builtins", "kpy"} <= self._modules.keys():
            return
        found = {name: self.lookup_fully_qualified(name)
                 for pair in LITERALS.items() for name in pair}
        infos = {name: symbol.node for name, symbol in found.items()
                 if symbol and isinstance(symbol.node, TypeInfo)}
        if len(infos) < len(found) or not all(info.mro for info in infos.values()):
            return
        for literal, target in LITERALS.items():
            args = [any_type()] if target == "kpy.Array" else []
            infos[literal]._promote.append(Instance(infos[target], args))
        number = self.lookup_fully_qualified("builtins.int")
        if number and isinstance(number.node, TypeInfo):
            for name in ("MAX", "MIN"):
                limit = Var(name, Instance(number.node, []))
                limit.info, limit.is_classvar = number.node, True
                number.node.names[name] = SymbolTableNode(MDEF, limit, plugin_generated=True)
        self._promoted = True


def is_constant(arg: Type, analyser: TypeAnalyser) -> bool:
    """Whether a type argument is a number, a constant's name or a field's name."""
    if isinstance(arg, RawExpressionType):
        return True
    if not isinstance(arg, UnboundType) or arg.name == "None":
        return False
    symbol = analyser.lookup_qualified(arg.name, arg, suppress_errors=True)
    if arg.original_str_expr is not None:
        return symbol is None or not isinstance(symbol.node, TypeInfo | TypeAlias)
    return symbol is not None and isinstance(symbol.node, Var)


def made_by(statement: Statement, *makers: str) -> CallExpr | None:
    """The call of `NAME = maker(...)`."""
    if (isinstance(statement, AssignmentStmt) and isinstance(statement.rvalue, CallExpr)
            and isinstance(statement.rvalue.callee, NameExpr)
            and statement.rvalue.callee.name in makers):
        return statement.rvalue
    return None


def loosen_type_variables(file: MypyFile) -> None:
    """T = TypeVar("T") may be compared and indexed: each instance is checked by the compiler."""
    calls = [call for part in file.defs if (call := made_by(part, "TypeVar"))]
    if not calls:
        return
    wanted = ImportFrom("typing", 0, [("Any", "_Any")])
    file.defs.insert(0, wanted)
    file.imports.append(wanted)
    for call in calls:
        if len(call.args) == 1:
            call.args.append(NameExpr("_Any"))
            call.arg_kinds.append(ARG_NAMED)
            call.arg_names.append("bound")


def empty_naked_functions(file: MypyFile) -> None:
    """A @naked function's assembly returns for it: mypy sees `...`."""
    for part in file.defs:
        if isinstance(part, Decorator) and any(
                isinstance(mark, NameExpr) and mark.name == "naked" for mark in part.decorators):
            part.func.body.body = [ExpressionStmt(EllipsisExpr())]


def drop_constant_parameters(file: MypyFile) -> None:
    """Take what ConstVar and FieldVar made out of every Generic[...], before mypy looks."""
    constants = {target.name for part in file.defs if made_by(part, "ConstVar", "FieldVar")
                 and isinstance(target := part.lvalues[0], NameExpr)}  # type: ignore[attr-defined]
    for cls in file.defs:
        if not isinstance(cls, ClassDef):
            continue
        bases = []
        for base in cls.base_type_exprs:
            if (isinstance(base, IndexExpr) and isinstance(base.base, NameExpr)
                    and base.base.name == "Generic"):
                index = base.index
                items = index.items if isinstance(index, TupleExpr) else [index]
                kept = [item for item in items
                        if not (isinstance(item, NameExpr) and item.name in constants)]
                if not kept:
                    continue
                base.index = kept[0] if len(kept) == 1 else TupleExpr(kept)
            bases.append(base)
        cls.base_type_exprs = bases


def bit_field(ctx: AnalyzeTypeContext) -> Type:
    """Bit[n] and Bits[high, low] are int, with a type behind the numbers that type."""
    assert isinstance(ctx.type, UnboundType)
    last = ctx.type.args[-1] if ctx.type.args else None
    if isinstance(last, UnboundType) and not is_constant(last, ctx.api):  # type: ignore[arg-type]
        return ctx.api.analyze_type(last)
    return ctx.api.named_type("builtins.int", [])


def register(ctx: AnalyzeTypeContext) -> Type:
    """RW[T, offset] is T, RW[T, offset, count, stride] is Array[T]."""
    assert isinstance(ctx.type, UnboundType)
    if not ctx.type.args:
        return any_type()
    value = ctx.api.analyze_type(ctx.type.args[0])
    return ctx.api.named_type("kpy.Array", [value]) if len(ctx.type.args) > 2 else value


def fields(info: TypeInfo) -> list[Var]:
    """The annotated names of a class and its bases, in layout order."""
    found: list[Var] = []
    for base in reversed(info.mro):
        for statement in base.defn.defs.body:
            if isinstance(statement, AssignmentStmt) and isinstance(statement.lvalues[0], NameExpr):
                symbol = base.names.get(statement.lvalues[0].name)
                if symbol and isinstance(symbol.node, Var) and statement.unanalyzed_type:
                    found.append(symbol.node)
    return found


def struct(ctx: ClassDefContext) -> bool:
    """A constructor that takes any of the fields, and patterns by position."""
    return add_constructor(ctx, ARG_OPT)


def bits(ctx: ClassDefContext) -> bool:
    """As a struct's, by name only; and int() of it."""
    add_base(ctx, "kpy._Bits")
    return add_constructor(ctx, ARG_NAMED_OPT)


def add_constructor(ctx: ClassDefContext, kind: ArgKind) -> bool:
    """False: a field's type is not known yet, ask again."""
    info = ctx.cls.info
    members = fields(info)
    if any(var.type is None for var in members) and not ctx.api.final_iteration:
        return False
    arguments = [Argument(Var(var.name, var.type), var.type or any_type(), None, kind)
                 for var in members]
    if "__init__" not in info.names:
        add_method_to_class(ctx.api, ctx.cls, "__init__", arguments, NoneType())
    names = TupleType([literal_name(ctx, var.name) for var in members],
                      ctx.api.named_type("builtins.tuple", [any_type()]))
    match_args = Var("__match_args__", names)
    match_args.info, match_args.is_classvar = info, True
    info.names["__match_args__"] = SymbolTableNode(MDEF, match_args, plugin_generated=True)
    return True


def literal_name(ctx: ClassDefContext, name: str) -> Type:
    return LiteralType(name, ctx.api.named_type("builtins.str", []))


def enum(ctx: ClassDefContext, base: str) -> None:
    """An @enum or @flags class is an enum.Enum as far as mypy is concerned."""
    add_base(ctx, base)
    ctx.cls.info.is_enum = True


def add_base(ctx: ClassDefContext, name: str) -> None:
    info = ctx.cls.info
    base = ctx.api.named_type_or_none(name, [])
    if base is None or base.type in info.mro:
        return
    info.bases = [base]
    info.mro = [info, *base.type.mro]
    info.metaclass_type = base.type.metaclass_type


def leave_alone(ctx: MethodSigContext) -> FunctionLike:
    """kpy's __exit__(self) is called with what Python passes: three arguments to ignore."""
    signature = ctx.default_signature
    if not isinstance(signature, CallableType) or signature.arg_types:
        return signature
    return signature.copy_modified(arg_types=[any_type()], arg_kinds=[ARG_STAR],
                                   arg_names=[None])


def plugin(version: str) -> type[Plugin]:
    return KpyPlugin

