# SPDX-License-Identifier: BSD-3-Clause
"""A state machine driven by match.

# run: accept(b"ab1") == True
# run: accept(b"1ab") == False
# run: accept(b"a-b") == False
"""
from kpy import Slice, enum, u8


@enum(u8)
class State:
    START = 0
    WORD = 1
    BAD = 2


def step(s: State, c: u8) -> State:
    letter = ord("a") <= c <= ord("z")
    digit = ord("0") <= c <= ord("9")
    match s:
        case State.START:
            return State.WORD if letter else State.BAD
        case State.WORD:
            return State.WORD if letter or digit else State.BAD
        case State.BAD:
            return State.BAD


def accept(text: Slice[u8]) -> bool:
    s = State.START
    for c in text:
        s = step(s, c)
    return s == State.WORD
