# SPDX-License-Identifier: BSD-3-Clause
"""Code speed against C: kernels/NAME.py and kernels/NAME.c do the same work, run.py measures both.

It lies in the toolchain, not in tests/, because its figures are a product of the compiler that
`make bench` publishes; that both sides give the same result is checked on every run.
"""
