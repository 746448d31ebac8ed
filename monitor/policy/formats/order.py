"""
The tree in which libseccomp keeps the comparisons of one call: which of two rules is looked at first.

What it is not: the rules (``scmp``, which says where the facts come from).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from attrs import define, field


class Node(NamedTuple):
    """
    One comparison of half a register in libseccomp's tree.

    Attributes:
        level: twice the index of the argument, and one for the upper half.
        priority: by what the rule says, not by what the node asks.
        kind: what it asks: ``==``, ``masked``, ``>``, ``>=``.
        datum: with what it compares.
        mask: of which bits.
        branch: its answer with which the rule goes on.
    """

    level: int
    priority: int
    kind: str
    datum: int
    mask: int
    branch: bool

    def is_same(self, other: Node) -> bool:
        """Whether both are one node of the tree (``_db_chain_eq``)."""
        return (self.level, self.kind, self.datum, self.mask) == (other.level, other.kind, other.datum, other.mask)

    def stands_behind(self, other: Node) -> bool:
        """Whether *other*, which is added later, goes before it (``_db_chain_lt``)."""
        if (self.level, self.priority) != (other.level, other.priority):
            return (self.level, self.priority) < (other.level, other.priority)
        return self.datum > other.datum if self.priority == LESS else self.datum < other.datum


LESS: Final = 2
"""The priority of ``<`` and ``<=``, of which the smaller value is looked at first."""


@define
class Level:
    """
    The nodes that are asked one after the other, and what is behind each answer.

    Nodes are equal when all of them is; ``Node.is_same`` asks for less.
    """

    nodes: list[Node] = field(factory=list[Node])
    behind: dict[tuple[Node, bool], Level] = field(factory=dict[tuple[Node, bool], "Level"])

    def add(self, path: Sequence[Node]) -> None:
        """Add the nodes of a rule (``_db_tree_add``)."""
        if path:
            self._below(self._find(path[0]), path[0]).add(path[1:])

    def rank(self, path: Sequence[Node]) -> tuple[int, ...]:
        """Return where the nodes of a rule stand."""
        if not path:
            return ()
        node = self._find(path[0])
        return (self.nodes.index(node), *self._below(node, path[0]).rank(path[1:]))

    def _find(self, wanted: Node) -> Node:
        for index, node in enumerate(self.nodes):
            if node.is_same(wanted):
                return node
            if node.stands_behind(wanted):
                self.nodes.insert(index, wanted)
                return wanted
        self.nodes.append(wanted)
        return wanted

    def _below(self, node: Node, wanted: Node) -> Level:
        return self.behind.setdefault((node, wanted.branch), Level())
