# SPDX-License-Identifier: BSD-3-Clause
"""Function statements to signatures, and module variables to globals.

A signature is made when someone asks for it; bodies are checked later, from `cx.bodies`.

    @throws                                   Function kernel.mem.kva.alloc
    def alloc(n: u64) -> Ptr[Page]: ...         params [n: u64], result Ptr[Page], throws

A signature that is wrong is reported once and has POISON where it is wrong.

Tests     tests/toolchain/test_messages.py
"""
from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import classes, const, typeexpr
from toolchain.frontend.check.scope import Context, Pending, Scope
from toolchain.frontend.modules import (
    POISONED,
    Constant,
    FunctionDecl,
    Parameter,
    Variable,
    Vocabulary,
)

TABLES = {"syscall": "syscall", "driver": "driver", "sysinit": "sysinit"}


@dataclass(slots=True, eq=False)
class Signature(Pending):
    """A function with what calls of it need to know.

    `defaults`: parameter name to expression.  `erased`: parameters that are types (`Type[T]`).
    `names`: all parameters in order, erased ones too.  `yields`: the element of a generator.
    `uncounted`: it was declared with `*`, so that nothing is said of what calls pass.
    """

    defaults: dict[str, ast.expr] = field(default_factory=dict)
    erased: dict[str, t.Type] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    yields: t.Type | None = None
    uncounted: bool = False


def declared(cx: Context, decl: FunctionDecl) -> tree.Function | None:
    """The function of a declaration that is neither generic nor a method."""
    made = signature(cx, decl)
    return made.function if made is not None else None


def signature(cx: Context, decl: FunctionDecl) -> Signature | None:
    """The signature of a plain function; None after a report, also for generic ones."""
    if decl.made is POISONED:
        return None
    if decl.made is None:
        if generic_names(cx, decl, {}):
            cx.error("K0313", Scope(decl.module), decl.node,
                     f"`{decl.name}` is generic; its address has no single type",
                     help="write a function that is not generic and calls it, and take that one's "
                     "address")
            return None
        decl.made = _sign(cx, decl, Scope(decl.module), decl.name, None) or POISONED
    return None if decl.made is POISONED else decl.made


def method(cx: Context, ty: t.NominalType, decl: FunctionDecl) -> Signature | None:
    """The signature of method `decl` for `ty` (an instance, where the class is generic)."""
    owner = _owner_of(cx, ty, decl)
    key = (decl, owner)
    if key not in cx.instances:
        scope = classes.scope_of(cx, owner)
        made = _sign(cx, decl, scope, f"{owner.symbol[len(owner.module) + 1:]}.{decl.name}", owner)
        cx.instances[key] = made
    return cx.instances[key]


def instance(cx: Context, decl: FunctionDecl, env: dict[str, Any], scope: Scope, node: ast.AST,
             owner: t.NominalType | None = None) -> Signature | None:
    """The signature of generic function `decl` with its variables bound by `env`."""
    key = (decl, owner, tuple(sorted((k, v) for k, v in env.items())
                              if all(isinstance(v, int | str) for v in env.values())
                              else tuple(env.items())))
    if key not in cx.instances:
        args = ", ".join(classes._argument_name(v) for v in env.values())
        head = f"{owner.symbol[len(owner.module) + 1:]}." if owner else ""
        spelled = f"{head}{decl.name}[{args}]"
        identities = ", ".join(classes._argument_identity(v) for v in env.values())
        outer = classes.scope_of(cx, owner).env if owner else {}
        if len(spelled) > 400:
            cx.error("K0319", scope, node, f"`{decl.name}` needs ever larger instances of itself",
                     help="a generic function must not call itself with a larger type: write a "
                     "loop")
            return None
        inner = Scope(decl.module, {**outer, **env}, ((spelled, scope.loc(node)), *scope.trail))
        cx.instances[key] = _sign(cx, decl, inner, spelled, owner, instance=True,
                                  symbol=f"{head}{decl.name}[{identities}]")
    return cx.instances[key]


def generic_names(cx: Context, decl: FunctionDecl, env: dict[str, Any]) -> dict[str, str]:
    """Name to kind of each type variable in the signature that `env` does not bind."""
    names: dict[str, str] = {}
    args = decl.node.args
    for note in [a.annotation for a in args.args + args.kwonlyargs] + [decl.node.returns]:
        for part in ast.walk(note) if note is not None else ():
            if isinstance(part, ast.Name) and part.id not in env and part.id not in names:
                meaning = cx.lookup(decl.module, part.id)
                if isinstance(meaning, Parameter):
                    names[part.id] = classes.parameter_kind(cx, Scope(decl.module), part.id)
    return names


def spelled(node: ast.FunctionDef, skip: int = 0) -> str:
    """How the function is called; `skip`: without its self."""
    params = (node.args.args + node.args.kwonlyargs)[skip:]
    return f"it is `{node.name}({', '.join(ast.unparse(p) for p in params)})`"


def miscounted(node: ast.FunctionDef, call: ast.Call, skip: int = 0) -> tuple[ast.expr, str] | None:
    """(where, what) is wrong in the number of a call's arguments, if anything is."""
    names = [a.arg for a in node.args.args[skip:]]
    if len(call.args) > len(names):
        return call.args[len(names)], (f"takes {len(names)} argument{'s' * (len(names) != 1)}, "
                                       f"not {len(call.args)}")
    given = {k.arg for k in call.keywords}
    needed = names[len(call.args):len(names) - len(node.args.defaults)]
    missing = next((n for n in needed if n not in given), None)
    return (call, f"misses its argument `{missing}`") if missing is not None else None


def type_of(function: tree.Function) -> t.FnType:
    """The type of the function's address."""
    return t.fn(tuple(p.ty for p in function.params), function.result, function.throws)


def is_wrong(function: tree.Function) -> bool:
    """Whether its type is not known, since part of its signature was reported."""
    return function.attrs.unknown or function.result is t.POISON or any(
        p.ty is t.POISON for p in function.params)


def is_generator(node: ast.FunctionDef) -> bool:
    """Whether the body yields."""
    return any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node))


def variable(cx: Context, decl: Variable) -> tree.Global | None:
    """The global of `name: T = value`."""
    if decl.made is POISONED:
        return None
    if decl.made is None:
        decl.made = _variable(cx, decl) or POISONED
    return None if decl.made is POISONED else decl.made


def constant_global(cx: Context, decl: Constant, ty: t.Type, value: Any) -> tree.Global:
    """The read-only global that holds a Final of aggregate, slice or tuple type."""
    key = ("constant", decl)
    if key not in cx.instances:
        cx.instances[key] = tree.Global(
            f"{decl.module.name}.{decl.name}", decl.name, ty, value, True, decl.loc)
    return cx.instances[key]


def _owner_of(cx: Context, ty: t.NominalType, decl: FunctionDecl) -> t.NominalType:
    while ty.methods.get(decl.name) is not decl:
        ty = ty.base                                                 # type: ignore[attr-defined]
    return ty


def _variable(cx: Context, decl: Variable) -> tree.Global | None:
    scope = Scope(decl.module)
    node: ast.AnnAssign = decl.node
    note, percpu = node.annotation, False
    if isinstance(note, ast.Subscript):
        meaning = cx.resolve(scope, note.value)
        if isinstance(meaning, Vocabulary) and meaning.made == "PerCpu":
            note, percpu = note.slice, True
    ty = typeexpr.resolve(cx, scope, note)
    if ty is t.POISON or not classes.complete(cx, ty, scope, note):
        return None
    if isinstance(ty, t.VoidType):
        cx.error("K0301", scope, note, f"a variable cannot be `{ty.name}`",
                 help="it has no values; a variable needs a type that does, such as `u32`")
        return None
    made = tree.Global(f"{decl.module.name}.{decl.name}", decl.name, ty, None, False, decl.loc,
                       percpu=percpu)
    decl.made = made          # an initialiser may hold the variable's own address
    if node.value is not None:
        value = _initial(cx, scope, node.value, ty, made)
        if value is const.FAILED:
            return None
        made.init = value
    elif (wrong := t.without_zero(ty)) is not None:
        cx.error("K0314", scope, node, f"`{decl.name}` would begin as zero, and `{wrong.name}` is "
                 "never null", help="give it a value, make the pointer `| None`, or write "
                 f"`= zeroed({ast.unparse(note)})` in an unsafe module that fills it in time")
        return None
    return made


def _initial(cx: Context, scope: Scope, node: ast.expr, ty: t.Type, made: tree.Global) -> Any:
    if isinstance(node, ast.Call):
        head = cx.resolve(scope, node.func)
        name = head.made if isinstance(head, Vocabulary) else ""
        if name == "zeroed":
            if t.without_zero(ty) is not None and not scope.module.unsafe:
                cx.error("K0801", scope, node, f"`{ty.name}` holds pointers that are never null: "
                         "`zeroed` of it is for unsafe modules",
                         help="make the pointers `| None`, give a value, or say `UNSAFE: Final = "
                         "True` with the reason")
            return None
        if name == "symbol_address" and len(node.args) == 1 and isinstance(
                node.args[0], ast.Constant):
            return tree.SymbolRef(str(node.args[0].value))
    value = const.python_value(cx, scope, node)
    if value is const.FAILED:
        return value
    done = const.converted(cx, scope, node, value, ty)
    return const.FAILED if done is None else done[1]


def _sign(cx: Context, decl: FunctionDecl, scope: Scope, name: str, owner: t.NominalType | None,
          instance: bool = False, symbol: str = "") -> Signature | None:
    node: ast.FunctionDef = decl.node
    scope = Scope(scope.module, dict(scope.env), scope.trail)
    args = node.args
    starred = [a for a in (args.vararg, args.kwarg, *args.posonlyargs) if a is not None]
    if starred:
        cx.error("K0106", scope, starred[0], "parameters are named and counted: no `*` here",
                 help="pass a Slice, or a struct")
    function = tree.Function(f"{decl.module.name}.{symbol or name}", name, decl.module.name, [],
                             t.VOID, False, tree.Attrs(), scope.loc(node), owner=owner,
                             doc=ast.get_docstring(node) or "", end_line=node.end_lineno or 0,
                             is_instance=instance or bool(owner and scope.env))
    made = Signature(function, node, scope, uncounted=bool(starred))
    _parameters(cx, made, owner, decl)
    function.params += [tree.Var(a.arg, t.POISON, "param", scope.loc(a)) for a in starred]
    _result(cx, made)
    _attributes(cx, made, decl)
    cx.bodies[function.symbol] = made
    return made


def _parameters(cx: Context, made: Signature, owner: t.NominalType | None, decl: FunctionDecl,
                ) -> None:
    """Fill in the parameters; one that is wrong is POISON, so that the body is still checked."""
    scope, node = made.scope, made.node
    marks = [name for name, _, _ in classes.decorators(cx, scope, node)]
    static = "staticmethod" in marks
    args = node.args.args + node.args.kwonlyargs
    defaults = made.defaults
    for arg, default in zip(reversed(node.args.args), reversed(node.args.defaults), strict=False):
        defaults[arg.arg] = default
    for arg, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is not None:
            defaults[arg.arg] = default
    seen: set[str] = set()
    if owner is not None and not static and (not args or (
            args[0].arg != "self" and args[0].annotation is not None)):
        static = made.uncounted = "" in marks       # of which one may have said so
        if not static:
            _no_self(cx, made, owner)
    untyped = [a for n, a in enumerate(args) if a.annotation is None and (
        n or owner is None or (static and a.arg != "cls"))]
    for position, arg in enumerate(args):
        if arg.arg in seen:
            continue
        seen.add(arg.arg)
        made.names.append(arg.arg)
        if position == 0 and static and arg.arg == "cls" and arg.annotation is None:
            ty, made.uncounted = t.POISON, True         # @classmethod was reported
        elif position == 0 and owner is not None and not static and (
                arg.arg == "self" or arg.annotation is None):
            ty = t.ptr(owner) if isinstance(owner, t.StructType) else owner
        elif arg.annotation is None:
            if arg is untyped[0]:
                rest = f", and {len(untyped) - 1} more" if len(untyped) > 1 else ""
                rest += ", and so does the result" if made.node.returns is None else ""
                cx.error("K0217", scope, arg, f"parameter `{arg.arg}` needs a type{rest}",
                         help="it has no `self`: remove it, or remove @staticmethod"
                         if static and arg.arg == "self" else
                         "for example `" + ", ".join(f"{a.arg}: u32" for a in untyped) + "`")
            ty = t.POISON
        elif (erased := _erased(cx, scope, arg.annotation)) is not None:
            made.erased[arg.arg] = erased
            scope.env[arg.arg] = erased
            continue
        else:
            ty = typeexpr.resolve(cx, scope, arg.annotation)
        if (default := defaults.get(arg.arg)) is not None and isinstance(
                default, ast.Constant) and default.value is None:
            ty = _none_by_default(cx, scope, arg, default, ty)
        if ty.is_aggregate:
            hint = (f"`{arg.arg}: Slice[{ty.elem.name}]`" if isinstance(ty, t.ArrayType)
                    else f"`{arg.arg}: Ptr[{ty.name}]`")
            cx.error("K0315", scope, arg, f"`{ty.name}` is storage and cannot be passed by value",
                     help=f"take {hint}; callers pass the same expression")
            ty = t.POISON
        if isinstance(ty, t.VoidType) and ty is not t.POISON:
            cx.error("K0301", scope, arg, f"a parameter cannot be `{ty.name}`",
                     help="leave it out, or give it a type with values")
            ty = t.POISON
        made.function.params.append(tree.Var(arg.arg, ty, "param", scope.loc(arg)))


def _none_by_default(cx: Context, scope: Scope, arg: ast.arg, default: ast.expr, ty: t.Type,
                     ) -> t.Type:
    """The type of a parameter that begins as None; POISON after a report that it cannot."""
    if ty is t.POISON or isinstance(ty, t.MPtrType | t.UserPtrType) or (
            isinstance(ty, t.PtrType) and ty.nullable):
        return ty
    cx.error("K0308", scope, default, f"expected `{ty.name}` for the default of `{arg.arg}`, found "
             "`None`", help=f"a `{ty.name}` is never null: declare it `{ty.name} | None`"
             if isinstance(ty, t.PtrType) else
             "only `Ptr[T] | None` has a null: give a number that stands for none, or write two "
             "functions")
    return t.POISON


def _no_self(cx: Context, made: Signature, owner: t.NominalType) -> None:
    """Report a method without `self`, and go on as if it had it."""
    node = made.node
    rest = "".join(f", {ast.unparse(a)}" for a in node.args.args)
    cx.error("K0217", made.scope, node, f"method `{node.name}` needs its `self`",
             help=f"write `def {node.name}(self{rest})`, or mark it @staticmethod")
    ty = t.ptr(owner) if isinstance(owner, t.StructType) else owner
    made.uncounted = True
    made.names.append("self")
    made.function.params.append(tree.Var("self", ty, "param", made.scope.loc(node)))


def _erased(cx: Context, scope: Scope, note: ast.expr) -> t.Type | None:
    """The type that parameter `cls: Type[T]` stands for."""
    if isinstance(note, ast.Subscript):
        meaning = cx.resolve(scope, note.value)
        if isinstance(meaning, Vocabulary) and meaning.made == "Type":
            return typeexpr.resolve(cx, scope, note.slice)
    return None


def _result(cx: Context, made: Signature) -> None:
    scope, node, function = made.scope, made.node, made.function
    function.result = t.POISON
    made.yields = t.POISON if is_generator(node) else None
    if node.returns is None:
        if any(p.ty is t.POISON for p in function.params):
            return                          # reported with the parameters
        cx.error("K0217", scope, node, f"`{node.name}` does not say what it returns",
                 help="write `-> None` where it returns nothing")
        return
    note = node.returns
    if is_generator(node):
        head = note.value if isinstance(note, ast.Subscript) else note
        meaning = cx.resolve(scope, head)
        if isinstance(head, ast.Name) and meaning is None:
            cx.unknown(scope, head, head.id)
        elif not isinstance(note, ast.Subscript) or not isinstance(meaning, Vocabulary) or (
                meaning.made != "Iterator"):
            cx.error("K0218", scope, note, "a generator's result is `Iterator[T]`",
                     help="a function with `yield` is `@inline` and `-> Iterator[u32]`, used in a "
                          "`for`")
        else:
            made.yields = typeexpr.resolve(cx, scope, note.slice)  # type: ignore[union-attr]
        return
    result = typeexpr.resolve(cx, scope, note)
    if result is t.POISON or not classes.complete(cx, result, scope, note):
        return
    if isinstance(result, t.AtomicType):
        cx.error("K0315", scope, note, "an Atomic is storage: it cannot be returned",
                 help="return what it holds, `x.load()`, or a `Ptr[Atomic[T]]` to it")
        return
    function.result = result
    if result is t.NEVER:
        function.attrs.noreturn = True


def _attributes(cx: Context, made: Signature, decl: FunctionDecl) -> None:
    scope, node, function = made.scope, made.node, made.function
    attrs = function.attrs
    for name, call, expr in classes.decorators(cx, scope, node):
        args = call.args if call else []
        if not name:
            attrs.unknown = True
        elif name in ("inline", "noinline", "naked", "interrupt", "cold", "wrapping", "may_block",
                    "no_block", "forbids_blocking", "upcall"):
            setattr(attrs, name, True)
        elif name == "throws":
            function.throws = True
        elif name in ("recursive", "entry"):
            value = const.size(cx, scope, args[0]) if args else None
            if value is None:
                cx.error("K0219", scope, expr, f"`@{name}` needs a number",
                         help=f"for example `@{name}({'32' if name == 'recursive' else '16384'})`")
                continue
            setattr(attrs, "recursive" if name == "recursive" else "entry_stack", value)
        elif name in ("hook", "fault_site", "section"):
            setattr(attrs, name, _text(cx, scope, expr, name, args))
        elif name == "extern":
            attrs.extern = True
            attrs.export = _text(cx, scope, expr, name, args) if args else node.name
        elif name == "export":
            attrs.export = _text(cx, scope, expr, name, args) if args else node.name
        elif name == "implements":
            _implements(cx, made, expr, args)
        elif name in TABLES or name == "table":
            _table(cx, made, name, expr, call)
        elif name in ("struct", "enum", "flags", "bits", "regs"):
            cx.error("K0105", scope, expr, f"`@{name}` is for classes",
                     help="remove it, or write `class`")
    if attrs.inline and attrs.noinline:
        cx.error("K0219", scope, node, "a function cannot be both @inline and @noinline",
                 help="keep one of them; without either the compiler decides")
    if attrs.interrupt and not _takes_frame(function):
        cx.error("K0219", scope, node, f"`{node.name}` is not what the CPU calls at an interrupt",
                 help="an @interrupt function takes a `Ptr[Frame]`, where Frame is a @struct of "
                 "what the CPU pushes, perhaps a u64 (the error code), and returns nothing")
    if made.yields not in (None, t.POISON) and not attrs.inline and not attrs.unknown:
        cx.error("K0218", scope, node, f"generator `{node.name}` must be @inline",
                 help="its body is expanded into the loop that uses it; nothing is allocated")


def _takes_frame(function: tree.Function) -> bool:
    """Whether the function has a signature for @interrupt; what is wrong already passes."""
    types = [p.ty for p in function.params]
    if t.POISON in types or function.result is t.POISON:
        return True
    return types[1:] in ([], [t.U64]) and len(types) > 0 and isinstance(types[0], t.PtrType) and (
        isinstance(types[0].elem, t.StructType)) and not function.throws and (
        function.result is t.VOID or function.result is t.NEVER)


_EXAMPLES = {"hook": "clock", "fault_site": "alloc", "section": ".text.boot", "extern": "outb",
             "export": "_start", "table": "tests", "driver": "nvme"}


def _text(cx: Context, scope: Scope, expr: ast.expr, name: str, args: list[ast.expr]) -> str:
    if len(args) == 1 and isinstance(args[0], ast.Constant) and isinstance(args[0].value, str):
        return args[0].value
    cx.error("K0219", scope, expr, f"`@{name}` needs a string",
             help=f"for example `@{name}(\"{_EXAMPLES.get(name, 'name')}\")`")
    return ""


def _implements(cx: Context, made: Signature, expr: ast.expr, args: list[ast.expr]) -> None:
    scope = made.scope
    target = cx.resolve(scope, args[0]) if len(args) == 1 else None
    if target is None and len(args) == 1 and isinstance(args[0], ast.Name):
        cx.unknown(scope, args[0], args[0].id)
        return
    upcall = signature(cx, target) if isinstance(target, FunctionDecl) else None
    if upcall is None or not upcall.function.attrs.upcall:
        cx.error("K0220", scope, expr, "@implements names an @upcall",
                 help="for example `@implements(trap.page_fault)`")
        return
    want, have = type_of(upcall.function), type_of(made.function)
    if want is not have and not is_wrong(made.function) and not is_wrong(upcall.function):
        cx.error("K0220", scope, made.node,
                 f"`{made.function.name}` does not have the signature of the upcall",
                 f"this is `{have.name}`",
                 notes=((f"the upcall is `{want.name}`", upcall.function.loc),),
                 help="give it the parameters and the result of the upcall")
        return
    made.function.attrs.export = upcall.function.symbol
    cx.instances[("implements", made.function.symbol)] = upcall.function.symbol


def _table(cx: Context, made: Signature, name: str, expr: ast.expr, call: ast.Call | None) -> None:
    scope, function = made.scope, made.function
    args = list(call.args) if call else []
    table = TABLES.get(name, "")
    if name == "table":
        table = _text(cx, scope, expr, name, args[:1])
        args = args[1:]
    label, key = function.name, 0
    if name == "driver":
        label = _text(cx, scope, expr, name, args[:1])
        args = args[1:]
    elif args:
        key = const.size(cx, scope, args[0]) or 0
        args = args[1:]
    elif name != "table":
        cx.error("K0219", scope, expr, f"`@{name}` needs its number",
                 help=f"for example `@{name}(3)`")
    data = tuple(const.integer(cx, scope, a) or 0 for a in args[:4])
    function.attrs.tables.append(tree.TableEntry(
        table, key, label, name == "syscall", data, function.symbol, scope.loc(expr)))
