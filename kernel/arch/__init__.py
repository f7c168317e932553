# SPDX-License-Identifier: BSD-3-Clause
"""CPUs: what is true of a processor, on bare metal or in a process."""
