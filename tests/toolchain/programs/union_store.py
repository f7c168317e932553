# SPDX-License-Identifier: BSD-3-Clause
"""A union as a field; assigning another variant changes what it holds.

# run: first() == 1
# run: second() == 207
# run: through_pointer() == 7
"""
from kpy import Ptr, Union, ref, struct, u32, u64


@struct
class Read:
    off: u64


@struct
class Write:
    off: u64
    n: u32


@struct
class Request:
    id: u32
    op: Union[Read, Write]


def weight(r: Ptr[Request]) -> u64:
    match r.op:
        case Read(off=o):
            return o
        case Write(off=o, n=n):
            return o + n


def first() -> u64:
    r = Request(id=1, op=Read(off=1))
    return weight(r)


def second() -> u64:
    r = Request(id=1, op=Read(off=1))
    r.op = Write(off=200, n=7)
    return weight(r)


def through_pointer() -> u64:
    r: Request
    p = ref(r)
    p.op = Read(off=7)
    return weight(p)
