# SPDX-License-Identifier: BSD-3-Clause
"""Calls: functions, methods, constructors, conversions; generic instances by their arguments.

    token.get(tok)      Call(kernel.lwkt.token.get, [AddrOf tok])
    q.push(td)          Call(TailQ[Thread].push, [AddrOf q, Load td])
    Point(x=1)          StructLit(Point, {x: 1})
    u8(n)               Convert(checked, n)
    ops.read(vp, n)     CallIndirect(Load ops.read, ...)

Tests     tests/toolchain/test_messages.py, tests/toolchain/programs/
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import tree
from toolchain.frontend import types as t
from toolchain.frontend.check import (
    builtins,
    classes,
    expr,
    functions,
    lifetimes,
    machine,
    storage,
    typeexpr,
    vocabulary,
)
from toolchain.frontend.check.body import Body, require_layout
from toolchain.frontend.check.functions import Signature
from toolchain.frontend.check.scope import Scope, known_elsewhere, nearest
from toolchain.frontend.modules import Class, FunctionDecl, ModuleDecl, Vocabulary


def call(b: Body, node: ast.Call, want: t.Type | None) -> tree.Expr:
    """Any call."""
    func = node.func
    if any(isinstance(a, ast.Starred) for a in node.args) or any(
            k.arg is None for k in node.keywords):
        only_arguments(b, node)
        return b.error("K0106", node, "`*` and `**` are not kpy", help="name the arguments")
    if not expr.is_local(b, func):
        head = func.value if isinstance(func, ast.Subscript) else func
        meaning = b.cx.resolve(b.scope, head)
        if isinstance(meaning, Vocabulary):
            return _vocabulary(b, node, meaning.made, want)
        if typeexpr.names_type(b.cx, b.scope, func):
            return construct(b, node, typeexpr.resolve(b.cx, b.scope, func), want)
        if isinstance(meaning, FunctionDecl):
            return function(b, node, meaning, want)
        if meaning is None and isinstance(func, ast.Name) and (
                func.id in vocabulary.BUILTIN_FUNCTIONS):
            return builtins.call(b, node, func.id, want)
        if meaning is None and isinstance(func, ast.Name):    # arguments: unknown what of
            expr.unknown(b, func)
            if func.id != "print" and known_elsewhere(func.id):     # kpy may not have what it takes
                return b.poison(node)
            return only_arguments(b, node)
        static = _static(b, node, func)
        if static is not None:
            return static
    if isinstance(func, ast.Attribute):
        return _attribute_call(b, node, func, want)
    return indirect(b, node, expr.value(b, func), None)


def _vocabulary(b: Body, node: ast.Call, name: str, want: t.Type | None) -> tree.Expr:
    plain = vocabulary.PLAIN_TYPES.get(name)
    if plain is not None:
        made = construct(b, node, plain, want)
        return whole_width(made) if isinstance(plain, t.IntType) else made
    if name in vocabulary.FUNCTIONS:
        return builtins.call(b, node, name, want)
    if name in vocabulary.TYPE_FORMS and isinstance(node.func, ast.Subscript):
        return construct(b, node, typeexpr.resolve(b.cx, b.scope, node.func), want)
    if name == "Errno":
        return b.error("K0603", node, "`Errno(...)` stands in `raise` only",
                       help="write `raise Errno(code)`")
    return b.error("K0320", node, f"`{name}` cannot be called",
                   help="it belongs in an annotation or a decorator")


def whole_width(made: tree.Expr) -> tree.Expr:
    """A value of a bit field's odd width, in the smallest whole type that holds it."""
    ty = made.ty
    if not isinstance(ty, t.IntType) or ty.bits in (8, 16, 32, 64):
        return made
    return tree.Convert(classes._holder(ty.bits), made.loc, "widen", made)


def _static(b: Body, node: ast.Call, func: ast.expr) -> tree.Expr | None:
    """`Type.method(...)`: a @staticmethod."""
    if not isinstance(func, ast.Attribute) or not typeexpr.names_type(b.cx, b.scope, func.value):
        return None
    ty = typeexpr.resolve(b.cx, b.scope, func.value)
    found = classes.method(b.cx, ty, func.attr) if isinstance(ty, t.NominalType) else None
    if ty is t.POISON or (isinstance(ty, t.NominalType) and ty.excuses(func.attr)):
        return only_arguments(b, node)
    if found is None:
        return b.error("K0203", func, f"`{ty.name}` has no method `{func.attr}`",
                       help=nearest(func.attr, tuple(getattr(ty, "methods", ())))
                       or "declare it in the class, marked @staticmethod")
    made = functions.method(b.cx, ty, found)                        # type: ignore[arg-type]
    if made is None:
        return b.poison(node)
    return _finish(b, node, made, _arguments(b, node, made, []))


# ---- functions ----------------------------------------------------------------------------------

def function(b: Body, node: ast.Call, decl: FunctionDecl, want: t.Type | None) -> tree.Expr:
    """A call of a module-level function."""
    made = resolve_function(b, node, decl, want)
    if made is None:
        return only_arguments(b, node)
    if made.yields is not None:
        return b.error("K0333", node, f"generator `{decl.name}` is used in a `for` only",
                       help="it is no object: its body is expanded into the loop")
    return _finish(b, node, made, _arguments(b, node, made, []))


def resolve_function(b: Body, node: ast.Call, decl: FunctionDecl, want: t.Type | None,
                     ) -> Signature | None:
    """The signature that this call means: an instance, if `decl` is generic."""
    if any(n == "comptime" for n, _, _ in classes.decorators(b.cx, Scope(decl.module), decl.node)):
        b.error("K0506", node.func, f"`{decl.name}` is @comptime: it does not exist at run time",
                help=f"make a constant of its result: `X: Final[...] = {decl.name}(...)`")
        return None
    generic = functions.generic_names(b.cx, decl, {})
    if not generic:
        return functions.signature(b.cx, decl)
    return _instance(b, node, decl, generic, {}, None, want)


def _instance(b: Body, node: ast.Call, decl: FunctionDecl, generic: dict[str, str],
              outer: dict[str, Any], owner: t.NominalType | None, want: t.Type | None,
              skip: int = 0) -> Signature | None:
    env: dict[str, Any] = {}
    if isinstance(node.func, ast.Subscript):
        part = node.func.slice
        args = list(part.elts) if isinstance(part, ast.Tuple) else [part]
        for (name, kind), arg in zip(generic.items(), args, strict=False):
            env[name] = typeexpr.generic_argument(b.cx, b.scope, kind, arg)
    params = decl.node.args.args[skip:]
    by_name = {k.arg: k.value for k in node.keywords}
    for position, param in enumerate(params):
        arg = node.args[position] if position < len(node.args) else by_name.get(param.arg)
        if arg is None or param.annotation is None:
            continue
        _infer(b, decl, param.annotation, arg, env, generic)
    if want is not None and decl.node.returns is not None:
        unify(b, decl, decl.node.returns, want, env, generic)
    missing = [n for n in generic if env.get(n) is None]
    if missing and want is t.POISON:
        return None
    if missing:
        b.error("K0334", node, f"cannot tell what `{missing[0]}` is in this call of `{decl.name}`",
                help=f"say it: `{decl.name}[...](...)`",
                notes=((f"`{decl.name}` is generic in {', '.join(generic)}",
                        Scope(decl.module).loc(decl.node)),))
        return None
    ordered = {n: env[n] for n in generic}
    if t.POISON in ordered.values():
        if (wrong := functions.miscounted(decl.node, node, skip)) is not None:
            where, message = wrong
            b.error("K0335", where, f"`{decl.name}` {message}",
                    help=functions.spelled(decl.node, skip),
                    notes=(("declared", Scope(decl.module).loc(decl.node)),))
        return None
    return functions.instance(b.cx, decl, ordered, b.scope, node, owner)


def _infer(b: Body, decl: FunctionDecl, note: ast.expr, arg: ast.expr, env: dict[str, Any],
           generic: dict[str, str]) -> None:
    """Bind type variables of parameter annotation `note` from argument `arg`."""
    if not any(isinstance(p, ast.Name) and p.id in generic and p.id not in env
               for p in ast.walk(note)):
        return
    if isinstance(note, ast.Subscript) and isinstance(note.value, ast.Name) and (
            note.value.id == "Type"):
        ty = typeexpr.resolve(b.cx, b.scope, arg)
        unify(b, decl, note.slice, ty, env, generic)
        if ty is t.POISON and isinstance(note.slice, ast.Name):
            env.setdefault(note.slice.id, ty)
        return
    saved = b.fork(), b.out, len(b.function.locals), dict(b.frame.names)
    b.out = []
    with b.cx.aside() as found:
        made = expr.value(b, arg)
    here = b.scope.module.source, range(arg.lineno, (arg.end_lineno or arg.lineno) + 1)
    for diagnostic in found.diagnostics:        # of what it uses; of itself, see _arguments()
        if diagnostic.loc and (diagnostic.loc.source is not here[0]
                               or diagnostic.loc.line not in here[1]):
            b.cx.report(diagnostic)
    b.flow, b.out = saved[0], saved[1]
    del b.function.locals[saved[2]:]
    b.frame.names = saved[3]
    home = Scope(decl.module)
    unknown = any(isinstance(part, ast.Name) and part.id not in generic and part.id not in (
        vocabulary.BUILTIN_FUNCTIONS | {"bool", "tuple"}) and b.cx.resolve(home, part) is None
        for part in ast.walk(note))
    if made.ty is t.POISON or unknown:          # reported with the arguments, or there
        for part in ast.walk(note):
            if isinstance(part, ast.Name) and part.id in generic:
                env.setdefault(part.id, t.POISON)
    unify(b, decl, note, made.ty, env, generic)


def unify(b: Body, decl: FunctionDecl, note: ast.expr, have: t.Type, env: dict[str, Any],
          generic: dict[str, str]) -> None:
    """Bind the type variables in annotation `note` so that it means `have`, where that can be."""
    if isinstance(note, ast.Name):
        if note.id in generic and env.get(note.id) is None and (
                have not in (t.LITERAL, t.POISON, t.VOID)):
            env[note.id] = have
        return
    if isinstance(note, ast.BinOp) and isinstance(note.op, ast.BitOr):
        unify(b, decl, note.left, have, env, generic)
        return
    if not isinstance(note, ast.Subscript):
        return
    args = list(note.slice.elts) if isinstance(note.slice, ast.Tuple) else [note.slice]
    meaning = b.cx.resolve(Scope(decl.module), note.value)
    if isinstance(meaning, Class):
        _unify_struct(b, decl, meaning, args, have, env, generic)
        return
    form = meaning.made if isinstance(meaning, Vocabulary) else ""
    if form in ("Ptr", "MPtr", "UserPtr"):
        inner = have.elem if isinstance(have, t.PtrType | t.MPtrType | t.UserPtrType) else have
        unify(b, decl, args[0], inner, env, generic)
    elif form in ("Slice", "Atomic") and isinstance(have, t.SliceType | t.ArrayType | t.AtomicType):
        unify(b, decl, args[0], have.elem, env, generic)
    elif form == "Array" and isinstance(have, t.ArrayType) and len(args) == 2:
        unify(b, decl, args[0], have.elem, env, generic)
        if isinstance(args[1], ast.Name) and args[1].id in generic:
            env.setdefault(args[1].id, have.count)
    elif form in ("Fn", "ThrowsFn") and isinstance(have, t.FnType) and len(args) == 2 and (
            isinstance(args[0], ast.List)):
        for part, ty in zip(args[0].elts, have.params, strict=False):
            unify(b, decl, part, ty, env, generic)
        unify(b, decl, args[1], have.result, env, generic)


def _unify_struct(b: Body, decl: FunctionDecl, meaning: Class, args: list[ast.expr], have: t.Type,
                  env: dict[str, Any], generic: dict[str, str]) -> None:
    if isinstance(have, t.PtrType):
        have = have.elem
    found = b.cx.instances.get(have) if isinstance(have, t.StructType) else None
    if found is None or found[0] is not meaning:
        return
    for part, arg in zip(args, have.args, strict=False):             # type: ignore[attr-defined]
        if isinstance(arg, t.Type):
            unify(b, decl, part, arg, env, generic)
        elif isinstance(part, ast.Name) and part.id in generic:
            env.setdefault(part.id, arg)


def _arguments(b: Body, node: ast.Call, made: Signature, first: list[tree.Expr],
               ) -> list[tree.Expr] | None:
    """The arguments of a call in parameter order, converted; None after a report."""
    params = made.function.params
    names = made.names[len(first):]
    if made.uncounted or not _counted(b, node, made, names):
        only_arguments(b, node)
        return None
    given = dict(zip(names, node.args, strict=False)) | {
        k.arg: k.value for k in node.keywords}                       # type: ignore[misc]
    out = list(first)
    by_name = {p.name: p for p in params}
    ok = True
    for name in names:
        if name in made.erased:
            continue
        arg = given.get(name)
        param = by_name[name]
        if arg is not None:
            done = expr.converted(b, arg, param.ty, f"parameter `{name}`")
        else:
            done = _default(b, made, name, param.ty, node)
        ok = ok and done.ty is not t.POISON
        out.append(done)
    return out if ok else None


def _counted(b: Body, node: ast.Call, made: Signature, names: list[str]) -> bool:
    """Whether a call has the arguments `names`; else reported."""
    function = made.function
    if len(node.args) > len(names):
        b.error("K0335", node.args[len(names)],
                f"`{function.name}` takes {len(names)} argument{'s' * (len(names) != 1)}, "
                f"not {len(node.args)}", help=_shown(made),
                notes=(("declared", function.loc),))
        return False
    given = set(names[:len(node.args)])
    for keyword in node.keywords:
        if keyword.arg not in names:
            b.error("K0335", keyword, f"`{function.name}` has no parameter `{keyword.arg}`",
                    help=nearest(keyword.arg or "", tuple(names)) or _shown(made),
                    notes=(("declared", function.loc),))
            return False
        if keyword.arg in given:
            b.error("K0335", keyword, f"`{keyword.arg}` is given twice", help=_shown(made))
            return False
        given.add(keyword.arg)
    missing = [n for n in names if n not in given and n not in made.defaults
               and n not in made.erased]
    if missing:
        call, several = node.func, "s" * (len(missing) > 1)
        shown = ", ".join(f"`{name}`" for name in missing)
        b.error("K0335", node, f"`{function.name}` misses its argument{several} {shown}",
                help=f"a method is called on a value: `x.{call.attr}(...)`"
                if missing[0] == "self" and isinstance(call, ast.Attribute) else _shown(made),
                notes=(("declared", function.loc),))
    return not missing


def _shown(made: Signature) -> str:
    """How the function is called."""
    params = made.node.args.args
    method = made.function.owner is not None and params and params[0].arg == "self"
    return functions.spelled(made.node, int(bool(method)))


def _default(b: Body, made: Signature, name: str, ty: t.Type, node: ast.AST) -> tree.Expr:
    """A default is evaluated as if it stood in the called function's module."""
    saved = b.frame
    b.frame = type(saved)(made.scope)
    done = expr.converted(b, made.defaults[name], ty, f"the default of `{name}`")
    b.frame = saved
    if done.ty is not t.POISON and not _is_constant(done):
        return b.error("K0501", made.defaults[name], f"the default of `{name}` is no constant",
                       "a constant is needed here", help="Python would compute it once, where the "
                       "function is defined; let callers pass it, or name a `Final`")
    return done


def _is_constant(made: tree.Expr) -> bool:
    while isinstance(made, tree.Convert):
        made = made.operand
    if isinstance(made, tree.Load) and isinstance(made.place, tree.GlobalPlace):
        return made.place.global_.constant
    return isinstance(made, tree.Const | tree.ConstData | tree.FnRef | tree.ZeroInit | tree.AddrOf)


def check_defaults(b: Body, made: Signature) -> None:
    """Report what is wrong with the defaults of a function's parameters, called or not."""
    saved, b.out = b.out, []
    types = {p.name: p.ty for p in made.function.params}
    for name, node in made.defaults.items():
        if name in types:
            _default(b, made, name, types[name], node)
    b.out = saved


def _finish(b: Body, node: ast.Call | ast.expr, made: Signature, args: list[tree.Expr] | None,
            ) -> tree.Expr:
    function = made.function
    if args is None:
        return b.poison(node)
    loc = b.loc(node)
    if function.throws:
        _check_throws(b, node, function.name)
    b.call_effect(function, loc)
    lifetimes.passed(b, function.symbol, args, loc)
    return tree.Call(function.result, loc, function, args, function.throws)


def _check_throws(b: Body, node: ast.AST, name: str) -> None:
    if b.handlers == 0 and not b.function.throws and not b.function.attrs.unknown:
        b.error("K0601", node, f"`{name}` may raise an error that nothing handles",
                help="call it in `try: ... except Errno as e:`, or mark this function @throws to "
                     "pass the error on",
                notes=((f"`{b.function.name}` is not @throws", b.function.loc),))


def indirect(b: Body, node: ast.Call, callee: tree.Expr, table: tuple[str, str] | None,
             ) -> tree.Expr:
    """A call through a function value."""
    ty, loc = callee.ty, b.loc(node)
    if ty is t.POISON:
        return only_arguments(b, node)
    if not isinstance(ty, t.FnType):
        only_arguments(b, node)
        return b.error("K0336", node, f"a `{ty.name}` cannot be called",
                       help="only functions, methods and values of type Fn[...] are")
    if node.keywords or len(node.args) != len(ty.params):
        only_arguments(b, node)
        return b.error("K0335", node, f"this `{ty.name}` takes {len(ty.params)} "
                       f"argument{'s' * (len(ty.params) != 1)} by position",
                       help="its parameters have types, but no names")
    args = [expr.converted(b, a, p, "this argument")
            for a, p in zip(node.args, ty.params, strict=True)]
    if any(a.ty is t.POISON for a in args):
        return b.poison(node)
    if ty.throws:
        _check_throws(b, node, ast.unparse(node.func))
        b.effects.raises |= b.handlers == 0
    b.effects.indirect.append((table or ty.name, loc, b.region))
    lifetimes.passed(b, table or ty.name, args, loc, indirect=True)
    b.forget_memory()
    return tree.CallIndirect(ty.result, loc, callee, ty, args, ty.throws, table)


# ---- methods ------------------------------------------------------------------------------------

def _attribute_call(b: Body, node: ast.Call, func: ast.Attribute, want: t.Type | None,
                    ) -> tree.Expr:
    module = not expr.is_local(b, func.value) and isinstance(
        b.cx.resolve(b.scope, func.value), ModuleDecl)
    base = expr.access(b, func if module else func.value)    # of a module: says what it lacks
    name, ty = func.attr, base.ty
    if ty is t.POISON:
        return only_arguments(b, node)
    if isinstance(base, expr.Register) and name == "modify":
        return _modify(b, node, base)
    if isinstance(ty, t.SliceType | t.ArrayType) and name in ("copy_from", "fill"):
        return storage.slice_method(b, node, base, name)
    if isinstance(base, expr.Register):
        base = expr.read(b, base, func.value)
    if isinstance(base.ty, t.EnumType):
        found = classes.method(b.cx, base.ty, name)
        if found is not None:
            return method(b, node, b.load(base), found, node.args, node.keywords)
    owner = expr.storage(b, base, func)
    if owner is None:
        return only_arguments(b, node)
    if isinstance(owner.ty, t.AtomicType):
        return machine.atomic(b, node, owner, name)
    if isinstance(owner.ty, t.StructType | t.BitsType):
        if not require_layout(b, owner.ty, func) or owner.ty.excuses(name):
            return only_arguments(b, node)
        found = classes.method(b.cx, owner.ty, name)
        if found is not None and any(n == "property" for n, _, _ in classes.decorators(
                b.cx, Scope(found.module), found.node)):
            return b.error("K0336", func, f"`{name}` is a @property", "it is read, not called",
                           help=f"write `{ast.unparse(func)}`, without parentheses")
        if found is not None:
            return method(b, node, owner, found, node.args, node.keywords)
        field = owner.ty.fields.get(name)
        if field is not None and isinstance(field.ty, t.FnType) and isinstance(owner, tree.Place):
            place = tree.FieldPlace(field.ty, b.loc(func), owner, field)
            return indirect(b, node, b.load(place), (owner.ty.symbol, name))
    return indirect(b, node, expr.read(b, expr.member(b, func, base, "method"), func), None)


def method(b: Body, node: ast.expr, owner: tree.Expr, decl: FunctionDecl, args: list[ast.expr],
           keywords: list[ast.keyword]) -> tree.Expr:
    """A call of method `decl` on `owner` (a struct place; a value of bits or enum)."""
    ty = owner.ty
    made, first = bind_method(b, node, owner, decl, args, keywords)
    if made is None:
        return b.poison(node)
    if made.yields is not None:
        return b.error("K0333", node, f"generator `{decl.name}` is used in a `for` only",
                       help=f"write `for item in {decl.name}(...):`")
    shaped = ast.copy_location(ast.Call(node, args, keywords), node)
    if made.function.params and made.function.params[0].name == "self" and isinstance(
            ty, t.StructType):
        first = [b.coerce(first[0], made.function.params[0].ty, node)]
    return _finish(b, node, made, _arguments(b, shaped, made, first))


def bind_method(b: Body, node: ast.expr, owner: tree.Expr, decl: FunctionDecl,
                args: list[ast.expr], keywords: list[ast.keyword],
                ) -> tuple[Signature | None, list[tree.Expr]]:
    """(signature, [self]) of a method call."""
    ty = owner.ty
    env = classes.scope_of(b.cx, functions._owner_of(b.cx, ty, decl)).env  # type: ignore[arg-type]
    generic = functions.generic_names(b.cx, decl, env)
    static = any(n == "staticmethod" for n, _, _ in classes.decorators(
        b.cx, Scope(decl.module), decl.node))
    if generic:
        shaped = ast.copy_location(ast.Call(node.func if isinstance(node, ast.Call) else node,
                                            args, keywords), node)
        home = functions._owner_of(b.cx, ty, decl)                   # type: ignore[arg-type]
        made = _instance(b, shaped, decl, generic, env, home, None, 0 if static else 1)
    else:
        made = functions.method(b.cx, ty, decl)                      # type: ignore[arg-type]
    if static:
        return made, []
    return made, [owner if isinstance(ty, t.StructType) else expr.read(b, owner, node)]


def _modify(b: Body, node: ast.Call, register: Any) -> tree.Expr:
    """`regs.CC.modify(EN=1, MPS=0)`: one load and one store."""
    ty = register.ty
    if not isinstance(ty, t.BitsType) or node.args:
        return b.error("K0806", node, "modify(FIELD=value, ...) is for registers of @bits",
                       help="name the fields that change: `regs.CC.modify(EN=1, MPS=0)`; else "
                       "assign the register")
    if register.register.access in ("RO", "WO"):
        return b.error("K0806", node, f"register `{register.register.name}` is "
                       f"{register.register.access}: it cannot be read and written back",
                       help="a write-only register is assigned whole: `regs.CC = Cc(EN=1)`")
    fields = _bit_fields(b, node, ty)
    if fields is None:
        return b.poison(node)
    loc = b.loc(node)
    new = tree.BitsWith(ty, loc, expr.read(b, register, node), fields)
    return tree.MmioWrite(t.VOID, loc, register.base, register.register, register.index, new)


# ---- constructors and conversions ---------------------------------------------------------------

def only_arguments(b: Body, node: ast.Call) -> tree.Expr:
    """Check the arguments of a call that is wrong itself, for what is wrong whatever it means."""
    for arg in (*node.args, *(k.value for k in node.keywords)):
        inner = arg.value if isinstance(arg, ast.Starred) else arg
        if isinstance(inner, ast.Name) and (inner.id in b.scope.env or isinstance(
                b.cx.lookup(b.scope.module, inner.id), Vocabulary)):
            continue                        # a type, a field's name, an order
        if not isinstance(inner, ast.GeneratorExp) and not typeexpr.names_type(
                b.cx, b.scope, inner):
            expr.value(b, inner, t.POISON)
    return b.poison(node)


def counted(b: Body, node: ast.Call, least: int, most: int | None = None) -> bool:
    """Whether a function of the vocabulary is given as many values as it takes; else reported."""
    most = least if most is None else most
    if least <= len(node.args) <= most and not node.keywords:
        return True
    count = str(least) if least == most else f"{least} to {most}"
    name = ast.unparse(node.func)
    hint = ("write the loop; it keeps the " + ("least" if name == "min" else "greatest")
            if name in ("min", "max") and len(node.args) == 1 else "docs/kpy.md tells what it does")
    b.error("K0335", node, f"`{name}` takes {count} argument{'s' * (most != 1)}", help=hint)
    only_arguments(b, node)
    return False


def construct(b: Body, node: ast.Call, ty: t.Type, want: t.Type | None) -> tree.Expr:
    """`T(...)`: a struct's storage, bits, or a conversion to `T`."""
    if ty is t.POISON:
        return only_arguments(b, node)
    if isinstance(ty, t.StructType):
        return _struct(b, node, ty)
    if isinstance(ty, t.BitsType) and (node.keywords or len(node.args) != 1):
        fields = _bit_fields(b, node, ty)
        return tree.StructLit(ty, b.loc(node), fields) if fields is not None else b.poison(node)
    if isinstance(ty, t.ArrayType) and not node.args:
        require_layout(b, ty, node)
        return tree.ZeroInit(ty, b.loc(node))
    if len(node.args) != 1 or node.keywords:
        return b.error("K0335", node, f"`{ty.name}(...)` takes one value",
                       help="it converts that value")
    return conversion(b, node, ty, expr.value(b, node.args[0], ty))


def _struct(b: Body, node: ast.Call, ty: t.StructType) -> tree.Expr:
    if not require_layout(b, ty, node) or "*" in ty.wrong or (node.args and ty.wrong):
        return only_arguments(b, node)
    fields: dict[str, tree.Expr] = {}
    given: set[str] = set()
    names = list(ty.fields)
    pairs: list[tuple[str, ast.expr, ast.AST]] = [
        (name, arg, arg) for name, arg in zip(names, node.args, strict=False)]
    if len(node.args) > len(names):
        only_arguments(b, node)
        return b.error("K0335", node.args[len(names)],
                       f"`{ty.name}` has {len(names)} field{'s' * (len(names) != 1)}",
                       help=expr.members_of(ty))
    pairs += [(k.arg or "", k.value, k) for k in node.keywords]
    ok = True
    for name, arg, where in pairs:
        field = ty.fields.get(name)
        if field is None or ty.excuses(name):
            if not ty.excuses(name) and expr.first(b, ty, name, tuple(names), where):
                b.error("K0203", where, f"`{ty.name}` has no field `{name}`",
                        help=nearest(name, tuple(names)) or expr.members_of(ty))
            expr.value(b, arg, t.POISON)
            ok = False
            continue
        if name in given:
            b.error("K0335", where, f"field `{name}` is given twice", help="leave one of them out")
            ok = False
            continue
        given.add(name)
        fields[name] = fill(b, arg, field.ty, f"field `{name}`")
        ok = ok and fields[name].ty is not t.POISON
        if isinstance(field.ty, t.FnType):
            note_table(b, ty, name, fields[name])
    null = [name for name, field in ty.fields.items()
            if name not in given and t.without_zero(field.ty) is not None]
    if null and given.issuperset(k for k, _, _ in pairs):        # else it is meant by another name
        message, hint = classes.begins_as_null(ty, null)
        b.error("K0314", node, message, help=f"{hint}, or declare it `| None`")
        ok = False
    return tree.StructLit(ty, b.loc(node), fields) if ok else b.poison(node)


def note_table(b: Body, ty: t.StructType, name: str, made: tree.Expr) -> None:
    """For the effect pass: which functions field `name` of operations table `ty` may hold."""
    while isinstance(made, tree.Convert):
        made = made.operand
    target = made.function.symbol if isinstance(made, tree.FnRef) else f"*{made.ty.name}"
    b.effects.address_taken.append((f"{ty.symbol}.{name}", target))


def fill(b: Body, node: ast.expr, ty: t.Type, what: str) -> tree.Expr:
    """The value that storage of type `ty` is filled with: never a silent copy of storage."""
    if isinstance(ty, t.AtomicType):
        return expr.converted(b, node, ty.elem, what)
    if ty is t.POISON:
        expr.value(b, node, ty)
        return b.poison(node)
    made = b.coerce(expr.value(b, node, ty), ty, node, what)
    return refuse_copy(b, made, node)


def refuse_copy(b: Body, made: tree.Expr, node: ast.AST) -> tree.Expr:
    """Report if `made` is existing storage: kpy copies it only when told."""
    if isinstance(made, tree.Place) and not isinstance(made, tree.Temp) and (
            made.ty.is_aggregate):
        text = b.scope.module.source.segment(made.loc)
        return b.error("K0337", node, f"`{made.ty.name}` is storage: this would copy it",
                       help=f"write `ref({text})` for the same storage, or declare it and "
                            f"`copy(to, {text})`")
    return made


def fit_bits(b: Body, made: tree.Expr, field: t.Field) -> tree.Expr:
    """`made` for a bit field: traps unless it fits the field's bits."""
    ty = field.ty
    if isinstance(made, tree.Const) or not isinstance(ty, t.IntType) or field.width >= ty.bits:
        return made
    narrow = tree.Convert(t.int_type(field.width), made.loc, "trunc" if b.wrap else "checked", made)
    return tree.Convert(ty, made.loc, "widen", narrow)


def _bit_fields(b: Body, node: ast.Call, ty: t.BitsType) -> dict[str, tree.Expr] | None:
    fields: dict[str, tree.Expr] = {}
    if node.args:
        b.error("K0335", node, f"`{ty.name}` takes its fields by name",
                help=expr.members_of(ty))
        return None
    for keyword in node.keywords:
        field = ty.fields.get(keyword.arg or "")
        if ty.excuses(keyword.arg or ""):
            expr.value(b, keyword.value, t.POISON)
            return None
        if field is None:
            b.error("K0203", keyword, f"`{ty.name}` has no field `{keyword.arg}`",
                    help=nearest(keyword.arg or "", tuple(ty.fields)) or expr.members_of(ty))
            return None
        made = fit_bits(b, expr.converted(b, keyword.value, field.ty, f"field `{field.name}`"),
                        field)
        if isinstance(made, tree.Const) and made.value >= 1 << field.width:
            made = b.error("K0311", keyword.value, f"{made.value} does not fit `{field.name}`, "
                           f"which has {field.width} bit{'s' * (field.width != 1)}",
                           help="use a smaller value, or declare the field wider: `Bits[high, "
                           "low]`")
        if made.ty is t.POISON:
            return None
        fields[field.name] = made
    return fields


def conversion(b: Body, node: ast.AST, ty: t.Type, made: tree.Expr) -> tree.Expr:
    """The explicit conversion `T(value)`."""
    have, loc = made.ty, b.loc(node)
    if have is t.POISON or have is ty:
        return made
    if isinstance(ty, t.PtrType | t.MPtrType) and isinstance(have, t.NewtypeType | t.IntType):
        return b.error("K0803", node, "an integer is no pointer",
                       help="write `pointer_at(T, address)`, in an unsafe module")
    if isinstance(ty, t.NewtypeType):
        inner = made if isinstance(have, t.NewtypeType) else b.coerce(made, t.U64, node)
        if isinstance(have, t.NewtypeType):
            return b.error("K0338", node, f"a `{have.name}` is not a `{ty.name}`",
                           help="the physical map of kernel/mem converts between them")
        return inner if inner.ty is t.POISON else tree.Convert(ty, loc, "raw", inner)
    if isinstance(ty, t.EndianType):
        inner = b.coerce(made, ty.base, node)
        return inner if inner.ty is t.POISON else tree.Convert(ty, loc, "endian", inner)
    if isinstance(ty, t.IntType):
        done = _to_integer(b, node, ty, made)
        if done is not None:
            return done
    if ty is t.BOOL and isinstance(have, t.IntType):
        return tree.Convert(ty, loc, "bool", made)
    if isinstance(ty, t.EnumType) and (isinstance(have, t.IntType) or have is t.LITERAL):
        inner = b.coerce(made, ty.base, node) if have is t.LITERAL else (
            made if have is ty.base else tree.Convert(
                ty.base, loc, "widen" if t.lossless(have, ty.base) else "checked", made))
        if inner.ty is t.POISON:
            return inner
        if isinstance(inner, tree.Const) and (ty.is_flags or inner.value in ty.members.values()):
            return tree.Const(ty, loc, inner.value)
        return tree.Convert(ty, loc, "raw" if ty.is_flags else "enum", inner)
    if isinstance(ty, t.BitsType):
        inner = b.coerce(made, ty.base, node)
        return inner if inner.ty is t.POISON else tree.Convert(ty, loc, "raw", inner)
    if isinstance(ty, t.UserPtrType) and isinstance(have, t.IntType | t.LiteralType):
        inner = b.coerce(made, t.U64, node)
        return inner if inner.ty is t.POISON else tree.Convert(ty, loc, "int_ptr", inner)
    done = b.coerce(made, ty, node)
    return done


def _to_integer(b: Body, node: ast.AST, ty: t.IntType, made: tree.Expr) -> tree.Expr | None:
    have, loc = made.ty, b.loc(node)
    if have is t.LITERAL:
        return b.coerce(made, ty, node)
    if isinstance(have, t.IntType):
        return tree.Convert(ty, loc, "widen" if t.lossless(have, ty) else
                            "trunc" if b.wrap else "checked", made)
    if have is t.BOOL:
        return tree.Convert(ty, loc, "raw", made)
    if isinstance(have, t.EndianType):
        host = tree.Convert(have.base, loc, "endian", made)
        return host if have.base is ty else tree.Convert(
            ty, loc, "widen" if t.lossless(have.base, ty) else "checked", host)
    if isinstance(have, t.NewtypeType | t.EnumType | t.BitsType):
        raw = tree.Convert(have.base, loc, "raw", made)
        return raw if have.base is ty else tree.Convert(
            ty, loc, "widen" if t.lossless(have.base, ty) else "checked", raw)
    if isinstance(have, t.UserPtrType):
        return tree.Convert(t.U64, loc, "ptr_int", made) if ty is t.U64 else None
    return None
