"""
Whether patterns cover or meet each other, and which of a table can never decide anything.

What it is not: a message, or a judgement; a pattern that decides nothing may be there for the
reader's sake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from attrs import evolve, frozen

from monitor.policy.automaton import Automaton, States, TooManyStatesError, shortest_name
from monitor.policy.files import REFUSED, FileRule, FileTable, Ranking, ranking_of
from monitor.policy.matcher import Matcher
from monitor.policy.paths import DEEP, Element, Elements, Glob, PathList, PathPattern, components

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
    # Most pairs have nothing to do with each other, which is plain, or one name shows it.
    if are_apart(first, second) or any(not first.covers(name) for name in _examples(second)):
        return False
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
    if are_apart(first, second):
        return None
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
    matcher = Matcher(place.pattern for place in ranking.places)
    for bit in reversed(range(len(ranking.places))):
        pattern = ranking.places[bit].pattern
        examples = list(_examples(pattern))
        coverings = [matcher.match(components(name)).covering for name in examples]
        if any(_decides_at(ranking, bit, covering) for covering in coverings):
            continue
        if not _may_decide(ranking, bit, coverings[0]):
            yield _idle(table, bit, min(examples, key=len))


def _may_decide(ranking: Ranking, bit: int, suspects: int) -> bool:
    """Whether the pattern of *bit* may decide; *suspects* cover one of the names that it covers."""
    above = (other for other in range(bit + 1, suspects.bit_length()) if suspects >> other & 1)
    if any(_overrules(ranking, other, bit) for other in above):
        return False
    meeting = _meeting(ranking, bit)
    if bit not in meeting:
        return False
    near = ranking_of([*_rules_of(ranking, meeting)][::-1], REFUSED)
    try:
        return _decides(Automaton(place.pattern for place in near.places), near, meeting.index(bit))
    except TooManyStatesError:
        return True


def _overrules(ranking: Ranking, other: int, bit: int) -> bool:
    """Whether it is plain that the pattern of *other* counts wherever that of *bit* would."""
    strong, weak = ranking.places[other], ranking.places[bit]
    if strong.weaker != weak.weaker:
        takers = (place for taker, place in enumerate(ranking.places) if strong.taken_back_by >> taker & 1)
        if strong.decision is None or not strong.rule.access >= weak.rule.access:
            return False
        if not all(are_apart(taker.pattern, weak.pattern) for taker in takers):
            return False
    try:
        return covers(strong.pattern, weak.pattern)
    except TooManyStatesError:
        return False


def _meeting(ranking: Ranking, bit: int) -> list[int]:
    """Return the bits that can have to do with that of *bit*, which are few of a table, without idle carve-outs."""
    found: list[int] = []
    for other, place in enumerate(ranking.places):
        if other != bit and are_apart(place.pattern, ranking.places[bit].pattern):
            continue
        follows = bool(found) and ranking.places[found[-1]].weaker == place.weaker
        if follows or not place.pattern.carves_out:  # else there is nothing in its list of which to carve
            found.append(other)
    return found


def _rules_of(ranking: Ranking, bits: Sequence[int]) -> Iterator[FileRule]:
    """Yield the rules of *bits*, weakest first, with nothing else in their lists."""
    for _, group in groupby(bits, key=lambda bit: ranking.places[bit].weaker):
        places = [ranking.places[bit] for bit in group]
        yield evolve(places[0].rule, paths=PathList(place.pattern for place in places))


def _decides(automaton: Automaton, ranking: Ranking, bit: int) -> bool:
    """Whether there are a name and a class about which the pattern of *bit* decides."""
    place = ranking.places[bit]
    masks = {ranking.masks[access] for access in place.rule.access}
    mine = _before(ranking, bit)

    def is_wanted(state: int) -> bool:
        return _decides_at(ranking, bit, automaton.covering(state))

    def is_hopeless(state: int) -> bool:
        alive, covered = automaton.alive(state), automaton.covered_for_good(state)
        if not alive >> bit & 1 or (place.decision is None and not alive & mine):
            return True
        return all(_is_overruled(ranking, covered & mask, bit, alive) for mask in masks)

    kept = -(1 << bit) | (0 if place.decision is not None else mine)  # what is weaker cannot hinder it
    return _name(automaton, automaton.reduced(automaton.start, kept), is_wanted, is_hopeless) is not None


def _decides_at(ranking: Ranking, bit: int, covering: int) -> bool:
    """Whether the pattern of *bit* decides, for some class, about a name that those of *covering* cover."""
    place = ranking.places[bit]
    masks = {ranking.masks[access] for access in place.rule.access}
    if not covering >> bit & 1 or all(_is_overruled(ranking, covering & mask, bit) for mask in masks):
        return False
    # To carve out is to take back what the list says without it.
    return place.decision is not None or _is_listed(ranking, covering & _before(ranking, bit))


def _before(ranking: Ranking, bit: int) -> int:
    """Return the bits of those before the pattern of *bit* in its list."""
    return (1 << bit) - 1 & ~ranking.places[bit].weaker


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


_ODD: Final = b"\x01"
"""Stands where any byte may: hardly a pattern has it."""


def _examples(pattern: PathPattern) -> Iterator[bytes]:
    """Yield some names that *pattern* covers, such as hardly another one does."""
    for elements in pattern.alternatives:
        for deep in ([], [_ODD]):
            parts = [part for element in elements for part in (deep if element is DEEP else [_example(element)])]
            name = b"/" + b"/".join(parts)
            yield name
            yield name.removesuffix(b"/") + b"/" + _ODD


def _example(element: Element) -> bytes:
    match element:
        case Glob(parts):
            return _ODD.join(parts)
        case bytes() as literal:
            return literal
        case _:
            raise AssertionError(element)


def are_apart(first: PathPattern, second: PathPattern) -> bool:
    """Whether it is plain that no name is covered by both; that it is not plain says nothing."""
    return all(_elements_apart(one, other) for one in first.alternatives for other in second.alternatives)


def _elements_apart(first: Elements, second: Elements) -> bool:
    for one, other in zip(first, second, strict=False):
        if one is DEEP or other is DEEP:
            return False
        if not _may_be_alike(one, other):
            return True
    return False


def _may_be_alike(first: bytes | Glob, second: bytes | Glob) -> bool:
    """Whether a component may be what both say; of two globs only the ends are looked at."""
    match first, second:
        case Glob(), Glob():
            (start, *_, end), (other_start, *_, other_end) = first.parts, second.parts
            starts, ends = sorted((start, other_start), key=len), sorted((end, other_end), key=len)
            return starts[1].startswith(starts[0]) and ends[1].endswith(ends[0])
        case Glob(), bytes():
            return first.matches(second)
        case bytes(), Glob():
            return second.matches(first)
        case _:
            return first == second
