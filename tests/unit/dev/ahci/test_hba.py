# SPDX-License-Identifier: BSD-3-Clause
"""Taking an HBA over, finding what is attached, letting it go; HBAs that break on the way."""
from __future__ import annotations

import pytest

from tests.unit.dev.ahci.conftest import READ, WRITE
from tests.unit.dev.ahci.fake import CMD, CR, ST, Cd, Disk
from toolchain import host

EIO, ENXIO, ETIMEDOUT, EROFS, EFAULT = 5, 6, 110, 30, 14


def text(array) -> bytes:
    return bytes(array).rstrip(b"\0")


def nothing_is_left(ahci) -> bool:
    """Whether all that the kit gave has come back."""
    dev = ahci.dev
    ahci.machine.each(lambda cpu: ahci.kva.drain())
    return (dev.soft == 0 and dev.mappings.first is None and dev.memories.first is None
            and not ahci.machine.windows)


def test_it_comes_up_as_a_disk(ahci):
    ahci.start().attach()
    info = ahci.disk().info
    assert (info.block_size, info.blocks, info.max_transfer) == (512, 4096, 960 << 10)
    assert (text(info.serial), text(info.model)) == (b"SERIAL", b"Model M")
    assert info.trim and not info.write_zeroes and not info.rotates
    assert text(ahci.disk().name) == b"da0"
    ahci.detach()
    assert nothing_is_left(ahci)
    assert not ahci.fake.ports[0].r[CMD] & (ST | CR)


def test_each_port_that_is_there_is_looked_at(ahci):
    ahci.start(None, Disk(serial=b"B"), None, Cd(), Disk(serial=b"E")).attach()
    names = [port.dp and text(port.dp.name) for port in ahci.ports()]
    assert names == [None, b"da0", None, b"cd0", b"da1"]
    assert text(ahci.disk(4).info.serial) == b"E"
    info = ahci.disk(3).info
    assert (info.block_size, info.blocks) == (2048, 100)
    ahci.detach()
    assert nothing_is_left(ahci)


def test_ports_beyond_the_registers_are_none(ahci):
    ahci.start(Disk(), Disk())
    ahci.dev.bars[5].size = 0x180
    ahci.attach()
    assert len(ahci.ports()) == 1


@pytest.mark.parametrize(("slots", "depth", "ncq", "all_"), [
    (32, 32, True, 32), (8, 32, True, 8), (32, 4, True, 4), (32, 32, False, 1), (1, 32, True, 1)])
def test_as_many_commands_as_both_know(ahci, slots, depth, ncq, all_):
    ahci.start(Disk(depth=depth, ncq=ncq), slots=slots).attach()
    assert ahci.h.ports[0].all == 2 ** all_ - 1 and ahci.h.ports[0].drive.queued == ncq


def test_an_hba_without_queueing_gets_single_commands(ahci):
    ahci.start(ncq=False).attach()
    assert not ahci.h.ports[0].drive.queued
    done = ahci.ask(READ, 1)
    ahci.work()
    assert done == [0] and ahci.fake.ports[0].log == [(0x25, 1, 1)]


def test_a_message_for_each_port(ahci):
    """What an HBA with as many messages as ports sends, one after the other."""
    ahci.start(Disk(), Disk()).attach()
    done = [ahci.ask(READ, 1, number=n) for n in range(2)]
    line = ahci.mod.Line()
    for n, port in enumerate(ahci.ports()):
        line.arg = port.address
        ahci.hba._port_served(line)
        assert done == [[0], [0] if n else []]
    assert not ahci.fake.pending()


def test_firmware_is_asked_to_let_go(ahci):
    ahci.start(bios=True).attach()
    assert ahci.fake.resets == 1 and ahci.disk() is not None


def test_a_disk_in_standby_is_spun_up(ahci):
    ahci.start(Disk(standby=True)).attach()
    assert ahci.disk() is not None and not ahci.fake.ports[0].device.standby


def test_a_cd_is_read_and_not_written(ahci):
    cd = Cd(attentions=3)
    cd.media[2048:4096] = b"a" * 2048
    ahci.start(cd).attach()
    request, done = ahci.bio(READ, 1, 1, pages=1, size=2048)
    ahci.submit(request)
    ahci.work()
    assert done == [0]
    assert ahci.machine.ram[request.pages[0]:request.pages[0] + 2048] == b"a" * 2048
    assert ahci.ask(WRITE, 1, size=2048) == [EROFS]
    cd_port = ahci.fake.ports[0]
    cd_port.fails[3] = (0x41, 3 << 4)
    done = ahci.ask(READ, 3, size=2048)
    ahci.work()
    assert done == [EIO]


def test_a_drive_without_a_cd_has_no_medium(ahci):
    ahci.start(Cd(0)).attach()
    assert text(ahci.disk().name) == b"cd0"
    assert ahci.ask(READ, 0, size=2048) == [ENXIO]


def test_an_hba_that_is_not_reset_is_given_up_in_time(ahci):
    ahci.start()
    ahci.fake.stuck = True
    with pytest.raises(host.KpyError) as caught:
        ahci.attach()
    assert caught.value.code == ETIMEDOUT
    ahci.part["kernel.bus.driver"].release(ahci.dev)
    assert nothing_is_left(ahci)


@pytest.mark.parametrize("broken", ["stuck_busy", "deaf"])
def test_a_device_that_never_answers_is_no_disk(ahci, broken):
    ahci.start(Disk(), Disk())
    setattr(ahci.fake.ports[0], broken, True)
    ahci.attach()
    assert ahci.disk(0) is None and text(ahci.disk(1).name) == b"da0"
    assert "not understood" in "".join(ahci.mod.output)
    ahci.detach()
    assert nothing_is_left(ahci)


def test_an_engine_that_does_not_stop_loses_its_access_to_memory(ahci):
    ahci.start().attach()
    port = ahci.fake.ports[0]
    port.hold = True
    done = ahci.ask(READ, 0)
    port.stuck_cr = True
    ahci.detach()
    assert done == [ENXIO]
    assert ahci.machine.commands[-1] & 4 == 0
    assert nothing_is_left(ahci)


def test_an_hba_of_32_bits_is_not_given_higher_addresses(ahci):
    ahci.start(wide=False).attach()
    request, done = ahci.bio(READ, 0, 1)
    held = ahci.mod.array("PhysAddr", [5 << 32])
    ahci.kept.append(held)
    ahci.part["kernel.io.bio"].set_pages(request, held, 0)
    ahci.submit(request)
    assert done == [EFAULT]


def test_gone_at_any_register_access(ahci):
    """Whatever it does when it vanishes, attach() and detach() end, and nothing is left."""
    ahci.start(Disk(), None, Cd())
    ahci.attach()
    accesses = ahci.fake.accesses
    ahci.detach()
    total = ahci.fake.accesses
    assert accesses < total < 900
    cd = ahci.fake.ports[2].device
    for n in range(1, total + 1):
        ahci.fake.gone_at, ahci.fake.accesses, cd.attentions = n, 0, 1
        try:
            ahci.attach()
        except host.KpyError as error:
            assert error.code in (ENXIO, ETIMEDOUT)
            ahci.part["kernel.bus.driver"].release(ahci.dev)
        else:
            ahci.detach()
        assert nothing_is_left(ahci), n


def test_gone_with_requests_under_way_ends_them_with_enxio(ahci):
    ahci.start().attach()
    ahci.fake.ports[0].hold = True
    done = [ahci.ask(READ if i % 2 else WRITE, i) for i in range(100)]
    assert ahci.h.ports[0].counters.waited == 68
    ahci.fake.gone_at = 0
    ahci.dev.gone = 1
    ahci.detach()
    assert done == [[ENXIO]] * 100
    assert nothing_is_left(ahci)


def test_asked_out_requests_under_way_are_answered_first(ahci):
    ahci.start().attach()
    done = ahci.ask(READ, 7)            # executed, its completion not looked at
    ahci.detach()
    assert done == [0]
