# SPDX-License-Identifier: BSD-3-Clause
"""Operations as messages: what is asked for comes to the worker of its inode, is done and answered.

One thread plays both parts; threads that really switch are for tests of the whole kernel.
"""
from __future__ import annotations

import pytest

from tests.harness import volumes
from toolchain.host import KpyError

WORKERS = 3
ENOENT, EIO, EISDIR = 2, 5, 21


@pytest.fixture
def office(h2):
    """A mounted PFS, and workers' ports that are the test's."""
    image = volumes.mapped(volumes.sets()["s11-mixed-methods"].images()[0])
    with h2.opened([image]) as volume, volume.mounted(b"DATA") as tree:
        yield Office(h2, tree)


class Office:
    def __init__(self, h2, tree):
        self.h2, self.tree, self.mod, self.xop = h2, tree, h2.mod, h2.xop
        self.port = h2.mod.modules["kernel.lwkt.msgport"]
        self.td = h2.mod.modules["kernel.lwkt.globaldata"].curthread()
        self.workers = h2.mod.Workers(count=WORKERS)
        for i in range(WORKERS):
            self.port.init_thread_port(self.workers.worker[i].port, self.td)

    def ask(self, request):
        xop, reply = self.mod.Xop(), self.mod.Port()
        self.xop.prepare(xop, reply)
        xop.request = request
        return xop

    def waiting(self):
        """The numbers of messages at the workers' ports."""
        return [self.workers.worker[i].port.queued for i in range(WORKERS)]

    def done(self, request, inum=1):
        """Send, let the worker work, take the reply."""
        xop = self.ask(request)
        self.xop.start(self.workers, xop, inum)
        ports = [self.workers.worker[i].port for i in range(WORKERS)]
        taken = [msg for port in ports if (msg := self.port.getport(port)) is not None]
        assert len(taken) == 1 and taken[0].address == xop.address
        assert self.port.getport(xop.reply_port) is None         # not answered yet
        assert self.xop.serve(taken[0])
        assert self.port.getport(xop.reply_port).address == xop.address
        return xop

    def root(self):
        return self.tree.inode(1)


def test_a_name_by_message_is_the_inode(office):
    with office.root() as root:
        name, inum, _ = office.tree.entries(root)[0][0]
        xop = office.done(office.mod.Nresolve(dip=root, name=office.mod.array("u8", name)))
        assert xop.error == 0
        ip = office.xop.found(xop)
        assert ip.inum == inum
        office.h2.inode.drop(ip)


def test_a_number_by_message_is_the_inode(office):
    xop = office.done(office.mod.Lookup(pmp=office.tree.pmp, inum=1))
    assert xop.error == 0 and office.xop.found(xop).inum == 1
    office.h2.inode.drop(office.xop.found(xop))


def test_an_error_comes_with_the_reply(office):
    with office.root() as root:
        xop = office.done(office.mod.Nresolve(dip=root, name=office.mod.array("u8", b"nobody")))
        assert (xop.error, office.xop.found(xop)) == (ENOENT, None)
        xop = office.done(office.mod.Read(ip=root, target=office.mod.array("u8", 10)))
        assert (xop.error, office.xop.count(xop)) == (EISDIR, 0)
    xop = office.done(office.mod.Lookup(pmp=office.tree.pmp, inum=123456))
    assert xop.error == ENOENT


def test_a_directory_and_a_file_by_message(office):
    with office.root() as root:
        place, entries = office.mod.Place(), office.mod.array(office.mod.Entry, 500)
        xop = office.done(office.mod.Readdir(dip=root, place=place, entries=entries))
        names = office.tree.entries(root)[0]
        assert office.xop.count(xop) == len(names) and place.ended
        assert [entries[i].inum for i in range(len(names))] == [inum for _, inum, _ in names]
    for path, ip in office.tree.walk():
        if office.tree.describe(ip)["type"] == "file":
            size = min(office.tree.describe(ip)["size"], 65536)
            target = office.mod.array("u8", 65536)
            xop = office.done(office.mod.Read(ip=ip, target=target))
            assert (xop.error, office.xop.count(xop)) == (0, size), path
            assert bytes(target[:size]) == office.tree.read(ip)


def test_operations_of_one_inode_go_to_one_worker_and_all_have_some(office):
    for inum in range(1024, 1324):
        office.done(office.mod.Lookup(pmp=office.tree.pmp, inum=1), inum)
        office.h2.inode.drop(office.tree.pmp.inodes.root)
    assert min(office.waiting()) > 60
    before = office.waiting()
    for _ in range(5):
        office.done(office.mod.Lookup(pmp=office.tree.pmp, inum=1), 77)
        office.h2.inode.drop(office.tree.pmp.inodes.root)
    assert sorted(b - a for a, b in zip(before, office.waiting(), strict=True)) == [0, 0, 5]


def test_stop_is_answered_and_ends_the_worker(office):
    xop = office.ask(office.mod.Stop())
    office.xop.start(office.workers, xop, 1)
    msg = next(m for i in range(WORKERS)
               if (m := office.port.getport(office.workers.worker[i].port)) is not None)
    assert not office.xop.serve(msg)
    assert xop.error == 0


def test_doing_it_directly_is_the_same(office):
    with office.root() as root:
        xop = office.ask(office.mod.Nresolve(dip=root, name=office.mod.array("u8", b"nobody")))
        assert office.xop.execute(xop) == ENOENT
        with pytest.raises(KpyError) as caught:
            office.h2.dirent.nresolve(root, b"nobody")
        assert caught.value.code == ENOENT
