# SPDX-License-Identifier: BSD-3-Clause
"""What a host binding costs: a call and a field, against ctypes on the same compiled code.

    call f(u32) -> u32            19 ns   ctypes 155 ns
    read node.value               16 ns   ctypes  31 ns

Nanoseconds, the least of several turns; the loop's own cost (an empty statement) is taken off.
"""
from __future__ import annotations

import ctypes
import tempfile
import timeit
from pathlib import Path
from typing import Any

from toolchain import host

SOURCE = '''"""What the measurement calls."""
from kpy import Ptr, Slice, struct, u32, u64, upcall


@struct
class Node:
    value: u32
    next: Ptr["Node"] | None


@upcall
def answer(x: u32) -> u32: ...


def nothing() -> None:
    pass


def twice(x: u32) -> u32:
    return x + x


def value_of(node: Ptr[Node]) -> u32:
    return node.value


def total(xs: Slice[u32]) -> u64:
    sum: u64 = 0
    for x in xs:
        sum += x
    return sum


def ask(x: u32) -> u32:
    return answer(x)
'''
TURNS, ROUNDS = 9, 20_000


class Peer(ctypes.Structure):
    """Node, as ctypes has it."""

    _fields_ = (("value", ctypes.c_uint32), ("next", ctypes.c_void_p))


def _nanoseconds(statement: str, names: dict[str, Any]) -> float:
    least, empty = (min(timeit.repeat(code, globals=names, number=ROUNDS, repeat=TURNS))
                    for code in (statement, "pass"))
    return max(least - empty, 0.0) / ROUNDS * 1e9


def measure() -> list[dict[str, object]]:
    """Rows as bench.json has them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.py"
        path.write_text(SOURCE)
        bound = host.build(path, release=True)
    library = ctypes.CDLL(bound.__file__)
    peers = {}
    for name, result, *arguments in (
            ("nothing", None), ("twice", ctypes.c_uint32, ctypes.c_uint32),
            ("value_of", ctypes.c_uint32, ctypes.c_void_p)):
        peers[name] = library[f"measured.{name}"]
        peers[name].restype, peers[name].argtypes = result, arguments
    bound.provide(answer=lambda x: x)
    node, peer = bound.Node(value=3), Peer(3)
    names = {
        "node": node, "peer": peer, "address": ctypes.addressof(peer), "taken": bound.snapshot(),
        "xs": bound.array("u32", [1, 2, 3, 4]), "data": bytearray(16), "bound": bound,
        **{n: getattr(bound, n) for n in ("nothing", "twice", "value_of", "total", "ask")},
        **{f"c_{n}": f for n, f in peers.items()}}
    rows = [("call f()", "nothing()", "c_nothing()"),
            ("call f(u32) -> u32", "twice(4)", "c_twice(4)"),
            ("call f(Ptr[Node]) -> u32", "value_of(node)", "c_value_of(address)"),
            ("call f(Slice[u32]) -> u64", "total(xs)", ""),
            ("call with an answer from Python", "ask(4)", ""),
            ("read node.value", "node.value", "peer.value"),
            ("write node.value", "node.value = 5", "peer.value = 5"),
            ("new Node", "bound.Node()", ""),
            ("restore() of all data", "bound.restore(taken)", "")]
    made: list[dict[str, object]] = []
    for name, ours, theirs in rows:
        value = _nanoseconds(ours, names)
        row: dict[str, object] = {"name": f"host: {name}", "value": value, "unit": "ns"}
        if theirs:
            other = _nanoseconds(theirs, names)
            row |= {"peer": "ctypes", "peer_value": other, "ratio": value / other}
        made.append(row)
    return made


def show(rows: list[dict[str, Any]]) -> None:
    """The rows as a table."""
    for row in rows:
        peer = f"   ctypes {row['peer_value']:4.0f} ns" if "peer" in row else ""
        print(f"{row['name']:<45}{row['value']:>6.0f} ns{peer}")


if __name__ == "__main__":
    show(measure())
