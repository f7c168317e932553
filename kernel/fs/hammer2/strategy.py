# SPDX-License-Identifier: BSD-3-Clause
"""Reading files: logical blocks of 64 KB, each stored for itself, compressed or not, or not at all.

A file of up to 512 bytes may lie in its inode.  What no blockref covers is a hole and reads as
zeros, and so does what a block is too short for.

Tests     tests/unit/fs/hammer2/test_volumes.py, tests/unit/fs/hammer2/test_strategy.py
Source    DragonFly sys/vfs/hammer2/hammer2_strategy.c (the cases)
"""
from kpy import Errno, Ptr, Slice, ref, throws, u8, u64

from kernel.fs.hammer2 import chain, compress, inode, io, ondisk, scratch, validate
from kernel.fs.hammer2.chain import Cursor
from kernel.fs.hammer2.inode import Inode
from kernel.fs.hammer2.ondisk import PBUFSIZE, ObjType
from kernel.lib.errno import EINVAL, EISDIR


@throws
def read(ip: Ptr[Inode], offset: u64, target: Slice[u8]) -> u64:
    """Bytes of a file, or of a symbolic link's text, from `offset` on.

    Fastest where `offset` and the size of `target` are multiples of PBUFSIZE.
    Blocks   yes.
    Returns  how many there are, less than asked for at the end only.
    Errors   EIO: the block at that place is damaged; EISDIR; EINVAL: no file; ENOMEM.
    """
    meta = inode.meta(ip)
    if meta.type == ObjType.DIRECTORY:
        raise Errno(EISDIR)
    if meta.type != ObjType.REGFILE and meta.type != ObjType.SOFTLINK:
        raise Errno(EINVAL)
    size = u64(meta.size)
    if offset >= size:
        return 0
    count: u64 = min(len(target), size - offset)
    if meta.op_flags & ondisk.OPFLAG_DIRECTDATA != 0:
        target[:count].copy_from(meta.data[offset:offset + count])
        return count
    cursor = Cursor(base=ip.chain, parent=ip.chain)
    chain.lookup_init(cursor)
    try:
        done: u64 = 0
        while done < count:
            at = offset + done
            skip = at % PBUFSIZE
            part: u64 = min(PBUFSIZE - skip, count - done)
            _read_block(ip, cursor, at - skip, skip, target[done:done + part])
            done += part
    finally:
        chain.lookup_done(cursor)
    return count


@throws
def _read_block(ip: Ptr[Inode], cursor: Ptr[Cursor], key: u64, skip: u64,
                target: Slice[u8]) -> None:
    """Fill `target` from byte `skip` of a logical block."""
    if not chain.lookup(cursor, key, key):
        chain.missed(cursor)
        target.fill(0)
        return
    m = ip.pmp.mount
    bref = ref(cursor.bref)
    if validate.bytes_of_ref(u64(bref.data_off)) == 0:
        target.fill(0)
        return
    dio = chain.read_block(m, bref)
    try:
        stored = io.data(dio, u64(bref.data_off))
        if compress.is_plain(bref):
            _copy(stored, skip, target)
            return
        memory = scratch.get(m)
        try:
            if skip == 0 and len(target) == PBUFSIZE:
                made = compress.decompress(bref, stored, target, memory.tables)
                target[made:].fill(0)
            else:
                made = compress.decompress(bref, stored, memory.block, memory.tables)
                _copy(memory.block[:made], skip, target)
        except Errno:
            chain.complain(m, bref, "cannot be decompressed")
            raise
        finally:
            scratch.put(m, memory)
    finally:
        io.bqrelse(dio)


def _copy(source: Slice[u8], skip: u64, target: Slice[u8]) -> None:
    """What `source` has from `skip` on, and zeros behind it."""
    start: u64 = min(skip, len(source))
    count: u64 = min(len(target), len(source) - start)
    target[:count].copy_from(source[start:start + count])
    target[count:].fill(0)
