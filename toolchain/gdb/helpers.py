# SPDX-License-Identifier: BSD-3-Clause
"""Commands and printers for gdb attached to a Damselfly guest.  gdb sources this file.

    lwkt threads        all threads of all CPUs, running or not
    lwkt bt THREAD      the stack of a thread: its number in `lwkt threads`, name or address
    lwkt cpus           each CPU: what runs, what is pending
    tokens              tokens that threads hold or want
    ipiq                messages between CPUs: waiting, sent, received
    msgs                messages queued at ports of threads
    slabs               kmalloc zones and usage by type, of each CPU

Str, Slice[u8], lists (TailQueue) and their elements are shown by their contents.  Everything works
on a stopped guest and writes nothing to it, but for registers during `lwkt bt`, which are put back.

Tests  tests/qemu/test_gdb_helpers.py
"""
from __future__ import annotations

import json
from collections.abc import Iterator

import gdb

HAVE_ALL = 0xFFFFFFFF
EXCLUSIVE = 1
SAVED = ("r15", "r14", "r13", "r12", "rbx", "rbp")      # what switch_stack() pushed, lowest first
WORD = 8
LONGEST = 100_000                                        # elements of a list: beyond, it is damaged


# ---- reading the kernel -------------------------------------------------------------------------

def variable(module: str, name: str) -> gdb.Value:
    """A module's variable; the error names what is missing."""
    path = module.replace(".", "/") + ".py"
    return gdb.parse_and_eval(f"'{path}'::{name}")


def cpus() -> Iterator[tuple[int, gdb.Value]]:
    """(number, Globaldata) of each CPU that is known."""
    pointers = variable("kernel.lwkt.globaldata", "cpus")
    low, high = pointers.type.range()
    for number in range(low, high + 1):
        if int(pointers[number]) == 0:
            return
        yield number, pointers[number].dereference()


def elements(queue: gdb.Value) -> Iterator[gdb.Value]:
    """The elements of a TailQueue[T, link], from the front."""
    link = queue.type.strip_typedefs().name.rpartition(", ")[2].rstrip("]")
    at = queue["first"]
    for _ in range(LONGEST):
        if int(at) == 0:
            return
        yield at.dereference()
        at = at.dereference()[link]["next"]
    raise gdb.GdbError("the list does not end: damaged, or changed while it was read")


def threads() -> Iterator[tuple[int, gdb.Value]]:
    """(cpu, Thread) of all threads."""
    for number, gd in cpus():
        for td in elements(gd["tdallq"]):
            yield number, td


def text(value: gdb.Value) -> str:
    """A Str, Slice[u8] or zero-padded array of bytes."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_ARRAY:
        low, high = kind.range()
        data = bytes(int(value[i]) for i in range(low, high + 1)).split(b"\0")[0]
    else:
        length = min(int(value["len"]), 4096)
        if length == 0:
            return ""
        data = bytes(gdb.selected_inferior().read_memory(int(value["ptr"]), length))
    return data.decode("utf-8", "replace")


def flags(td: gdb.Value) -> str:
    return str(td["flags"]).strip("()").replace(" | ", "|")


def has(td: gdb.Value, name: str) -> bool:
    return name in flags(td).split("|")


def state(td: gdb.Value) -> str:
    """As the kernel's own debugger says it (kernel/ddb/show.py)."""
    for flag, word in (("RUNNING", "run"), ("PREEMPT_LOCK", "preempted"),
                       ("MIGRATING", "migrating")):
        if has(td, flag):
            return word
    if has(td, "RUNQ"):
        return "tokens" if int(td["toks_stop"]) else "ready"
    for flag, word in (("TSLEEPQ", "sleep"), ("EXITING", "exited"), ("BLOCKED", "blocked")):
        if has(td, flag):
            return word
    return "idle"


def place(address: int) -> str:
    """`function file:line` of a code address."""
    found = gdb.find_pc_line(address)
    block = gdb.block_for_pc(address)
    while block is not None and block.function is None:
        block = block.superblock
    name = block.function.name if block is not None else hex(address)
    return f"{name} {found.symtab.filename}:{found.line}" if found.symtab else name


# ---- commands -----------------------------------------------------------------------------------

class Lwkt(gdb.Command):
    """Threads of all CPUs: `lwkt threads`, `lwkt bt THREAD`, `lwkt cpus`."""

    def __init__(self) -> None:
        super().__init__("lwkt", gdb.COMMAND_STATUS, prefix=True)


class Threads(gdb.Command):
    """lwkt threads: all threads of all CPUs, also those that do not run."""

    def __init__(self) -> None:
        super().__init__("lwkt threads", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        print("  #  cpu  thread              pri  state      crit  tokens  name             waits for")
        for number, (cpu, td) in enumerate(threads()):
            print(f"{number:>3}  {cpu:>3}  {int(td.address):#018x}  {int(td['pri']):>3}  "
                  f"{state(td):<9}  {int(td['critcount']):>4}  {int(td['toks_stop']):>6}  "
                  f"{text(td['name']):<15}  {text(td['wmesg'])}")


class Backtrace(gdb.Command):
    """lwkt bt THREAD: the stack of a thread, by number, name or address."""

    def __init__(self) -> None:
        super().__init__("lwkt bt", gdb.COMMAND_STACK)

    def invoke(self, argument: str, from_tty: bool) -> None:
        cpu, td = self._find(argument.strip())
        print(f"{text(td['name'])} of CPU {cpu}: {state(td)}")
        current = gdb.selected_thread()
        runs = [t for t in gdb.selected_inferior().threads() if t.num == cpu + 1]
        try:
            if has(td, "RUNNING") and runs:
                runs[0].switch()
                gdb.execute("bt")
            else:
                self._walk(int(td["sp"]))
        finally:
            if current is not None and current.is_valid():
                current.switch()

    def _find(self, wanted: str) -> tuple[int, gdb.Value]:
        if not wanted:
            raise gdb.GdbError("which thread?  `lwkt threads` lists them")
        for number, (cpu, td) in enumerate(threads()):
            if wanted in (str(number), text(td["name"])) or (
                    wanted.startswith("0x") and int(wanted, 16) == int(td.address)):
                return cpu, td
        raise gdb.GdbError(f"there is no thread `{wanted}`; `lwkt threads` lists them")

    def _walk(self, sp: int) -> None:
        """Let gdb unwind from what switch_stack() saved at `sp`; then put the registers back."""
        memory = gdb.selected_inferior().read_memory(sp, WORD * (len(SAVED) + 1))
        words = [int.from_bytes(memory[i * WORD:(i + 1) * WORD], "little")
                 for i in range(len(SAVED) + 1)]
        wanted = dict(zip(SAVED, words, strict=False))
        wanted["rip"] = words[len(SAVED)]
        wanted["rsp"] = sp + WORD * (len(SAVED) + 1)
        gdb.newest_frame().select()
        kept = {name: int(gdb.parse_and_eval(f"(unsigned long)${name}")) for name in wanted}
        try:
            for name, value in wanted.items():
                gdb.execute(f"set ${name} = {value:#x}", to_string=True)
            gdb.execute("bt")
        finally:
            for name, value in kept.items():
                gdb.execute(f"set ${name} = {value:#x}", to_string=True)


class Cpus(gdb.Command):
    """lwkt cpus: each CPU: the thread it runs, what is pending, its counters."""

    def __init__(self) -> None:
        super().__init__("lwkt cpus", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        print("cpu  runs             reqflags  nesting  spinlocks  ready  switches  preempted")
        for cpu, gd in cpus():
            print(f"{cpu:>3}  {text(gd['curthread'].dereference()['name']):<15}  "
                  f"{int(gd['reqflags']):#8x}  {int(gd['intr_nesting_level']):>7}  "
                  f"{int(gd['spinlocks']):>9}  {int(gd['tdrunqcount']):>5}  "
                  f"{int(gd['counters']['switch_count']):>8}  "
                  f"{int(gd['counters']['preempt_hit']):>9}")


class Tokens(gdb.Command):
    """tokens: every token that a thread holds or wants."""

    def __init__(self) -> None:
        super().__init__("tokens", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        print("token               name          shared  exclusive  collisions  thread")
        for cpu, td in threads():
            have = int(td["toks_have"])
            for i in range(int(td["toks_stop"])):
                pointer = td["toks"][i]["tok"]
                if int(pointer) == 0:
                    continue
                token, count = pointer.dereference(), int(pointer.dereference()["count"])
                holds = ((have == HAVE_ALL or i < have)
                         and (has(td, "RUNNING") or has(td, "PREEMPT_LOCK")))
                print(f"{int(pointer):#018x}  {text(token['name']):<12}  {count >> 2:>6}  "
                      f"{'yes' if count & EXCLUSIVE else 'no':<9}  {int(token['collisions']):>10}  "
                      f"{text(td['name'])} of CPU {cpu} {'holds' if holds else 'wants'} it")


class Ipiq(gdb.Command):
    """ipiq: messages between CPUs: what waits in each queue, and what went through."""

    def __init__(self) -> None:
        super().__init__("ipiq", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        known = list(cpus())
        for cpu, gd in known:
            counters = gd["counters"]
            print(f"cpu {cpu}: sent {int(counters['ipiq_sent'])}, received "
                  f"{int(counters['ipiq_received'])}, full {int(counters['ipiq_fifofull'])}, "
                  f"doorbells saved {int(counters['ipiq_avoided'])}, npoll {int(gd['npoll'])}")
            for target, _ in known:
                queue = gd["ipiq"]["ptr"][target]
                at, end = int(queue["rindex"]), int(queue["windex"])
                while at != end:
                    slot = queue["slots"][at & (int(queue["depth"]) - 1)]
                    print(f"    to cpu {target}: {place(int(slot['func']))}"
                          f"({int(slot['arg1']):#x}, {int(slot['arg2']):#x})")
                    at = (at + 1) & 0xFFFFFFFF


class Msgs(gdb.Command):
    """msgs: messages queued at the ports of threads."""

    def __init__(self) -> None:
        super().__init__("msgs", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        print("port of          message             command  flags")
        for cpu, td in threads():
            for queue in ("priority", "normal"):
                for msg in elements(td["msgport"][queue]):
                    print(f"{text(td['name']):<15}  {int(msg.address):#018x}  "
                          f"{int(msg['command']):>7}  {msg['flags']}")


class Slabs(gdb.Command):
    """slabs: kmalloc's zones of each CPU, and what each type of memory uses."""

    def __init__(self) -> None:
        super().__init__("slabs", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        self._types()
        print("cpu  chunk  zones  in use  never used")
        for cpu, _ in cpus():
            slab = variable("kernel.mem.slab", "slabs")[cpu].dereference()
            low, high = slab["zones"].type.range()
            for index in range(low, high + 1):
                zones = list(elements(slab["zones"][index]))
                if zones:
                    print(f"{cpu:>3}  {int(zones[0]['chunk_size']):>5}  {len(zones):>5}  "
                          f"{sum(int(z['nused']) for z in zones):>6}  "
                          f"{sum(int(z['unused']) for z in zones)}")

    def _types(self) -> None:
        kinds = variable("kernel.mem.malloc_type", "types")
        each = [variable("kernel.mem.malloc_type", "cpu_uses")[n].dereference()
                for n, _ in cpus()]
        print("type             bytes       allocations  ever")
        low, high = kinds.type.range()
        for index in range(low, high + 1):
            if int(kinds[index]) == 0:
                continue
            uses = [use[index] for use in each]
            total = {name: sum(int(use[name]) for use in uses) % (1 << 64)
                     for name in ("memuse", "calls", "frees")}
            print(f"{text(kinds[index]['name']):<15}  {total['memuse']:<10}  "
                  f"{total['calls'] - total['frees']:<11}  {total['calls']}")


# ---- printers -----------------------------------------------------------------------------------

class TextPrinter:
    """Str and Slice[u8]: the text."""

    def __init__(self, value: gdb.Value) -> None:
        self.value = value

    def to_string(self) -> str:
        return json.dumps(text(self.value), ensure_ascii=False)


class ListPrinter:
    """TailQueue: its elements."""

    def __init__(self, value: gdb.Value) -> None:
        self.value = value

    def to_string(self) -> str:
        return self.value.type.strip_typedefs().name

    def children(self) -> Iterator[tuple[str, gdb.Value]]:
        for number, item in enumerate(elements(self.value)):
            yield f"[{number}]", item.address

    def display_hint(self) -> str:
        return "array"


def printer(value: gdb.Value) -> object | None:
    name = value.type.strip_typedefs().name or ""
    if name in ("Str", "Slice[u8]"):
        return TextPrinter(value)
    if name.startswith("TailQueue["):
        return ListPrinter(value)
    return None


gdb.pretty_printers.append(printer)
for command in (Lwkt, Threads, Backtrace, Cpus, Tokens, Ipiq, Msgs, Slabs):
    command()
