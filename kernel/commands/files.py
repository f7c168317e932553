# SPDX-License-Identifier: BSD-3-Clause
"""Files at the prompt: mount, umount, df, cat, wc, stat, readlink, mkdir, ls, sha256.

Errors are said as a Unix shell's programs do: the command, the path, and what the errno means.

Tests     tests/qemu/test_hammer2.py
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Fn,
    Iterator,
    Ptr,
    Slice,
    Str,
    VirtAddr,
    address_of,
    i32,
    inline,
    kprintf,
    make_slice,
    may_block,
    pointer_at,
    ref,
    sizeof,
    struct,
    table,
    throws,
    u8,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel import mem
from kernel.commands import args
from kernel.lib import errno, fmt, words
from kernel.lib.sha256 import Sha256
from kernel.vfs import calls, lookup, vnode
from kernel.vfs import mount as mounts
from kernel.vfs.lookup import Nlc
from kernel.vfs.mount import MountFlag, StatFs
from kernel.vfs.vnode import Attr, Dirent, Vnode, Vtype

UNSAFE: Final = True            # buffers by address

USAGE: Final[u32] = 2
CHUNK: Final = 65536
BATCH: Final = 32               # directory entries at a time
DEPTH: Final = 64               # directories below each other
SLASH: Final = 47
MODE_LETTERS: Final[Slice[u8]] = b"rwxrwxrwx"
DASH: Final = 45
SECOND: Final = 1_000_000_000
DAY: Final = 86400

M_COMMAND: mem.MallocType = mem.MallocType(name="command")


@struct
class Level:
    """A directory that a walk is in."""
    vp: Ptr[Vnode]
    cookie: u64
    path_end: u64               # bytes of the path up to it


@struct
class Walk:
    """Memory for a command that goes through files."""
    path: Array[u8, lookup.MAXPATHLEN]
    entries: Array[Dirent, BATCH]
    chunk: Array[u8, CHUNK]


@struct
class Line:
    """A name that ls is to show."""
    next: "Ptr[Line] | None"
    length: u64
    name: Array[u8, 256]


# --- mount, umount, df ---------------------------------------------------------------------


@table("command", 110)
def mount() -> None:
    """mount [[-t TYPE] [-r] SOURCE PATH]"""
    word, rest = words.split(args.rest)
    kind: Slice[u8] = b"hammer2"
    how = MountFlag(0)
    if len(word) == 0:
        _list_mounts()
        return
    while len(word) != 0 and word[0] == DASH:
        if word == b"-t":
            kind, rest = words.split(rest)
        elif word == b"-r":
            how |= MountFlag.RDONLY
        else:
            _usage("mount [[-t TYPE] [-r] SOURCE PATH]\n")
            return
        word, rest = words.split(rest)
    path, rest = words.split(rest)
    if len(path) == 0 or len(rest) != 0:
        _usage("mount [[-t TYPE] [-r] SOURCE PATH]\n")
        return
    try:
        nd = lookup.nlookup(path, Nlc.FOLLOW)
        try:
            mounts.mount(kind, word, nd.nch, path, how)
        finally:
            lookup.done(nd)
    except Errno as e:
        _complain("mount", word, e.code)


def _list_mounts() -> None:
    with mounts.listing():
        index: u64 = 0
        while (mp := mounts.nth(index)) is not None:
            mode = "ro" if MountFlag.RDONLY in mp.flags else "rw"
            kprintf(f"{words.until_zero(mp.source)} on {words.until_zero(mp.at)} "
                    f"type {mp.ops.name} ({mode})\n")
            index += 1


@table("command", 111)
def umount() -> None:
    """umount PATH"""
    path, rest = words.split(args.rest)
    if len(path) == 0 or len(rest) != 0:
        _usage("umount PATH\n")
        return
    try:
        nd = lookup.nlookup(path, Nlc.FOLLOW)
        mp = unwrap(nd.nch.mount)
        at_root = unwrap(nd.nch.ncp) is unwrap(mp.root)
        lookup.done(nd)
        if not at_root:
            raise Errno(errno.EINVAL)
        mounts.unmount(mp)
    except Errno as e:
        _complain("umount", path, e.code)


@table("command", 112)
def df() -> None:
    """df"""
    kprintf(f"{'Filesystem':<28} {'1K-blocks':>12} {'Used':>12} {'Available':>12} Mounted on\n")
    with mounts.listing():
        index: u64 = 0
        while (mp := mounts.nth(index)) is not None:
            index += 1
            room: StatFs = zeroed(StatFs)
            try:
                mp.ops.statfs(mp, room)
            except Errno as e:
                _complain("df", words.until_zero(mp.at), e.code)
                continue
            used = room.total - min(room.free, room.total)
            kprintf(f"{words.until_zero(mp.source):<28} {room.total >> 10:>12} {used >> 10:>12} "
                    f"{room.free >> 10:>12} {words.until_zero(mp.at)}\n")


# --- cat, stat, readlink, mkdir ------------------------------------------------------------


@table("command", 120)
def cat() -> None:
    """cat PATH..."""
    walk = _walk()
    word, rest = words.split(args.rest)
    if len(word) == 0:
        _usage("cat PATH...\n")
    while len(word) != 0:
        try:
            vp = calls.open_file(word)
            try:
                for data in _chunks(walk, vp):
                    fmt.console_write(data)
            finally:
                calls.close_file(vp)
        except Errno as e:
            _complain("cat", word, e.code)
        word, rest = words.split(rest)
    mem.kfree(walk, M_COMMAND)


@table("command", 126)
def wc() -> None:
    """wc -c PATH..."""
    word, rest = words.split(args.rest)
    if word != b"-c" or len(rest) == 0:
        _usage("wc -c PATH...\n")
        return
    walk = _walk()
    word, rest = words.split(rest)
    while len(word) != 0:
        try:
            vp = calls.open_file(word)
            try:
                count: u64 = 0
                for data in _chunks(walk, vp):
                    count += len(data)
                kprintf(f"{count} {word}\n")
            finally:
                calls.close_file(vp)
        except Errno as e:
            _complain("wc", word, e.code)
        word, rest = words.split(rest)
    mem.kfree(walk, M_COMMAND)


@table("command", 121)
def stat() -> None:
    """stat PATH..., or stat -r PATH for all below it: a line each, of type, inode, mode, links,
    uid, gid, size, time, path, and where a symbolic link leads."""
    walk = _walk()
    word, rest = words.split(args.rest)
    deep = word == b"-r"
    if deep:
        word, rest = words.split(rest)
    if len(word) == 0:
        _usage("stat PATH... | stat -r PATH\n")
    while len(word) != 0:
        if deep:
            try:
                _below(walk, word, "stat", _stat_visit)
            except Errno as e:
                _complain("stat", word, e.code)
        else:
            _stat_visit(walk, Vtype.VREG, words.write_text(walk.path, word))
        word, rest = words.split(rest)
    mem.kfree(walk, M_COMMAND)


def _stat_visit(walk: Ptr[Walk], kind: Vtype, end: u64) -> None:
    path = walk.path[:end]
    attr: Attr = Attr(type=kind)
    try:
        calls.stat(path, attr, False)
        kprintf(f"{_letter(attr.type)} {attr.fileid} {attr.mode:04o} {attr.nlink} {attr.uid} "
                f"{attr.gid} {attr.size} ")
        _print_time(attr.mtime)
        kprintf(f" {path}")
        if attr.type == Vtype.VLNK:
            length = calls.readlink(path, walk.chunk)
            kprintf(f" -> {walk.chunk[:length]}")
        kprintf("\n")
    except Errno as e:
        _complain("stat", path, e.code)


@table("command", 122)
def readlink() -> None:
    """readlink PATH"""
    walk = _walk()
    path, _ = words.split(args.rest)
    try:
        length = calls.readlink(path, walk.path)
        kprintf(f"{walk.path[:length]}\n")
    except Errno as e:
        _complain("readlink", path, e.code)
    mem.kfree(walk, M_COMMAND)


@table("command", 123)
def mkdir() -> None:
    """mkdir PATH"""
    path, _ = words.split(args.rest)
    attr: Attr = Attr(type=Vtype.VDIR, mode=0o755)
    try:
        vnode.vrele(calls.create(path, attr))
    except Errno as e:
        _complain("mkdir", path, e.code)


# --- ls ------------------------------------------------------------------------------------


@table("command", 124)
def ls() -> None:
    """ls [-l] [PATH...]"""
    word, rest = words.split(args.rest)
    long = word == b"-l"
    if long:
        word, rest = words.split(rest)
    if len(word) == 0:
        word = b"/"
    walk = _walk()
    while len(word) != 0:
        try:
            _ls(walk, word, long)
        except Errno as e:
            _complain("ls", word, e.code)
        word, rest = words.split(rest)
    mem.kfree(walk, M_COMMAND)


@throws
def _ls(walk: Ptr[Walk], path: Slice[u8], long: bool) -> None:
    attr: Attr = Attr(type=Vtype.VREG)
    calls.stat(path, attr, True)
    if attr.type != Vtype.VDIR:
        calls.stat(path, attr, False)
        _print_line(walk, attr, path, path, long)
        return
    used = words.write_text(walk.path, path)
    if path[len(path) - 1] != SLASH:
        walk.path[used] = SLASH
        used += 1
    vp = calls.open_file(path)
    lines: Ptr[Line] | None = None
    count: u64 = 0
    try:
        cookie: u64 = 0
        while (found := calls.readdir(vp, cookie, walk.entries)) != 0:
            for entry in walk.entries[:found]:
                line = mem.new(Line, M_COMMAND, mem.M.WAITOK)
                if line is None:
                    raise Errno(errno.ENOMEM)
                line.length = entry.length
                line.name[:].copy_from(entry.name)
                line.next = lines
                lines = line
                count += 1
                cookie = entry.cookie
        lines = _sort(lines, count)
        while lines is not None:
            name = lines.name[:lines.length]
            whole = used + words.write_text(walk.path[used:], name)
            calls.stat(walk.path[:whole], attr, False)
            _print_line(walk, attr, name, walk.path[:whole], long)
            following = lines.next
            mem.kfree(lines, M_COMMAND)
            lines = following
    finally:
        while lines is not None:
            following = lines.next
            mem.kfree(lines, M_COMMAND)
            lines = following
        calls.close_file(vp)


def _sort(lines: Ptr[Line] | None, count: u64) -> Ptr[Line] | None:
    """By name: merge runs of 1, 2, 4, ... lines."""
    run: u64 = 1
    while run < count:
        left = lines
        lines = None
        last: Ptr[Line] | None = None
        while left is not None:
            right: Ptr[Line] | None = left
            for _ in range(run):
                if right is not None:
                    right = right.next
            rest_left: u64 = run
            rest_right: u64 = run
            middle = right
            while (left is not None and left is not middle and rest_left != 0) or (
                    right is not None and rest_right != 0):
                take_left = right is None or rest_right == 0
                if not take_left and rest_left != 0 and left is not None and left is not middle:
                    take_left = words.compare(
                        left.name[:left.length], unwrap(right).name[:unwrap(right).length]) <= 0
                if take_left:
                    line = unwrap(left)
                    left = line.next
                    rest_left -= 1
                else:
                    line = unwrap(right)
                    right = line.next
                    rest_right -= 1
                if last is None:
                    lines = line
                else:
                    last.next = line
                last = line
            left = right
        if last is not None:
            last.next = None
        run *= 2
    return lines


def _print_line(walk: Ptr[Walk], attr: Ptr[Attr], name: Slice[u8], path: Slice[u8],
                long: bool) -> None:
    if not long:
        kprintf(f"{name}\n")
        return
    kprintf(f"{_letter(attr.type)}")
    for i in range(9):
        if attr.mode >> (8 - i) & 1 != 0:
            fmt.console_write(MODE_LETTERS[i:i + 1])
        else:
            kprintf("-")
    kprintf(f" {attr.nlink:>3} {attr.uid:>5} {attr.gid:>5} {attr.size:>10} ")
    _print_time(attr.mtime)
    kprintf(f" {name}")
    if attr.type == Vtype.VLNK:
        try:
            length = calls.readlink(path, walk.chunk)
            kprintf(f" -> {walk.chunk[:length]}")
        except Errno as e:
            kprintf(f" -> ({errno.text(e.code)})")
    kprintf("\n")


# --- sha256 --------------------------------------------------------------------------------


@table("command", 125)
def sha256() -> None:
    """sha256 [-r] PATH"""
    word, rest = words.split(args.rest)
    deep = word == b"-r"
    if deep:
        word, rest = words.split(rest)
    if len(word) == 0 or len(word) >= lookup.MAXPATHLEN:
        _usage("sha256 [-r] PATH\n")
        return
    walk = _walk()
    try:
        if deep:
            _below(walk, word, "sha256", _sha256_visit)
        else:
            words.write_text(walk.path, word)
            _sha256_file(walk, len(word))
    except Errno as e:
        _complain("sha256", word, e.code)
    mem.kfree(walk, M_COMMAND)


def _sha256_visit(walk: Ptr[Walk], kind: Vtype, end: u64) -> None:
    if kind == Vtype.VREG:
        _sha256_file(walk, end)


def _sha256_file(walk: Ptr[Walk], end: u64) -> None:
    """The line of the file walk.path[:end]."""
    state = Sha256()
    digest: Array[u8, 32]
    state.begin()
    path = walk.path[:end]
    try:
        vp = calls.open_file(path)
        try:
            for data in _chunks(walk, vp):
                state.update(data)
        finally:
            calls.close_file(vp)
    except Errno as e:
        _complain("sha256", path, e.code)
        return
    state.finish(digest)
    for byte in digest:
        kprintf(f"{byte:02x}")
    kprintf(f"  {path}\n")


# --- Helpers -------------------------------------------------------------------------------


@inline
@throws
def _chunks(walk: Ptr[Walk], vp: Ptr[Vnode]) -> Iterator[Slice[u8]]:
    """A file's bytes, as many at a time as walk.chunk has room for."""
    at: u64 = 0
    while True:
        count = calls.read(vp, at, walk.chunk)
        if count == 0:
            break
        yield walk.chunk[:count]
        at += count


@throws
def _below(walk: Ptr[Walk], path: Slice[u8], command: Str, visit: Fn[[Ptr[Walk], Vtype, u64], None]
           ) -> None:
    """Call visit(walk, type, length of walk.path) for all that is below a directory; what cannot be
    read is said, and the rest goes on."""
    levels = unwrap(mem.kmalloc(DEPTH * sizeof(Level), M_COMMAND, mem.M.WAITOK))
    # safe: so many bytes, that are ours
    stack = make_slice(pointer_at(Level, VirtAddr(u64(address_of(levels)))), DEPTH)
    depth: u64 = 0
    end = words.write_text(walk.path, path)
    try:
        stack[0].vp = calls.open_file(path)
        stack[0].cookie = 0
        stack[0].path_end = end
        depth = 1
        while depth != 0:
            level = ref(stack[depth - 1])
            found: u64 = 0
            try:
                found = calls.readdir(level.vp, level.cookie, walk.entries)
            except Errno as e:
                _complain(command, walk.path[:level.path_end], e.code)
            if found == 0:
                calls.close_file(level.vp)
                depth -= 1
                continue
            for entry in walk.entries[:found]:
                level.cookie = entry.cookie
                end = level.path_end
                if walk.path[end - 1] != SLASH:
                    walk.path[end] = SLASH
                    end += 1
                name = entry.name[:entry.length]
                if end + len(name) >= lookup.MAXPATHLEN:
                    _complain(command, name, errno.ENAMETOOLONG)
                    continue
                end += words.write_text(walk.path[end:], name)
                visit(walk, entry.type, end)
                if entry.type == Vtype.VDIR and depth == DEPTH:
                    _complain(command, walk.path[:end], errno.ELOOP)
                elif entry.type == Vtype.VDIR:
                    try:
                        stack[depth].vp = calls.open_file(walk.path[:end])
                    except Errno as e:
                        _complain(command, walk.path[:end], e.code)
                        continue
                    stack[depth].cookie = 0
                    stack[depth].path_end = end
                    depth += 1
                    break
    finally:
        while depth != 0:
            depth -= 1
            calls.close_file(stack[depth].vp)
        mem.kfree(levels, M_COMMAND)


@may_block
def _walk() -> Ptr[Walk]:
    return unwrap(mem.new(Walk, M_COMMAND, mem.M.WAITOK))


def _usage(text: Str) -> None:
    kprintf(f"usage: {text}")
    args.fail(USAGE)


def _complain(command: Str, what: Slice[u8], code: i32) -> None:
    kprintf(f"{command}: {what}: {errno.text(code)}\n")
    args.fail(1)


def _letter(kind: Vtype) -> Str:
    """As ls -l begins a line."""
    match kind:
        case Vtype.VFIFO:
            return "p"
        case Vtype.VCHR:
            return "c"
        case Vtype.VDIR:
            return "d"
        case Vtype.VBLK:
            return "b"
        case Vtype.VREG:
            return "-"
        case Vtype.VLNK:
            return "l"
        case Vtype.VSOCK:
            return "s"


def _print_time(ns: u64) -> None:
    """YYYY-MM-DD HH:MM:SS in UTC, by the civil calendar counted from March."""
    seconds = ns // SECOND
    days = seconds // DAY + 719_468             # since 0000-03-01
    era = days // 146_097
    of_era = days % 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    year = year_of_era + era * 400
    if month < 10:
        month += 3
    else:
        month -= 9
        year += 1
    kprintf(f"{year:04}-{month:02}-{day:02} {seconds % DAY // 3600:02}:{seconds % 3600 // 60:02}:"
            f"{seconds % 60:02}")
