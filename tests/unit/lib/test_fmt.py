# SPDX-License-Identifier: BSD-3-Clause
"""Numbers and text as kprintf shows them, against toolchain.printing and Python's format()."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain import host
from toolchain.printing import PREFIX, SIGN, SIGNED, ZERO_FILL, show_text, show_value

BASES = {2: "b", 8: "o", 10: "d", 16: "x"}


class Stopped(Exception):  # noqa: N818
    """What stop() does to a test."""


class Console:
    """Collects what is written; stop() ends the call."""

    def __init__(self) -> None:
        self.text = b""

    def console_write(self, text) -> None:
        self.text += bytes(text)

    def stop(self) -> None:
        raise Stopped


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def fmt(request):
    return host.build("kernel/lib/fmt.py", release=request.param)


def shown(fmt, name, *arguments):
    console = Console()
    with fmt.provide(console):
        getattr(fmt, name)(fmt.Sink.KPRINTF, *arguments)
    return console.text


@st.composite
def specs(draw):
    """A spec that the compiler may make, for a value of `size` bytes."""
    size = draw(st.sampled_from([1, 2, 4, 8]))
    flags = draw(st.integers(0, 127)) & ~(1 << 5)              # not a bool
    return size << 24 | flags << 16 | draw(st.integers(0, 255)) << 8 | draw(st.sampled_from(
        list(BASES)))


@given(value=st.integers(0, 2**64 - 1), spec=specs())
def test_numbers_are_shown_as_the_host_shows_them(fmt, value, spec):
    assert shown(fmt, "print_value", value, spec).decode() == show_value(value, spec)


@given(value=st.integers(-2**63, 2**63 - 1), width=st.integers(0, 60),
       base=st.sampled_from(list(BASES)), zeros=st.booleans(), prefix=st.booleans(),
       sign=st.booleans())
def test_numbers_are_shown_as_python_formats_them(fmt, value, width, base, zeros, prefix, sign):
    prefix = prefix and base != 10
    spec = (8 << 24 | SIGNED | zeros * ZERO_FILL | prefix * PREFIX | sign * SIGN
            | width << 8 | base)
    text = f"{'+' if sign else ''}{'#' if prefix else ''}{'0' if zeros else ''}{width or ''}"
    expected = format(value, text + BASES[base])
    assert shown(fmt, "print_value", value % 2**64, spec).decode() == expected


@given(text=st.binary(max_size=50), width=st.integers(0, 60), left=st.booleans())
def test_text_is_padded(fmt, text, width, left):
    spec = width << 8 | left << 19
    area = fmt.array("u8", text + b"\0")
    found = shown(fmt, "print_slice", fmt.at("u8", area.address), len(text), spec)
    assert found == (text.ljust(width) if left else text.rjust(width))
    if text.isascii():
        assert found.decode() == show_text(text, spec)


@pytest.mark.parametrize("value", [False, True])
def test_bools(fmt, value):
    assert shown(fmt, "print_value", value + 0, 1 << 24 | 1 << 21) == str(value).encode()


def test_a_failed_check_says_what_and_where_and_stops(fmt):
    def text(value):
        return value.decode() if isinstance(value, bytes) else value
    site = fmt.Site(file="kernel/demo.py", function="demo.get", text=text("xs[i]"), line=12,
                    column=5, kind=fmt.Check.INDEX, operands=64 << 8 | 64)
    console = Console()
    with fmt.provide(console), pytest.raises(Stopped):
        fmt.check_failed(site, 7, 4)
    assert console.text == (b"panic: index out of range in `xs[i]`: 7, 4\n"
                            b"  at kernel/demo.py:12:5 in demo.get\n")


def test_every_kind_of_check_has_words(fmt):
    for kind in fmt.Check:
        console = Console()
        with fmt.provide(console), pytest.raises(Stopped):
            fmt.check_failed(fmt.Site(kind=kind), 0, 2**64 - 1)
        assert b" in ``\n" in console.text
        assert kind in (fmt.Check.PANIC, fmt.Check.PRINT) or b"panic:  in" not in console.text


@pytest.mark.parametrize(("operands", "shown"), [
    (64 << 8 | 64, b": 18446744073709551615, 9223372036854775808\n"),
    (1 << 17 | 64 << 8 | 1 << 16 | 8, b": -1, -9223372036854775808\n"),
    (1 << 16 | 32, b": -1\n"), (0, b" in ``\n")])
def test_operands_are_shown_as_their_types_have_them(fmt, operands, shown):
    console = Console()
    with fmt.provide(console), pytest.raises(Stopped):
        fmt.check_failed(fmt.Site(kind=fmt.Check.OVERFLOW, operands=operands), 2**64 - 1, 2**63)
    assert shown in console.text
