# SPDX-License-Identifier: BSD-3-Clause
"""Which vector of the interrupt table is for what.

The upper four bits of a vector are its priority: interrupts between CPUs and the timer go first.

Source    Intel SDM vol. 3A, 11.8.3 "Interrupt, Task, and Processor Priority"
"""
from typing import Final

DEVICE_FIRST: Final = 0x20       # vector 0 of intr_setup_irq()
DEVICE_VECTORS: Final = 192
DEVICE_END: Final = 0xE0
PIC_FIRST: Final = 0xE0          # where an 8259 would deliver, were it not masked
TIMER: Final = 0xF0
DOORBELL: Final = 0xF1           # ipi_send()
CONSOLE: Final = 0xF2            # the UART
APIC_ERROR: Final = 0xFE
SPURIOUS: Final = 0xFF           # the low four bits are 1, as old APICs want
