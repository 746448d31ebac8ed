"""
What of a new policy an installed program stands in the way of.

What it is not: the replacement (``monitor.enforce``), or the difference of two policies (``explain``).

A filter cannot be changed.  Where its program notifies, whatever a new policy says can be answered;
where it decides alone, the new policy has to say what it does.  That is known exactly, in every case of
a call's registers, so that a rule with a condition can be replaced although the rest of its call is
decided in BPF.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from monitor.abi.seccomp import ACTION_MASK, RetValue
from monitor.abi.syscalls import name_of
from monitor.errors import PolicyError
from monitor.policy.answers import LISTENER_REFUSED, NOTHING_SAID, NOTIFY, Standing, is_final
from monitor.policy.cases import Cases, Node, cases_of
from monitor.policy.model import Decision
from monitor.policy.routes import Route, Routes
from monitor.policy.table import Chain

ELSEWHERE: Final = "calls of other ABIs"
"""How calls are called that no rule can be about: ``other-arch`` answers them."""

_OF_FILTERS: Final = frozenset({RetValue.KILL_THREAD, RetValue.TRAP, RetValue.TRACE, RetValue.LOG})
"""What no response to a notification does."""


class Obstacle(enum.Enum):
    """Why a call cannot be decided as a new policy says."""

    DECIDED_ALONE = "the installed program decides it without us"
    FILTERS_ONLY = "it is notified, and no response does what the new policy says"


class Obstructed(NamedTuple):
    """
    A call that cannot be decided as a new policy says, in some of its cases.

    Attributes:
        call: its name, as ``openat`` or ``i386 openat``.
        obstacle: why.
    """

    call: str
    obstacle: Obstacle


def differing(old: Routes, new: Routes) -> Iterator[str]:
    """Yield the names of the calls about which *new* does not say what *old* says."""
    for name, before, after in _pairs(old, new):
        if _meaning(before) != _meaning(after):
            yield name


def obstructed(installed: Routes, new: Routes) -> Iterator[Obstructed]:
    """Yield what *new* says and cannot be done where the program of *installed* runs."""
    comparison = _Comparison(installed)
    for name, before, after in _pairs(installed, new):
        if _meaning(before) != _meaning(after):
            yield from (Obstructed(name, obstacle) for obstacle in comparison.obstacles(before, after))


def _pairs(old: Routes, new: Routes) -> Iterator[tuple[str, Route, Route]]:
    """Yield each call, by name, with what both say; the first ABI is the machine's own and is not named."""
    native = next(iter(old.others))
    for arch, nr in sorted(old.known.keys() | new.known.keys(), key=lambda key: (key[0] is not native, key[1])):
        before = old.known.get((arch, nr)) or old.others[arch]
        after = new.known.get((arch, nr)) or new.others[arch]
        name = name_of(arch, nr) or str(nr)
        yield name if arch is native else f"{arch.table} {name}", before, after
    for arch, before in old.others.items():
        yield f"{arch.table} calls without a name", before, new.others[arch]
    yield ELSEWHERE, old.elsewhere, new.elsewhere


def _meaning(route: Route) -> object:
    """Return what decides, without where it was written."""
    return [[(condition, decision.action) for condition, decision in chain] for chain in route.chains]


class _Comparison:
    """Compares routes with what a program returns; routes that share what is said are compared once."""

    def __init__(self, installed: Routes) -> None:
        self._installed = installed
        self._standings: Cases[Standing] = Cases()
        self._heard: dict[tuple[int, ...], Node[Standing]] = {}
        self._compared: dict[tuple[object, ...], Sequence[Obstacle]] = {}

    def obstacles(self, before: Route, after: Route) -> Sequence[Obstacle]:
        """Return what is in the way of *after*, in any case."""
        makes_listeners = before.arch is not None and before.name == "seccomp"
        key = (_identity(before.chains), _identity(after.chains), before.wanted, makes_listeners)
        if key not in self._compared:
            try:
                self._compared[key] = self._obstacles(before, after, makes_listeners=makes_listeners)
            except PolicyError:  # too many cases to be told apart: then nobody knows that they agree
                self._compared[key] = [Obstacle.DECIDED_ALONE] if before.alone else []
        return self._compared[key]

    def _obstacles(self, before: Route, after: Route, *, makes_listeners: bool) -> Sequence[Obstacle]:
        def obstacle(mine: Standing, theirs: Standing) -> Obstacle | None:
            value = mine.settled(
                wanted=before.wanted, observe=self._installed.observe, refusals=self._installed.refusals
            )
            if makes_listeners and not is_final(value) and is_final(theirs.value) and theirs.value != LISTENER_REFUSED:
                return Obstacle.DECIDED_ALONE  # those with NEW_LISTENER
            if value != NOTIFY:
                return None if value == theirs.value else Obstacle.DECIDED_ALONE
            if self._installed.observe or theirs.value == mine.value or theirs.value & ACTION_MASK not in _OF_FILTERS:
                return None
            return Obstacle.FILTERS_ONLY

        outcomes: Cases[Obstacle | None] = Cases()
        found = outcomes.joined(self._standing(before.chains), self._standing(after.chains), obstacle)
        return [case.outcome for case in cases_of(found) if case.outcome is not None]

    def _standing(self, chains: Sequence[Chain]) -> Node[Standing]:
        """Return what the layers come to, in every case."""
        key = _identity(chains)
        if key not in self._heard:
            node = self._standings.end(NOTHING_SAID)
            for chain in chains:
                node = self._after(node, chain)
            self._heard[key] = node
        return self._heard[key]

    def _after(self, standing: Node[Standing], chain: Chain) -> Node[Standing]:
        """Return what it comes to when one more layer has said *chain*."""
        decisions: Sequence[Decision] = [one.decision for one in chain]
        places: Cases[int] = Cases()
        said = places.end(len(chain) - 1)
        for place, (condition, _) in reversed(list(enumerate(chain[:-1]))):
            assert condition is not None  # what stands behind an alternative without one was left out
            said = places.chosen(condition, places.end(place), said)
        return self._standings.joined(standing, said, lambda so_far, place: so_far.after(decisions[place]))


def _identity(chains: Sequence[Chain]) -> tuple[int, ...]:
    return tuple(map(id, chains))  # they live as long as the routes
