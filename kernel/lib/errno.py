# SPDX-License-Identifier: BSD-3-Clause
"""Error numbers, Linux's: what `raise Errno(...)` carries and programs see.

Source    Linux include/uapi/asm-generic/errno-base.h, errno.h (numbers)
"""
from typing import Final

EPERM: Final = 1
ENOENT: Final = 2
EINTR: Final = 4
EIO: Final = 5
ENXIO: Final = 6
EAGAIN: Final = 11
ENOMEM: Final = 12
EFAULT: Final = 14
EBUSY: Final = 16
EEXIST: Final = 17
ENODEV: Final = 19
ENOTDIR: Final = 20
EISDIR: Final = 21
EINVAL: Final = 22
ENOSPC: Final = 28
EDEADLK: Final = 35
ENAMETOOLONG: Final = 36
ENOSYS: Final = 38
ETIMEDOUT: Final = 110
EWOULDBLOCK: Final = EAGAIN
ERESTART: Final = 512          # never leaves the kernel: begin the call again
ENOLCK: Final = 37
EOPNOTSUPP: Final = 95
EASYNC: Final = 513            # never leaves the kernel: the answer comes later
