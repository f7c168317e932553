# SPDX-License-Identifier: BSD-3-Clause
"""File systems, one folder each; they do not see each other.

hammer2   DragonFly's HAMMER2, read-only
"""
