# SPDX-License-Identifier: BSD-3-Clause
"""Class statements to types: @struct, @bits, @enum, @flags and @regs.

A struct's type exists before its fields do, so that a struct may point to itself; its fields are
filled in when someone needs its layout (`complete`).

Tests     tests/toolchain/test_messages.py
"""
from __future__ import annotations

import ast
import re
from typing import Any

from toolchain.frontend import types as t
from toolchain.frontend.check import const, typeexpr, vocabulary
from toolchain.frontend.check.scope import Context, Scope, among, closest, is_poisoned
from toolchain.frontend.modules import (
    POISONED,
    Class,
    FunctionDecl,
    Import,
    Parameter,
    Vocabulary,
    lock_letter,
)

_KINDS = ("struct", "bits", "enum", "flags", "regs")


def declared(cx: Context, decl: Class) -> t.Type:
    """The type of a class that is not generic."""
    if decl.made is None:
        decl.made = _make(cx, decl, Scope(decl.module), ())
    return t.POISON if decl.made is POISONED else decl.made


def instance(cx: Context, decl: Class, args: tuple[Any, ...] | None, scope: Scope, node: ast.expr,
             ) -> t.Type:
    """The type of generic class `decl` with `args`."""
    if args is None:
        return t.POISON
    params = generic_parameters(cx, decl)
    key = (decl, args)
    if key not in cx.instances:
        env = {name: arg for (name, _), arg in zip(params, args, strict=True)}
        spelled = f"{decl.name}[{', '.join(_argument_name(a) for a in args)}]"
        if len(spelled) > 400:
            cx.error("K0319", scope, node, f"`{decl.name}` needs ever larger instances of itself",
                     notes=(("declared here", decl.loc),),
                     help="an instance must not need one of itself with a larger type: use a "
                     "`Ptr[...]` to it")
            return t.POISON
        inner = Scope(decl.module, env, ((spelled, scope.loc(node)), *scope.trail))
        cx.instances[key] = _make(cx, decl, inner, args, spelled)
    return cx.instances[key]


def complete(cx: Context, ty: t.Type, scope: Scope, node: ast.AST) -> bool:
    """Make sure the layout of `ty` is known; report a struct that contains itself."""
    if isinstance(ty, t.ArrayType):
        return complete(cx, ty.elem, scope, node)
    if not isinstance(ty, t.StructType) or ty.complete:
        return True
    decl, inner = cx.instances[ty]
    if decl.busy:
        cx.error("K0205", scope, node, f"`{ty.name}` contains itself, so it has no size",
                 help=f"hold a pointer: `Ptr[{ty.name}] | None`")
        return False
    decl.busy = True
    _fill(cx, decl, inner, ty)
    decl.busy = False
    return True


def method(cx: Context, ty: t.Type, name: str) -> FunctionDecl | None:
    """The declaration of method `name` of `ty` or its bases."""
    while isinstance(ty, t.NominalType):
        found = ty.methods.get(name)
        if found is not None:
            return found
        ty = ty.base if isinstance(ty, t.StructType) else None
    return None


def scope_of(cx: Context, ty: t.Type) -> Scope:
    """The scope the methods of `ty` are checked in."""
    return cx.instances[ty][1]


def generic_parameters(cx: Context, decl: Class) -> list[tuple[str, str]]:
    """(name, kind) of each parameter of `class C(Generic[T, N])`."""
    scope = Scope(decl.module)
    return [(p.id, kind or "TypeVar") for p in _parameters(cx, decl) if isinstance(p, ast.Name)
            and ((kind := parameter_kind(cx, scope, p.id)) or _is_unknown(cx, decl, p.id))]


def _is_unknown(cx: Context, decl: Class, name: str) -> bool:
    meaning = cx.lookup(decl.module, name)
    return meaning is None or is_poisoned(meaning)


def check_parameters(cx: Context, decl: Class) -> None:
    """Report what is no type variable in the brackets of Generic[...]."""
    scope = Scope(decl.module)
    for base in decl.node.bases:
        head = base.value if isinstance(base, ast.Subscript) else None
        if isinstance(head, ast.Name) and cx.lookup(decl.module, head.id) is None:
            cx.unknown(scope, head, head.id)
    for part in _parameters(cx, decl):
        if isinstance(part, ast.Name) and cx.lookup(decl.module, part.id) is None:
            cx.unknown(scope, part, part.id)
        elif isinstance(part, ast.Name) and is_poisoned(cx.lookup(decl.module, part.id)):
            continue
        elif not isinstance(part, ast.Name) or not parameter_kind(cx, scope, part.id):
            cx.error("K0306", scope, part, f"`{ast.unparse(part)}` is not a type variable",
                     help="`Generic[T]` says what the class leaves open: write "
                     "`T = TypeVar(\"T\")` in the module, and `T` for it in the class")


def _parameters(cx: Context, decl: Class) -> list[ast.expr]:
    """What stands in the brackets of Generic[...], or of what is to be it: `Generc[T]`."""
    for base in decl.node.bases:
        if isinstance(base, ast.Subscript) and isinstance(base.value, ast.Name):
            parts = list(base.slice.elts) if isinstance(base.slice, ast.Tuple) else [base.slice]
            if base.value.id == "Generic" or (
                    cx.lookup(decl.module, base.value.id) is None and all(
                        isinstance(p, ast.Name) and parameter_kind(cx, Scope(decl.module), p.id)
                        for p in parts)):
                return parts
    return []


def parameter_kind(cx: Context, scope: Scope, name: str) -> str:
    """"TypeVar", "ConstVar" or "FieldVar" if `name` is one; else ""."""
    meaning = cx.lookup(scope.module, name)
    return meaning.node.value.func.id if isinstance(meaning, Parameter) else ""


_PYTHONS = {
    "classmethod": "use @staticmethod: the class is known, write its name",
    "dataclass": "write `from kpy import struct` and @struct",
    "setter": "a property is read only; write a method `set_...`",
    "abstractmethod": "a table of Fn[...] fields takes the place of virtual methods",
    "lru_cache": "keep what is to be kept in a variable", "cache": "keep it in a variable",
    "contextmanager": "give a @struct the methods __enter__ and __exit__",
    "overload": "write two functions, or a generic one",
    "override": "remove it: nothing is overridden, calls are bound at compile time",
    "unique": "remove it: members of an @enum are unique", "final": "remove it",
}
_METHODS = frozenset({"__enter__", "__exit__", "__iter__", "__len__", "__contains__"})
_DUNDERS = {
    "__init__": "its name with fields, `P(x=1)`, makes one; for more write a function that returns "
                "one, or a method `init` that its owner calls",
    "__new__": "write a function that returns it", "__del__": "nothing is freed by itself",
    "__eq__": "write a method `equals(self, other)`",
    "__str__": "print its fields", "__repr__": "print its fields",
    "__getitem__": "write a method `get(self, index)`",
    "__next__": "write `__iter__` as an @inline generator: it yields each item",
    "__setitem__": "write a method `set(self, index, value)`",
    "__call__": "give the method a name", "__bool__": "give the question a name: `is_empty`",
}


def decorators(cx: Context, scope: Scope, node: ast.ClassDef | ast.FunctionDef,
               ) -> list[tuple[str, ast.Call | None, ast.expr]]:
    """(vocabulary name, the call if it has arguments, node) of each decorator.

    One that was reported has the name that was meant, or "".
    """
    out = []
    for expr in node.decorator_list:
        call = expr if isinstance(expr, ast.Call) else None
        head = call.func if call else expr
        meaning = cx.resolve(scope, head)
        name = meaning.made if isinstance(meaning, Vocabulary) else ""
        if name not in vocabulary.DECORATORS:
            name = head.id if isinstance(head, ast.Name) and head.id in (
                "staticmethod", "property") else _meant(cx, scope, expr, head, meaning)
        out.append((name, call, expr))
    return out


def _meant(cx: Context, scope: Scope, expr: ast.expr, head: ast.expr, meaning: Any) -> str:
    """Report what is no decorator; the name of the one that it is to be, or ""."""
    text = ast.unparse(head)
    if _fails_to_import(cx, scope, head) or is_poisoned(meaning):
        return ""                           # the import is reported
    if text in vocabulary.DECORATORS:
        if cx.first("unknown", scope.module.name, text, 0):
            cx.error("K0105", scope, expr, f"`@{text}` is not a decorator of kpy",
                     help=f"write `from kpy import {text}`")
        return text
    instead = _PYTHONS.get(text.rpartition(".")[2], "")
    close = closest(text, sorted(vocabulary.DECORATORS)) if not instead else ""
    cx.error("K0105", scope, expr, f"`@{text}` is not a decorator of kpy",
             help=instead or (f"did you mean `{close}`?" if close else
                              "decorators are the vocabulary's own; docs/kpy.md lists them"))
    return "staticmethod" if text == "classmethod" else close


def _argument_name(arg: Any) -> str:
    """As people read it."""
    return arg.name if isinstance(arg, t.Type) else str(arg)


def _argument_identity(arg: Any) -> str:
    """As symbols have it: two types of one name, of two modules, are two."""
    return arg.identity if isinstance(arg, t.Type) else str(arg)


def _make(cx: Context, decl: Class, scope: Scope, args: tuple[Any, ...], spelled: str = "",
          ) -> t.Type:
    node: ast.ClassDef = decl.node
    marks = [(n, call, e) for n, call, e in decorators(cx, scope, node)]
    kinds = [(n, call) for n, call, _ in marks if n in _KINDS]
    if len(kinds) != 1:
        reported = any(not n for n, _, _ in marks) or any(       # a decorator, an import
            _fails_to_import(cx, scope, e) for e in node.bases)
        bases = [ast.unparse(b) for b in node.bases]
        hint = ("enums are `@enum(u32)` classes" if any("Enum" in b or "Flag" in b for b in bases)
                else "mark it @struct, @enum(u8), @flags(u32), @bits(u32) or @regs")
        if not reported:
            cx.error("K0206", scope, node, f"class `{decl.name}` does not say what it is",
                     help=hint)
        if len(kinds) > 1 or not _is_like_struct(cx, scope, node):
            return t.POISON
        kinds = [("struct", None)]          # as it looks
    kind, call = kinds[0]
    _check_keywords(cx, scope, kind, call)
    name = spelled or decl.name
    ty = _BUILD[kind](cx, decl, scope, name, call, args)
    if isinstance(ty, t.NominalType):
        if spelled:
            identities = ", ".join(_argument_identity(arg) for arg in args)
            ty.symbol = f"{decl.module.name}.{decl.name}[{identities}]"
        _collect_methods(cx, decl, scope, ty)
        cx.instances[ty] = (decl, scope)
    return ty


def _is_like_struct(cx: Context, scope: Scope, node: ast.ClassDef) -> bool:
    """Whether a class that does not say what it is has the fields of a struct."""
    for item in node.body:
        note = item.annotation if isinstance(item, ast.AnnAssign) else None
        meaning = cx.resolve(scope, note.value if isinstance(note, ast.Subscript) else note) \
            if note is not None else None
        name = meaning.made if isinstance(meaning, Vocabulary) else ""
        if isinstance(item, ast.Assign) or name in ("Bit", "Bits", "RO", "RW", "WO", "RW1C") or (
                re.fullmatch(r"u\d+", name) and name not in ("u8", "u16", "u32", "u64")):
            return False
    return True


_KEYWORDS = {"struct": ("packed", "size", "align"), "regs": ("spec",)}


def _check_keywords(cx: Context, scope: Scope, kind: str, call: ast.Call | None) -> None:
    """Report an argument that the decorator of a class does not have."""
    known = _KEYWORDS.get(kind, ())
    for keyword in call.keywords if call else ():
        if keyword.arg not in known:
            cx.error("K0219", scope, keyword, f"`@{kind}` has no argument `{keyword.arg}`",
                     help=among(keyword.arg or "", known))


def _fails_to_import(cx: Context, scope: Scope, node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and isinstance(
        scope.module.names.get(node.id), Import) and cx.lookup(scope.module, node.id) is None


def _collect_methods(cx: Context, decl: Class, scope: Scope, ty: t.NominalType) -> None:
    fields = {item.target.id: scope.loc(item.target) for item in decl.node.body
              if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)}
    for item in decl.node.body:
        if isinstance(item, ast.FunctionDef):
            if item.name.startswith("__") and item.name not in _METHODS:
                ty.wrong.add(item.name)
                if item.name == "__init__":             # the fields it would make
                    ty.wrong |= _stored_to_self(item) - fields.keys()
                cx.error("K0210", scope, item, f"`{item.name}` has no meaning in kpy",
                         help=_DUNDERS.get(item.name, "the methods with a meaning are "
                                           + " ".join(sorted(_METHODS))))
                continue
            if item.name in ty.methods and any(
                    isinstance(d, ast.Attribute) for d in item.decorator_list):
                decorators(cx, scope, item)             # @x.setter: says so
                ty.wrong.add(item.name)
                continue
            first = ty.methods[item.name].loc if item.name in ty.methods else fields.get(item.name)
            if first is not None:
                cx.error("K0201", scope, item, f"`{decl.name}.{item.name}` is declared twice",
                         notes=(("the first is", first),), help="rename one of them")
                ty.wrong.add(item.name)
                continue
            if item.name in ("__enter__", "__exit__") and len(item.args.args) > 1:
                cx.error("K0344", scope, item.args.args[1], f"`{item.name}` takes its `self` alone",
                         help=f"write `def {item.name}(self) -> None`: an error passes through "
                         "`with` and nobody looks at it there")
                item.args.args[1:] = []
            made = FunctionDecl(item.name, decl.module, item)
            made.owner = decl
            ty.methods[item.name] = made


def _stored_to_self(node: ast.FunctionDef) -> set[str]:
    return {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute) and isinstance(
        part.ctx, ast.Store) and isinstance(part.value, ast.Name) and part.value.id == "self"}


def _names_in(item: ast.stmt) -> set[str]:
    """What a statement that cannot stand in a class was to declare."""
    return {part.id for part in ast.walk(item) if isinstance(part, ast.Name)
            and isinstance(part.ctx, ast.Store)}


def begins_as_null(ty: t.StructType, names: list[str]) -> tuple[str, str]:
    """What is wrong with a value of `ty` that leaves out fields which have no zero; what to do."""
    wrong = t.without_zero(ty.fields[names[0]].ty)
    shown = ", ".join(f"`{name}`" for name in names[:6]) + ", ..." * (len(names) > 6)
    given = ", ".join(f"{name}=..." for name in names[:6])
    return (f"{shown} would begin as null: `{wrong.name if wrong else ''}` has no zero",
            f"give {'it' if len(names) == 1 else 'them'}: `{ty.name}(..., {given})`")


def _base_int(cx: Context, scope: Scope, node: ast.ClassDef, call: ast.Call | None,
              ) -> t.IntType | None:
    if call is not None and len(call.args) == 1:
        ty = typeexpr.resolve(cx, scope, call.args[0])
        if isinstance(ty, t.IntType):
            return ty
        if ty is t.POISON:
            return None
    cx.error("K0207", scope, node, f"class `{node.name}` needs the integer it is kept in",
             help="for example `@enum(u8)` or `@bits(u32)`")
    return None


def _struct(cx: Context, decl: Class, scope: Scope, name: str, call: ast.Call | None,
            args: tuple[Any, ...]) -> t.Type:
    if decl.extending:
        cx.error("K0205", scope, decl.node, f"`{name}` is one of its own bases",
                 help="a struct extends one that is complete without it; to lead to another of its "
                 f"kind it holds a `Ptr[{name}] | None`")
        return t.POISON
    decl.extending = True
    base = _base(cx, decl, scope)
    decl.extending = False
    packed = _flag(call, "packed")
    made = t.StructType(name, decl.module.name, decl.node.lineno, packed=packed,
                        base=None if base is t.POISON else base, args=args)
    if base is t.POISON:
        made.wrong.add("*")             # what it has from there is not known
    return made


def _base(cx: Context, decl: Class, scope: Scope) -> Any:
    """The struct that this one extends, None, or POISON after a report."""
    base: t.StructType | None = None
    for expr in decl.node.bases:
        if isinstance(expr, ast.Subscript) and isinstance(expr.value, ast.Name) and (
                expr.value.id == "Generic"):
            continue
        found = typeexpr.resolve(cx, scope, expr)
        if found is t.POISON:
            return t.POISON
        if base is not None or not isinstance(found, t.StructType):
            cx.error("K0208", scope, expr, "a struct extends at most one struct",
                     help="hold the other as a field")
            return t.POISON
        base = found
    return base


def _flag(call: ast.Call | None, name: str) -> bool:
    return any(k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is True
               for k in (call.keywords if call else ()))


def _number(cx: Context, scope: Scope, call: ast.Call | None, name: str) -> int | None:
    for keyword in call.keywords if call else ():
        if keyword.arg == name:
            return const.size(cx, scope, keyword.value)
    return None


def _fill(cx: Context, decl: Class, scope: Scope, ty: t.StructType) -> None:
    """Give struct `ty` its fields."""
    node: ast.ClassDef = decl.node
    if ty.base is not None:
        complete(cx, ty.base, scope, node)
        ty.wrong |= ty.base.wrong
    fields: list[t.Field] = []
    seen = {name: f.line for name, f in ty.base.fields.items()} if ty.base else {}
    home = cx.instances[ty.base][0].module.source if ty.base else decl.module.source
    for item in node.body:
        match item:
            case ast.AnnAssign(target=ast.Name(id=name)):
                if _is_final(item.annotation):
                    cx.error("K0209", scope, item, "a class has no constants",
                             help=f"declare it in the module: `{name}: Final = ...`")
                    ty.wrong.add(name)
                    continue
                if item.value is not None:
                    cx.error("K0209", scope, item.value, f"field `{name}` cannot have a default",
                             help="storage begins as zero; give it in the constructor")
                if name in seen:
                    source = home if ty.base and name in ty.base.fields else decl.module.source
                    cx.error("K0201", scope, item.target, f"field `{name}` is declared twice",
                             notes=(("the first is", source.line_loc(seen[name])),),
                             help="rename one of them")
                    ty.wrong.add(name)
                    continue
                seen[name] = item.lineno
                field_ty = typeexpr.resolve(cx, scope, item.annotation)
                if isinstance(field_ty, t.VoidType) and field_ty is not t.POISON:
                    cx.error("K0301", scope, item.annotation,
                             f"a field cannot be `{field_ty.name}`",
                             help="a field needs a type with values; what may be absent is "
                             "`Ptr[T] | None`")
                    field_ty = t.POISON
                if not complete(cx, field_ty, scope, item.annotation):
                    field_ty = t.POISON             # it contains itself: no pass may follow it
                letter = lock_letter(decl.module.source, item.lineno)
                fields.append(t.Field(name, field_ty, item.lineno, lock=letter))
            case ast.FunctionDef() | ast.Pass() | ast.Expr(value=ast.Constant(value=str())):
                pass
            case _:
                cx.error("K0210", scope, item, "a struct's body has fields and methods only",
                         help="a field is `name: type`")
                ty.wrong |= _names_in(item)
    calls = [c for n, c, _ in decorators(cx, scope, node) if n == "struct"]
    call = calls[0] if calls else None
    align = _number(cx, scope, call, "align")
    if align is not None and (align & (align - 1) or not 0 < align <= 1 << 21):
        cx.error("K0211", scope, node, f"align={align} is not a power of two up to 2 MiB",
                 help="for example align=64")
        align = None
    ty.finish(fields, align=align)
    size = _number(cx, scope, call, "size")
    if size is not None and size != ty.size and not t.is_broken(ty):
        layout = ", ".join(f"{f.name} at {f.offset}" for f in list(ty.fields.values())[:12])
        cx.error("K0212", scope, node, f"`{ty.name}` is {ty.size} bytes, not {size}",
                 notes=((f"laid out as {layout}", None),),
                 help="C's padding applies unless @struct(packed=True)")


def _is_final(note: ast.expr) -> bool:
    head = note.value if isinstance(note, ast.Subscript) else note
    return isinstance(head, ast.Name) and head.id in ("Final", "ClassVar")


def _enum(is_flags: bool) -> Any:
    def build(cx: Context, decl: Class, scope: Scope, name: str, call: ast.Call | None,
              args: tuple[Any, ...]) -> t.Type:
        base = _base_int(cx, scope, decl.node, call)
        if base is None:
            return t.POISON
        ty = t.EnumType(name, decl.module.name, decl.node.lineno, base, is_flags)
        decl.made = ty
        for item in decl.node.body:
            _member(cx, scope, ty, item)
        ty.complete = True
        return ty
    return build


def _member(cx: Context, scope: Scope, ty: t.EnumType, item: ast.stmt) -> None:
    match item:
        case ast.Assign(targets=[ast.Name(id=name)]):
            value = const.integer(cx, scope, item.value, ty.members, ty.wrong)
            if value is None:
                ty.wrong.add(name)
                return
            if not ty.base.holds(value):
                cx.error("K0311", scope, item.value, f"{value} does not fit `{ty.base.name}`",
                         help="use a smaller value or a wider type, for example `@enum(u16)`")
                ty.wrong.add(name)
                return
            twin = next((n for n, v in ty.members.items() if v == value), None)
            if name in ty.members:
                cx.error("K0201", scope, item.targets[0], f"`{ty.name}.{name}` is declared twice",
                         help="rename one of them")
                ty.wrong.add(name)
            elif twin is not None and not ty.is_flags:
                ty.wrong.add(name)
                cx.error("K0213", scope, item, f"`{name}` and `{twin}` are both {value}",
                         help="an enum's members differ; another name for one is a module constant")
            else:
                ty.members[name] = value
        case ast.FunctionDef() | ast.Pass() | ast.Expr(value=ast.Constant(value=str())):
            pass
        case _:
            cx.error("K0210", scope, item, "an enum's body has `NAME = number` and methods only",
                     help="a member is written `NAME = 1`, without a type")
            ty.wrong |= _names_in(item)


def _bits(cx: Context, decl: Class, scope: Scope, name: str, call: ast.Call | None,
          args: tuple[Any, ...]) -> t.Type:
    base = _base_int(cx, scope, decl.node, call)
    if base is None:
        return t.POISON
    if base.signed:
        cx.error("K0207", scope, decl.node, "a @bits class is kept in an unsigned integer",
                 help="for example `@bits(u32)`")
        return t.POISON
    ty = t.BitsType(name, decl.module.name, decl.node.lineno, base)
    used, following = 0, 0
    for item in decl.node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            field = _bit_field(cx, scope, item, following)
            if field is None:
                ty.wrong.add(item.target.id)
                continue
            mask = ((1 << field.width) - 1) << field.bit
            ty.wrong.add(field.name)                    # until it is in order
            if field.bit + field.width > base.bits:
                cx.error("K0214", scope, item, f"`{field.name}` needs bit "
                         f"{field.bit + field.width - 1}; `{base.name}` ends at {base.bits - 1}",
                         help="move the field down, or widen the class, for example `@bits(u64)`")
            elif used & mask:
                cx.error("K0214", scope, item, f"`{field.name}` overlaps an earlier field",
                         help="each bit has one name: check high and low in `Bits[high, low]`")
            elif field.name in ty.fields:
                cx.error("K0201", scope, item.target, f"field `{field.name}` is declared twice",
                             help="rename one of them")
            else:
                ty.wrong.discard(field.name)
                ty.fields[field.name] = field
                used |= mask
                following = field.bit + field.width
        elif not isinstance(item, ast.FunctionDef | ast.Pass) and not (
                isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)):
            cx.error("K0210", scope, item, "a @bits body has fields and methods only",
                     help="a field is `NAME: Bit[0]`, `NAME: Bits[7, 4]` or `name: u3`")
            ty.wrong |= _names_in(item)
    ty.complete = True
    return ty


def _bit_field(cx: Context, scope: Scope, item: ast.AnnAssign, following: int) -> t.Field | None:
    note = item.annotation
    name = item.target.id                                            # type: ignore[union-attr]
    if isinstance(note, ast.Subscript):
        form = cx.resolve(scope, note.value)
        form = form.made if isinstance(form, Vocabulary) else ""
        args = list(note.slice.elts) if isinstance(note.slice, ast.Tuple) else [note.slice]
        if form == "Bit" and len(args) in (1, 2):
            high = low = const.size(cx, scope, args[0])
            rest = args[1:]
        elif form == "Bits" and len(args) in (2, 3):
            high, low = (const.size(cx, scope, a) for a in args[:2])
            rest = args[2:]
        else:
            cx.error("K0215", scope, note, "a bit field is `Bit[n]` or `Bits[high, low]`",
                     help="a third argument is its type: `Bits[7, 4, State]`")
            return None
        if high is None or low is None:
            return None
        if high < low:
            cx.error("K0215", scope, note, f"Bits[{high}, {low}]: the high bit comes first",
                     help=f"write `Bits[{low}, {high}]`")
            return None
        width = high - low + 1
        ty = typeexpr.resolve(cx, scope, rest[0]) if rest else _holder(width)
        if not (ty in (t.POISON, t.BOOL) or isinstance(ty, t.EnumType) or (
                isinstance(ty, t.IntType) and not ty.signed)):
            cx.error("K0215", scope, rest[0], "a bit field is unsigned, bool or an enum",
                     help="keep it unsigned, and convert what is read")
            return None
    else:
        meaning = cx.resolve(scope, note)
        plain = (vocabulary.PLAIN_TYPES.get(meaning.made) if isinstance(meaning, Vocabulary)
                 else t.BOOL if isinstance(note, ast.Name) and note.id == "bool" else None)
        if isinstance(plain, t.IntType) and not plain.signed:
            width, ty = plain.bits, _holder(plain.bits)
        elif plain is t.BOOL:
            width, ty = 1, t.BOOL
        else:
            found = typeexpr.resolve(cx, scope, note)
            if found is t.POISON:
                return None
            if not isinstance(found, t.EnumType):
                cx.error("K0215", scope, note, "a bit field is unsigned, bool or an enum",
                         help="for example `Bit[0]`, `Bits[7, 4]` or `name: u3`")
                return None
            width, ty = max(v.bit_length() for v in found.members.values()), found
        low = following
    if ty is t.POISON:
        return None
    if isinstance(ty, t.EnumType) and any(v >> width or v < 0 for v in ty.members.values()):
        cx.error("K0214", scope, item, f"not every member of `{ty.name}` fits {width} bits",
                 help="widen the field, or take members out of the enum")
        return None
    return t.Field(name, ty, item.lineno, 0, low, width, lock_letter(scope.module.source,
                                                                    item.lineno))


def _holder(width: int) -> t.IntType:
    """The smallest whole unsigned type of at least `width` bits."""
    return next(ty for ty in (t.U8, t.U16, t.U32, t.U64) if ty.bits >= width)


def _regs(cx: Context, decl: Class, scope: Scope, name: str, call: ast.Call | None,
          args: tuple[Any, ...]) -> t.Type:
    ty = t.RegsType(name, decl.module.name, decl.node.lineno)
    for item in decl.node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            register = _register(cx, scope, item)
            if register is None:
                ty.wrong.add(item.target.id)
                continue
            if register.name in ty.registers:
                ty.wrong.add(register.name)
                cx.error("K0201", scope, item.target,
                         f"register `{register.name}` is declared twice",
                             help="rename one of them")
                continue
            ty.registers[register.name] = register
            end = register.offset + (register.count - 1) * register.stride + register.ty.size
            ty.size = max(ty.size, end)
        elif not isinstance(item, ast.FunctionDef | ast.Pass) and not (
                isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)):
            cx.error("K0210", scope, item, "a @regs body has registers only",
                     help="a register is `NAME: RW[type, offset]`")
            ty.wrong |= _names_in(item)
    ty.align = 8
    ty.complete = True
    return ty


def _register(cx: Context, scope: Scope, item: ast.AnnAssign) -> t.Register | None:
    note = item.annotation
    form = cx.resolve(scope, note.value) if isinstance(note, ast.Subscript) else None
    access = form.made if isinstance(form, Vocabulary) else ""
    if isinstance(note, ast.Subscript) and isinstance(note.value, ast.Name) and form is None:
        cx.unknown(scope, note.value, note.value.id)
        return None
    if access not in ("RO", "RW", "WO", "RW1C") or not isinstance(note.slice, ast.Tuple) or (
            not 2 <= len(note.slice.elts) <= 4):
        cx.error("K0216", scope, note, "a register is `RO`, `RW`, `WO` or `RW1C` of a type and an "
                 "offset", help="for example `CC: RW[Cc, 0x14]`; an array of them adds count and "
                 "stride: `IS: RW[u32, 0x110, 32, 0x80]`")
        return None
    ty = typeexpr.resolve(cx, scope, note.slice.elts[0])
    numbers = [const.size(cx, scope, e) for e in note.slice.elts[1:]]
    if ty is t.POISON or None in numbers:
        return None
    if not isinstance(ty, t.IntType | t.BitsType | t.EnumType | t.EndianType | t.NewtypeType):
        cx.error("K0216", scope, note.slice.elts[0], f"a register cannot hold `{ty.name}`",
                 help="registers are integers, @bits or @enum")
        return None
    return t.Register(item.target.id, ty, numbers[0], access, item.lineno,  # type: ignore[union-attr]
                      *numbers[1:])


_BUILD: dict[str, Any] = {"struct": _struct, "enum": _enum(False), "flags": _enum(True),
                          "bits": _bits, "regs": _regs}
