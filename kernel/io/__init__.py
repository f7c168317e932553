# SPDX-License-Identifier: BSD-3-Clause
"""Block and character devices: how they are asked, cut into parts, buffered and named.

bio          a request: its data as pages, completion layer by layer
cdev         devices by name, each with its operations; what /dev shows
disk         a whole disk: what its driver offers, its statistics
slices       what disks are cut into, and the thread that finds out
gpt mbr disklabel64   the tables that say so: formats only
buf          the buffer cache: blocks of devices and files in memory, read ahead in clusters

A driver makes a disk.Disk and answers its strategy(); a file system asks for buffers.  Nothing here
knows a controller or a file system, and no lock lies between the two but a buffer's bucket.
"""
