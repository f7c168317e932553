# SPDX-License-Identifier: BSD-3-Clause
"""hammer2 at the prompt, as DragonFly's hammer2(8): info, pfs-list, volume-list, show.

    hammer2 info                    the HAMMER2 volumes among the disks
    hammer2 pfs-list DEVICES        the PFSes of a volume set: type, ids, label
    hammer2 volume-list DEVICES     its volumes
    hammer2 show DEVICES            the header, and the tree of blockrefs below it

DEVICES are paths joined by `:`.  Nothing needs to be mounted.

Tests     tests/qemu/test_hammer2.py
Source    DragonFly sbin/hammer2 (directives)
"""
from typing import Final

from kpy import (
    Errno,
    Ptr,
    Slice,
    Str,
    VirtAddr,
    address_of,
    copy,
    kprintf,
    make_slice,
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
from kernel.commands import args, disks
from kernel.fs.hammer2 import check, io, ondisk, pfs, source, validate, vfsops, volume
from kernel.fs.hammer2.ondisk import Blockref, BrefType, Inode, VolumeData
from kernel.fs.hammer2.pfs import Label
from kernel.fs.hammer2.vfsops import Fs
from kernel.io import slices
from kernel.io.slices import PartInfo
from kernel.lib import errno, words
from kernel.lib.views import view

UNSAFE: Final = True            # buffers by address

USAGE: Final[u32] = 2
LABELS: Final = 16
DEPTH: Final = 24               # of the tree of blockrefs
MIB: Final = 1 << 20

M_COMMAND: mem.MallocType = mem.MallocType(name="hammer2(8)")


@struct
class Level:
    """A block of blockrefs that show is in."""
    bref: Blockref              # of the block; of the top one a blockset of the header
    at: u64                     # where in the block the array begins
    size: u64                   # bytes of the array
    next: u64                   # the blockref to be shown next, in bytes


@table("command", 140)
def hammer2() -> None:
    """hammer2 info | pfs-list DEVICES | volume-list DEVICES | show DEVICES"""
    what, rest = words.split(args.rest)
    devices, _ = words.split(rest)
    if what == b"info" and len(devices) == 0:
        _info()
        return
    known = what == b"pfs-list" or what == b"volume-list" or what == b"show"
    if not known or len(devices) == 0:
        kprintf("usage: hammer2 info | pfs-list DEVICES | volume-list DEVICES | show DEVICES\n")
        args.fail(USAGE)
        return
    fs = unwrap(mem.new(Fs, M_COMMAND, mem.M.WAITOK))
    try:
        vfsops.open_volumes(fs, devices)
        try:
            match what:
                case b"pfs-list":
                    _pfs_list(fs)
                case b"volume-list":
                    _volume_list(fs)
                case _:
                    _show(fs)
        finally:
            volume.close(fs.hmp)
    except Errno as e:
        kprintf(f"hammer2: {devices}: {errno.text(e.code)}\n")
        args.fail(1)
    vfsops.close_disks(fs)
    mem.kfree(fs, M_COMMAND)


def _info() -> None:
    """Every disk and part of one that begins with a volume header."""
    kprintf(f"{'DEVICE':<12} {'VOLUME':>7} {'VERSION':>7} {'SIZE MiB':>10} FSID\n")
    line: PartInfo = zeroed(PartInfo)
    index: u64 = 0
    while True:
        try:
            slices.nth(index, line)
        except Errno:
            return
        index += 1
        name = words.until_zero(line.name)
        try:
            _info_of(name)
        except Errno as e:
            kprintf(f"{name:<12} {errno.text(e.code)}\n")
            args.fail(1)


@throws
def _info_of(name: Slice[u8]) -> None:
    device = source.open_disk(name)
    try:
        if device.source.size < ondisk.PBUFSIZE:
            return
        dio = device.source.bread(device.source, 0)
        head = view(VolumeData, dio.data, 0)
        if u64(head.magic) == ondisk.VOLUME_ID_HBO:
            kprintf(f"{name:<12} {head.volu_id:>3} of {max(head.nvolumes, 1):>1} "
                    f"{u32(head.version):>6} {u64(head.volu_size) // MIB:>10} ")
            disks.print_uuid(head.fsid.bytes)
            kprintf("" if validate.volume_header(dio.data) else " (header damaged)")
            kprintf("\n")
        io.bqrelse(dio)
    finally:
        source.close_disk(device)


@throws
def _pfs_list(fs: Ptr[Fs]) -> None:
    memory = unwrap(mem.kmalloc(LABELS * sizeof(Label), M_COMMAND, mem.M.WAITOK))
    # safe: so many bytes, that are ours
    found = make_slice(pointer_at(Label, VirtAddr(u64(address_of(memory)))), LABELS)
    try:
        kprintf(f"{'Type':<12} {'ClusterId (pfs_clid)':<37}{'FsId (pfs_fsid)':<37}Label\n")
        first: u64 = 0
        while True:
            count = pfs.scan(fs.hmp, first, found)
            for one in found[:count]:
                kprintf(f"{_pfs_type(one):<12} ")
                disks.print_uuid(one.clid)
                kprintf(" ")
                disks.print_uuid(one.fsid)
                kprintf(f" {one.name[:one.namlen]}\n")
                first = one.key + 1
            if count < LABELS:
                return
    finally:
        mem.kfree(memory, M_COMMAND)


def _pfs_type(one: Ptr[Label]) -> Str:
    if one.subtype == 1:
        return "SNAPSHOT"
    match one.type:
        case 6:
            return "MASTER"
        case 3:
            return "SLAVE"
        case 4:
            return "SOFT_SLAVE"
        case 5:
            return "SOFT_MASTER"
        case 1:
            return "CACHE"
        case 9:
            return "DUMMY"
        case _:
            return "UNKNOWN"


def _volume_list(fs: Ptr[Fs]) -> None:
    head = ref(fs.hmp.voldata)
    kprintf(f"version {u32(head.version)}, newest header is copy {fs.hmp.zone}, "
            f"{u64(head.allocator_size) // MIB} MiB, {u64(head.allocator_free) // MIB} MiB free\n")
    for i in range(fs.hmp.volumes.count):
        part = ref(fs.hmp.volumes.volume[i])
        kprintf(f"volume {i}: from {part.offset:#018x}, {part.size // MIB} MiB\n")


# --- show ----------------------------------------------------------------------------------


@throws
def _show(fs: Ptr[Fs]) -> None:
    """The topology, then the freemap: a line a blockref, indented by its depth.

    A tree may be a forgery.  It ends below a block that hangs below itself, and after as many
    blockrefs as there is room for on the volumes.
    """
    head = ref(fs.hmp.voldata)
    kprintf(f"volume header: mirror_tid {u64(head.mirror_tid)}, freemap_tid "
            f"{u64(head.freemap_tid)}\n")
    memory = unwrap(mem.kmalloc(DEPTH * sizeof(Level), M_COMMAND, mem.M.WAITOK))
    # safe: so many bytes, that are ours
    stack = make_slice(pointer_at(Level, VirtAddr(u64(address_of(memory)))), DEPTH)
    try:
        kprintf("topology\n")
        _show_below(fs, stack, head.sroot_blockset)
        kprintf("freemap\n")
        _show_below(fs, stack, head.freemap_blockset)
    finally:
        mem.kfree(memory, M_COMMAND)


@throws
def _show_below(fs: Ptr[Fs], stack: Slice[Level], top: Slice[u8]) -> None:
    bref: Blockref = zeroed(Blockref)
    top_next: u64 = 0
    depth: u64 = 0
    failed: u64 = 0
    shown: u64 = 0
    while shown <= fs.hmp.volumes.total_size // ondisk.BLOCKREF_BYTES:
        if depth == 0:
            if top_next >= len(top):
                break
            copy(bref, view(Blockref, top, top_next))
            top_next += ondisk.BLOCKREF_BYTES
        else:
            level = ref(stack[depth - 1])
            if level.next >= level.size:
                depth -= 1
                continue
            dio = io.bread(fs.hmp.volumes, u64(level.bref.data_off))
            block = io.data(dio, u64(level.bref.data_off))
            copy(bref, view(Blockref, block, level.at + level.next))
            io.bqrelse(dio)
            level.next += ondisk.BLOCKREF_BYTES
        if bref.type == BrefType.EMPTY:
            continue
        shown += 1
        if not _show_one(fs, stack, ref(bref), depth):
            failed += 1
        elif _is_above(stack[:depth], bref):
            kprintf("it hangs below itself\n")
            failed += 1
        elif depth < DEPTH and _enter(fs, stack[depth], bref):
            depth += 1
    kprintf(f"{shown} blockrefs, {failed} failed\n")
    if failed != 0:
        args.fail(1)


@throws
def _show_one(fs: Ptr[Fs], stack: Slice[Level], bref: Ptr[Blockref], depth: u64) -> bool:
    """A line; whether its block is what it should be."""
    for _ in range(depth + 1):
        kprintf("  ")
    kprintf(f"{_name(bref.type)} {u64(bref.key):016x}/{bref.keybits:<2} "
            f"{u64(bref.data_off):016x} check {bref.methods.check} comp {bref.methods.comp} "
            f"mirror {u64(bref.mirror_tid)} modify {u64(bref.modify_tid)}")
    where = u64(bref.data_off)
    good = True
    if validate.bytes_of_ref(where) != 0:
        try:
            if not validate.media(where, fs.hmp.volumes.total_size):
                raise Errno(errno.EIO)
            dio = io.bread(fs.hmp.volumes, where)
            good = check.testcheck(bref, io.data(dio, where))
            io.bqrelse(dio)
        except Errno:
            good = False
    kprintf("\n" if good else " failed\n")
    return good


def _is_above(stack: Slice[Level], bref: Ptr[Blockref]) -> bool:
    """Whether the block has itself among those above it."""
    if validate.bytes_of_ref(u64(bref.data_off)) == 0:
        return False
    for level in stack:
        if level.bref.data_off == bref.data_off:
            return True
    return False


@throws
def _enter(fs: Ptr[Fs], level: Ptr[Level], bref: Ptr[Blockref]) -> bool:
    """Whether the block has blockrefs; where they are."""
    where = u64(bref.data_off)
    size = validate.bytes_of_ref(where)
    copy(level.bref, bref)
    level.next = 0
    level.at = 0
    level.size = size
    match bref.type:
        case BrefType.INDIRECT | BrefType.FREEMAP_NODE:
            return size != 0
        case BrefType.INODE:
            if size < ondisk.INODE_BYTES:
                return False
            dio = io.bread(fs.hmp.volumes, where)
            flags = view(Inode, io.data(dio, where), 0).op_flags
            io.bqrelse(dio)
            level.at = ondisk.INODE_BYTES - ondisk.EMBEDDED_BYTES
            level.size = ondisk.EMBEDDED_BYTES
            return flags & ondisk.OPFLAG_DIRECTDATA == 0
        case _:
            return False


def _name(kind: BrefType) -> Str:
    match kind:
        case BrefType.INODE:
            return "inode"
        case BrefType.INDIRECT:
            return "indirect"
        case BrefType.DATA:
            return "data"
        case BrefType.DIRENT:
            return "dirent"
        case BrefType.FREEMAP_NODE:
            return "freemap.node"
        case BrefType.FREEMAP_LEAF:
            return "freemap.leaf"
        case _:
            return "?"
