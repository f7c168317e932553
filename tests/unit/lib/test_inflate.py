# SPDX-License-Identifier: BSD-3-Clause
"""zlib streams of the C library decompressed; what is none is refused, as the library does."""
from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.guarded import Guarded
from toolchain import host
from toolchain.host import KpyError

SOURCE, TARGET = Guarded(), Guarded()
PIECES = st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.integers(1, 300)), max_size=12)
STRATEGIES = [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE,
              zlib.Z_FIXED]


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def lib(request):
    return host.build("kernel/lib/inflate.py", release=request.param)


def ours(lib, packed, room):
    """What the kernel makes of a stream, or None; a byte outside the slices is a fault."""
    target = TARGET.at_end(room)
    try:
        size = lib.inflate(SOURCE.at_end(packed), target, lib.Tables())
    except KpyError as error:
        assert error.name == "EINVAL"
        return None
    return bytes(target)[:size]


def theirs(packed, room):
    engine = zlib.decompressobj()
    try:
        data = engine.decompress(packed, room + 1)
    except zlib.error:
        return None
    return data if engine.eof and len(data) <= room else None


def compressed(data, level=6, strategy=zlib.Z_DEFAULT_STRATEGY, wbits=15):
    engine = zlib.compressobj(level, zlib.DEFLATED, wbits, 8, strategy)
    return engine.compress(data) + engine.flush()


@given(pieces=PIECES, level=st.integers(0, 9), strategy=st.sampled_from(STRATEGIES),
       wbits=st.integers(9, 15), tail=st.binary(max_size=20))
def test_what_the_library_compressed(lib, pieces, level, strategy, wbits, tail):
    data = b"".join(piece * count for piece, count in pieces)
    packed = compressed(data, level, strategy, wbits) + tail
    assert ours(lib, packed, len(data)) == data
    assert ours(lib, packed, len(data) + 40) == data


@pytest.mark.parametrize("size", [0, 1, 1024, 65535, 65536, 200_000])
def test_sizes(lib, size):
    rng = random.Random(size)
    skewed = [2 ** (19 - i) for i in range(20)]         # codes of every length, up to 15 bits
    for data in (bytes(size), rng.randbytes(size), bytes(rng.choices(range(20), skewed, k=size))):
        for strategy in STRATEGIES:
            assert ours(lib, compressed(data, 6, strategy), size) == data


@given(pieces=PIECES, short=st.integers(1, 50))
def test_no_room_is_an_error(lib, pieces, short):
    data = b"".join(piece * count for piece, count in pieces)
    if len(data) >= short:
        assert ours(lib, zlib.compress(data), len(data) - short) is None


@given(data=st.binary(max_size=100), cut=st.integers(1, 100))
def test_a_truncated_stream_is_an_error(lib, data, cut):
    packed = zlib.compress(data)
    assert ours(lib, packed[:-cut], 200) is None


@given(packed=st.binary(max_size=200), room=st.integers(0, 400), head=st.booleans())
def test_whatever_comes_it_stays_within_its_slices(lib, packed, room, head):
    packed = b"\x78\x9c" + packed if head else packed
    assert ours(lib, packed, room) == theirs(packed, room)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_stream_is_refused_as_the_library_does(lib, seed):
    rng = random.Random(seed)
    data = b"".join(bytes([rng.randrange(97, 125)]) * rng.randrange(1, 40) for _ in range(200))
    whole = compressed(data, rng.randrange(10), rng.choice(STRATEGIES))
    for _ in range(100):
        packed = bytearray(whole)
        if rng.random() < 0.3:
            del packed[rng.randrange(len(packed)):]
        for _ in range(rng.randrange(1, 4)):
            if packed:
                packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        assert ours(lib, bytes(packed), len(data)) == theirs(bytes(packed), len(data))


@given(data=st.binary(max_size=400), times=st.integers(1, 40))
def test_adler32_is_the_librarys(lib, data, times):
    assert lib.adler32(data * times) == zlib.adler32(data * times)
