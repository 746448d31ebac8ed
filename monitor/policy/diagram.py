"""
Decision diagrams: what a program returns, as a graph of tests on words of ``struct seccomp_data``.

What it is not: instructions (``sections``), or the meaning of a test (``arguments``).  Equal parts of a
diagram are the same object, so that calls which are decided alike share their tests, and ranges of
numbers can be compared by identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from attrs import frozen

from monitor.policy.bpf import WORD_MASK, Op

if TYPE_CHECKING:
    from monitor.policy.model import Rule


class Word(NamedTuple):
    """
    A word that a program can compare.

    Attributes:
        offset: where it is loaded from.
        mask: the bits that are kept of it.
        flip: those of them that are turned round then.
    """

    offset: int
    mask: int = WORD_MASK
    flip: int = 0


class Comparison(NamedTuple):
    """A jump with a constant on a word: ``JEQ_K``, ``JGT_K``, ``JGE_K`` or ``JSET_K``."""

    word: Word
    op: Op
    k: int


@frozen(eq=False)
class Leaf:
    """The end: what the filter returns."""

    value: int


@frozen(eq=False)
class Branch:
    """
    A test, and what follows from it.

    Attributes:
        comparison: what is looked at.
        true: what follows where it holds.
        false: what follows where it does not.
        place: how many branches were made before it; both of its successors have lower ones.
    """

    comparison: Comparison
    true: Node
    false: Node
    place: int


Node: TypeAlias = Leaf | Branch


class Diagram:
    """Makes nodes, no two of them alike, and remembers for which rules."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._leaves: dict[int, Leaf] = {}
        self._branches: dict[tuple[Comparison, Node, Node], Branch] = {}
        self._rules: dict[Branch, dict[int, Rule]] = {}

    def leaf(self, value: int) -> Leaf:
        """Return the end that returns *value*."""
        found = self._leaves.get(value)
        if found is None:
            found = self._leaves[value] = Leaf(value)
        return found

    def branch(self, comparison: Comparison, true: Node, false: Node, rule: Rule | None) -> Node:
        """Return the test *comparison*, or what follows from it where its outcome does not matter."""
        if true is false:
            return true
        key = (comparison, true, false)
        found = self._branches.get(key)
        if found is None:
            found = self._branches[key] = Branch(comparison, true, false, len(self._branches))
            self._rules[found] = {}
        if rule is not None:
            self._rules[found][id(rule)] = rule
        return found

    def rules_of(self, branch: Branch) -> Sequence[Rule]:
        """Return the rules whose conditions *branch* belongs to, in the order in which they asked for it."""
        return tuple(self._rules[branch].values())


def reachable(roots: Iterable[Node]) -> list[Branch]:
    """Return every branch below *roots*, each before all that follows from it."""
    found: set[Branch] = set()
    waiting = [root for root in roots if isinstance(root, Branch)]
    while waiting:
        branch = waiting.pop()
        if branch not in found:
            found.add(branch)
            waiting += [each for each in (branch.true, branch.false) if isinstance(each, Branch)]
    return sorted(found, key=lambda branch: branch.place, reverse=True)


def ends(root: Node) -> frozenset[int]:
    """Return every value that *root* may end with."""
    if isinstance(root, Leaf):
        return frozenset({root.value})
    followers = (each for branch in reachable([root]) for each in (branch.true, branch.false))
    return frozenset(each.value for each in followers if isinstance(each, Leaf))
