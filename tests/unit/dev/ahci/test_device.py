# SPDX-License-Identifier: BSD-3-Clause
"""What devices say of themselves, and what is not believed."""
from __future__ import annotations

import struct

import pytest

from tests.unit.dev.ahci.fake import Disk, swapped
from toolchain.host import KpyError

ENODEV, ENOMEDIUM = 19, 123


def read(ahci, data: bytes):
    """The Drive of IDENTIFY DEVICE data."""
    space = ahci.mod.array("u8", data)
    drive = ahci.mod.Drive()
    ahci.device.read_ata(drive, ahci.mod.at(ahci.mod.Identify, space.address))
    return drive


def changed(word: int, value: int, size: int = 2) -> bytes:
    data = bytearray(Disk().identify())
    data[2 * word:2 * word + size] = value.to_bytes(size, "little")
    return bytes(data)


def test_a_disk(ahci):
    drive = read(ahci, Disk(depth=17, fua=True).identify())
    assert (drive.shift, drive.blocks, drive.tags) == (9, 4096, 17)
    assert drive.queued and drive.fua and drive.flush and drive.log and drive.trim
    assert not drive.rotates


@pytest.mark.parametrize("data", [
    changed(0, 0x8000), changed(83, 0), changed(83, 0xFFFF), changed(83, 1 << 14),
    changed(100, 0, 8), changed(100, 1 << 49, 8), bytes(512), b"\xff" * 512])
def test_what_cannot_be_a_disk_of_ours(ahci, data):
    with pytest.raises(KpyError) as caught:
        read(ahci, data)
    assert caught.value.code == ENODEV


@pytest.mark.parametrize(("words", "shift"), [
    (256, 9), (512, 10), (2048, 12), (128, None), (4096, None), (300, None), (0, None)])
def test_sizes_of_sectors(ahci, words, shift):
    data = bytearray(changed(106, 1 << 14 | 1 << 12))
    struct.pack_into("<I", data, 234, words)
    if shift is None:
        with pytest.raises(KpyError):
            read(ahci, bytes(data))
    else:
        assert read(ahci, bytes(data)).shift == shift


@pytest.mark.parametrize(("said", "meant"), [
    (b"QM00001", b"QM00001"), (b"   padded  ", b"padded"), (b"", b""), (b"a\x01b", b"a b"),
    (b"x" * 20, b"x" * 20)])
def test_texts_are_swapped_and_trimmed(ahci, said, meant):
    data = bytearray(Disk().identify())
    data[20:40] = swapped(said, 20)
    assert bytes(read(ahci, bytes(data)).serial).rstrip(b"\0") == meant


@pytest.mark.parametrize(("last", "size", "found"), [
    (99, 2048, (11, 100)), (0xFFFF_FFFF, 512, (9, 1 << 32)), (9, 2352, None), (9, 0, None),
    (9, 8192, None), (9, 256, None)])
def test_capacities_of_cds(ahci, last, size, found):
    space = ahci.mod.array("u8", struct.pack(">II", last, size))
    drive = ahci.mod.Drive()
    if found is None:
        with pytest.raises(KpyError) as caught:
            ahci.device.read_capacity(drive, ahci.mod.at(ahci.mod.Capacity, space.address))
        assert caught.value.code == ENOMEDIUM
    else:
        ahci.device.read_capacity(drive, ahci.mod.at(ahci.mod.Capacity, space.address))
        assert (drive.shift, drive.blocks) == found
