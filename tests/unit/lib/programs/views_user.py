# SPDX-License-Identifier: BSD-3-Clause
"""A struct in bytes, for tests/unit/lib/test_views.py."""
from kpy import Slice, be16, le32, struct, u8, u32, u64

from kernel.lib.views import view


@struct
class Record:
    size: le32
    port: be16
    kind: u8
    unused: u8


def sum_at(data: Slice[u8], at: u64) -> u32:
    record = view(Record, data, at)
    return u32(record.kind) + u32(record.size) + u32(record.port)
