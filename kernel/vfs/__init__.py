# SPDX-License-Identifier: BSD-3-Clause
"""Files by name, whatever file system holds them.

vnode       a file in memory, and what can be done with it: a table each file system fills in
mount       file systems, where they are mounted, and how one is added
namecache   names that were looked up, there or not; the tree that paths go along
lookup      from a path to a {mount, name} handle: symbolic links, mount points, `..`
calls       what a system call for files does: open, stat, rename, ... by path

A place in the tree is a handle, {mount, namecache entry}: the same entry seen through two mounts is
two places.  So nullfs shows a tree a second time with no vnode of its own.
"""
