# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's checksums and decompressors against the C libraries, in MB/s of one run.

Both sides are called from Python with blocks of 64 KB, HAMMER2's; a call costs either about a
microsecond.  The C libraries use what this CPU has (SSE2, AVX2, the SHA instructions); the kernel
is compiled without, and the host build for plain x86-64.  Each figure is the best of several turns.
"""
from __future__ import annotations

import hashlib
import random
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lz4.block
import xxhash

from toolchain import host

ROOT = Path(__file__).resolve().parents[2]
FILES = [f"kernel/lib/{name}.py" for name in ("lz4", "inflate", "xxhash", "crc32c", "sha256")]
SIZE = 65536
TURNS = 7
LEAST_S = 0.02
SEED = 0x4D617474446C6C6E
Pair = tuple[str, Callable[[], object], Callable[[], object]]


def blocks() -> dict[str, bytes]:
    """Kinds of data: prose, runs of bytes, what no compressor can shorten."""
    rng = random.Random(1)
    text = b"".join(path.read_bytes() for path in sorted((ROOT / "docs").glob("*.md")))
    runs = b"".join(bytes([rng.randrange(97, 105)]) * rng.randrange(1, 9) for _ in range(SIZE))
    return {"text": (text * 9)[:SIZE], "runs": runs[:SIZE], "random": rng.randbytes(SIZE)}


def rate(work: Callable[[], object]) -> float:
    """MB/s of what does SIZE bytes."""
    best = 1.0
    for _ in range(TURNS):
        start, count = time.perf_counter(), 0
        while time.perf_counter() < start + LEAST_S:
            work()
            count += 1
        best = min(best, (time.perf_counter() - start) / count)
    return SIZE / best / 1e6


def pairs(mod: Any) -> dict[str, Pair]:
    """By name: the peer, our work, its work.  That both do the same is asserted."""
    out, digest, tables = mod.array("u8", SIZE), mod.array("u8", 32), mod.Tables()
    lz4_ours = mod.modules["kernel.lib.lz4"].decompress
    sha256 = mod.modules["kernel.lib.sha256"].sha256
    made: dict[str, Pair] = {}
    for kind, data in blocks().items():
        packed, deflated = lz4.block.compress(data, store_size=False), zlib.compress(data)
        ours, ours_deflated = mod.array("u8", packed), mod.array("u8", deflated)
        assert lz4_ours(ours, out) == SIZE and bytes(out) == data
        assert mod.inflate(ours_deflated, out, tables) == SIZE and bytes(out) == data
        made[f"lz4 {kind}"] = ("liblz4", partial(lz4_ours, ours, out),
                               partial(lz4.block.decompress, packed, SIZE))
        made[f"inflate {kind}"] = ("zlib", partial(mod.inflate, ours_deflated, out, tables),
                                   partial(zlib.decompress, deflated))
    data = blocks()["random"]
    ours = mod.array("u8", data)
    sha256(ours, digest)
    assert bytes(digest) == hashlib.sha256(data).digest()
    assert mod.xxh64(ours, SEED) == xxhash.xxh64_intdigest(data, SEED)
    made["xxh64"] = ("libxxhash", lambda: mod.xxh64(ours, SEED),
                     lambda: xxhash.xxh64_intdigest(data, SEED))
    made["crc32c"] = ("zlib's crc32", lambda: mod.crc32c(ours, 0), lambda: zlib.crc32(data))
    made["sha256"] = ("hashlib", lambda: sha256(ours, digest), lambda: hashlib.sha256(data))
    return made


def measure() -> list[dict[str, object]]:
    """Records as run.py writes them; the ratio is our speed by theirs."""
    rows: list[dict[str, object]] = []
    for name, (peer, ours, theirs) in pairs(host.build(FILES, release=True)).items():
        value, peer_value = rate(ours), rate(theirs)
        rows.append({"name": f"codec {name}", "value": value, "unit": "MB/s", "peer": peer,
                     "peer_value": peer_value, "ratio": value / peer_value})
    return rows


def show(rows: list[dict[str, object]]) -> None:
    """A table."""
    for row in rows:
        print(f"{row['name']:<24}{row['value']:>8.0f} MB/s, {row['peer']} {row['peer_value']:.0f}")


if __name__ == "__main__":
    show(measure())
