# SPDX-License-Identifier: BSD-3-Clause
"""Instrumentation, as a pass over the graph: nothing of it exists unless a build asks for it.

    %1: u32 = atomic add tok+8, 1, acq_rel      %5: MPtr[None] = address tok+8
                                                call kpy.hook.yield(0x5c1d22a7, %5, 3)
                                                %2: MPtr[None] = address tok+8
                                                %3: u64 = convert bits 1
                                                %4: u64 = call kpy.hook.atomic(3, %2, 4, %3, 0, 3)
                                                %1: u32 = convert from_bits %4

hooks    atomics, fences, MMIO and volatile accesses call kpy.hook.atomic, mmio_read, mmio_write,
         volatile_load and volatile_store; a call of a function with @hook("clock") calls
         kpy.hook.clock.SYMBOL instead, with the same signature
yields   kpy.hook.yield(site, address, access) before each access to memory that is not the
         function's own (access: 1 reads, 2 writes, added up; 4 more for an atomic or a volatile
         one), and kpy.hook.pause(site) instead of pause()
edges    a counter for each function entry and each way out of a branch (section kpy_edges; their
         places, in the same order, in kpy_edge_sites)
faults   before a call of a @fault_site function, kpy.hook.fault(site) -> bool: true makes it
         raise ENOMEM ("alloc") or EIO ("io"), or return zero if it does not throw
pauses   kpy.hook.schedule() before each atomic operation, fence, crit_enter() and crit_exit(): for
         kernels that are booted, where kernel/pauses.py is what it calls

A site is a u32 made of its place, the same in every build; section kpy_sites has {u64 site,
ptr record} for each.  What holds afterwards: C1..C6, as before.
Tests     tests/toolchain/test_lower_instrument.py
"""
from __future__ import annotations

import zlib
from collections.abc import Iterator

from toolchain.frontend import types
from toolchain.lower import cfg
from toolchain.options import Options

ATOMIC_KINDS = {"load": 0, "store": 1, "swap": 2, "add": 3, "sub": 4, "and": 5, "or": 6, "xor": 7,
                "cas": 8, "cas_value": 9, "fence": 10}
ORDERS = {"relaxed": 0, "acquire": 1, "release": 2, "acq_rel": 3, "seq_cst": 4, "compiler": 5}
FAULT_CODES = {"alloc": 12, "io": 5}        # ENOMEM, EIO
_POINTER = types.mptr(types.U8)
_READS, _WRITES, _ORDERED = 1, 2, 4         # the access of a schedule point
_SECTIONS = ("crit_enter", "crit_exit")     # as @hook names the edges of critical sections
_READ_ONLY = (cfg.Load, cfg.MmioRead)
_WRITE_ONLY = (cfg.Store, cfg.Zero, cfg.MmioWrite)


def instrument(module: cfg.Module, options: Options) -> None:
    """Add what the options ask for to every function of the module."""
    for function in module.functions:
        if function.source.attrs.naked:
            continue
        work = _Function(module, function)
        if options.faults:
            work.faults()
        if options.yields:
            work.yields()
        if options.pauses:
            work.pauses()
        if options.hooks:
            work.hooks()
        if options.edges:
            work.edges()
        for number, block in enumerate(function.blocks):
            block.number = number


class _Function:
    """One function under change."""

    def __init__(self, module: cfg.Module, function: cfg.Function) -> None:
        self.module, self.function = module, function
        numbers = [reg.number for block in function.blocks for ins in block.code
                   for reg in cfg.defs(ins)]
        self.registers = max(numbers, default=-1) + 1
        self.sites: dict[str, int] = {}

    def reg(self, ty: types.Type) -> cfg.Reg:
        self.registers += 1
        return cfg.Reg(self.registers - 1, ty)

    def slot(self, name: str, ty: types.Type) -> cfg.Slot:
        slot = cfg.Slot(f".{name}", ty, number=len(self.function.slots))
        self.function.slots.append(slot)
        return slot

    def site(self, at: cfg.At, kind: str) -> cfg.Imm:
        """The number of a place: its path, line, column, kind and how many came before."""
        place = f"{self.function.symbol}:{at.loc.source.path}:{at.loc.line}:{at.loc.col}:{kind}"
        count = self.sites[place] = self.sites.get(place, 0) + 1
        number = zlib.crc32(f"{place}:{count}".encode())
        self.module.sites.append((number, at))
        return cfg.Imm(types.U32, number)

    # ---- faults

    def faults(self) -> None:
        done: list[cfg.Block] = []
        todo = list(reversed(self.function.blocks))
        while todo:
            block = todo.pop()
            done.append(block)
            for i, ins in enumerate(block.code):
                if isinstance(ins, cfg.Call) and ins.function is not None \
                        and ins.function.attrs.fault_site and (ins.code or ins.dest):
                    todo += reversed(self._fault(block, i, ins))
                    break
        self.function.blocks[:] = done

    def _fault(self, block: cfg.Block, i: int, call: cfg.Call) -> list[cfg.Block]:
        """Split `block` at a call; gives the blocks to go on with."""
        at, kind = call.at, call.function.attrs.fault_site
        go, fail, join = (cfg.Block(f"{block.name}.{word}") for word in ("call", "fault", "join"))
        join.code = block.code[i + 1:]
        wanted = self.reg(types.BOOL)
        block.code[i:] = [
            cfg.Runtime(at, wanted, "kpy.hook.fault", [self.site(at, kind)]),
            cfg.Branch(at, wanted, fail, go, likely=False)]
        inner = cfg.Call(at, None, None, call.callee, call.signature, call.args, call.into,
                         None)
        go.code = [inner]
        head: list[cfg.Ins] = []
        for name in ("dest", "code"):
            reg = getattr(call, name)
            if reg is None:
                continue
            ty = reg.ty
            slot, copy = self.slot(name, ty), self.reg(ty)
            setattr(inner, name, copy)
            mem = cfg.Mem(slot, 0, ty.align)
            pair = isinstance(ty, types.SliceType | types.TupleType)
            zero = cfg.ZeroValue(ty) if pair else cfg.Imm(ty, 0)
            if name == "code":
                zero = cfg.Imm(ty, FAULT_CODES[kind])
            go.code.append(cfg.Store(at, mem, copy))
            fail.code.append(cfg.Store(at, mem, zero))
            head.append(cfg.Load(at, reg, mem))
        go.code.append(cfg.Jump(at, join))
        fail.code.append(cfg.Jump(at, join))
        join.code[:0] = head
        return [go, fail, join]

    # ---- schedule points

    def yields(self) -> None:
        for block in self.function.blocks:
            code: list[cfg.Ins] = []
            for ins in block.code:
                if isinstance(ins, cfg.Intrinsic) and ins.op == "pause":
                    code.append(cfg.Runtime(ins.at, None, "kpy.hook.pause",
                                            [self.site(ins.at, "pause")]))
                    continue
                for mem, access in _accesses(ins):
                    site = self.site(ins.at, "access")
                    address = cfg.Imm(_POINTER, 0) if mem is None \
                        else self._address(ins.at, mem, code)
                    code.append(cfg.Runtime(ins.at, None, "kpy.hook.yield",
                                            [site, address, _u32(access)]))
                code.append(ins)
            block.code = code

    def pauses(self) -> None:
        for block in self.function.blocks:
            code: list[cfg.Ins] = []
            for ins in block.code:
                if isinstance(ins, cfg.Atomic | cfg.Fence) or (
                        isinstance(ins, cfg.Call) and ins.function is not None
                        and ins.function.attrs.hook in _SECTIONS):
                    code.append(cfg.Runtime(ins.at, None, "kpy.hook.schedule", []))
                code.append(ins)
            block.code = code

    # ---- hooks

    def hooks(self) -> None:
        for block in self.function.blocks:
            code: list[cfg.Ins] = []
            for ins in block.code:
                self._hook(ins, code)
            block.code = code

    def _hook(self, ins: cfg.Ins, out: list[cfg.Ins]) -> None:
        """Append what `ins` becomes."""
        if isinstance(ins, cfg.Atomic):
            self._atomic(ins, out)
        elif isinstance(ins, cfg.Fence):
            args = [_u32(ATOMIC_KINDS["fence"]), cfg.Imm(_POINTER, 0), _u32(0), _u64(0), _u64(0),
                    _u32(ORDERS[ins.order])]
            out.append(cfg.Runtime(ins.at, self.reg(types.U64), "kpy.hook.atomic", args))
        elif isinstance(ins, cfg.MmioRead) or (isinstance(ins, cfg.Load) and ins.volatile):
            word = "mmio_read" if isinstance(ins, cfg.MmioRead) else "volatile_load"
            raw = self.reg(types.U64)
            args = [self._address(ins.at, ins.mem, out), _u32(ins.dest.ty.size)]
            out.append(cfg.Runtime(ins.at, raw, f"kpy.hook.{word}", args))
            out.append(cfg.Convert(ins.at, ins.dest, "from_bits", raw))
        elif isinstance(ins, cfg.MmioWrite) or (isinstance(ins, cfg.Store) and ins.volatile):
            word = "mmio_write" if isinstance(ins, cfg.MmioWrite) else "volatile_store"
            args = [self._address(ins.at, ins.mem, out), _u32(ins.value.ty.size),
                    self._bits(ins.at, ins.value, out)]
            out.append(cfg.Runtime(ins.at, None, f"kpy.hook.{word}", args))
        else:
            if isinstance(ins, cfg.Call) and ins.function is not None \
                    and ins.function.attrs.hook:
                function = ins.function
                symbol = function.attrs.export or function.symbol
                ins.callee = cfg.Sym(f"kpy.hook.{function.attrs.hook}.{symbol}", types.VOID)
            out.append(ins)

    def _atomic(self, ins: cfg.Atomic, out: list[cfg.Ins]) -> None:
        """The hook gives the old value; cas compares it again."""
        address = self._address(ins.at, ins.mem, out)
        values = [self._bits(ins.at, arg, out) for arg in ins.args]
        raw = self.reg(types.U64)
        out.append(cfg.Runtime(ins.at, raw, "kpy.hook.atomic", [
            _u32(ATOMIC_KINDS[ins.op]), address, _u32(ins.ty.size),
            *[*values, _u64(0), _u64(0)][:2], _u32(ORDERS[ins.order])]))
        if ins.dest is None:
            return
        if ins.op != "cas":
            out.append(cfg.Convert(ins.at, ins.dest, "from_bits", raw))
            return
        old, again = self.reg(ins.ty), self.reg(types.U64)
        out.append(cfg.Convert(ins.at, old, "from_bits", raw))
        out.append(cfg.Convert(ins.at, again, "bits", old))
        out.append(cfg.Compare(ins.at, ins.dest, "eq", again, values[0]))

    def _address(self, at: cfg.At, mem: cfg.Mem, out: list[cfg.Ins]) -> cfg.Operand:
        dest = self.reg(_POINTER)
        out.append(cfg.Addr(at, dest, mem))
        return dest

    def _bits(self, at: cfg.At, value: cfg.Operand, out: list[cfg.Ins]) -> cfg.Operand:
        dest = self.reg(types.U64)
        out.append(cfg.Convert(at, dest, "bits", value))
        return dest

    # ---- edges

    def edges(self) -> None:
        entry = self.function.blocks[0]
        entry.code.insert(0, self._count(entry.code[0].at))
        new: list[cfg.Block] = []
        for block in self.function.blocks:
            new.append(block)
            last = block.code[-1]
            if isinstance(last, cfg.Branch):
                last.then = self._edge(block, last.then, last.at, new)
                last.other = self._edge(block, last.other, last.at, new)
            elif isinstance(last, cfg.Switch):
                last.cases = [(number, self._edge(block, target, last.at, new))
                              for number, target in last.cases]
                last.default = self._edge(block, last.default, last.at, new)
        self.function.blocks[:] = new

    def _count(self, at: cfg.At) -> cfg.Count:
        self.module.edges.append(at)
        return cfg.Count(at, len(self.module.edges) - 1)

    def _edge(self, block: cfg.Block, target: cfg.Block, at: cfg.At,
              new: list[cfg.Block]) -> cfg.Block:
        """A block that counts the edge from `block` to `target`."""
        edge = cfg.Block(f"{block.name}.edge", code=[self._count(at), cfg.Jump(at, target)])
        new.append(edge)
        return edge


def _accesses(ins: cfg.Ins) -> Iterator[tuple[cfg.Mem | None, int]]:
    """(memory, access) of each access to memory that is not the function's own."""
    if isinstance(ins, cfg.Fence):
        if ins.order != "compiler":
            yield None, _ORDERED
        return
    if isinstance(ins, cfg.Addr | cfg.IndexAddr):
        return
    ordered = isinstance(ins, cfg.Atomic | cfg.MmioRead | cfg.MmioWrite) or \
        getattr(ins, "volatile", False)
    for name in ins.MEMS:
        mem = getattr(ins, name)
        if not ordered and isinstance(mem.base, cfg.Slot | cfg.Data):
            continue
        access = _READS | _WRITES
        if isinstance(ins, _READ_ONLY) or name == "source" or (
                isinstance(ins, cfg.Atomic) and ins.op == "load"):
            access = _READS
        elif isinstance(ins, _WRITE_ONLY) or name == "to" or (
                isinstance(ins, cfg.Atomic) and ins.op == "store"):
            access = _WRITES
        yield mem, access | (_ORDERED if ordered else 0)


def _u32(value: int) -> cfg.Imm:
    return cfg.Imm(types.U32, value)


def _u64(value: int) -> cfg.Imm:
    return cfg.Imm(types.U64, value)
