"""
One decision of many: what the layers say about a call becomes one diagram, which is exactly ``answers.answer``.

What it is not: the search for the number (``ranges``).  The layers are heard one after the other, and what
has been said so far is a ``Standing``, of which there are few: so the diagram grows with the number of
conditions, not with the number of their combinations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from monitor.abi.syscalls import number_of
from monitor.policy.answers import ASKS_FOR_LISTENER, LISTENER_REFUSED, NOTHING_SAID, Standing, is_final
from monitor.policy.arguments import Translator
from monitor.policy.diagram import Diagram, Node
from monitor.policy.numbers import EVERY, Numbers
from monitor.policy.table import Chain, Table

if TYPE_CHECKING:
    from monitor.abi.arch import Arch


class Decided(NamedTuple):
    """
    How the calls of one ABI are decided.

    Attributes:
        arch: the ABI.
        table: what the layers say about them.
        nodes: how a call that has a name, or that a handler named by its number, is decided.
        default: how every other number is.
    """

    arch: Arch
    table: Table
    nodes: Mapping[int, Node]
    default: Node

    def chains(self, nr: int) -> tuple[Chain, ...]:
        """Return what the layers say about call *nr*."""
        return self.table.calls.get(nr, self.table.unnamed)


class Decider(NamedTuple):
    """
    Makes the diagrams of one ABI.

    Attributes:
        diagram: where the nodes come from.
        arch: the ABI.
        wanted: the numbers that handlers want to see.
        observe: whether nothing is refused, and what would have been is notified.
        guarded: whether the target is refused a listener of its own.
        refusals: whether what is refused is notified, where a response can refuse it.
    """

    diagram: Diagram
    arch: Arch
    wanted: Numbers
    observe: bool
    guarded: bool = True
    refusals: bool = False

    def decided(self, table: Table) -> Decided:
        """Return how every number is decided."""
        every, some = (True, frozenset[int]()) if self.wanted is EVERY else (False, self.wanted)
        seccomp = number_of(self.arch, "seccomp")
        nodes: dict[int, Node] = {}
        known: dict[tuple[object, ...], Node] = {}
        for nr in sorted(table.calls.keys() | some):
            chains, wanted = table.calls.get(nr, table.unnamed), every or nr in some
            guarded = self.guarded and nr == seccomp
            key = (*map(id, chains), wanted, guarded)
            if key not in known:
                known[key] = self._node(chains, wanted=wanted, guarded=guarded)
            nodes[nr] = known[key]
        return Decided(self.arch, table, nodes, self._node(table.unnamed, wanted=every, guarded=False))

    def _node(self, chains: tuple[Chain, ...], *, wanted: bool, guarded: bool) -> Node:
        """Return how a call is decided about which the layers say *chains*; *guarded*: it may make listeners."""
        # stages[i] has every standing that there may be when the first i layers have been heard.
        stages = [[NOTHING_SAID]]  # in the order in which they were found: the same program at each time
        for chain in chains:
            stages.append(list(dict.fromkeys(standing.after(one.decision) for standing in stages[-1] for one in chain)))
        nodes = {standing: self._end(standing, wanted=wanted, guarded=guarded) for standing in stages.pop()}
        for chain in reversed(chains):
            nodes = {standing: self._heard(standing, chain, nodes) for standing in stages.pop()}
        return nodes[NOTHING_SAID]

    def _heard(self, standing: Standing, chain: Chain, nodes: Mapping[Standing, Node]) -> Node:
        """Return how to go on from *standing* with what a further layer says; *nodes*: from there."""
        result = nodes[standing.after(chain[-1].decision)]
        for condition, decision in reversed(chain[:-1]):
            assert condition is not None  # what stands behind an alternative without one was left out
            translator = Translator(self.diagram, self.arch, decision.rule)
            result = translator.branch_on(condition, nodes[standing.after(decision)], result)
        return result

    def _end(self, standing: Standing, *, wanted: bool, guarded: bool) -> Node:
        value = standing.settled(wanted=wanted, observe=self.observe, refusals=self.refusals)
        end = self.diagram.leaf(value)
        if not guarded or is_final(value):
            return end
        refused = self.diagram.leaf(LISTENER_REFUSED)
        return Translator(self.diagram, self.arch, None).branch_on(ASKS_FOR_LISTENER, refused, end)
