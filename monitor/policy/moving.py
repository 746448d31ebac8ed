"""
The moving rule's questions: what a name gains elsewhere, and whether two subtrees can be told apart.

What it is not: the answer to a link or a rename; the broker gives it, and asks here before.

A symbolic link is no move, but a name that a pattern speaks of must not come to mean something else.

A name gains no rights by moving.  A file may move where it may not do more than before; a
directory, only where every name below it is treated as it was, because a rename moves all of
them and nobody looks at each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from attrs import frozen

from monitor.policy.access import CLASSES, PASSING
from monitor.policy.automaton import Automaton, States, TooManyStatesError, shortest_name
from monitor.policy.files import FileAction, FileDecision, FileTable, Ranking
from monitor.policy.matcher import Found
from monitor.policy.paths import PathPattern, components

LIMIT: Final = 20_000
"""States after which a question about two subtrees is given up: a second's work, or less."""


@frozen
class Difference:
    """
    A name below two directories that a table treats differently.

    Attributes:
        below: what follows the name of either directory: nothing, or ``/`` and more.
        access: the class about which the two are decided differently.
        directory: whether this is so for directories alone.
        first: what is decided below the first directory.
        second: what is decided below the second one.
    """

    below: bytes
    access: str
    directory: bool
    first: FileDecision
    second: FileDecision


@frozen
class Unsettled:
    """It would take more than *limit* states to know; whoever must be sure takes it for a difference."""

    limit: int


Answer: TypeAlias = Difference | Unsettled | None
"""None: the table cannot tell the two apart."""


def gained(table: FileTable, old: bytes, new: bytes) -> frozenset[str]:
    """Return the classes that *table* allows for the name *new*, and does not for *old*."""
    return table.allowed(new) - table.allowed(old)


_LIKE_NO_OTHER: Final = b"\x01 like no other \x01"
"""A name of which no pattern speaks but those that speak of all names."""


def leads(table: FileTable, name: bytes) -> PathPattern | None:
    """
    Return a pattern that speaks of *name* or of what is below it, and not of every name beside it; None: none does.

    A symbolic link of that name would have the pattern mean something else, here and to whoever reads the policy
    next.
    """
    above = name.rpartition(b"/")[0]
    found, beside = table.found(name), table.found(above + b"/" + _LIKE_NO_OTHER)
    for bit, place in enumerate(table.ranking.places):
        ahead = found.ahead & ~beside.ahead & 1 << bit
        if ahead or (place.pattern.is_literal and found.covering & ~beside.covering & 1 << bit):
            return place.pattern
    return None


def tells_apart(table: FileTable, first: bytes, second: bytes, *, limit: int = LIMIT) -> Answer:
    """Return a name that *table* treats differently below *first* and below *second*, or itself.  See ``Subtrees``."""
    return Subtrees(table).tell_apart(first, second, limit=limit)


class Subtrees:
    """A table, made ready for questions about subtrees; never changes."""

    def __init__(self, table: FileTable) -> None:
        """Take what *table* says."""
        self._table = table
        self._automaton = Automaton(place.pattern for place in table.ranking.places)
        self._questions = tuple(_questions(table.ranking))

    def tell_apart(self, first: bytes, second: bytes, *, limit: int = LIMIT) -> Answer:
        """
        Return a name that is treated differently below *first* and below *second*, canonical names.

        Differently means: another action, for any class.  The directories themselves count as
        names below them.  Names are of any length, even longer than the kernel takes.

        What a handler or a person who is asked may find in a name is not known here: the same
        ``Handle`` or ``Ask`` on both sides is no difference.
        """
        search = _Search(self._automaton, self._table.ranking, self._questions)
        states = (self._after(first), self._after(second))
        try:
            below = shortest_name(self._automaton, states, is_wanted=search.differ, worth=search.unequal, limit=limit)
        except TooManyStatesError:
            return Unsettled(limit)
        return None if below is None else self._difference(first, second, below)

    def _after(self, name: bytes) -> int:
        components(name)
        return self._automaton.after(self._automaton.start, b"" if name == b"/" else name)

    def _difference(self, first: bytes, second: bytes, below: bytes) -> Difference:
        """Return the difference at *below*, as the table itself sees it."""
        names = [(name.removesuffix(b"/") + below) or b"/" for name in (first, second)]
        for access, directory in self._questions:
            here, there = (self._table.decide(access, name, directory=directory) for name in names)
            if here.action != there.action:
                return Difference(below, access, directory, here, there)
        message = f"the automaton finds a difference at {below!r}, and the table does not"
        raise AssertionError(message)


_Question: TypeAlias = tuple[str, bool]
"""A class, and whether the name is a directory's."""


def _questions(ranking: Ranking) -> Iterator[_Question]:
    """Yield one question of each kind: classes about which the same rules speak are decided alike."""
    seen: set[tuple[int, bool]] = set()
    for access in sorted(CLASSES, key=lambda access: (access not in {"read", "write"}, access)):  # the best known first
        for directory in (False, True) if access in PASSING else (False,):
            kind = (ranking.masks[access], directory)
            if kind not in seen:
                seen.add(kind)
                yield access, directory


class _Search:
    """What one search asks of states."""

    def __init__(self, automaton: Automaton, ranking: Ranking, questions: tuple[_Question, ...]) -> None:
        self._automaton = automaton
        self._ranking = ranking
        self._questions = questions
        self._relevant: dict[tuple[int, int], int] = {}
        self._answers: dict[int, list[FileAction]] = {}

    def unequal(self, states: States) -> States | None:
        """Return *states* without what cannot change a decision any more; None: nothing tells them apart."""
        first, second = (self._reduced(state) for state in states)
        return None if first == second else (first, second)

    def differ(self, states: States) -> bool:
        """Whether a name that ends here is treated differently."""
        first, second = (self._answers_at(state) for state in states)
        return first != second

    def _reduced(self, state: int) -> int:
        reduced = self._automaton.reduced(state)
        known = (self._automaton.covered_for_good(reduced), self._automaton.alive(reduced))
        if known not in self._relevant:
            self._relevant[known] = relevant(self._ranking, *known)
        return self._automaton.reduced(reduced, self._relevant[known])

    def _answers_at(self, state: int) -> list[FileAction]:
        if state not in self._answers:
            found = Found(self._automaton.covering(state), self._automaton.ahead(state))
            self._answers[state] = [
                self._ranking.decide(access, found, directory=directory).action for access, directory in self._questions
            ]
        return self._answers[state]


def relevant(ranking: Ranking, covered: int, alive: int) -> int:
    """
    Return the patterns that can still matter to a name or to one below it.

    Those of *covered* cover all of these names; those of *alive*, and no others, cover any of them.
    """
    patterns = 0
    for access, mask in ranking.masks.items():
        patterns |= _relevant_to(ranking, access, mask & alive, covered)
    return patterns


def _relevant_to(ranking: Ranking, access: str, rest: int, covered: int) -> int:
    """Return those of *rest*, the ones that are about the class *access*, that can matter to it."""
    patterns = 0
    alive = rest
    while rest & covered:
        highest = (rest & covered).bit_length() - 1
        place = ranking.places[highest]
        patterns |= rest >> highest << highest
        if place.decision is not None and not place.taken_back_by & alive:
            return patterns
        rest &= place.weaker
    patterns |= rest
    if access in PASSING:
        for bits, _ in ranking.allowing:
            highest = max(0, (bits & covered).bit_length() - 1)
            patterns |= bits >> highest << highest
    return patterns
