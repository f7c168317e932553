# SPDX-License-Identifier: BSD-3-Clause
"""Host bindings: kpy modules compiled for this machine, called from Python.

    from toolchain import host

    uart = host.build(["kernel/dev/uart.py"], hooks=True)
    uart.provide(FakeUart())                 # externs, upcalls and hooks, by name
    uart.init(115200)                        # range-checked; a panic is an exception
    assert uart.globals.sent == 0

In a pytest file, a module for all tests and a fresh state for each:

    fmt = host.fixture("kernel/lib/fmt.py")  # a fixture; options as of build()

    def test_prefix(fmt):
        fmt.provide(console_write=seen.append)
        ...                                  # afterwards: globals and providers as before

What there is
    mod.f(...), mod.Struct(...), mod.Enum    functions, types;  mod.modules["a.b"] by module
    mod.globals.x                            variables;  mod.output  what kprintf said
    mod.array("u32", 16), mod.new("u64")     memory that compiled code may keep
    mod.provide(obj), mod.map(addr, n, dev)  fake hardware;  mod.needed  what is asked for
    mod.snapshot(), mod.restore(s)           writable data, in microseconds
    mod.percpu_copy(), mod.percpu_offset     one more simulated CPU, and which of them runs
    KpyError Panic CheckFailed Fault NotProvided HostError

docs/host.md tells it from the beginning.  Without a C compiler, backend/jit.py runs kpy for the
compiler's own tests.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from toolchain.diagnostics import Sink
from toolchain.host.errors import CheckFailed, Fault, HostError, KpyError, NotProvided, Panic

__all__ = ["CheckFailed", "Fault", "HostError", "KpyError", "NotProvided", "Panic", "build",
           "fixture", "load"]

_loaded: dict[Path, Any] = {}


def build(paths: Any, *, name: str = "", folder: Path | None = None, fresh: bool = False,
          native: tuple[Path, ...] = (), **options: Any) -> Any:
    """The modules at `paths` (one path, or several) as a Python module.

    options: release, hooks, yields, edges, faults, mutants, overflow_checks.  What did not change
    is not built again, and is loaded once in a process; fresh: loaded anew, with its own state.
    native: C files linked in, which may answer what Python is asked for otherwise.
    Raises HostError with the compiler's diagnostics.
    """
    from toolchain.host import compile as tools  # noqa: PLC0415
    from toolchain.host import steps  # noqa: PLC0415  (the compiler takes its time)
    files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    sink = Sink()
    try:
        found = steps.build_folder(files, steps.options_of(**options), sink, folder=folder,
                                   native=native)
    except tools.Failed:
        raise HostError(sink.render(), sink.sorted()) from None
    return load(found, name or files[0].stem, fresh=fresh)


def load(folder: Path, name: str, *, fresh: bool = False) -> Any:
    """The module in a folder that build() or `kpyc host` made."""
    from toolchain.host.module import HostModule, copy_of  # noqa: PLC0415
    where = folder.resolve()
    if fresh:
        return HostModule(name, copy_of(where))
    if where not in _loaded:
        _loaded[where] = HostModule(name, where)
    return _loaded[where]


def fixture(paths: Any, *, scope: str = "function", **options: Any) -> Callable[..., Any]:
    """A pytest fixture: the built module, put back after each test as it was before it."""
    import pytest  # noqa: PLC0415

    @pytest.fixture(scope=scope)
    def bound() -> Iterator[Any]:
        module = build(paths, **options)
        taken = module.snapshot()
        handlers = [(up, up.handler) for up in module._core.ups]
        regions = list(module._core.regions)
        try:
            yield module
        finally:
            module.restore(taken)
            module._core.regions[:] = regions
            for up, handler in handlers:
                up.handler = handler
    return bound
