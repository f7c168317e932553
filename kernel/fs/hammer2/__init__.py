# SPDX-License-Identifier: BSD-3-Clause
"""HAMMER2, DragonFly's file system: reading volumes as DragonFly writes them.

From the medium up, each file using those before it:

ondisk      the format: structures and numbers
validate    what a medium may say; everything is checked here before it is believed
check       check codes                    dirhash    keys of names
compress    compressed blocks              io         physical buffers, by media address
mount       a set of volumes               volume     opening one: headers, fallback
chain       the tree of blocks in memory, lookup in it
pfs         file systems in the set, by label
inode       inodes by number               dirent     directories
scratch     memory for decompressing       strategy   reading files
xop         operations as messages to worker threads

A damaged block is named on the console and reads as EIO; all else stays readable.
"""
