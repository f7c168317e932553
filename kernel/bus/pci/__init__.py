# SPDX-License-Identifier: BSD-3-Clause
"""PCI and PCI Express.

    regs      the configuration space by its names in the specifications
    config    reading and writing it, capabilities
    device    what is known of a function
    bar       base addresses: what firmware chose, what is chosen for what came later
    scan      buses, bridges, functions
    message   MSI and MSI-X
"""
