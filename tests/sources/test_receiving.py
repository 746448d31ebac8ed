"""Runtimes hand over to one socket, at once and at odds with each other, and whoever does it wrong disturbs nobody."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from errno import EMFILE
from pathlib import Path
from typing import Any

import pytest
import trio

from monitor.sources.receive import HandedOver, Peer
from monitor.sources.receiving import receive_all
from tests.sources.test_receive import Runtime, listener, process
from tests.sources.test_state_message import RUNC, of_state

__all__ = ["listener", "process"]


class Agent:
    """Takes what comes, and notes what was wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: list[str] = []
        self.wrong: list[tuple[Peer | None, str]] = []
        self.changed = trio.Event()

    def take(self, found: HandedOver) -> None:
        found.listener.close()
        self.ids.append(found.state.state.id)
        self._tell()

    def refused(self, peer: Peer | None, why: str) -> None:
        self.wrong.append((peer, why))
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def until(self, condition: Callable[[], Any]) -> None:
        with trio.fail_after(10):
            while not condition():
                await self.changed.wait()

    async def has(self, ident: str) -> None:
        await self.until(lambda: ident in self.ids)

    async def has_told(self, more_than: int) -> None:
        await self.until(lambda: self.ids or len(self.wrong) > more_than)

    def connected(self) -> Runtime:
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(self.path))
        stream.setblocking(False)
        return Runtime(stream)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "agent"))
        made.listen(300)
        made.setblocking(False)
        yield made


@asynccontextmanager
async def agent(server: socket.socket, **options: Any) -> AsyncIterator[Agent]:
    made = Agent(Path(server.getsockname()))
    listening = trio.socket.from_stdlib_socket(server)
    given = {"uids": {os.geteuid()}, **options}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: receive_all(listening, made.take, made.refused, **given))
        yield made
        nursery.cancel_scope.cancel()


async def test_a_silent_connection_keeps_no_other_waiting(server: socket.socket, listener: int) -> None:
    async with agent(server) as made:
        early = made.connected()
        for number in range(3):
            runtime = made.connected()
            await runtime.send(of_state(id=f"c{number}"), [listener])
            await made.has(f"c{number}")
            runtime.close()
        await early.send(RUNC.encode(), [listener])
        await made.until(lambda: "r2" in made.ids)
        early.close()

    assert made.wrong == []


async def test_whoever_does_it_wrong_is_told_of_and_disturbs_nobody(
    server: socket.socket, listener: int, open_fds: Callable[[], set[str]]
) -> None:
    before = open_fds()
    async with agent(server, message_seconds=0.3) as made:
        for data in (b"garbage", b'{"half":', b"{}", RUNC.encode()):
            runtime, count = made.connected(), len(made.wrong)
            await runtime.send(data)
            await made.has_told(count)
            runtime.close()
        made.connected().close()
        runtime = made.connected()
        await runtime.send(RUNC.encode(), [listener])
        await made.until(lambda: made.ids)
        runtime.close()

    assert [why.partition(",")[0] for _, why in made.wrong] == [
        "the message is no JSON object",
        "the message was not whole after 0.3 seconds",
        "the message fds is a list of names",
        "0 descriptors came",
    ]
    assert {peer.uid for peer, _ in made.wrong if peer} == {os.geteuid()}
    assert open_fds() == before


async def test_other_users_hand_nothing_over(server: socket.socket, listener: int) -> None:
    async with agent(server, uids={os.geteuid() + 1}) as made:
        runtime = made.connected()
        await made.until(lambda: made.wrong)
        with trio.fail_after(5):
            await trio.lowlevel.wait_readable(runtime.stream)
        assert runtime.stream.recv(1) == b""
        runtime.close()

    assert made.wrong[0][1] == "this user may hand nothing over"
    assert made.ids == []


async def test_a_user_has_so_many_connections_and_one_more_when_one_has_ended(
    server: socket.socket, listener: int
) -> None:
    async with agent(server, most_per_user=3) as made:
        silent = [made.connected() for _ in range(3)]
        one_more = made.connected()
        await made.until(lambda: made.wrong)
        silent.pop().close()
        for _ in range(200):
            again = made.connected()
            count = len(made.wrong)
            await again.send(RUNC.encode(), [listener])
            await made.has_told(count)
            again.close()
            if made.ids:
                break
        for runtime in (*silent, one_more):
            runtime.close()

    assert made.wrong[0][1] == "3 connections of this user are open already"
    assert made.ids == ["r2"]


async def test_two_hundred_at_once_are_all_received(server: socket.socket, listener: int) -> None:
    async with agent(server) as made:
        runtimes = [made.connected() for _ in range(200)]
        for number, runtime in enumerate(runtimes):
            await runtime.send(of_state(id=f"c{number}")[:60], [listener])
        for number, runtime in enumerate(runtimes):
            await runtime.send(of_state(id=f"c{number}")[60:])
        await made.until(lambda: len(made.ids) == 200)
        for runtime in runtimes:
            runtime.close()

    assert made.wrong == []
    assert set(made.ids) == {f"c{number}" for number in range(200)}


async def test_without_descriptors_it_is_tried_again(server: socket.socket, listener: int) -> None:
    listening = trio.socket.from_stdlib_socket(server)
    made = Agent(Path(server.getsockname()))
    failures = [OSError(EMFILE, "Too many open files")] * 2

    class Poor:
        async def accept(self) -> tuple[trio.socket.SocketType, Any]:
            if failures:
                raise failures.pop()
            return await listening.accept()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: receive_all(Poor(), made.take, made.refused, uids={os.geteuid()})  # type: ignore[arg-type]
        )
        runtime = made.connected()
        await runtime.send(RUNC.encode(), [listener])
        await made.until(lambda: made.ids)
        nursery.cancel_scope.cancel()
    runtime.close()

    assert made.wrong == [(None, "nobody can be let in for now: Too many open files")] * 2


async def test_who_cannot_take_it_leaves_nothing_open(
    server: socket.socket, listener: int, open_fds: Callable[[], set[str]]
) -> None:
    before = open_fds()
    listening = trio.socket.from_stdlib_socket(server)

    def fails(_found: HandedOver) -> None:
        raise ZeroDivisionError

    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(server.getsockname())
        stream.setblocking(False)
        await Runtime(stream).send(RUNC.encode(), [listener])
        with pytest.raises(ExceptionGroup) as raised:
            await receive_all(listening, fails, lambda _peer, _why: None, uids={os.geteuid()})

    assert raised.group_contains(ZeroDivisionError)
    assert open_fds() == before
