"""
Questions and answers as the lines of the control socket.

What it is not: the socket (``control``), or JSON itself.  docs/control-socket.md is the protocol; within a
version fields are only ever added.  What comes from outside is checked here, key by key: a line that is wrong
in any way is answered with why, and does nothing.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from errno import EPERM, errorcode
from math import isfinite
from signal import Signals
from typing import Final, TypeAlias, assert_never, cast

from monitor.abi.constants import errno_name
from monitor.approve.question import SCOPES, Answer, Question, Scope
from monitor.events.fields import text_of, text_or_bytes
from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return, Verdict
from monitor.policy.tables import Grant

VERSION: Final = 1

MAX_LINE: Final = 1 << 16
"""Bytes of a request, its end included; who sends more is not one of us."""

MOST_TOLD: Final = 1 << 20
"""Bytes of a reply: each name in it may have 4096 bytes, and each of those six in a line."""

Json: TypeAlias = str | int | float | bool | list["Json"] | dict[str, "Json"] | None

_LONGEST_WHY: Final = 1000

_ERRNOS: Final = {name: number for number, name in errorcode.items()}

_ANSWER_KEYS: Final = {
    "allow": frozenset[str](),
    "deny": frozenset({"errno"}),
    "return": frozenset({"value"}),
    "kill": frozenset({"signal"}),
}
"""Verdict -> the keys that belong to it."""


class WireError(Exception):
    """A line does not say what it would have to; the text is for who sent it."""


def parsed(line: bytes) -> dict[str, Json]:
    """
    Return the object that *line* is.

    Raises:
        WireError: it is none.
    """
    try:
        found: object = json.loads(line, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        message = f"no JSON: {error}"
        raise WireError(message) from None
    if not isinstance(found, dict):
        message = "a line is a JSON object"
        raise WireError(message)
    return cast("dict[str, Json]", found)


def _no_number(word: str) -> float:
    """Refuse NaN and infinities, which are Python's JSON and nobody else's."""
    message = f"{word} is no number"
    raise ValueError(message)


def _finite(text: str) -> float:
    found = float(text)
    return found if isfinite(found) else _no_number("what is so large")


def bytes_of(said: Json) -> bytes:
    """
    Return the bytes that *said* stands for, as ``text_or_bytes`` gives them.

    Raises:
        WireError: it stands for none.
    """
    try:
        if isinstance(said, str):
            return said.encode()
        if isinstance(said, dict) and set(said) == {"b64"} and isinstance(said["b64"], str):
            return b64decode(said["b64"], validate=True)
    except ValueError:
        pass
    message = 'text, or {"b64": ...}, is wanted'
    raise WireError(message)


def question_fields(question: Question) -> dict[str, Json]:
    """Return *question* as clients are told it."""
    return {
        "question": question.number,
        "asked": round(question.asked, 6),
        "syscall": question.call,
        "arch": None if question.arch is None else question.arch.table,
        "nr": question.nr,
        "args": [f"{register:#x}" for register in question.registers],
        "instruction_pointer": f"{question.instruction_pointer:#x}",
        "text": question.text,
        "container": None if question.container is None else text_of(question.container),
        "tid": question.tid,
        "pid": question.pid,
        "comm": text_of(question.comm),
        "exe": text_or_bytes(question.exe),
        "cwd": text_or_bytes(question.cwd),
        "about": [
            {
                "rule": text_of(str(one.rule)),
                "access": one.access or None,
                "path": None if one.path is None else text_or_bytes(one.path),
                "reason": text_of(one.reason) if one.reason else None,
            }
            for one in question.about
        ],
        "otherwise": _verdict_fields(question.otherwise),
        "emulated": question.emulated,
        "refused": question.refused,
        "scopes": list(question.scopes),
        "suggestions": [grant_fields(grant) for grant in question.suggestions],
    }


def _verdict_fields(verdict: Verdict) -> dict[str, Json]:  # one for each kind of verdict
    match verdict:
        case Allow() | Emulate():
            return {"verdict": "allow"}
        case Deny(errno):
            return {"verdict": "deny", "errno": errno_name(errno)}
        case Return(value):
            return {"verdict": "return", "value": value}
        case Kill(signal):
            return {"verdict": "kill", "signal": signal.name}
        case InjectFd():
            return {"verdict": "inject"}
        case Pass():
            return {"verdict": "pass"}
        case _:
            assert_never(verdict)


def grant_fields(grant: Grant) -> dict[str, Json]:
    """Return *grant* by the keys that it has in a file."""
    from monitor.policy.writing import grant_keys  # noqa: PLC0415  # few questions have one

    return {key: _plain(value) for key, value in grant_keys(grant).items()}


def _plain(value: object) -> Json:
    if isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("Sequence[object]", value)]
    return str(value)


def answer_of(said: Mapping[str, Json], question: Question) -> Answer:
    """
    Return the answer to *question* that a client gives: ``verdict``, what belongs to it, ``scope`` and ``why``.

    Raises:
        WireError: it says too little, too much, or what is not offered.
    """
    word = said.get("verdict")
    if not isinstance(word, str) or word not in _ANSWER_KEYS:
        message = f"verdict is one of {', '.join(_ANSWER_KEYS)}"
        raise WireError(message)
    strange = set(said) - _ANSWER_KEYS[word] - {"id", "do", "question", "verdict", "scope", "why"}
    if strange:
        message = f"{', '.join(sorted(strange))}: not for {word}"
        raise WireError(message)
    scope = _scope(said.get("scope", "once"))
    if scope not in question.scopes:
        message = f"this question can be answered for {', '.join(question.scopes)}, not for {scope}"
        raise WireError(message)
    why = said.get("why", "")
    if not isinstance(why, str) or not why.isprintable() or len(why) > _LONGEST_WHY:
        message = f"why is a line of text, of {_LONGEST_WHY} characters at most"
        raise WireError(message)
    try:
        return Answer(_verdict(word, said, question), scope, why=why)
    except ValueError as error:
        raise WireError(str(error)) from None


def _scope(said: Json) -> Scope:
    for scope in SCOPES:
        if said == scope:
            return scope
    message = f"scope is one of {', '.join(SCOPES)}"
    raise WireError(message)


def _verdict(word: str, said: Mapping[str, Json], question: Question) -> Verdict:
    match word:
        case "allow":
            return Allow()
        case "deny":
            if "errno" in said:
                return Deny(_errno(said["errno"]))
            return question.otherwise if isinstance(question.otherwise, Deny) else Deny(EPERM)
        case "return":
            return Return(_number(said.get("value"), "value", -(1 << 63), (1 << 64) - 1))
        case _:
            return Kill(_signal(said.get("signal", "SIGKILL")))


def _errno(said: Json) -> int:
    if isinstance(said, str) and said in _ERRNOS:
        return _ERRNOS[said]
    message = "errno is a name such as EACCES"
    raise WireError(message)


def _signal(said: Json) -> Signals:
    if isinstance(said, str) and said in Signals.__members__:
        return Signals[said]
    message = "signal is a name such as SIGTERM"
    raise WireError(message)


def _number(said: Json, key: str, least: int, most: int) -> int:
    if isinstance(said, int) and not isinstance(said, bool) and least <= said <= most:
        return said
    message = f"{key} is a number from {least} to {most}"
    raise WireError(message)


def number_of(said: Mapping[str, Json], key: str, least: int = 0, most: int = (1 << 64) - 1) -> int:
    """
    Return the number *key*, decimal or as ``"0x..."``.

    Raises:
        WireError: there is none, or it is out of bounds.
    """
    found = said.get(key)
    if isinstance(found, str):
        try:
            found = int(found, 0)
        except ValueError:
            found = None
    return _number(found, key, least, most)


def flag_of(said: Mapping[str, Json], key: str) -> bool:
    """Return whether *key* is wanted; where nothing is said, not.  Raises WireError: it is neither true nor false."""
    found = said.get(key, False)
    if isinstance(found, bool):
        return found
    message = f"{key} is true or false"
    raise WireError(message)


def line_of(fields: Mapping[str, Json]) -> bytes:
    """Return *fields* as a line."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
