# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel asks of a machine.  `contract.py` is the list; the build binds this name.

`from kernel import machine` means kernel/platform/pc64 in the bootable image; what is imported
here is for editors and type checkers.
"""
from kernel.machine.contract import console_read, halt, power_off, read_file

__all__ = ["console_read", "halt", "power_off", "read_file"]
