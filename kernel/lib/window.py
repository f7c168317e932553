# SPDX-License-Identifier: BSD-3-Clause
"""The two copies of every decompressor: from the input, and from what came out before.

Both move eight bytes at a time and may scribble up to sixteen bytes past the end of the copy, never
past the end of the target: what lies there has not been produced yet.  They test the ranges
themselves, so that a decompressor needs no unsafe code and no second test.

Invariants
  W1  Nothing outside the two slices is read or written; False says that it would have been.
  W2  With True, the bytes before to[at] are as they were, and `count` from there are the copy.
Tests     tests/unit/lib/test_window.py
"""
from typing import Final

from kpy import MPtr, Slice, address_of, cast, inline, pointer_at, struct, u8, u64, wrapping

UNSAFE: Final = True     # eight bytes at any address by one instruction; W1 is tested first

WORD: Final = 8
ROOM: Final = 2 * WORD


@struct(packed=True)
class Word:
    """Eight bytes at any address: packed, so that nothing is taken for aligned."""
    value: u64


@inline
def literals(to: Slice[u8], at: u64, source: Slice[u8], start: u64, count: u64) -> bool:
    """Copy `count` bytes from source[start] to to[at]; False if either has not so many."""
    if at > len(to) or count > len(to) - at or start > len(source) or count > len(source) - start:
        return False
    # safe: both ranges were tested; the words too, or it goes byte by byte
    _forward(_start(to) + at, _start(source) + start, count,
             count + ROOM <= len(to) - at and count + ROOM <= len(source) - start)
    return True


@inline
def repeat(to: Slice[u8], at: u64, distance: u64, count: u64) -> bool:
    """Copy `count` bytes from `distance` before to[at], which the copy may reach into; False if
    that is no byte of `to`, or there is no room."""
    if at > len(to) or count > len(to) - at or wrapping(distance - 1) >= at:
        return False
    # safe: as above; a word is read before the words that depend on it are written
    target = _start(to) + at
    roomy = count + ROOM <= len(to) - at
    if distance >= WORD:
        _forward(target, target - distance, count, roomy)
    else:
        _pattern(target, distance, count, roomy)
    return True


@inline
def _start(data: Slice[u8]) -> MPtr[u8]:
    # safe: only what the callers tested is reached through it
    return cast(MPtr[u8], pointer_at(u8, address_of(data)))


@inline
def _forward(to: MPtr[u8], source: MPtr[u8], count: u64, roomy: bool) -> None:
    """Front to back; `roomy`: there is ROOM after the end of both."""
    if roomy:
        # Most copies end here, without a branch that depends on how long they are.
        cast(MPtr[Word], to)[0].value = cast(MPtr[Word], source)[0].value
        cast(MPtr[Word], to + WORD)[0].value = cast(MPtr[Word], source + WORD)[0].value
        i: u64 = 2 * WORD
        while i < count:
            cast(MPtr[Word], to + i)[0].value = cast(MPtr[Word], source + i)[0].value
            i += WORD
    else:
        _exactly(to, source, count)


def _exactly(to: MPtr[u8], source: MPtr[u8], count: u64) -> None:
    """Front to back, and not a byte more."""
    i: u64 = 0
    while count - i >= WORD:
        cast(MPtr[Word], to + i)[0].value = cast(MPtr[Word], source + i)[0].value
        i += WORD
    while i < count:
        to[i] = source[i]
        i += 1


def _pattern(to: MPtr[u8], distance: u64, count: u64, roomy: bool) -> None:
    """A pattern shorter than a word, again and again.

    After its first eight bytes it also repeats at a multiple of its length that is at least a word.
    """
    first: u64 = min(count, WORD)
    source = to - distance
    for i in range(first):
        to[i] = source[i]
    if first < count:
        back = (WORD + distance - 1) // distance * distance
        _forward(to + first, to + first - back, count - first, roomy)
