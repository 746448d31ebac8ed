"""
Where in a TOML text each key and each element stands: what ``tomllib`` does not tell.

What it is not: a parser.  It follows a text that ``tomllib`` has read without complaint, and so
may believe in every quote and bracket; of values it sees where they begin and end, no more.

A *path* is how one walks to a value: ``("syscalls", 2, "names", 0)``.

Source: TOML 1.0.0, https://toml.io/en/v1.0.0.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise
from tomllib import loads
from typing import Final, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]


class Position(NamedTuple):
    """A place in the text, both numbers from 1."""

    line: int
    column: int


class Block(NamedTuple):
    """The lines of a table, from that of its header to that where its last value ends; from 1, both included."""

    first: int
    last: int


_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_STRING: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''',
    re.DOTALL,
)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_DOT: Final = re.compile(r"[ \t]*\.[ \t]*")
_PLAIN: Final = re.compile(r"[^,\]}#\n]*")
"""A number, a date, a truth value: whatever is neither a string nor a container."""


MAX_PARTS: Final = 32
"""Of a dotted key: ``tomllib`` takes memory by their square, and no policy has more than a few."""

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_LONG_KEY: Final = re.compile(
    rf"(?P<long>{_KEY}(?:{_DOT.pattern}{_KEY}){{{MAX_PARTS}}})|{_STRING.pattern}|#[^\n]*|[A-Za-z0-9_-]+", re.DOTALL
)
"""A key of more parts; or what could be taken for a piece of one, and is a string, a comment or a word."""


def long_key(text: str) -> Position | None:
    """Return where a key of more than ``MAX_PARTS`` begins; *text* need not be TOML."""
    for match in _LONG_KEY.finditer(text):
        if match["long"] is not None:
            return Position(text.count("\n", 0, match.start()) + 1, match.start() - text.rfind("\n", 0, match.start()))
    return None


def positions(text: str) -> Mapping[Path, Position]:
    """Return for each key, table and array element of *text* where it stands; of a table its first header."""
    return _Scanner(text).document()


def blocks(text: str) -> Mapping[Path, Block]:
    """Return for each table that *text* writes with a header the lines of it; those of a sub-table are its own."""
    scanner = _Scanner(text)
    scanner.document()
    return {
        path: Block(first, max(scanner.last_lines[begin:end], default=first))
        for (path, first, begin), (_, _, end) in pairwise([*scanner.headers, ((), 0, len(scanner.last_lines))])
    }


def path_text(path: Path) -> str:
    """Return ``syscalls[2].names[0]``; the first element of an array is [0]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


class _Scanner:
    """One walk through a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._found: dict[Path, Position] = {}
        self._counts: dict[Path, int] = {}
        self.headers: list[tuple[Path, int, int]] = []
        """Of each header: the table, its line, and how many pairs stood before it."""
        self.last_lines: list[int] = []
        """Of each pair: the line in which its value ends."""

    def document(self) -> Mapping[Path, Position]:
        prefix: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                line = self._line(self._at)
                prefix = self._header()
                self.headers.append((prefix, line, len(self.last_lines)))
            else:
                self._pair(prefix)
                self.last_lines.append(self._line(self._at - 1))
            self._skip()
        return self._found

    def _skip(self) -> None:
        match = _BLANK.match(self._text, self._at)
        assert match is not None  # it matches nothing, too
        self._at = match.end()

    def _line(self, at: int) -> int:
        return bisect_right(self._lines, at)

    def _note(self, path: Path, at: int) -> None:
        line = self._line(at)
        self._found.setdefault(path, Position(line, at - self._lines[line - 1] + 1))

    def _header(self) -> Path:
        begin = self._at
        brackets = 2 if self._text.startswith("[[", begin) else 1
        self._at += brackets
        keys = [key for key, _ in self._keys()]
        self._at += brackets
        path: Path = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            self._note(path, begin)
            last = depth == len(keys) - 1
            if last and brackets == 2:  # noqa: PLR2004  # [[...]]: an element more
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:  # of an array of tables the last one is meant
                path = (*path, self._counts[path])
                self._note(path, begin)
        return path

    def _keys(self) -> Iterator[tuple[str, int]]:
        """Yield the parts of a dotted key, and where each begins; stop behind the blanks that follow it."""
        self._blanks()
        while True:
            begin = self._at
            match = _STRING.match(self._text, begin) or _BARE_KEY.match(self._text, begin)
            assert match is not None
            self._at = match.end()
            yield (loads(f"key = {match[0]}")["key"] if match[0][0] in "\"'" else match[0]), begin
            dot = _DOT.match(self._text, self._at)
            if dot is None:
                self._blanks()
                return
            self._at = dot.end()

    def _blanks(self) -> None:
        while self._text[self._at : self._at + 1] in {" ", "\t"}:
            self._at += 1

    def _pair(self, prefix: Path) -> None:
        path = prefix
        for key, begin in self._keys():
            path = (*path, key)
            self._note(path, begin)
        self._at += 1  # =
        self._blanks()
        self._value(path)

    def _value(self, path: Path) -> None:
        match self._text[self._at : self._at + 1]:
            case "[":
                self._elements(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                string = _STRING.match(self._text, self._at)
                assert string is not None
                self._at = string.end()
            case _:
                plain = _PLAIN.match(self._text, self._at)
                assert plain is not None
                self._at = plain.end()

    def _elements(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._more("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._more("}"):
            self._pair(path)

    def _more(self, closing: str) -> bool:
        """Whether another element begins here; if not, the container is left behind."""
        self._skip()
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip()
        if self._text.startswith(closing, self._at):
            self._at += 1
            return False
        return True
