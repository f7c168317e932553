# SPDX-License-Identifier: BSD-3-Clause
"""A red-black tree with a sentinel: insert and delete every key of a scattered sequence."""
from kpy import Array, Final, Ptr, ref, struct, u64, wrapping

COUNT: Final = 1024


@struct
class Node:
    left: Ptr["Node"]
    right: Ptr["Node"]
    parent: Ptr["Node"]
    key: u64
    red: bool


nodes: Array[Node, COUNT] = [Node(left=nil, right=nil, parent=nil)] * COUNT
nil: Node = Node(left=nil, right=nil, parent=nil)
root: Ptr[Node] = nil


def setup() -> None:
    global root
    root = nil
    for i in range(COUNT):
        nodes[i].key = wrapping(i * 0x9E37_79B9) % 65536


def rotate_left(x: Ptr[Node]) -> None:
    global root
    y = x.right
    x.right = y.left
    if y.left != ref(nil):
        y.left.parent = x
    y.parent = x.parent
    if x.parent == ref(nil):
        root = y
    elif x == x.parent.left:
        x.parent.left = y
    else:
        x.parent.right = y
    y.left = x
    x.parent = y


def rotate_right(x: Ptr[Node]) -> None:
    global root
    y = x.left
    x.left = y.right
    if y.right != ref(nil):
        y.right.parent = x
    y.parent = x.parent
    if x.parent == ref(nil):
        root = y
    elif x == x.parent.right:
        x.parent.right = y
    else:
        x.parent.left = y
    y.right = x
    x.parent = y


def insert(z: Ptr[Node]) -> None:
    global root
    y: Ptr[Node] = nil
    x = root
    while x != ref(nil):
        y = x
        x = x.left if z.key < x.key else x.right
    z.parent = y
    if y == ref(nil):
        root = z
    elif z.key < y.key:
        y.left = z
    else:
        y.right = z
    z.left = nil
    z.right = nil
    z.red = True
    while z.parent.red:
        grand = z.parent.parent
        if z.parent == grand.left:
            uncle = grand.right
            if uncle.red:
                z.parent.red = False
                uncle.red = False
                grand.red = True
                z = grand
            else:
                if z == z.parent.right:
                    z = z.parent
                    rotate_left(z)
                z.parent.red = False
                z.parent.parent.red = True
                rotate_right(z.parent.parent)
        else:
            uncle = grand.left
            if uncle.red:
                z.parent.red = False
                uncle.red = False
                grand.red = True
                z = grand
            else:
                if z == z.parent.left:
                    z = z.parent
                    rotate_right(z)
                z.parent.red = False
                z.parent.parent.red = True
                rotate_left(z.parent.parent)
    root.red = False


def transplant(u: Ptr[Node], v: Ptr[Node]) -> None:
    global root
    if u.parent == ref(nil):
        root = v
    elif u == u.parent.left:
        u.parent.left = v
    else:
        u.parent.right = v
    v.parent = u.parent


def repair(x: Ptr[Node]) -> None:
    while x != root and not x.red:
        if x == x.parent.left:
            w = x.parent.right
            if w.red:
                w.red = False
                x.parent.red = True
                rotate_left(x.parent)
                w = x.parent.right
            if not w.left.red and not w.right.red:
                w.red = True
                x = x.parent
            else:
                if not w.right.red:
                    w.left.red = False
                    w.red = True
                    rotate_right(w)
                    w = x.parent.right
                w.red = x.parent.red
                x.parent.red = False
                w.right.red = False
                rotate_left(x.parent)
                x = root
        else:
            w = x.parent.left
            if w.red:
                w.red = False
                x.parent.red = True
                rotate_right(x.parent)
                w = x.parent.left
            if not w.right.red and not w.left.red:
                w.red = True
                x = x.parent
            else:
                if not w.left.red:
                    w.right.red = False
                    w.red = True
                    rotate_left(w)
                    w = x.parent.left
                w.red = x.parent.red
                x.parent.red = False
                w.left.red = False
                rotate_right(x.parent)
                x = root
    x.red = False


def delete(z: Ptr[Node]) -> None:
    was_red = z.red
    if z.left == ref(nil):
        x = z.right
        transplant(z, z.right)
    elif z.right == ref(nil):
        x = z.left
        transplant(z, z.left)
    else:
        y = z.right
        while y.left != ref(nil):
            y = y.left
        was_red = y.red
        x = y.right
        if y.parent == z:
            x.parent = y
        else:
            transplant(y, y.right)
            y.right = z.right
            y.right.parent = y
        transplant(z, y)
        y.left = z.left
        y.left.parent = y
        y.red = z.red
    if not was_red:
        repair(x)


def depth_sum() -> u64:
    total: u64 = 0
    for i in range(COUNT):
        p = ref(nodes[i])
        while p != root:
            total += 1
            p = p.parent
    return total


def run(rounds: u64) -> u64:
    total: u64 = 0
    for _ in range(rounds):
        for i in range(COUNT):
            insert(nodes[i])
        total += depth_sum()
        for i in range(COUNT):
            delete(nodes[(i * 389) % COUNT])
        if root == ref(nil):
            total += 1
    return total
