"""
Whether patterns cover or meet each other, and which of a table can never decide anything.

What it is not: a message, or a judgement; a pattern that decides nothing may be there for the
reader's sake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen

from monitor.policy.automaton import Automaton, States, TooManyStatesError, shortest_name
from monitor.policy.files import FileRule, FileTable, Ranking
from monitor.policy.paths import PathPattern

_FIRST: Final = 0b01
_SECOND: Final = 0b10
_BOTH: Final = 0b11

LIMIT: Final = 20_000
"""States after which a question is given up; patterns that people write need some hundreds."""


def covers(first: PathPattern, second: PathPattern) -> bool:
    """
    Whether *first* covers every name that *second* covers, whatever ``!`` stands before either.

    Raises TooManyStatesError: it would take more than ``LIMIT`` states to know.
    """
    return uncovered_name(first, second) is None


def uncovered_name(first: PathPattern, second: PathPattern) -> bytes | None:
    """
    Return a shortest name that *second* covers, and *first* does not; None: there is none.

    Raises TooManyStatesError: it would take more than ``LIMIT`` states to know.
    """
    automaton = Automaton((first, second))

    def is_wanted(state: int) -> bool:
        return automaton.covering(state) == _SECOND

    def is_hopeless(state: int) -> bool:
        return not automaton.alive(state) & _SECOND or bool(automaton.covered_for_good(state) & _FIRST)

    return _name(automaton, automaton.start, is_wanted, is_hopeless)


def common_name(first: PathPattern, second: PathPattern) -> bytes | None:
    """
    Return a shortest name that both cover, whatever ``!`` stands before either; None: there is none.

    Raises TooManyStatesError: it would take more than ``LIMIT`` states to know.
    """
    automaton = Automaton((first, second))

    def is_wanted(state: int) -> bool:
        return automaton.covering(state) == _BOTH

    def is_hopeless(state: int) -> bool:
        return automaton.alive(state) != _BOTH

    return _name(automaton, automaton.start, is_wanted, is_hopeless)


@frozen
class Idle:
    """
    A pattern that decides about no name and no class, whatever is asked.

    Attributes:
        pattern: the pattern.
        rule: the rule in whose list it stands.
        example: a name that it covers.
        by: the pattern that decides about *example*; None: it carves out of its list what is not in there.
        by_rule: the rule in whose list *by* stands.
    """

    pattern: PathPattern
    rule: FileRule
    example: bytes
    by: PathPattern | None
    by_rule: FileRule | None

    @property
    def carve_out(self) -> str | None:
        """What to write at the end of the list of ``by``, so that the pattern comes to decide; None: nothing would."""
        if self.by is None or self.by_rule is self.rule or self.pattern.carves_out:
            return None
        return f"!{self.pattern.text}"


def idle_patterns(table: FileTable) -> Iterator[Idle]:
    """Yield the patterns of *table* that can never decide; those that take more than ``LIMIT`` states are left out."""
    ranking = table.ranking
    automaton = Automaton(place.pattern for place in ranking.places)
    for bit in reversed(range(len(ranking.places))):
        if _may_decide(automaton, ranking, bit):
            continue
        example = _name(
            automaton,
            automaton.reduced(automaton.start, 1 << bit),
            lambda state: bool(automaton.covering(state)),
            lambda state: not automaton.alive(state),
        )
        assert example is not None  # a pattern that matches nothing is none
        yield _idle(table, bit, example)


def _may_decide(automaton: Automaton, ranking: Ranking, bit: int) -> bool:
    try:
        return _decides(automaton, ranking, bit)
    except TooManyStatesError:
        return True


def _decides(automaton: Automaton, ranking: Ranking, bit: int) -> bool:
    """Whether there are a name and a class about which the pattern of *bit* decides."""
    place = ranking.places[bit]
    masks = {ranking.masks[access] for access in place.rule.access}
    mine = (1 << bit) - 1 & ~place.weaker  # those before it in its list

    def is_wanted(state: int) -> bool:
        covering = automaton.covering(state)
        if not covering >> bit & 1 or all(_is_overruled(ranking, covering & mask, bit) for mask in masks):
            return False
        # To carve out is to take back what the list says without it.
        return place.decision is not None or _is_listed(ranking, covering & mine)

    def is_hopeless(state: int) -> bool:
        alive, covered = automaton.alive(state), automaton.covered_for_good(state)
        if not alive >> bit & 1 or (place.decision is None and not alive & mine):
            return True
        return all(_is_overruled(ranking, covered & mask, bit, alive) for mask in masks)

    kept = -(1 << bit) | (0 if place.decision is not None else mine)  # what is weaker cannot hinder it
    return _name(automaton, automaton.reduced(automaton.start, kept), is_wanted, is_hopeless) is not None


def _is_overruled(ranking: Ranking, covering: int, bit: int, alive: int = 0) -> bool:
    """
    Whether something stronger than the pattern of *bit*, or later in its list, decides where *covering* cover.

    Those of *alive* may come to cover further on.
    """
    rest = covering >> bit + 1 << bit + 1
    while rest:
        place = ranking.places[rest.bit_length() - 1]
        if place.weaker == ranking.places[bit].weaker:
            return True
        if place.decision is not None and not place.taken_back_by & alive:
            return True
        rest &= place.weaker
    return False


def _is_listed(ranking: Ranking, covering: int) -> bool:
    """Whether a list says yes where *covering* of it cover."""
    return bool(covering) and ranking.places[covering.bit_length() - 1].decision is not None


def _idle(table: FileTable, bit: int, example: bytes) -> Idle:
    """Return what is to be said about the pattern of *bit*, which covers *example*."""
    place = table.ranking.places[bit]
    last = place.rule.paths.last_match(example)
    if last is not None and last is not place.pattern:
        return Idle(place.pattern, place.rule, example, last, place.rule)
    decision = table.decide(min(place.rule.access), example)
    if decision.pattern is place.pattern or decision.rule is None:
        return Idle(place.pattern, place.rule, example, None, None)
    return Idle(place.pattern, place.rule, example, decision.pattern, decision.rule)


def _name(
    automaton: Automaton, start: int, is_wanted: Callable[[int], bool], is_hopeless: Callable[[int], bool]
) -> bytes | None:
    """Return a shortest name that leads from *start* to a state that is wanted; None: there is none."""

    def worth(states: States) -> States | None:
        state = automaton.reduced(states[0])
        return None if is_hopeless(state) else (state,)

    name = shortest_name(automaton, (start,), is_wanted=lambda states: is_wanted(states[0]), worth=worth, limit=LIMIT)
    return b"/" if name == b"" else name
