# SPDX-License-Identifier: BSD-3-Clause
"""Bringing a controller up and letting it go; controllers that break on the way."""
from __future__ import annotations

import pytest

from tests.unit.dev.nvme.conftest import READ, WRITE
from toolchain import host

EINVAL, EIO, ENXIO, ETIMEDOUT = 22, 5, 6, 110


def text(array) -> bytes:
    return bytes(array).rstrip(b"\0")


def nothing_is_left(nvme) -> bool:
    """Whether all that the kit gave has come back."""
    dev = nvme.dev
    nvme.machine.each(lambda cpu: nvme.kva.drain())
    return (dev.soft == 0 and dev.mappings.first is None and dev.memories.first is None
            and not nvme.machine.windows)


def test_it_comes_up_as_a_disk(nvme):
    c = nvme.start().attach()
    info = nvme.disk().info
    assert (info.block_size, info.blocks, info.max_transfer) == (512, 4096, 4096 << 5)
    assert (text(info.serial), text(info.model)) == (b"SERIAL", b"Model M")
    assert info.trim and info.write_zeroes
    assert (c.pair_count, c.entries) == (1, 64)
    nvme.detach()
    assert nothing_is_left(nvme)
    assert nvme.controller.cc & 1 == 0


def test_namespaces_have_serial_numbers_of_their_own(nvme):
    nvme.start(namespaces=(1, 5, 700)).attach()
    assert [text(nvme.disk(n).info.serial) for n in range(3)] == [
        b"SERIAL", b"SERIAL.5", b"SERIAL.700"]


@pytest.mark.parametrize(("mqes", "entries"), [(1, 2), (2, 2), (62, 32), (0xFFFF, 1024)])
def test_queues_are_as_deep_as_the_controller_says(nvme, mqes, entries):
    assert nvme.start(mqes=mqes).attach().entries == entries


@pytest.mark.parametrize("change", [
    {"lbads": 8}, {"lbads": 13}, {"blocks": 0, "lbads": 9}])
def test_namespaces_that_are_none_are_left_out(nvme, change):
    nvme.start(**change).attach()
    assert nvme.c.namespaces.first is None


def test_a_controller_that_does_not_become_ready_is_given_up_in_time(nvme):
    nvme.start()
    nvme.controller.stuck = True
    with pytest.raises(host.KpyError) as caught:
        nvme.attach()
    assert caught.value.code == ETIMEDOUT
    nvme.part["kernel.bus.driver"].release(nvme.dev)
    assert nothing_is_left(nvme)


def test_an_admin_command_that_is_never_answered_ends(nvme):
    nvme.start()
    nvme.controller.deaf = True
    with pytest.raises(host.KpyError) as caught:
        nvme.attach()
    assert caught.value.code == ETIMEDOUT


def test_gone_at_any_register_access(nvme):
    """Whatever it does when it vanishes, attach() and detach() end, and nothing is left."""
    nvme.start()
    nvme.attach()
    accesses = nvme.controller.accesses
    nvme.detach()
    total = nvme.controller.accesses
    assert accesses < total < 200
    free = nvme.page.count_free()
    for n in range(1, total + 1):
        nvme.controller.gone_at, nvme.controller.accesses = n, 0
        try:
            nvme.attach()
        except host.KpyError as error:
            assert error.code in (ENXIO, ETIMEDOUT, EIO)
            nvme.part["kernel.bus.driver"].release(nvme.dev)
        else:
            nvme.detach()
        assert nothing_is_left(nvme), n
        assert nvme.page.count_free() <= free + 64


def test_gone_with_requests_under_way_ends_them_with_enxio(nvme):
    nvme.start().attach()
    nvme.controller.hold = True
    done = []
    for i in range(100):                # more than there are slots
        request, ended = nvme.bio(READ if i % 2 else WRITE, i, 1, pages=1)
        done.append(ended)
        nvme.start_request(request)
    assert nvme.pair().inflight == 63 and nvme.pair().counters.waited == 37
    nvme.controller.gone_at = 0
    nvme.dev.gone = 1
    nvme.detach()
    assert done == [[ENXIO]] * 100
    assert nothing_is_left(nvme)


def test_asked_out_requests_under_way_are_answered_first(nvme):
    nvme.start().attach()
    request, done = nvme.bio(READ, 7, 1, pages=1)
    nvme.start_request(request)         # executed, its completion not looked at
    nvme.detach()
    assert done == [0]
