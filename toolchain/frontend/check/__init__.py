# SPDX-License-Identifier: BSD-3-Clause
"""The checker: declarations, statements and expressions to the typed tree, or to diagnostics.

    def double(x: u32) -> u32:        Function double(x: u32) -> u32
        return x * 2                    Return Binary(mul, Load x, Const 2)

Signatures and types are made when asked for; a body only needs the signatures of what it uses,
so modules can be checked one at a time (and in several processes).

scope        what a name means             typeexpr   annotations to types
classes      class statements to types     functions  def statements to signatures
const        constants and @comptime       body       facts, conversion
expr operators conditions calls stmt assign loops patterns format    one kind of syntax each
builtins     functions of the vocabulary, in integers sizes storage unsafe machine

Tests     tests/toolchain/test_check_*.py
"""
from __future__ import annotations

import ast
import re
from typing import Any

from toolchain.frontend import effects, tree
from toolchain.frontend import types as t
from toolchain.frontend.check import (
    calls,
    classes,
    const,
    functions,
    generics,
    sizes,
    stmt,
    typeexpr,
    vocabulary,
)
from toolchain.frontend.check.body import Body
from toolchain.frontend.check.functions import Signature
from toolchain.frontend.check.scope import Context, Scope, known_elsewhere, nearest
from toolchain.frontend.modules import (
    POISONED,
    VOCABULARY,
    Alias,
    Class,
    Constant,
    Decl,
    FunctionDecl,
    Import,
    ModuleDecl,
    Variable,
    Vocabulary,
)

_LABEL = re.compile(r"^[ \t]*\"?([A-Za-z_.][\w.]*)\"?:", re.MULTILINE)     # of file-level assembly


def check_module(cx: Context, module: ModuleDecl) -> tree.Module:
    """The typed tree of `module`; what is wrong is in `cx.sink` (then the tree is not to be used).
    """
    out = tree.Module(module.name, module.source, module.unsafe)
    scope = Scope(module)
    _bind_stars(cx, module)
    for decl in list(module.names.values()):
        if isinstance(decl, Vocabulary) and decl.made not in vocabulary.NAMES:
            _no_such_vocabulary(cx, scope, decl)
    for decl in module.names.values():
        if isinstance(decl, Constant):
            const.constant(cx, decl)        # which may call what was to be @comptime
    queue: list[Signature] = []
    for decl in module.names.values():
        _declaration(cx, scope, decl, out, queue)
    twice: list[Signature] = []
    for decl in module.doubled:
        _declaration(cx, scope, decl, tree.Module(module.name, module.source, module.unsafe), twice)
    for call in module.asserts:
        sizes.check_static_assert(cx, scope, call)
    for call in module.asm:
        _file_asm(cx, scope, call, out)
    _bodies(cx, out, queue)
    for made in twice:
        check_body(cx, made)
    _unique_symbols(cx, out)
    return out


def _unique_symbols(cx: Context, out: tree.Module) -> None:
    """No two functions of the module, or labels of its assembly, have one name for the linker.

    An upcall is defined by what implements it; whether twice, the effect pass sees.
    """
    defined = [(name, block.loc) for block in out.asm for name in _LABEL.findall(block.text)]
    defined += [(f.attrs.export or f.symbol, f.loc) for f in out.functions if not (
        f.attrs.extern or f.attrs.upcall or f in out.implements.values())]
    seen: dict[str, tree.Loc] = {}
    for name, loc in defined:
        if name in seen:
            cx.sink.error("K0224", loc, f"symbol `{name}` is defined twice",
                          notes=(("the first is", seen[name]),),
                          help="give a function another name with @export, or rename the label")
        seen.setdefault(name, loc)


def _declaration(cx: Context, scope: Scope, decl: Decl, out: tree.Module, queue: list[Signature],
                 ) -> None:
    match decl:
        case Import():
            _check_import(cx, scope, decl)
        case Class():
            _class(cx, scope, decl, out, queue)
        case FunctionDecl():
            _function(cx, decl, queue)
        case Constant():
            found = const.constant(cx, decl)
            if found is not None and not isinstance(found[1], int):
                out.globals.append(functions.constant_global(cx, decl, *found))
        case Variable():
            made = functions.variable(cx, decl)
            if made is not None:
                out.globals.append(made)
        case Alias():
            typeexpr._alias(cx, decl)


def _bind_stars(cx: Context, module: ModuleDecl) -> None:
    """What `import *` would bind, so that it is refused once and not with each name."""
    for target, node in module.starred:
        home = cx.program.load(target)
        names = vocabulary.NAMES if target == VOCABULARY else home.names if home else ()
        for name in sorted(set(names) - module.names.keys()):
            module.names[name] = Vocabulary(name, module, node, name) if target == VOCABULARY \
                else Import(name, module, node, target=target, attr=name)


def _no_such_vocabulary(cx: Context, scope: Scope, decl: Vocabulary) -> None:
    cx.error("K0203", scope, decl.node, f"`kpy` has no name `{decl.made}`",
             help=known_elsewhere(decl.made) or nearest(decl.made, tuple(vocabulary.NAMES))
             or "docs/kpy.md, section 1, lists the vocabulary")
    scope.module.names[decl.name] = Constant(decl.name, scope.module, decl.node, made=POISONED)


def _check_import(cx: Context, scope: Scope, decl: Import) -> None:
    if cx.lookup(scope.module, decl.name) is None and decl.attr is not None:
        cx.unknown(scope, decl.node, decl.name)


def _class(cx: Context, scope: Scope, decl: Class, out: tree.Module, queue: list[Signature],
           ) -> None:
    classes.check_parameters(cx, decl)
    if classes.generic_parameters(cx, decl):
        classes.decorators(cx, scope, decl.node)
        generics.check_class(cx, decl)          # its types, where it is instantiated
        return
    ty = classes.declared(cx, decl)
    if not isinstance(ty, t.NominalType):
        return
    classes.complete(cx, ty, scope, decl.node)
    out.types.append(ty)
    for inner in ty.methods.values():
        env = classes.scope_of(cx, ty).env
        if functions.generic_names(cx, inner, env):
            continue
        made = functions.method(cx, ty, inner)
        if made is not None and made.yields is None:
            queue.append(made)


def _function(cx: Context, decl: FunctionDecl, queue: list[Signature]) -> None:
    names = [n for n, _, _ in classes.decorators(cx, Scope(decl.module), decl.node)]
    if "comptime" in names:
        const.comptime(cx, decl)
        return
    if functions.generic_names(cx, decl, {}):
        generics.check_function(cx, decl)       # its types, where it is instantiated
        return
    made = functions.signature(cx, decl)
    if made is not None and made.yields is None:
        queue.append(made)
    elif made is not None:
        generics.check_function(cx, decl)       # its types, where it is expanded


def _file_asm(cx: Context, scope: Scope, call: ast.Call, out: tree.Module) -> None:
    value = const.python_value(cx, scope, call.args[0]) if len(call.args) == 1 else None
    if not isinstance(value, str):
        cx.error("K0804", scope, call, "file-level `asm` takes its text as one string",
                 help="write `asm(\"...\")`; long text goes in triple quotes")
        return
    out.asm.append(tree.AsmBlock(value, scope.loc(call)))


def _bodies(cx: Context, out: tree.Module, queue: list[Signature]) -> None:
    """Check the bodies of the module's own functions, then of what they pull in."""
    seen: set[str] = set()
    own = {made.function.symbol for made in queue}
    while queue:
        made = queue.pop(0)
        function = made.function
        if function.symbol in seen:
            continue
        seen.add(function.symbol)
        check_body(cx, made)
        if function.symbol in own or function.is_instance:
            out.functions.append(function)
            implemented = cx.instances.get(("implements", function.symbol))
            if implemented is not None:
                first = out.implements.setdefault(implemented, function)
                if first is not function:
                    effects.implemented_twice(cx.sink, implemented, function.loc, first.loc)
        else:
            out.externals[function.symbol] = function
        if function.effects is None:
            continue
        for symbol, other in function.effects.functions.items():
            inner = cx.bodies.get(symbol)
            if symbol in own or symbol in seen:
                continue
            if isinstance(inner, Signature) and (other.attrs.inline or other.is_instance):
                queue.append(inner)
            else:
                out.externals[symbol] = other
        for symbol, var in function.effects.globals.items():
            if not symbol.startswith(f"{out.name}.") or var.extern or not any(
                    var is g for g in out.globals):
                out.external_globals[symbol] = var
    for var in out.globals:
        for symbol in _symbols(var.init):
            found = cx.bodies.get(symbol)
            if found is not None and symbol not in own:
                out.externals[symbol] = found.function


def _symbols(data: Any) -> list[str]:
    """The symbols whose addresses constant data holds."""
    if isinstance(data, tree.SymbolRef):
        return [data.symbol]
    if isinstance(data, dict):
        data = list(data.values())
    if isinstance(data, list | tuple):
        return [s for part in data for s in _symbols(part)]
    return []


def check_body(cx: Context, made: Signature) -> None:
    """Check one function's body, once."""
    function = made.function
    if function.body is not None or function.effects is not None:
        return
    attrs = function.attrs
    if attrs.extern or attrs.upcall:
        if not _empty(made.node):
            kind = "@extern" if attrs.extern else "@upcall"
            cx.error("K0221", made.scope, made.node, f"an {kind} function has no body here",
                     help="its body is `...`, or its docstring alone")
        return
    b = Body(cx, function, made.scope, made.node)
    for param in function.params:
        b.frame.names[param.name] = param
        b.know(param)
    calls.check_defaults(b, made)
    function.body = stmt.block(b, made.node.body)
    function.effects = b.effects
    if attrs.naked and not _is_assembly(function):
        cx.error("K0804", made.scope, made.node,
                 f"@naked function `{function.name}` is more than one `asm`",
                 help="nothing sets up a stack frame for it: its body is one `asm(...)` without "
                 "out= and ins=, which finds the arguments in %rdi, %rsi, ... and ends in `ret`")
    returns = function.result not in (t.VOID, t.POISON) and not attrs.naked
    if returns and not b.dead and not b.unsure:
        _falls_off(b, made)


def _is_assembly(function: tree.Function) -> bool:
    """Whether the body is one asm() without operands."""
    body = function.body or []
    return len(body) == 1 and isinstance(body[0], tree.ExprStmt) and isinstance(
        body[0].expr, tree.AsmExpr) and not body[0].expr.args and (
        body[0].expr.ty is t.VOID)


def _empty(node: ast.FunctionDef) -> bool:
    return all(isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(
        s.value, ast.Constant)) for s in node.body)


def _falls_off(b: Body, made: Signature) -> None:
    function = made.function
    what = ("may end, but is `-> Never`" if function.result is t.NEVER
            else f"may end without returning its `{function.result.name}`")
    hint = ("a body of `...` needs @extern or @upcall" if _empty(made.node)
            else "return on every way out")
    b.error("K0408", made.node, f"`{function.name}` {what}", help=hint)


__all__ = ["Context", "check_body", "check_module"]
