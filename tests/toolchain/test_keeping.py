# SPDX-License-Identifier: BSD-3-Clause
"""The address of a local may be passed on, but not where it is kept."""
from __future__ import annotations

import pytest

from tests.toolchain.diagnose import codes, diagnostics

HEAD = """
from kpy import Array, Atomic, Final, Fn, Ptr, Slice, lend, ref, struct, u8, u32

@struct
class Node:
    next: "Ptr[Node] | None"
    n: u32

@struct
class Queue:
    head: "Ptr[Node] | None"
    def push(self, node: Ptr[Node]) -> None:
        node.next = self.head
        self.head = node

@struct
class Cursor:
    queue: "Ptr[Queue] | None"

@struct
class Ops:
    start: Fn[[Ptr[Node]], None]

queue: Queue
top: Atomic["Ptr[Node] | None"]
text: Slice[u8]
cursor: Cursor

def submit(node: Ptr[Node]) -> None:
    queue.push(node)

def look(node: Ptr[Node]) -> u32:
    same = node
    other = same if same.n > 3 else node
    return other.n

def look_up(node: Ptr[Node]) -> None:
    look(node)

OPS: Final = Ops(start=submit)
LOOK: Final = Ops(start=look_up)
"""
LINES = HEAD.count("\n")
KEPT = {
    "through a call": (5, """
def work() -> None:
    node = Node(n=3)
    look(node)
    submit(node)
"""),
    "in an atomic": (6, """
def swap(node: Ptr[Node]) -> None:
    top.store(node)
def work() -> None:
    node = Node(n=3)
    swap(node)
"""),
    "in a global slice": (7, """
def say(line: Slice[u8]) -> None:
    global text
    text = line[1:]
def work() -> None:
    line: Array[u8, 8]
    say(line)
"""),
    "in a parameter's object": (4, """
def work(q: Ptr[Queue]) -> None:
    node = Node(n=3)
    q.push(node)
"""),
    "a value nothing holds": (3, """
def work() -> None:
    submit(Node(n=3))
"""),
    "an element": (5, """
def work() -> None:
    nodes: Array[Node, 3]
    for node in nodes:
        submit(node)
"""),
    "through a table of functions": (5, """
def run(ops: Ptr[Ops]) -> None:
    node = Node(n=3)
    other = node.n
    ops.start(node)
def use() -> None:
    run(OPS)
"""),
    "a part of a local": (10, """
@struct
class Thread:
    link: Node
    n: u32
def later(t: Ptr[Thread]) -> None:
    submit(ref(t.link))
def work() -> None:
    thread = Thread(n=3)
    later(thread)
"""),
    "in a struct value": (7, """
def keep(q: Ptr[Queue]) -> None:
    global cursor
    cursor = Cursor(queue=q)
def work() -> None:
    q: Queue
    keep(q)
"""),
}
FREE = {
    "a local queue of locals": """
def work() -> u32:
    q: Queue
    nodes: Array[Node, 3]
    for node in nodes:
        q.push(node)
    return 1
""",
    "lent": """
def work() -> None:
    global queue
    node = Node(n=3)
    submit(lend(node))
    queue.head = None
""",
    "an array and a slice lent": """
def say(line: Slice[u8]) -> None:
    global text
    text = line
def work() -> None:
    line: Array[u8, 8]
    say(lend(line))
    say(lend(line[2:]))
    say(b"")
""",
    "lent, and stored": """
def work() -> None:
    node = Node(n=3)
    queue.head = lend(node)
    queue.head = None
""",
    "a parameter passed on": """
def work(node: Ptr[Node]) -> None:
    submit(node)
""",
    "what the parameter was before": """
def last(node: Ptr[Node]) -> None:
    while node.next is not None:
        node = node.next
    submit(node)
def work() -> None:
    node = Node(n=3)
    look(node)
""",
    "only looked at": """
def work() -> u32:
    node = Node(n=3)
    look_up(node)
    return look(node)
""",
    "a cursor on the stack that points to a parameter": """
def begin(c: Ptr[Cursor], q: Ptr[Queue]) -> None:
    c.queue = q
def work(q: Ptr[Queue]) -> None:
    c: Cursor
    begin(c, q)
def work2() -> None:
    q: Queue
    work(q)
""",
    "its own address in itself": """
def ring(node: Ptr[Node]) -> None:
    node.next = node
def work() -> None:
    node = Node(n=3)
    ring(node)
""",
}


@pytest.mark.parametrize("name", KEPT)
def test_it_is_seen(name):
    line, source = KEPT[name]
    assert [c.rsplit(":")[0] for c in codes(HEAD + source)] == [f"K0706 {LINES + line}"]


@pytest.mark.parametrize("name", FREE)
def test_it_is_fine(name):
    assert codes(HEAD + FREE[name]) == []


def test_the_steps_to_the_store_are_shown():
    found = diagnostics(HEAD + """
def work() -> None:
    node = Node(n=3)
    submit(node)
""")
    assert found[0].message == (
        "`submit` keeps the address of `node`, which ends when `work` returns")
    assert [text for text, _ in found[0].notes] == [
        "`submit` passes it to `Queue.push`", "`Queue.push` stores it"]


def test_unsafe_modules_may_lend_without_a_word():
    source = "UNSAFE: Final = True\n" + HEAD + "def work() -> None:\n    submit(Node(n=3))\n"
    assert codes(source) == []


def test_other_modules_are_followed():
    other = HEAD.replace("import Array", "import Array", 1)
    assert [c.split()[0] for c in codes("""
from kpy import u32
import other

def work() -> None:
    node = other.Node(n=3)
    other.submit(node)
""", other=other)] == ["K0706"]
