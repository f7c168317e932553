# SPDX-License-Identifier: BSD-3-Clause
"""Generics where they are defined: what can be said before anyone says of what.

    def largest(a: T, b: T) -> T:      `lenght` is no name here, whatever T is: K0202
        return lenght(a)

Types are checked in each instance; names have one meaning in all of them.

Tests     tests/toolchain/test_check_generics.py
"""
from __future__ import annotations

import ast

from toolchain.frontend.check import classes, functions, vocabulary
from toolchain.frontend.check.body import stored_names
from toolchain.frontend.check.scope import Context, Scope
from toolchain.frontend.modules import Class, FunctionDecl

_PYTHON = vocabulary.BUILTIN_FUNCTIONS | {"bool", "tuple", "staticmethod", "property"}


def check_function(cx: Context, decl: FunctionDecl) -> None:
    """Report names in a generic function that nothing declares."""
    scope = Scope(decl.module)
    _names(cx, scope, decl.node, set(functions.generic_names(cx, decl, {})))


def check_class(cx: Context, decl: Class) -> None:
    """The same for the fields and methods of a generic class."""
    scope = Scope(decl.module)
    bound = {name for name, _ in classes.generic_parameters(cx, decl)}
    for item in decl.node.body:
        if isinstance(item, ast.FunctionDef):
            _names(cx, scope, item, bound)
        elif isinstance(item, ast.AnnAssign):
            _look(cx, scope, item.annotation, bound)


def _names(cx: Context, scope: Scope, node: ast.FunctionDef, bound: set[str]) -> None:
    known = bound | stored_names(node) | {
        arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)}
    for part in (*node.body, *node.args.defaults):
        _look(cx, scope, part, known)
    for note in (*(arg.annotation for arg in node.args.args), node.returns):
        if note is not None:
            _look(cx, scope, note, known)


def _look(cx: Context, scope: Scope, node: ast.AST, known: set[str]) -> None:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and (
                part.id not in known and part.id not in _PYTHON
                and part.id not in scope.module.names):
            cx.unknown(scope, part, part.id, tuple(known))
