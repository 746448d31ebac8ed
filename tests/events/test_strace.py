"""A line says who called what and what came of it, in strace's look, and nothing in it can forge another."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import testing
from monitor.abi.arch import Arch
from monitor.events.output import Output
from monitor.events.record import (
    CallAnswered,
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
from monitor.events.strace import Clock, StraceLines, call_text, who_text
from monitor.notify.look import Look
from monitor.notify.verdict import Allow, InjectFd, Kill, Return
from tests.events.made import answered, refused

STARTED = TargetStarted(pid=42, path=b"/bin/echo", argv=(b"echo", b"a\nb" * 20), variables=2, time=1.0)


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    """Return a function that gives the lines a sink with some options writes for some events."""

    def write(*events: Event, look: Look | None = None, **options: Any) -> list[str]:
        path = tmp_path / "lines"
        with Output.to_file(str(path), print) as output:
            sink = StraceLines(output, look=look or Look(), **options)
            for event in events:
                sink(event)
        return path.read_text().splitlines()

    return write


@pytest.mark.parametrize(
    ("event", "result"),
    [
        (answered(), "= -1 EACCES (Permission denied) <denied: guard>"),
        (answered(handler=None, by="default"), "= -1 EACCES (Permission denied) <denied: default>"),
        (refused(Allow()), "= ? <allowed>"),
        (refused(Allow(racy="seen"), handler=None), "= ?"),
        (refused(Return(7)), "= 7 <emulated>"),
        (refused(Kill(signal.SIGTERM)), "= ? <killed with SIGTERM: guard>"),
    ],
)
def test_each_verdict_has_its_result(event: CallAnswered, result: str) -> None:
    assert call_text(event) == f'openat(AT_FDCWD, "/etc/shadow", O_RDONLY) {result}'


def test_an_injected_descriptor_is_said_to_be_one() -> None:
    verdict = InjectFd(0, close_on_exec=True)

    assert call_text(refused(verdict)).endswith(" = ? <injected>")


def test_the_result_of_a_short_call_stands_in_straces_column(lines: Any) -> None:
    short = answered(rendered=testing.call("close", fd=3).render())

    assert [line.index("=") for line in lines(short) + lines(short, clock=Clock.SECONDS)] == [40, 40]


def test_without_words_there_are_registers() -> None:
    assert call_text(answered(rendered=None)).startswith("openat(0xffffff9c, 0x1000, 0, 0) = ")


def test_a_file_has_the_number_and_a_terminal_the_name(lines: Any) -> None:
    assert lines(answered())[0].startswith("4711  openat(")
    assert lines(answered(), names=True)[0].startswith("[pid 4711 sh] openat(")
    assert lines(answered(tid=1234567))[0].startswith("1234567 openat(")


@given(st.text())
def test_a_thread_cannot_choose_a_name_that_looks_like_a_line(name: str) -> None:
    shown = who_text(1, name)

    assert shown.isascii()
    assert shown.isprintable()


def test_the_time_is_when_the_call_came(lines: Any) -> None:
    """The answer came half a millisecond later, at .25 s."""
    second = time.strftime("%H:%M:%S", time.localtime(1_700_000_000))

    assert lines(answered(), clock=Clock.SECONDS)[0].startswith(f"4711  {second} openat")
    assert lines(answered(), clock=Clock.MICROSECONDS)[0].startswith(f"4711  {second}.249500 openat")
    assert lines(answered(), clock=Clock.EPOCH)[0].startswith("4711  1700000000.249500 openat")


def test_a_relative_time_is_that_since_the_line_before(lines: Any) -> None:
    later = answered(time=1_700_000_001.75)
    earlier = answered(time=1_700_000_000.0)  # the clock was put back
    shown = [line.split()[1] for line in lines(answered(), later, earlier, clock=Clock.RELATIVE)]

    assert shown == ["0.000000", "1.500000", "0.000000"]


def test_the_launch_and_the_end_are_lines_too(lines: Any) -> None:
    ended = TargetExited(pid=42, status=3, killed_by=0)
    killed = TargetExited(pid=42, status=137, killed_by=9)

    assert lines(STARTED, ended, killed, look=Look(string_limit=5)) == [
        r'42    execve("/bin/echo", ["echo", "a\nba\n"...], [/* 2 vars */]) = 0',
        "42    +++ exited with 3 +++",
        "42    +++ killed by SIGKILL +++",
    ]
    assert lines(STARTED, launch_shown=False) == []


@pytest.mark.parametrize(
    "event",
    [
        HandlerFailed(name="openat", tid=1, handler="guard", error=ValueError("no\nline"), traceback="..."),
        RacyAllow(name="openat", tid=1, handler=None),
        SlowHandler(name="openat", handler="guard", seconds=0.5, suppressed=0),
        OutOfFds(times=1),
        SupervisionFailed(error=ValueError("no")),
        Dropped(count=3),
    ],
    ids=lambda event: type(event).__name__,
)
def test_each_trouble_of_ours_is_a_line_of_its_own(lines: Any, event: Event) -> None:
    (line,) = lines(event)

    assert line.startswith("seccomp-monitor: ")


def test_words_of_a_call_whose_answer_was_not_delivered_are_thrown_away(tmp_path: Path) -> None:
    """They may be those of another thread, which got the number meanwhile."""
    path = tmp_path / "lines"
    raw = (1, 4711, 0, 257, Arch.X86_64.audit_value, 0, 0xFFFFFF9C, 0x1000, 0, 0, 0, 0)
    with Output.to_file(str(path), print) as output:
        sink = StraceLines(output, look=Look())
        for delivered in (True, False):
            noted = ("", 'openat(AT_FDCWD, "/other", O_RDONLY)')
            sink.tell(raw, "openat", Arch.X86_64, noted, 0.0, 0.0, delivered)

    assert path.read_text().splitlines() == [
        '4711  openat(AT_FDCWD, "/other", O_RDONLY) = ?',
        "4711  openat(AT_FDCWD, 0x1000, O_RDONLY) = ?",
    ]
