"""
Many path patterns matched against a name in one pass: a trie of their components.

What it is not: a decision; which pattern wins is for ``files``.  Sets of patterns are ``int``:
bit *n* stands for pattern *n*.

Patterns that begin alike share nodes, and a literal component is one look-up, however many
patterns wait for it: what a pass costs depends on how many nodes are alive at once, not on how
many patterns there are.  No node is alive twice, so no pattern makes a pass longer than its own
length times that of the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, assert_never

from monitor.policy.paths import ANY, Deep, Element, Elements, Glob, PathPattern


class Found(NamedTuple):
    """
    What one pass found.

    Attributes:
        covering: the patterns that cover the name.
        ahead: patterns that match names below the name; those that cover it may be missing.
    """

    covering: int
    ahead: int


class Matcher:
    """Patterns, made ready to be matched at once; never changes."""

    def __init__(self, patterns: Iterable[PathPattern]) -> None:
        """Take *patterns*, the first of which is bit 0; whether ``!`` stands before one is not looked at."""
        self._root = _Node()
        for index, pattern in enumerate(patterns):
            for elements in pattern.alternatives:
                self._root.add(elements, 1 << index)

    def match(self, parts: Sequence[bytes]) -> Found:
        """Return which patterns say something about a name, of which *parts* are the components."""
        root = self._root
        covering = root.complete
        passing: list[_Node] = [root]
        # Ordered, so that what a pass costs does not depend on where nodes lie in memory.
        staying: dict[_Node, None] = {root.deep: None} if root.deep is not None else {}
        for part in parts:
            reached: list[_Node] = []
            for node in (*passing, *staying):
                if (child := node.literals.get(part)) is not None:
                    reached.append(child)
                if node.is_wild:
                    reached += node.wild_children(part)
            passing = []
            for node in reached:
                covering |= node.complete
                if node.ahead:
                    passing.append(node)
                    if node.deep is not None:
                        staying[node.deep] = None
            if not passing and not staying:
                return Found(covering, 0)
        ahead = 0
        for node in (*passing, *staying):
            ahead |= node.ahead
        return Found(covering, ahead)


class _Node:
    """
    Where patterns stand that have matched the same components.

    Attributes:
        literals: what comes next, by the component itself.
        anything: what comes next, whatever the component is.
        globs: what comes next, by a pattern of the component; looked up by one end of it.
        deep: the node behind a ``**``: once alive, it stays so.
        is_wild: whether anything but literals and ``**`` comes next.
        complete: the patterns that end here.
        ahead: the patterns that end further on.
    """

    __slots__ = ("ahead", "anything", "complete", "deep", "globs", "is_wild", "literals")

    def __init__(self) -> None:
        """Begin with no pattern."""
        self.literals: dict[bytes, _Node] = {}
        self.anything: _Node | None = None
        self.globs: dict[_End, _Globs] = {}
        self.deep: _Node | None = None
        self.is_wild = False
        self.complete = 0
        self.ahead = 0

    def add(self, elements: Elements, bit: int) -> None:
        """Add the pattern of *bit*, *elements* of which come behind this node."""
        node = self
        for element in elements:
            node.ahead |= bit
            node.is_wild |= isinstance(element, Glob)
            node = node.child(element)
        node.complete |= bit

    def child(self, element: Element) -> _Node:
        """Return the node behind *element*, made if it is not there."""
        match element:
            case bytes():
                return self.literals.setdefault(element, _Node())
            case Deep():
                self.deep = self.deep or _Node()
                return self.deep
            case Glob() if element == ANY:
                self.anything = self.anything or _Node()
                return self.anything
            case Glob():
                end, piece = _longer_end(element)
                return self.globs.setdefault(end, {}).setdefault(piece, {}).setdefault(element, _Node())
            case _:
                assert_never(element)

    def wild_children(self, component: bytes) -> Iterator[_Node]:
        """Yield the nodes that *component* leads to, but the one of a literal."""
        if self.anything is not None:
            yield self.anything
        for (start, stop), by_piece in self.globs.items():
            globs = by_piece.get(component[start:stop])
            if globs is not None:
                for glob, node in globs.items():
                    if glob.matches(component):
                        yield node


_End: TypeAlias = tuple[int, int | None]
"""The first or the last so many bytes of a component, as a slice."""

_Globs: TypeAlias = dict[bytes, dict[Glob, _Node]]
"""Patterns of a component by what stands at one end of them."""


def _longer_end(glob: Glob) -> tuple[_End, bytes]:
    """Return which end of a component says the most about whether *glob* matches it, and what stands there."""
    first, last = glob.parts[0], glob.parts[-1]
    return ((0, len(first)), first) if len(first) >= len(last) else ((-len(last), None), last)
