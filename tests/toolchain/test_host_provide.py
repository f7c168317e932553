# SPDX-License-Identifier: BSD-3-Clause
"""Fake hardware: externs, upcalls, hooks and devices answered by Python."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.host_paths import EVERYTHING, MACHINE, UART
from toolchain import host

uart = host.fixture(UART)
machine = host.fixture(MACHINE, hooks=True, yields=True, edges=True, faults=True)


class FakeUart:
    """Ready to send every third time it is asked; what was sent, and what is to come."""

    def __init__(self, patience: int = 3, incoming: bytes = b"") -> None:
        self.patience, self.polls, self.sent = patience, 0, bytearray()
        self.incoming = bytearray(incoming)

    def inb(self, port: int) -> int:
        if port == 0x3F8:
            return self.incoming.pop(0)
        assert port == 0x3F8 + 5
        self.polls += 1
        return (self.polls % self.patience == 0) << 5 | bool(self.incoming)

    def outb(self, port: int, value: int) -> None:
        assert port == 0x3F8
        self.sent.append(value)


def test_a_driver_polls_a_fake_device(uart):
    device = FakeUart()
    uart.provide(device)
    assert uart.write(b"hello") == 5
    assert (device.sent, device.polls, uart.globals.sent) == (b"hello", 15, 5)


def test_state_does_not_leak_from_test_to_test(uart):
    assert uart.globals.sent == 0
    with pytest.raises(host.NotProvided, match=r"inb\(port: u16\) -> u8 \(extern hw_inb\)"):
        uart.write(b"x")


def test_a_device_that_never_answers_times_out(uart):
    uart.provide(FakeUart(patience=1 << 20))
    with pytest.raises(host.KpyError) as caught:
        uart.write(b"x")
    assert caught.value.name == "ETIMEDOUT"


@given(st.binary(max_size=30))
def test_received_bytes_reach_the_ring(data):
    uart = host.build(UART)
    taken = uart.snapshot()
    try:
        with uart.provide(FakeUart(incoming=data)):
            assert uart.receive() == len(data)
        expected = bytearray(8)
        for i, byte in enumerate(data):
            expected[i % 8] = byte
        assert uart.globals.ring == expected
        assert uart.globals.head == len(data)
    finally:
        uart.restore(taken)


def test_providers_are_checked(uart):
    with pytest.raises(TypeError, match="has none of the functions"):
        uart.provide(object())
    with pytest.raises(LookupError, match=r"never calls 'inw'; it calls: "):
        uart.provide(inw=lambda port: 0)
    with pytest.raises(LookupError, match="built with its option"):
        uart.provide(mmio_read=lambda address, size: 0)
    with pytest.raises(TypeError, match="not callable"):
        uart.provide(inb=5)
    uart.provide({"hw_inb": lambda port: 0x20, "hw_outb": lambda port, value: None})
    assert uart.write(b"ab") == 2
    assert set(uart.needed) == {"hw_inb", "hw_outb"}


def test_what_a_provider_returns_is_checked(uart):
    for wrong, error in ((256, OverflowError), (None, TypeError), ("x", TypeError)):
        with uart.provide(inb=lambda port, wrong=wrong: wrong), \
                pytest.raises(error, match="result of inb"):
            uart.receive()
    with uart.provide(inb=lambda port: 0x20, outb=lambda port, value: 1), \
            pytest.raises(TypeError, match="result of outb: expected None"):
        uart.write(b"x")


def test_exceptions_of_a_provider_reach_the_caller(uart):
    class UnpluggedError(Exception):
        pass

    def inb(port):
        raise UnpluggedError
    with uart.provide(inb=inb), pytest.raises(UnpluggedError):
        uart.receive()


def test_errors_of_a_throwing_upcall_become_codes():
    every = host.build(EVERYTHING)

    def read_block(n):
        raise host.KpyError(28) if n == 1 else OSError(5, "also") if n == 2 else ValueError
    with every.provide(read_block=read_block):
        for n, code in ((1, 28), (2, 5)):
            with pytest.raises(host.KpyError) as caught:
                every.block(n)
            assert caught.value.code == code
        with pytest.raises(ValueError):
            every.block(3)


class Device:
    """Ready on the fifth read of its first register; remembers the others."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {}
        self.reads = 0

    def read(self, offset: int, size: int) -> int:
        assert size == 4
        self.reads += offset == 0
        return int(self.reads >= 5) if offset == 0 else self.registers.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        self.registers[offset] = value


def test_registers_reach_a_mapped_device(machine):
    with pytest.raises(host.NotProvided, match="mmio_read at 0x1004, where no device is mapped"):
        machine.start(0x1000)
    device = Device()
    machine.map(0x1000, 0x100, device)
    assert machine.start(0x1000) == 4
    assert device.registers == {4: 1}
    with pytest.raises(ValueError, match="overlaps"):
        machine.map(0x10FF, 1, Device())
    machine.unmap(device)
    with pytest.raises(host.NotProvided):
        machine.start(0x1000)


def test_hooked_functions_can_be_replaced(machine):
    assert machine.when() == 8
    with machine.provide(now=lambda: 41):
        assert machine.when() == 42
    assert machine.when() == 8


def test_atomics_can_be_watched_or_left_alone(machine):
    assert machine.take() == 0
    assert machine.globals.lock == 1
    seen = []

    def atomic(kind, address, size, first, second, order):
        seen.append((kind, size, first, second, order))
        return int(len(seen) < 3)
    with machine.provide(atomic=atomic):
        assert machine.take() == 2
    assert seen == [(8, 4, 0, 1, 4)] * 3


def test_faults_yields_and_edges(machine):
    assert machine.use(4) == 5
    seen = []

    def fault(site):
        seen.append(machine.sites()[site])
        return True
    with machine.provide(fault=fault), pytest.raises(host.KpyError) as caught:
        machine.use(4)
    assert caught.value.name == "ENOMEM"
    lines = MACHINE.read_text().splitlines()
    assert "alloc(n) + 1" in lines[seen[0][1] - 1]
    places = []
    def seen(site, address, access):
        places.append(machine.sites()[site][1])
    with machine.provide(yield_=seen):
        machine.take()
    assert "lock.cas" in lines[places[0] - 1]
    machine.reset_edges()
    machine.big(3, 4)
    taken = [lines[line - 1] for _, line, _, count in machine.edges() if count]
    assert any("a if a > b else b" in text for text in taken)
    counts = [count for _, _, _, count in machine.edges()]
    assert machine.edge_counts() == b"".join(count.to_bytes(8, "little") for count in counts)


def test_nested_calls(machine):
    def outer(n):
        return machine.call_outer(n - 1) if n else 100
    with machine.provide(outer=outer):
        assert machine.call_outer(10) == 111


def test_methods_of_every_kind(machine):
    tok = machine.Tok()
    with tok:
        assert (tok.depth, tok.twice, machine.Tok.two()) == (1, 2, 2)
    assert tok.depth == 0


@pytest.fixture(params=[False, True], ids=["dev", "release"])
def every(request):
    return host.build(EVERYTHING, release=request.param)


def test_every_kind_of_result_comes_from_python(every):
    node = every.Node(value=6)
    answers = {
        "ask_tuple": lambda a, b: (-a, a, not b), "ask_pair": lambda a: (1, 2**64 - 1),
        "ask_struct": lambda xs: every.Rect(w=sum(xs), h=2),
        "ask_shape": lambda kind: every.Circle(r=kind) if kind else every.Rect(w=1, h=2),
        "ask_text": lambda n: "é" * n, "ask_node": lambda n: node if n is None else None}
    with every.provide(answers):
        assert every.asked_tuple(200, True) == (-200, 200, False)
        assert every.asked_pair(-1) == (1, 2**64 - 1)
        assert every.asked_area([1, 2, 3]) == 12
        assert every.asked_shape(every.Mode.ON).value.r == 1
        assert every.asked_shape(0).value.h == 2
        assert every.asked_text(3) == "ééé"
        assert every.asked_node(None) == node and every.asked_node(node) is None
    for name in ("asked_pair", "asked_shape"):
        def fail(_):
            raise host.KpyError(19)
        with every.provide({name.replace("asked", "ask"): fail}), \
                pytest.raises(host.KpyError) as caught:
            getattr(every, name)(0)
        assert caught.value.code == 19


def test_every_kind_of_function_value(every):
    assert every.pick(True) is every.pair
    assert every.squared(every.to_rect, 5) == 25
    assert every.squared(lambda n: every.Rect(w=n, h=3), 5) == 15
    assert every.maybe(1) == (3, b"text")
    with pytest.raises(host.KpyError):
        every.maybe(0)
    with pytest.raises(TypeError, match=r"result of .*: expected Rect, not int"):
        every.squared(lambda n: 5, 5)


def test_functions_that_were_not_bound(tmp_path):
    (tmp_path / "below.py").write_text(
        '"""Not bound."""\nfrom kpy import u32\n\n\ndef half(n: u32) -> u32:\n    return n // 2\n')
    (tmp_path / "above.py").write_text(
        '"""Bound."""\nimport below\nfrom kpy import Fn, u32\n\n\n'
        "def get() -> Fn[[u32], u32]:\n    return below.half\n\n\n"
        "def call(f: Fn[[u32], u32], n: u32) -> u32:\n    return f(n)\n")
    above = host.build(tmp_path / "above.py")
    half = above.get()
    assert not hasattr(above, "half")
    assert half(9) == 4 and above.call(half, 9) == 4 and half == above.get()
    with pytest.raises(OverflowError, match="argument 1: -1"):
        half(-1)
    with pytest.raises(TypeError, match="takes 1 arguments, not 2"):
        half(1, 2)
