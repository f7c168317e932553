# SPDX-License-Identifier: BSD-3-Clause
"""Debug metadata: lines, functions, variables and types, such that gdb 13 shows kpy as written.

    @struct                               !7 = distinct !DICompositeType(tag: DW_TAG_structure_type,
    class Node:                               name: "Node", ..., elements: !8)
        next: Ptr[Node] | None            !9 = !DIDerivedType(tag: DW_TAG_member, name: "next", ...)

What holds of it
  D1  DWARF 4, language C11, no linkage names: what gdb 13 reads without loss.
  D2  Every function has a subprogram, named as in its module (`Thread.wake`, `push[u32]`); every
      instruction a line of it, a lexical block of it, or a block file (inlined generators).
  D3  A composite type's node is numbered before its members, so types may refer to themselves.
Tests     tests/toolchain/test_dwarf.py
"""
from __future__ import annotations

from toolchain.backend.abi import escape
from toolchain.frontend import tree, types
from toolchain.frontend.types import Type
from toolchain.lower import cfg
from toolchain.options import Options


class DebugInfo:
    """The metadata of one module.  `node` adds one and gives its `!n`."""

    def __init__(self, module: tree.Module, options: Options) -> None:
        self.enabled = options.debug_info
        self.options = options
        self.module = module
        self.nodes: list[str] = []
        self.shared: dict[str, str] = {}
        self.files: dict[int, str] = {}
        self.type_nodes: dict[Type, str] = {}
        self.keep: list[object] = []
        self.globals: list[str] = []
        self.file_node = self.unit = self.expression = ""
        if self.enabled:
            self.file_node = self.file(module.source)
            self.unit = self.reserve()
            self.expression = self.node("!DIExpression()")

    def reserve(self) -> str:
        self.nodes.append("")
        return f"!{len(self.nodes) - 1}"

    def node(self, text: str) -> str:
        """The node with this text, shared."""
        name = self.shared.get(text)
        if name is None:
            self.nodes.append(text)
            name = self.shared[text] = f"!{len(self.nodes) - 1}"
        return name

    def distinct(self, text: str) -> str:
        self.nodes.append(f"distinct {text}")
        return f"!{len(self.nodes) - 1}"

    def file(self, source: object) -> str:
        name = self.files.get(id(source))
        if name is None:
            self.keep.append(source)
            name = self.node(f"!DIFile(filename: {_q(source.path)}, "
                             f"directory: {_q(self.options.directory)})")
            self.files[id(source)] = name
        return name

    def finish(self) -> list[str]:
        """The unit, the flags and every node, as lines."""
        lines: list[str] = []
        if self.enabled:
            kept = [self.type(ty) for ty in self.module.types]
            retained = self.node("!{" + ", ".join(kept) + "}") if kept else "null"
            found = self.node("!{" + ", ".join(self.globals) + "}") if self.globals else "null"
            self.nodes[int(self.unit[1:])] = (
                f"distinct !DICompileUnit(language: DW_LANG_C11, file: {self.file_node}, "
                f'producer: "kpyc", isOptimized: false, runtimeVersion: 0, '
                f"emissionKind: FullDebug, retainedTypes: {retained}, globals: {found})")
            version = self.node('!{i32 7, !"Dwarf Version", i32 4}')
            info = self.node('!{i32 2, !"Debug Info Version", i32 3}')
            lines = [f"!llvm.dbg.cu = !{{{self.unit}}}",
                     f"!llvm.module.flags = !{{{version}, {info}}}"]
        return lines + [f"!{n} = {text}" for n, text in enumerate(self.nodes)]

    # ---- globals and functions

    def global_variable(self, g: tree.Global) -> str:
        """`, !dbg !n` for a global defined here."""
        if not self.enabled or g.name.startswith("."):
            return ""
        variable = self.distinct(
            f"!DIGlobalVariable(name: {_q(g.name)}, scope: {self.unit}, "
            f"file: {self.file(g.loc.source)}, line: {g.loc.line}, type: {self.type(g.ty)}, "
            "isLocal: false, isDefinition: true)")
        name = self.node(f"!DIGlobalVariableExpression(var: {variable}, "
                         f"expr: {self.expression})")
        self.globals.append(name)
        return f", !dbg {name}"

    def function(self, function: cfg.Function) -> FunctionDebug:
        return FunctionDebug(self, function)

    def signature(self, params: tuple[Type, ...], result: Type, throws: bool) -> str:
        """A subroutine type.  A throwing function gives {value, code}, eight bytes each."""
        first = self._throwing(result) if throws else self.type(result)
        parts = ", ".join([first, *(self.type(ty) for ty in params)])
        return self.node(f"!DISubroutineType(types: {self.node('!{' + parts + '}')})")

    def _throwing(self, result: Type) -> str:
        if isinstance(result, types.VoidType) or result.is_aggregate:
            return self.type(types.I32)
        end = types.round_up(result.size, 8)
        return self._struct(f"throws {result.name}", end + 8, None, 0, [
            ("value", result, 0, 0, 0), ("code", types.I32, end, 0, 0)])

    # ---- types

    def type(self, ty: Type) -> str:
        """The node of a type; `null` for no value."""
        name = self.type_nodes.get(ty)
        if name is None:
            if isinstance(ty, types.VoidType):
                name = "null"
            elif isinstance(ty, types.NominalType):
                name = self._nominal(ty)
            elif isinstance(ty, types.PtrType | types.MPtrType):
                name = self.reserve()
                self.type_nodes[ty] = name
                self.nodes[int(name[1:])] = self._pointer(self.type(ty.elem))
            else:
                name = self._simple(ty)
            self.type_nodes[ty] = name
        return name

    @staticmethod
    def _pointer(to: str) -> str:
        return f"!DIDerivedType(tag: DW_TAG_pointer_type, baseType: {to}, size: 64)"

    def _typedef(self, name: str, to: str) -> str:
        return self.node(f"!DIDerivedType(tag: DW_TAG_typedef, name: {_q(name)}, "
                         f"baseType: {to})")

    def _simple(self, ty: Type) -> str:
        if isinstance(ty, types.IntType | types.BoolType):
            encoding = "boolean" if ty is types.BOOL else "signed" if ty.signed else "unsigned"
            return self.node(f"!DIBasicType(name: {_q(ty.name)}, size: {ty.size * 8}, "
                             f"encoding: DW_ATE_{encoding})")
        if isinstance(ty, types.EndianType):
            flag = ", flags: DIFlagBigEndian" if ty.big else ""
            return self.node(f"!DIBasicType(name: {_q(ty.name)}, size: {ty.size * 8}, "
                             f"encoding: DW_ATE_unsigned{flag})")
        if isinstance(ty, types.NewtypeType):
            return self._typedef(ty.name, self.type(ty.base))
        if isinstance(ty, types.AtomicType):
            inner = self.node("!DIDerivedType(tag: DW_TAG_volatile_type, "
                              f"baseType: {self.type(ty.elem)})")
            return self._typedef(ty.name, inner)
        if isinstance(ty, types.UserPtrType):
            return self._typedef(ty.name, self.node(self._pointer(self.type(ty.elem))))
        if isinstance(ty, types.MmioType):
            inner = self.node("!DIDerivedType(tag: DW_TAG_volatile_type, "
                              f"baseType: {self.type(ty.regs)})")
            return self._typedef(ty.name, self.node(self._pointer(inner)))
        if isinstance(ty, types.FnType):
            target = self.signature(ty.params, ty.result, ty.throws)
            return self._typedef(ty.name, self.node(self._pointer(target)))
        if isinstance(ty, types.ArrayType):
            count = self.node(f"!DISubrange(count: {ty.count})")
            return self.node(f"!DICompositeType(tag: DW_TAG_array_type, "
                             f"baseType: {self.type(ty.elem)}, size: {ty.size * 8}, "
                             f"elements: {self.node('!{' + count + '}')})")
        if isinstance(ty, types.SliceType):
            return self._struct(ty.name, 16, None, 0, [
                ("ptr", types.mptr(ty.elem), 0, 0, 0), ("len", types.U64, 8, 0, 0)])
        if isinstance(ty, types.TupleType):
            return self._struct(ty.name, ty.size, None, 0, [
                (f"item{i}", item, ty.offsets[i], 0, 0) for i, item in enumerate(ty.items)])
        return self.node(self._pointer("null"))

    def _nominal(self, ty: types.NominalType) -> str:
        name = self.reserve()
        self.type_nodes[ty] = name
        file, line = self.file_node, ty.line
        if isinstance(ty, types.EnumType):
            members = "!{" + ", ".join(
                self.node(f"!DIEnumerator(name: {_q(member)}, value: {value}"
                          + ("" if ty.base.signed else ", isUnsigned: true") + ")")
                for member, value in ty.members.items()) + "}"
            text = (f"!DICompositeType(tag: DW_TAG_enumeration_type, name: {_q(ty.name)}, "
                    f"file: {file}, line: {line}, baseType: {self.type(ty.base)}, "
                    f"size: {ty.size * 8}, elements: {self.node(members)})")
            self.nodes[int(name[1:])] = text
            return name
        fields: list[tuple[str, Type, int, int, int]] = []
        if isinstance(ty, types.RegsType):
            size = 0
            for register in ty.registers.values():
                shape = register.ty
                if register.count > 1 and register.stride == shape.size:
                    shape = types.array(shape, register.count)
                fields.append((register.name, shape, register.offset, 0, 0))
                size = max(size, register.offset + shape.size)
            return self._struct(ty.name, size, ty, line, fields, name)
        if isinstance(ty, types.UnionType):
            payload = self._struct("", ty.size - ty.payload_offset, None, 0, [
                (variant.name, variant, 0, 0, 0) for variant in ty.variants],
                tag="union")
            tag = self.node("!DICompositeType(tag: DW_TAG_enumeration_type, "
                            f"baseType: {self.type(types.U32)}, size: 32, elements: "
                            + self.node("!{" + ", ".join(
                                self.node(f"!DIEnumerator(name: {_q(v.name)}, value: {i}, "
                                          "isUnsigned: true)")
                                for i, v in enumerate(ty.variants)) + "}") + ")")
            members = [self._member(name, "tag", tag, 4, 0),
                       self._member(name, "as", payload, ty.size - ty.payload_offset,
                                    ty.payload_offset)]
            self.nodes[int(name[1:])] = self._composite(ty.name, ty.size, members, line)
            return name
        for field in ty.fields.values():
            fields.append((field.name, field.ty, field.offset, field.bit, field.width))
        return self._struct(ty.name, ty.size, ty, line, fields, name)

    def _struct(self, label: str, size: int, owner: Type | None, line: int,
                fields: list[tuple[str, Type, int, int, int]], name: str = "",
                tag: str = "structure") -> str:
        """A composite of (name, type, byte offset, bit, width) members."""
        name = name or self.reserve()
        bit_struct = isinstance(owner, types.BitsType)
        members = []
        for field, ty, offset, bit, width in fields:
            if bit_struct:
                members.append(self.node(
                    f"!DIDerivedType(tag: DW_TAG_member, name: {_q(field)}, scope: {name}, "
                    f"file: {self.file_node}, baseType: {self._bit_base(owner, ty)}, "
                    f"size: {width}, offset: {bit}, flags: DIFlagBitField, extraData: i64 0)"))
            else:
                members.append(self._member(name, field, self.type(ty), ty.size, offset))
        self.nodes[int(name[1:])] = self._composite(label, size, members, line, tag)
        return name

    def _bit_base(self, owner: types.BitsType, ty: Type) -> str:
        """The type of a bit field: an integer of the whole's size, so that C's rules hold."""
        return self.type(ty if isinstance(ty, types.EnumType | types.BoolType) else owner.base)

    def _member(self, scope: str, name: str, ty: str, size: int, offset: int) -> str:
        return self.node(f"!DIDerivedType(tag: DW_TAG_member, name: {_q(name)}, scope: {scope}, "
                         f"file: {self.file_node}, baseType: {ty}, size: {size * 8}, "
                         f"offset: {offset * 8})")

    def _composite(self, label: str, size: int, members: list[str], line: int,
                   tag: str = "structure") -> str:
        elements = self.node("!{" + ", ".join(members) + "}")
        named = f"name: {_q(label)}, " if label else ""
        return (f"distinct !DICompositeType(tag: DW_TAG_{tag}_type, {named}"
                f"file: {self.file_node}, line: {line}, size: {size * 8}, elements: {elements})")


class FunctionDebug:
    """The subprogram of one function and the scopes in it."""

    def __init__(self, info: DebugInfo, function: cfg.Function) -> None:
        self.info = info
        self.locations: dict[int, str] = {}
        self.scopes: dict[int, str] = {}
        self.attachment = ""
        source = function.source
        self.source = source.loc.source
        if not info.enabled:
            return
        signature = info.signature(tuple(p.ty for p in source.params), source.result,
                                   source.throws)
        file = info.file(source.loc.source)
        name = source.symbol.removeprefix(source.module + ".")
        flags = ", flags: DIFlagNoReturn" if source.attrs.noreturn else ""
        self.node = info.distinct(
            f"!DISubprogram(name: {_q(name)}, scope: {file}, file: {file}, "
            f"line: {source.loc.line}, type: {signature}, scopeLine: {source.loc.line}{flags}, "
            f"spFlags: DISPFlagDefinition, unit: {info.unit})")
        self.attachment = f"!dbg {self.node}"
        self.scopes[id(function.scope)] = self.node

    def _scope(self, scope: cfg.Scope) -> str:
        """The node of a lexical block that has variables."""
        scope = scope.effective()
        name = self.scopes.get(id(scope))
        if name is None:
            parent = self._scope(scope.parent)
            name = self.info.distinct(
                f"!DILexicalBlock(scope: {parent}, file: {self.info.file(self.source)}, "
                f"line: {scope.loc.line}, column: {scope.loc.col + 1})")
            self.scopes[id(scope)] = name
        return name

    def _location(self, at: cfg.At) -> str:
        name = self.locations.get(id(at))
        if name is None:
            scope = self._scope(at.scope)
            if at.loc.source is not self.source:       # an inlined generator of another file
                scope = self.info.node(
                    f"!DILexicalBlockFile(scope: {scope}, "
                    f"file: {self.info.file(at.loc.source)}, discriminator: 0)")
            name = self.info.node(f"!DILocation(line: {at.loc.line}, column: {at.loc.col + 1}, "
                                  f"scope: {scope})")
            self.locations[id(at)] = name
        return name

    def at(self, at: cfg.At) -> str:
        """`, !dbg !n` for an instruction."""
        return f", !dbg {self._location(at)}" if self.info.enabled else ""

    def variable(self, slot: cfg.Slot, address: str) -> str:
        """The record that says which variable lives in a slot; nothing for the compiler's own."""
        var = slot.var
        if not self.info.enabled or var.name.startswith("."):
            return ""
        scope = self._scope(slot.scope)
        arg = f"arg: {slot.param + 1}, " if slot.param >= 0 else ""
        node = self.info.node(
            f"!DILocalVariable(name: {_q(var.name)}, {arg}scope: {scope}, "
            f"file: {self.info.file(var.loc.source)}, line: {var.loc.line}, "
            f"type: {self.info.type(var.ty)})")
        where = self.info.node(f"!DILocation(line: {var.loc.line}, column: {var.loc.col + 1}, "
                               f"scope: {scope})")
        return f"    #dbg_declare(ptr {address}, {node}, {self.info.expression}, {where})"


def _q(text: str) -> str:
    return f'"{escape(str(text).encode())}"'
