# SPDX-License-Identifier: BSD-3-Clause
"""Status codes: what they mean to who asked, and whether asking again makes sense.

Tests     tests/unit/dev/nvme/test_request.py
Source    NVMe 1.4, 4.6.1.2.1 "Generic Command Status Definition", 4.6.1.2.2 "Command Specific
          Status Definition", 4.6.1.2.3 "Media and Data Integrity Errors Definition"
"""
from kpy import from_bits, i32, u8, u16

from kernel.dev.nvme import regs
from kernel.lib.errno import EAGAIN, EINVAL, EIO, ENOSPC, ENXIO, EOPNOTSUPP, EPERM


def to_errno(raw: u16) -> i32:
    """The error number of a status field; 0 for success."""
    if raw == 0:
        return 0
    status = from_bits(regs.Status, raw)
    match status.SCT:
        case regs.GENERIC:
            return _generic(status.SC)
        case regs.COMMAND_SPECIFIC:
            return _specific(status.SC)
        case regs.MEDIA:
            return EPERM if status.SC == regs.ACCESS_DENIED else EIO
        case _:
            return EIO


def transient(raw: u16) -> bool:
    """Whether the same command may succeed when it is sent again."""
    status = from_bits(regs.Status, raw)
    if status.DNR:
        return False
    if status.SCT == regs.PATH:
        return True
    if status.SCT != regs.GENERIC:
        return False
    return status.SC in (
        regs.COMMAND_ID_CONFLICT, regs.DATA_TRANSFER_ERROR, regs.ABORTED_POWER_LOSS,
        regs.INTERNAL_ERROR, regs.ABORT_REQUESTED, regs.ABORTED_SQ_DELETION,
        regs.COMMAND_INTERRUPTED, regs.NAMESPACE_NOT_READY, regs.FORMAT_IN_PROGRESS,
        regs.SANITIZE_IN_PROGRESS)


def _generic(code: u8) -> i32:
    match code:
        case regs.INVALID_OPCODE:
            return EOPNOTSUPP
        case regs.INVALID_FIELD | regs.LBA_OUT_OF_RANGE:
            return EINVAL
        case regs.INVALID_NAMESPACE:
            return ENXIO
        case regs.CAPACITY_EXCEEDED:
            return ENOSPC
        case regs.NAMESPACE_WRITE_PROTECTED | regs.RESERVATION_CONFLICT:
            return EPERM
        case regs.NAMESPACE_NOT_READY | regs.FORMAT_IN_PROGRESS | regs.SANITIZE_IN_PROGRESS:
            return EAGAIN
        case _:
            return EIO


def _specific(code: u8) -> i32:
    match code:
        case regs.CONFLICTING_ATTRIBUTES | regs.INVALID_PROTECTION:
            return EINVAL
        case regs.WRITE_TO_READ_ONLY:
            return EPERM
        case _:
            return EIO
