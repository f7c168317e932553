# SPDX-License-Identifier: BSD-3-Clause
"""Intrusive ordered trees (red-black): each element brings its own node, nothing is allocated.

    @struct
    class Chain:
        node: rbtree.Node["Chain"]
        key: u64

    children: rbtree.Tree[Chain, "node", "key"]

Finding, inserting and removing take at most twice the steps of a perfectly balanced tree.

Invariants
  R1  Keys differ, and ascend from left to right.
  R2  The root is black, a red element has no red child, and every way down from an element to a
      missing child passes equally many black ones.
  R3  An element is in at most one tree for each of its nodes; the caller knows whether it is.
Tests     tests/unit/lib/test_rbtree.py
Source    Cormen, Leiserson, Rivest, Stein, "Introduction to Algorithms", chapter 13
"""
from kpy import (
    FieldVar,
    Generic,
    Iterator,
    Ptr,
    TypeVar,
    field,
    inline,
    kassert,
    ref,
    struct,
    u64,
    unwrap,
)

T = TypeVar("T")
F = FieldVar("F")
K = FieldVar("K")


@struct
class Node(Generic[T]):
    """What an element carries for each tree that it may be in."""
    left: Ptr[T] | None
    right: Ptr[T] | None
    parent: Ptr[T] | None
    red: bool


@struct
class Tree(Generic[T, F, K]):
    """Zero is an empty one.  F is the field with the node, K the one with the key, a u64."""
    root: Ptr[T] | None

    def find(self, key: u64) -> Ptr[T] | None:
        """The element with this key."""
        item = self.root
        while item is not None and field(item, K) != key:
            item = field(item, F).left if key < field(item, K) else field(item, F).right
        return item

    def at_least(self, key: u64) -> Ptr[T] | None:
        """The element with the least key that is not below `key`."""
        best: Ptr[T] | None = None
        item = self.root
        while item is not None:
            if field(item, K) >= key:
                best = item
                item = field(item, F).left
            else:
                item = field(item, F).right
        return best

    def first(self) -> Ptr[T] | None:
        """The element with the least key."""
        item = self.root
        while item is not None and (left := field(item, F).left) is not None:
            item = left
        return item

    def following(self, item: Ptr[T]) -> Ptr[T] | None:
        """The element behind `item`."""
        below = field(item, F).right
        if below is not None:
            found: Ptr[T] = below
            while (left := field(found, F).left) is not None:
                found = left
            return found
        child = item
        above = field(item, F).parent
        while above is not None and field(above, F).right is child:
            child = above
            above = field(above, F).parent
        return above

    @inline
    def __iter__(self) -> Iterator[Ptr[T]]:
        """In the order of keys.  The tree may not change on the way."""
        item = self.first()
        while item is not None:
            yield item
            item = self.following(item)

    def insert(self, item: Ptr[T]) -> None:
        """Put in `item`, whose key no element has."""
        above: Ptr[T] | None = None
        place = self.root
        while place is not None:
            kassert(field(place, K) != field(item, K))
            above = place
            place = field(place, F).left if field(item, K) < field(place, K) \
                else field(place, F).right
        node = ref(field(item, F))
        node.left = None
        node.right = None
        node.parent = above
        node.red = True
        if above is None:
            self.root = item
        elif field(item, K) < field(above, K):
            field(above, F).left = item
        else:
            field(above, F).right = item
        self._after_insert(item)

    def remove(self, item: Ptr[T]) -> None:
        """Take out `item`, which is in this tree."""
        node = ref(field(item, F))
        left = node.left
        right = node.right
        if left is None or right is None:
            child = right if left is None else left
            above = node.parent
            self._replace(item, child)
            if not node.red:
                self._after_remove(child, above)
            return
        # The one behind it, which has no left child, takes its place.
        heir: Ptr[T] = right
        while (below := field(heir, F).left) is not None:
            heir = below
        red = field(heir, F).red
        child = field(heir, F).right
        above = field(heir, F).parent
        if above is item:
            above = heir
        else:
            self._replace(heir, child)
            field(heir, F).right = right
            field(right, F).parent = heir
        self._replace(item, heir)
        field(heir, F).left = left
        field(left, F).parent = heir
        field(heir, F).red = node.red
        if not red:
            self._after_remove(child, above)

    def _replace(self, item: Ptr[T], by: Ptr[T] | None) -> None:
        """Let the parent of `item` have `by` there."""
        above = field(item, F).parent
        if above is None:
            self.root = by
        elif field(above, F).left is item:
            field(above, F).left = by
        else:
            field(above, F).right = by
        if by is not None:
            field(by, F).parent = above

    def _rotate(self, item: Ptr[T], left: bool) -> None:
        """Let a child of `item` stand above it: the right one when turning left."""
        node = ref(field(item, F))
        child = unwrap(node.right if left else node.left)
        inner = field(child, F).left if left else field(child, F).right
        self._replace(item, child)
        if left:
            node.right = inner
            field(child, F).left = item
        else:
            node.left = inner
            field(child, F).right = item
        if inner is not None:
            field(inner, F).parent = item
        field(item, F).parent = child

    @inline
    def _is_red(self, item: Ptr[T] | None) -> bool:
        return item is not None and field(item, F).red

    def _after_insert(self, inserted: Ptr[T]) -> None:
        """R2: `inserted` is red, and so may be its parent."""
        item = inserted
        while True:
            above = field(item, F).parent
            if above is None:
                field(item, F).red = False
                return
            if not field(above, F).red:
                return
            top = unwrap(field(above, F).parent)        # a red one is not the root
            is_left = field(top, F).left is above
            uncle = field(top, F).right if is_left else field(top, F).left
            if uncle is not None and field(uncle, F).red:
                field(above, F).red = False
                field(uncle, F).red = False
                field(top, F).red = True
                item = top
                continue
            inner = field(above, F).right if is_left else field(above, F).left
            if inner is item:
                self._rotate(above, is_left)
                above = item
            field(above, F).red = False
            field(top, F).red = True
            self._rotate(top, not is_left)
            return

    def _after_remove(self, child: Ptr[T] | None, parent: Ptr[T] | None) -> None:
        """R2: ways through `child`, below `parent`, pass one black element too few."""
        item = child
        above = parent
        while above is not None and not self._is_red(item):
            is_left = field(above, F).left is item
            sibling = unwrap(field(above, F).right if is_left else field(above, F).left)
            if field(sibling, F).red:
                field(sibling, F).red = False
                field(above, F).red = True
                self._rotate(above, is_left)
                sibling = unwrap(field(above, F).right if is_left else field(above, F).left)
            near = field(sibling, F).left if is_left else field(sibling, F).right
            far = field(sibling, F).right if is_left else field(sibling, F).left
            if not self._is_red(near) and not self._is_red(far):
                field(sibling, F).red = True
                item = above
                above = field(above, F).parent
                continue
            if not self._is_red(far):
                field(unwrap(near), F).red = False
                field(sibling, F).red = True
                self._rotate(sibling, not is_left)
                far = sibling
                sibling = unwrap(near)
            field(sibling, F).red = field(above, F).red
            field(above, F).red = False
            field(unwrap(far), F).red = False
            self._rotate(above, is_left)
            return
        if item is not None:
            field(item, F).red = False
