# SPDX-License-Identifier: BSD-3-Clause
"""kernel/fs/hammer2 as a Python object: open volumes, mount labels, walk.

    driver = Driver(host.build(FILES))
    with driver.opened([image]) as volume:
        with volume.mounted(b"DATA") as tree:
            tree.read(tree.resolve(b"a/b"))
"""
from __future__ import annotations

import contextlib
import ctypes
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.unit.mem.fake import Machine
from toolchain.host import KpyError

PROGRAMS = [f"tests/unit/fs/hammer2/programs/{name}.py" for name in ("memory_volume", "survey")]
FILES = [*sorted(str(p) for p in Path("kernel/fs/hammer2").glob("[a-z]*.py")), *PROGRAMS,
         "kernel/lib/crc32c.py",
         *(f"kernel/lwkt/{name}.py" for name in (
             "globaldata", "crit", "spin", "ipiq", "thread", "cpumask", "mutex", "msgport")),
         *(f"kernel/mem/{name}.py" for name in ("page", "kva", "slab", "malloc_type")),
         "kernel/machine/types.py"]
MIB = 1 << 20
CACHE = 4 * MIB
KINDS = {1: "dir", 2: "file", 4: "fifo", 7: "symlink"}
LAST = 1 << 64


class Driver:
    """The module with memory behind it."""

    def __init__(self, module: Any, memory: int = 64 * MIB) -> None:
        self.mod = module
        for name, space in module.modules.items():
            if name.startswith("kernel.fs.hammer2."):
                setattr(self, name.rpartition(".")[2], space)
        self.memory = module.modules["tests.unit.fs.hammer2.programs.memory_volume"]
        self.reads = {number for number, place in module.sites().items()
                      if "memory_volume" in place[0]}
        self.allocations = {number for number, place in module.sites().items()
                            if place[2].startswith("kernel.fs.hammer2.")}
        self.machine = Machine([(MIB, memory - MIB)], 64 * MIB)
        self.machine.attach(module, 1)
        at = module.modules
        at["kernel.mem.page"].init(self.machine.region_list(), 1)
        self.machine.each(at["kernel.mem.page"].init_cpu, 1)
        at["kernel.mem.kva"].init()
        self.machine.each(at["kernel.mem.kva"].init_cpu)
        at["kernel.mem.slab"].init(memory)
        self.machine.each(at["kernel.mem.slab"].init_cpu)

    def stop(self) -> None:
        """Take the machine away."""
        self.machine.close()

    def var(self, name: str) -> Any:
        """A variable by its module and name."""
        return getattr(self.mod.globals, name)

    def in_use(self) -> int:
        """Bytes that the driver has from the allocator."""
        kind = self.var("kernel.fs.hammer2.mount.M_HAMMER2")
        return self.mod.modules["kernel.mem.malloc_type"].sum(kind).memuse

    def reads_fail(self, when: Callable[[], bool]) -> Any:
        """Let a read of a buffer fail whenever when() says so."""
        return self.mod.provide(fault=lambda site: site in self.reads and when())

    def allocations_fail(self, when: Callable[[], bool]) -> Any:
        """Let an allocation fail whenever when() says so."""
        return self.mod.provide(fault=lambda site: site in self.allocations and when())

    @contextlib.contextmanager
    def opened(self, images: list[Any], cache: int = CACHE) -> Iterator[Opened]:
        """The set of volumes in these buffers; checks at the end that everything is given back."""
        before = self.in_use()
        opened = Opened(self, images, cache)
        try:
            yield opened
        finally:
            opened.close()
        assert self.in_use() == before, "memory was not given back"
        assert self.var("tests.unit.fs.hammer2.programs.memory_volume.held") == 0


class Opened:
    """A set of volumes that is open."""

    def __init__(self, driver: Driver, images: list[Any], cache: int) -> None:
        self.driver = driver
        self.views = [(ctypes.c_ubyte * len(image)).from_buffer(image) for image in images]
        self.sources = []
        for view in self.views:
            source = driver.mod.BlockSource()
            driver.memory.set_up(source, ctypes.addressof(view), len(view))
            self.sources.append(source)
        self.mount = driver.mod.Mount()
        driver.volume.open(self.mount, self.sources, cache)

    def close(self) -> None:
        """Close it; the caller's buffers are free again."""
        self.driver.volume.close(self.mount)
        self.views.clear()

    def labels(self) -> dict[bytes, Any]:
        """All PFSes, a few at a time."""
        found: dict[bytes, Any] = {}
        first = 0
        while first < LAST:
            some = self.driver.mod.array(self.driver.mod.Label, 2)
            count = self.driver.pfs.scan(self.mount, first, some)
            if count == 0:
                break
            for i in range(count):
                label = some[i]
                found[bytes(label.name)[:label.namlen]] = label
                first = label.key + 1
        return found

    @contextlib.contextmanager
    def mounted(self, label: bytes) -> Iterator[Mounted]:
        """A PFS."""
        made = Mounted(self.driver, self.driver.pfs.mount_label(self.mount, label))
        try:
            yield made
        finally:
            made.close()


class Mounted:
    """A mounted PFS; an inode that it gives is to be dropped."""

    def __init__(self, driver: Driver, pmp: Any) -> None:
        self.driver, self.pmp = driver, pmp
        self.buffer = driver.mod.array("u8", 65536)
        self.digest = driver.mod.array("u8", 32)

    def close(self) -> None:
        self.driver.pfs.unmount(self.pmp)

    @contextlib.contextmanager
    def inode(self, inum: int) -> Iterator[Any]:
        """An inode by number, dropped at the end."""
        ip = self.driver.inode.get(self.pmp, inum)
        try:
            yield ip
        finally:
            self.driver.inode.drop(ip)

    def entries(self, dip: Any, room: int = 7) -> tuple[list[tuple[bytes, int, int]], bool]:
        """(name, inum, type) of all entries in order, and whether some are damaged."""
        place, found = self.driver.mod.Place(), []
        some = self.driver.mod.array(self.driver.mod.Entry, room)
        while not place.ended:
            for i in range(self.driver.dirent.readdir(dip, place, some)):
                entry = some[i]
                found.append((bytes(entry.name)[:entry.namlen], entry.inum, int(entry.type)))
        return found, place.damaged

    def read(self, ip: Any, offset: int = 0, size: int = 65536) -> bytes:
        """Bytes of a file or a link."""
        target = self.driver.mod.array("u8", size) if size > len(self.buffer) else self.buffer
        count = self.driver.strategy.read(ip, offset, target[:size])
        return bytes(target[:count])

    def hashed(self, ip: Any, piece: int = 65536) -> tuple[int, str]:
        """Size and SHA-256 of a file, read in pieces."""
        size = self.driver.memory.hash_file(ip, self.buffer[:piece], self.digest)
        return size, bytes(self.digest).hex()

    def describe(self, ip: Any) -> dict[str, Any]:
        """What a manifest says of an inode."""
        meta = self.driver.inode.meta(ip)
        found = {"mode": f"{meta.mode:04o}", "uid": self.driver.inode.unix_id(meta.uid),
                 "gid": self.driver.inode.unix_id(meta.gid), "mtime_us": meta.mtime,
                 "type": KINDS.get(int(meta.type), "other"), "inum": meta.inum,
                 "nlink": meta.nlinks}
        if found["type"] in {"file", "symlink"}:
            found["size"] = meta.size
        return found

    def walk(self, room: int = 64) -> Iterator[tuple[bytes, Any]]:
        """(path, inode) of everything below the root, each directory by its names."""
        todo = [(b"", 1)]
        while todo:
            folder, inum = todo.pop()
            with self.inode(inum) as dip:
                names, damaged = self.entries(dip, room)
                if damaged:
                    raise KpyError(errno.EIO)
                for name, _, kind in names:
                    ip = self.driver.dirent.nresolve(dip, name)
                    try:
                        yield folder + name, ip
                    finally:
                        self.driver.inode.drop(ip)
                    if kind == 1:
                        todo.append((folder + name + b"/", ip.inum))
