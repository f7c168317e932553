# SPDX-License-Identifier: BSD-3-Clause
"""Block and character devices: how they are asked, cut into parts, buffered and named.

    bio     a request: its data as pages, completion layer by layer
    disk    a whole disk, what it is cut into (slices, partitions), its statistics
    gpt mbr disklabel   the tables that say so
    cdev    devices by name, each with its operations; devfs is told of each that comes or goes
    buf     the buffer cache: blocks of devices and files in memory, read ahead and clustered

A driver makes a disk.Disk and answers its strategy(); a file system asks for buffers.  Nothing here
knows a controller or a file system.
"""
