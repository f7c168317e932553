# SPDX-License-Identifier: BSD-3-Clause
"""What disks are cut into, and the thread that finds out.

    nvme0           the whole disk
    nvme0s1         a slice: a GPT's entries count from 0, an MBR's from 1, its logical ones from 5
    nvme0s1a        a partition of a slice with a DragonFly label
    nvme0a          a partition of a disk that has a label and no slices
    serno/QM7       another name for the disk with that serial number, and so on: serno/QM7.s1a

A disk so keeps its path when it is put elsewhere.  Of two disks with one number the second is
serno/QM7~2.

The thread `disk` takes the messages of disk.py, one after the other: so a disk that goes while its
tables are read is unmade after that, and reads that fail meanwhile are only a disk without slices.

Invariants
  P1  A Part lies on its disk, and a request that does not lie in its Part goes no further.
  P2  A Part holds its disk; it is freed by its device's last user.
Locking   [k] thread disk   [I] fixed once it has a device
Tests     tests/qemu/test_image_disks.py
Source    DragonFly sys/kern/subr_diskslice.c, subr_diskgpt.c, subr_diskmbr.c (design, names)
"""
from typing import Final

from kpy import (
    Array,
    Atomic,
    Errno,
    PhysAddr,
    Ptr,
    Slice,
    VirtAddr,
    address_of,
    bits_of,
    cast,
    copy,
    enum,
    i32,
    implements,
    kprintf,
    make_slice,
    may_block,
    no_block,
    pointer_at,
    ref,
    struct,
    throws,
    u8,
    u32,
    u64,
    unwrap,
    zeroed,
)

from kernel.io import bio, cdev, disk, disklabel64, gpt, mbr
from kernel.io.bio import Bio, BioCmd
from kernel.io.cdev import Cdev, DevOps
from kernel.io.disk import Disk
from kernel.lib import queue, words
from kernel.lib.crc32 import crc32
from kernel.lib.errno import EINVAL, ENOENT, ENOMEM
from kernel.lwkt import msgport, sched
from kernel.lwkt.globaldata import curthread
from kernel.lwkt.msgport import Msg
from kernel.machine.types import PAGE_SIZE
from kernel.mem import page, slab
from kernel.mem.flags import M

UNSAFE: Final = True        # a Part travels through a request's track and its device as an address

SUFFIX_BYTES: Final = 12
DISK_MODE: Final = 0o640
LETTER_A: Final = 97


@enum(u64)
class Ask:
    FOUND = 1
    LOST = 2
    NOTHING = 3
    NTH = 4


@struct
class Part:
    """A range of a disk as a device of its own."""
    link: queue.Link["Part"]            # [k]
    dp: Ptr[Disk]                       # [I]
    dev: Ptr[Cdev]                      # [I]
    start: u64                          # [I] bytes
    size: u64                           # [I] bytes
    type_uuid: Array[u8, 16]            # [I] of a GPT entry or a label's partition; else zero
    mbr_type: u8                        # [I] of an MBR's slice
    suffix: Array[u8, SUFFIX_BYTES]     # [I] what follows the disk's name


@struct
class PartInfo:
    """What a listing says of a Part."""
    name: Array[u8, cdev.NAME_BYTES]
    whole: bool                         # the disk itself
    start: u64                          # bytes
    size: u64                           # bytes
    block_size: u32
    mbr_type: u8
    type_uuid: Array[u8, 16]
    serial: Array[u8, disk.TEXT_BYTES]
    model: Array[u8, disk.TEXT_BYTES]


@struct
class DiskMsg(Msg):
    dp: Ptr[Disk] | None
    index: u64
    part: PartInfo


@struct
class Window:
    """A page through which the medium is looked at; page.free() its frame in the end."""
    frame: Ptr[page.Page]
    pages: Array[PhysAddr, 1]

    @throws
    def load(self, dp: Ptr[Disk], where: u64) -> Slice[u8]:
        """The page at `where`, up to the end of the disk; it is good until the next call.

        Errors   EIO and others of the driver; EINVAL past the end.
        """
        size = disk.size_of(dp)
        if where >= size:
            raise Errno(EINVAL)
        request: Bio = zeroed(Bio)
        length = min(u64(PAGE_SIZE), size - where)
        bio.init_waited(request, BioCmd.READ, where, length)
        bio.set_pages(request, self.pages, 0)
        disk.strategy(dp, request)
        error = bio.biowait(request)
        if error != 0:
            raise Errno(error)
        # safe: the page is ours
        return make_slice(pointer_at(u8, page.virt(self.frame)), length)


NO_UUID: Final[Array[u8, 16]] = [0] * 16

_port: Atomic[Ptr[msgport.Port] | None]
_parts: queue.TailQueue[Part, "link"]       # [k]


@throws
def start() -> None:
    """Start the thread.  After cdev.start()."""
    sched.create(_disk, 0, b"disk")
    while _port.load() is None:
        sched.yield_()


@implements(disk.disk_found)
def disk_found(dp: Ptr[Disk]) -> None:
    """The thread owns the message, and frees it: nobody waits for an answer."""
    disk.hold(dp)
    msg = unwrap(slab.new(DiskMsg, disk.M_DISK, M.WAITOK))
    msgport.init(msg, unwrap(_port.load()))
    msg.dp = dp
    msg.command = bits_of(Ask.FOUND)
    msgport.sendmsg(unwrap(_port.load()), msg)


@implements(disk.disk_lost)
def disk_lost(dp: Ptr[Disk]) -> None:
    _ask(Ask.LOST, dp)


@may_block
def settle() -> None:
    """Wait until the disks that were announced before have their devices."""
    _ask(Ask.NOTHING, None)


@throws
def nth(index: u64, to: Ptr[PartInfo]) -> None:
    """Line `index` of all disks and their parts.  Errors  ENOENT after the last."""
    msg: DiskMsg = zeroed(DiskMsg)
    msgport.init(msg, curthread().msgport)
    msg.command = bits_of(Ask.NTH)
    msg.index = index
    error = msgport.domsg(unwrap(_port.load()), msg)
    if error != 0:
        raise Errno(error)
    copy(to, msg.part)


@may_block
def _ask(what: Ask, dp: Ptr[Disk] | None) -> None:
    msg: DiskMsg = zeroed(DiskMsg)
    msg.dp = dp
    msgport.init(msg, curthread().msgport)
    msg.command = bits_of(what)
    msgport.domsg(unwrap(_port.load()), msg)


# --- The device ----------------------------------------------------------------------------


@no_block
def _strategy(dev: Ptr[Cdev], request: Ptr[Bio]) -> None:
    part = _part(dev)
    where = bio.offset(request)
    length = request.length
    if request.command == BioCmd.FLUSH:
        where = 0
    elif where > part.size or length > part.size - where:
        bio.fail(request, EINVAL)
        return
    bio.push_bio(request, part.start + where, _done, 0)
    disk.strategy(part.dp, request)


@no_block
def _done(request: Ptr[Bio]) -> None:
    bio.biodone(request)


def _size(dev: Ptr[Cdev]) -> u64:
    return _part(dev).size


@throws
def _read(dev: Ptr[Cdev], where: u64, to: Slice[u8]) -> u64:
    """A page at a time, for those who look at a disk from the prompt."""
    part = _part(dev)
    left = min(len(to), part.size - min(where, part.size))
    window = _window()
    try:
        done: u64 = 0
        while done < left:
            at = part.start + where + done
            skip = at % PAGE_SIZE
            data = window.load(part.dp, at - skip)
            take = min(left - done, len(data) - skip)
            to[done:done + take].copy_from(data[skip:skip + take])
            done += take
        return done
    finally:
        page.free(window.frame)


def _release(dev: Ptr[Cdev]) -> None:
    part = _part(dev)
    disk.drop(part.dp)
    slab.kfree(part, disk.M_DISK)


def _part(dev: Ptr[Cdev]) -> Ptr[Part]:
    return pointer_at(Part, VirtAddr(dev.driver))     # safe: OPS's devices have a Part there


OPS: DevOps = DevOps(
    kind=cdev.Kind.DISK, open=cdev.plain_open, close=cdev.plain_close, read=_read,
    write=cdev.no_transfer, strategy=_strategy, size=_size, release=_release)


@throws
def _window() -> Window:
    """Errors  ENOMEM."""
    frame = page.alloc(M.WAITOK)
    if frame is None:
        raise Errno(ENOMEM)
    return Window(frame=frame, pages=[page.addr(frame)])


# --- The thread ----------------------------------------------------------------------------


def _disk(unused: u64) -> None:
    port = ref(curthread().msgport)
    _port.store(port)
    while True:
        # safe: only disk_found() and disk_lost() send here
        msg = cast(Ptr[DiskMsg], msgport.waitport(port))
        match Ask(msg.command):
            case Ask.FOUND:
                _found(unwrap(msg.dp))
                slab.kfree(msg, disk.M_DISK)
            case Ask.LOST:
                _forget(unwrap(msg.dp))
                msgport.replymsg(msg, 0)
            case Ask.NOTHING:
                msgport.replymsg(msg, 0)
            case Ask.NTH:
                msgport.replymsg(msg, _describe(msg))


def _found(dp: Ptr[Disk]) -> None:
    """A disk is there: its devices."""
    info = ref(dp.info)
    kprintf(f"{disk.name_of(dp)}: {words.until_zero(info.model)}, "
            f"{disk.size_of(dp) >> 20} MiB, serial number {disk.serial_of(dp)}\n")
    try:
        _name_serial(dp)
        _add(dp, 0, disk.size_of(dp), b"", NO_UUID, 0)
        window = _window()
        try:
            _cut(dp, window)
        finally:
            page.free(window.frame)
    except Errno as e:
        kprintf(f"{disk.name_of(dp)}: its parts are not known: error {e.code}\n")
    finally:
        disk.drop(dp)


def _describe(msg: Ptr[DiskMsg]) -> i32:
    """NTH."""
    index = msg.index
    for part in _parts:
        if index != 0:
            index -= 1
            continue
        line = ref(msg.part)
        used = words.write_text(line.name, disk.name_of(part.dp))
        words.write_text(line.name[used:], words.until_zero(part.suffix))
        line.whole = part.suffix[0] == 0
        line.start = part.start
        line.size = part.size
        line.block_size = part.dp.info.block_size
        line.mbr_type = part.mbr_type
        line.type_uuid[:].copy_from(part.type_uuid)
        line.serial[:].copy_from(part.dp.info.serial)
        line.model[:].copy_from(part.dp.info.model)
        return 0
    return ENOENT


def _forget(dp: Ptr[Disk]) -> None:
    """A disk is gone: take its devices' names away."""
    part = _parts.first
    while part is not None:
        following = part.link.next
        if part.dp is dp:
            _parts.remove(part)
            cdev.destroy_dev(part.dev)      # frees the part, unless it is open
        part = following


@throws
def _cut(dp: Ptr[Disk], window: Ptr[Window]) -> None:
    """The slices, by whichever table there is."""
    first = window.load(dp, 0)
    if disklabel64.valid(first) != 0:
        _partitions(dp, window, 0, disk.size_of(dp), b"")
        return
    if not mbr.signed(first):
        return
    protective = False
    for index in range(mbr.ENTRIES):
        if mbr.partition(first, index, 0, dp.info.blocks).kind == mbr.PROTECTIVE:
            protective = True
    if protective:
        _gpt(dp, window)
    else:
        _mbr(dp, window)


@throws
def _gpt(dp: Ptr[Disk], window: Ptr[Window]) -> None:
    """Slices of the first header that is sound; the one at the end is for the case of damage."""
    table: gpt.Table
    block = u64(dp.info.block_size)
    last = dp.info.blocks - 1
    if not _gpt_header(dp, window, 1, table):
        kprintf(f"{disk.name_of(dp)}: the GPT at block 1 is damaged")
        if not _gpt_header(dp, window, last, table):
            kprintf(", and so is the one at the end\n")
            return
        kprintf("; using the one at the end\n")
    start = table.entries_lba * block
    per_page = u32(PAGE_SIZE // table.entry_bytes)
    index: u32 = 0
    while index < table.count:
        for n in range(min(per_page, table.count - index)):
            entry: gpt.GptEntry
            data = window.load(dp, start + u64(index) * table.entry_bytes)
            found = gpt.partition(table, data, n, entry)
            if found.count != 0:
                suffix: Array[u8, SUFFIX_BYTES]
                _slice_name(suffix, index + n)
                _add_slice(dp, window, found.start * block, found.count * block, suffix,
                           entry.PartitionTypeGUID, 0)
        index += per_page


@throws
def _gpt_header(dp: Ptr[Disk], window: Ptr[Window], lba: u64, table: Ptr[gpt.Table]) -> bool:
    """Whether there is a sound header at `lba`, with the entries that its checksum is of."""
    block = u64(dp.info.block_size)
    if not gpt.header(window.load(dp, lba * block)[:block], lba, dp.info.blocks, table):
        return False
    left = u64(table.count) * table.entry_bytes
    at = table.entries_lba * block
    crc: u32 = 0
    while left != 0:
        data = window.load(dp, at)
        take = min(left, len(data))
        crc = crc32(data[:take], crc)
        at += take
        left -= take
    return crc == table.entries_crc


@throws
def _mbr(dp: Ptr[Disk], window: Ptr[Window]) -> None:
    """Slices 1 to 4, and those of the chain that an extended one holds."""
    block = u64(dp.info.block_size)
    suffix: Array[u8, SUFFIX_BYTES]
    chain: u64 = 0
    for index in range(mbr.ENTRIES):
        found = mbr.partition(window.load(dp, 0), index, 0, dp.info.blocks)
        if mbr.is_extended(found.kind):
            chain = found.start
        elif found.count != 0:
            _slice_name(suffix, u32(index + 1))
            _add_slice(dp, window, found.start * block, found.count * block, suffix,
                       NO_UUID, found.kind)
    base = chain
    number: u32 = mbr.ENTRIES + 1
    while chain != 0 and number < mbr.ENTRIES + 1 + mbr.MAX_LOGICAL:
        record = window.load(dp, chain * block)
        if not mbr.signed(record):
            return
        following = mbr.partition(record, 1, base, dp.info.blocks)
        found = mbr.partition(record, 0, chain, dp.info.blocks)
        if found.count != 0:
            _slice_name(suffix, number)
            _add_slice(dp, window, found.start * block, found.count * block, suffix,
                       NO_UUID, found.kind)
        number += 1
        ends = following.count == 0 or following.start <= chain     # mbr R2
        chain = 0 if ends else following.start


@throws
def _add_slice(dp: Ptr[Disk], window: Ptr[Window], start: u64, size: u64, suffix: Slice[u8],
               uuid: Slice[u8], mbr_type: u8) -> None:
    """A slice, and the partitions of its label if it has one."""
    _add(dp, start, size, suffix, uuid, mbr_type)
    if size >= PAGE_SIZE and disklabel64.valid(window.load(dp, start)) != 0:
        _partitions(dp, window, start, size, words.until_zero(suffix))


@throws
def _partitions(dp: Ptr[Disk], window: Ptr[Window], start: u64, size: u64,
                slice_suffix: Slice[u8]) -> None:
    """The partitions of a valid label at `start`."""
    count = disklabel64.valid(window.load(dp, start))
    for index in range(count):
        uuid: Array[u8, 16]
        found = disklabel64.partition(window.load(dp, start), index, size, uuid)
        if found.size != 0:
            suffix: Array[u8, SUFFIX_BYTES]
            used = words.write_text(suffix, slice_suffix)
            suffix[used] = u8(LETTER_A + index)
            _add(dp, start + found.start, found.size, suffix, uuid, 0)


@throws
def _add(dp: Ptr[Disk], start: u64, size: u64, suffix: Slice[u8], uuid: Slice[u8],
         mbr_type: u8) -> None:
    """A device for a range of the disk, with its names."""
    part = slab.new(Part, disk.M_DISK, M.WAITOK | M.NULLOK)
    if part is None:
        raise Errno(ENOMEM)
    part.dp = dp
    part.start = start
    part.size = size
    part.mbr_type = mbr_type
    part.type_uuid[:].copy_from(uuid)
    words.write_text(part.suffix, words.until_zero(suffix))
    name: Array[u8, cdev.NAME_BYTES]
    used = words.write_text(name, disk.name_of(dp))
    words.write_text(name[used:], words.until_zero(suffix))
    try:
        part.dev = cdev.make_dev(ref(OPS), u64(address_of(part)), words.until_zero(name),
                                 DISK_MODE)
    except Errno:
        slab.kfree(part, disk.M_DISK)
        raise
    disk.hold(dp)
    _parts.push_back(part)
    serial = words.until_zero(dp.serno)
    if len(serial) != 0:
        used = words.write_text(name, b"serno/")
        used += words.write_text(name[used:], serial)
        if words.until_zero(suffix) != b"":
            used += words.write_text(name[used:], b".")
        words.write_text(name[used:], words.until_zero(suffix))
        cdev.make_alias(part.dev, words.until_zero(name))


def _name_serial(dp: Ptr[Disk]) -> None:
    """The number under which the disk is found: its own, `~2` if another disk has it already."""
    serial = disk.serial_of(dp)
    words.write_text(dp.serno, serial)
    copies: u64 = 2
    while len(serial) != 0 and _serial_taken(dp):
        words.write_text(dp.serno, serial)
        words.write_text(dp.serno[len(serial):], b"~")
        words.write_number(dp.serno[len(serial) + 1:], copies)
        copies += 1


def _serial_taken(dp: Ptr[Disk]) -> bool:
    for part in _parts:
        if part.dp is not dp and part.dp.serno[:] == dp.serno[:]:
            return True
    return False


def _slice_name(to: Slice[u8], number: u32) -> None:
    to[0] = 115         # s
    words.write_number(to[1:], number)
