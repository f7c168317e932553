# SPDX-License-Identifier: BSD-3-Clause
"""Source files to a folder that Python can load: code.so, glue.*.so, layout.json.

    scan      what belongs to the program; its key; done, if build/host/code-<key> is there
    compile   check, describe, LLVM: one object, and one of stubs for what Python answers
    link      code.so, all of its symbols its own; where its data lies goes to layout.json
    glue      the extension, from the interface alone: kept when only bodies change

Tests     tests/toolchain/test_host_build.py
"""
from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolchain import cache
from toolchain.backend.worker import Job
from toolchain.build import Builder, with_deep_stack
from toolchain.diagnostics import Sink
from toolchain.frontend import tree, types
from toolchain.host import compile as tools
from toolchain.host import describe, glue, stubs
from toolchain.host.describe import Json
from toolchain.options import DEV, RELEASE, Options

CACHE = tools.ROOT / "build" / "cache"
FOLDER = tools.ROOT / "build" / "host"
KEEP = 200                   # builds kept, the most recently used ones
_OF_C = frozenset(["memcpy", "memmove", "memset", "memcmp", "bcmp"])
_NO_DATA = (".got", ".dynamic", ".init_array", ".fini_array", ".data.rel.ro", ".tm_clone",
            "kpy_host_slots", "kpy_edge", "kpy_sites", "sim_core")


def options_of(*, release: bool = False, hooks: bool = False, yields: bool = False,
               edges: bool = False, faults: bool = False, overflow_checks: bool | None = None,
               mutants: tuple[str, ...] = ()) -> Options:
    """The compiler's options for a host build."""
    return Options(target="host", mode=RELEASE if release else DEV, host_wrappers=True,
                   hooks=hooks, yields=yields, edges=edges, faults=faults,
                   overflow_checks=overflow_checks, mutants=mutants)


def build_folder(paths: Iterable[Path | str], options: Options, sink: Sink, *,
                 folder: Path | None = None, progress: tools.Progress | None = None,
                 native: Iterable[Path] = ()) -> Path:
    """The folder of these modules' build; raises tools.Failed with the sink told why.

    `native`: C files that are linked in; what they define Python is not asked for.
    """
    files = [Path(p) for p in paths]
    for path in files:
        if not path.is_file():
            sink.error("K1105", None, f"there is no file `{path}`",
                       help="is the path right? It counts from the folder you are in")
            raise tools.Failed
    from toolchain.driver import roots_of  # noqa: PLC0415  (the driver imports us)
    say = progress or quiet_unless_long()
    into = folder or FOLDER

    def step(done: int, total: int, name: str) -> None:
        if name:
            say(f"[{done + 1}/{total}] {name}")
    # No binding: `kernel.machine` is the contract itself, whose upcalls the test provides.
    builder = Builder(options, roots_of(files), sink, folder=CACHE, progress=step)
    try:
        native = list(native)
        key = _key(builder, files, native)
        if sink.errors:
            with_deep_stack(lambda: len(builder.check(files)))    # what else is wrong
            raise tools.Failed
        found = into / f"code-{key}"
        if not found.is_dir():
            _kept_recursion(lambda: _make(builder, files, native, found, sink, say))
            _trim(into)
        return tools.kept(found, lambda place: None)
    finally:
        builder.close()
        say("")


def quiet_unless_long() -> tools.Progress:
    """Shows steps on a terminal once half a second has gone by."""
    started, shown = time.monotonic(), False

    def say(text: str) -> None:
        nonlocal shown
        if sys.stderr.isatty() and (shown or (text and time.monotonic() - started > 0.5)):
            shown = True
            print(f"\r\033[K{'building: ' if text else ''}{text}", end="", file=sys.stderr,
                  flush=True)
    return say


def _key(builder: Builder, files: list[Path], native: list[Path]) -> str:
    names = [builder.program.name_of(p) for p in files]
    keys = builder.keys(files)
    texts = [path.read_text() for path in native]
    return cache.digest("host", tools.native_digest(), *names, "of", *keys, *texts)[:24]


def _kept_recursion(work: Any) -> None:
    """Run with the stack that the compiler wants, and leave the caller's limits alone."""
    limit, size = sys.getrecursionlimit(), threading.stack_size()
    try:
        with_deep_stack(lambda: work() or 0)
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)


def _make(builder: Builder, files: list[Path], native: list[Path], found: Path, sink: Sink,
          say: tools.Progress) -> None:
    tools.need_compiler(sink)
    c_objects = [(path.stem, tools.c_object(path, sink)) for path in native]
    offered, asked = _symbols(c_objects)
    names = [builder.program.name_of(p) for p in files]
    modules = builder.check(files)
    if sink.errors:
        raise tools.Failed
    describer = describe.Describer()
    description = describe.describe(modules, names, describer)
    hooked = [describe.symbol_of(f) for m in modules for f in m.functions if f.attrs.hook]
    wanted = [*(f["symbol"] for f in description["functions"]), *hooked]
    keep = frozenset([*wanted, *(f"kpy.call.{symbol}" for symbol in wanted),
                      *(g["symbol"] for g in description["globals"]), *asked])
    done = builder.compile(files, whole=False)
    if sink.errors:
        raise tools.Failed
    objects = builder.objects(done, keep)
    if sink.errors:
        raise tools.Failed
    defined, undefined = _symbols(objects)
    description["functions"] = [f for f in description["functions"]
                                if f"kpy.call.{f['symbol']}" in defined]
    stub = _stubs(modules, sorted(undefined - offered), describer, description)
    description["types"] = describer.types
    results = builder.pool.compile([Job("stubs", [stub], "host", 1)])
    if results[0].failure is not None:
        sink.error("K1002", None, "LLVM refused the stubs of the host build",
                   notes=((results[0].failure.message.strip()[:2000], None),),
                   help="this is a defect of kpyc: please report it with the source")
        raise tools.Failed

    runtime = tools.compile_native(found.parent, sink, say)
    extension = tools.compile_glue(glue.pyx_text(description), found.parent, sink, say)

    def work(place: Path) -> None:
        paths = []
        for name, data in [*objects, *c_objects, ("stubs", results[0].object)]:
            paths.append(place / f"{name}.o")
            paths[-1].write_bytes(data)
        tools.link(paths, place / "code.so", sink)
        for path in paths:
            path.unlink()
        description.update(_layout(place / "code.so"), native=runtime.name)
        (place / "layout.json").write_text(json.dumps(description))
        for file in extension.iterdir():
            shutil.copy(file, place)             # a copy each: its variables are one build's
    say("linking")
    tools.kept(found, work)


def _stubs(modules: list[tree.Module], undefined: list[str], describer: describe.Describer,
           description: Json) -> str:
    """The stubs' IR; adds "ups" to the description."""
    functions = describe.up_functions(modules)
    variables = {describe.symbol_of(g): g.ty.size for m in modules
                 for g in (*m.globals, *m.external_globals.values())}
    ups: list[Json] = []
    signatures = []
    unknown: dict[str, int] = {}
    for symbol in undefined:
        if symbol in _OF_C or symbol == "_GLOBAL_OFFSET_TABLE_":
            continue
        up = describe.describe_up(symbol, functions, describer)
        if up is None:
            unknown[symbol] = variables.get(symbol, 64)
            continue
        if symbol in describe.RUNTIME or symbol in describe.HOOKS:
            params, result = {**describe.RUNTIME, **describe.HOOKS}[symbol]
        else:
            function = functions[up["function"]]
            params, result = tuple(p.ty for p in function.params), function.result
        ups.append(up)
        signatures.append((symbol, params, result, up["throws"]))
    description["ups"] = ups
    description["unresolved"] = sorted(unknown)
    return stubs.stubs_ir(signatures, _plain(describer.fns), unknown)


def _plain(fns: dict[int, types.FnType]) -> dict[int, types.FnType]:
    """Function types whose values can be made and called."""
    return {n: f for n, f in fns.items() if not any(p.is_aggregate for p in f.params)}


def _symbols(objects: list[tuple[str, bytes]]) -> tuple[set[str], set[str]]:
    """(defined, undefined) global symbols."""
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415
    defined: set[str] = set()
    undefined: set[str] = set()
    for _, data in objects:
        table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
        for entry in table.iter_symbols():
            if entry.name and entry["st_info"]["bind"] != "STB_LOCAL":
                (undefined if entry["st_shndx"] == "SHN_UNDEF" else defined).add(entry.name)
    return defined, undefined - defined


def _layout(path: Path) -> Json:
    """Where the writable data lies, as offsets from the load address."""
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415
    sections: list[tuple[int, int]] = []
    named: dict[str, tuple[int, int]] = {}
    percpu = None
    with path.open("rb") as file:
        elf = ELFFile(file)
        for section in elf.iter_sections():
            start, size = section["sh_addr"], section["sh_size"]
            named[section.name] = (start, size)
            if section.name == ".percpu":
                percpu = [start, size, section["sh_addralign"]]
            if section["sh_flags"] & 3 == 3 and size and not section.name.startswith(_NO_DATA):
                sections.append((start, size))
        anchor = elf.get_section_by_name(".dynsym").get_symbol_by_name("kpy.host.context")[0]
    edges = [named["kpy_edges"], named["kpy_edge_sites"]] if "kpy_edges" in named else []
    return {"sections": sections, "anchor": anchor["st_value"], "edges": edges,
            "sites": named.get("kpy_sites"), "percpu": percpu}


def _trim(folder: Path) -> None:
    """Drop what was not used for longest."""
    for kind in ("code-*", "glue-*"):
        with contextlib.suppress(OSError):       # another process does the same
            builds = sorted(folder.glob(kind), key=lambda p: p.stat().st_mtime, reverse=True)
            for old in builds[KEEP:]:
                shutil.rmtree(old, ignore_errors=True)
