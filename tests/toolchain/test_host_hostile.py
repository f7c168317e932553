# SPDX-License-Identifier: BSD-3-Clause
"""What must not take the process with it: wild pointers, endless loops, misuse from Python."""
from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import subprocess
import threading

import pytest

from tests.toolchain.host_paths import EVERYTHING, MACHINE
from toolchain import host

every = host.fixture(EVERYTHING)
machine = host.fixture(MACHINE)


def test_wild_pointers_are_exceptions(machine):
    for address in (0, 8, 0x123456789000, 2**47, 2**63):
        with pytest.raises(host.Fault) as caught:
            machine.peek(address)
        assert caught.value.signal == signal.SIGSEGV
        assert caught.value.where == "machine.peek"
    with pytest.raises(host.Fault, match="at address 0x8 in"):
        machine.peek(8)


def test_endless_recursion_is_an_exception(machine):
    assert machine.deep(10) == 55
    for _ in range(2):
        with pytest.raises(host.Fault):
            machine.deep(10**9)
    assert machine.deep(10) == 55


def test_endless_recursion_in_another_thread(machine):
    found = []

    def run():
        try:
            machine.deep(10**9)
        except host.Fault as fault:
            found.append(fault)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(found) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGALRM])
def test_endless_loops_can_be_interrupted(machine, number):
    class StopError(Exception):
        pass

    def handler(*_):
        raise StopError
    before = signal.signal(number, handler)
    machine.snapshot()                     # takes the signals again
    try:
        with subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -{number} {os.getpid()}"]), \
                pytest.raises(StopError):
            machine.forever()
    finally:
        signal.signal(number, before)


def test_a_fault_in_a_nested_call_goes_to_its_own_caller(machine):
    def outer(n):
        with pytest.raises(host.Fault):
            machine.peek(0)
        return n
    with machine.provide(outer=outer):
        assert machine.call_outer(5) == 6


def test_a_panic_in_a_nested_call_goes_through_all(machine, every):
    def outer(n):
        return every.die(n) if n == 0 else machine.call_outer(n - 1)
    with machine.provide(outer=outer), pytest.raises(host.Panic, match="dead 0"):
        machine.call_outer(7)
    assert every.twice(1) == 2


def test_callbacks_without_end(machine):
    with machine.provide(outer=lambda n: machine.call_outer(n)), pytest.raises(RecursionError):
        machine.call_outer(1)


def test_a_function_that_never_returns_does_not(machine):
    with machine.provide(leave=lambda: None), pytest.raises(RuntimeError, match="never returns"):
        machine.go()


def test_another_thread_is_refused_during_a_call(machine):
    found = []

    def run():
        try:
            machine.call_outer(1)
        except RuntimeError as error:
            found.append(str(error))

    def outer(n):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return n
    with machine.provide(outer=outer):
        assert machine.call_outer(4) == 5
    assert "another thread" in found[0]


def test_restore_inside_a_callback_is_refused(machine):
    taken = machine.snapshot()
    with machine.provide(outer=lambda n: machine.restore(taken)), \
            pytest.raises(RuntimeError, match="inside a call"):
        machine.call_outer(1)


def test_none_where_a_pointer_must_be(every):
    with pytest.raises(TypeError, match=r"n: Ptr\[Node\] is never None"):
        every.push(None)
    for wrong in (5, b"x", every.Inner(), every.Node, object()):
        with pytest.raises(TypeError, match=r"n: expected Ptr\[Node\]"):
            every.push(wrong)


def test_views_without_storage(every):
    blank = every.Node.__new__(every.Node)
    for use in (lambda: blank.value, lambda: bytes(blank), lambda: every.push(blank),
                lambda: setattr(blank, "value", 1), blank.copy, lambda: blank.ctl):
        with pytest.raises(ValueError, match="never given storage"):
            use()
    assert not blank.owned


def test_views_are_not_copied_by_accident(every):
    node = every.Node()
    with pytest.raises(TypeError):
        pickle.dumps(node)
    with pytest.raises(TypeError):
        copy.copy(node)
    with pytest.raises(TypeError):
        every.Node.value.__get__(every.Inner(), None)


def test_dead_owners(every):
    """Memory that compiled code no longer has a right to is Python's to free, and says so."""
    taken = every.snapshot()
    every.push(every.Node(value=5))
    view = every.pop()
    every.restore(taken)
    gc.collect()
    assert view.value == 5, "a view found in kpy's memory keeps what Python owns"


def test_damaged_memory(every):
    node = every.Node()
    raw = every.at("u64", every.Node.name.offset + node.address)
    raw[0], raw[1] = 0, 2**40
    with pytest.raises(ValueError, match="damaged"):
        _ = node.name
    every.at("u8", node.address + every.Node.mode.offset)[0] = 200
    assert node.mode == 200
    shape = every.shape(0, 1)
    every.at("u32", shape.address)[0] = 9
    with pytest.raises(ValueError, match="damaged"):
        _ = shape.value


def test_wild_pointers_read_from_memory(every):
    node = every.Node()
    for address in (8, 0x123456789000, 2**63, 2**64 - 8):
        every.at("u64", node.address + every.Node.next.offset)[0] = address
        wild = node.next
        for use in (lambda: wild.value, lambda: setattr(wild, "value", 1), wild.copy,  # noqa: B023
                    lambda: wild.arr[1], lambda: bytes(wild), lambda: wild.ctl.EN):    # noqa: B023
            with pytest.raises(ValueError, match="no memory at"):
                use()
        raw = every.at("u64", node.address + every.Node.name.offset)
        raw[0], raw[1] = address, 3
        with pytest.raises(ValueError, match="no memory at"):
            _ = node.name
        with pytest.raises(ValueError, match="no memory at"):
            bytes(every.at("u32", address).slice(2))
        with pytest.raises(ValueError, match="no memory at"):
            every.at("u32", address).value = 3
    with pytest.raises(MemoryError):
        every.array("u64", 2**61)


def test_a_buffer_of_the_wrong_shape(every):
    import numpy  # noqa: PLC0415
    assert every.total(numpy.arange(4, dtype=numpy.uint32)) == 6
    for wrong in (numpy.arange(4, dtype=numpy.float32), numpy.arange(8, dtype=numpy.uint32)[::2],
                  numpy.zeros((2, 2), dtype=numpy.float64)):
        with pytest.raises((TypeError, BufferError, ValueError)):
            every.total(wrong)
