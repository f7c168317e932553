# SPDX-License-Identifier: BSD-3-Clause
"""Opening a set of volumes: which header counts, and which volume is where.

Up to four copies of the header lie 2 GiB apart and are written by turns, so that a write that was
cut short destroys the oldest state only.  The valid copy with the greatest mirror_tid counts.

Tests     tests/unit/fs/hammer2/test_volume.py
Source    DragonFly sys/vfs/hammer2/hammer2_ondisk.c (what a set must agree on)
"""
from kpy import Errno, Ptr, Slice, copy, i32, ref, throws, u32, u64

from kernel import mem
from kernel.fs.hammer2 import chain, io, mount, ondisk, scratch, validate
from kernel.fs.hammer2.ondisk import BrefType, VolumeData
from kernel.fs.hammer2.validate import Tree
from kernel.lib.errno import EINVAL, EIO, ENOMEM
from kernel.lib.views import view


@throws
def open(m: Ptr[mount.Mount], sources: Slice[Ptr[io.BlockSource]],
         cache_limit: u64) -> None:
    """Open the set of volumes that `sources` are, in any order; `m` is zeroed.

    Blocks   yes.
    Errors   EINVAL: no HAMMER2, not a whole set, or a version we do not know; EIO; ENOMEM.
    """
    head = mem.new(VolumeData, mount.M_HAMMER2, mem.M.WAITOK | mem.M.NULLOK)
    if head is None:
        raise Errno(ENOMEM)
    try:
        _open(m, sources, head)
    finally:
        mem.kfree(head, mount.M_HAMMER2)
    m.cache.limit = cache_limit
    m.cache.lock.name = "h2cache"
    _root_chain(m)


@throws
def _open(m: Ptr[mount.Mount], sources: Slice[Ptr[io.BlockSource]],
          head: Ptr[VolumeData]) -> None:
    """Find the root volume, then hold all others against it."""
    root = False
    for source in sources:
        zone = _newest(source, head)
        if head.volu_id == 0:
            copy(m.voldata, head)
            m.zone = zone
            root = True
    count: u64 = max(1, m.voldata.nvolumes)
    if not root or len(sources) != count:
        raise Errno(EINVAL)
    for source in sources:
        _newest(source, head)
        volume = ref(m.volumes.volume[head.volu_id])
        if not validate.same_set(head, m.voldata) or volume.source is not None:
            raise Errno(EINVAL)
        volume.source = source
        volume.offset = u64(head.volu_loff[head.volu_id])
        volume.size = u64(head.volu_size)
        m.volumes.total_size += volume.size
    m.volumes.count = u32(count)
    if count > 1 and m.volumes.total_size != u64(m.voldata.total_size):
        raise Errno(EINVAL)
    if not validate.blockset(m.voldata.sroot_blockset, Tree.VOLUME, 0, validate.FULL,
                             m.volumes.total_size):
        raise Errno(EINVAL)


@throws
def _newest(source: Ptr[io.BlockSource], head: Ptr[VolumeData]) -> u32:
    """Copy the header that counts to `head`; returns which copy it was.

    Errors   EINVAL: none is valid; EIO: none is, and one could not be read.
    """
    best: u32 = ondisk.NUM_VOLHDRS
    error: i32 = EINVAL
    best_tid: u64 = 0
    for i in range(u32(ondisk.NUM_VOLHDRS)):
        offset = u64(i) * ondisk.ZONE_BYTES64
        if source.size < ondisk.PBUFSIZE or offset > source.size - ondisk.PBUFSIZE:
            break
        try:
            dio = source.bread(source, offset)
            candidate = view(VolumeData, dio.data, 0)
            tid = u64(candidate.mirror_tid)
            if validate.volume_header(dio.data) and validate.volume(candidate, source.size) \
                    and (best == ondisk.NUM_VOLHDRS or tid > best_tid):
                copy(head, candidate)
                best = i
                best_tid = tid
            io.bqrelse(dio)
        except Errno:
            error = EIO
    if best == ondisk.NUM_VOLHDRS:
        raise Errno(error)
    return best


def _root_chain(m: Ptr[mount.Mount]) -> None:
    """The chain above all others: always in memory, with one reference."""
    vchain = ref(m.vchain)
    vchain.mount = m
    vchain.refs = 1
    vchain.lock.name = "h2chain"
    vchain.bref.type = BrefType.VOLUME
    vchain.below = Tree.VOLUME
    vchain.array = m.voldata.sroot_blockset[:]
    vchain.loaded = True


def close(m: Ptr[mount.Mount]) -> None:
    """Give all memory back; nobody refers to a chain any more."""
    chain.trim(m.cache, 0)
    scratch.free(m)

