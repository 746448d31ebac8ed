"""What a service manager is told: sd_notify(3), in the datagrams that a manager receives."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from monitor.agent.notifying import Manager

SECONDS = 10


@pytest.fixture(params=["file", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """As it stands in NOTIFY_SOCKET."""
    return str(tmp_path / "notify") if request.param == "file" else f"@monitor-test-{os.getpid()}"


@pytest.fixture
def heard(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0", 1))
        listening.settimeout(SECONDS)
        yield listening


def lines(heard: socket.socket) -> list[str]:
    return heard.recv(4096).decode().split("\n")


def test_each_state_is_one_datagram_of_lines(address: str, heard: socket.socket) -> None:
    manager = Manager.of({"NOTIFY_SOCKET": address})
    manager.ready("3 containers")
    assert lines(heard) == ["READY=1", "STATUS=3 containers"]
    manager.tell("STOPPING=1")
    assert lines(heard) == ["STOPPING=1"]


def test_a_reload_says_since_when(address: str, heard: socket.socket) -> None:
    """systemd.service(5), Type=notify-reload: what does not say it is taken for an answer to an earlier one."""
    before = time.monotonic_ns() // 1000
    Manager.of({"NOTIFY_SOCKET": address}).reloading()
    state, since = lines(heard)
    key, is_given, microseconds = since.partition("=")
    assert (state, key, is_given) == ("RELOADING=1", "MONOTONIC_USEC", "=")
    assert before <= int(microseconds) <= time.monotonic_ns() // 1000


def test_nothing_of_it_is_left_for_children(address: str) -> None:
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "PATH": "/bin"}
    Manager.of(environment)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, math.inf),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "no"}, math.inf),
        ({"WATCHDOG_USEC": "0"}, math.inf),
        ({"WATCHDOG_USEC": "-5"}, math.inf),
        ({"WATCHDOG_USEC": "soon"}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_watchdog_is_for_who_it_names(said: dict[str, str], seconds: float) -> None:
    assert Manager.of({"NOTIFY_SOCKET": "/run/n", **said}).watchdog_seconds == seconds


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:5"}])
def test_where_nobody_listens_nothing_is_said(environment: dict[str, str]) -> None:
    manager = Manager.of({**environment, "WATCHDOG_USEC": "5"})
    assert manager == Manager()
    manager.ready("for nobody")


def test_a_manager_that_is_gone_or_reads_nothing_holds_nobody_up(address: str, heard: socket.socket) -> None:
    manager = Manager.of({"NOTIFY_SOCKET": address})
    for _ in range(2000):  # more than net.unix.max_dgram_qlen, and than the buffer takes
        manager.tell("STATUS=" + "x" * 1000)
    assert lines(heard)
    heard.close()
    manager.tell("STOPPING=1")


def test_the_watchdog_hears_twice_as_often_as_it_wants(address: str, heard: socket.socket) -> None:
    manager = Manager.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000"})

    async def main() -> None:
        with trio.move_on_after(9):
            await manager.keep_alive()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    heard.setblocking(False)
    told = [lines(heard) for _ in range(4)]
    assert told == [["WATCHDOG=1"]] * 4
    with pytest.raises(BlockingIOError):
        heard.recv(1)


def test_who_has_no_watchdog_says_nothing_to_it(address: str, heard: socket.socket) -> None:
    manager = Manager.of({"NOTIFY_SOCKET": address})

    async def main() -> None:
        with trio.move_on_after(10_000):
            await manager.keep_alive()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    heard.setblocking(False)
    with pytest.raises(BlockingIOError):
        heard.recv(1)
