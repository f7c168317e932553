# SPDX-License-Identifier: BSD-3-Clause
"""HAMMER2 operations as messages, asked for by several threads at once, done by real workers."""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    Slice,
    kprintf,
    may_block,
    panic,
    table,
    throws,
    u8,
    u32,
    u64,
    wrapping,
    zeroed,
)

from kernel.fs.hammer2 import dirent, inode, pfs, strategy, vfsops, volume, xop
from kernel.fs.hammer2.ondisk import ROOT_INUM, ObjType
from kernel.lib.crc32c import crc32c
from kernel.lib.errno import ENOENT
from tests.guest import support

UNSAFE: Final = True        # a mount is zeroed storage

THREADS: Final = 4
WORKERS: Final = 3
ROUNDS: Final = 3
ENTRIES: Final = 64
PIECE: Final = 4096


fs: vfsops.Fs = zeroed(vfsops.Fs)
workers: xop.Workers = zeroed(xop.Workers)
entries: Array[Array[dirent.Entry, ENTRIES], THREADS]
pieces: Array[Array[u8, PIECE], THREADS]
expected: u64 = 0
asked: Atomic[u64]
wrong: Atomic[u64]


@table("guest_test", 210)
def hammer2_messages() -> None:
    """Threads on all CPUs read one PFS through three workers; each sees what one alone sees."""
    global expected
    try:
        vfsops.open_volumes(fs, b"/dev/nvme0")
        fs.pmp = pfs.mount_label(fs.hmp, b"DATA")
        xop.start_workers(workers, WORKERS)
    except Errno as e:
        panic(f"cannot begin: {e.code}")
    expected = _sum(0, False)
    for i in range(u64(THREADS)):
        support.spawn(_reader, i, u32(i % support.cpus()))
    support.join()
    xop.stop_workers(workers)
    pmp = fs.pmp
    if pmp is not None:
        pfs.unmount(pmp)
    volume.close(fs.hmp)
    vfsops.close_disks(fs)
    kprintf(f"{asked.load()} operations, {wrong.load()} wrong\n")
    assert wrong.load() == 0 and expected != 0


def _reader(number: u64) -> None:
    for _ in range(ROUNDS):
        if _sum(number, True) != expected:
            wrong.add(1)
    support.done()


@may_block
def _sum(number: u64, by_message: bool) -> u64:
    """Of all that the root directory holds: names, numbers, the beginnings of files."""
    try:
        return _sum_of(entries[number], pieces[number], by_message)
    except Errno as e:
        panic(f"an operation failed: {e.code}")


@may_block
@throws
def _sum_of(found: Slice[dirent.Entry], piece: Slice[u8], by_message: bool) -> u64:
    pmp = fs.pmp
    if pmp is None:
        raise Errno(ENOENT)
    root = xop.lookup(workers, pmp, ROOT_INUM) if by_message else inode.get(pmp, ROOT_INUM)
    place = dirent.Place()
    total: u64 = 1
    while not place.ended:
        count = xop.readdir(workers, root, place, found) if by_message \
            else dirent.readdir(root, place, found)
        asked.add(1)
        for entry in found[:count]:
            name = entry.name[:entry.namlen]
            ip = xop.nresolve(workers, root, name) if by_message else dirent.nresolve(root, name)
            total = wrapping(total * 31 + ip.inum + crc32c(name))
            asked.add(1)
            if entry.type == ObjType.REGFILE:
                got = xop.read(workers, ip, 0, piece) if by_message \
                    else strategy.read(ip, 0, piece)
                total = wrapping(total * 31 + crc32c(piece[:got]))
                asked.add(1)
            inode.drop(ip)
    inode.drop(root)
    return total
