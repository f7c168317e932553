# SPDX-License-Identifier: BSD-3-Clause
"""Memory that ends exactly where the system ends a page: one byte past it is a fault."""
from __future__ import annotations

import ctypes
import mmap

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_NONE = 0


class Guarded:
    """Room for up to `limit` bytes between two pages that nobody may touch."""

    def __init__(self, limit: int = 1 << 20) -> None:
        page = mmap.PAGESIZE
        self.size = (limit + page - 1) // page * page
        self.map = mmap.mmap(-1, self.size + 2 * page)
        self.first = ctypes.addressof(ctypes.c_char.from_buffer(self.map)) + page
        for guard in (self.first - page, self.first + self.size):
            if _LIBC.mprotect(guard, page, _NONE) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")

    def at_end(self, data: bytes | int):
        """A buffer of these bytes (or of so many) that ends at the guard behind."""
        return self._view(data, self.first + self.size)

    def at_start(self, data: bytes | int):
        """A buffer of these bytes (or of so many) that begins at the guard before."""
        size = data if isinstance(data, int) else len(data)
        return self._view(data, self.first + size)

    def _view(self, data: bytes | int, end: int):
        size = data if isinstance(data, int) else len(data)
        assert size <= self.size
        view = (ctypes.c_ubyte * size).from_address(end - size)
        ctypes.memmove(view, data if isinstance(data, bytes) else bytes([0xEE]) * size, size)
        return view
