# SPDX-License-Identifier: BSD-3-Clause
"""The x86-64 CPU.

cpu          single instructions
descriptors  segments, task state, interrupt table
port         the I/O ports
regs         registers and tables, by their names in the manual
vectors      where interrupts and exceptions enter
"""
