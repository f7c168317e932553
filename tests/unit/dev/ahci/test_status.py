# SPDX-License-Identifier: BSD-3-Clause
"""Status and error registers as error numbers."""
from __future__ import annotations

import pytest

EIO, EAGAIN, EINVAL, EROFS, ENOMEDIUM = 5, 11, 22, 30, 123


@pytest.mark.parametrize(("status", "error", "write", "errno"), [
    (0x41, 0x40, False, EIO), (0x41, 0x40, True, EROFS), (0x41, 0x10, False, EIO),
    (0x41, 0x04, False, EIO), (0x41, 0x02, False, ENOMEDIUM), (0x61, 0x02, False, EIO),
    (0x61, 0x40, True, EIO), (0x41, 0x00, False, EIO)])
def test_errors_of_disks(ahci, status, error, write, errno):
    assert ahci.status.to_errno(status, error, write) == errno


@pytest.mark.parametrize(("key", "errno"), [
    (2, ENOMEDIUM), (3, EIO), (4, EIO), (5, EINVAL), (6, EAGAIN), (0xB, EAGAIN), (0, EIO)])
def test_sense_keys(ahci, key, errno):
    assert ahci.status.of_packet(key << 4 | 4) == errno


def test_only_what_the_cable_garbled_is_transient(ahci):
    assert [e for e in range(256) if ahci.status.transient(e)] == list(range(128, 256))
