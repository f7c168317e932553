# SPDX-License-Identifier: BSD-3-Clause
"""Commands of requests, data where it belongs, and completions that are wrong."""
from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.dev.ahci.conftest import FLUSH, FREEBLKS, FUA, READ, WRITE, WRITE_ZEROES
from tests.unit.dev.ahci.fake import Disk

EINVAL, EOPNOTSUPP = 22, 95


def memory(ahci, request) -> bytes:
    """The data of a request."""
    whole = b"".join(ahci.machine.ram[p:p + 4096] for p in request.pages)
    return whole[request.page_offset:request.page_offset + request.length]


def number_sectors(device) -> None:
    """Have each sector begin with its number."""
    size = device.sector_bytes
    for n in range(device.sectors):
        device.media[size * n:size * n + 4] = n.to_bytes(4, "little")


@pytest.fixture
def up(ahci):
    ahci.start().attach()
    number_sectors(ahci.fake.ports[0].device)
    return ahci


@pytest.fixture
def single(ahci):
    """A disk without queueing."""
    ahci.start(Disk(ncq=False)).attach()
    number_sectors(ahci.fake.ports[0].device)
    return ahci


@pytest.mark.parametrize("offset", [0, 2, 512, 4094])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 255, 256])
@pytest.mark.parametrize("ncq", [True, False])
def test_a_read_fills_its_pages(ahci, ncq, count, offset):
    ahci.start(Disk(ncq=ncq)).attach()
    number_sectors(ahci.fake.ports[0].device)
    request, done = ahci.bio(READ, 100, count, pages=34, offset=offset)
    ahci.submit(request)
    ahci.work()
    assert done == [0]
    assert memory(ahci, request) == bytes(
        ahci.fake.ports[0].device.media[51200:51200 + 512 * count])
    assert ahci.fake.ports[0].log == [(0x60 if ncq else 0x25, 100, count)]


@pytest.mark.parametrize("count", [1, 9, 200])
@pytest.mark.parametrize("ncq", [True, False])
def test_a_write_comes_from_its_pages(ahci, ncq, count):
    ahci.start(Disk(ncq=ncq)).attach()
    request, done = ahci.bio(WRITE, 3, count, pages=26, offset=1024)
    for i, page in enumerate(request.pages):
        ahci.machine.ram[page:page + 4096] = bytes([i + 1]) * 4096
    ahci.submit(request)
    ahci.work()
    assert done == [0]
    assert bytes(ahci.fake.ports[0].device.media[1536:1536 + 512 * count]) == memory(ahci, request)


def test_large_sectors(ahci):
    ahci.start(Disk(sector_bytes=4096, sectors=500)).attach()
    number_sectors(ahci.fake.ports[0].device)
    request, done = ahci.bio(READ, 77, 3, pages=3, size=4096)
    ahci.submit(request)
    ahci.work()
    assert done == [0] and memory(ahci, request)[4096:4100] == (78).to_bytes(4, "little")


def test_the_largest_transfer_fits(up):
    for scattered in (False, True):
        request, done = up.bio(READ, 0, 1920, pages=241, offset=512)
        if scattered:
            pages = up.mod.array("PhysAddr", sorted(request.pages, key=lambda p: p * 7919 % 1009))
            up.kept.append(pages)
            up.part["kernel.io.bio"].set_pages(request, pages, 512)
        up.submit(request)
        up.work()
        assert done == [0]
        assert memory(up, request) == bytes(up.fake.ports[0].device.media[:960 << 10])


def test_addresses_of_48_bits(ahci):
    ahci.start(Disk(1 << 20)).attach()
    done = ahci.ask(READ, 0xABCDE)
    ahci.work()
    assert done == [0] and ahci.fake.ports[0].log == [(0x60, 0xABCDE, 1)]


def test_an_odd_address_is_refused(up):
    assert up.ask(READ, 0, offset=1) == [EINVAL]


def test_what_the_device_does_not_know_is_not_asked(up):
    assert up.ask(WRITE_ZEROES, 0) == [EOPNOTSUPP]


def test_flush_is_sent_alone_and_only_if_there_is_a_cache(up, ahci):
    port = up.fake.ports[0]
    port.hold = True
    reads = [up.ask(READ, n) for n in range(3)]
    flush = up.ask(FLUSH, 0, 0)
    late = up.ask(READ, 9)
    assert len(port.held) == 3
    port.release()
    up.work()
    assert reads == [[0]] * 3 and flush == [] and len(port.held) == 1
    port.release()
    up.work()
    assert flush == [0] and late == []
    port.release()
    up.work()
    assert late == [0] and [opcode for opcode, _, _ in port.log] == [0x60] * 3 + [0xEA, 0x60]


def test_flush_of_a_disk_without_a_cache(ahci):
    ahci.start(Disk(flush=False)).attach()
    assert ahci.ask(FLUSH, 0, 0) == [0] and ahci.fake.ports[0].log == []


@pytest.mark.parametrize("fua", [True, False])
@pytest.mark.parametrize("ncq", [True, False])
def test_a_write_that_is_to_be_on_the_medium(ahci, ncq, fua):
    ahci.start(Disk(ncq=ncq, fua=fua)).attach()
    request, done = ahci.bio(WRITE, 5, 1)
    request.flags = FUA
    ahci.submit(request)
    ahci.work()
    assert done == [0]
    opcodes = [opcode for opcode, _, _ in ahci.fake.ports[0].log]
    plain = 0x3D if fua else 0x35
    assert opcodes == [0x61 if ncq else plain] + ([] if fua else [0xEA])


def test_a_trim_that_is_longer_than_a_command_is_several(ahci):
    ahci.start(Disk(64 * 65535 * 2 + 100)).attach()
    done = ahci.ask(FREEBLKS, 5, 64 * 65535 + 1000)
    ahci.work()
    assert done == [0]
    assert ahci.fake.ports[0].log == [(6, 5, 64 * 65535), (6, 5 + 64 * 65535, 1000)]


def test_what_finds_no_slot_waits_and_is_started(up):
    port = up.fake.ports[0]
    port.hold = True
    done = [up.ask(READ, i) for i in range(200)]
    assert len(port.held) == 32
    while port.held:
        port.release()
        up.work()
    assert done == [[0]] * 200
    assert [block for _, block, _ in port.log] == list(range(200))
    found = up.h.ports[0]
    assert found.active == found.ready == 0 and found.free == 0xFFFF_FFFF
    assert found.waiting.first is None


def test_one_write_of_pxci_for_a_batch(up):
    """Requests made in the completions of a batch are told of at once."""
    port = up.fake.ports[0]
    port.hold = True
    more = [up.bio(READ, 64 + i, 1) for i in range(20)]
    todo = iter(more)

    def again(request):
        following = next(todo, None)
        if following:
            up.submit(following[0])
    up.kept.append(again)
    for i in range(20):
        request, _ = up.bio(READ, i, 1)
        up.part["kernel.io.bio"].init(request, READ, 512 * i, 512, again, 0)
        up.part["kernel.io.bio"].set_pages(request, up.shared_pages(), 0)
        up.submit(request)
    before = up.h.ports[0].counters.issues
    port.release()
    accesses = up.fake.accesses
    up.work()
    assert len(port.held) == 20
    assert up.h.ports[0].counters.issues - before == 1
    assert up.fake.accesses - accesses == 7     # IS, PxIS twice, IS, PxSACT; PxSACT, PxCI


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32))
def test_wrong_completions_end_nothing_and_break_nothing(ahci, seed):
    """Bits of slots that have no command, interrupts about nothing, the same bits twice: each
    request ends once, and the port goes on."""
    ahci.again(Disk())
    port = ahci.fake.ports[0]

    chance = random.Random(seed)        # nothing is drawn, nor raised, while the driver runs

    def tamper(slot, queued):
        return [*chance.choices(["wrong", "spurious"], k=chance.randrange(3)), "ok",
                *chance.choices(["ok", "wrong", "spurious"], k=chance.randrange(3))]
    port.tamper = tamper
    done = []
    for i in range(chance.randint(1, 20)):
        done.append(ahci.ask(chance.choice([READ, WRITE, FLUSH]), i))
        if chance.random() < 0.5:
            ahci.work()
    ahci.work()
    assert all(ended == [0] for ended in done)
    assert ahci.h.ports[0].active == 0 and ahci.h.ports[0].free == 0xFFFF_FFFF
