"""
The words in a policy file that stand for something else: ``$PROJECT``, ``$NAME``, ``~``.

What it is not: patterns (``paths``).  A value is literal wherever it is put: stars in it mean
themselves.  The environment gives no variables; a policy must not mean something else in another
shell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from attrs import evolve, field, frozen

from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USE: Final = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*)|)")
_HOME: Final = re.compile(r"(!?(?:unix:)?)~([^/]*)")
_SLASHES: Final = re.compile(r"/+")


def _values(given: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            message = f"{name!r} is no name of a variable: letters, digits and _, no digit first"
            raise PolicyError(message)
        if "\0" in value:
            message = f"the value of {name} has a NUL in it, which no path can have"
            raise PolicyError(message)
    return MappingProxyType(dict(given))


class _Piece(NamedTuple):
    """A part of a text, as it was written or as the value of *word*."""

    text: str
    word: str = ""


@frozen
class Variables:
    """What the words stand for."""

    values: Mapping[str, str] = field(factory=dict[str, str], converter=_values, hash=False)
    """Name to value, as ``-D`` sets them; ``PROJECT`` may be among them."""
    home: str = field(factory=lambda: str(Path.home()), kw_only=True)
    """``~``: the home of the user as whom the program will run."""

    @classmethod
    def of(cls, definitions: Iterable[str], *, home: str | None = None) -> Variables:
        """
        Return the variables that *definitions* set, each of them ``NAME=VALUE``.

        Raises:
            PolicyError: a definition without ``=`` or without a name, or two of one name.
        """
        values: dict[str, str] = {}
        for definition in definitions:
            name, equals, value = definition.partition("=")
            if not equals:
                message = f"-D {definition}: a value is missing; write -D NAME=VALUE"
                raise PolicyError(message)
            if name in values:
                message = f"-D {definition}: {name} is set already, to {values[name]!r}"
                raise PolicyError(message)
            values[name] = value
        return cls(values) if home is None else cls(values, home=home)

    def with_project(self, directory: str) -> Variables:
        """Return the same, with ``$PROJECT`` where it is not set."""
        return self if "PROJECT" in self.values else evolve(self, values={"PROJECT": directory, **self.values})

    def expand(self, text: str, origin: Origin = NOWHERE, *, escape: Callable[[bytes], str] | None = None) -> str:
        """
        Return *text* with values in the place of variables, each value passed through *escape*.

        ``~`` counts at the beginning alone, behind ``!`` or ``unix:``.

        Raises:
            PolicyError: a variable that is not set, or somebody else's home.
        """
        return "".join(piece.text for piece in self._pieces(text, origin, _plain if escape is None else escape))

    def expand_path(self, text: str, origin: Origin = NOWHERE, *, escape: Callable[[bytes], str]) -> str:
        """
        Return *text*, a pattern of paths, with values in the place of variables.

        A value may be ``/``, end with it or have ``//`` in it: slashes that meet one of a value are one with
        it, as to a shell and the kernel, and none is left at the end.  Others stay as they were written.

        Raises:
            PolicyError: as for ``expand``; or the pattern begins with a value that is no absolute path.
        """
        before, *pieces = self._pieces(text, origin, escape)
        if pieces and not _bare(before.text) and not pieces[0].text.startswith("/"):
            word = pieces[0].word
            hint = "" if word == "~" else f"; set it with -D {word.strip('${}')}=/..."
            message = f"{word} is {pieces[0].text!r}, and a pattern begins with an absolute path{hint}"
            raise PolicyError(message, _or_none(origin))
        return _joined([before, *pieces])

    def _pieces(self, text: str, origin: Origin, escape: Callable[[bytes], str]) -> list[_Piece]:
        """Return what *text* is made of."""
        pieces: list[_Piece] = []
        place = 0
        home = _HOME.match(text)
        if home is not None:
            if home[2]:
                message = f"~{home[2]} is not known here; ~ alone is the home of the user who runs the program"
                raise PolicyError(message, _or_none(origin))
            pieces += [_Piece(home[1]), _Piece(escape(os.fsencode(self.home)), "~")]
            place = home.end()
        for use in _USE.finditer(text, place):
            pieces += [_Piece(text[place : use.start()]), _Piece(escape(os.fsencode(self._value(use, origin))), use[0])]
            place = use.end()
        return [*pieces, _Piece(text[place:])]

    def _value(self, match: re.Match[str], origin: Origin) -> str:
        name = match[1] if match[1] is not None else match[2]
        if name in self.values:
            return self.values[name]
        if name is None or not _NAME.fullmatch(name):
            message = r"$ begins the name of a variable; a $ in a path is \x24"
            raise PolicyError(message, _or_none(origin))
        hint = "write ~" if name == "HOME" else f"set it with -D {name}=VALUE"
        message = f"variable ${name} is not set; {hint}"
        raise PolicyError(message, _or_none(origin))


def _joined(pieces: Sequence[_Piece]) -> str:
    """Return the texts as one, each run of slashes as one slash if any of them is a value's."""
    whole = "".join(piece.text for piece in pieces)
    of_values = [piece.word != "" for piece in pieces for _ in piece.text]
    begin = len(whole) - len(_bare(whole))

    def one(run: re.Match[str]) -> str:
        if not any(of_values[run.start() : run.end()]):
            return run[0]
        return "" if run.end() == len(whole) and run.start() > begin else "/"

    return _SLASHES.sub(one, whole)


def _bare(pattern: str) -> str:
    """Return *pattern* without what stands before its path."""
    return pattern.removeprefix("!").removeprefix("unix:")


def _plain(value: bytes) -> str:
    return os.fsdecode(value)


def _or_none(origin: Origin) -> Origin | None:
    return None if origin == NOWHERE else origin
