# SPDX-License-Identifier: BSD-3-Clause
"""placeholder"""


def object_line(obj, section, offset):
    return None
