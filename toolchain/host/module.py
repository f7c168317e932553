# SPDX-License-Identifier: BSD-3-Clause
"""A loaded host build as a Python module: its functions, types and globals by their names.

Names of the bound modules are attributes; where two modules have one, `mod.modules["a.b"].name`
tells them apart.  Types met from other modules are attributes too, where that hides nothing.
Tests     tests/toolchain/test_host_structs.py, tests/toolchain/test_host_provide.py
"""
from __future__ import annotations

import atexit
import enum
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any

from toolchain.host import compile as tools
from toolchain.host import glue

_KEPT_BY_PYTHON = frozenset(["__init__", "__new__", "__eq__", "__hash__", "__iter__", "__repr__"])


def copy_of(folder: Path) -> Path:
    """The same build in another folder, which the system loads as another library."""
    place = Path(tempfile.mkdtemp(prefix="kpyhost-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    for file in folder.iterdir():
        shutil.copy(file, place)
    return place


class Provision:
    """What one provide() changed; as a context manager, put back at the end."""

    def __init__(self, before: list[tuple[Any, Any]]) -> None:
        self.before = before

    def __enter__(self) -> Provision:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for up, handler in reversed(self.before):
            up.handler = handler


class HostModule(ModuleType):
    """Compiled kpy modules.  See the package's documentation for what it offers."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, f"kpy bound to Python, from {folder}")
        described = json.loads((folder / "layout.json").read_text())
        built = described["native"]
        native = tools.load_native(tools.native_folder(folder, built), built)
        self.__file__ = str(folder / "code.so")
        self._core = core = native.Module(name, folder / "code.so", described)
        self._percpu = _PerCpu(core, described["percpu"])
        self.types: dict[str, Any] = {}
        self.modules = {n: SimpleNamespace() for n in described["modules"]}
        self.output: list[str] = core.output
        _Classes(native, self).make()
        extension = tools.load_extension(f"{name}.glue", folder / f"glue{tools.SUFFIX}")
        self._functions(extension, described)
        self.globals = _globals(self, native, described)
        self.needed = {up.symbol: up for up in core.ups if not up.symbol.startswith("kpy.rt.")}

    # ---- hardware, externs, hooks

    def provide(self, implementation: Any = None, /, **functions: Callable[..., Any]) -> Provision:
        """Let Python answer what compiled code calls.

        `implementation` is an object with methods of the needed names, or a mapping of names
        (plain, or linker symbols) to functions; or give functions by keyword.  Returns a context
        manager that takes it back; without `with` it stays.
        """
        found: list[tuple[Any, Any]] = []
        names: dict[str, list[Any]] = {}
        for up in self._core.ups:
            names.setdefault(up.name, []).append(up)
            names.setdefault(up.symbol, []).append(up)
        if implementation is not None and not isinstance(implementation, Mapping):
            offered = {n: getattr(implementation, n) for n in names
                       if n.isidentifier() and callable(getattr(implementation, n, None))}
            if not offered and not functions:
                raise TypeError(f"{type(implementation).__name__} has none of the functions that "
                                f"{self.__name__} needs: {self._wanted()}")
        else:
            offered = dict(implementation or {})
        for name, handler in {**offered, **functions}.items():
            if handler is not None and not callable(handler):
                raise TypeError(f"{name}: {handler!r} is not callable")
            if name not in names:
                hint = "" if name not in _HOOK_NAMES else " (was it built with its option?)"
                raise LookupError(f"{self.__name__} never calls {name!r}{hint}; it calls: "
                                  f"{self._wanted()}")
            if len(names[name]) > 1:
                symbols = " and ".join(up.symbol for up in names[name])
                raise LookupError(f"{name!r} means {symbols}: provide it by symbol")
            found.append((names[name][0], handler))
        before = [(up, up.handler) for up, _ in found]
        for up, handler in found:
            up.handler = handler
        return Provision(before)

    def map(self, address: int, size: int, device: Any) -> None:
        """Answer MMIO in that range by device.read(offset, size) and device.write(offset, size,
        value).  For builds with hooks=True."""
        regions = self._core.regions
        if not {"kpy.hook.mmio_read", "kpy.hook.mmio_write"} & self.needed.keys():
            raise LookupError(f"{self.__name__} asks for no register (was it built with "
                              "hooks=True?)")
        for start, length, other in regions:
            if start < address + size and address < start + length and other is not device:
                raise ValueError(f"{address:#x} + {size:#x} overlaps {other!r} at {start:#x}")
        regions[:] = [r for r in regions if r[2] is not device or r[0] != address]
        regions.append((address, size, device))

    def unmap(self, device: Any) -> None:
        """Take a device off the bus."""
        self._core.regions[:] = [r for r in self._core.regions if r[2] is not device]

    def _wanted(self) -> str:
        return ", ".join(map(repr, self.needed.values())) or "nothing"

    # ---- memory and state

    def array(self, elem: Any, items: Any) -> Any:
        """New bound memory: array("u32", 16), array("u8", b"data"), array(mod.Node, 4)."""
        ty = self.type_of(elem)
        if isinstance(items, int):
            return self._core.array(ty, items)
        items = list(items)
        made = self._core.array(ty, len(items))
        made[:] = items
        return made

    def new(self, ty: Any, value: Any = None) -> Any:
        """New bound memory for one value of a type: new("u32", 5).value == 5."""
        made = self._core.allocate(self.type_of(ty))
        if value is not None:
            made.value = value
        return made

    def at(self, ty: Any, address: int) -> Any:
        """A view of what lies at an address.  That it does is the caller's word."""
        return self._core.view(self.type_of(ty), address)

    def type_of(self, of: Any) -> Any:
        """The native type behind a name ("u32") or a class."""
        found = self.types.get(of) if isinstance(of, str) else of
        found = getattr(found, "__kpy_type__", found)
        if type(found).__name__ != "Type":
            raise LookupError(f"{self.__name__} has no type {of!r}; it has: "
                              + ", ".join(sorted(self.types)))
        return found

    def sizeof(self, of: Any) -> int:
        """The size of a type or of a bound object, in bytes."""
        return self.type_of(of).size

    def snapshot(self) -> Any:
        """A copy of the module's writable data and of the memory lent to it."""
        return self._core.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Everything as it was at snapshot(); `output` is emptied."""
        self._core.restore(snapshot)

    def release(self) -> None:
        """Forget what memory and callables compiled code was given: it uses none of it again."""
        self._core.release()

    # ---- several CPUs

    @property
    def percpu_start(self) -> int:
        """The address of the section with all PerCpu variables: the copy of the first CPU."""
        return self._percpu.start

    @property
    def percpu_size(self) -> int:
        """The size of that section in bytes; 0 where there is no such variable."""
        return len(self._percpu.image)

    @property
    def percpu_offset(self) -> int:
        """What compiled code adds to the address of a PerCpu variable.  Assigned, it is the switch
        to another CPU."""
        return self._percpu.offset

    @percpu_offset.setter
    def percpu_offset(self, offset: int) -> None:
        self._percpu.offset = offset

    def percpu_copy(self) -> int:
        """The offset of a new copy of all PerCpu variables, as they were when loaded: one more
        CPU.  It is memory lent to compiled code."""
        return self._percpu.copy()

    # ---- instrumentation

    def edges(self) -> list[tuple[str, int, str, int]]:
        """(file, line, function, count) of each control-flow edge, of a build with edges=True."""
        core, told = self._core, self._core.description
        if not told["edges"]:
            return []
        anchor = core.symbol("kpy.host.context") - told["anchor"]
        (start, size), (sites, _) = told["edges"]
        counts = core.words(anchor + start, size // 8)
        places = [core.site(p) for p in core.words(anchor + sites, size // 8)]
        return [(p[0], p[3], p[1], n) for p, n in zip(places, counts, strict=True)]

    def edge_counts(self) -> bytes:
        """The counts alone, u64s in the order of edges(), for whoever asks often."""
        core, told = self._core, self._core.description
        if not told["edges"]:
            return b""
        start, size = told["edges"][0]
        return core.bytes(core.symbol("kpy.host.context") - told["anchor"] + start, size)

    def reset_edges(self) -> None:
        """All counts zero."""
        core, told = self._core, self._core.description
        if told["edges"]:
            start, size = told["edges"][0]
            core.clear(core.symbol("kpy.host.context") - told["anchor"] + start, size)

    def sites(self) -> dict[int, tuple[str, int, str]]:
        """(file, line, function) by the number that `yield_` and `fault` are called with."""
        core, told = self._core, self._core.description
        if not told["sites"]:
            return {}
        start, size = told["sites"]
        words = core.words(core.symbol("kpy.host.context") - told["anchor"] + start, size // 8)
        found = {}
        for number, record in zip(words[::2], words[1::2], strict=True):
            place = core.site(record)
            found[number] = (place[0], place[3], place[1])
        return found

    # ---- making of

    def _functions(self, extension: ModuleType, described: dict[str, Any]) -> None:
        functions = described["functions"]
        core = self._core
        extension.kpy_setup(core, [core.symbol(f"kpy.call.{f['symbol']}") for f in functions])
        for name, entry in zip(glue.function_names(functions), functions, strict=True):
            function = getattr(extension, name)
            function.__name__ = entry["name"].rpartition(".")[2]
            function.__qualname__ = entry["name"]
            function.__module__ = entry["module"]
            core.bind(function, entry["symbol"], core.types[entry["type"]])
            if entry["owner"] is not None:
                _attach(core.types[entry["owner"]].cls, entry, function)
            else:
                setattr(self.modules[entry["module"]], entry["name"], function)
        self._publish()

    def _publish(self) -> None:
        """Names of modules as attributes of this one."""
        seen: dict[str, int] = {}
        for space in self.modules.values():
            for name in vars(space):
                seen[name] = seen.get(name, 0) + 1
        for space in self.modules.values():
            for name, value in vars(space).items():
                if seen[name] == 1 and not hasattr(self, name):
                    setattr(self, name, value)
        for name, made in self.types.items():
            if isinstance(made, type) and name.isidentifier() and name not in seen and \
                    not hasattr(self, name):
                setattr(self, name, made)

    def __repr__(self) -> str:
        return f"<host module {self.__name__!r}: {', '.join(self.modules)}>"


class _PerCpu:
    """The section of the PerCpu variables, and kpy.percpu.offset."""

    def __init__(self, core: Any, section: list[int] | None) -> None:
        self.core = core
        self.number = next(t for t in core.types if t.name == "i64")
        self.start, size, self.align = section or (0, 0, 1)
        if section:
            self.start += core.symbol("kpy.host.context") - core.description["anchor"]
            self.where = core.symbol("kpy.percpu.offset")
        self.image = core.bytes(self.start, size) if section else b""

    @property
    def offset(self) -> int:
        """The current CPU's."""
        return self.core.load(self.number, self.where) if self.image else 0

    @offset.setter
    def offset(self, value: int) -> None:
        if not self.image:
            raise LookupError(f"{self.core.name} has no PerCpu variable")
        self.core.store(self.number, self.where, value, "percpu_offset")

    def copy(self) -> int:
        """The offset of new copies."""
        return self.core.block(self.image, self.align) - self.start if self.image else 0


_HOOK_NAMES = frozenset(["atomic", "mmio_read", "mmio_write", "volatile_load", "volatile_store",
                         "yield_", "pause_", "fault"])


class _Classes:
    """Python classes for structs, unions, bit structs and enums."""

    def __init__(self, native: ModuleType, module: HostModule) -> None:
        self.native, self.module, self.core = native, module, module._core

    def make(self) -> None:
        for ty in self.core.types:
            self._class(ty)
        for ty in self.core.types:
            self._fields(ty)
            made = ty.cls if ty.cls is not None else ty
            self.module.types.setdefault(ty.name, made)
            symbol = ty.entry.get("symbol")
            if symbol and ty.cls is not None:
                self.module.types[symbol] = made
                space = self.module.modules.get(ty.entry["module"])
                if space is not None and ty.name.isidentifier():
                    setattr(space, ty.name, made)

    def _class(self, ty: Any) -> None:
        kind = ty.entry["kind"]
        if ty.cls is not None or kind not in ("struct", "union", "bits", "enum"):
            return
        more = {"__module__": ty.entry["module"], "__kpy_type__": ty, "__slots__": ()}
        if kind == "enum":
            base = enum.IntFlag if ty.entry["flags"] else enum.IntEnum
            options = {"boundary": enum.KEEP} if ty.entry["flags"] else {}
            ty.cls = base(ty.name, ty.entry["members"], module=ty.entry["module"], **options)
            ty.cls.__kpy_type__ = ty
            ty.members = {int(m): m for m in ty.cls}
            return
        base = getattr(self.native, kind.capitalize())
        if kind == "struct" and ty.elem is not None:
            self._class(ty.elem)
            base = ty.elem.cls
        if kind == "struct":
            more["__doc__"] = f"{ty.name}: {ty.size} bytes, aligned to {ty.align}."
        ty.cls = type(ty.name, (base,), more)

    def _fields(self, ty: Any) -> None:
        types = self.core.types
        for field in ty.entry.get("fields", ()):
            if ty.entry["kind"] == "struct":
                name, number, offset = field
                made = self.native.Field(ty.cls, name, types[number], offset)
            else:
                name, number, bit, width = field
                made = self.native.BitField(ty.cls, name, types[number], bit, width)
            setattr(ty.cls, name, made)


def _attach(cls: Any, entry: dict[str, Any], function: Any) -> None:
    """A method of kpy as one of Python's class."""
    name = function.__name__
    if name in _KEPT_BY_PYTHON:
        return
    if not entry["self"]:
        setattr(cls, name, staticmethod(function))
    elif entry["property"]:
        setattr(cls, name, property(function))
    elif name == "__exit__":
        setattr(cls, name, lambda self, *_: function(self))
    else:
        setattr(cls, name, function)


def _globals(module: HostModule, native: ModuleType, described: dict[str, Any]) -> Any:
    """The object whose attributes are the global variables: those of every bound module by name,
    and by symbol as items where two have one name."""
    core, places = module._core, {}
    for entry in described["globals"]:
        if core.has(entry["symbol"]):
            place = (core.types[entry["type"]], core.symbol(entry["symbol"]), entry["constant"],
                     entry["percpu"])
            places[f"{entry['module']}.{entry['name']}"] = place
            places.setdefault(entry["name"], place)
    return _Globals(core, module._percpu, places)


class _Globals:
    """`mod.globals.count` reads and writes a variable, of a PerCpu one the current CPU's copy;
    aggregates are views."""

    __slots__ = ("_core", "_percpu", "_places")

    def __init__(self, core: Any, percpu: _PerCpu,
                 places: dict[str, tuple[Any, int, bool, bool]]) -> None:
        object.__setattr__(self, "_core", core)
        object.__setattr__(self, "_percpu", percpu)
        object.__setattr__(self, "_places", places)

    def __getattr__(self, name: str) -> Any:
        ty, address, _ = self._place(name)
        return self._core.load(ty, address)

    def __setattr__(self, name: str, value: Any) -> None:
        ty, address, constant = self._place(name)
        if constant:
            raise AttributeError(f"{name} is Final")
        self._core.store(ty, address, value, name)

    __getitem__ = __getattr__
    __setitem__ = __setattr__

    def __dir__(self) -> list[str]:
        return sorted(n for n in self._places if "." not in n)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dir__())

    def _place(self, name: str) -> tuple[Any, int, bool]:
        try:
            ty, address, constant, percpu = self._places[name]
        except KeyError:
            raise AttributeError(f"there is no global {name!r}; there are: "
                                 f"{', '.join(dir(self))}") from None
        return ty, address + (self._percpu.offset if percpu else 0), constant
