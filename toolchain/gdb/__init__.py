# SPDX-License-Identifier: BSD-3-Clause
"""gdb's side of the kernel: helpers.py is sourced by gdb itself (scripts/gdb)."""
