# SPDX-License-Identifier: BSD-3-Clause
"""Text in fixed storage, against what Python says of it."""
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain import host

TEXT = st.binary(max_size=30)


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def words(request):
    return host.build("kernel/lib/words.py", release=request.param)


def test_split_takes_the_first_word(words):
    @given(st.text("ab \t", max_size=20))
    def same(line):
        word, rest = words.split(line.encode())
        stripped = line.lstrip(" ")
        first, _, after = stripped.partition(" ")
        assert (bytes(word).decode(), bytes(rest).decode()) == (first, after.lstrip(" "))
    same()


def test_number_takes_what_fits(words):
    @given(st.one_of(st.integers(0, 2**66).map(str), st.integers(0, 2**66).map(hex),
                     st.text("0123456789abcxz", max_size=8)))
    def same(text):
        value, good = words.number(text.encode())
        expected = None
        if re.fullmatch("[0-9]+", text):
            expected = int(text)
        elif re.fullmatch("0x[0-9a-f]+", text):
            expected = int(text, 16)
        if expected is None or expected >= 2**64:
            assert not good and value == 0
        else:
            assert good and value == expected
    same()


@pytest.mark.parametrize(("line", "key", "value"), [
    (b"a=1 bb=22 b=3", b"b", b"3"), (b"a=1", b"b", b""), (b"ab=1", b"a", b""),
    (b"  panic=off  ", b"panic", b"off"), (b"x=", b"x", b""), (b"", b"x", b"")])
def test_value_of_a_key(words, line, key, value):
    assert bytes(words.value_of(line, key)) == value


def test_compare_is_pythons_order(words):
    @given(TEXT, TEXT)
    def same(left, right):
        assert words.compare(left, right) == (left > right) - (left < right)
    same()


def test_writing_numbers_and_text(words):
    @given(st.integers(0, 2**64 - 1), TEXT)
    def same(value, text):
        place = bytearray(b"\xff" * 24)
        digits = str(value).encode()
        assert words.write_number(place, value) == len(digits)
        assert bytes(place) == digits.ljust(24, b"\0")
        assert bytes(words.until_zero(bytes(place))) == digits
        assert words.write_text(place, text) == min(len(text), 24)
        assert bytes(place) == text[:24].ljust(24, b"\0")
    same()
