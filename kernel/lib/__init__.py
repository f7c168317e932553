# SPDX-License-Identifier: BSD-3-Clause
"""Freestanding helpers: no hardware, no locks, no allocation.

fmt      what kprintf, panic and failed checks become
memory   memcpy and its family, which generated code calls
"""
