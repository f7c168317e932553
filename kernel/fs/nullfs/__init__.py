# SPDX-License-Identifier: BSD-3-Clause
"""A tree seen a second time: a mount whose root is another's entry."""
