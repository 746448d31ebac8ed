"""A listener is received however a runtime sends it, and nothing that anybody sends leaves a descriptor behind."""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

import pytest
import trio
import trio.testing

import monitor
from monitor.sources.receive import MOST_FDS, HandedOver, NotHandedOver, handed_over
from tests.sources.test_state_message import CRUN, EXEC, RUNC, changed, of_state


class Runtime:
    """The other end of a connection."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream

    async def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send all of it, the descriptors with the first byte."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        trio_socket = trio.socket.from_stdlib_socket(self.stream)
        sent = await trio_socket.sendmsg([data], rights)
        while sent < len(data):
            sent += await trio_socket.send(data[sent:])

    def close(self) -> None:
        self.stream.close()


@pytest.fixture
def ends() -> Iterator[tuple[trio.socket.SocketType, Runtime]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with ours, theirs:
        yield trio.socket.from_stdlib_socket(ours), Runtime(theirs)


@pytest.fixture
def process(compiled: Callable[..., str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that made a filter, and then waits for the answer to a call; ``listener`` is what it handed over."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            words = [compiled("k_handover"), str(theirs.fileno()), "1"]
            made = subprocess.Popen(words, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE)
        _, [listener], _, _ = socket.recv_fds(ours, 1, 1)
    made.listener = listener  # type: ignore[attr-defined]
    try:
        yield made
    finally:
        with made:
            made.kill()


@pytest.fixture
def listener(process: subprocess.Popen[bytes]) -> Iterator[int]:
    fd: int = process.listener  # type: ignore[attr-defined]
    yield fd
    os.close(fd)


def anything() -> list[int]:
    """Descriptors of some kinds, none of them a listener."""
    return [os.open("/dev/null", os.O_RDWR), *os.pipe(), socket.socket().detach(), os.open("/", os.O_PATH)]


@contextmanager
def held(fds: Sequence[int]) -> Iterator[Sequence[int]]:
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def closed(found: HandedOver | None) -> HandedOver:
    assert found is not None
    found.listener.close()
    return found


# ---- what runtimes do ----


@pytest.mark.parametrize("text", [RUNC, CRUN, json.dumps(EXEC)], ids=["runc", "crun", "exec"])
async def test_what_a_runtime_sends_is_received_and_the_connection_may_stay_open(
    ends: tuple[trio.socket.SocketType, Runtime], listener: int, text: str
) -> None:
    ours, runtime = ends
    await runtime.send(text.encode(), [listener])
    with trio.fail_after(5):
        found = await handed_over(ours)

    assert found is not None
    assert found.state.state.id in {"r2", "c"}
    assert (found.peer.pid, found.peer.uid) == (os.getpid(), os.geteuid())
    assert fcntl.fcntl(found.listener.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    found.listener.close()


async def test_a_call_behind_it_can_be_answered(
    ends: tuple[trio.socket.SocketType, Runtime], process: subprocess.Popen[bytes], listener: int
) -> None:
    ours, runtime = ends
    await runtime.send(RUNC.encode(), [listener])
    found = await handed_over(ours)
    assert found is not None
    handler = monitor.Handler.of("getppid", lambda _call: monitor.Return(4711))
    os.dup2(os.open(os.devnull, os.O_RDONLY), listener)  # no copy of it is left
    async with monitor.supervise(found.listener, handlers=[handler]):
        answer = await trio.to_thread.run_sync(process.stdout.readline)  # type: ignore[union-attr]

    assert b"4711" in answer


@pytest.mark.parametrize("size", [1, 7, 100, 36544])
async def test_it_may_come_in_pieces(ends: tuple[trio.socket.SocketType, Runtime], listener: int, size: int) -> None:
    """Each piece is sent when the one before it was taken."""
    ours, runtime = ends
    long = of_state(annotations={"a": "é" * (150_000 if size > 1000 else 20)})
    found: list[HandedOver | None] = []

    async def receive() -> None:
        found.append(await handed_over(ours))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for place in range(0, len(long), size):
            await runtime.send(long[place : place + size], [] if place else [listener])
            await trio.testing.wait_all_tasks_blocked()

    assert len(closed(found[0]).state.state.annotations["a"]) == (150_000 if size > 1000 else 20)


async def test_who_sends_late_is_waited_for(ends: tuple[trio.socket.SocketType, Runtime], listener: int) -> None:
    """Crun connects before the container is made, and may send hours later; from the first byte on there is a limit."""
    ours, runtime = ends
    found: list[HandedOver | None] = []

    async def receive() -> None:
        found.append(await handed_over(ours, message_seconds=0.5))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.sleep(1.5)
        assert found == []
        await runtime.send(RUNC.encode(), [listener])

    closed(found[0])


async def test_a_container_that_never_started_is_no_mistake(ends: tuple[trio.socket.SocketType, Runtime]) -> None:
    ours, runtime = ends
    runtime.close()

    assert await handed_over(ours) is None


async def test_a_listener_whose_processes_have_ended_is_handed_over_all_the_same(
    ends: tuple[trio.socket.SocketType, Runtime], process: subprocess.Popen[bytes], listener: int
) -> None:
    """As runc does when the container fails behind the filter."""
    ours, runtime = ends
    process.kill()
    process.wait()
    await runtime.send(RUNC.encode(), [listener])

    closed(await handed_over(ours))


async def test_of_several_descriptors_that_one_is_taken_and_the_others_closed(
    ends: tuple[trio.socket.SocketType, Runtime], listener: int, open_fds: Callable[[], set[str]]
) -> None:
    ours, runtime = ends
    before = open_fds()
    with held([os.open("/dev/null", os.O_RDWR)]) as [other]:
        await runtime.send(changed(fds=["other", "seccompFd"]), [other, listener])
        closed(await handed_over(ours))

    assert open_fds() == before


async def test_no_program_that_is_started_meanwhile_inherits_it(
    ends: tuple[trio.socket.SocketType, Runtime], listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may start one between the receiving and whatever else would be done to the descriptor."""
    flags: list[int] = []
    from_fd = monitor.Listener.from_fd

    def looked(owned_fd: int) -> monitor.Listener:
        flags.append(fcntl.fcntl(owned_fd, fcntl.F_GETFD))
        return from_fd(owned_fd)

    monkeypatch.setattr(monitor.Listener, "from_fd", looked)
    await ends[1].send(RUNC.encode(), [listener])
    closed(await handed_over(ends[0]))

    assert flags == [fcntl.FD_CLOEXEC]


# ---- what nobody should do ----


async def refusal(ours: trio.socket.SocketType, **options: Any) -> str:
    with pytest.raises(NotHandedOver) as refused:
        await handed_over(ours, **options)
    return str(refused.value)


@pytest.mark.parametrize(
    ("data", "count", "why"),
    [
        (RUNC.encode(), 0, "0 descriptors came, and 1 have names"),
        (RUNC.encode(), 2, "2 descriptors came, and 1 have names"),
        (changed(fds=["seccompFd", "other"]), 1, "1 descriptors came, and 2 have names"),
        (RUNC.encode(), MOST_FDS + 1, "more than 16 descriptors came"),
        (RUNC.encode(), 200, "more than 16 descriptors came"),
        (b"garbage", 1, "the message is no JSON object"),
        (b"{}", 1, "the message fds is a list of names"),
        (b"{" * 100, 3, "levels deep"),
        (b"\0" * 100, 3, "is no JSON object"),
    ],
)
async def test_what_is_no_listener_with_its_state_is_refused_and_leaves_nothing(
    ends: tuple[trio.socket.SocketType, Runtime],
    open_fds: Callable[[], set[str]],
    data: bytes,
    count: int,
    why: str,
) -> None:
    ours, runtime = ends
    before = open_fds()
    with held([os.open("/dev/null", os.O_RDWR) for _ in range(count)]) as fds:
        await runtime.send(data, fds)
    assert why in await refusal(ours)

    assert open_fds() == before


async def test_no_other_descriptor_is_taken_for_a_listener(
    ends: tuple[trio.socket.SocketType, Runtime], open_fds: Callable[[], set[str]]
) -> None:
    before = open_fds()
    for index in range(5):
        with held(anything()) as fds:
            await ends[1].send(RUNC.encode(), [fds[index]])
        assert await refusal(ends[0]) == "the descriptor called seccompFd is no seccomp listener"

    assert open_fds() == before


async def test_descriptors_come_with_the_first_bytes_or_not_at_all(
    ends: tuple[trio.socket.SocketType, Runtime], listener: int, open_fds: Callable[[], set[str]]
) -> None:
    ours, runtime = ends
    before = open_fds()

    async def send() -> None:
        await runtime.send(RUNC.encode()[:20])
        await trio.testing.wait_all_tasks_blocked()  # what is read at once cannot be told apart
        await runtime.send(RUNC.encode()[20:], [listener])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        assert "with a later part" in await refusal(ours)

    assert open_fds() == before


@pytest.mark.parametrize("length", [1, 100, len(RUNC) - 1])
async def test_half_a_message_is_refused_and_who_is_silent_behind_it(
    ends: tuple[trio.socket.SocketType, Runtime], listener: int, open_fds: Callable[[], set[str]], length: int
) -> None:
    ours, runtime = ends
    before = open_fds()
    await runtime.send(RUNC.encode()[:length], [listener])
    assert "not whole after 0.2 seconds" in await refusal(ours, message_seconds=0.2)
    await runtime.send(RUNC.encode()[:length], [listener])
    runtime.stream.shutdown(socket.SHUT_WR)
    assert f"ended after {length} bytes" in await refusal(ours)

    assert open_fds() == before


async def test_who_stops_waiting_has_nothing_left(
    ends: tuple[trio.socket.SocketType, Runtime], listener: int, open_fds: Callable[[], set[str]]
) -> None:
    ours, runtime = ends
    before = open_fds()
    await runtime.send(RUNC.encode()[:50], [listener])
    with trio.move_on_after(0.2):
        await handed_over(ours)

    assert open_fds() == before


async def test_where_no_descriptor_is_left_it_is_refused_and_later_it_is_not(
    ends: tuple[trio.socket.SocketType, Runtime], listener: int, open_fds: Callable[[], set[str]]
) -> None:
    ours, runtime = ends
    await runtime.send(RUNC.encode(), [listener])
    soft, hard = getrlimit(RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    before = open_fds()
    setrlimit(RLIMIT_NOFILE, (free, hard))
    try:
        assert "or than we may have open" in await refusal(ours)
    finally:
        setrlimit(RLIMIT_NOFILE, (soft, hard))
    assert open_fds() == before
    await runtime.send(RUNC.encode(), [listener])

    closed(await handed_over(ours))


async def test_a_connection_that_breaks_is_no_error_of_ours() -> None:
    """Who has not read what was sent to them, and closes, resets the connection (net/unix/af_unix.c)."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with ours:
        ours.send(b"unread")
        theirs.close()
        assert await refusal(trio.socket.from_stdlib_socket(ours)) == "the connection broke: Connection reset by peer"


@pytest.mark.parametrize("count", [200])
async def test_many_connections_at_once_are_each_their_own(listener: int, count: int) -> None:
    found: list[str] = []
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(count)]

    async def receive(ours: socket.socket) -> None:
        state = closed(await handed_over(trio.socket.from_stdlib_socket(ours))).state
        found.append(state.state.id)

    async with trio.open_nursery() as nursery:
        for ours, _ in pairs:
            nursery.start_soon(receive, ours)
        for number, (_, theirs) in enumerate(pairs):
            data = of_state(id=f"c{number}")
            await Runtime(theirs).send(data[:40], [listener])
        for number, (_, theirs) in enumerate(pairs):
            await Runtime(theirs).send(of_state(id=f"c{number}")[40:])
    for pair in pairs:
        for end in pair:
            end.close()

    assert sorted(found) == sorted(f"c{number}" for number in range(count))
