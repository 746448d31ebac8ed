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
from monitor.events.fields import as_json
from monitor.events.jsonl import JsonLines, TracedJson, record_of
from monitor.events.output import Output
from monitor.events.record import (
    Dropped,
    Event,
    HandlerFailed,
    OutOfFds,
    PolicyReplaced,
    RacyAllow,
    SlowHandler,
    SupervisionFailed,
    TargetExited,
    TargetStarted,
)
from monitor.notify.look import Look
from monitor.notify.render import Rendered
from monitor.notify.verdict import Allow, Emulate, InjectFd, Kill, Return, Verdict
from monitor.origin import Origin
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
        "container": None,
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


def test_an_address_that_could_not_be_read_is_none() -> None:
    call = testing.call("connect", sockfd=3, addr=0)
    found = parsed(answered(name="connect", nr=42, rendered=call.render(), args=call.registers))

    assert found["decoded"]["addr"] == "NULL"
    assert found["address"] is None


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


def test_another_policy_is_told() -> None:
    found = parsed(PolicyReplaced(name="strict", calls=("mkdir", "rmdir")))

    assert (found["event"], found["policy"], found["calls"]) == ("policy", "strict", ["mkdir", "rmdir"])


def test_every_line_names_the_container_of_its_run(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with JsonLines(path, container="web\n1") as sink:
        sink(answered())
        sink(OutOfFds(times=1))

    assert [json.loads(line)["container"] for line in path.read_text().splitlines()] == ["web\n1"] * 2


def test_lines_are_numbered_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with JsonLines(path) as sink:
        for _ in range(3):
            sink(answered())

    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 1, 2]


def test_the_objects_of_a_trace_are_the_same(tmp_path: Path) -> None:
    with Output.to_file(str(tmp_path / "traced"), print) as output, JsonLines(tmp_path / "lines") as sink:
        traced = TracedJson(output, Look())
        for event in (answered(), OutOfFds(times=1, time=1.0)):
            sink(event)
            traced(event)

    assert (tmp_path / "traced").read_bytes() == (tmp_path / "lines").read_bytes()


ERRNOS = range((1 << 64) - 4095, 1 << 64)
"""What no call returns: to the target these are errors."""

ANY_TEXT = st.text(st.characters(), max_size=20)
"""Control characters, line separators, and halves of surrogate pairs too."""


def read_back(value: Any) -> bytes:
    """Return the bytes that a text stood for."""
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def meant(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


@given(
    texts=st.tuples(*[ANY_TEXT] * 4),
    data=st.tuples(*[st.binary(max_size=30)] * 3),
    args=st.tuples(*[st.integers(0, (1 << 64) - 1)] * 6),
    value=st.integers(-(1 << 63), (1 << 64) - 1).filter(lambda value: value % (1 << 64) not in ERRNOS),
    number=st.integers(0, 1 << 70),
)
def test_what_a_reader_decodes_is_what_the_record_held(
    texts: tuple[str, ...], data: tuple[bytes, ...], args: tuple[int, ...], value: int, number: int
) -> None:
    """Whatever is in it, an event is one line of ASCII, and a strict reader of UTF-8 gets each field back."""
    handler, shown, file, name = texts
    path, exe, canonical = data
    rendered = Rendered("openat", ("dirfd", "pathname"), (shown, ""), {"pathname": path})
    event = answered(
        rendered=rendered, comm=os.fsdecode(exe), exe=exe, path=canonical, args=args, verdict=Return(value),
        handler=handler, nr=number, latency_seconds=1e-6 * (number % 1000),
    )  # fmt: skip
    line = as_json(record_of(event, number, name)).encode()
    found = json.loads(line, parse_constant=fail)

    assert line.isascii()
    assert all(0x20 <= byte < 0x7F for byte in line)
    assert found["args"] == [hex(word) for word in args]
    assert (found["seq"], found["nr"], found["ret"]) == (number, number, value)
    assert (read_back(found["path"]), read_back(found["exe"]), read_back(found["canonical"])) == (path, exe, canonical)
    assert read_back(found["comm"]) == exe
    assert read_back(found["decoded"]["dirfd"]) == meant(shown)
    assert read_back(found["rule"]) == meant(handler)
    assert read_back(found["container"]) == meant(name)
    assert read_back(parsed(answered(rule=Origin(file, 3)))["rule"]) == meant(str(Origin(file, 3)))


def fail(constant: str) -> None:
    raise AssertionError(constant)


@pytest.mark.parametrize(
    ("result", "said"),
    [(-2, (2, "ENOENT", -1)), (0, (None, None, 0)), (7, (None, None, 7)), (None, (None, None, None))],
)
def test_what_a_call_that_was_done_came_to_is_told_as_the_program_got_it(
    result: int | None, said: tuple[int | None, str | None, int | None]
) -> None:
    found = record_of(answered(verdict=Emulate(), result=result), 0)

    assert (found["errno"], found["errno_name"], found["ret"]) == said
