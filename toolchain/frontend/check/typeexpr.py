# SPDX-License-Identifier: BSD-3-Clause
"""Annotations to types.

    Ptr[Thread] | None      PtrType(Thread, nullable)
    Array[u8, MAX * 2]      ArrayType(u8, 64)
    Fn[[u32, Str], bool]    FnType((u32, Str), bool)

What is wrong is reported here, once, and becomes POISON.

Tests     tests/toolchain/test_messages.py
"""
from __future__ import annotations

import ast
from typing import Any

from toolchain.frontend import types as t
from toolchain.frontend.check import classes, const, vocabulary
from toolchain.frontend.check.scope import Context, Scope, is_poisoned
from toolchain.frontend.modules import (
    Alias,
    Class,
    Constant,
    Decl,
    FunctionDecl,
    ModuleDecl,
    Parameter,
    Variable,
    Vocabulary,
)


def resolve(cx: Context, scope: Scope, node: ast.expr) -> t.Type:
    """The type that annotation `node` names; POISON after a report."""
    match node:
        case ast.Constant(value=None):
            return t.VOID
        case ast.Constant(value=str() as text):
            return _quoted(cx, scope, node, text)
        case ast.Name():
            return _name(cx, scope, node)
        case ast.Attribute():
            return _decl(cx, scope, node, cx.resolve(scope, node))
        case ast.Subscript():
            return _subscript(cx, scope, node)
        case ast.BinOp(op=ast.BitOr()):
            return _optional(cx, scope, node)
        case _:
            call = isinstance(node, ast.Call) and len(node.args) == 1
            cx.error("K0301", scope, node, "this is not a type",
                     help=f"write `{ast.unparse(node.func)}[{ast.unparse(node.args[0])}]`"
                     if call else "a type is a name such as `u32` or `Ptr[Thread]`")
            return t.POISON


def names_type(cx: Context, scope: Scope, node: ast.expr) -> bool:
    """Whether expression `node` spells a type (for `Thread(...)`, `u32(x)`, `alloc(Thread)`)."""
    if isinstance(node, ast.Subscript):
        return names_type(cx, scope, node.value) or (
            isinstance(node.value, ast.Name) and _vocabulary(cx, scope, node.value) in
            vocabulary.TYPE_FORMS)
    if isinstance(node, ast.Name) and isinstance(scope.env.get(node.id), t.Type):
        return True
    if isinstance(node, ast.Name) and node.id == "bool" and "bool" not in scope.module.names:
        return True
    meaning = cx.resolve(scope, node)
    if isinstance(meaning, Vocabulary):
        return meaning.made in vocabulary.PLAIN_TYPES
    return isinstance(meaning, Class | Alias)


def _vocabulary(cx: Context, scope: Scope, node: ast.expr) -> str:
    meaning = cx.resolve(scope, node)
    return meaning.made if isinstance(meaning, Vocabulary) else ""


def _quoted(cx: Context, scope: Scope, node: ast.Constant, text: str) -> t.Type:
    try:
        inner = ast.parse(text, mode="eval").body
    except SyntaxError:
        cx.error("K0301", scope, node, "this string is not a type",
                 help="for example `\"Ptr[Thread]\"`")
        return t.POISON
    for part in ast.walk(inner):
        if hasattr(part, "lineno"):
            ast.copy_location(part, node)
    return resolve(cx, scope, inner)


def _name(cx: Context, scope: Scope, node: ast.Name) -> t.Type:
    bound = scope.env.get(node.id)
    if isinstance(bound, t.Type):
        return bound
    if bound is not None:
        cx.error("K0301", scope, node, f"`{node.id}` is a value, not a type",
                 help="in an Array's length it may stand: `Array[T, N]`")
        return t.POISON
    if node.id == "bool" and "bool" not in scope.module.names:
        return t.BOOL
    meaning = cx.lookup(scope.module, node.id)
    if meaning is None:
        cx.unknown(scope, node, node.id)
        return t.POISON
    return _decl(cx, scope, node, meaning)


def _decl(cx: Context, scope: Scope, node: ast.expr, meaning: Any) -> t.Type:
    text = ast.unparse(node)
    if meaning is None and classes._fails_to_import(cx, scope, node):
        pass
    elif meaning is None:
        cx.error("K0202", scope, node, f"`{text}` is not declared",
                 help="import the module, or correct the name")
    elif is_poisoned(meaning):
        pass
    elif isinstance(meaning, Vocabulary):
        plain = vocabulary.PLAIN_TYPES.get(meaning.made)
        if plain is not None:
            return _field_only(cx, scope, node, plain)
        if meaning.made == "TableEntry":
            return table_entry()
        if meaning.made == "Final":
            _no_final(cx, scope, node)
        elif meaning.made in vocabulary.TYPE_FORMS:
            cx.error("K0302", scope, node, f"`{text}` needs to be told of what",
                     help=_form_help(meaning.made))
        else:
            cx.error("K0301", scope, node, f"`{text}` is not a type",
                     help="a type is u8 to u64, bool, a class, or a form such as `Ptr[T]`")
    elif isinstance(meaning, Class):
        if classes.generic_parameters(cx, meaning):
            cx.error("K0302", scope, node, f"`{text}` is generic: say of what",
                     help=f"write `{text}[...]`",
                     notes=(("declared here", meaning.loc),))
            return t.POISON
        return classes.declared(cx, meaning)
    elif isinstance(meaning, Alias):
        return _alias(cx, meaning)
    elif isinstance(meaning, Parameter):
        cx.error("K0303", scope, node, f"type variable `{text}` has no meaning here",
                 help="a function is generic in the type variables of its own parameters, a "
                      "class in those of Generic[...]")
    else:
        what = {Constant: "a constant", Variable: "a variable", FunctionDecl: "a function",
                ModuleDecl: "a module"}.get(type(meaning), "not a type")
        cx.error("K0301", scope, node, f"`{text}` is {what}, not a type",
                 help="write the type of what is meant, such as `u32` or the name of a class")
    return t.POISON


def _field_only(cx: Context, scope: Scope, node: ast.expr, ty: t.Type) -> t.Type:
    if isinstance(ty, t.IntType) and ty.bits not in (8, 16, 32, 64):
        cx.error("K0304", scope, node, f"`{ty.name}` exists only as a field of a @bits class",
                 help=f"use `u{max(8, 1 << (ty.bits - 1).bit_length())}`")
        return t.POISON
    return ty


def _alias(cx: Context, decl: Decl) -> t.Type:
    if decl.made is None:
        scope = Scope(decl.module)
        if decl.busy:
            cx.error("K0204", scope, decl.node, f"`{decl.name}` is defined by itself",
                     help="a type that refers to itself is a class: @struct, with a `Ptr` to "
                     "itself")
            return t.POISON
        decl.busy = True
        decl.made = resolve(cx, scope, decl.node.value)
        decl.busy = False
    return decl.made


def _optional(cx: Context, scope: Scope, node: ast.BinOp) -> t.Type:
    parts: list[ast.expr] = []
    rest: ast.expr = node
    while isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.BitOr):
        parts.insert(0, rest.right)
        rest = rest.left
    parts.insert(0, rest)
    inner = [p for p in parts if not (isinstance(p, ast.Constant) and p.value is None)]
    if len(inner) == len(parts):
        return _union(cx, scope, node, inner)
    if len(inner) != 1:
        cx.error("K0305", scope, node, "only one pointer type can be `| None`",
                 help="for one of several structs use a Union")
        return t.POISON
    ty = resolve(cx, scope, inner[0])
    if isinstance(ty, t.PtrType):
        return t.ptr(ty.elem, True)
    if ty is not t.POISON:
        cx.error("K0305", scope, node, f"`{ty.name} | None` is not a type: only `Ptr` has a null",
                 help=f"write `Ptr[{ty.name}] | None`" if isinstance(ty, t.StructType) else
                 "a table has all its functions: give it one that does nothing, or that raises"
                 if isinstance(ty, t.FnType) else
                 "return a bool beside the value, or raise Errno in a @throws function")
    return t.POISON


def _subscript(cx: Context, scope: Scope, node: ast.Subscript) -> t.Type:
    args = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if isinstance(node.value, ast.Name) and node.value.id == "tuple" and (
            "tuple" not in scope.module.names):
        return _tuple(cx, scope, node, args)
    meaning = cx.resolve(scope, node.value)
    if isinstance(meaning, Class):
        return classes.instance(cx, meaning, _arguments(cx, scope, node, meaning, args), scope,
                                node)
    if is_poisoned(meaning):
        return t.POISON
    form = meaning.made if isinstance(meaning, Vocabulary) else ""
    make = _FORMS.get(form)
    if make is not None:
        return make(cx, scope, node, args)
    if meaning is None:
        text = ast.unparse(node.value)
        if isinstance(node.value, ast.Name):
            cx.unknown(scope, node.value, text)
        else:
            cx.error("K0202", scope, node.value, f"`{text}` is not declared",
                     help="import the module, or correct the name")
    else:
        text = ast.unparse(node.value)
        sized = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int)
        cx.error("K0306", scope, node, f"`{text}` takes no arguments in [ ]",
                 help=f"an array is `Array[{text}, {ast.unparse(node.slice)}]`" if sized
                 else f"write `{text}` alone")
    return t.POISON


def _arguments(cx: Context, scope: Scope, node: ast.Subscript, decl: Class, args: list[ast.expr],
               ) -> tuple[Any, ...] | None:
    params = classes.generic_parameters(cx, decl)
    if not params:
        cx.error("K0306", scope, node, f"`{decl.name}` is not generic",
                 help=f"write `{decl.name}`, or derive the class from `Generic[T]`",
                 notes=(("declared here", decl.loc),))
        return None
    if len(params) != len(args):
        cx.error("K0306", scope, node,
                 f"`{decl.name}` takes {len(params)} argument{'s' * (len(params) != 1)} in [ ], "
                 f"not {len(args)}", notes=(("declared here", decl.loc),),
                 help=f"write `{decl.name}[{', '.join(name for name, _ in params)}]`, with each "
                 "filled in")
        return None
    out: list[Any] = []
    for (_, kind), arg in zip(params, args, strict=True):
        value = generic_argument(cx, scope, kind, arg)
        if value is None or value is t.POISON:
            return None
        out.append(value)
    return tuple(out)


def generic_argument(cx: Context, scope: Scope, kind: str, node: ast.expr) -> Any:
    """The argument for a generic parameter of `kind` TypeVar, ConstVar or FieldVar."""
    if kind == "TypeVar":
        return resolve(cx, scope, node)
    if kind == "FieldVar":
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Name) and isinstance(scope.env.get(node.id), str):
            return scope.env[node.id]
        if isinstance(node, ast.Name) and scope.env.get(node.id) is t.POISON:
            return None
        cx.error("K0306", scope, node, "this argument is a field's name: write it as a string",
                 help="for example `List[Thread, \"link\"]`")
        return None
    return const.size(cx, scope, node)


def _one(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr], ) -> t.Type:
    if len(args) != 1:
        text, parts = ast.unparse(node.value), ", ".join(map(ast.unparse, args))
        cx.error("K0306", scope, node, f"`{text}` takes one type in [ ]",
                 help="a Slice knows its length when it runs; storage is an "
                 f"`Array[{parts}]`" if text == "Slice" and isinstance(args[-1], ast.Constant)
                 else f"for example `{text}[u32]`")
        return t.POISON
    return resolve(cx, scope, args[0])


def _pointer(make: Any, code: str = "") -> Any:
    def build(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
        if code and not scope.module.unsafe and cx.first("unsafe", scope.module.name, "MPtr"):
            cx.error("K0801", scope, node, "`MPtr` is for unsafe modules",
                     "unchecked pointer",
                     help="use `Slice[T]` (checked), or say `UNSAFE: Final = True` at the top of "
                          "the module, with the reason")
        elem = _one(cx, scope, node, args)
        if isinstance(elem, t.PtrType) and elem is t.POISON:
            return t.POISON
        return elem if elem is t.POISON else make(elem)
    return build


def _mmio(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
    elem = _one(cx, scope, node, args)
    if isinstance(elem, t.RegsType):
        return t.mmio(elem)
    if elem is not t.POISON:
        cx.error("K0307", scope, node, f"`Mmio` takes a @regs class, not `{elem.name}`",
                 help="declare the registers in a class marked @regs, and name it")
    return t.POISON


def _array(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
    if len(args) != 2:
        cx.error("K0306", scope, node, "`Array` takes a type and a length",
                 help="for example `Array[u8, 16]`")
        return t.POISON
    if isinstance(args[0], ast.Constant) and isinstance(args[0].value, int):
        cx.error("K0306", scope, node, "`Array` takes the type first, then the length",
                 help=f"write `Array[{ast.unparse(args[1])}, {args[0].value}]`")
        return t.POISON
    elem = resolve(cx, scope, args[0])
    count = const.size(cx, scope, args[1])
    if elem is t.POISON or count is None:
        return t.POISON
    if isinstance(elem, t.VoidType):
        cx.error("K0301", scope, args[0], f"an array of `{elem.name}` holds nothing",
                 help="its elements need a type with values, such as `u32`")
        return t.POISON
    if isinstance(elem, t.NominalType) and not isinstance(elem, t.RegsType):
        classes.complete(cx, elem, scope, args[0])
    return t.array(elem, count)


def _atomic(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
    elem = _one(cx, scope, node, args)
    if elem is t.POISON:
        return elem
    fits = isinstance(elem, t.IntType | t.BoolType | t.PtrType | t.MPtrType | t.EnumType |
                      t.BitsType | t.NewtypeType | t.FnType | t.UserPtrType)
    if not fits:
        cx.error("K0307", scope, node, f"`Atomic[{elem.name}]`: not one machine word",
                 help="atomics are integers, bools, enums, bit structs and pointers")
        return t.POISON
    return t.atomic(elem)


def _fn(throws: bool) -> Any:
    def build(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
        if len(args) != 2 or not isinstance(args[0], ast.List):
            cx.error("K0306", scope, node, "a function type is `Fn[[parameters], result]`",
                     help="for example `Fn[[Ptr[Thread], u32], None]`")
            return t.POISON
        params = tuple(resolve(cx, scope, arg) for arg in args[0].elts)
        result = resolve(cx, scope, args[1])
        if t.POISON in params or result is t.POISON:
            return t.POISON
        return t.fn(params, result, throws)
    return build


def _no_block(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
    inner = _one(cx, scope, node, args)
    if isinstance(inner, t.FnType):
        return t.fn(inner.params, inner.result, inner.throws, True)
    if inner is not t.POISON:
        cx.error("K0307", scope, node, "`NoBlock` takes a function type: `NoBlock[Fn[...]]`",
                 help="for example `NoBlock[Fn[[u32], None]]`")
    return t.POISON


def _union_form(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
    return _union(cx, scope, node, args)


def _union(cx: Context, scope: Scope, node: ast.expr, args: list[ast.expr]) -> t.Type:
    variants: list[t.StructType] = []
    for arg in args:
        ty = resolve(cx, scope, arg)
        if isinstance(ty, t.StructType):
            classes.complete(cx, ty, scope, arg)
            variants.append(ty)
        elif ty is not t.POISON:
            cx.error("K0307", scope, arg, f"a Union is of structs; `{ty.name}` is none",
                     help="wrap it: a @struct with one field")
    if len(variants) != len(args):
        return t.POISON
    if len(set(variants)) != len(variants) or len(variants) < 2:
        cx.error("K0307", scope, node, "a Union names two or more different structs",
                 help="for example `Request = Union[Read, Write]`, of classes marked @struct")
        return t.POISON
    union = t.union_of(tuple(variants))
    if not union.complete:
        union.finish()
    return union


def _tuple(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
    if len(args) > t.TUPLE_LIMIT:
        cx.error("K0307", scope, node, f"a tuple has {t.TUPLE_LIMIT} types at most, not "
                 f"{len(args)}", help="its values travel in registers: use a @struct")
        return t.POISON
    items = tuple(resolve(cx, scope, arg) for arg in args)
    if t.POISON in items:
        return t.POISON
    for item, arg in zip(items, args, strict=True):
        if item.is_aggregate or isinstance(item, t.VoidType):
            cx.error("K0307", scope, arg, f"a tuple cannot hold `{item.name}`",
                     help="tuples are values of registers; use a @struct, or a Ptr to one")
            return t.POISON
    return t.tuple_of(items)


def _final(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
    _no_final(cx, scope, node)
    return _one(cx, scope, node, args)


def _no_final(cx: Context, scope: Scope, node: ast.expr) -> None:
    cx.error("K0307", scope, node, "`Final` belongs to module constants",
             help="locals need no Final")


def _only_module(cx: Context, scope: Scope, node: ast.Subscript, args: list[ast.expr]) -> t.Type:
    cx.error("K0307", scope, node, f"`{ast.unparse(node.value)}` cannot be used here",
             help=_form_help(ast.unparse(node.value)))
    return t.POISON


def _form_help(form: str) -> str:
    return {
        "Ptr": "for example `Ptr[Thread]`, or `Ptr[Thread] | None`",
        "Array": "for example `Array[u8, 16]`",
        "Slice": "for example `Slice[u8]`",
        "Atomic": "for example `Atomic[u32]`",
        "PerCpu": "`PerCpu[T]` is the type of a module variable",
        "Bit": "`Bit[3]` and `Bits[7, 4]` are fields of a @bits class",
        "Bits": "`Bit[3]` and `Bits[7, 4]` are fields of a @bits class",
        "Iterator": "`Iterator[T]` is the result of an @inline generator",
        **dict.fromkeys(("RO", "RW", "WO", "RW1C"), "registers are fields of a @regs class"),
    }.get(form, "see docs/kpy.md, section 1")


_FORMS: dict[str, Any] = {
    "Ptr": _pointer(t.ptr), "MPtr": _pointer(t.mptr, "K0801"), "UserPtr": _pointer(t.user_ptr),
    "Slice": _pointer(t.slice_of), "Mmio": _mmio, "Array": _array, "Atomic": _atomic,
    "Fn": _fn(False), "ThrowsFn": _fn(True), "NoBlock": _no_block, "Union": _union_form,
    "Final": _final, "PerCpu": _only_module, "Iterator": _only_module, "Bit": _only_module,
    "Bits": _only_module, "RO": _only_module, "RW": _only_module, "WO": _only_module,
    "RW1C": _only_module, "Type": _only_module,
}
_entry: list[t.StructType] = []


def table_entry() -> t.StructType:
    """kpy.TableEntry: one record of a link-time table, as entries("name") yields it."""
    if not _entry:
        made = t.StructType("TableEntry", "kpy", 0)
        made.finish([
            t.Field("key", t.U64, 0), t.Field("function", t.fn((), t.VOID), 0),
            t.Field("name", t.STR, 0), t.Field("data", t.array(t.U64, 4), 0)])
        _entry.append(made)
    return _entry[0]
