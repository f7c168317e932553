# SPDX-License-Identifier: BSD-3-Clause
"""Where a file system's structure for a file keeps the file's vnode; see vnode.find().

Invariants
  P1  `vnode` is the address of the one vnode that stands for the file, or 0; it is taken out, under
      the lock, before that vnode is freed.
Locking   [s] lock
Tests     tests/guest/files.py
"""
from kpy import struct, u64

from kernel.lwkt import spin


@struct
class Slot:
    """Zero is an empty one."""
    lock: spin.Spinlock
    vnode: u64              # [s] P1
