# SPDX-License-Identifier: BSD-3-Clause
"""Mutants: small wrongs in how CPUs work together, all of them in one build, each asleep.

    atomic store npoll, 0, release            atomic store npoll, 0, release
    fence seq_cst                             %1: bool = call kpy.hook.mutant(0x6a1f22c0)
    %2: bool = call empty(ipimask)            branch %1, mutant, sound
                                            sound:
                                              fence seq_cst
                                              jump join
                                            mutant:
                                              jump join
                                            join:
                                              %2: bool = call empty(ipimask)

kpy.hook.mutant(number) -> bool says whether that one is awake.  So one build holds all mutants, and
to choose another is to write a word.  A mutant's name is operator, function and how many of its
kind came before in that function, `drop-fence kernel.lwkt.ipiq.process #1`; its number is made of
the name, so the copies of an inlined function in all modules are one mutant.

drop-fence       a fence is left out
weaken-order     a sequentially consistent store is one with order release
split-rmw        an atomic read-modify-write is a load, then a store
blind-cas        a compare-and-swap stores without comparing, and says that it did
skip-recheck     a condition on shared memory that keeps a loop going is taken to end it; one that
                 is looked at again after an interlock (tsleep_interlock, intr_disable, mutex.lock,
                 spin.trylock, a full fence) is taken to hold, or not to
no-lock          a lock, token or critical section is not taken, nor let go of
release-early    ... let go of at once
move-store       the last store before a release (an atomic operation with an order, a call that
                 lets a lock go or sends) is done after it; not stores to per-CPU storage
forget-doorbell  forget-wakeup  forget-message  forget-poll  forget-wait  forget-disable
forget-invalidate  forget-hold  forget-drop    a call with that purpose is left out

Of a function's own storage, of what only tells (kernel.lwkt.ktr) and of assertions nothing is
changed.  What holds afterwards: C1..C6, as before; the instrumentation comes later.
Tests     tests/toolchain/test_lower_mutate.py, tests/sim/test_mutants.py
Source    Untch and others, "Mutation Analysis Using Mutant Schemata", 1993 (all in one program);
          Bradbury and others, "Mutation Operators for Concurrent Java", 2006
"""
from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator

from toolchain.frontend import types
from toolchain.lower import cfg
from toolchain.options import Options

LWKT, MACHINE = "kernel.lwkt.", "kernel.machine.contract."
PAIRS = {f"{LWKT}{taken}": f"{LWKT}{given}" for taken, given in {
    "crit.crit_enter": "crit.crit_exit", "spin.lock": "spin.unlock",
    "spin.lock_shared": "spin.unlock_shared", "spin.update_lock": "spin.update_unlock",
    "spin.Spinlock.__enter__": "spin.Spinlock.__exit__",
    "spin.SharedSide.__enter__": "spin.SharedSide.__exit__",
    "token.gettoken": "token.reltoken", "token.Token.__enter__": "token.Token.__exit__",
    "lockmgr.Lock.__enter__": "lockmgr.Lock.__exit__",
    "lockmgr.SharedSide.__enter__": "lockmgr.SharedSide.__exit__",
}.items()} | {"kernel.mem.slab._enter": "kernel.mem.slab._leave"}
FORGET = {
    "doorbell": (f"{MACHINE}ipi_send", f"{LWKT}ipiq._ring"),
    "wakeup": (f"{LWKT}sched.schedule", f"{LWKT}sched.need_resched", f"{LWKT}sleepq.wakeup",
               f"{LWKT}sleepq.wakeup_one", f"{LWKT}sleepq.wakeup_mycpu", f"{LWKT}sleepq._wakeup",
               f"{LWKT}mutex._tell", "kernel.mem.objcache._tell", "kernel.mem.page._tell"),
    "message": (f"{LWKT}ipiq.send", f"{LWKT}ipiq.send_passive", f"{LWKT}ipiq.send_mask"),
    "poll": (f"{LWKT}ipiq.process", f"{LWKT}splz.splz_check", f"{LWKT}splz.splz",
             f"{LWKT}splz.crit_exit_pending"),
    "wait": (f"{LWKT}ipiq.wait", f"{LWKT}cpusync._wait_for_all", "kernel.mem.kva._wait_for",
             "kernel.mem.kmalloc_obj._wait_for_grace"),
    "hold": ("kernel.fs.hammer2.chain.hold", "kernel.vfs.namecache.hold", "kernel.vfs.vnode.vref"),
    "drop": ("kernel.fs.hammer2.chain.drop", "kernel.fs.hammer2.inode.drop",
             "kernel.fs.hammer2.io.bqrelse", "kernel.io.buf.brelse", "kernel.vfs.namecache.drop",
             "kernel.vfs.vnode.vrele"),
    "disable": (f"{MACHINE}intr_disable",),
    "invalidate": (f"{MACHINE}pmap_invalidate",),
}
_FORGET = {symbol: f"forget-{what}" for what, symbols in FORGET.items() for symbol in symbols}
_LOCKS = frozenset(PAIRS.values()) - {f"{LWKT}crit.crit_exit", "kernel.mem.slab._leave"}
_SENDS = ("forget-doorbell", "forget-wakeup", "forget-message")
_RMW = ("swap", "add", "sub", "and", "or", "xor", "cas", "cas_value")
_RELEASES = ("release", "acq_rel", "seq_cst")


def mutate(module: cfg.Module, options: Options) -> None:
    """Put the mutants of all functions of the packages that the options name into the graph."""
    for function in module.functions:
        if function.source.module.startswith(options.mutants) and \
                not function.source.attrs.naked:
            _Function(module, function).run()


class _Function:
    """One function under change."""

    def __init__(self, module: cfg.Module, function: cfg.Function) -> None:
        self.module, self.function = module, function
        numbers = [reg.number for block in function.blocks for ins in block.code
                   for reg in cfg.defs(ins)]
        self.registers = max(numbers, default=-1) + 1
        self.counts: Counter[str] = Counter()
        self.splits = 0

    def run(self) -> None:
        given = {name for block in self.function.blocks for ins in block.code
                 if (name := _callee(ins)) is not None}
        self.pairs = {taken: Wanted(self, taken) for taken, let_go in PAIRS.items()
                      if taken in given and let_go in given}
        self.before = {id(block): (block.code[-1], block.successors())
                       for block in self.function.blocks}
        self.interlock = min((ins.at.loc.line for block in self.function.blocks
                              for ins in block.code if _is_interlock(ins)), default=0)
        done: list[cfg.Block] = []
        for block in list(self.function.blocks):
            code, block.code = block.code, []
            self.out, self.blocks = block, [block]
            self._block(code)
            done += self.blocks
        self.function.blocks[:] = done
        for number, block in enumerate(done):
            block.number = number

    # ---- one block

    def _block(self, code: list[cfg.Ins]) -> None:
        moved = _stores_to_move(code)
        late: dict[int, tuple[cfg.Imm, cfg.Ins]] = {}
        for at, ins in enumerate(code):
            if at in moved:
                number = self.name("move-store", ins)
                late[moved[at]] = number, ins
                self.either(number, [ins], [])
            else:
                self._instruction(ins, code)
            if at in late:
                number, store = late[at]
                self.either(number, [], [_again(store)])

    def _instruction(self, ins: cfg.Ins, code: list[cfg.Ins]) -> None:
        callee = _callee(ins)
        if isinstance(ins, cfg.Fence) and ins.order != "compiler":
            self.either(self.name("drop-fence", ins), [ins], [])
        elif isinstance(ins, cfg.Atomic) and ins.op in _RMW:
            self._read_modify_write(ins)
        elif isinstance(ins, cfg.Atomic) and ins.op == "store" and ins.order == "seq_cst":
            weak = cfg.Atomic(ins.at, None, "store", ins.mem, ins.ty, ins.args, "release")
            self.either(self.name("weaken-order", ins), [ins], [weak])
        elif isinstance(ins, cfg.Branch) and self._is_check(ins, code):
            for target in self._rechecked(ins):
                here, rest = self.awake(self.name("skip-recheck", ins), ins.at), self.block("rest")
                self.out.code.append(cfg.Branch(ins.at, here, target, rest, likely=False))
                self.enter(rest)
            self.out.code.append(ins)
        elif isinstance(ins, cfg.Call) and callee in self.pairs:
            self.pairs[callee].taken(ins)
        elif isinstance(ins, cfg.Call) and any(PAIRS[p] == callee for p in self.pairs):
            next(p for p in self.pairs.values() if PAIRS[p.symbol] == callee).given(ins)
        elif isinstance(ins, cfg.Call) and callee in _FORGET:
            self.left_out([self.name(_FORGET[callee], ins)], ins)
        else:
            self.out.code.append(ins)

    def _read_modify_write(self, ins: cfg.Atomic) -> None:
        """Its parts one after the other; and a comparison that is not made."""
        at, ty = ins.at, ins.ty
        old = self.reg(ty)
        load = cfg.Atomic(at, old, "load", ins.mem, ty, [], "acquire")
        slot = self.slot(ins.dest.ty) if ins.dest is not None else None
        store = lambda value: cfg.Atomic(  # noqa: E731
            at, None, "store", ins.mem, ty, [value], "release")
        split, sound, join = (self.block(word) for word in ("split", "sound", "join"))
        number = self.name("split-rmw", ins)
        self.out.code.append(cfg.Branch(at, self.awake(number, at), split, sound, likely=False))
        self.enter(split)
        self.out.code.append(load)
        if ins.op in ("cas", "cas_value"):
            equal, write, skip = self.reg(types.BOOL), self.block("write"), self.block("skip")
            self.out.code.append(cfg.Compare(at, equal, "eq", old, ins.args[0]))
            self._keep(at, slot, equal if ins.op == "cas" else old)
            self.out.code.append(cfg.Branch(at, equal, write, skip))
            self.enter(write)
            self.out.code += [store(ins.args[1]), cfg.Jump(at, join)]
            self.enter(skip)
        else:
            value: cfg.Operand = ins.args[0]
            if ins.op != "swap":
                value = self.reg(ty)
                self.out.code.append(cfg.Binary(at, value, ins.op, old, ins.args[0]))
            self.out.code.append(store(value))
            self._keep(at, slot, old)
        self.out.code.append(cfg.Jump(at, join))
        self.enter(sound)
        if ins.op in ("cas", "cas_value"):
            blind, whole = self.block("blind"), self.block("whole")
            here = self.awake(self.name("blind-cas", ins), at)
            self.out.code.append(cfg.Branch(at, here, blind, whole, likely=False))
            self.enter(blind)
            self.out.code.append(cfg.Atomic(at, None, "store", ins.mem, ty, [ins.args[1]],
                                            "seq_cst"))
            self._keep(at, slot, cfg.Imm(types.BOOL, 1) if ins.op == "cas" else ins.args[0])
            self.out.code.append(cfg.Jump(at, join))
            self.enter(whole)
        copy = self.reg(ins.dest.ty) if ins.dest is not None else None
        self.out.code.append(cfg.Atomic(at, copy, ins.op, ins.mem, ty, ins.args, ins.order))
        if copy is not None:
            self._keep(at, slot, copy)
        self.out.code.append(cfg.Jump(at, join))
        self.enter(join)
        if slot is not None:
            self.out.code.append(cfg.Load(at, ins.dest, _whole(slot)))

    def _keep(self, at: cfg.At, slot: cfg.Slot | None, value: cfg.Operand) -> None:
        if slot is not None:
            self.out.code.append(cfg.Store(at, _whole(slot), value))

    def _is_check(self, ins: cfg.Branch, code: list[cfg.Ins]) -> bool:
        """Whether it decides on what others may change: no assertion, no inlined loop."""
        if ins.at.loc.source is not self.function.source.loc.source:
            return False
        if any(target.code and isinstance(target.code[-1], cfg.Unreachable)
               for target in (ins.then, ins.other)):
            return False
        made = {reg.number: other for other in code for reg in cfg.defs(other)}
        todo, shared = [ins.cond], False
        while todo:
            operand = todo.pop()
            source = made.get(operand.number) if isinstance(operand, cfg.Reg) else None
            if isinstance(source, cfg.Call):
                callee = _callee(source) or ""
                if callee.startswith(f"{LWKT}ktr."):
                    return False
                shared = shared or not callee.endswith(".curthread")
            elif isinstance(source, cfg.Atomic):
                shared = True
            elif isinstance(source, cfg.Load):
                shared = shared or not isinstance(source.mem.base, cfg.Slot | cfg.Data)
            elif source is not None:
                todo += cfg.uses(source)
        return shared

    def _rechecked(self, ins: cfg.Branch) -> list[cfg.Block]:
        """Where to go instead of looking: out of the loop, or either way after an interlock."""
        again = [self._reaches(target, ins) for target in (ins.then, ins.other)]
        if again[0] != again[1]:
            return [ins.other if again[0] else ins.then]
        if not any(again) and self.interlock and ins.at.loc.line > self.interlock:
            return [ins.then, ins.other]
        return []

    def _reaches(self, block: cfg.Block, ins: cfg.Branch) -> bool:
        """Whether control can come from `block`, as it was before the change, to `ins`."""
        todo, seen = [id(block)], {id(block)}
        while todo:
            last, following = self.before[todo.pop()]
            if last is ins:
                return True
            for other in following:
                if id(other) not in seen:
                    seen.add(id(other))
                    todo.append(id(other))
        return False

    # ---- making both

    def name(self, operator: str, ins: cfg.Ins) -> cfg.Imm:
        """A new mutant; gives its number."""
        kind = f"{operator} {self.function.source.symbol}"
        self.counts[kind] += 1
        mutant = cfg.Mutant(f"{kind} #{self.counts[kind]}", ins.at)
        self.module.mutants.append(mutant)
        return cfg.Imm(types.U32, number_of(mutant.name))

    def awake(self, number: cfg.Imm, at: cfg.At) -> cfg.Reg:
        result = self.reg(types.BOOL)
        self.out.code.append(cfg.Runtime(at, result, "kpy.hook.mutant", [number]))
        return result

    def either(self, number: cfg.Imm, sound: list[cfg.Ins], mutant: list[cfg.Ins]) -> None:
        """Code without results, or that of a mutant."""
        at = (sound or mutant)[0].at
        self.choose(at, [number], sound, mutant)

    def left_out(self, numbers: list[cfg.Imm], call: cfg.Call) -> None:
        """A call, or none and zeros for its results."""
        at = call.at
        inner = cfg.Call(at, None, None, call.callee, call.signature, call.args, call.into,
                         call.function)
        sound: list[cfg.Ins] = [inner]
        mutant: list[cfg.Ins] = []
        after: list[cfg.Ins] = []
        for field in ("dest", "code"):
            reg = getattr(call, field)
            if reg is None:
                continue
            slot, copy = self.slot(reg.ty), self.reg(reg.ty)
            setattr(inner, field, copy)
            sound.append(cfg.Store(at, _whole(slot), copy))
            pair = isinstance(reg.ty, types.SliceType | types.TupleType)
            mutant.append(cfg.Store(at, _whole(slot),
                                    cfg.ZeroValue(reg.ty) if pair else cfg.Imm(reg.ty, 0)))
            after.append(cfg.Load(at, reg, _whole(slot)))
        self.choose(at, numbers, sound, mutant)
        self.out.code += after

    def choose(self, at: cfg.At, numbers: list[cfg.Imm], sound: list[cfg.Ins],
               mutant: list[cfg.Ins]) -> None:
        """`mutant` if one of the numbers is awake, else `sound`."""
        wrong, join = self.block("mutant"), self.block("join")
        for number in numbers:
            right = self.block("sound")
            self.out.code.append(cfg.Branch(at, self.awake(number, at), wrong, right,
                                            likely=False))
            self.enter(right)
        self.out.code += [*sound, cfg.Jump(at, join)]
        self.enter(wrong)
        self.out.code += [*mutant, cfg.Jump(at, join)]
        self.enter(join)

    def block(self, word: str) -> cfg.Block:
        self.splits += 1
        return cfg.Block(f"{word}.m{self.splits}")

    def enter(self, block: cfg.Block) -> None:
        self.blocks.append(block)
        self.out = block

    def reg(self, ty: types.Type) -> cfg.Reg:
        self.registers += 1
        return cfg.Reg(self.registers - 1, ty)

    def slot(self, ty: types.Type) -> cfg.Slot:
        made = cfg.Slot(".mutant", ty, number=len(self.function.slots))
        self.function.slots.append(made)
        return made


class Wanted:
    """A kind of lock that a function takes and lets go of, perhaps in several places."""

    def __init__(self, work: _Function, symbol: str) -> None:
        self.work, self.symbol = work, symbol
        self.never: cfg.Imm | None = None
        self.early: list[cfg.Imm] = []
        self.release = next(
            ins for block in work.function.blocks for ins in block.code
            if isinstance(ins, cfg.Call) and _callee(ins) == PAIRS[symbol])

    def taken(self, call: cfg.Call) -> None:
        """Not at all; or let go of in the next instruction."""
        if self.never is None:
            self.never = self.work.name("no-lock", call)
            self.early = [self.work.name("release-early", call)]
        self.work.left_out([self.never], call)
        model = self.release
        dest = self.work.reg(model.dest.ty) if model.dest is not None else None
        again = cfg.Call(call.at, dest, None, model.callee, model.signature, call.args, None,
                         model.function)
        self.work.choose(call.at, self.early, [], [again])

    def given(self, call: cfg.Call) -> None:
        if self.never is None:              # let go of before it is taken: another's
            self.work.out.code.append(call)
        else:
            self.work.left_out([self.never, *self.early], call)


def number_of(name: str) -> int:
    """The number of a mutant, which is never 0."""
    return zlib.crc32(name.encode()) | 1 << 31


def _callee(ins: cfg.Ins) -> str | None:
    if isinstance(ins, cfg.Call) and ins.function is not None:
        return ins.function.symbol
    return None


def _is_interlock(ins: cfg.Ins) -> bool:
    if isinstance(ins, cfg.Fence):
        return ins.order == "seq_cst"
    return _callee(ins) in (f"{LWKT}sleepq.tsleep_interlock", f"{LWKT}mutex.lock",
                            f"{LWKT}spin.trylock", f"{MACHINE}intr_disable")


def _whole(slot: cfg.Slot) -> cfg.Mem:
    return cfg.Mem(slot, 0, slot.ty.align)


def _again(ins: cfg.Ins) -> cfg.Ins:
    """The same store once more."""
    if isinstance(ins, cfg.Store):
        return cfg.Store(ins.at, ins.mem, ins.value, ins.volatile)
    assert isinstance(ins, cfg.Atomic)
    return cfg.Atomic(ins.at, None, ins.op, ins.mem, ins.ty, ins.args, ins.order)


def _stores_to_move(code: list[cfg.Ins]) -> dict[int, int]:
    """Of each release in a block: the last store before it, and where the release is."""
    return dict(_pairs_to_move(code))


def _pairs_to_move(code: list[cfg.Ins]) -> Iterator[tuple[int, int]]:
    last = -1
    for at, ins in enumerate(code):
        release = (isinstance(ins, cfg.Fence) and ins.order == "seq_cst") or (
            isinstance(ins, cfg.Atomic) and ins.op != "load" and ins.order in _RELEASES) or (
            (callee := _callee(ins)) is not None and (
                callee in _LOCKS or _FORGET.get(callee) in _SENDS))
        if release and last >= 0:
            yield last, at
        if (isinstance(ins, cfg.Store) and not isinstance(ins.mem.base, cfg.Slot)) or (
                isinstance(ins, cfg.Atomic) and ins.op == "store"):
            last = last if ins.mem.percpu else at
        elif release or isinstance(ins, cfg.Call):
            last = -1
