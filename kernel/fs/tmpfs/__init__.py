# SPDX-License-Identifier: BSD-3-Clause
"""Files that live in memory and end with the mount."""
