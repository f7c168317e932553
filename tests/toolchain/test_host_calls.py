# SPDX-License-Identifier: BSD-3-Clause
"""Functions called from Python: each argument's range and type, each kind of result and end."""
from __future__ import annotations

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.host_paths import EVERYTHING
from toolchain import host


@pytest.fixture(scope="module", params=[False, True], ids=["dev", "release"])
def every(request):
    return host.build(EVERYTHING, release=request.param)


RANGES = {"u8": (0, 2**8 - 1), "u64": (0, 2**64 - 1), "i8": (-2**7, 2**7 - 1),
          "i64": (-2**63, 2**63 - 1)}


@given(a=st.integers(-2**9, 2**9), b=st.integers(-2**65, 2**65), c=st.integers(-2**65, 2**65))
def test_integers_arrive_whole_or_not_at_all(every, a, b, c):
    wrong = [(name, value, ty) for name, value, ty in (("a", a, "i8"), ("b", b, "u64"),
                                                       ("c", c, "i64"))
             if not RANGES[ty][0] <= value <= RANGES[ty][1]]
    if not wrong:
        assert every.extremes(a, b, c) == (c, b, a)
        return
    name, value, ty = wrong[0]
    with pytest.raises(OverflowError) as caught:
        every.extremes(a, b, c)
    low, high = RANGES[ty]
    assert str(caught.value) == f"{name}: {value} does not fit {ty} ({low}..{high})"


@pytest.mark.parametrize("ty", RANGES)
def test_limits_fit(every, ty):
    for value in RANGES[ty]:
        assert every.new(ty, value).value == value
    for value in (RANGES[ty][0] - 1, RANGES[ty][1] + 1):
        with pytest.raises(OverflowError):
            every.new(ty, value)


@pytest.mark.parametrize("value", [True, 1.0, "1", b"1", None, [1]])
def test_only_integers_are_integers(every, value):
    with pytest.raises(TypeError, match=f"a: expected u8, not {type(value).__name__}"):
        every.add(value, 1)


def test_only_bools_are_bools(every):
    assert every.pair(3, True) == (3, False)
    with pytest.raises(TypeError, match="b: expected bool, not int"):
        every.pair(3, 1)


def test_arguments_are_counted_and_named(every):
    assert every.add(b=2, a=1) == 3
    for wrong in (lambda: every.add(1), lambda: every.add(1, 2, 3), lambda: every.add(1, c=2)):
        with pytest.raises(TypeError):
            wrong()
    assert every.add.__doc__ == "add(a: u8, b: u8) -> u8"


def test_names_that_cython_has_words_for(every):
    assert every.int(2, 3) == 5


def test_newtypes_and_byte_orders(every):
    assert every.page(2**40) == 2**40 + 4096
    assert every.swap(0x1234) == 0x1234


def test_enums_and_flags(every):
    assert every.flip(every.Mode.ON) is every.Mode.OFF
    assert every.flip(0) is every.Mode.ON
    with pytest.raises(ValueError, match=r"m: 7 is not a member of Mode \(OFF, ON\)"):
        every.flip(7)
    with pytest.raises(TypeError):
        every.flip(every.Opt.A)
    assert every.options(every.Opt.A | every.Opt.B)
    assert every.options(0) is False


def test_bits_are_values_as_arguments(every):
    before = every.Ctl(MPS=5)
    after = every.enable(before)
    assert (after.EN, after.MPS, int(after)) == (1, 5, 5 << 7 | 1)
    assert before.EN == 0
    assert int(every.enable(6)) == 7
    with pytest.raises(OverflowError):
        every.Ctl(MPS=16)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_slices_from_whatever_holds_integers(every, items):
    for given_ in (items, tuple(items), array.array("I", items), every.array("u32", items),
                   memoryview(array.array("I", items))):
        assert every.total(given_) == sum(items)


def test_changes_of_a_slice_are_seen(every):
    owned, ours, some = bytearray(4), every.array("u8", 4), [0, 0]
    for target in (owned, ours, some, memoryview(owned)[1:]):
        every.fill(target, 7)
        assert list(target) == [7] * len(target)
    constant = b"abc"
    every.fill(constant, 7)
    assert constant == b"abc"


@pytest.mark.parametrize("wrong", [5, None, "text", array.array("H", [1]), b"abcd", [1, "x"]])
def test_what_is_no_slice_of_u32(every, wrong):
    with pytest.raises(TypeError, match="xs"):
        every.total(wrong)


def test_slice_results_keep_what_they_lie_in(every):
    data = bytearray(b"abcdef")
    half = every.first_half(data)
    assert half == b"abc"
    half[0] = ord("x")
    assert data[:1] == b"x"
    with pytest.raises(BufferError):
        data.append(1)
    del half
    data.append(1)
    assert bytes(every.first_half(b"temporary!")) == b"tempo"


def test_text(every):
    every.output.clear()
    assert every.hello("wörld") == "wörld"
    assert every.hello(b"bytes") == "bytes"
    assert every.hello("") == ""
    assert every.output == ["hi wörld\n", "hi bytes\n", "hi \n"]


def test_function_values(every):
    assert every.apply(every.twice, 4) == 8
    assert every.apply(lambda x: x + 1, 4) == 5
    with pytest.raises(TypeError, match="f: expected"):
        every.apply(every.add, 4)
    with pytest.raises(ZeroDivisionError):
        every.apply(lambda x: x // 0, 4)
    with pytest.raises(OverflowError, match="-1 does not fit u32"):
        every.apply(lambda x: -1, 4)


def test_python_callables_run_out_and_come_back(every):
    every.release()
    with pytest.raises(RuntimeError, match="32 Python callables"):
        for n in range(40):
            every.apply(lambda x, n=n: n, 1)
    every.release()
    assert every.apply(lambda x: 9, 1) == 9


def test_throwing_functions(every):
    with every.provide(read_block=lambda n: 10 * n):
        assert every.block(2) == 21
        with pytest.raises(host.KpyError) as caught:
            every.block(99)
    assert (caught.value.code, caught.value.name, caught.value.errno) == (5, "EIO", 5)
    assert isinstance(caught.value, OSError)


def test_a_panic_is_an_exception(every):
    with pytest.raises(host.Panic) as caught:
        every.die(3)
    panic = caught.value
    assert (panic.message, panic.kind, panic.function) == ("dead 3", "PANIC", "everything.die")
    assert panic.file.endswith("everything.py")
    assert EVERYTHING.read_text().splitlines()[panic.line - 1].strip() == 'panic(f"dead {n}")'
    with pytest.raises(host.Panic, match="too big") as caught:
        every.check(7)
    assert caught.value.kind == "ASSERT"
    assert every.twice(2) == 4


def test_a_failed_check_has_its_values():
    every = host.build(EVERYTHING)
    with pytest.raises(host.CheckFailed) as caught:
        every.add(200, 100)
    failed = caught.value
    assert (failed.kind, failed.values, failed.text) == ("OVERFLOW", (200, 100), "a + b")
    assert failed.column == 12
    assert host.build(EVERYTHING, release=True).add(200, 100) == 44


@pytest.mark.parametrize("release", [False, True])
def test_operands_of_a_failed_check_are_shown_as_their_types_have_them(tmp_path, release):
    source = tmp_path / "signs.py"
    source.write_text('''from kpy import Slice, i8, i64, u8, u32, u64


def narrow(n: u64) -> u32:
    return u32(n)


def narrow_signed(n: i64) -> u8:
    return u8(n)


def divide(a: u64, b: u64) -> u64:
    return a // b


def divide_signed(a: i8, b: i8) -> i8:
    return a // b


def get(xs: Slice[u8], i: i64) -> u8:
    return xs[i]


def cut(xs: Slice[u8], a: u64, b: u64) -> u64:
    return len(xs[a:b])
''')
    module = host.build(source, release=release)
    for function, args, values in [
            (module.narrow, (2**64 - 1,), (2**64 - 1,)),
            (module.narrow, (2**63,), (2**63,)),
            (module.narrow_signed, (-1,), (-1,)),
            (module.divide, (2**63 + 5, 0), (2**63 + 5,)),
            (module.divide_signed, (-128, 0), (-128,)),
            (module.get, (b"abc", -4), (-4,)),
            (module.cut, (b"abc", 2**63, 2**64 - 1), (2**63, 2**64 - 1))]:
        with pytest.raises(host.CheckFailed) as caught:
            function(*args)
        assert caught.value.values == values, function
        assert f"({', '.join(map(str, values))}) in" in str(caught.value)
