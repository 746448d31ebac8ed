"""An object says what its event said, whatever bytes a target put into it."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import testing
from monitor.events.jsonl import JsonLines, record_of
from monitor.events.output import Output
from monitor.events.record import (
    Dropped,
    Event,
    HandlerFailed,
    OutOfFds,
    RacyAllow,
    SlowHandler,
    SupervisionFailed,
    TargetExited,
    TargetStarted,
)
from monitor.notify.verdict import Allow, InjectFd, Kill, Return, Verdict
from tests.events.made import answered, refused


def parsed(event: Event, seq: int = 0) -> dict[str, Any]:
    """Return what a reader of the line gets."""
    line = json.dumps(record_of(event, seq))
    assert line.isascii()
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def raw(value: Any) -> bytes:
    """Read back what is text or base64."""
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def test_a_call_has_every_field() -> None:
    assert parsed(answered(), 7) == {
        "schema": 1,
        "seq": 7,
        "ts": 1_700_000_000.25,
        "event": "call",
        "pid": 4710,
        "tid": 4711,
        "comm": "sh",
        "exe": "/bin/sh",
        "arch": "x86_64",
        "nr": 257,
        "syscall": "openat",
        "args": ["0xffffff9c", "0x1000", "0x0", "0x0", "0x0", "0x0"],
        "decoded": {"dirfd": "AT_FDCWD", "pathname": "/etc/shadow", "flags": "O_RDONLY"},
        "path": "/etc/shadow",
        "access": None,
        "canonical": None,
        "address": None,
        "verdict": "deny",
        "errno": 13,
        "errno_name": "EACCES",
        "ret": -1,
        "rule": "guard",
        "would": None,
        "by": "handler",
        "scope": None,
        "observed": False,
        "delivered": True,
        "latency_us": 500.0,
    }


@pytest.mark.parametrize(
    ("verdict", "name", "value"),
    [
        (Allow(), "allow", None),
        (Return(5), "return", 5),
        (Kill(signal.SIGTERM), "kill", None),
        (InjectFd(0, close_on_exec=True), "inject", None),
    ],
)
def test_each_verdict_has_its_name(verdict: Verdict, name: str, value: int | None) -> None:
    found = parsed(refused(verdict))

    assert (found["verdict"], found["ret"], found["errno"], found["errno_name"]) == (name, value, None, None)


@given(st.binary().filter(lambda data: b"\0" not in data), st.binary(max_size=15))
def test_hostile_bytes_come_back_as_they_were(path: bytes, comm: bytes) -> None:
    rendered = testing.call("openat", pathname=path).render()
    found = parsed(answered(rendered=rendered, comm=os.fsdecode(comm), exe=path))

    if len(path) < 4096:
        assert raw(found["path"]) == raw(found["decoded"]["pathname"]) == path
    assert (raw(found["comm"]), raw(found["exe"])) == (comm, path)


def test_an_address_is_shown_as_one() -> None:
    call = testing.call("connect", sockfd=3, addr=bytes.fromhex("02000050 7f000001 0000000000000000"))
    found = parsed(answered(name="connect", nr=42, rendered=call.render(), args=call.registers))

    assert found["address"] == '{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}'
    assert found["path"] is None


def test_a_call_without_words_has_its_registers() -> None:
    found = parsed(answered(rendered=None, arch=None, name="syscall_0x270f"))

    assert (found["decoded"], found["path"], found["arch"]) == ({}, None, None)


def test_start_and_end_are_told() -> None:
    started = parsed(TargetStarted(pid=4, path=b"/bin/sh", argv=(b"sh", b"\xff"), variables=0))
    ended = parsed(TargetExited(pid=4, status=137, killed_by=9))

    assert (started["event"], started["exe"], started["argv"]) == ("start", "/bin/sh", ["sh", {"b64": "/w=="}])
    assert (ended["event"], ended["status"], ended["signal"]) == ("exit", 137, "SIGKILL")


@pytest.mark.parametrize(
    "event",
    [
        HandlerFailed(name="openat", tid=1, handler="guard", error=ValueError("no"), traceback="..."),
        RacyAllow(name="openat", tid=1, handler=None),
        SlowHandler(name="openat", handler="guard", seconds=0.5, suppressed=0),
        OutOfFds(times=1),
        SupervisionFailed(error=ValueError("no")),
    ],
    ids=lambda event: type(event).__name__,
)
def test_each_trouble_of_ours_is_an_error_of_its_kind(event: Event) -> None:
    found = parsed(event)

    assert (found["event"], found["kind"]) == ("error", type(event).__name__)
    assert found["message"]


def test_what_is_missing_is_counted() -> None:
    assert parsed(Dropped(count=3))["count"] == 3


def test_lines_are_numbered_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with Output.to_file(str(path), print) as output:
        sink = JsonLines(output)
        for _ in range(3):
            sink(answered())

    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 1, 2]
