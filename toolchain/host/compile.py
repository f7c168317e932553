# SPDX-License-Identifier: BSD-3-Clause
"""Cython and the C compiler: from .pyx text to an extension, kept by the hash of what made it.

    build/host/native-<hash>/kpyhost.*.so    the native runtime: one for all modules
    build/host/glue-<hash>/glue.*.so         functions of one interface
    build/host/code-<hash>/...               one build of some modules (steps.py)

Invariants
  F1  A folder appears whole, by rename; two processes may build the same one at a time.
  F2  Its name is the hash of everything that decides its contents.
Tests     tests/toolchain/test_host_build.py
"""
from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from toolchain.diagnostics import Sink

ROOT = Path(__file__).resolve().parents[2]
NATIVE = Path(__file__).resolve().parent / "native"
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
FLAGS = ["-O1", "-w", "-fPIC", "-fno-strict-aliasing", "-shared"]
Progress = Callable[[str], None]


class Failed(Exception):  # noqa: N818
    """A step did not work; the sink has why."""


@cache
def native_digest() -> str:
    """What the native runtime is made from, tools included."""
    made = hashlib.sha256(f"{sys.version} {FLAGS} {compiler_name()}".encode())
    for path in sorted(NATIVE.iterdir()):
        made.update(path.name.encode() + path.read_bytes())
    try:
        from Cython import __version__  # noqa: PLC0415
        made.update(__version__.encode())
    except ImportError:
        made.update(b"none")
    return made.hexdigest()[:24]


@cache
def compiler_name() -> str:
    """The C compiler's path, or an empty string."""
    return shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or ""


def need_compiler(sink: Sink) -> str:
    """The C compiler, or a diagnostic."""
    if not compiler_name():
        wanted = os.environ.get("CC", "cc")
        sink.error("K1101", None, f"there is no C compiler: neither `{wanted}` nor `gcc`",
                   help="install gcc, or name one in CC; `kpyc run` needs none")
        raise Failed
    return compiler_name()


def compile_native(folder: Path, sink: Sink, progress: Progress) -> Path:
    """The folder with the native runtime, built now if it is not there."""
    def work(place: Path) -> None:
        progress("the native runtime (once)")
        extension(NATIVE / "kpyhost.pyx", place / f"kpyhost{SUFFIX}", sink)
    return kept(folder / f"native-{native_digest()}", work)


def compile_glue(text: str, folder: Path, sink: Sink, progress: Progress) -> Path:
    """The folder with the extension of this text."""
    def work(place: Path) -> None:
        progress("the Python extension")
        (place / "glue.pyx").write_text(text)
        extension(place / "glue.pyx", place / f"glue{SUFFIX}", sink)
    key = hashlib.sha256(f"{native_digest()} {text}".encode()).hexdigest()[:24]
    return kept(folder / f"glue-{key}", work)


def kept(folder: Path, work: Callable[[Path], None]) -> Path:
    """`folder`, filled by `work` if it is not there yet (F1)."""
    if folder.is_dir():
        with contextlib.suppress(OSError):
            os.utime(folder)                     # the least recently used go first
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as temporary:
        place = Path(temporary) / "out"
        place.mkdir()
        work(place)
        try:
            place.rename(folder)
        except OSError:
            if not folder.is_dir():              # someone else was first: theirs is as good
                raise
    return folder


def extension(source: Path, output: Path, sink: Sink) -> None:
    """Cython, then the C compiler."""
    compiler = need_compiler(sink)
    if importlib.util.find_spec("Cython") is None:
        sink.error("K1102", None, "Cython is not installed for this Python",
                   help="scripts/setup installs it; `kpyc run` does without")
        raise Failed
    c_file = output.parent / f"{source.stem}.c"
    base = ROOT if source.is_relative_to(ROOT / "toolchain") else source.parent
    run([sys.executable, "-m", "cython", "-3", "-I", str(NATIVE), "-o", str(c_file),
         str(source.relative_to(base))], sink, "Cython refused the generated bindings", cwd=base)
    include = sysconfig.get_path("include")
    run([compiler, *FLAGS, f"-I{include}", f"-I{NATIVE}", str(c_file), "-o", str(output), "-ldl"],
        sink, "the C compiler refused the generated bindings")
    c_file.unlink()


def c_object(source: Path, sink: Sink) -> bytes:
    """A C file that is linked with compiled kpy, as an object."""
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "out.o"
        run([need_compiler(sink), "-O2", "-g", "-fPIC", "-fno-strict-aliasing", "-c", str(source),
             "-o", str(output)], sink, f"the C compiler refused {source.name}", "K1103")
        return output.read_bytes()


def link(objects: list[Path], output: Path, sink: Sink) -> None:
    """A shared library of compiled kpy, whose symbols are its own."""
    run([need_compiler(sink), "-shared", "-nostartfiles", "-Wl,-Bsymbolic", "-Wl,-z,defs",
         "-Wl,-z,noexecstack", "-o", str(output), *map(str, objects)], sink,
        "the objects could not be linked", "K1104")


def run(command: list[str], sink: Sink, what: str, code: str = "K1103",
        cwd: Path | None = None) -> None:
    """One tool; what it says becomes the diagnostic's notes."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                              check=False, stdin=subprocess.DEVNULL, cwd=cwd)
    except OSError as error:
        sink.error(code, None, f"{what}: {error}")
        raise Failed from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-3000:]
        sink.error(code, None, f"{what}: {Path(command[0]).name} ended with {done.returncode}",
                   notes=((said, None),) if said else ())
        raise Failed


def load_extension(name: str, path: Path) -> ModuleType:
    """Import an extension from where it lies."""
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def native_folder(folder: Path, name: str) -> Path:
    """Where the native runtime of a build lies: beside it, or in it (`kpyc host -o`)."""
    beside = folder.parent / name
    return beside if beside.is_dir() else folder if (
        folder / f"kpyhost{SUFFIX}").is_file() else ROOT / "build" / "host" / name


def load_native(folder: Path, name: str) -> ModuleType:
    """The native runtime `name`: one in a process, whichever build came first."""
    found = sys.modules.get("kpyhost")
    if found is None:
        found = load_extension("kpyhost", folder / f"kpyhost{SUFFIX}")
        found.built = name                                       # type: ignore[attr-defined]
        sys.modules["kpyhost"] = found
    if found.built != name:
        raise ImportError(f"this build needs {name}, and {found.built} is loaded: build it again")
    return found
