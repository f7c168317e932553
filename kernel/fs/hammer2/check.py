# SPDX-License-Identifier: BSD-3-Clause
"""Check codes: whether the bytes of a block are those that its blockref was made for.

The code covers all bytes of the block as they are stored, compressed and with their padding.

Tests     tests/unit/fs/hammer2/test_formats.py
Source    DragonFly sys/vfs/hammer2/hammer2_chain.c hammer2_chain_testcheck() (the codes)
"""
from kpy import Array, Ptr, Slice, bits_of, u8

from kernel.fs.hammer2.ondisk import XXHASH64_SEED, Blockref, Check
from kernel.lib.crc32c import crc32c
from kernel.lib.littleendian import get32, get64
from kernel.lib.sha256 import DIGEST_BYTES, sha256
from kernel.lib.xxhash import xxh64


def testcheck(bref: Ptr[Blockref], data: Slice[u8]) -> bool:
    """Whether `data` is what `bref` leads to; an unknown kind of code is a mismatch."""
    kind = bref.methods.check
    code = bref.check[:]
    if kind == bits_of(Check.NONE) or kind == bits_of(Check.DISABLED):
        return True
    if kind == bits_of(Check.ISCSI32) or kind == bits_of(Check.FREEMAP):
        return get32(code, 0) == crc32c(data)
    if kind == bits_of(Check.XXHASH64):
        return get64(code, 0) == xxh64(data, XXHASH64_SEED)
    if kind == bits_of(Check.SHA192):
        return _sha192(data, code[:24])
    return False


def _sha192(data: Slice[u8], code: Slice[u8]) -> bool:
    """SHA-256, its last eight bytes folded into the eight before."""
    digest: Array[u8, DIGEST_BYTES]
    sha256(data, digest)
    for i in range(8):
        digest[16 + i] ^= digest[24 + i]
    return digest[:24] == code
