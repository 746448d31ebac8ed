"""
Events as JSON Lines, one object each, for programs.

What it is not: for people (``strace``).  The schema has a number; within it fields are only added.
Bytes that are not UTF-8 are ``{"b64": "..."}``; control characters are JSON's own escapes.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Final, TypeAlias, assert_never

from monitor.abi import syscalls
from monitor.abi.constants import errno_name, signal_name
from monitor.events.hub import Wish
from monitor.events.output import Output
from monitor.events.record import (
    CallAnswered,
    Dropped,
    Event,
    GrantFailed,
    GrantWritten,
    HandlerFailed,
    OutOfFds,
    RacyAllow,
    SlowHandler,
    SupervisionFailed,
    TargetExited,
    TargetStarted,
)
from monitor.events.strace import trouble_text
from monitor.notify.account import Would
from monitor.notify.look import Look
from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return, Verdict

SCHEMA: Final = 1

Json: TypeAlias = str | int | float | list["Json"] | dict[str, "Json"] | None


class JsonLines:
    """
    A sink that writes an object for each event; docs/events.md lists the fields.

    Each call is written with its process, its program and its words, which costs three looks into
    /proc and one into the target's memory.
    """

    def __init__(self, output: Output, look: Look | None = None) -> None:
        """Write to *output*, which is borrowed."""
        self.wish = Wish(process=True, look=look or Look())
        self._output = output
        self._count = 0

    def __call__(self, event: Event) -> None:
        """Write *event*."""
        line = json.dumps(record_of(event, self._count), separators=(",", ":"), ensure_ascii=True)
        self._count += 1
        self._output.write_line(line)


def record_of(event: Event, seq: int) -> dict[str, Json]:  # noqa: PLR0911  # one for each kind of event
    """Return the object of *event*, which is the *seq*-th of its stream."""
    head: dict[str, Json] = {"schema": SCHEMA, "seq": seq, "ts": round(event.time, 6)}
    match event:
        case CallAnswered():
            return {**head, "event": "call", **_call_fields(event)}
        case TargetStarted():
            argv: list[Json] = [text_or_bytes(word) for word in event.argv]
            return {**head, "event": "start", "pid": event.pid, "exe": text_or_bytes(event.path), "argv": argv}
        case TargetExited():
            signal = signal_name(event.killed_by) if event.killed_by else None
            return {**head, "event": "exit", "pid": event.pid, "status": event.status, "signal": signal}
        case Dropped():
            return {**head, "event": "dropped", "count": event.count}
        case HandlerFailed() | RacyAllow():
            return {**_trouble(head, event), "tid": event.tid, "syscall": event.name, "handler": event.handler}
        case SlowHandler():
            return {**_trouble(head, event), "syscall": event.name, "handler": event.handler}
        case GrantWritten():
            return {**head, "event": "grant", "file": event.file, "difference": event.difference}
        case OutOfFds() | GrantFailed() | SupervisionFailed():
            return _trouble(head, event)
        case _:
            assert_never(event)


_Trouble: TypeAlias = HandlerFailed | RacyAllow | SlowHandler | OutOfFds | GrantFailed | SupervisionFailed


def _trouble(head: Mapping[str, Json], event: _Trouble) -> dict[str, Json]:
    return {**head, "event": "error", "kind": type(event).__name__, "message": trouble_text(event)}


def _call_fields(event: CallAnswered) -> dict[str, Json]:
    verdict, number, value = _answer(event.verdict)
    if event.result is not None:
        number, value = (-event.result, -1) if event.result < 0 else (None, event.result)
    return {
        "pid": event.pid,
        "tid": event.tid,
        "comm": text_or_bytes(os.fsencode(event.comm)),
        "exe": text_or_bytes(event.exe),
        "arch": None if event.arch is None else event.arch.table,
        "nr": event.nr,
        "syscall": event.name,
        "args": [f"{register:#x}" for register in event.args],
        "decoded": _decoded(event),
        "path": _first(event, "path"),
        "access": event.access or None,
        "canonical": None if event.path is None else text_or_bytes(event.path),
        "address": _first(event, "sockaddr"),
        "verdict": verdict,
        "errno": number,
        "errno_name": None if number is None else errno_name(number),
        "ret": value,
        "rule": event.handler if event.rule is None else str(event.rule),
        "would": None if event.would is None else _would(event.would),
        "by": event.by,
        "scope": event.scope or None,
        "observed": event.observed,
        "delivered": event.delivered,
        "latency_us": round(event.latency_seconds * 1e6, 1),
    }


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


def _decoded(event: CallAnswered) -> dict[str, Json]:
    """Return argument names and what they are: strings whole, all else as strace writes it."""
    rendered = event.rendered
    if rendered is None:
        return {}
    return {
        name: text_or_bytes(rendered.strings[name]) if name in rendered.strings else text
        for name, text in zip(rendered.names, rendered.texts, strict=False)
    }


def _first(event: CallAnswered, kind: str) -> Json:
    """Return the first argument of *kind*, if the call has one that could be read."""
    rendered = event.rendered
    signature = None if event.arch is None else syscalls.signature_of(event.arch, event.name)
    if rendered is None or signature is None:
        return None
    for argument in signature.arguments:
        if argument.kind != kind:
            continue
        if argument.name in rendered.strings:
            return text_or_bytes(rendered.strings[argument.name])
        if kind == "sockaddr" and argument.name in rendered.names:
            text = rendered.texts[rendered.names.index(argument.name)]
            return text if text.startswith("{") else None
    return None


def text_or_bytes(data: bytes) -> Json:
    """Return *data* as text, or as base64 where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"b64": b64encode(data).decode("ascii")}
