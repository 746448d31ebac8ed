"""
Policies as TOML: a file to a ``Policy`` with everything it includes, and back.

What it is not: the keys (``shapes``, docs/policy.md), or edits that keep comments (``edit``).

A policy is read whole or not at all, and what it includes with it: every error is one PolicyError
with the file, the line and the key.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike, fspath
from os.path import realpath
from pathlib import Path
from typing import Final, TypeAlias

from attrs import define, field, frozen

from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy import shipped
from monitor.policy.meaning import Reading
from monitor.policy.model import Policy
from monitor.policy.positions import Path as Keys
from monitor.policy.shapes import FileShape, GrantsShape, PolicyShape
from monitor.policy.structure import read
from monitor.policy.tables import Grants
from monitor.policy.variables import Variables
from monitor.policy.verify import verify
from monitor.policy.writing import dumps

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_LAYERS",
    "Presets",
    "dumps",
    "load",
    "load_grants",
    "loads",
    "loads_grants",
    "read_text",
]

MAX_BYTES: Final = 1 << 20
"""Of one file."""

MAX_DEPTH: Final = 16
"""Of files that include files."""

MAX_LAYERS: Final = 64
"""Of files that one policy includes and extends, each counted as often as it is named."""

Presets: TypeAlias = Callable[[str], str]
"""From the name of a preset to its text; raises PolicyError for one that is not there."""


def load(path: str | PathLike[str], *, variables: Variables | None = None, presets: Presets = shipped.text) -> Policy:
    """
    Return the policy in the file *path*, or ``preset:NAME``.

    ``$PROJECT`` is the directory of the file, if nobody set it, and for a preset the current one.

    Raises:
        PolicyError: the file cannot be read, or does not say what a policy can say.
    """
    source = _source_of(fspath(path), Path())
    return _Loader(_placed(variables, source), presets).policy(source, NOWHERE)


def loads(
    text: str,
    origin: Origin = NOWHERE,
    *,
    variables: Variables | None = None,
    presets: Presets = shipped.text,
    directory: str | PathLike[str] | None = None,
) -> Policy:
    """
    Return the policy that *text* says; its errors name ``origin.file``.

    What it includes is looked for in *directory*, by default the current one, which is ``$PROJECT``, too.

    Raises:
        PolicyError: it does not say what a policy can say.
    """
    source = _Source(origin.file, None, Path() if directory is None else Path(directory))
    if len(text) > MAX_BYTES:
        raise PolicyError(_TOO_LONG, Origin(source.name))
    return _Loader(_placed(variables, source), presets).parsed(text, source)


def load_grants(path: str | PathLike[str], *, variables: Variables | None = None) -> Grants:
    """
    Return the remembered answers in the file *path*, which has nothing else.

    Raises:
        PolicyError: the file cannot be read, or has something else in it.
    """
    source = _source_of(fspath(path), Path())
    return loads_grants(_text_of(source, shipped.text), Origin(source.name), variables=_placed(variables, source))


def loads_grants(text: str, origin: Origin = NOWHERE, *, variables: Variables | None = None) -> Grants:
    """
    Return the remembered answers that *text* says, which has nothing else; its errors name ``origin.file``.

    Raises:
        PolicyError: it has something else in it.
    """
    shape, places = read(text, GrantsShape, origin.file)
    return Reading(places, variables or Variables()).grants(shape.grants or ())


_TOO_LONG: Final = f"longer than {MAX_BYTES} bytes, as no policy is"


@frozen
class _Source:
    """
    A text that is to be read.

    Attributes:
        name: what errors call it.
        path: the file; None for a preset, and for a text that came without one.
        directory: where what it includes is looked for; None for a preset.
    """

    name: str
    path: Path | None
    directory: Path | None

    @property
    def identity(self) -> str:
        """What it shares with another spelling of the same file."""
        return self.name if self.path is None else realpath(self.path)


def _placed(variables: Variables | None, source: _Source) -> Variables:
    return (variables or Variables()).with_project(str((source.directory or Path()).absolute()))


def _source_of(reference: str, directory: Path | None) -> _Source:
    if reference.startswith(shipped.PREFIX):
        return _Source(reference, None, None)
    if "\0" in reference or not reference:
        message = f"{reference!r} is no name of a file"
        raise PolicyError(message)
    if directory is None:
        message = f"a preset includes presets alone, not {reference!r}"
        raise PolicyError(message)
    path = directory / reference
    return _Source(str(path), path, path.parent)


def _text_of(source: _Source, presets: Presets) -> str:
    if source.path is None:
        return presets(source.name.removeprefix(shipped.PREFIX))
    try:
        with source.path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise PolicyError(message, Origin(source.name)) from None
    return read_text(data, source.name)


def read_text(data: bytes, name: str) -> str:
    """
    Return the text of the file *name*, of which *data* are the bytes.

    Raises:
        PolicyError: it is longer than ``MAX_BYTES``, or no UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise PolicyError(_TOO_LONG, Origin(name))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = Origin(name, before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        byte = data[error.start]
        message = f"not UTF-8: byte {byte:#04x}; in a pattern such a byte is written \\x{byte:02x}"
        raise PolicyError(message, place) from None


@define
class _Loader:
    """One load: the files that are being read, each included by the one before."""

    _variables: Variables
    _presets: Presets
    _open: list[_Source] = field(factory=list[_Source])
    _layers: int = 0

    def policy(self, source: _Source, origin: Origin) -> Policy:
        """Return the policy in a file or preset that is named at *origin*, and all it includes."""
        chain = [*self._open, source]
        if any(source.identity == other.identity for other in self._open):
            message = f"includes itself: {' -> '.join(one.name or 'policy' for one in chain)}"
            raise PolicyError(message, origin)
        self._layers += 1
        if len(chain) > MAX_DEPTH or self._layers > MAX_LAYERS:
            message = f"more than {MAX_DEPTH} files deep" if len(chain) > MAX_DEPTH else f"more than {MAX_LAYERS} files"
            raise PolicyError(message, origin)
        try:
            text = _text_of(source, self._presets)
        except PolicyError as error:
            raise (error if origin == NOWHERE else PolicyError(f"{source.name}: {error.message}", origin)) from None
        return self.parsed(text, source)

    def parsed(self, text: str, source: _Source) -> Policy:
        """Return the policy that *text* says."""
        shape, places = read(text, FileShape, source.name)
        self._open.append(source)
        policy = self._meant(shape, Reading(places, self._variables), source)
        self._open.pop()
        verify(policy)
        return policy

    def _meant(self, shape: FileShape, reading: Reading, source: _Source) -> Policy:
        head = shape.policy
        extends = None if head.extends is None else self._other(head.extends, reading, source, ("policy", "extends"))
        beneath = extends or Policy(_name(head, source))
        default, exact_errno = (
            (beneath.default, beneath.exact_errno)
            if head.syscalls_default is None
            else reading.default(head.syscalls_default, ("policy", "syscalls-default"))
        )
        known_as_of = beneath.known_as_of if head.known_as_of is None else reading.known_as_of(head.known_as_of)
        if shape.files is not None and known_as_of is None:
            message = "[files] needs known-as-of: a call that the policy does not know would go around it"
            raise PolicyError(message, reading.places.origin(("files",)))
        rules = tuple(reading.rule(rule, ("syscalls", index)) for index, rule in enumerate(shape.syscalls or ()))
        named = enumerate(head.include or ())
        includes = tuple(self._other(one, reading, source, ("policy", "include", index)) for index, one in named)
        return Policy(
            _name(head, source),
            default,
            exact_errno=exact_errno,
            rules=rules,
            includes=includes,
            extends=extends,
            known_as_of=known_as_of,
            arches=beneath.arches if head.arches is None else reading.policy_arches(head.arches),
            other_arch=head.other_arch or beneath.other_arch,
            reason=head.reason,
            tables=reading.tables(shape),
            origin=Origin(source.name),
        )

    def _other(self, reference: str, reading: Reading, source: _Source, path: Keys) -> Policy:
        origin = reading.places.origin(path)
        try:
            other = _source_of(self._variables.expand(reference), source.directory)
        except PolicyError as error:
            raise error.at(origin) from None
        return self.policy(other, origin)


def _name(head: PolicyShape, source: _Source) -> str:
    if head.name is not None:
        return head.name
    return source.path.stem if source.path is not None else source.name.removeprefix(shipped.PREFIX) or "policy"
