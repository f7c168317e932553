# SPDX-License-Identifier: BSD-3-Clause
"""Error numbers, Linux's: what `raise Errno(...)` carries and programs see.

Source    Linux include/uapi/asm-generic/errno-base.h, errno.h (numbers)
"""
from typing import Final

from kpy import Str, i32

EPERM: Final = 1
ENOENT: Final = 2
EINTR: Final = 4
EIO: Final = 5
ENXIO: Final = 6
EBADF: Final = 9
EAGAIN: Final = 11
ENOMEM: Final = 12
EACCES: Final = 13
EFAULT: Final = 14
ENOTBLK: Final = 15
EBUSY: Final = 16
EEXIST: Final = 17
EXDEV: Final = 18
ENODEV: Final = 19
ENOTDIR: Final = 20
EISDIR: Final = 21
EINVAL: Final = 22
ENOTTY: Final = 25
EFBIG: Final = 27
ENOSPC: Final = 28
ESPIPE: Final = 29
EROFS: Final = 30
EMLINK: Final = 31
ERANGE: Final = 34
EDEADLK: Final = 35
ENAMETOOLONG: Final = 36
ENOLCK: Final = 37
ENOSYS: Final = 38
ENOTEMPTY: Final = 39
ELOOP: Final = 40
ENODATA: Final = 61
EBADMSG: Final = 74
EOVERFLOW: Final = 75
EOPNOTSUPP: Final = 95
ETIMEDOUT: Final = 110
ESTALE: Final = 116
ENOMEDIUM: Final = 123
ECANCELED: Final = 125
EWOULDBLOCK: Final = EAGAIN
ERESTART: Final = 512          # never leaves the kernel: begin the call again
EASYNC: Final = 513            # never leaves the kernel: the answer comes later


def text(code: i32) -> Str:
    """What an error number means, as strerror() says it."""
    match code:
        case 1:       # EPERM
            return "operation not permitted"
        case 2:       # ENOENT
            return "no such file or directory"
        case 4:       # EINTR
            return "interrupted system call"
        case 5:       # EIO
            return "input/output error"
        case 6:       # ENXIO
            return "no such device or address"
        case 9:       # EBADF
            return "bad file descriptor"
        case 11:       # EAGAIN
            return "resource temporarily unavailable"
        case 12:       # ENOMEM
            return "cannot allocate memory"
        case 13:       # EACCES
            return "permission denied"
        case 14:       # EFAULT
            return "bad address"
        case 15:       # ENOTBLK
            return "block device required"
        case 16:       # EBUSY
            return "device or resource busy"
        case 17:       # EEXIST
            return "file exists"
        case 18:       # EXDEV
            return "invalid cross-device link"
        case 19:       # ENODEV
            return "no such device"
        case 20:       # ENOTDIR
            return "not a directory"
        case 21:       # EISDIR
            return "is a directory"
        case 22:       # EINVAL
            return "invalid argument"
        case 25:       # ENOTTY
            return "inappropriate ioctl for device"
        case 27:       # EFBIG
            return "file too large"
        case 28:       # ENOSPC
            return "no space left on device"
        case 29:       # ESPIPE
            return "illegal seek"
        case 30:       # EROFS
            return "read-only file system"
        case 31:       # EMLINK
            return "too many links"
        case 34:       # ERANGE
            return "numerical result out of range"
        case 35:       # EDEADLK
            return "resource deadlock avoided"
        case 36:       # ENAMETOOLONG
            return "file name too long"
        case 37:       # ENOLCK
            return "no locks available"
        case 38:       # ENOSYS
            return "function not implemented"
        case 39:       # ENOTEMPTY
            return "directory not empty"
        case 40:       # ELOOP
            return "too many levels of symbolic links"
        case 61:       # ENODATA
            return "no data"
        case 74:       # EBADMSG
            return "bad message"
        case 75:       # EOVERFLOW
            return "value too large for defined data type"
        case 95:       # EOPNOTSUPP
            return "operation not supported"
        case 110:       # ETIMEDOUT
            return "connection timed out"
        case 116:       # ESTALE
            return "stale file handle"
        case 123:       # ENOMEDIUM
            return "no medium found"
        case 125:       # ECANCELED
            return "operation canceled"
        case _:
            return "unknown error"
