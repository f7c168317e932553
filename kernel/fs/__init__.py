# SPDX-License-Identifier: BSD-3-Clause
"""File systems, one folder each; they do not see each other.

devfs     devices by name, as kernel/io/cdev.py lists them
hammer2   DragonFly's HAMMER2, read-only
nullfs    a tree seen a second time
tmpfs     files in memory
"""
