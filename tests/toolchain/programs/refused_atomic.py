# SPDX-License-Identifier: BSD-3-Clause
"""An atomic is touched by its methods, a packed or bit field has no address.

# error: K0316 at `k.word + 1`
# error: K0323 at `k.word.store(1, order=acquire)`
# error: K0317 at `ref(w.size)`
"""
from kpy import Atomic, Ptr, acquire, ref, struct, u8, u32


@struct
class Lock:
    word: Atomic[u32]


@struct(packed=True)
class Wire:
    kind: u8
    size: u32


def plain(k: Ptr[Lock]) -> u32:
    return k.word + 1


def store_order(k: Ptr[Lock]) -> None:
    k.word.store(1, order=acquire)


def packed(w: Ptr[Wire]) -> Ptr[u32]:
    return ref(w.size)
