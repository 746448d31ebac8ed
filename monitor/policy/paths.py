r"""
Path patterns as policies write them: ``/usr``, ``**/id_rsa``, ``!/srv/*/keys``, ``/odd\x20name``.

What it is not: the matching of many patterns in one pass (``matcher``), or what a table of them
says (``files``).  Nothing here looks at a file system.

A *name* is canonical: absolute, its components separated by one ``/`` each, none of them ``.`` or
``..``; bytes.  A *pattern* is a sequence of components.  ``*`` stands for any bytes of one
component, perhaps none; a component ``**`` for any number of components, at the end of a pattern
for one at least.  A pattern *covers* the names that it matches and everything below them.  All
other characters stand for themselves, ``?`` and ``[`` among them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias, assert_never

import attrs
from attrs import field, frozen

from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy.syntax import Span, complaint

LONGEST_NAME: Final = 4095
"""No name has more bytes: ``PATH_MAX`` counts a NUL."""

_ESCAPE: Final = re.compile(r"\\x([0-9A-Fa-f]{2})")
_MEANS_SOMETHING: Final = frozenset("\\*!~$")


class Deep(enum.Enum):
    """A component ``**``: any number of components, perhaps none."""

    DEEP = "**"


DEEP: Final = Deep.DEEP


@frozen
class Glob:
    """One component with ``*`` in it, as what stands between the stars: ``*.py`` is ``("", ".py")``."""

    parts: tuple[bytes, ...] = field(validator=attrs.validators.min_len(2))

    def matches(self, component: bytes) -> bool:
        """Whether it stands for *component*."""
        first, *middle, last = self.parts
        end = len(component) - len(last)
        if len(first) > end or not component.startswith(first) or not component.endswith(last):
            return False
        # The leftmost place of each part leaves the most to those behind it: nothing is tried twice.
        place = len(first)
        for part in middle:
            place = component.find(part, place, end)
            if place < 0:
                return False
            place += len(part)
        return True


ANY: Final = Glob((b"", b""))
"""A component ``*``."""

Element: TypeAlias = bytes | Glob | Deep
Elements: TypeAlias = tuple[Element, ...]


def components(name: bytes) -> list[bytes]:
    """Return the components of the canonical *name*, none for ``/``.  Raises ValueError: it is not canonical."""
    if name == b"/":
        return []
    first, *parts = name.split(b"/")
    if first or not parts or b"" in parts or b"." in parts or b".." in parts or b"\0" in name:
        message = f"{name!r} is no canonical name"
        raise ValueError(message)
    return parts


def escape(value: bytes) -> str:
    r"""
    Return a text that stands for *value*, literally, wherever it is put into a pattern.

    ``/`` stays what it is.  What is no text, or cannot be seen, becomes ``\xNN``.
    """
    escaped: list[str] = []
    for char in value.decode("utf-8", "surrogateescape"):
        if char not in _MEANS_SOMETHING and char.isprintable():
            escaped.append(char)
        else:
            escaped += (f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
    return "".join(escaped)


class _Parsed(NamedTuple):
    """What a text means."""

    carves_out: bool
    elements: Elements


def _canonical(_pattern: object, _attribute: object, head: bytes | None) -> None:
    if head is not None:
        components(head)


def _parsed(pattern: PathPattern) -> _Parsed:
    try:
        return _parse(pattern.text)
    except PolicyError as error:
        raise error.at(pattern.origin) from None


@frozen
class PathPattern:
    """
    One pattern, with or without ``!`` before it.

    What stands before its first star is its *head*.  Where symbolic links lead the head
    elsewhere, the pattern has two names: as it is written, and with ``resolved_head`` in place of
    the head.  It covers what either of them covers.

    Raises PolicyError: the text is no pattern, or one that can match nothing.
    """

    text: str = field(validator=attrs.validators.instance_of(str))
    origin: Origin = field(default=NOWHERE, kw_only=True)
    resolved_head: bytes | None = field(default=None, kw_only=True, validator=_canonical)
    _parsed: _Parsed = field(init=False, eq=False, repr=False, default=attrs.Factory(_parsed, takes_self=True))

    @classmethod
    def parse(cls, text: str, origin: Origin = NOWHERE) -> PathPattern:
        """Return what *text* means.  ``~`` and variables are replaced already, their values escaped."""
        return cls(text, origin=origin)

    @property
    def carves_out(self) -> bool:
        """Whether ``!`` stands before it: what it covers, its list does not."""
        return self._parsed.carves_out

    @property
    def elements(self) -> Elements:
        """The pattern as it is written, in its shortest form; no last element is ``**``."""
        return self._parsed.elements

    @property
    def head(self) -> bytes:
        """The name before the first star, to be resolved where the program will run."""
        return b"/" + b"/".join(_literals(self.elements))

    @property
    def is_literal(self) -> bool:
        """Whether no star is in it: its head is all of it."""
        return all(isinstance(element, bytes) for element in self.elements)

    def with_resolved_head(self, head: bytes) -> PathPattern:
        """Return the same pattern, of which the head is *head*, a canonical name, where links are followed."""
        return attrs.evolve(self, resolved_head=head)

    @property
    def resolved_text(self) -> str | None:
        """Its other name; None: it has no other."""
        if len(self.alternatives) == 1:
            return None
        assert self.resolved_head is not None
        written = [piece for piece in self.text.removeprefix("!").split("/") if piece]
        tail = written[len(_literals(self.elements)) :]
        name = "/".join([escape(self.resolved_head).removesuffix("/"), *tail]) or "/"
        return f"!{name}" if self.carves_out else name

    @property
    def alternatives(self) -> tuple[Elements, ...]:
        """Its names: one, or two that differ."""
        if self.resolved_head is None:
            return (self.elements,)
        tail = self.elements[len(_literals(self.elements)) :]
        resolved = (*components(self.resolved_head), *tail)
        return (self.elements,) if resolved == self.elements else (self.elements, resolved)

    def covers(self, name: bytes) -> bool:
        """Whether *name*, or a directory above it, is what the pattern says, whatever ``!`` stands before it."""
        parts = components(name)
        return any(_covers(elements, parts) for elements in self.alternatives)

    def __str__(self) -> str:
        """Return it as it was written."""
        return self.text


def _literals(elements: Elements) -> list[bytes]:
    """Return the elements before the first star."""
    literals: list[bytes] = []
    for element in elements:
        if not isinstance(element, bytes):
            break
        literals.append(element)
    return literals


def _covers(elements: Elements, parts: Sequence[bytes]) -> bool:
    """Whether *elements* match *parts*, or the first few of them."""
    places = _with_skips({0}, elements)
    for part in parts:
        if len(elements) in places:
            return True
        reached: set[int] = set()
        for place in places:
            match elements[place]:
                case Deep():
                    reached.add(place)
                case Glob() as glob:
                    if glob.matches(part):
                        reached.add(place + 1)
                case bytes() as literal:
                    if literal == part:
                        reached.add(place + 1)
                case _ as never:
                    assert_never(never)
        places = _with_skips(reached, elements)
    return len(elements) in places


def _with_skips(places: set[int], elements: Elements) -> set[int]:
    """Return *places* and those behind a ``**`` that stands for nothing; no two of them stand side by side."""
    return places | {place + 1 for place in places if place < len(elements) and elements[place] is DEEP}


def indexed(origin: Origin, index: int) -> Origin:
    """Return the place of one element of the list at *origin*."""
    return origin if origin == NOWHERE else attrs.evolve(origin, key=f"{origin.key}[{index}]")


def _patterns(patterns: Iterable[PathPattern]) -> tuple[PathPattern, ...]:
    return tuple(patterns)


def _something_to_carve(_list: object, _attribute: object, patterns: tuple[PathPattern, ...]) -> None:
    if patterns and patterns[0].carves_out:
        message = f"{patterns[0].text!r} carves out of nothing: no pattern stands before it in its list"
        raise PolicyError(message, patterns[0].origin)


@frozen
class PathList:
    """Patterns in their order: of those that cover a name, the last one decides whether the list does."""

    patterns: tuple[PathPattern, ...] = field(converter=_patterns, validator=_something_to_carve)

    @classmethod
    def parse(cls, texts: Iterable[str], origin: Origin = NOWHERE) -> PathList:
        """Return the list of *texts*; *origin* is the list's, and each pattern's with its index."""
        return cls(PathPattern.parse(text, indexed(origin, index)) for index, text in enumerate(texts))

    def last_match(self, name: bytes) -> PathPattern | None:
        """Return the pattern that decides about *name*; None: no pattern covers it."""
        return next((pattern for pattern in reversed(self.patterns) if pattern.covers(name)), None)

    def covers(self, name: bytes) -> bool:
        """Whether the list covers *name*."""
        last = self.last_match(name)
        return last is not None and not last.carves_out


def _parse(text: str) -> _Parsed:
    """Return what *text* means."""
    carves_out = text.startswith("!")
    start = int(carves_out)
    if text[start:] == "/":
        return _Parsed(carves_out, ())
    if not text.startswith(("/", "**/"), start):
        message = "a pattern starts with / or **/, or with ~ or a variable, which stand for a directory"
        raise complaint(text, Span(start, start + 1), message)
    elements: list[Element] = []
    place = start + text.startswith("/", start)
    for piece in text[place:].split("/"):
        elements.append(_element(text, Span(place, place + len(piece))))
        place += len(piece) + 1
    shortest = sum(1 + _shortest(element) for element in elements if element is not DEEP)
    if shortest > LONGEST_NAME:
        message = f"matches nothing: no name is longer than {LONGEST_NAME} bytes, and this one has {shortest} at least"
        raise complaint(text, Span(start, len(text)), message)
    return _Parsed(carves_out, _shortest_form(elements))


def _element(text: str, span: Span) -> Element:
    """Return what the component of *text* at *span* means."""
    piece = text[span.start : span.end]
    if not piece:
        hint = "a pattern covers what is below it without a last /" if span.end == len(text) else "/ follows /"
        raise complaint(text, Span(max(0, span.start - 1), span.end), f"empty component: {hint}")
    if piece == "**":
        return DEEP
    if "**" in piece:
        place = span.start + piece.index("**")
        message = "** crosses / as a component of its own: **/*.py is every .py below"
        raise complaint(text, Span(place, place + 2), message)
    parts: list[bytes] = []
    place = span.start
    for part in piece.split("*"):
        parts.append(unescaped(text, Span(place, place + len(part)), forbidden=b"/\0"))
        place += len(part) + 1
    if len(parts) > 1:
        return Glob(tuple(parts))
    if parts[0] in {b".", b".."}:
        raise complaint(text, span, f"matches nothing: a canonical name has no component {piece}")
    return parts[0]


def unescaped(text: str, span: Span, *, forbidden: bytes = b"") -> bytes:
    """
    Return the bytes for which the part of *text* at *span* stands.

    Raises PolicyError: a bad escape, or one of the *forbidden* bytes, which cannot be there.
    """
    value = bytearray()
    place = span.start
    while place < span.end:
        escaped = _ESCAPE.match(text, place, span.end)
        here = Span(place, escaped.end() if escaped else place + 1)
        if escaped:
            value += bytes.fromhex(escaped[1])
        elif text[place] == "\\":
            message = r"\ is followed by x and two hexadecimal digits; a backslash itself is \x5c"
            raise complaint(text, here, message)
        else:
            value += _encoded(text, here)
        if value[-1] in forbidden:
            raise complaint(text, here, "matches nothing: no component has a NUL or a / in it")
        place = here.end
    return bytes(value)


def _encoded(text: str, span: Span) -> bytes:
    try:
        return text[span.start : span.end].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise complaint(text, span, "half a character; bytes are written \\xNN") from None


def _shortest(element: bytes | Glob) -> int:
    """Return how many bytes the shortest component has that *element* stands for."""
    return len(element) if isinstance(element, bytes) else max(1, sum(map(len, element.parts)))


def _shortest_form(written: Iterable[Element]) -> Elements:
    """
    Return the elements that cover the same names, with no ``**`` beside a ``**`` or at the end.

    A run of ``*`` and ``**`` says how many components there are at least: the stars go first.
    At the end ``**`` is one component at least, and covers what is below it, as ``*`` does.
    """
    elements = [*written]
    if elements[-1] is DEEP:
        elements[-1] = ANY
    shortest: list[Element] = []
    deep = False
    for element in elements:
        if element is DEEP:
            deep = True
            continue
        if deep and element != ANY:
            shortest.append(DEEP)
            deep = False
        shortest.append(element)
    return tuple(shortest)
