# SPDX-License-Identifier: BSD-3-Clause
"""Commands that do not come back: looked for, aborted, sent again after a reset, given up."""
from __future__ import annotations

import pytest

from tests.unit.dev.nvme.conftest import READ

EIO, ENXIO = 5, 6


@pytest.fixture
def up(nvme):
    nvme.start().attach()
    return nvme


def ask(up, block: int = 0):
    request, done = up.bio(READ, block, 1, pages=1)
    up.start_request(request)
    return done


def test_a_lost_interrupt_costs_time_only(up):
    done = ask(up)
    up.look(11)
    assert done == [0] and up.controller.aborts == [] and up.c.total_resets == 0


def test_a_command_that_takes_long_is_aborted_and_tried_again(up):
    up.controller.hold = True
    done = ask(up)
    up.look(9)
    assert up.controller.aborts == []
    up.look(2)
    assert len(up.controller.aborts) == 1 and done == []
    up.poll()                           # aborted: sent again
    assert len(up.controller.held) == 1
    up.controller.hold = False
    up.controller.release()
    up.poll()
    assert done == [0]


def test_a_command_that_cannot_be_aborted_is_sent_again_after_a_reset(up):
    up.controller.tamper = lambda opcode, cid, number: []       # never answered
    done = [ask(up, n) for n in range(5)]
    up.look(11)
    assert len(up.controller.aborts) == 5
    up.controller.tamper = None
    resets = up.controller.resets
    up.look(12)
    up.poll()
    assert up.controller.resets == resets + 1 and up.c.total_resets == 1
    assert done == [[0]] * 5
    assert ask(up) == [] and (up.poll() or True)


def test_a_command_that_never_comes_back_is_an_error_in_the_end(up):
    up.controller.tamper = lambda opcode, cid, number: []
    done = ask(up)
    up.look(60)
    assert done == [EIO]
    up.controller.tamper = None
    again = ask(up)
    up.poll()
    assert again == [0]                 # and the controller still works


def test_a_fatal_status_is_a_reset_at_once(up):
    up.controller.hold = True
    done = ask(up)
    up.controller.csts |= 2
    up.controller.hold = False
    up.look()
    up.poll()
    assert up.c.total_resets == 1 and done == [0]


def test_a_reset_that_does_not_end_makes_the_controller_dead(up):
    up.controller.hold = True
    done = ask(up)
    up.controller.csts |= 2
    up.controller.stuck = True
    up.look()
    assert up.c.dead and done == [ENXIO]
    assert ask(up) == [ENXIO]
    assert up.machine.commands[-1] & 4 == 0         # its access to memory is taken away


def test_it_notices_that_the_controller_is_gone(up):
    up.controller.hold = True
    done = [ask(up, n) for n in range(70)]
    up.controller.gone_at = 0
    up.look()
    assert up.c.dead and done == [[ENXIO]] * 70


def test_gone_at_any_register_access_under_load(up):
    """At whichever access it vanishes, every request ends, and none twice."""
    survived = 0
    for n in range(1, 60):
        up.controller.accesses, up.controller.gone_at = 0, n
        done = [ask(up, i) for i in range(8)]
        up.poll()
        done += [ask(up, i) for i in range(8)]
        up.look(25)
        assert all(len(ended) == 1 and ended[0] in (0, ENXIO) for ended in done), n
        survived += not up.c.dead
        up.detach()
        up.controller.gone_at = None
        up.attach()
    assert 0 < survived < 50
