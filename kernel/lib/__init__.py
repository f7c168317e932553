# SPDX-License-Identifier: BSD-3-Clause
"""Freestanding helpers: no hardware, no locks, no allocation.

fmt        what kprintf, panic and failed checks become
memory     memcpy and its family, which generated code calls
queue      intrusive lists                 rbtree     intrusive ordered trees
words      command lines taken apart       errno      error numbers
crc32c xxhash sha256                       checksums
lz4 inflate (window, littleendian)         decompressors, and what they are made of
"""
