# SPDX-License-Identifier: BSD-3-Clause
"""Each check of the finished image bites on an image that has just that fault."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import probe
from tests.toolchain.link_objects import asm, module
from toolchain.link.check import check_image
from toolchain.link.elf import EHDR, PHDR, SHDR, ObjectFile
from toolchain.link.errors import LinkError
from toolchain.link.layout import PC64
from toolchain.link.linker import link
from toolchain.link.symbols import SymbolTable

EXEMPT = ("kernel.main.kmain",)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> bytes:
    objects = [
        *probe.objects(asm=probe.kmain("callq kernel.m0.f0")),
        ObjectFile.parse("m0.o", module(0, 1, functions=2, structs=1)),
    ]
    output = tmp_path_factory.mktemp("check") / "good"
    link(objects, layout=PC64, output=output)
    check_image(output, layout=PC64, exempt=EXEMPT)
    return output.read_bytes()


def verdict(data: bytes, tmp_path: Path, **options) -> set[str]:
    path = tmp_path / "image"
    path.write_bytes(data)
    try:
        check_image(path, layout=PC64, exempt=options.pop("exempt", EXEMPT), **options)
    except LinkError as error:
        return {problem.code for problem in error.problems}
    return set()


def patched(data: bytes, at: int, format_: str, *values: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(format_, out, at, *values)
    return bytes(out)


def section_at(data: bytes, name: str) -> int:
    """Offset of the header of section `name`."""
    (table,) = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, 60)
    (strings,) = struct.unpack_from("<Q", data, table + names * SHDR.itemsize + 24)
    for number in range(count):
        at = table + number * SHDR.itemsize
        start = strings + struct.unpack_from("<I", data, at)[0]
        if data[start : data.index(b"\0", start)].decode() == name:
            return at
    raise KeyError(name)


def test_good_image_passes(image, tmp_path):
    assert verdict(image, tmp_path) == set()


def test_writable_and_executable_segment(image, tmp_path):
    text = EHDR.itemsize + PHDR.itemsize
    assert verdict(patched(image, text + 4, "<I", 7), tmp_path) == {"K0912"}


def test_undefined_symbol(image, tmp_path):
    at = section_at(image, ".symtab")
    (offset,) = struct.unpack_from("<Q", image, at + 24)
    assert verdict(patched(image, offset + 24 + 6, "<H", 0), tmp_path) == {"K0911"}


@pytest.mark.parametrize(
    ("section", "field", "change"),
    [
        (".rodata", 16, lambda address: address + (1 << 20)),
        (".rodata", 16, lambda address: address - 4096),
        (".rodata", 24, lambda offset: offset - 4096),
        (".rodata", 32, lambda size: 1 << 40),
        (".debug_info", 24, lambda offset: offset - 1),
    ],
)
def test_section_out_of_place(image, tmp_path, section: str, field: int, change: Callable):
    at = section_at(image, section) + field
    (value,) = struct.unpack_from("<Q", image, at)
    found = verdict(patched(image, at, "<Q", change(value)), tmp_path, functions=False)
    assert found == {"K0913"}


def test_function_without_debug_information(image, tmp_path):
    path = tmp_path / "image"
    path.write_bytes(image)
    with pytest.raises(LinkError) as caught:
        check_image(path, layout=PC64)
    (problem,) = caught.value.problems
    assert problem.code == "K0914"
    assert "`kernel.main.kmain`" in problem.message
    check_image(path, layout=PC64, functions=False)


def test_damaged_debug_information(image, tmp_path):
    at = section_at(image, ".debug_info")
    (offset,) = struct.unpack_from("<Q", image, at + 24)
    (size,) = struct.unpack_from("<Q", image, at + 32)
    damaged = image[:offset] + b"\x7f" * size + image[offset + size :]
    assert verdict(damaged, tmp_path) == {"K0905"}
    with pytest.raises(LinkError, match="K0905"):
        SymbolTable.read(tmp_path / "image")


def test_entry_that_is_not_code(image, tmp_path):
    assert verdict(patched(image, 24, "<Q", 0xFFFFFFFF80000000), tmp_path) == {"K0915"}


@pytest.mark.parametrize("field", range(8))
def test_multiboot_header(image, tmp_path, field):
    at = image.index(struct.pack("<I", 0x1BADB002))
    (value,) = struct.unpack_from("<I", image, at + 4 * field)
    assert verdict(patched(image, at + 4 * field, "<I", value ^ 0x10000000), tmp_path) == {"K0916"}


def test_damaged_or_missing_image_is_reported(image, tmp_path):
    for length in (0, 10, 63):
        assert verdict(image[:length], tmp_path) == {"K0905"}
    with pytest.raises(LinkError, match="K0910"):
        check_image(tmp_path / "none", layout=PC64)


def test_image_without_multiboot_header_is_refused(tmp_path):
    output = tmp_path / "user"
    objects = [asm(".text\n.global boot_entry\nboot_entry: ret\n")]
    link(objects, layout=PC64, output=output)
    with pytest.raises(LinkError, match="K0916"):
        check_image(output, layout=PC64)
