# SPDX-License-Identifier: BSD-3-Clause
"""From source files to an image: each module through the passes, what is cached left out.

    scan     what does each file import, and has anything it depends on changed?
    compile  check -> lower -> LLVM, a module at a time; LLVM in worker processes
    effects  over all modules, cached summaries included
    tables   the sorted tables of @syscall, @driver, @sysinit
    link     our linker, then checks on the image

dev      an object a module, O1, checks of overflow; cached
release  one object of the whole program, O2 (one object in any mode for the target host)

Tests     tests/toolchain/test_build.py
"""
from __future__ import annotations

import hashlib
import re
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from toolchain import cache
from toolchain.backend import asm, data, llvm
from toolchain.backend.worker import Failure, Job, Pool, Result
from toolchain.cache import Cache, Scan
from toolchain.diagnostics import Diagnostic, Sink
from toolchain.frontend import effects, keeping, tree
from toolchain.frontend.check import Context, check_module
from toolchain.frontend.effects import ModuleEffects
from toolchain.frontend.modules import ModuleDecl, Program
from toolchain.link.errors import LinkError
from toolchain.lower.lower import lower_module
from toolchain.options import RELEASE, Options

RECURSION = 12_000       # passes recurse over syntax trees of at most NESTING_LIMIT levels
STACK_BYTES = 512 << 20
Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class Compiled:
    """A module after LLVM.  In release `ir` stands for the object, which is made of all."""

    name: str
    effects: ModuleEffects
    warnings: list[Diagnostic] = field(default_factory=list)
    object: bytes = b""
    ir: str = ""
    frames: dict[str, int] = field(default_factory=dict)
    probes: list[asm.Probe] = field(default_factory=list)
    functions: frozenset[str] = frozenset()      # the linker's names of all its functions
    exported: frozenset[str] = frozenset()       # those that something outside may call
    assembly: bool = False                       # nothing but assembly: an object of its own


_NAMES = re.compile(r"[A-Za-z_][\w.]*")      # what file-level assembly may mention
_TWICE = re.compile(r"symbol '(.*)' is already defined")             # LLVM's assembler says


@dataclass(slots=True)
class Stats:
    """Where the time went, in seconds, and how much was done."""

    seconds: dict[str, float] = field(default_factory=dict)
    modules: int = 0
    compiled: int = 0
    lines: int = 0

    def lap(self, name: str, since: float) -> float:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - since
        return now


class Builder:
    """One build: `roots` are where modules are looked for."""

    def __init__(self, options: Options, roots: list[Path], sink: Sink, *,
                 folder: Path | None = None, progress: Progress | None = None,
                 binding: dict[str, str] | None = None, jobs: int | None = None) -> None:
        self.options, self.sink = options, sink
        self.program = Program(roots, sink, binding)
        self.cache = Cache(folder)
        self.progress = progress or (lambda done, of, name: None)
        self.pool = Pool(jobs)
        self.context = Context(self.program)
        self.stats = Stats()
        self.single = options.mode == RELEASE or options.target == "host"
        self._reached: dict[str, str] = {}          # module -> digest of all that it imports
        self._scans: dict[str, tuple[Scan, Path, str] | None] = {}   # with the contents' hash

    # ---- checking only --------------------------------------------------------------------------

    def check(self, paths: list[Path]) -> list[tree.Module]:
        """The typed trees of `paths` and all they import; diagnostics are in the sink."""
        start = [m for m in (self.program.add_file(p) for p in paths) if m is not None]
        modules = [check_module(self.context, m) for m in self.program.closure(start)]
        if not self.sink.errors:
            summaries = [effects.summarize(m) for m in modules]
            self._whole_program(summaries, whole=False)
        return modules

    def _whole_program(self, summaries: list[ModuleEffects], whole: bool) -> effects.Program:
        effects.check_bindings(summaries, self.sink, whole)
        graph = effects.Program(summaries, self.sink)
        graph.check_blocking()
        graph.check_raising(whole)
        graph.check_recursion()
        keeping.check(graph)
        return graph

    # ---- compiling ------------------------------------------------------------------------------

    def compile(self, paths: list[Path], *, whole: bool = True) -> list[Compiled]:
        """Every module of the program, compiled.  Empty after an error.

        whole: all of the program is here: each upcall must be implemented.
        """
        started = time.perf_counter()
        order = self._scan_all(paths)
        self.stats.modules = len(order)
        started = self.stats.lap("scan", started)
        if self.sink.errors:
            self.check(paths)                   # what else is wrong, in the same run
            return []
        done = self._compile_all(order)
        started = self.stats.lap("compile", started)
        if not self.sink.errors:
            for compiled in done:
                for made in compiled.effects.functions:
                    made.frame = compiled.frames.get(made.export or made.symbol, made.frame)
            graph = self._whole_program([c.effects for c in done], whole)
            if whole and not self.single:
                graph.check_stack()
            self.stats.lap("effects", started)
        for compiled in done:
            for warning in compiled.warnings:
                self.sink.report(warning)
        self.cache.trim()
        return done if not self.sink.errors else []

    def keys(self, paths: list[Path]) -> list[str]:
        """A key of each module of the program: together they decide what compile() makes."""
        return [self._object_key(name) for name in self._scan_all(paths)]

    def objects(self, done: list[Compiled], keep: frozenset[str]) -> list[tuple[str, bytes]]:
        """(name, bytes) of the objects to link, the tables' among them.

        In release only `keep`, @export functions and entry points are visible outside.
        """
        keep = keep.union(*(c.exported for c in done))
        out: list[tuple[str, bytes]] = []
        texts: list[str | bytes] = []
        entries = [tree.TableEntry(e.table, e.key, e.name, e.unique, e.data, e.symbol,
                                   effects.locate(e.spot))
                   for c in done for e in c.effects.entries]
        names = {n for c in done for n in c.effects.tables}
        tables = data.tables_ir(entries, self.options.target, sorted(names)) if (
            names or entries) else ""
        if self.single:
            alone = [c for c in done if c.assembly]
            together = [c for c in done if not c.assembly]
            texts = [c.ir for c in together] + ([tables] if tables else [])
            probes = [p for c in together for p in c.probes]
            made, frames = self._emit(Job("program", texts, self.options.target,
                                          self.options.opt_level, keep=keep, probes=probes))
            self._check_stack(done, frames)
            out.append(("program", made))
            out += [(c.name, self._emit(Job(c.name, [c.ir], self.options.target, 1,
                                            probes=c.probes))[0]) for c in alone]
        else:
            out = [(c.name, c.object) for c in done]
            if tables:
                made, _ = self._emit(Job("kpy.tables", [tables], self.options.target, 1))
                out.append(("kpy.tables", made))
        return out if not self.sink.errors else []

    def _emit(self, job: Job) -> tuple[bytes, dict[str, int]]:
        """The object of a job, and its functions' frames."""
        key = cache.digest("emit", cache.compiler_digest(), job.name, job.target, str(job.opt),
                           *sorted(job.keep or ()), "", *map(str, job.modules))
        found = self.cache.get(key)
        if found is None:
            result = self.pool.compile([job])[0]
            if result.failure is not None:
                self._failed(result.failure, result.name)
            found = result.object, result.frames
            if not self.sink.errors:
                self.cache.put(key, found)
        return found

    def _check_stack(self, done: list[Compiled], frames: dict[str, int]) -> None:
        """The stack of a program compiled whole; what was inlined has no frame of its own."""
        for compiled in done:
            for made in compiled.effects.functions:
                made.frame = frames.get(made.export or made.symbol, 0)
        effects.Program([c.effects for c in done], self.sink).check_stack()

    # ---- scanning -------------------------------------------------------------------------------

    def _scan_all(self, paths: list[Path]) -> list[str]:
        """The names of all modules of the program, each after what it imports."""
        names = []
        for path in paths:
            name = self.program.name_of(path)
            self.program.pin(name, path)
            names.append(name)
        order: list[str] = []
        seen: set[str] = set()
        stack: list[tuple[str, bool]] = [(n, False) for n in reversed(names)]
        while stack:
            name, finished = stack.pop()
            if finished:
                order.append(name)
                continue
            if name in seen:
                continue
            seen.add(name)
            scan = self._scan(name)
            if scan is None:
                continue
            stack.append((name, True))
            stack.extend((n, False) for n in reversed(scan.imports) if n not in seen)
        self._reached = self._digests(order)
        return order

    def _scan(self, name: str) -> Scan | None:
        if name in self._scans:
            found = self._scans[name]
            return found[0] if found else None
        path = self.program.find(name)
        self._scans[name] = None
        if path is None:
            return None
        try:
            contents = path.read_bytes()
        except OSError:
            contents = b""
        source = hashlib.sha256(contents).hexdigest()
        bound = sorted(self.program.binding.items())        # what the names of imports mean
        key = cache.digest("scan", cache.compiler_digest(), name, str(path), source, str(bound))
        scan = self.cache.get(key)
        if scan is None:
            module = self.program.load(name)
            if module is None:
                return None
            imports = list(dict.fromkeys(t for t, _ in self.program.imports(module)))
            scan = Scan(name, imports, cache.interface_digest(module))
            if not self.sink.errors:
                self.cache.put(key, scan)
        self.stats.lines += contents.count(b"\n")
        self._scans[name] = (scan, path, source)
        return scan

    def _object_key(self, name: str) -> str:
        """The key of a module's object (C2)."""
        found = self._scans[name]
        assert found is not None
        _, path, source = found
        return cache.digest("object", cache.compiler_digest(), self.options.key(), name,
                            str(path), source, self._reached[name])

    def _digests(self, order: list[str]) -> dict[str, str]:
        """For each module a digest of its own interface and of all that its imports reach.

        Modules that import each other have one.  One pass: of what is imported, the digest is
        known already.
        """
        scans = {name: scan for name in order if (scan := self._scan(name)) is not None}
        digests: dict[str, str] = {}
        for group in effects.strongly_connected({n: s.imports for n, s in scans.items()}):
            own = [f"{name}={scans[name].interface}" for name in sorted(group)]
            below = {digests.get(other, f"{other}=") for name in group
                     for other in scans[name].imports if other not in group}
            digest = cache.digest("reached", *own, *sorted(below))
            digests.update(dict.fromkeys(group, digest))
        return digests

    # ---- one module after the other -------------------------------------------------------------

    def _compile_all(self, order: list[str]) -> list[Compiled]:
        done: dict[str, Compiled] = {}
        missing: list[tuple[str, str]] = []
        for name in order:
            key = self._object_key(name)
            found = self.cache.get(key)
            if found is not None:
                done[name] = found
            else:
                missing.append((name, key))
        self.stats.compiled = len(missing)
        modules = [m for m in (self.program.load(n) for n, _ in missing) if m is not None]
        self.program.closure(modules)                  # reports import cycles
        futures: list[tuple[str, Compiled, Future[list[Result]] | None]] = []
        with ThreadPoolExecutor(self.pool.size) as executor:
            for number, (name, key) in enumerate(missing):
                self.progress(number, len(missing), name)
                module = self.program.load(name)
                made = self._front(module) if module is not None else None
                if made is None:
                    continue
                compiled, job = made
                future = executor.submit(self.pool.compile, [job]) if job is not None else None
                futures.append((key, compiled, future))
            for key, compiled, future in futures:
                if future is not None:
                    self._finish(compiled, future.result()[0])
                if not self.sink.errors:
                    self.cache.put(key, compiled)
                done[compiled.name] = compiled
        self.progress(len(missing), len(missing), "")
        return [done[n] for n in order if n in done]

    def _front(self, module: ModuleDecl) -> tuple[Compiled, Job | None] | None:
        """Check and lower one module; None after an error anywhere."""
        before = len(self.sink.diagnostics)
        typed = check_module(self.context, module)
        if self.sink.errors:
            return None
        graph = lower_module(typed, self.options)
        text = llvm.emit_module(graph, self.options)
        warnings = self.sink.diagnostics[before:]
        compiled = Compiled(module.name, effects.summarize(typed), warnings)
        compiled.functions = frozenset(f.attrs.export or f.symbol for f in typed.functions)
        compiled.exported = frozenset(
            f.attrs.export or f.symbol for f in typed.functions
            if f.attrs.entry_stack or (f.attrs.export and f.attrs.export not in typed.implements))
        compiled.exported |= {name for block in typed.asm for name in _NAMES.findall(block.text)}
        compiled.assembly = typed.assembly_alone and self.options.target != "host"
        compiled.probes = asm.probes(graph, self.options.target)
        if self.single:
            compiled.ir = text
            return compiled, None
        return compiled, Job(module.name, [text], self.options.target, self.options.opt_level,
                             probes=compiled.probes)

    def _finish(self, compiled: Compiled, result: Result) -> None:
        if result.failure is not None:
            self._failed(result.failure, compiled.name)
        compiled.object, compiled.frames = result.object, result.frames
        compiled.probes = []

    def _failed(self, failure: Failure, name: str) -> None:
        if failure.kind == "asm" and failure.probe is not None:
            probe = failure.probe
            spot = (probe.path, probe.line, probe.col, probe.end_line, probe.end_col)
            self.sink.error("K0804", effects.locate(spot), f"this assembly is wrong: "
                            f"{failure.message}", help="templates are AT&T syntax: source first, "
                            "registers with %")
            return
        if failure.kind == "link":
            self.sink.error("K0902", None, f"in `{name}`: {failure.message.strip()}",
                            help="rename one of the two, or leave one of their @export out")
            return
        twice = _TWICE.search(failure.message)
        if twice is not None:
            self.sink.error("K0902", None, f"in `{name}`: `{twice[1]}` is defined twice",
                            help="rename one of the two; assembly in functions may be repeated: "
                            "its labels are numbers, `1:`, and `jmp 1b`")
            return
        self.sink.error("K1002", None, f"LLVM refused what the compiler made of `{name}` "
                        f"({failure.kind})", notes=((failure.message.strip()[:2000], None),),
                        help="this is a defect of kpyc: please report it with the source")

    def close(self) -> None:
        """Let the workers go."""
        self.pool.close()


def report_link(error: LinkError, sink: Sink) -> None:
    """A linker's problems as diagnostics."""
    for problem in error.problems:
        notes = [(note, None) for note in problem.notes]
        if problem.place:
            notes.insert(0, (f"at {problem.place}", None))
        sink.report(Diagnostic(problem.code, problem.message, None, "", notes, problem.help))


def with_deep_stack(run: Callable[[], int]) -> int:
    """Run in a thread whose stack is large enough for any tree within NESTING_LIMIT."""
    result: list[int] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            result.append(run())
        except BaseException as error:      # handed to the caller's thread
            failure.append(error)

    sys.setrecursionlimit(RECURSION)
    threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)                    # a join without a time-out would hold back Ctrl-C
    if failure:
        raise failure[0]
    return result[0]
