"""
The fields of an answered call as JSON: what docs/events.md lists.

What it is not: a line (``jsonl``, ``callline``), or the fields of other events (``jsonl``).
Bytes that are not UTF-8 are ``{"b64": "..."}``; control characters are JSON's own escapes.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.abi.constants import errno_name
from monitor.events.record import CallAnswered
from monitor.notify.account import Outcome, Would
from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return, Verdict

if TYPE_CHECKING:
    from monitor.notify.render import Rendered

Json: TypeAlias = str | int | float | list["Json"] | dict[str, "Json"] | None

as_json: Final[Callable[[Mapping[str, Json]], str]] = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
"""One line of ASCII."""


def who_fields(tid: int, pid: int, comm: str, exe: bytes) -> dict[str, Json]:
    """Return who made a call."""
    return {"pid": pid, "tid": tid, "comm": text_or_bytes(os.fsencode(comm)), "exe": text_or_bytes(exe)}


def call_fields(arch: Arch | None, nr: int, name: str) -> dict[str, Json]:
    """Return which call it was."""
    return {"arch": None if arch is None else arch.table, "nr": nr, "syscall": name}


def register_fields(registers: tuple[int, ...]) -> dict[str, Json]:
    """Return what its registers held."""
    return {"args": [f"{register:#x}" for register in registers]}


def said_fields(rendered: Rendered | None, arch: Arch | None, name: str) -> dict[str, Json]:
    """Return what it said in words: strings whole, all else as strace writes it."""
    decoded: dict[str, Json] = {}
    if rendered is None or not rendered.names:
        return {"decoded": decoded, "path": None, "address": None}
    for argument, text in zip(rendered.names, rendered.texts, strict=False):
        data = rendered.strings.get(argument)
        decoded[argument] = text_of(text) if data is None else text_or_bytes(data)
    paths, addresses = _arguments(arch, name)
    path = next((decoded[argument] for argument in paths if argument in rendered.strings), None)
    address: Json = None
    for argument in addresses:
        if argument in decoded:
            shown = decoded[argument]
            address = shown if argument in rendered.strings or (isinstance(shown, str) and shown[:1] == "{") else None
            break
    return {"decoded": decoded, "path": path, "address": address}


@lru_cache(1024)
def _arguments(arch: Arch | None, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which arguments of a call are paths, and which are socket addresses."""
    signature = None if arch is None else syscalls.signature_of(arch, name)
    arguments = () if signature is None else signature.arguments
    paths = tuple(argument.name for argument in arguments if argument.kind == "path")
    return paths, tuple(argument.name for argument in arguments if argument.kind == "sockaddr")


def decided_fields(
    answer: Outcome | CallAnswered, *, result: int | None, observed: bool, delivered: bool
) -> dict[str, Json]:
    """Return how a call was answered, and by whom; *result* is that of a call that was done for its target."""
    verdict, number, value = _answer(answer.verdict)
    if result is not None:
        number, value = (-result, -1) if result < 0 else (None, result)
    return {
        "access": answer.access or None,
        "canonical": None if answer.path is None else text_or_bytes(answer.path),
        "verdict": verdict,
        "errno": number,
        "errno_name": None if number is None else errno_name(number),
        "ret": value,
        "rule": rule_of(answer),
        "would": None if answer.would is None else _would(answer.would),
        "by": answer.by,
        "scope": answer.scope or None,
        "observed": observed,
        "delivered": delivered,
    }


def rule_of(answer: Outcome | CallAnswered) -> Json:
    """Return the rule or the handler that decided, or None."""
    if answer.rule is not None:
        return text_of(str(answer.rule))
    return None if answer.handler is None else text_of(answer.handler)


def _answer(verdict: Verdict) -> tuple[str, int | None, int | None]:  # noqa: PLR0911  # one for each kind of verdict
    """Return a verdict's name, errno, and value."""
    match verdict:
        case Allow():
            return "allow", None, None
        case Deny(number):
            return "deny", number, -1
        case Return(value):
            return "return", None, value
        case InjectFd():
            return "inject", None, None
        case Kill():
            return "kill", None, None
        case Pass():
            return "pass", None, None
        case Emulate():
            return "emulate", None, None
        case _:
            assert_never(verdict)


def _would(would: Would) -> Json:
    """Return what an observed policy says; -1 is what a call that fails returns."""
    name = None if would.errno is None else errno_name(would.errno)
    return {"verdict": would.action, "errno_name": name, "ret": would.value if name is None else -1}


def text_or_bytes(data: bytes) -> Json:
    """Return *data* as text, or as base64 where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"b64": b64encode(data).decode("ascii")}


def text_of(text: str) -> Json:
    """Return *text*, or what it stands for as base64 where that is not UTF-8: no reader gets half a character."""
    try:
        return text_or_bytes(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return text_or_bytes(text.encode("utf-8", "surrogatepass"))
