# SPDX-License-Identifier: BSD-3-Clause
"""The x86-64 CPU.

port     the I/O ports
"""
