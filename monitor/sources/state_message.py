"""
The container process state that an OCI runtime sends with a listener: found in a stream of bytes, and checked.

What it is not: a socket, or an fd (``receive``).  The message is that of runtime-spec, config-linux.md, "The
Container Process State".

A stream socket keeps no boundaries, and the runtime may keep its end open as long as the container lives: the end
of the message is the end of its JSON object, and nothing waits for the end of the stream.  It is found piece by
piece, each byte looked at once, so that a sender of single bytes costs no more than another.

Strict on types, since what follows believes them, and liberal about members that it does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NoReturn, TypeAlias, cast

from attrs import field, frozen

MOST_BYTES: Final = 1 << 20
"""Of a message: Kubernetes lets annotations alone have 256 KiB."""

DEEPEST: Final = 32
"""Levels of a message; those of the specification are three."""

LISTENER_NAME: Final = "seccompFd"
"""The only name of a descriptor that the specification has."""

_LONGEST_ID: Final = 1024

_OUTSIDE: Final = re.compile(rb'["{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')
_BLANK: Final = b" \t\r\n"

_Json: TypeAlias = str | int | float | bool | list["_Json"] | dict[str, "_Json"] | None


class MalformedStateError(ValueError):
    """What was sent is no container process state; the text says why, in words that are safe to log."""


def _unchanging(given: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(given))


@frozen
class ContainerState:
    """
    The container, as runtime-spec's State has it.  Names and annotations are chosen by whoever made it.

    *pid* is that of its first process as the runtime sees it; 0: not told.
    """

    id: str
    status: str = ""
    pid: int = 0
    bundle: str = ""
    oci_version: str = ""
    annotations: Mapping[str, str] = field(factory=dict[str, str], converter=_unchanging)


@frozen
class ProcessState:
    """
    One process with a filter: the container's first, or one that was executed in it.

    *fds* are names, in the order of the descriptors.  *pid* is as the runtime sees it; 0: not told (crun exec).
    *metadata* is ``listenerMetadata`` of the seccomp profile, as it stands there.
    """

    fds: tuple[str, ...]
    state: ContainerState
    pid: int = 0
    metadata: str = ""
    oci_version: str = ""


class StateMessage:
    """The bytes of one message, as they come."""

    def __init__(self) -> None:
        """Begin with none."""
        self._data = bytearray()
        self._looked = 0
        """How many of them have been looked at."""
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        """Whether the next byte is."""
        self.ended = False
        """Whether the object is whole."""

    def __len__(self) -> int:
        """Return how many bytes there are."""
        return len(self._data)

    def feed(self, piece: bytes) -> bool:
        """
        Take *piece*; whether the message is whole now.

        Raises MalformedStateError: it is none, or too long, or something stands behind it.
        """
        if len(self._data) + len(piece) > MOST_BYTES:
            _refuse(f"is longer than {MOST_BYTES} bytes")
        if self.ended:
            _refuse_rest(piece)
            return True
        self._data += piece
        while not self.ended and self._looked < len(self._data):
            if self._in_string:
                self._pass_string()
            elif not self._pass_structure():
                break
        if self.ended:
            _refuse_rest(self._data[self._looked :])
        return self.ended

    def _pass_string(self) -> None:
        """Go to behind the end of the string, or to the end of what is there."""
        if self._is_escaped:  # it is no end, whatever it is
            self._looked, self._is_escaped = self._looked + 1, False
            return
        found = _INSIDE.search(self._data, self._looked)
        self._looked = len(self._data) if found is None else found.end()
        if found is not None:
            self._is_escaped = found[0] == b"\\"
            self._in_string = self._is_escaped

    def _pass_structure(self) -> bool:
        """Go to behind the next bracket or quote; False: there is none."""
        if not self._depth and not self._begin():
            return False
        found = _OUTSIDE.search(self._data, self._looked)
        self._looked = len(self._data) if found is None else found.end()
        if found is None:
            return False
        match found[0]:
            case b'"':
                self._in_string = True
            case b"{" | b"[":
                self._depth += 1
                if self._depth > DEEPEST:
                    _refuse(f"is more than {DEEPEST} levels deep")
            case _:
                self._depth -= 1
                self.ended = not self._depth
        return True

    def _begin(self) -> bool:
        """Go to the first byte that is no blank; False: there is none."""
        rest = bytes(self._data[self._looked :]).lstrip(_BLANK)
        self._looked = len(self._data) - len(rest)
        if rest and not rest.startswith(b"{"):
            _refuse("is no JSON object")
        return bool(rest)

    def parsed(self) -> ProcessState:
        """
        Return what the message says; it is whole.

        Raises MalformedStateError: a member is missing, twice there, or of another type.
        """
        try:
            found = cast(
                "_Json",
                json.loads(self._data.decode(), object_pairs_hook=_members, parse_constant=_refuse_constant),
            )
        except UnicodeDecodeError:
            _refuse("is not UTF-8")
        except MalformedStateError:
            raise
        except ValueError as error:  # also an integer of more digits than Python converts
            message = f"is no JSON: {error}"
            raise MalformedStateError(message) from None
        return _process_of(_object(found, "the message"))


def _process_of(said: Mapping[str, _Json]) -> ProcessState:
    names = said.get("fds")
    if not isinstance(names, list) or not names:
        _refuse("fds is a list of names")
    fds = tuple(_text(one, "fds") for one in names)
    if fds.count(LISTENER_NAME) != 1:
        _refuse(f"fds names {LISTENER_NAME} once, not {fds.count(LISTENER_NAME)} times")
    if "state" not in said:
        _refuse("state is missing")
    return ProcessState(
        fds,
        _container_of(_object(said["state"], "state")),
        _pid(said.get("pid"), "pid"),
        _text(said.get("metadata", ""), "metadata"),
        _text(said.get("ociVersion", ""), "ociVersion"),
    )


def _container_of(said: Mapping[str, _Json]) -> ContainerState:
    ident = _text(said.get("id", ""), "state.id")
    if not ident or len(ident) > _LONGEST_ID or not ident.isprintable():
        _refuse(f"state.id is a name of 1 to {_LONGEST_ID} printable characters")
    given = said.get("annotations")
    annotations: Mapping[str, _Json] = {} if given is None else _object(given, "state.annotations")
    return ContainerState(
        ident,
        _text(said.get("status", ""), "state.status"),
        _pid(said.get("pid"), "state.pid"),
        _text(said.get("bundle", ""), "state.bundle"),
        _text(said.get("ociVersion", ""), "state.ociVersion"),
        {key: _text(value, "state.annotations") for key, value in annotations.items()},
    )


def _object(said: _Json, what: str) -> Mapping[str, _Json]:
    return said if isinstance(said, dict) else _refuse(f"{what} is no object")


def _text(said: _Json, what: str) -> str:
    if not isinstance(said, str):
        _refuse(f"{what} is no text")
    try:
        said.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        _refuse(f"{what} is no text that could be written down")
    return said


def _pid(said: _Json, what: str) -> int:
    if said is None:
        return 0
    if not isinstance(said, int) or isinstance(said, bool) or not 0 <= said < 1 << 31:
        _refuse(f"{what} is no number of a process")
    return said


def _members(pairs: list[tuple[str, _Json]]) -> dict[str, _Json]:
    found = dict(pairs)
    if len(found) != len(pairs):  # two readers could believe different ones
        _refuse("has a member twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"is no JSON: {name}")


def _refuse_rest(rest: bytes | bytearray) -> None:
    if rest.strip(_BLANK):
        _refuse("has something behind its end")


def _refuse(why: str) -> NoReturn:
    raise MalformedStateError(why)
