# SPDX-License-Identifier: BSD-3-Clause
"""container_of goes from a field to its struct.

# run: back() == 77
"""
from kpy import Final, Ptr, container_of, ref, struct, u32

UNSAFE: Final = True


@struct
class Link:
    next: Ptr["Link"] | None


@struct
class Thread:
    id: u32
    link: Link


def back() -> u32:
    t = Thread(id=77)
    p = ref(t.link)
    return container_of(Thread, "link", p).id
