# SPDX-License-Identifier: BSD-3-Clause
"""Drivers, one folder each.  A driver touches hardware through kernel/bus only."""
