# SPDX-License-Identifier: BSD-3-Clause
"""Devices by name: what kernel/io/cdev.py lists, as a tree of directories."""
