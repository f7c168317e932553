# SPDX-License-Identifier: BSD-3-Clause
"""Generics where they are defined: what can be said before anyone says of what.

    def largest(a: T, n: u32) -> T:
        if lenght(a) > n:                  `lenght` is no name here, whatever T is: K0202
            return n & "mask"              nor is this, whatever T is: K0316
        return a + a                       this is for the instances to check

Names have one meaning in all instances.  For types the body is checked as if T were an error that
has been reported: nothing that depends on T is said, all else is, but for what can happen (K04xx),
since a `match` or a call that depends on T is not followed.  What an instance would say again at
the same place is not repeated (Context.error).

Tests     tests/toolchain/test_check_generics.py
"""
from __future__ import annotations

import ast

from toolchain.diagnostics import Diagnostic
from toolchain.frontend import types as t
from toolchain.frontend.check import classes, functions, stmt, vocabulary
from toolchain.frontend.check.body import Body, stored_names
from toolchain.frontend.check.functions import Signature
from toolchain.frontend.check.scope import Context, Scope, among
from toolchain.frontend.modules import Class, FunctionDecl

_SAID = ("K01", "K0203", "K03", "K05", "K06", "K08")     # codes that no type variable excuses
_NOT_SAID = ("K0310", "K0312", "K0318", "K0334")         # a type that T may give is missing
_PYTHON = vocabulary.BUILTIN_FUNCTIONS | {"bool", "tuple", "staticmethod", "property"}


def check_function(cx: Context, decl: FunctionDecl) -> None:
    """Report what is wrong in a generic function, or in a generator, whatever its types are."""
    bound = set(functions.generic_names(cx, decl, {}))
    if _names(cx, Scope(decl.module), decl.node, bound):
        _types(cx, decl, bound)


def check_class(cx: Context, decl: Class) -> None:
    """The same for the fields and methods of a generic class."""
    scope = Scope(decl.module)
    bound = {name for name, _ in classes.generic_parameters(cx, decl)}
    members = _members(decl)
    for item in decl.node.body:
        if isinstance(item, ast.FunctionDef):
            method = FunctionDecl(item.name, decl.module, item)
            more = set(functions.generic_names(cx, method, dict.fromkeys(bound)))
            if _names(cx, scope, item, bound | more):
                _types(cx, method, bound | more)
                _own(cx, scope, decl, item, members)
        elif isinstance(item, ast.AnnAssign):
            _look(cx, scope, item.annotation, bound)


# ---- types --------------------------------------------------------------------------------------

def _types(cx: Context, decl: FunctionDecl, bound: set[str]) -> None:
    """Check a body whose type variables could be anything."""
    symbol = f"{decl.module.name}.{decl.name}"
    before = cx.bodies.get(symbol)
    with cx.aside() as found:
        made = functions._sign(cx, decl, Scope(decl.module, dict.fromkeys(bound, t.POISON)),
                               decl.name, None)
        if made is not None and not (made.function.attrs.extern or made.function.attrs.upcall):
            _body(cx, made)
    cx.bodies.pop(symbol, None)
    if before is not None:
        cx.bodies[symbol] = before
    for diagnostic in found.diagnostics:
        if not _inside(diagnostic, decl) or (
                diagnostic.severity == "error" and diagnostic.code.startswith(_SAID)
                and diagnostic.code not in _NOT_SAID):
            cx.report(diagnostic)


def _body(cx: Context, made: Signature) -> None:
    b = Body(cx, made.function, made.scope, made.node)
    for param in made.function.params:
        b.frame.names[param.name] = param
        b.know(param)
    stmt.block(b, made.node.body)


def _inside(diagnostic: Diagnostic, decl: FunctionDecl) -> bool:
    """Whether it is about the body; else it is about something met for the first time."""
    loc = diagnostic.loc
    return loc is not None and loc.source is decl.module.source and (
        decl.node.lineno <= loc.line <= (decl.node.end_lineno or 0))


def _members(decl: Class) -> dict[str, ast.stmt]:
    """What `self.` may be followed by; empty where a base class has more."""
    if any(not isinstance(base, ast.Subscript) for base in decl.node.bases):
        return {}
    fields = {item.target.id: item for item in decl.node.body if isinstance(item, ast.AnnAssign)
              and isinstance(item.target, ast.Name)}
    return fields | {item.name: item for item in decl.node.body
                     if isinstance(item, ast.FunctionDef)}


def _own(cx: Context, scope: Scope, decl: Class, node: ast.FunctionDef,
         members: dict[str, ast.stmt]) -> None:
    """Report `self.name` where the class has no such field or method."""
    if not members or not node.args.args or node.args.args[0].arg != "self" or (
            "self" in stored_names(node)):
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and (
                part.value.id == "self" and part.attr not in members):
            cx.error("K0203", scope, part, f"`{decl.name}` has no attribute `{part.attr}`",
                     help=among(part.attr, tuple(sorted(members))))
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and isinstance(
                part.func.value, ast.Name) and part.func.value.id == "self" and isinstance(
                members.get(part.func.attr), ast.FunctionDef):
            _counted(cx, scope, part, members[part.func.attr])


def _counted(cx: Context, scope: Scope, call: ast.Call, node: ast.FunctionDef) -> None:
    """Report a call of a method of `self` with too few or too many arguments."""
    skip = int(bool(node.args.args) and node.args.args[0].arg == "self")
    if any(isinstance(a, ast.Starred) for a in call.args):
        return
    if (wrong := functions.miscounted(node, call, skip)) is not None:
        where, message = wrong
        cx.error("K0335", scope, where, f"`{node.name}` {message}",
                 help=functions.spelled(node, skip), notes=(("declared", scope.loc(node)),))


# ---- names --------------------------------------------------------------------------------------


def _names(cx: Context, scope: Scope, node: ast.FunctionDef, bound: set[str]) -> bool:
    """Report names that nothing declares; whether there is none."""
    before = cx.sink.errors
    known = bound | stored_names(node) | {
        arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)}
    for part in (*node.body, *node.args.defaults):
        _look(cx, scope, part, known)
    for note in (*(arg.annotation for arg in node.args.args), node.returns):
        if note is not None:
            _look(cx, scope, note, known)
    return cx.sink.errors == before


def _look(cx: Context, scope: Scope, node: ast.AST, known: set[str]) -> None:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and (
                part.id not in known and part.id not in _PYTHON
                and part.id not in scope.module.names):
            cx.unknown(scope, part, part.id, tuple(known))
