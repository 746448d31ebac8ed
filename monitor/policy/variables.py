"""
The words in a policy file that stand for something else: ``$PROJECT``, ``$NAME``, ``~``.

What it is not: patterns (``paths``).  A value is literal wherever it is put: stars in it mean
themselves.  The environment gives no variables; a policy must not mean something else in another
shell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attrs import evolve, field, frozen

from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USE: Final = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*)|)")
_HOME: Final = re.compile(r"(!?(?:unix:)?)~([^/]*)")


def _values(given: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            message = f"{name!r} is no name of a variable: letters, digits and _, no digit first"
            raise PolicyError(message)
        if "\0" in value:
            message = f"the value of {name} has a NUL in it, which no path can have"
            raise PolicyError(message)
    return MappingProxyType(dict(given))


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
        escaped = _plain if escape is None else escape

        def value(match: re.Match[str]) -> str:
            return escaped(os.fsencode(self._value(match, origin)))

        expanded = _USE.sub(value, text)
        home = _HOME.match(text)
        if home is None:
            return expanded
        if home[2]:
            message = f"~{home[2]} is not known here; ~ alone is the home of the user who runs the program"
            raise PolicyError(message, _or_none(origin))
        return home[1] + escaped(os.fsencode(self.home)) + expanded[home.end() :]

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


def _plain(value: bytes) -> str:
    return os.fsdecode(value)


def _or_none(origin: Origin) -> Origin | None:
    return None if origin == NOWHERE else origin
