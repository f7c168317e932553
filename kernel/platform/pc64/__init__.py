# SPDX-License-Identifier: BSD-3-Clause
"""A PC under QEMU or on bare metal.

uart     the console: 16550 on COM1
power    switching off, and telling QEMU how it went
fw_cfg   files that QEMU hands in
"""
from kernel.platform.pc64.fw_cfg import read_file
from kernel.platform.pc64.power import halt, power_off
from kernel.platform.pc64.uart import console_read

__all__ = ["console_read", "halt", "power_off", "read_file"]
