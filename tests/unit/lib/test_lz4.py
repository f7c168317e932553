# SPDX-License-Identifier: BSD-3-Clause
"""LZ4 blocks of the C library decompressed; what is no block is refused within its slices."""
from __future__ import annotations

import random

import lz4.block
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.harness.guarded import Guarded
from toolchain import host
from toolchain.host import KpyError

SOURCE, TARGET = Guarded(), Guarded()
PIECES = st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.integers(1, 300)), max_size=12)


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def lz4_(request):
    return host.build("kernel/lib/lz4.py", release=request.param)


def ours(module, packed, room):
    """What the kernel makes of a block, or None; a byte outside the slices is a fault."""
    target = TARGET.at_end(room)
    try:
        size = module.decompress(SOURCE.at_end(packed), target)
    except KpyError as error:
        assert error.name == "EINVAL"
        return None
    return bytes(target)[:size]


def plain(packed, room):
    """As the format's description says it, or None.  The C library lets distances of 0 pass."""
    out, at = bytearray(), 0

    def length(nibble):
        nonlocal at
        if nibble == 15:
            while True:
                nibble += packed[at]
                at += 1
                if packed[at - 1] != 255:
                    break
        return nibble
    try:
        while True:
            token = packed[at]
            at += 1
            count = length(token >> 4)
            if at + count > len(packed):
                return None
            out += packed[at:at + count]
            at += count
            if at == len(packed):
                return bytes(out) if len(out) <= room else None
            distance = packed[at] | packed[at + 1] << 8
            at += 2
            count = length(token & 15) + 4
            if not 0 < distance <= len(out) or len(out) + count > room:
                return None
            for _ in range(count):
                out.append(out[-distance])
    except IndexError:
        return None


@given(pieces=PIECES, high=st.booleans())
def test_what_the_library_compressed(lz4_, pieces, high):
    data = b"".join(piece * count for piece, count in pieces)
    mode = "high_compression" if high else "default"
    packed = lz4.block.compress(data, mode=mode, store_size=False)
    assert ours(lz4_, packed, len(data)) == data
    assert ours(lz4_, packed, len(data) + 40) == data


@pytest.mark.parametrize("size", [0, 1, 12, 13, 1024, 65535, 65536])
def test_sizes_of_blocks(lz4_, size):
    rng = random.Random(size)
    for data in (bytes(size), rng.randbytes(size), bytes(rng.choices(b"abcde", k=size))):
        assert ours(lz4_, lz4.block.compress(data, store_size=False), size) == data


@given(pieces=PIECES, short=st.integers(1, 50))
def test_no_room_is_an_error(lz4_, pieces, short):
    data = b"".join(piece * count for piece, count in pieces)
    if len(data) >= short:
        packed = lz4.block.compress(data, store_size=False)
        assert ours(lz4_, packed, len(data) - short) is None


@given(packed=st.binary(max_size=200), room=st.integers(0, 400))
@example(packed=b"\xff" * 200, room=400)
@example(packed=b"\x0f" + b"\0\0" + b"\xff" * 50, room=400)
@example(packed=b"\x10a\0\0", room=400)
def test_whatever_comes_it_stays_within_its_slices(lz4_, packed, room):
    assert ours(lz4_, packed, room) == plain(packed, room)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_block_is_read_as_its_bytes_say_or_refused(lz4_, seed):
    rng = random.Random(seed)
    data = b"".join(bytes([rng.randrange(97, 105)]) * rng.randrange(1, 40) for _ in range(200))
    whole = lz4.block.compress(data, store_size=False)
    for _ in range(100):
        packed = bytearray(whole)
        if rng.random() < 0.3:
            del packed[rng.randrange(len(packed)):]
        for _ in range(rng.randrange(1, 4)):
            if packed:
                packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        packed = bytes(packed)
        assert ours(lz4_, packed, len(data)) == plain(packed, len(data))
