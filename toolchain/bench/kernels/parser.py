# SPDX-License-Identifier: BSD-3-Clause
"""A byte-code interpreter: one match a byte, as a packet filter or a parser has."""
from kpy import Array, Final, Slice, enum, u8, u64, wrapping

SIZE: Final = 4096


@enum(u8)
class State:
    SPACE = 0
    NUMBER = 1
    WORD = 2
    TEXT = 3
    ESCAPE = 4


text: Array[u8, SIZE]


def setup() -> None:
    pattern = b"set name = \"a\\\"b\" 12 + 345; call fn(x, 77) # end\n"
    for i in range(SIZE):
        text[i] = pattern[(i + i // 61) % len(pattern)]


def classify(c: u8) -> u8:
    match c:
        case 9 | 10 | 13 | 32:
            return 0
        case 34:
            return 3
        case 92:
            return 4
        case 95:
            return 2
        case _:
            if 48 <= c <= 57:
                return 1
            if 97 <= c <= 122 or 65 <= c <= 90:
                return 2
            return 5


def scan(s: Slice[u8]) -> u64:
    state = State.SPACE
    value: u64 = 0
    total: u64 = 0
    for c in s:
        kind = classify(c)
        match state:
            case State.SPACE:
                match kind:
                    case 1:
                        state = State.NUMBER
                        value = c - 48
                    case 2:
                        state = State.WORD
                        value = c
                    case 3:
                        state = State.TEXT
                    case 5:
                        total = wrapping(total * 7 + c)
                    case _:
                        pass
            case State.NUMBER:
                if kind == 1:
                    value = wrapping(value * 10 + (c - 48))
                else:
                    total = wrapping(total * 31 + value)
                    state = State.TEXT if kind == 3 else State.SPACE
            case State.WORD:
                if kind == 1 or kind == 2:
                    value = wrapping(value * 33 + c)
                else:
                    total = wrapping(total * 17 + value)
                    state = State.TEXT if kind == 3 else State.SPACE
            case State.TEXT:
                match kind:
                    case 3:
                        state = State.SPACE
                    case 4:
                        state = State.ESCAPE
                    case _:
                        total = wrapping(total + c)
            case State.ESCAPE:
                total = wrapping(total * 3 + c)
                state = State.TEXT
    return total


def run(rounds: u64) -> u64:
    total: u64 = 0
    for n in range(rounds):
        total = wrapping(total * 5 + scan(text[n % 64:]))
    return total
