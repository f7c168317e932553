# SPDX-License-Identifier: BSD-3-Clause
"""docs/formats/hammer2.md is true: its commands make a volume that has every byte it shows."""
from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest

from tests.toolchain.image_folders import findings
from toolchain.image.hammer2 import ondisk
from toolchain.image.hammer2.ondisk import Blockref, FreemapRecord, Inode, VolumeData

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "formats" / "hammer2.md").read_text(encoding="utf-8")
LINE = re.compile(r"^    ([0-9a-f]{8})  ((?:[0-9a-f]{2} +){16}) ?\|(.{16})\|$", re.MULTILINE)
TABLE = re.compile(r"^\| (0x[0-9A-F]+) \| ([\d x,]+) \| ([^|]+) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    commands = re.search(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)[1]
    kpyc = f'kpyc() {{ PYTHONPATH={ROOT} {sys.executable} -m toolchain "$@"; }}\n'
    subprocess.run(["sh", "-e"], input=f"umask 022\n{kpyc}{commands}", cwd=folder, text=True,
                   check=True, capture_output=True)
    return folder / "small.img"


def test_every_line_is_in_the_image(image):
    data, lines = image.read_bytes(), LINE.findall(TEXT)
    assert len(lines) == len(re.findall(r"^    [0-9a-f]{8}  ", TEXT, re.MULTILINE)) > 40
    for at, octets, letters in lines:
        found = data[int(at, 16):int(at, 16) + 16]
        assert found == bytes.fromhex(octets), at
        assert letters == "".join(chr(c) if 32 <= c < 127 else "." for c in found), at


def test_the_image_is_without_fault(image):
    assert findings(image) == []


def section(number: int) -> str:
    return re.split(r"^## \d+\. ", TEXT, flags=re.MULTILINE)[number]


def fields(number: int) -> dict[str, int]:
    """Offset by name, of the table of a section."""
    found = {}
    for at, sizes, names in TABLE.findall(section(number)):
        width = int(re.findall(r"\d+", sizes)[-1])
        for index, name in enumerate(re.findall(r"`(\w+)`", names)):
            found[name] = int(at, 16) + index * width
    return found


@pytest.mark.parametrize(("number", "struct", "skip"), [
    (5, Inode, set()), (9, FreemapRecord, set()),
    (3, VolumeData, {"icrc_sects", "icrc_volheader"})])
def test_fields_are_where_the_tables_say(number, struct, skip):
    """A byte is changed at the offset; it must be this field that changes."""
    size = ondisk.PBUFSIZE if struct is VolumeData else len(struct().pack())
    for name, at in fields(number).items():
        if name in skip:
            continue
        name = {"class": "class_"}.get(name, name)
        block = bytearray(size)
        before = unpacked(struct, bytes(block))
        block[at] = 1
        after = unpacked(struct, bytes(block))
        changed = [key for key in map(attrgetter("name"), dataclasses.fields(struct))
                   if getattr(before, key) != getattr(after, key)]
        assert changed == [name]
    assert len(fields(number)) >= 4


def unpacked(struct, block):
    return struct.unpack(block, 0) if struct is FreemapRecord else struct.unpack(block)


def test_the_picture_of_a_blockref_has_its_fields():
    for field in dataclasses.fields(Blockref):
        assert field.name in section(4)
