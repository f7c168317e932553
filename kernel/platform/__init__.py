# SPDX-License-Identifier: BSD-3-Clause
"""Machines: each folder implements the contract of kernel/machine."""
