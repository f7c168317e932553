# SPDX-License-Identifier: BSD-3-Clause
"""The first mounts: a tmpfs as the root, with /dev, /mnt and /tmp, devfs on /dev, and one that the
kernel's command line asks for, once there are disks:

    mount=TYPE:SOURCE:PATH      mount=hammer2:/dev/serno/root.s0@ROOT:/mnt

Tests     tests/qemu/test_image.py
"""
from typing import Final

from kpy import Array, Errno, Slice, Str, kprintf, may_block, throws, u8, u64

from kernel.lib import errno, words
from kernel.machine.types import PAGE_SIZE
from kernel.mem import page
from kernel.vfs import calls, lookup, mount, namecache, vnode
from kernel.vfs.lookup import Nlc
from kernel.vfs.mount import MountFlag
from kernel.vfs.vnode import Attr, Vtype

COLON: Final = 58
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


@may_block
def mount_asked(line: Slice[u8]) -> None:
    """What `mount=` on the command line says; tells what is mounted where, or why not."""
    word = words.value_of(line, b"mount")
    if len(word) == 0:
        return
    first = len(word)           # the colon behind TYPE, and the one before PATH
    last: u64 = 0
    for i, byte in enumerate(word):
        if byte == COLON:
            first = min(first, i)
            last = i
    if first >= last:
        kprintf(f"mount={word}: not TYPE:SOURCE:PATH\n")
        return
    source = word[first + 1:last]
    path = word[last + 1:]
    try:
        nd = lookup.nlookup(path, Nlc.FOLLOW)
        try:
            mount.mount(word[:first], source, nd.nch, path, MountFlag(0))
        finally:
            lookup.done(nd)
        kprintf(f"mounted: {source} on {path}\n")
    except Errno as e:
        kprintf(f"not mounted: {source} on {path}: {errno.text(e.code)}\n")
