# SPDX-License-Identifier: BSD-3-Clause
"""tmpfs: what a file is: a node, pages of data or a list of entries.

Nothing here locks: the vnode's lock, exclusive for changes, is its caller's.

Invariants
  T1  nlink counts the entries for a node, and for a directory itself and its subdirectories too.
  T2  A node without entries is freed with its vnode.
  T3  Pages lie in a tree by their number in the file; a missing one is zeros, and what lies in a
      page past the file's size is zero.
Locking   [v] the vnode's lock   [I] fixed   [a] atomic
Tests     tests/guest/files.py
Source    DragonFly sys/vfs/tmpfs/tmpfs.h, tmpfs_subr.c (design)
"""
from typing import Final

from kpy import (
    Atomic,
    Errno,
    Ptr,
    Slice,
    make_slice,
    pointer_at,
    struct,
    throws,
    u8,
    u16,
    u32,
    u64,
)

from kernel.lib import queue, rbtree
from kernel.lib.errno import EFBIG, ENOMEM
from kernel.machine.types import PAGE_SIZE
from kernel.mem import page, slab
from kernel.mem.flags import M
from kernel.mem.malloc_type import MallocType
from kernel.vfs.slot import Slot
from kernel.vfs.vnode import Attr, Vtype

UNSAFE: Final = True        # names and pages by address

SIZE_MAX: Final = 1 << 44

M_TMPFS: MallocType = MallocType(name="tmpfs")


@struct
class Data:
    """A page of a file."""
    node: rbtree.Node["Data"]
    index: u64                  # [I] in pages
    frame: Ptr[page.Page]       # [I]


@struct
class Entry:
    """A name in a directory."""
    link: queue.Link["Entry"]   # [v]
    node: Ptr["Node"]           # [v]
    cookie: u64                 # [I] ascending in the list
    length: u16                 # [I]
    name: Ptr[u8]               # [I]


@struct
class Node:
    """A file."""
    type: Vtype                                 # [I]
    id: u64                                     # [I]
    mode: u32                                   # [v]
    uid: u32                                    # [v]
    gid: u32                                    # [v]
    flags: u32                                  # [v]
    rdev: u32                                   # [I]
    nlink: u64                                  # [v] T1
    size: u64                                   # [v]
    pages: u64                                  # [v] that it has
    atime: u64
    mtime: u64
    ctime: u64
    btime: u64
    data: rbtree.Tree[Data, "node", "index"]    # [v] of a file, or a symbolic link's target
    entries: queue.TailQueue[Entry, "link"]     # [v] of a directory
    next_cookie: u64                            # [v]
    slot: Slot


@struct
class Tmpfs:
    """A mount."""
    root: Ptr[Node]             # [I]
    next_id: Atomic[u64]        # [a]
    pages: Atomic[u64]          # [a] in use


@throws
def make(fs: Ptr[Tmpfs], attr: Ptr[Attr]) -> Ptr[Node]:
    """A node that no entry stands for.  Errors  ENOMEM."""
    node = slab.new(Node, M_TMPFS, M.WAITOK | M.NULLOK)
    if node is None:
        raise Errno(ENOMEM)
    node.type = attr.type
    node.id = fs.next_id.add(1) + 1
    node.mode = attr.mode
    node.uid = attr.uid
    node.gid = attr.gid
    node.rdev = attr.rdev
    node.mtime = attr.mtime
    node.ctime = attr.mtime
    node.atime = attr.mtime
    node.btime = attr.mtime
    node.nlink = 1 if attr.type == Vtype.VDIR else 0
    node.next_cookie = 1
    return node


def free(fs: Ptr[Tmpfs], node: Ptr[Node]) -> None:
    """The end of a node (T2)."""
    _cut(fs, node, 0)
    slab.kfree(node, M_TMPFS)


# --- Directories ---------------------------------------------------------------------------


def find(directory: Ptr[Node], name: Slice[u8]) -> Ptr[Entry] | None:
    for entry in directory.entries:
        if name_of(entry) == name:
            return entry
    return None


def name_of(entry: Ptr[Entry]) -> Slice[u8]:
    return make_slice(entry.name, entry.length)         # safe: so long was it made


@throws
def enter(directory: Ptr[Node], name: Slice[u8], node: Ptr[Node]) -> None:
    """A name for `node`.  Errors  ENOMEM."""
    entry = slab.new(Entry, M_TMPFS, M.WAITOK | M.NULLOK)
    copied = slab.kmalloc(max(len(name), 1), M_TMPFS, M.WAITOK | M.NULLOK)
    if entry is None or copied is None:
        if entry is not None:
            slab.kfree(entry, M_TMPFS)
        if copied is not None:
            slab.kfree(copied, M_TMPFS)
        raise Errno(ENOMEM)
    make_slice(copied, len(name)).copy_from(name)       # safe: so long is it
    entry.name = copied
    entry.length = u16(len(name))
    entry.node = node
    entry.cookie = directory.next_cookie
    directory.next_cookie += 1
    directory.entries.push_back(entry)
    node.nlink += 1
    if node.type == Vtype.VDIR:
        directory.nlink += 1


def leave(directory: Ptr[Node], entry: Ptr[Entry]) -> None:
    """Take a name away."""
    node = entry.node
    directory.entries.remove(entry)
    node.nlink -= 1
    if node.type == Vtype.VDIR:
        directory.nlink -= 1
    slab.kfree(entry.name, M_TMPFS)
    slab.kfree(entry, M_TMPFS)


# --- Data ----------------------------------------------------------------------------------


def read(node: Ptr[Node], where: u64, to: Slice[u8]) -> u64:
    """What the file has from `where` on, at most as much as fits."""
    if where >= node.size:
        return 0
    left = min(len(to), node.size - where)
    done: u64 = 0
    while done < left:
        at = where + done
        skip = at % PAGE_SIZE
        take = min(left - done, PAGE_SIZE - skip)
        data = node.data.find(at // PAGE_SIZE)
        if data is None:
            to[done:done + take].fill(0)
        else:
            to[done:done + take].copy_from(_bytes(data)[skip:skip + take])
        done += take
    return done


@throws
def write(fs: Ptr[Tmpfs], node: Ptr[Node], where: u64, data: Slice[u8]) -> u64:
    """Put `data` at `where`.  Errors  EFBIG; ENOMEM if not even a part could be written."""
    if where > SIZE_MAX or len(data) > SIZE_MAX - where:
        raise Errno(EFBIG)
    done: u64 = 0
    while done < len(data):
        at = where + done
        skip = at % PAGE_SIZE
        take = min(len(data) - done, PAGE_SIZE - skip)
        place = node.data.find(at // PAGE_SIZE)
        if place is None:
            try:
                place = _add_page(fs, node, at // PAGE_SIZE)
            except Errno:
                if done == 0:
                    raise
                break
        _bytes(place)[skip:skip + take].copy_from(data[done:done + take])
        done += take
    node.size = max(node.size, where + done)
    return done


@throws
def truncate(fs: Ptr[Tmpfs], node: Ptr[Node], size: u64) -> None:
    """Make the file `size` bytes long.  Errors  EFBIG."""
    if size > SIZE_MAX:
        raise Errno(EFBIG)
    _cut(fs, node, (size + PAGE_SIZE - 1) // PAGE_SIZE)
    tail = size % PAGE_SIZE
    last = node.data.find(size // PAGE_SIZE)
    if size < node.size and tail != 0 and last is not None:
        _bytes(last)[tail:].fill(0)             # T3
    node.size = size


@throws
def _add_page(fs: Ptr[Tmpfs], node: Ptr[Node], index: u64) -> Ptr[Data]:
    data = slab.new(Data, M_TMPFS, M.WAITOK | M.NULLOK)
    if data is None:
        raise Errno(ENOMEM)
    frame = page.alloc(M.RNOWAIT | M.NULLOK)
    if frame is None:
        slab.kfree(data, M_TMPFS)
        raise Errno(ENOMEM)
    page.zero(frame)
    data.index = index
    data.frame = frame
    node.data.insert(data)
    node.pages += 1
    fs.pages.add(1)
    return data


def _cut(fs: Ptr[Tmpfs], node: Ptr[Node], first: u64) -> None:
    """Free the pages from number `first` on."""
    while True:
        data = node.data.at_least(first)
        if data is None:
            return
        node.data.remove(data)
        page.free(data.frame)
        slab.kfree(data, M_TMPFS)
        node.pages -= 1
        fs.pages.sub(1)


def _bytes(data: Ptr[Data]) -> Slice[u8]:
    return make_slice(pointer_at(u8, page.virt(data.frame)), PAGE_SIZE)     # safe: a page of ours
