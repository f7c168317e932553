# SPDX-License-Identifier: BSD-3-Clause
"""Status and error registers: what they mean to who asked, and whether asking again makes sense.

Tests     tests/unit/dev/ahci/test_status.py
Source    ACS-3, 6.3 "ERROR field", 6.4 "STATUS field"; SPC-4, 4.5.6 "Sense key and sense code
          definitions"
Limits    IDNF is an error of the medium: addresses are checked before the device sees them
"""
from kpy import from_bits, i32, u8

from kernel.dev.ahci import regs
from kernel.lib.errno import EAGAIN, EINVAL, EIO, ENOMEDIUM, EROFS


def to_errno(status: u8, error: u8, write: bool) -> i32:
    """The error number of a command that failed."""
    found = from_bits(regs.Error, error)
    if from_bits(regs.Status, status).DF:
        return EIO
    if found.NM:
        return ENOMEDIUM
    if write and found.UNC:
        return EROFS
    return EIO


def transient(error: u8) -> bool:
    """Whether the same command may succeed when it is sent again: the cable garbled it."""
    return from_bits(regs.Error, error).ICRC


def of_packet(error: u8) -> i32:
    """The error number of a PACKET command that failed, by its sense key."""
    match u8(from_bits(regs.PacketError, error).SENSE_KEY):
        case regs.KEY_NOT_READY:
            return ENOMEDIUM
        case regs.KEY_ATTENTION | regs.KEY_ABORTED:
            return EAGAIN
        case regs.KEY_ILLEGAL:
            return EINVAL
        case _:
            return EIO
