# SPDX-License-Identifier: BSD-3-Clause
"""LLVM IR text of a module, written as strings: functions, blocks, memory, calls, atomics.

    function demo.get(xs: Slice[u32]) -> u32      define dso_local i32 @demo.get({ ptr, i64 } %p0)
      slot xs: Slice[u32]                           #0 !dbg !9 {
    entry:                                          %xs.0 = alloca { ptr, i64 }, align 8
      %0: MPtr[u32] = load xs                       store { ptr, i64 } %p0, ptr %xs.0, align 8
      %1: u64 = load xs+8                           br label %entry.0
      check index 3, %1 or trap index             entry.0:
      %2: u32 = load %0+12                          %r0 = load ptr, ptr %xs.0, align 8
      return %2                                     ...

Before: C1..C6 of cfg.py.  What holds of the text: every function has a DISubprogram, every
instruction of it a location; one alloca a slot, all in the entry block; a trap is a branch to a
block at the end that calls kpy.rt.check_failed; no undefined behaviour can be reached.
Tests     tests/toolchain/test_backend_*.py
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from toolchain.backend import abi, asm, asmdebug, ops
from toolchain.backend.abi import at, int_of, memory, register
from toolchain.backend.data import Constants, pointer, tables_ir
from toolchain.backend.dwarf import DebugInfo
from toolchain.backend.target import TARGETS, Target
from toolchain.frontend import tree, types
from toolchain.frontend.types import Type
from toolchain.lower import cfg
from toolchain.options import RELEASE, Options

__all__ = ["emit_module", "tables_ir"]

_ORDER = {"relaxed": "monotonic", "acquire": "acquire", "release": "release",
          "acq_rel": "acq_rel", "seq_cst": "seq_cst"}
_LOAD_ORDER = {**_ORDER, "release": "monotonic", "acq_rel": "acquire"}
_STORE_ORDER = {**_ORDER, "acquire": "monotonic", "acq_rel": "release"}
_FAIL_ORDER = {**_ORDER, "release": "monotonic", "acq_rel": "acquire"}
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9_.]")


# What check_failed() is told of: types and registers; None for a number that is not shown.
Values: TypeAlias = "list[tuple[types.IntType | None, str]]"


def emit_module(module: cfg.Module, options: Options) -> str:
    """The module as LLVM IR text."""
    return ModuleEmitter(module, options).run()


class ModuleEmitter:
    """What the functions of one module share: declarations, constants, attributes, debug info."""

    def __init__(self, module: cfg.Module, options: Options) -> None:
        self.module = module
        self.options = options
        self.target: Target = TARGETS[options.target]
        self.declarations: dict[str, str] = {}
        self.defined: set[str] = set()
        self.constants = Constants()
        self.attributes: dict[str, int] = {}
        self.used: list[str] = []
        self.comdats: list[str] = []
        self.debug = DebugInfo(module.source, options)
        self.local = "dso_local " if self.target.closed else ""
        self.unlikely = ""

    def declare(self, name: str, text: str) -> None:
        if name not in self.declarations:
            self.declarations[name] = text

    def attribute_group(self, text: str) -> str:
        """`#n` for a set of function attributes."""
        number = self.attributes.setdefault(text, len(self.attributes))
        return f"#{number}"

    def run(self) -> str:
        module = self.module
        self.defined = {function.symbol for function in module.functions}
        weights = self.debug.node('!{!"branch_weights", i32 1, i32 2000}')
        self.unlikely = f", !prof {weights}"
        for function in module.externs:
            self._declare_function(function)
        body: list[str] = []
        for g in module.source.globals:
            body.append(self._global(g))
        for g in module.source.external_globals.values():
            if (g.export or g.symbol) not in self.declarations:
                self._global(g, here=False)
        body += self._percpu_offset()
        if module.edges:
            body += self._edges()
        if module.sites:
            body.append(self._sites())
        for function in module.functions:
            body += FunctionEmitter(self, function).run()
        body += self._aliases()
        if self.used:
            names = ", ".join(f"ptr {name}" for name in self.used)
            body.append(f"@llvm.used = appending global [{len(self.used)} x ptr] [{names}], "
                        'section "llvm.metadata"')
        head = [f'; module {module.source.name}',
                f'source_filename = "{abi.escape(module.source.source.path.encode())}"',
                f'target datalayout = "{self.target.layout}"',
                f'target triple = "{self.target.triple}"']
        alone = self.debug.enabled and module.source.assembly_alone and self.target.closed
        head += [asm.module_asm(self._file_asm(block, alone)) for block in module.source.asm]
        head += self.comdats
        declarations = [text for name, text in self.declarations.items()
                        if name not in self.defined]
        groups = [f"attributes #{n} = {{ {text} }}" for text, n in self.attributes.items()]
        return "\n".join([*head, *self.constants.lines, *declarations, *body, *groups,
                          *([] if alone else self.debug.finish())]) + "\n"

    def _file_asm(self, block: tree.AsmBlock, alone: bool) -> str:
        """File-level assembly; what is alone in its object brings its debug information."""
        if not alone:
            return block.text
        return asmdebug.annotate(block.text, file=str(block.loc.source.path),
                                 first_line=block.loc.line,
                                 directory=self.options.directory)

    # ---- globals

    def _global(self, g: tree.Global, here: bool = True) -> str:
        symbol = g.export or g.symbol
        space = " addrspace(256)" if g.percpu and self.target.percpu == "segment" else ""
        own = g.percpu and self.target.percpu != "plain"
        section = g.section or (".percpu" if own else "")
        tail = f', section "{section}"' if section else ""
        word = "constant" if g.constant else "global"
        if g.extern or not here:
            self.declare(symbol, f"{at(symbol)} = external {self.local}{space[1:]}"
                                 f"{' ' if space else ''}{word} {memory(g.ty)}, "
                                 f"align {g.alignment}")
            return ""
        self.defined.add(symbol)
        value = self.constants.value(g.ty, g.init)
        dbg = self.debug.global_variable(g)
        return (f"{at(symbol)} = dso_local{space} {word} {value}{tail}, align {g.alignment}{dbg}")

    def percpu_base(self) -> str:
        """The variable that holds the address of this CPU's copy of what %gs reaches."""
        symbol = "kpy.percpu.base"
        self.declare(symbol, f"{at(symbol)} = external {self.local}addrspace(256) global ptr")
        return at(symbol)

    def _percpu_offset(self) -> list[str]:
        """How far the current CPU's copies are from the variables; one for all modules.  Weak, so
        that it is not taken for the 0 that nothing here changes."""
        known = (*self.module.source.globals, *self.module.source.external_globals.values())
        if self.target.percpu != "offset" or not any(g.percpu for g in known):
            return []
        self.defined.add("kpy.percpu.offset")
        return ["@kpy.percpu.offset = weak dso_local global i64 0, align 8"]

    def _edges(self) -> list[str]:
        """Edge counters and, in the same order, the records of their places."""
        sites = [f"ptr {self.constants.site(edge, cfg.Trap.PRINT, self.module.source.name)}"
                 for edge in self.module.edges]
        n = len(sites)
        self.used += ["@kpy.edges", "@kpy.edge.sites"]
        return [
            f'@kpy.edges = internal global [{n} x i64] zeroinitializer, '
            'section "kpy_edges", align 8',
            f'@kpy.edge.sites = internal constant [{n} x ptr] [{", ".join(sites)}], '
            'section "kpy_edge_sites", align 8']

    def _sites(self) -> str:
        """The numbered places of schedule points and faults."""
        name = self.module.source.name
        rows = [f"{{ i64, ptr }} {{ i64 {number}, "
                f"ptr {self.constants.site(place, cfg.Trap.PRINT, name)} }}"
                for number, place in self.module.sites]
        self.used.append("@kpy.sites")
        return (f"@kpy.sites = internal constant [{len(rows)} x {{ i64, ptr }}] "
                f"[{', '.join(rows)}], section \"kpy_sites\", align 8")

    # ---- functions

    def _declare_function(self, function: tree.Function) -> None:
        symbol = function.attrs.export or function.symbol
        tys = tuple(param.ty for param in function.params)
        self.declare_call(symbol, types.fn(tys, function.result, function.throws),
                          function.attrs)

    def declare_call(self, symbol: str, signature: types.FnType,
                     attrs: tree.Attrs | None = None) -> None:
        if symbol in self.declarations or symbol in self.defined:
            return
        params = ", ".join(abi.params(signature.params, signature.result, signature.throws))
        result = abi.result_text(signature.result, signature.throws)
        flags = "nounwind"
        if signature.result is types.NEVER or (attrs is not None and attrs.noreturn):
            flags += " noreturn"
        if attrs is not None and attrs.cold:
            flags += " cold"
        self.declare(symbol, f"declare {self.local}{result} {at(symbol)}({params}) "
                             f"{self.attribute_group(flags)}")

    def _aliases(self) -> list[str]:
        """The symbol of each upcall implemented here, for our function."""
        lines = []
        for upcall, function in self.module.source.implements.items():
            own = function.attrs.export or function.symbol
            if upcall != own:
                self.defined.add(upcall)
                lines.append(f"{at(upcall)} = dso_local alias i8, ptr {at(own)}")
        return lines


class FunctionEmitter:
    """One function.  `put` appends an instruction, with the current location."""

    def __init__(self, module: ModuleEmitter, function: cfg.Function) -> None:
        self.module = module
        self.function = function
        self.source = function.source
        self.debug = module.debug.function(function)
        self.lines: list[str] = []
        self.cold: list[str] = []
        self.names: dict[int, str] = {}
        self.slots: dict[int, str] = {}
        self.counter = 0
        self.location = ""
        self.percpu = module.target.percpu

    # ---- what the emitters of instructions use

    def put(self, text: str) -> None:
        self.lines.append(f"  {text}{self.location}")

    def temp(self) -> str:
        self.counter += 1
        return f"%t{self.counter}"

    def new_label(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def reg(self, reg: cfg.Reg) -> str:
        name = f"%r{reg.number}"
        self.names[reg.number] = name
        return name

    def rename(self, reg: cfg.Reg, text: str) -> None:
        """`reg` is another name for a value that is there already."""
        self.names[reg.number] = text

    def op(self, operand: cfg.Operand) -> str:
        """An operand's text, without its type."""
        if operand.__class__ is cfg.Reg:
            return self.names[operand.number]
        if operand.__class__ is cfg.Imm:
            base = int_of(operand.ty)
            if base is None:
                return pointer(operand.value & (2**64 - 1))
            if base.bits == 1:
                return "true" if operand.value & 1 else "false"
            return str(operand.value)
        if operand.__class__ is cfg.Slot:
            return "%sret" if operand.number < 0 else self.slots[operand.number]
        if operand.__class__ is cfg.Sym:
            self._need(operand)
            return at(operand.symbol)
        if operand.__class__ is cfg.Data:
            return self.module.constants.address(operand)
        return "zeroinitializer"

    def typed(self, operand: cfg.Operand) -> str:
        if isinstance(operand, cfg.Slot | cfg.Sym | cfg.Data):
            return f"ptr {self.op(operand)}"
        return f"{register(operand.ty)} {self.op(operand)}"

    def _need(self, sym: cfg.Sym) -> None:
        """Declare what nothing else declares: link-time tables."""
        if sym.symbol.startswith("kpy.table."):
            self.module.declare(sym.symbol, f"{at(sym.symbol)} = external "
                                            f"{self.module.local}constant i64")

    def address(self, mem: cfg.Mem) -> str:
        """The address of `mem` as `ptr X`, in its address space."""
        space = "ptr addrspace(256)" if mem.percpu and self.percpu == "segment" else "ptr"
        base = self.op(mem.base)
        if mem.percpu and self.percpu == "offset" and isinstance(mem.base, cfg.Sym):
            base = self._own_copy(base)
        if mem.offset == 0:
            return f"{space} {base}"
        if base[0] == "@":
            return f"{space} getelementptr (i8, {space} {base}, i64 {mem.offset})"
        dest = self.temp()
        self.put(f"{dest} = getelementptr i8, {space} {base}, i64 {mem.offset}")
        return f"{space} {dest}"

    def _own_copy(self, variable: str) -> str:
        """The current CPU's copy of a per-CPU variable.  Computed with integers: it lies in
        another object than the variable, which LLVM must not believe it to be in."""
        offset, number, dest = self.temp(), self.temp(), self.temp()
        self.put(f"{offset} = load i64, ptr @kpy.percpu.offset, align 8")
        self.put(f"{number} = add i64 {offset}, ptrtoint (ptr {variable} to i64)")
        self.put(f"{dest} = inttoptr i64 {number} to ptr")
        return dest

    def flat(self, mem: cfg.Mem) -> str:
        """The address of `mem` as an ordinary pointer."""
        if not (mem.percpu and self.percpu == "segment"):
            return self.address(mem)
        typed = self.address(mem)
        base, offset, dest = self.temp(), self.temp(), self.temp()
        self.put(f"{base} = load ptr, ptr addrspace(256) {self.module.percpu_base()}, align 8")
        self.put(f"{offset} = ptrtoint {typed} to i64")
        self.put(f"{dest} = getelementptr i8, ptr {base}, i64 {offset}")
        return f"ptr {dest}"

    def to_memory(self, value: str, ty: Type) -> str:
        """A register's value in its memory form."""
        base = int_of(ty)
        if base is None or base.bits == ty.size * 8:
            return value
        return ops.resize(self, value, base.bits, ty.size * 8, base.signed)

    def from_memory(self, value: str, ty: Type) -> str:
        base = int_of(ty)
        if base is None or base.bits == ty.size * 8:
            return value
        return ops.resize(self, value, ty.size * 8, base.bits, base.signed)

    def site(self, kind: int, text: str = "", operands: int = 0) -> str:
        name = self.source.symbol
        return self.module.constants.site(self.at, kind, name, text, operands)

    def trap_if(self, condition: str, trap: cfg.Trap, values: Values) -> None:
        """Go on unless `condition`; else call check_failed with the values."""
        okay, fail = self.new_label("o"), self.new_label("x")
        self.put(f"br i1 {condition}, label %{fail}, label %{okay}{self.module.unlikely}")
        self.trap_block(fail, trap, values)
        self.lines.append(f"{okay}:")

    def trap_block(self, label: str, trap: cfg.Trap, values: Values) -> None:
        """The cold block `label`, which reports a failed check."""
        hot, self.lines = self.lines, self.cold
        self.lines.append(f"{label}:")
        wide = [ops.resize(self, value, base.bits, 64, base.signed) if base else value
                for base, value in values]
        wide += ["0"] * (2 - len(wide))
        operands = sum(base.bits << 8 * i | base.signed << 16 + i
                       for i, (base, _) in enumerate(values) if base)
        self.module.declare("kpy.rt.check_failed",
                            f"declare {self.module.local}void @kpy.rt.check_failed(ptr, i64, "
                            f"i64) {self.module.attribute_group('cold noreturn nounwind')}")
        self.put(f"call void @kpy.rt.check_failed(ptr {self.site(trap, operands=operands)}, "
                 f"i64 {wide[0]}, i64 {wide[1]})")
        self.put("unreachable")
        self.lines = hot

    # ---- the function

    def run(self) -> list[str]:
        function, source = self.function, self.source
        attrs = source.attrs
        self.at = cfg.At(source.loc, function.scope)
        self.location = self.debug.at(self.at)
        head = self._head()
        self.lines = [head]
        labels = {id(b): f"{_UNSAFE_NAME.sub('_', b.name)}.{b.number}" for b in function.blocks}
        self.labels = labels
        if not attrs.naked:
            self._entry()
        if attrs.naked:
            self.lines.append("entry:")
        else:
            self.put(f"br label %{labels[id(function.blocks[0])]}")
        previous: cfg.At | None = None
        for block in function.blocks:
            if not attrs.naked:
                self.lines.append(f"{labels[id(block)]}:")
            for ins in block.code:
                if ins.at is not previous:
                    previous = self.at = ins.at
                    self.location = self.debug.at(previous)
                _EMIT[ins.__class__](self, ins)
        self.lines += self.cold
        self.lines.append("}")
        if self.module.options.host_wrappers and not attrs.naked and not attrs.interrupt:
            self.lines += self._wrapper()
        return self.lines

    def _head(self) -> str:
        source, attrs, module = self.source, self.source.attrs, self.module
        symbol = self.function.symbol
        if attrs.interrupt:
            params = self._interrupt_params()
        else:
            texts = abi.params(tuple(p.ty for p in source.params), source.result,
                               source.throws)
            names = [f"%p{i}" for i in range(len(source.params))]
            if source.result.is_aggregate:
                names.insert(0, "%sret")
            params = ", ".join(f"{t} {n}" for t, n in zip(texts, names, strict=True))
        result = abi.result_text(source.result, source.throws)
        linkage = {"strong": "", "shared": "weak_odr ", "copy": "linkonce_odr "}[
            self.function.linkage]
        comdat = ""
        if linkage and module.options.mode != RELEASE:      # a whole program has one copy
            module.comdats.append(f"{_comdat(symbol)} = comdat any")
            comdat = " comdat"
        section = f' section "{attrs.section}"' if attrs.section else ""
        convention = "x86_intrcc " if attrs.interrupt else ""
        align = "" if attrs.naked else " align 16"
        return (f"define {linkage}dso_local {convention}{result} {at(symbol)}({params}) "
                f"{module.attribute_group(self._flags())}{section}{comdat}{align} "
                f"{self.debug.attachment} {{")

    def _interrupt_params(self) -> str:
        """The CPU's frame is where the first parameter points; then perhaps an error code."""
        frame = self.source.params[0].ty.elem
        texts = [f"ptr byval([{frame.size} x i8]) align {frame.align} %p0"]
        texts += [f"{register(p.ty)} %p{i + 1}" for i, p in enumerate(self.source.params[1:])]
        return ", ".join(texts)

    def _flags(self) -> str:
        attrs = self.source.attrs
        flags = ["nounwind", "null_pointer_is_valid", "noredzone"]   # so frame sizes are whole
        if attrs.naked:
            flags += ["naked", "noinline"]
        elif attrs.inline:
            flags.append("alwaysinline")
        elif attrs.noinline:
            flags.append("noinline")
        if attrs.cold:
            flags.append("cold")
        if attrs.noreturn or self.source.result is types.NEVER:
            flags.append("noreturn")
        flags += ['"frame-pointer"="all"', '"no-builtins"', '"warn-stack-size"="0"']
        return " ".join(flags)

    def _entry(self) -> None:
        """Storage of every slot, parameters stored into theirs, and both shown to debuggers.

        None of it has a location, so that a breakpoint on the function comes after it.
        """
        self.location = ""
        self.lines.append("start:")
        taken = set(self.labels.values())       # labels and values are one name space
        for slot in self.function.slots:
            name = f"{_UNSAFE_NAME.sub('_', slot.name)}.{slot.number}"
            name = f"%{name}.slot" if name in taken else f"%{name}"
            self.slots[slot.number] = name
            self.lines.append(f"  {name} = alloca {memory(slot.ty)}, align {slot.ty.align}")
        for slot in self.function.slots:
            if slot.param >= 0:
                value = self.to_memory(f"%p{slot.param}", slot.ty)
                self.put(f"store {memory(slot.ty)} {value}, ptr {self.slots[slot.number]}, "
                         f"align {slot.ty.align}")
            if slot.var is not None:
                text = self.debug.variable(slot, self.slots[slot.number])
                if text:
                    self.lines.append(text)

    def _wrapper(self) -> list[str]:
        """kpy.call.SYMBOL(args, result) -> code: each argument at the next multiple of 8 bytes,
        so that any host can call it without knowing the ABI."""
        source = self.source
        linkage = "linkonce_odr " if self.function.linkage == "copy" else ""
        out = [f"define {linkage}dso_local i32 {at('kpy.call.' + self.function.symbol)}"
               f"(ptr %args, ptr %result) {self.module.attribute_group('nounwind')} {{"]
        ret = source.result
        args = [f"{abi.storage(ret, source.throws)} %result"] if ret.is_aggregate else []
        offset = 0
        for i, param in enumerate(source.params):
            out.append(f"  %a{i} = getelementptr i8, ptr %args, i64 {offset}")
            out.append(f"  %m{i} = load {memory(param.ty)}, ptr %a{i}, align 8")
            name = f"%m{i}"
            if memory(param.ty) != register(param.ty):
                out.append(f"  %v{i} = trunc {memory(param.ty)} %m{i} to {register(param.ty)}")
                name = f"%v{i}"
            args.append(f"{register(param.ty)}{abi.extension(param.ty)} {name}")
            offset += types.round_up(param.ty.size, 8)
        result = abi.result_text(source.result, source.throws)
        plain = abi.result(source.result, source.throws)
        call = f"call {result} {at(self.function.symbol)}({', '.join(args)})"
        code = "0"
        if plain == "void":
            out.append(f"  {call}")
        else:
            out.append(f"  %r = {call}")
            ty, value = source.result, "%r"
            if source.throws and plain == "i32":
                code = "%r"
            elif source.throws:
                out.append(f"  %value = extractvalue {plain} %r, 0")
                out.append(f"  %code = extractvalue {plain} %r, 1")
                code, value = "%code", "%value"
            elif memory(ty) != register(ty):
                word = "sext" if int_of(ty).signed else "zext"
                out.append(f"  %value = {word} {plain} %r to {memory(ty)}")
                value = "%value"
            if not (source.throws and plain == "i32"):
                out.append(f"  store {memory(ty)} {value}, ptr %result, align 1")
        out += [f"  ret i32 {code}", "}"]
        return out


def _comdat(symbol: str) -> str:
    return "$" + at(symbol)[1:]


# ---- instructions: memory

def _load(e: FunctionEmitter, ins: cfg.Load) -> None:
    ty = ins.dest.ty
    text, base = memory(ty), int_of(ty)
    word = "load volatile" if ins.volatile else "load"
    address = e.address(ins.mem)
    if base is None or base.bits == ty.size * 8:
        e.put(f"{e.reg(ins.dest)} = {word} {text}, {address}, align {ins.mem.align}")
        return
    raw = e.temp()
    e.put(f"{raw} = {word} {text}, {address}, align {ins.mem.align}")
    e.put(f"{e.reg(ins.dest)} = trunc {text} {raw} to i{base.bits}")


def _store(e: FunctionEmitter, ins: cfg.Store) -> None:
    word = "store volatile" if ins.volatile else "store"
    value = ins.value
    if isinstance(value, cfg.Slot | cfg.Sym | cfg.Data):
        typed = f"ptr {e.op(value)}"
    elif isinstance(value, cfg.Imm) and int_of(value.ty) is not None:
        number = value.value & 1 if value.ty is types.BOOL else value.value
        typed = f"{memory(value.ty)} {number}"
    else:
        typed = f"{memory(value.ty)} {e.to_memory(e.op(value), value.ty)}"
    e.put(f"{word} {typed}, {e.address(ins.mem)}, align {ins.mem.align}")


def _copy(e: FunctionEmitter, ins: cfg.Copy) -> None:
    e.module.declare("llvm.memcpy.p0.p0.i64",
                     "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    to, source = _aligned(e.flat(ins.to), ins.to), _aligned(e.flat(ins.source), ins.source)
    e.put(f"call void @llvm.memcpy.p0.p0.i64({to}, {source}, i64 {ins.size}, i1 false)")


def _zero(e: FunctionEmitter, ins: cfg.Zero) -> None:
    e.module.declare("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    to = _aligned(e.flat(ins.mem), ins.mem)
    e.put(f"call void @llvm.memset.p0.i64({to}, i8 0, i64 {ins.size}, i1 false)")


def _aligned(address: str, mem: cfg.Mem) -> str:
    return f"ptr align {mem.align} {address[4:]}"


def _addr(e: FunctionEmitter, ins: cfg.Addr) -> None:
    e.rename(ins.dest, e.flat(ins.mem)[4:])


def _index(e: FunctionEmitter, ins: cfg.IndexAddr) -> None:
    base = int_of(ins.index.ty) or types.U64
    index = ops.resize(e, e.op(ins.index), base.bits, 64, base.signed)
    elem = "i8" if ins.scale == 1 else f"[{ins.scale} x i8]"
    address = e.address(ins.mem)
    e.put(f"{e.reg(ins.dest)} = getelementptr {elem}, {address}, i64 {index}")


# ---- checks, slices and tuples

def _check(e: FunctionEmitter, ins: cfg.Check) -> None:
    values = [e.op(operand) for operand in ins.operands]
    shown = [(int_of(operand.ty) or types.U64, value)
             for operand, value in zip(ins.operands, values, strict=True)][:2]
    if ins.kind == "index":
        bad = e.temp()
        e.put(f"{bad} = icmp uge i64 {values[0]}, {values[1]}")
        e.trap_if(bad, ins.trap, shown)
    elif ins.kind == "slice":
        lo, hi, length = values
        conditions = []
        for a, b in ((lo, hi), (hi, length)):
            if a not in ("0", b):
                conditions.append(e.temp())
                e.put(f"{conditions[-1]} = icmp ugt i64 {a}, {b}")
        for condition in conditions:
            e.trap_if(condition, ins.trap, shown)
    elif ins.kind == "same":
        bad = e.temp()
        e.put(f"{bad} = icmp ne i64 {values[0]}, {values[1]}")
        e.trap_if(bad, ins.trap, shown)
    elif ins.kind == "null":
        bad = e.temp()
        e.put(f"{bad} = icmp eq ptr {values[0]}, null")
        e.trap_if(bad, ins.trap, [])
    else:
        label = e.new_label("x")
        e.put(f"br label %{label}")
        e.trap_block(label, ins.trap, [])
        e.label(e.new_label("o"))


def _make(e: FunctionEmitter, ins: cfg.Make) -> None:
    ty = register(ins.dest.ty)
    value = "poison"
    for i, item in enumerate(ins.items):
        if isinstance(item, cfg.Slot | cfg.Sym | cfg.Data):
            typed = f"ptr {e.op(item)}"
        else:
            typed = f"{memory(item.ty)} {e.to_memory(e.op(item), item.ty)}"
        dest = e.reg(ins.dest) if i == len(ins.items) - 1 else e.temp()
        e.put(f"{dest} = insertvalue {ty} {value}, {typed}, {i}")
        value = dest
    if not ins.items:
        e.rename(ins.dest, "zeroinitializer")


def _extract(e: FunctionEmitter, ins: cfg.Extract) -> None:
    raw = e.temp()
    e.put(f"{raw} = extractvalue {register(ins.operand.ty)} {e.op(ins.operand)}, {ins.index}")
    e.rename(ins.dest, e.from_memory(raw, ins.dest.ty))


# ---- calls

def _call(e: FunctionEmitter, ins: cfg.Call) -> None:
    signature = ins.signature
    if isinstance(ins.callee, cfg.Sym):
        e.module.declare_call(ins.callee.symbol, signature,
                              ins.function.attrs if ins.function is not None else None)
    args = []
    if ins.into is not None:
        ret = signature.result
        args.append(f"{abi.storage(ret, signature.throws)} {e.flat(ins.into)[4:]}")
    for arg, ty in zip(ins.args, signature.params, strict=True):
        value = e.op(arg)
        args.append(f"{register(ty)}{abi.extension(ty)} {value}")
    result = abi.result_text(signature.result, signature.throws)
    call = f"call {result} {e.op(ins.callee)}({', '.join(args)})"
    plain = abi.result(signature.result, signature.throws)
    if not signature.throws:
        e.put(call if ins.dest is None else f"{e.reg(ins.dest)} = {call}")
    elif plain == "i32":
        e.put(f"{e.reg(ins.code)} = {call}")
    else:
        both, raw = e.temp(), e.temp()
        e.put(f"{both} = {call}")
        e.put(f"{raw} = extractvalue {plain} {both}, 0")
        e.put(f"{e.reg(ins.code)} = extractvalue {plain} {both}, 1")
        e.rename(ins.dest, e.from_memory(raw, signature.result))


def _runtime(e: FunctionEmitter, ins: cfg.Runtime) -> None:
    args = [e.typed(arg) for arg in ins.args]
    if ins.site is not None:
        args.insert(ins.site_after, f"ptr {e.site(ins.site, ins.site_text)}")
    result = "void" if ins.dest is None else register(ins.dest.ty)
    params = ", ".join(arg[:arg.index(" ")] for arg in args)
    flags = e.module.attribute_group("cold noreturn nounwind" if ins.noreturn else "nounwind")
    e.module.declare(ins.symbol, f"declare {e.module.local}{result} {at(ins.symbol)}({params}) "
                                 f"{flags}")
    call = f"call {result} {at(ins.symbol)}({', '.join(args)})"
    e.put(call if ins.dest is None else f"{e.reg(ins.dest)} = {call}")


# ---- atomics and the machine

def _atomic(e: FunctionEmitter, ins: cfg.Atomic) -> None:
    ty = ins.ty
    text, align = memory(ty), ty.size
    address = e.address(ins.mem)
    args = [e.to_memory(e.op(arg), ty) for arg in ins.args]
    if ins.op == "load":
        raw = e.temp()
        e.put(f"{raw} = load atomic {text}, {address} {_LOAD_ORDER[ins.order]}, align {align}")
    elif ins.op == "store":
        e.put(f"store atomic {text} {args[0]}, {address} {_STORE_ORDER[ins.order]}, "
              f"align {align}")
        return
    elif ins.op in ("cas", "cas_value"):
        pair = e.temp()
        e.put(f"{pair} = cmpxchg {address}, {text} {args[0]}, {text} {args[1]} "
              f"{_ORDER[ins.order]} {_FAIL_ORDER[ins.order]}, align {align}")
        if ins.dest is None:
            return
        if ins.op == "cas":
            e.put(f"{e.reg(ins.dest)} = extractvalue {{ {text}, i1 }} {pair}, 1")
            return
        raw = e.temp()
        e.put(f"{raw} = extractvalue {{ {text}, i1 }} {pair}, 0")
    else:
        raw = e.temp()
        word = "xchg" if ins.op == "swap" else ins.op
        e.put(f"{raw} = atomicrmw {word} {address}, {text} {args[0]} {_ORDER[ins.order]}, "
              f"align {align}")
    if ins.dest is not None:
        e.rename(ins.dest, e.from_memory(raw, ty))


def _fence(e: FunctionEmitter, ins: cfg.Fence) -> None:
    if ins.order == "compiler":
        e.put('call void asm sideeffect "", "~{memory}"()')
    elif ins.order != "relaxed":
        e.put(f"fence {ins.order}")


def _mmio_read(e: FunctionEmitter, ins: cfg.MmioRead) -> None:
    _load(e, cfg.Load(ins.at, ins.dest, ins.mem, volatile=True))


def _mmio_write(e: FunctionEmitter, ins: cfg.MmioWrite) -> None:
    _store(e, cfg.Store(ins.at, ins.mem, ins.value, volatile=True))


def _asm(e: FunctionEmitter, ins: cfg.Asm) -> None:
    args = ", ".join(e.typed(arg) for arg in ins.args)
    result, final = asm.result_types(ins.dest.ty if ins.dest is not None else None)
    call = asm.call_text(ins, result, args)
    if ins.dest is None:
        e.put(call)
        return
    raw = e.temp()
    e.put(f"{raw} = {call}")
    e.rename(ins.dest, raw if final is None else e.from_memory(raw, ins.dest.ty))


def _count_edge(e: FunctionEmitter, ins: cfg.Count) -> None:
    old, new = e.temp(), e.temp()
    address = f"ptr getelementptr (i8, ptr @kpy.edges, i64 {8 * ins.number})"
    e.put(f"{old} = load i64, {address}, align 8")
    e.put(f"{new} = add i64 {old}, 1")
    e.put(f"store i64 {new}, {address}, align 8")


# ---- terminators

def _jump(e: FunctionEmitter, ins: cfg.Jump) -> None:
    e.put(f"br label %{e.labels[id(ins.target)]}")


def _branch(e: FunctionEmitter, ins: cfg.Branch) -> None:
    then, other, weights = ins.then, ins.other, ""
    cond = e.op(ins.cond)
    if ins.likely is False:
        weights = e.module.unlikely
    e.put(f"br i1 {cond}, label %{e.labels[id(then)]}, label %{e.labels[id(other)]}{weights}")


def _switch(e: FunctionEmitter, ins: cfg.Switch) -> None:
    ty = register(ins.value.ty)
    cases = " ".join(f"{ty} {number}, label %{e.labels[id(block)]}"
                     for number, block in ins.cases)
    e.put(f"switch {ty} {e.op(ins.value)}, label %{e.labels[id(ins.default)]} [ {cases} ]")


def _return(e: FunctionEmitter, ins: cfg.Return) -> None:
    source = e.source
    plain = abi.result(source.result, source.throws)
    if source.attrs.naked:                # its assembly returns
        e.put("unreachable")
        return
    if not source.throws:
        e.put("ret void" if plain == "void" else f"ret {plain} {e.op(ins.value)}")
        return
    code = e.op(ins.code)
    if plain == "i32":
        e.put(f"ret i32 {code}")
        return
    value = f"{memory(source.result)} zeroinitializer"
    if ins.value is not None:
        if isinstance(ins.value, cfg.Imm) and int_of(ins.value.ty) is not None:
            value = f"{memory(source.result)} {int(ins.value.value)}"
        else:
            value = f"{memory(source.result)} {e.to_memory(e.op(ins.value), source.result)}"
    half, both = e.temp(), e.temp()
    e.put(f"{half} = insertvalue {plain} poison, {value}, 0")
    e.put(f"{both} = insertvalue {plain} {half}, i32 {code}, 1")
    e.put(f"ret {plain} {both}")


def _unreachable(e: FunctionEmitter, ins: cfg.Unreachable) -> None:
    e.put("unreachable")


_EMIT: dict[type, Callable[..., None]] = {
    cfg.Load: _load, cfg.Store: _store, cfg.Copy: _copy, cfg.Zero: _zero, cfg.Addr: _addr,
    cfg.IndexAddr: _index, cfg.Unary: ops.unary, cfg.Binary: ops.binary,
    cfg.Compare: ops.compare, cfg.Convert: ops.convert, cfg.Check: _check, cfg.Make: _make,
    cfg.Extract: _extract, cfg.BitsGet: ops.bits_get, cfg.BitsSet: ops.bits_set,
    cfg.Call: _call, cfg.Runtime: _runtime, cfg.Atomic: _atomic, cfg.Fence: _fence,
    cfg.MmioRead: _mmio_read, cfg.MmioWrite: _mmio_write, cfg.Intrinsic: ops.intrinsic,
    cfg.Asm: _asm, cfg.Count: _count_edge, cfg.Jump: _jump, cfg.Branch: _branch,
    cfg.Switch: _switch, cfg.Return: _return, cfg.Unreachable: _unreachable,
}
