# SPDX-License-Identifier: BSD-3-Clause
"""The command line: `python -m toolchain`, installed as `kpyc`.

    kpyc check FILE...                 report what is wrong
    kpyc build [FILE...]               an image (the kernel, without FILE)
    kpyc run FILE FUNCTION [ARG...]    compile for this machine and call a function
    kpyc dump --stage S FILE[:FUNC]    what a pass makes: typed, cfg, ir, asm
    kpyc mutants FILE... [--show NAME] small wrongs that a host build can hold, asleep
    kpyc host FILE... -o NAME          a Python module of compiled kpy, for tests
    kpyc symbols IMAGE                 addresses, functions, files and lines of an image
    kpyc image COMMAND ...             HAMMER2 images: build, check, list, extract
    kpyc explain K0308                 the longer story of a diagnostic

Exit status: 0 done, 1 the input is wrong (diagnostics on standard error), 2 the command line is,
3 the compiler itself failed, 130 interrupted.

Tests     tests/toolchain/test_driver.py
"""
from __future__ import annotations

import argparse
import ast
import ctypes
import gc
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolchain import explain, kernel
from toolchain.backend.abi import int_of
from toolchain.build import Builder, report_link, with_deep_stack
from toolchain.diagnostics import Diagnostic, Sink
from toolchain.frontend import tree, types
from toolchain.options import DEV, RELEASE, Options

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["image"]:      # no compiling: in this thread, which is what Ctrl-C interrupts
        from toolchain.image import command  # noqa: PLC0415
        return command.main(words[1:])
    flags = _parser().parse_args(words)
    sink = Sink()
    gc.disable()            # trees are acyclic enough, and a run is short: a third of its time
    try:
        status = with_deep_stack(lambda: flags.command(flags, sink))
    except KeyboardInterrupt:
        print("kpyc: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        sink.error("K0910", None, f"cannot use `{error.filename}`: {error.strerror or error}",
                   help="is the path right, and is there room?")
        status = 1
    except Exception as error:
        _internal(error, sink, flags)
        status = 3
    show(sink, flags)
    return status


def check_files(paths: list[Path | str]) -> tuple[list[tree.Module], list[Diagnostic]]:
    """The typed trees of these files and all they import, and every diagnostic."""
    sink = Sink()
    files = [Path(p) for p in paths]
    builder = Builder(Options(), roots_of(files), sink)
    modules = builder.check(files)
    return modules, sink.sorted()


def roots_of(files: list[Path]) -> list[Path]:
    """Where modules are looked for: above the packages that the files lie in, and our own tree."""
    roots: list[Path] = []
    for path in files:
        folder = path.resolve().parent
        while (folder / "__init__.py").is_file():
            folder = folder.parent
        if folder.is_relative_to(ROOT) and any(
                folder.is_relative_to(ROOT / n)
                for n in ("kernel", "boot", "userland", "tests/guest", "tests/sim")):
            folder = ROOT
        roots.append(folder)
    return list(dict.fromkeys([*roots, ROOT]))


# ---- commands -----------------------------------------------------------------------------------

def _check(flags: argparse.Namespace, sink: Sink) -> int:
    files = _files(flags, kernel.files())
    Builder(Options(), roots_of(files), sink, binding=kernel.binding()).check(files)
    return 1 if sink.errors else 0


def _build(flags: argparse.Namespace, sink: Sink) -> int:
    from toolchain.link import check, ksyms, layout, linker  # noqa: PLC0415  numpy takes its time
    from toolchain.link.errors import LinkError  # noqa: PLC0415
    started = time.perf_counter()
    target = flags.target or "pc64"
    files = _files(flags, kernel.files())
    output = Path(flags.output or (ROOT / "build" / "kernel.elf" if not flags.files else
                                   Path("build") / (files[0].stem + (
                                       ".o" if target == "host" else ".elf"))))
    settings = Options(target=target, mode=RELEASE if flags.release else DEV, opt=flags.optimise,
                       pauses=flags.pauses)
    if flags.pauses:
        files = [*files, kernel.PAUSES]
    builder = Builder(settings, roots_of(files), sink, folder=_cache_folder(flags),
                      progress=_progress(flags), jobs=flags.jobs,
                      binding=kernel.binding())
    try:
        whole = target != "host"
        done = builder.compile(files, whole=whole)
        if sink.errors:
            return 1
        entry = layout.LAYOUTS[target].entry if whole else ""
        keep = frozenset([entry]) if whole else frozenset().union(*(c.functions for c in done))
        objects = builder.objects(done, keep)
        if sink.errors:
            return 1
        output.parent.mkdir(parents=True, exist_ok=True)
        if not whole:
            output.write_bytes(b"".join(data for _, data in objects[:1]))
        else:
            from toolchain.link.elf import ObjectFile  # noqa: PLC0415
            try:
                parsed = [ObjectFile.parse(name, data) for name, data in objects]
                link = ksyms.link_with_symbols if target == "pc64" else linker.link
                link(parsed, layout=layout.LAYOUTS[target], output=output)
                if target == "user":
                    output.chmod(0o755)
                check.check_image(output, layout=layout.LAYOUTS[target],
                                  exempt=("boot_*", "ap_*", "vector_*"))
            except LinkError as error:
                report_link(error, sink)
                return 1
    finally:
        builder.close()
    if not flags.quiet:
        stats = builder.stats
        print(f"{_shown(output)}: {stats.lines} lines, {stats.modules} modules, "
              f"{stats.compiled} compiled, {time.perf_counter() - started:.1f} s")
    return 0


def _run(flags: argparse.Namespace, sink: Sink) -> int:
    from toolchain.backend import jit  # noqa: PLC0415
    files = [Path(flags.file)]
    settings = Options(target="host", mode=RELEASE if flags.release else DEV, host_wrappers=True)
    builder = Builder(settings, roots_of(files), sink)
    typed = builder.check(files)
    if sink.errors:
        return 1
    name = builder.program.name_of(files[0])
    found = [f for m in typed for f in m.functions
             if f.symbol in (flags.function, f"{name}.{flags.function}")]
    if not found:
        known = ", ".join(f.name for m in typed if m.name == name for f in m.functions)
        sink.error("K0202", None, f"`{flags.file}` has no function `{flags.function}`",
                   help=f"it has: {known}")
        return 1
    attrs = found[0].attrs
    if attrs.naked or attrs.interrupt or attrs.extern or attrs.upcall:
        sink.error("K0336", found[0].loc, f"`{found[0].name}` cannot be called from here",
                   help="@naked and @interrupt functions are called by the CPU or by assembly, "
                   "@extern and @upcall ones are defined elsewhere: run one that calls it")
        return 1
    arguments = _arguments(found[0], flags.arguments, sink)
    if arguments is None:
        return 1
    done = builder.compile(files, whole=False)
    if sink.errors:
        return 1
    keep = frozenset({found[0].symbol, f"kpy.call.{found[0].symbol}"})
    try:
        program = jit.load([d for _, d in builder.objects(done, keep)], builder.pool)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode("utf-8", "replace").strip()
        sink.error("K1104", None, "the objects could not be linked for this machine",
                   notes=tuple((line, None) for line in said.splitlines()[:8]),
                   help="what is @extern or an @upcall must be defined in these files, and "
                        "`kpyc run` brings kpy.rt itself")
        builder.close()
        return 1
    try:
        result = program.call(found[0], *arguments)
    except jit.Raised as error:
        print(f"raised Errno({error.code})", file=sys.stderr)
        return 1
    except jit.Stopped as error:
        print(f"panic: {error}", file=sys.stderr)
        return 70
    finally:
        sys.stdout.write("".join(program.output))
        builder.close()
    if result is not None:
        print(_readable(found[0].result, result))
    return 0


def _arguments(function: tree.Function, texts: list[str], sink: Sink) -> list[Any] | None:
    """The command line's arguments as the function takes them; None after a report."""
    if len(texts) != len(function.params):
        names = ", ".join(f"{p.name}: {p.ty}" for p in function.params)
        sink.error("K0335", function.loc, f"`{function.name}` takes {len(function.params)} "
                   f"arguments ({names}), not {len(texts)}",
                   help="arguments are Python literals after the function's name, one each")
        return None
    values = []
    for text, param in zip(texts, function.params, strict=True):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            sink.error("K0501", None, f"`{text}` is not a Python literal",
                       help="for example 3, -1, True, b'abc', [1, 2]")
            return None
        try:
            values.append(_passed(param.ty, value))
        except ValueError:
            sink.error("K0311", param.loc, f"`{text}` is not a `{param.ty}` for parameter "
                       f"`{param.name}`", help="give a literal of its type and range; structs, "
                       "pointers and functions are for `kpyc host`")
            return None
    return values


def _passed(ty: types.Type, value: Any) -> Any:
    """What is passed for a Python value as a `ty`; ValueError if it is none."""
    base = int_of(ty)
    if isinstance(value, str):
        value = value.encode()
    if ty is types.BOOL or isinstance(value, bool):
        if ty is types.BOOL and isinstance(value, bool):
            return value
    elif isinstance(ty, types.EnumType) and not ty.is_flags:
        if value in ty.members.values():
            return value
    elif base is not None and not isinstance(ty, types.EndianType):
        if isinstance(value, int) and base.holds(value):
            return value
    elif isinstance(ty, types.SliceType) and isinstance(value, bytes) and ty.elem is types.U8:
        return value
    elif isinstance(ty, types.SliceType) and isinstance(value, list):
        if int_of(ty.elem) is not None:
            size = ty.elem.size
            data = b"".join((_passed(ty.elem, item) & ((1 << size * 8) - 1)).to_bytes(
                size, "little") for item in value)
            return (ctypes.c_char * size * len(value)).from_buffer_copy(data)
    elif isinstance(ty, types.TupleType) and isinstance(value, tuple):
        if len(value) == len(ty.items):
            return tuple(map(_passed, ty.items, value))
    elif isinstance(ty, types.PtrType) and ty.nullable and value is None:
        return 0
    raise ValueError


def _readable(ty: types.Type, result: Any) -> Any:
    """A result as a person reads it: text and bytes instead of their address."""
    if isinstance(ty, types.SliceType) and ty.elem is types.U8 and isinstance(result, tuple):
        data = ctypes.string_at(*result)
        return data.decode(errors="replace") if ty is types.STR else data
    return result


def _dump(flags: argparse.Namespace, sink: Sink) -> int:
    from toolchain import dump  # noqa: PLC0415
    file, _, function = flags.file.partition(":")
    files = [Path(file)]
    settings = Options(target=flags.target or "pc64", mode=RELEASE if flags.release else DEV,
                       opt=flags.optimise)
    builder = Builder(settings, roots_of(files), sink)
    modules = builder.check(files)
    if sink.errors:
        return 1
    wanted = next(m for m in modules if m.name == builder.program.name_of(files[0]))
    text = dump.stage(flags.stage, wanted, function, settings, builder.pool)
    builder.close()
    if text is None:
        sink.error("K0202", None, f"`{file}` has no function `{function}`",
                   help="it has: " + ", ".join(f.name for f in wanted.functions))
        return 1
    print(text)
    return 0


def _mutants(flags: argparse.Namespace, sink: Sink) -> int:
    from toolchain import mutants  # noqa: PLC0415
    files = _files(flags, [])
    builder = Builder(Options(), roots_of(files), sink)
    packages = tuple(builder.program.name_of(path) for path in files)
    found = mutants.found(files, roots_of(files), sink, packages)
    if sink.errors:
        return 1
    if flags.show is None:
        print("\n".join(mutant.name for mutant in found))
        return 0
    wanted = [mutant for mutant in found if mutant.name == flags.show]
    if not wanted:
        sink.error("K0202", None, f"there is no mutant `{flags.show}` in these files",
                   help="`kpyc mutants FILE` lists them")
        return 1
    print(mutants.shown(wanted[0]))
    return 0


def _host(flags: argparse.Namespace, sink: Sink) -> int:
    from toolchain.host import command  # noqa: PLC0415
    return command.run(flags, sink)


def _symbols(flags: argparse.Namespace, sink: Sink) -> int:
    from toolchain.link.errors import LinkError  # noqa: PLC0415
    from toolchain.link.symbols import SymbolTable  # noqa: PLC0415
    try:
        print(SymbolTable.read(flags.image).listing())
    except LinkError as error:
        report_link(error, sink)
        return 1
    return 0


def _explain(flags: argparse.Namespace, sink: Sink) -> int:
    text = explain.story(flags.code)
    if text is None:
        near = explain.nearest(flags.code)
        sink.error("K1003", None, f"there is no diagnostic `{flags.code}`",
                   help=(f"did you mean {near}? " if near else "codes look like K0308; ")
                   + "`kpyc explain all` lists them")
        return 1
    print(text)
    return 0


# ---- what commands share ------------------------------------------------------------------------

def show(sink: Sink, flags: argparse.Namespace) -> None:
    """Print the diagnostics, for a person or an editor."""
    if not sink.diagnostics:
        return
    if getattr(flags, "json", False):
        print(sink.to_json())
        return
    print(sink.render(colour=sys.stderr.isatty()), file=sys.stderr)


def _files(flags: argparse.Namespace, otherwise: list[Path]) -> list[Path]:
    return [Path(f) for f in flags.files] or otherwise


def _cache_folder(flags: argparse.Namespace) -> Path | None:
    return None if flags.no_cache else Path(flags.cache or ROOT / "build" / "cache")


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _progress(flags: argparse.Namespace) -> Callable[[int, int, str], None] | None:
    if flags.quiet or not sys.stderr.isatty():
        return None

    def step(done: int, total: int, name: str) -> None:
        text = f"[{done}/{total}] {name}" if name else ""
        print(f"\r\033[K{text}", end="" if name else "\r", file=sys.stderr, flush=True)
    return step


def _internal(error: Exception, sink: Sink, flags: argparse.Namespace) -> None:
    """The compiler failed: say so, with the user's line and where in the compiler."""
    frames = traceback.extract_tb(error.__traceback__)
    where = frames[-1] if frames else None
    at = f"{Path(where.filename).name}:{where.lineno} in {where.name}" if where else "?"
    sink.error("K1001", _user_line(error), f"the compiler itself failed: "
               f"{type(error).__name__}: {error}",
               help="this is a defect of kpyc: please report it with the source line",
               notes=((f"in the compiler at {at}", None),))
    if getattr(flags, "trace", False):
        traceback.print_exception(error)


def _user_line(error: Exception) -> Any:
    """The source line the innermost pass was looking at."""
    trace, found = error.__traceback__, None
    while trace is not None:
        names = trace.tb_frame.f_locals
        node, body = names.get("node"), names.get("b") or names.get("scope")
        if isinstance(node, ast.AST) and hasattr(node, "lineno") and hasattr(body, "loc"):
            found = body.loc(node)
        loc = getattr(names.get("node") or names.get("stmt") or names.get("expr"), "loc", None)
        if isinstance(loc, tree.Loc):
            found = loc
        trace = trace.tb_next
    return found


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="kpyc", description="The kpy compiler.",
        epilog="docs/kpy.md is the language; `kpyc explain CODE` tells more of a diagnostic.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=run)
        made.add_argument("--json", action="store_true",
                          help="diagnostics as JSON, one object a line, on standard output")
        made.add_argument("--trace", action="store_true",
                          help="if the compiler itself fails, show its own stack")
        return made

    check = command("check", _check, "report what is wrong with these files")
    check.add_argument("files", nargs="*", metavar="FILE", help="default: the kernel")
    build = command("build", _build, "compile and link an image")
    build.add_argument("files", nargs="*", metavar="FILE", help="default: the kernel")
    build.add_argument("-o", "--output", metavar="PATH", help="default: build/NAME.elf")
    build.add_argument("--target", choices=("pc64", "user", "host"), help="default: pc64")
    build.add_argument("--release", action="store_true",
                       help="optimise the whole program; overflow wraps instead of trapping")
    build.add_argument("-O", "--optimise", type=int, choices=(0, 1, 2, 3), metavar="N",
                       help="default: 1, with --release 2; 0 keeps every variable for gdb")
    build.add_argument("--pauses", action="store_true",
                       help="a kernel that changes CPUs at atomics, by a seed, `schedule=N` "
                       "on its command line: docs/sim.md")
    build.add_argument("-j", "--jobs", type=int, metavar="N", help="worker processes")
    build.add_argument("--cache", metavar="DIR", help="default: build/cache")
    build.add_argument("--no-cache", action="store_true", help="compile everything again")
    build.add_argument("-q", "--quiet", action="store_true", help="say nothing when all is well")
    run = command("run", _run, "compile for this machine and call a function")
    run.add_argument("file", metavar="FILE")
    run.add_argument("function", metavar="FUNCTION")
    run.add_argument("arguments", nargs="*", metavar="ARG", help="Python literals: 3, b'abc'")
    run.add_argument("--release", action="store_true", help="as build --release")
    dump = command("dump", _dump, "show what a pass makes of a file or function")
    dump.add_argument("--stage", choices=("typed", "cfg", "ir", "asm"), default="cfg")
    dump.add_argument("file", metavar="FILE[:FUNCTION]")
    dump.add_argument("--target", choices=("pc64", "user", "host"), help="default: pc64")
    dump.add_argument("--release", action="store_true", help="as build --release")
    dump.add_argument("-O", "--optimise", type=int, choices=(0, 1, 2, 3), metavar="N",
                      help="as build -O; 0 is what the compiler makes, before LLVM's own passes")
    mutants = command("mutants", _mutants, "list the mutants of these files, or show one")
    mutants.add_argument("files", nargs="+", metavar="FILE")
    mutants.add_argument("--show", metavar="NAME", help="what this one changes")
    from toolchain.host import command as host_command  # noqa: PLC0415
    host_command.arguments(command(
        "host", _host, "compile for this machine and bind to Python, as a module to import"))
    symbols = command("symbols", _symbols, "list an image's addresses, functions and lines")
    symbols.add_argument("image", metavar="IMAGE")
    commands.add_parser("image", help="make, check, list and unpack HAMMER2 images")
    story = command("explain", _explain, "the longer story of a diagnostic, with an example")
    story.add_argument("code", metavar="CODE", help="such as K0308; `all` lists them")
    return top


__all__ = ["check_files", "main"]
