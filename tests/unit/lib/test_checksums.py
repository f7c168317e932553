# SPDX-License-Identifier: BSD-3-Clause
"""CRC-32C, XXH64 and SHA-256 against published vectors, xxhash and hashlib."""
from __future__ import annotations

import hashlib

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.guarded import Guarded
from toolchain import host

FILES = [f"kernel/lib/{name}.py" for name in ("crc32c", "xxhash", "sha256", "littleendian")]
DATA = st.binary(max_size=300)
MEMORY = Guarded()


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def lib(request):
    return host.build(FILES, release=request.param)


def plain_crc(data, crc=0):
    """Bit by bit, as RFC 3720 defines it."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def digest(lib, data):
    out = lib.array("u8", 32)
    lib.modules["kernel.lib.sha256"].sha256(MEMORY.at_end(data), out)
    return bytes(out)


@pytest.mark.parametrize(("data", "expected"), [
    (b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E), (bytes(range(31, -1, -1)), 0x113FDB5C)])
def test_crc32c_of_published_vectors(lib, data, expected):
    assert lib.crc32c(data, 0) == expected


@given(data=DATA)
def test_crc32c_is_the_definition_at_every_length(lib, data):
    assert lib.crc32c(MEMORY.at_end(data), 0) == plain_crc(data)


@given(data=DATA, more=DATA)
def test_crc32c_goes_on_where_it_was(lib, data, more):
    assert lib.crc32c(more, lib.crc32c(data, 0)) == lib.crc32c(data + more, 0)


@given(data=DATA, seed=st.integers(0, 2**64 - 1))
def test_xxh64_is_the_librarys(lib, data, seed):
    assert lib.xxh64(MEMORY.at_end(data), seed) == xxhash.xxh64_intdigest(data, seed)


def test_xxh64_of_a_whole_block(lib):
    data = bytes(i * i % 251 for i in range(65536))
    assert lib.xxh64(data, 0x4D617474446C6C6E) == xxhash.xxh64_intdigest(data, 0x4D617474446C6C6E)


@pytest.mark.parametrize("data", [b"", b"abc", b"a" * 1000, *(bytes(n) for n in range(50, 70))])
def test_sha256_is_hashlibs(lib, data):
    assert digest(lib, data) == hashlib.sha256(data).digest()


@given(data=DATA)
def test_sha256_is_hashlibs_at_every_length(lib, data):
    assert digest(lib, data) == hashlib.sha256(data).digest()


@given(pieces=st.lists(DATA, max_size=6))
def test_sha256_in_pieces_is_that_of_the_whole(lib, pieces):
    state, out = lib.Sha256(), lib.array("u8", 32)
    state.begin()
    for piece in pieces:
        state.update(piece)
    state.finish(out)
    assert bytes(out) == hashlib.sha256(b"".join(pieces)).digest()


@given(data=st.binary(min_size=8, max_size=20))
def test_numbers_come_lowest_byte_first(lib, data):
    where = len(data) - 8
    view = MEMORY.at_end(data)
    assert lib.get64(view, where) == int.from_bytes(data[where:], "little")
    assert lib.get32(view, where) == int.from_bytes(data[where:where + 4], "little")
    assert lib.get16(view, where) == int.from_bytes(data[where:where + 2], "little")
