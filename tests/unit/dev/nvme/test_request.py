# SPDX-License-Identifier: BSD-3-Clause
"""Commands of requests, data where it belongs, and completions that are wrong."""
from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.dev.nvme.conftest import FLUSH, FREEBLKS, READ, WRITE, WRITE_ZEROES

EINVAL, EIO, ENXIO, EOPNOTSUPP, ENOSPC = 22, 5, 6, 95, 28
MEDIA_READ = 2 << 8 | 0x81
INTERNAL = 0x06
DNR = 1 << 14


def memory(nvme, request) -> bytes:
    """The data of a request."""
    whole = b"".join(nvme.machine.ram[p:p + 4096] for p in request.pages)
    return whole[request.page_offset:request.page_offset + request.length]


@pytest.fixture
def up(nvme):
    nvme.start().attach()
    media = nvme.controller.media[1]
    for block in range(len(media) // 512):
        media[512 * block:512 * block + 4] = block.to_bytes(4, "little")
    return nvme


@pytest.mark.parametrize("offset", [0, 4, 512, 4092])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 255, 256])
def test_a_read_fills_its_pages(up, count, offset):
    request, done = up.bio(READ, 100, count, pages=34, offset=offset)
    up.start_request(request)
    up.poll()
    assert done == [0]
    assert memory(up, request) == bytes(up.controller.media[1][51200:51200 + 512 * count])


@pytest.mark.parametrize("count", [1, 9, 200])
def test_a_write_comes_from_its_pages(up, count):
    request, done = up.bio(WRITE, 3, count, pages=26, offset=1024)
    for i, page in enumerate(request.pages):
        up.machine.ram[page:page + 4096] = bytes([i + 1]) * 4096
    up.start_request(request)
    up.poll()
    assert done == [0]
    assert bytes(up.controller.media[1][1536:1536 + 512 * count]) == memory(up, request)


def test_an_offset_that_is_no_multiple_of_4_is_refused(up):
    request, done = up.bio(READ, 0, 1, pages=1, offset=2)
    up.start_request(request)
    assert done == [EINVAL]


def test_flush_zeroes_and_deallocate(up):
    for command, want in ((FLUSH, 0), (WRITE_ZEROES, 8), (FREEBLKS, 9)):
        request, done = up.bio(command, 8, 0 if command == FLUSH else 24)
        up.start_request(request)
        up.poll()
        assert done == [0] and up.controller.log[-1][0] == want
    assert up.controller.log[1:] == [(8, 8, 24), (9, 8, 24)]


def test_a_range_that_is_longer_than_a_command_is_several(nvme):
    nvme.start(blocks=200_000).attach()
    request, done = nvme.bio(WRITE_ZEROES, 5, 150_000)
    nvme.start_request(request)
    for _ in range(3):
        nvme.poll()
    assert done == [0]
    assert nvme.controller.log == [(8, 5, 65536), (8, 65541, 65536), (8, 131077, 18928)]


@pytest.fixture
def short(nvme):
    """A controller whose commands carry 8 KiB."""
    nvme.start(mdts=1).attach()
    return nvme


@pytest.mark.parametrize("offset", [0, 512, 4092])
def test_a_request_that_is_longer_than_a_command_goes_in_parts(short, offset):
    short.controller.media[1][51200:51200 + 18432] = bytes(i // 97 % 256 for i in range(18432))
    request, done = short.bio(READ, 100, 36, pages=6, offset=offset)
    pages = list(request.pages)
    short.start_request(request)
    for _ in range(3):
        assert done == []
        short.poll()
    assert done == [0]
    assert short.controller.log == [(2, 100, 16), (2, 116, 16), (2, 132, 4)]
    assert list(request.pages) == pages and request.length == 18432
    assert memory(short, request) == bytes(short.controller.media[1][51200:51200 + 18432])


def test_a_part_that_fails_ends_the_request(short):
    short.controller.tamper = lambda opcode, cid, number: [(cid, MEDIA_READ, number)]
    request, done = short.bio(READ, 0, 48, pages=6)
    short.start_request(request)
    short.poll()
    assert done == [EIO]
    assert len(short.controller.log) == 1 and request.length == 48 * 512


def test_what_finds_no_slot_waits_and_is_started(up):
    up.controller.hold = True
    done = []
    for i in range(200):
        request, ended = up.bio(READ, i, 1, pages=1)
        done.append(ended)
        up.start_request(request)
    assert len(up.controller.held) == 63
    while up.controller.held:
        up.controller.release()
        up.poll()
    assert done == [[0]] * 200
    assert [block for _, block, _ in up.controller.log] == list(range(200))
    assert up.pair().inflight == 0 and up.pair().waiting.first is None


def test_one_doorbell_for_a_batch(up):
    """Requests made in the completions of a batch are told of at once."""
    up.controller.hold = True
    for i in range(32):
        request, _ = up.bio(READ, i, 1, pages=1)
        up.start_request(request)
    more = [up.bio(READ, 64 + i, 1, pages=1) for i in range(32)]
    todo = iter(more)
    first = up.bio(READ, 0, 1, pages=1)[0]
    submit = up.keep(lambda b: [up.start_request(r) for r, _ in todo] and None)
    up.part["kernel.io.bio"].init(first, READ, 0, 512, submit, 0)
    up.part["kernel.io.bio"].set_pages(first, more[0][0].pages, 0)
    up.start_request(first)
    before = up.pair().counters.doorbells
    up.controller.release()
    up.poll()
    assert len(up.controller.held) == 32
    assert up.pair().counters.doorbells - before <= 2


@pytest.mark.parametrize(("status", "error"), [
    (MEDIA_READ, EIO), (0x80, EINVAL), (0x01, EOPNOTSUPP), (0x0B, ENXIO), (0x81, ENOSPC),
    (INTERNAL | DNR, EIO)])
def test_an_error_is_the_requests(up, status, error):
    up.controller.tamper = lambda opcode, cid, number: [(cid, status, number)]
    request, done = up.bio(READ, 0, 1, pages=1)
    up.start_request(request)
    up.poll()
    assert done == [error]
    assert len(up.controller.log) == 1


def test_a_transient_error_is_tried_again_once(up):
    up.controller.tamper = lambda opcode, cid, number: [(cid, INTERNAL, number)]
    request, done = up.bio(READ, 0, 1, pages=1)
    up.start_request(request)
    for _ in range(5):
        up.poll()
    assert done == [EIO]
    assert len(up.controller.log) == 2


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.lists(st.sampled_from(["twice", "unknown", "free", "queue"]),
                                    max_size=3), st.booleans()), min_size=1, max_size=8))
def test_wrong_completions_end_nothing_and_break_nothing(nvme, plan):
    """Unknown and free identifiers, other queues, completions twice: each request that is answered
    ends once, and the queue goes on."""
    if nvme.c is None:
        nvme.start().attach()
    todo = iter(plan)

    def tamper(opcode, cid, number):
        answers = [(cid, 0, number)]
        for kind in next(todo)[0]:
            if kind == "twice":
                answers.append((cid, 0, number))
            else:
                answers.insert(0, {"unknown": (0xFFFF, 0, number), "free": (63, 0, number),
                                   "queue": (cid, 0, number + 1)}[kind])
        return answers
    nvme.controller.tamper = tamper
    strays = nvme.pair().counters.strays
    done = []
    for i, (_, polls) in enumerate(plan):
        request, ended = nvme.bio(READ, i, 1)
        nvme.part["kernel.io.bio"].set_pages(request, nvme.shared_pages(), 0)
        done.append(ended)
        nvme.start_request(request)
        if polls:
            nvme.poll()
    nvme.poll()
    assert all(ended == [0] for ended in done)
    assert nvme.pair().counters.strays - strays == sum(len(kinds) for kinds, _ in plan)
    assert nvme.pair().inflight == 0
