# SPDX-License-Identifier: BSD-3-Clause
"""File data as it is stored: holes, LZ4, check codes; on several threads, in order.

A block is compressed if the result, with its length before it, fits in half of the block; it then
takes the next power of two.  A block of zeros is not stored.  LZ4 and xxHash leave the
interpreter's lock, so threads use all CPUs.

Invariants
  B1  Blocks come out in the order in which they went in, whatever thread was faster.
  B2  At most WINDOW blocks are in memory.
Tests   tests/toolchain/test_image_writer.py
"""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import lz4.block

from toolchain.image.hammer2 import codes
from toolchain.image.hammer2.ondisk import (
    ALLOC_MIN,
    CHECK_XXHASH64,
    COMP_LZ4,
    COMP_NONE,
    LZ4_LENGTH,
    PBUFSIZE,
)

WINDOW = 128
_ZEROS = bytes(PBUFSIZE)
Tag = TypeVar("Tag")


@dataclass(frozen=True, slots=True)
class Stored:
    """A block as it goes to the medium; `size` of it, zeros behind `data`."""
    data: bytes
    size: int
    methods: int
    check: bytes


def stored(raw: bytes) -> Stored | None:
    """How a block is stored; None for a hole.  `raw` has a power of two bytes."""
    if raw == _ZEROS[:len(raw)]:
        return None
    packed = lz4.block.compress(raw, store_size=False)
    if LZ4_LENGTH.size + len(packed) > len(raw) // 2:
        return Stored(raw, len(raw), CHECK_XXHASH64 << 4 | COMP_NONE, codes.xxhash64(raw))
    data = LZ4_LENGTH.pack(len(packed)) + packed
    size = max(ALLOC_MIN, 1 << (len(data) - 1).bit_length())
    data = data.ljust(size, b"\0")
    return Stored(data, size, CHECK_XXHASH64 << 4 | COMP_LZ4, codes.xxhash64(data))


def in_order(raw: Iterable[tuple[Tag, bytes | None]]) -> Iterator[tuple[Tag, Stored | None]]:
    """stored() of each block that is not None, with what came with it (B1, B2)."""
    window: deque[tuple[Tag, Future[Stored | None] | None]] = deque()
    threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    try:
        for tag, data in raw:
            window.append((tag, None if data is None else threads.submit(stored, data)))
            while len(window) > WINDOW:
                yield _result(window)
        while window:
            yield _result(window)
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _result(window: deque[tuple[Tag, Future[Stored | None] | None]]) -> (
        tuple[Tag, Stored | None]):
    tag, future = window.popleft()
    return tag, None if future is None else future.result()
