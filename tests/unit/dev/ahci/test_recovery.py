# SPDX-License-Identifier: BSD-3-Clause
"""Commands that fail or do not come back, devices that come and go, HBAs that vanish at work."""
from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.dev.ahci.conftest import DEAD, FLUSH, READ, WRITE
from tests.unit.dev.ahci.fake import ABRT, BSY, DF, ICRC, IFS, PXIS, TFD, TFES, UNC, Cd, Disk

EIO, ENXIO, EROFS = 5, 6, 30
MEDIUM = (0x41, UNC)


@pytest.fixture
def up(ahci):
    ahci.start().attach()
    return ahci


def thirty_two(up, command: int = READ) -> list[list[int]]:
    """All slots under way, and some requests more that wait."""
    port = up.fake.ports[0]
    port.hold = True
    done = [up.ask(command, i) for i in range(40)]
    port.hold = False
    return done


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("bad", [0, 15, 31, 35])
def test_one_of_32_fails_and_the_others_do_not(ahci, log, bad):
    """With a log it is asked; without one each is sent alone after a reset."""
    ahci.start(Disk(log=log)).attach()
    port = ahci.fake.ports[0]
    port.fails[bad] = MEDIUM
    done = thirty_two(ahci)
    resets = port.resets
    port.release()
    ahci.work()
    assert done == [[0] if i != bad else [EIO] for i in range(40)]
    assert port.resets - resets == (0 if log else 1)
    assert ahci.h.ports[0].counters.errors == 1


def test_all_of_32_fail(up):
    port = up.fake.ports[0]
    port.fails = dict.fromkeys(range(40), MEDIUM)
    done = thirty_two(up)
    port.release()
    up.work()
    assert done == [[EIO]] * 40
    port.fails = {}
    done = up.ask(READ, 1)
    up.work()
    assert done == [0]


@pytest.mark.parametrize("spoil", [
    lambda page: bytes([page[0] ^ 1]) + page[1:],           # the checksum is wrong
    lambda page: bytes([page[0] | 0x80]) + page[1:511] + bytes([page[511] - 0x80 & 0xFF]),
    lambda page: bytes([31]) + page[1:511] + bytes([page[511] + page[0] - 31 & 0xFF]),
    lambda page: bytes(512)])
def test_a_log_that_makes_no_sense_is_not_believed(up, spoil):
    """Of slot 3 of 5; tag 31 and tag 0 with status 0 are somebody else's."""
    port = up.fake.ports[0]
    port.hold = True
    done = [up.ask(READ, i) for i in range(1, 6)]
    port.hold = False
    port.fails[4] = MEDIUM
    fail = port.fail

    def failing(slot, status, error):
        fail(slot, status, error)
        port.error_log = spoil(port.error_log)
    port.fail = failing
    port.release()
    up.work()
    assert done[:3] == [[0]] * 3 and done[4] == [0] and done[3] == [EIO]


@pytest.mark.parametrize(("command", "status", "error", "errno"), [
    (READ, 0x41, UNC, EIO), (READ, 0x41, ABRT, EIO), (WRITE, 0x41, UNC, EROFS),
    (READ, 0x61, 0, EIO), (WRITE, 0x41 | DF, UNC, EIO), (READ, 0x41, 0x02, 123)])
@pytest.mark.parametrize("ncq", [True, False])
def test_an_error_is_the_requests(ahci, ncq, command, status, error, errno):
    ahci.start(Disk(ncq=ncq)).attach()
    ahci.fake.ports[0].fails[7] = (status, error)
    done = [ahci.ask(command, 6), ahci.ask(command, 7), ahci.ask(command, 8)]
    ahci.work()
    assert done == [[0], [errno], [0]]
    assert [block for _, block, _ in ahci.fake.ports[0].log].count(7) == 1


@pytest.mark.parametrize("ncq", [True, False])
def test_what_the_cable_garbled_is_sent_again_once(ahci, ncq):
    ahci.start(Disk(ncq=ncq)).attach()
    port = ahci.fake.ports[0]
    port.fails[7] = (0x41, ICRC)
    done = ahci.ask(READ, 7)
    ahci.work()
    assert done == [EIO] and [block for _, block, _ in port.log] == [7, 7]


def test_a_failing_flush_is_its_own_error(up):
    port = up.fake.ports[0]
    port.hold = True
    flush = up.ask(FLUSH, 0, 0)
    after = up.ask(READ, 1)
    port.hold = False
    port.fail(port.held.pop(), *MEDIUM)
    up.work()
    assert flush == [EIO] and after == [0]


def test_an_interface_error_is_a_reset_and_all_is_sent_again(up):
    port = up.fake.ports[0]
    done = thirty_two(up)
    resets = port.resets
    port.r[PXIS] |= IFS
    up.work()
    assert done == [[0]] * 40 and port.resets == resets + 1


def test_errors_about_nothing_end_in_peace(up):
    """TFES again and again, with nothing under way: in the end the port is given up."""
    port = up.fake.ports[0]
    for _ in range(10):
        port.r[PXIS] |= TFES
        up.work()
    assert up.h.ports[0].state == DEAD
    assert up.disk() is None


# --- Time-outs -----------------------------------------------------------------------------


def test_a_lost_interrupt_costs_a_second(up):
    done = up.ask(READ, 1)
    up.fake.ports[0].r[PXIS] = 0
    up.look(2)
    assert done == [0] and up.h.ports[0].counters.soft_resets == 0


def test_a_command_that_takes_long_is_sent_again_after_a_soft_reset(up):
    port = up.fake.ports[0]
    done = thirty_two(up)
    resets = port.resets
    port.held = []
    up.look(12)
    assert done == [[0]] * 40
    assert (port.soft_resets, port.resets - resets) == (1, 0)


def test_a_command_that_never_comes_back_is_an_error_in_the_end(up):
    port = up.fake.ports[0]
    port.tamper = lambda slot, queued: ["never"]
    done = up.ask(READ, 1)
    up.look(30)
    assert done == [EIO] and len(port.log) == 2
    port.tamper = None
    again = up.ask(READ, 1)
    up.work()
    assert again == [0]                 # and the port still works


@pytest.mark.parametrize("clo", [True, False])
def test_a_busy_device_needs_an_override_or_a_hard_reset(ahci, clo):
    ahci.start(Disk(ncq=False), clo=clo).attach()
    port = ahci.fake.ports[0]
    port.tamper = lambda slot, queued: ["never"]
    done = ahci.ask(READ, 1)
    port.r[TFD] |= BSY
    port.tamper = None
    resets = port.resets
    ahci.look(12)
    assert done == [0]
    assert (port.soft_resets, port.resets - resets) == ((1, 0) if clo else (0, 1))


def test_an_engine_that_does_not_stop_is_no_port_any_more(up):
    port = up.fake.ports[0]
    done = thirty_two(up)
    port.held = []
    port.stuck_cr = True
    up.look(12)
    assert done == [[ENXIO]] * 40
    assert up.disk() is None
    assert up.machine.commands[-1] & 4 == 0         # its access to memory is taken away


def test_a_stuck_bit_of_a_free_slot_is_a_time_out_at_most(up):
    port = up.fake.ports[0]
    port.tamper = lambda slot, queued: ["ok", "set"]
    done = [up.ask(READ, i) for i in range(100)]
    for _ in range(6):
        up.work()
        up.look(12)
    assert all(len(ended) == 1 and ended[0] in (0, EIO) for ended in done)


# --- What comes and goes -------------------------------------------------------------------


def test_a_device_that_is_pulled_out_ends_all_requests(up):
    done = thirty_two(up)
    up.fake.ports[0].pull()
    up.work()
    assert done == [[ENXIO]] * 40 and up.disk() is None


def test_what_is_plugged_in_is_a_disk(ahci):
    ahci.start(None, Disk()).attach()
    ahci.fake.ports[0].plug(Disk(serial=b"NEW"))
    ahci.work()
    assert bytes(ahci.disk(0).info.serial).startswith(b"NEW")
    done = ahci.ask(READ, 1)
    ahci.work()
    assert done == [0]
    for _ in range(3):
        ahci.fake.ports[0].pull()
        ahci.work()
        assert ahci.disk(0) is None and ahci.disk(1) is not None
        ahci.fake.ports[0].plug(Cd())
        ahci.work()
        assert bytes(ahci.disk(0).name).startswith(b"cd0")


def test_a_link_that_was_away_for_a_moment(up):
    port = up.fake.ports[0]
    done = thirty_two(up)
    port.plug(port.device)
    up.work()
    assert done == [[0]] * 40


def test_another_device_after_a_reset_is_another_disk(up):
    port = up.fake.ports[0]
    done = thirty_two(up)
    port.comes_back = Disk(serial=b"OTHER")
    port.r[PXIS] |= IFS
    up.work()
    assert done == [[ENXIO]] * 40 and port.log == []
    assert bytes(up.disk().info.serial).startswith(b"OTHER")


def test_it_notices_that_the_hba_is_gone(up):
    done = thirty_two(up)
    up.fake.gone_at = 0
    up.look()
    assert done == [[ENXIO]] * 40 and up.h.ports[0].state == DEAD


def test_gone_at_any_register_access_under_load(ahci):
    """At whichever access it vanishes, with an error to be cleared up and without, every request
    ends, and none twice."""
    ahci.start(Disk())
    survived = 0
    for n in range(1, 160):
        ahci.fake.gone_at = None
        ahci.attach()
        port = ahci.fake.ports[0]
        port.fails = {5: MEDIUM} if n % 2 else {}
        ahci.fake.accesses, ahci.fake.gone_at = 0, n
        done = thirty_two(ahci)
        port.release()
        ahci.work()
        ahci.look(2)
        if ahci.disk() is not None:
            done.append(ahci.ask(READ, 1))
            ahci.work()
            survived += 1
        ahci.look(15)
        ahci.detach()
        assert all(len(ended) == 1 and ended[0] in (0, EIO, ENXIO) for ended in done), n
    assert 0 < survived < 159


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32))
def test_whatever_happens_each_request_ends_once(ahci, seed):
    """Errors, silence, garbled frames, stuck bits, links that go and come, in any order."""
    chance = random.Random(seed)        # nothing is drawn, nor raised, while the driver runs
    ahci.again(Disk(log=chance.random() < 0.5))
    port = ahci.fake.ports[0]
    port.tamper = lambda slot, queued: chance.choice(
        [["ok"], ["ok"], ["ok", "set"], ["never"], ["wrong", "ok"], ["spurious", "ok"]])
    port.fails = {chance.randrange(40): chance.choice(
        [MEDIUM, (0x41, ICRC), (0x61, 0), (0x41, ABRT)])}
    done = []
    for i in range(chance.randint(1, 50)):
        if ahci.disk() is None:
            break
        done.append(ahci.ask(chance.choice([READ, READ, WRITE, FLUSH]), i))
        match chance.randrange(12):
            case 0:
                ahci.work()
            case 1:
                port.r[PXIS] |= chance.choice([IFS, TFES])
            case 2 if port.device:
                port.plug(port.device)
            case 3:
                ahci.look()
    port.tamper = None
    ahci.work()
    ahci.look(60)
    assert all(len(ended) == 1 and ended[0] in (0, EIO, ENXIO, EROFS) for ended in done)
    if ahci.disk() is not None:
        assert ahci.h.ports[0].active == 0
