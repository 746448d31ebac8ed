"""
Path patterns as one automaton over bytes, and a search through the names it can read.

What it is not: fast enough for every call; ``matcher`` is.  It answers questions about *all*
names: whether one pattern covers another, whether any name below one directory is treated unlike
the same name below another.  The answers are exact: a state says everything about what may still
come, and there are finitely many.

A name is read as it is written, only ``/`` itself as nothing: so every component begins with its
``/``.  Each place in a pattern is a bit of an ``int``, and a state is the set of places where
what was read may have led to.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias, assert_never

from monitor.policy.paths import Deep, Elements, Glob, PathPattern

_SLASH: Final = ord("/")
_DOT: Final = ord(".")
_ORDINARY: Final = (*b"xyzabcdefghijklmnopqrstuvw0123456789", *range(1, 0x2E), *range(0x30, 0x100))
"""Bytes that may stand for all those of which no pattern speaks, readable ones first."""


class Kind(enum.Enum):
    """What a place in a pattern waits for."""

    BYTE = "one byte"
    STAR = "bytes of a component: it stays, and the next place is reached without any"
    ENTER = "the / before a **, which may also be passed over: the place after the next is reached without any"
    SKIP = "anything: it stays, and the next place is reached without any"
    END = "the end of the name, or a /"
    COVERED = "nothing: the pattern covers the name, however it goes on"


class _Place(NamedTuple):
    """
    A place in a pattern.

    Attributes:
        kind: what it waits for.
        byte: which one, for ``BYTE``; a / for those that wait for a /; else 0.
        outdone: how many places before it cannot lead to anything that it does not lead to.
    """

    kind: Kind
    byte: int
    outdone: int


def _places(elements: Elements) -> list[_Place]:
    """Return the places of a pattern, the first one first."""
    places: list[_Place] = []
    for element in elements:
        match element:
            case bytes():
                places += (_Place(Kind.BYTE, byte, 0) for byte in b"/" + element)
            case Glob():
                first, *others = element.parts
                begin = len(places) + 1
                places += (_Place(Kind.BYTE, byte, 0) for byte in b"/" + first)
                for part in others:
                    places.append(_Place(Kind.STAR, 0, len(places) - begin))
                    places += (_Place(Kind.BYTE, byte, 0) for byte in part)
            case Deep():
                places.append(_Place(Kind.ENTER, _SLASH, 0))
                places.append(_Place(Kind.SKIP, 0, len(places)))
            case _:
                assert_never(element)
    if places and places[-1].kind is Kind.STAR:
        places.pop()
    elif places:
        places.append(_Place(Kind.END, _SLASH, 0))
    return [*places, _Place(Kind.COVERED, 0, 0)]


def bits(word: int) -> Iterator[int]:
    """Yield the places of the bits of *word*, lowest first."""
    while word:
        lowest = word & -word
        yield lowest.bit_length() - 1
        word ^= lowest


class Automaton:
    """Some patterns; sets of them are ``int`` too, in which the first pattern is bit 0.  Never changes."""

    def __init__(self, patterns: Iterable[PathPattern]) -> None:
        """Take *patterns*; whether ``!`` stands before one is not looked at."""
        self._kinds = dict.fromkeys(Kind, 0)
        self._bytes: list[int] = []
        self._owners: list[int] = []
        self._waiting: dict[int, int] = {}
        self._outdone: dict[int, int] = {}
        self._whole: list[int] = []
        self._last: list[int] = []
        start = 0
        for pattern in patterns:
            begin = len(self._bytes)
            for elements in pattern.alternatives:
                start |= 1 << len(self._bytes)
                self._add(_places(elements))
            self._owners += [len(self._whole)] * (len(self._bytes) - begin)
            self._whole.append((1 << len(self._bytes)) - (1 << begin))
            self._last.append(1 << len(self._bytes) - 1)
        self._stays_in_component = self._kinds[Kind.STAR]
        self._stays = self._kinds[Kind.SKIP] | self._kinds[Kind.COVERED]
        self._leads_on = self._kinds[Kind.STAR] | self._kinds[Kind.SKIP]
        self._outdoing = self._leads_on | self._kinds[Kind.COVERED]
        self._names_a_byte = self._kinds[Kind.BYTE] | self._kinds[Kind.ENTER] | self._kinds[Kind.END]
        self.start = self._closed(start)
        """The state before anything was read, which is that of the name ``/``."""

    def _add(self, places: Iterable[_Place]) -> None:
        for kind, byte, outdone in places:
            bit = len(self._bytes)
            self._bytes.append(byte)
            self._kinds[kind] |= 1 << bit
            if byte:
                self._waiting[byte] = self._waiting.get(byte, 0) | 1 << bit
            self._outdone[bit] = (1 << bit) - (1 << bit - outdone)

    def _closed(self, state: int) -> int:
        """Return *state* with the places that are reached without a byte."""
        state |= (state & self._leads_on) << 1  # a star may stand before a **, but nothing else that leads on
        return state | (state & self._kinds[Kind.ENTER]) << 2

    def after(self, state: int, read: bytes) -> int:
        """Return what becomes of *state* when *read* comes."""
        for byte in read:
            stays = self._stays if byte == _SLASH else self._stays | self._stays_in_component
            state = self._closed((state & self._waiting.get(byte, 0)) << 1 | state & stays)
        return state

    def reduced(self, state: int, patterns: int = -1) -> int:
        """Return *state* without what makes no difference, about *patterns* alone: equal ones mean the same."""
        for bit in bits(state & self._outdoing):
            if self._kinds[Kind.COVERED] >> bit & 1:
                owner = self._owners[bit]
                state = (state & ~self._whole[owner]) | self._last[owner]
            else:
                state &= ~self._outdone[bit]
        for pattern in bits(self._patterns_of(state) & ~patterns):
            state &= ~self._whole[pattern]
        return state

    def covering(self, state: int) -> int:
        """Return the patterns that cover the name, if it ends here."""
        return self._patterns_of(state & (self._kinds[Kind.END] | self._kinds[Kind.COVERED]))

    def covered_for_good(self, state: int) -> int:
        """Return the patterns that cover the name, however it goes on."""
        return self._patterns_of(state & self._kinds[Kind.COVERED])

    def ahead(self, state: int) -> int:
        """Return the patterns that cover anything below the name, if it ends here."""
        return self._patterns_of(self.after(state, b"/"))

    def alive(self, state: int) -> int:
        """Return the patterns that cover any name that begins like this."""
        return self._patterns_of(state)

    def _patterns_of(self, state: int) -> int:
        patterns = 0
        for bit in bits(state):
            patterns |= 1 << self._owners[bit]
        return patterns

    def bytes_of(self, state: int) -> set[int]:
        """Return the bytes that *state* tells from others."""
        return {self._bytes[bit] for bit in bits(state & self._names_a_byte)}


class _Where(enum.Enum):
    """What may come next, so that a name stays canonical."""

    WHOLE = "a / or the end: a directory's own name"
    BEGIN = "a byte: a / came last"
    DOT = "a byte: the component is . now"
    DOTS = "a byte: the component is .. now"
    COMPONENT = "a byte, a / or the end"

    def after(self, byte: int) -> _Where:
        """Return where *byte* leads to."""
        if byte == _SLASH:
            return _Where.BEGIN
        if byte == _DOT and self is _Where.BEGIN:
            return _Where.DOT
        return _Where.DOTS if byte == _DOT and self is _Where.DOT else _Where.COMPONENT


States: TypeAlias = tuple[int, ...]
"""What one beginning of a name leads to from several states at once."""


class TooManyStatesError(Exception):
    """The search was given up."""


def shortest_name(
    automaton: Automaton,
    states: States,
    *,
    is_wanted: Callable[[States], bool],
    worth: Callable[[States], States | None],
    limit: int,
) -> bytes | None:
    """
    Return a shortest name below a directory that leads from *states* to wanted ones.

    It is empty for the directory itself, and begins with ``/`` for what is below; None: there is
    none.  States are asked about where a name may end.  *worth* reduces states to what matters,
    or says with None that nothing wanted can come of them.

    Raises TooManyStatesError: it is not found among the first *limit* states.
    """
    first = worth(states)
    if first is None:
        return None
    if is_wanted(first):
        return b""
    queue = deque([(first, _Where.WHOLE)])
    came_from: dict[tuple[States, _Where], tuple[tuple[States, _Where], int] | None] = {queue[0]: None}
    while queue:
        here = queue.popleft()
        for byte in _next_bytes(automaton, *here):
            reached = worth(tuple(automaton.after(state, bytes([byte])) for state in here[0]))
            if reached is None:
                continue
            there = (reached, here[1].after(byte))
            if there in came_from:
                continue
            came_from[there] = (here, byte)
            if there[1] is _Where.COMPONENT and is_wanted(reached):
                return _way_to(there, came_from)
            if len(came_from) > limit:
                raise TooManyStatesError
            queue.append(there)
    return None


def _next_bytes(automaton: Automaton, states: States, where: _Where) -> Iterator[int]:
    """Yield bytes that may come next, one for all those that make no difference."""
    if where in {_Where.WHOLE, _Where.COMPONENT}:
        yield _SLASH
    if where is _Where.WHOLE:
        return
    named: set[int] = set()
    for state in states:
        named |= automaton.bytes_of(state)
    if where is not _Where.COMPONENT:
        named.add(_DOT)
    named.discard(_SLASH)
    yield from sorted(named)
    other = next((byte for byte in _ORDINARY if byte not in named), _DOT)
    if other not in named:
        yield other


def _way_to(
    place: tuple[States, _Where], came_from: dict[tuple[States, _Where], tuple[tuple[States, _Where], int] | None]
) -> bytes:
    """Return the bytes that led to *place*."""
    read = bytearray()
    step = came_from[place]
    while step is not None:
        place, byte = step
        read.append(byte)
        step = came_from[place]
    return bytes(reversed(read))
