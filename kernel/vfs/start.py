# SPDX-License-Identifier: BSD-3-Clause
"""The first mounts: a tmpfs as the root, with /dev, /mnt and /tmp, and devfs on /dev.

Tests     tests/qemu/test_files.py
"""
from typing import Final

from kpy import Array, Str, throws

from kernel.machine.types import PAGE_SIZE
from kernel.mem import page
from kernel.vfs import calls, lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc
from kernel.vfs.mount import MountFlag
from kernel.vfs.vnode import Attr, Vtype

DIRECTORIES: Final[Array[Str, 3]] = ["/dev", "/mnt", "/tmp"]


@throws
def run() -> None:
    """Once, in a thread.  Errors  those of mounting."""
    namecache.init(page.count_free() * PAGE_SIZE)
    mount.init()
    mount.mount(b"tmpfs", b"tmpfs", None, b"/", MountFlag(0))
    for path in DIRECTORIES:
        attr: Attr = Attr(type=Vtype.VDIR, mode=0o755)
        vnode.vrele(calls.create(path, attr))
    nd = lookup.nlookup(b"/dev", Nlc.FOLLOW)
    try:
        mount.mount(b"devfs", b"devfs", nd.nch, b"/dev", MountFlag(0))
    finally:
        lookup.done(nd)
