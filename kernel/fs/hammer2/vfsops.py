# SPDX-License-Identifier: BSD-3-Clause
"""HAMMER2 as a file system: mount -t hammer2 /dev/nvme0@ROOT /mnt.

The source is the volumes' devices, joined by `:`, and a label behind `@`; without one it is the
first PFS that is a master and no snapshot and is not called LOCAL, else LOCAL.

Each mount opens the volumes for itself: several PFSes of a disk are several mounts.

Tests     tests/qemu/test_hammer2.py
Source    DragonFly sys/vfs/hammer2/hammer2_vfsops.c (design)
"""
from typing import Final

from kpy import (
    Array,
    Errno,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
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
from kernel.fs.hammer2 import inode, io, pfs, source, vnops, volume, xop
from kernel.fs.hammer2 import mount as hmount
from kernel.fs.hammer2.mount import M_HAMMER2
from kernel.fs.hammer2.ondisk import MAX_VOLUMES, PBUFSIZE, ROOT_INUM
from kernel.fs.hammer2.pfs import Label, Pfs
from kernel.fs.hammer2.source import DiskSource
from kernel.lib import words
from kernel.lib.errno import EINVAL, ENOENT, ENOMEM
from kernel.lwkt import globaldata
from kernel.vfs import mount, namecache
from kernel.vfs.mount import Mount, StatFs, Vfsops

UNSAFE: Final = True        # Mount.data is a Fs's address

AT: Final = 64              # @
COLON: Final = 58
CACHE_BYTES: Final = 8 << 20
LABELS: Final = 8
MASTER: Final = 6
LOCAL: Final[Slice[u8]] = b"LOCAL"


@struct
class Sources:
    """As volume.open() wants them."""
    all: Array[Ptr[io.BlockSource], MAX_VOLUMES]


@struct
class Fs:
    """A mount."""
    hmp: hmount.Mount                               # the volumes
    pmp: Ptr[Pfs] | None                            # [I] the PFS
    disks: Array[Ptr[DiskSource] | None, MAX_VOLUMES]   # [I]
    count: u32                                      # [I] of them
    workers: xop.Workers


@table("filesystem", 10)
def hammer2() -> None:
    """For mount -t hammer2."""
    mount.register(OPS)


def fs_of(mp: Ptr[Mount]) -> Ptr[Fs]:
    """What this file system has of a mount."""
    return pointer_at(Fs, VirtAddr(mp.data))        # safe: _mount() put it there


@throws
def _mount(mp: Ptr[Mount]) -> None:
    if mount.MountFlag.RDONLY not in mp.flags:
        mp.flags |= mount.MountFlag.RDONLY          # there is no writing
    fs = mem.new(Fs, M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if fs is None:
        raise Errno(ENOMEM)
    try:
        devices, label = _split(words.until_zero(mp.source))
        open_volumes(fs, devices)
        try:
            pmp = _mount_label(fs, label)
            try:
                xop.start_workers(fs.workers, min(globaldata.ncpus, xop.MAX_WORKERS))
            except Errno:
                pfs.unmount(pmp)
                raise
            fs.pmp = pmp
        except Errno:
            volume.close(fs.hmp)
            raise
    except Errno:
        close_disks(fs)
        mem.kfree(fs, M_HAMMER2)
        raise
    mp.data = u64(address_of(fs))


@throws
def open_volumes(fs: Ptr[Fs], devices: Slice[u8]) -> None:
    """Open the devices, and the set of volumes that they are; close_disks() in any case.

    Errors   ENOENT, ENOTBLK, EINVAL no HAMMER2 or not a whole set, EIO, ENOMEM.
    """
    rest = devices
    while len(rest) != 0:
        end: u64 = 0
        while end < len(rest) and rest[end] != COLON:
            end += 1
        if fs.count == MAX_VOLUMES:
            raise Errno(EINVAL)
        fs.disks[fs.count] = source.open_disk(rest[:end])
        fs.count += 1
        rest = rest[min(end + 1, len(rest)):]
    if fs.count == 0:
        raise Errno(ENOENT)
    sources = zeroed(Sources)
    for i in range(fs.count):
        sources.all[i] = ref(unwrap(fs.disks[i]).source)
    volume.open(fs.hmp, sources.all[:fs.count], CACHE_BYTES)


@may_block
def close_disks(fs: Ptr[Fs]) -> None:
    for i in range(fs.count):
        source.close_disk(unwrap(fs.disks[i]))
    fs.count = 0


def _split(text: Slice[u8]) -> tuple[Slice[u8], Slice[u8]]:
    """Devices, and the label behind the last `@`."""
    at = len(text)
    for i, byte in enumerate(text):
        if byte == AT:
            at = i
    return text[:at], text[min(at + 1, len(text)):]


@throws
def _mount_label(fs: Ptr[Fs], label: Slice[u8]) -> Ptr[Pfs]:
    if len(label) != 0:
        return pfs.mount_label(fs.hmp, label)
    labels = mem.kmalloc(LABELS * sizeof(Label), M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if labels is None:
        raise Errno(ENOMEM)
    try:
        # safe: so many bytes
        found = make_slice(pointer_at(Label, VirtAddr(u64(address_of(labels)))), LABELS)
        first: u64 = 0
        while True:
            count = pfs.scan(fs.hmp, first, found)
            for one in found[:count]:
                name = one.name[:one.namlen]
                if one.type == MASTER and one.subtype == 0 and name != LOCAL:
                    return pfs.mount_label(fs.hmp, name)
                first = one.key + 1
            if count < LABELS:
                return pfs.mount_label(fs.hmp, LOCAL)
    finally:
        mem.kfree(labels, M_HAMMER2)


@throws
def _root(mp: Ptr[Mount]) -> Ptr[namecache.Namecache]:
    pmp = unwrap(fs_of(mp).pmp)
    return mount.own_root(mp, vnops.getv(mp, inode.get(pmp, ROOT_INUM)))


@throws
def _statfs(mp: Ptr[Mount], to: Ptr[StatFs]) -> None:
    head = ref(fs_of(mp).hmp.voldata)
    to.block_size = PBUFSIZE
    to.total = u64(head.allocator_size)
    to.free = u64(head.allocator_free)


@may_block
def _unmount(mp: Ptr[Mount]) -> None:
    fs = fs_of(mp)
    xop.stop_workers(fs.workers)
    pfs.unmount(unwrap(fs.pmp))
    volume.close(fs.hmp)
    close_disks(fs)
    mem.kfree(fs, M_HAMMER2)


OPS: Vfsops = Vfsops(
    name="hammer2", mount=_mount, root=_root, statfs=_statfs, sync=mount.no_sync,
    unmount=_unmount)
