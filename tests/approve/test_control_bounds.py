"""How much a client can have the control socket hold, and what it may be asked for at once."""

from __future__ import annotations

import errno
import json
import os
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from monitor.approve.control import MOST_CLIENTS, MOST_UNSENT, MOST_UNSENT_BYTES, listening
from monitor.approve.wire import MAX_LINE, MOST_TOLD, Json
from monitor.debugging import MOST_BREAKPOINTS, Breakpoints
from monitor.errors import PolicyError
from monitor.testing import FakeMemory
from tests.approve.test_control import FakeRun, question, scene
from tests.events.made import answered

WORST = "\x01" * 4096
"""A name of which each byte is six in a line."""


async def test_names_of_the_worst_kind_are_told_and_held_for_nobody_beyond_the_bound(tmp_path: Path) -> None:
    """A target chooses them; that one of the clients does not read must not cost what a thousand of them are long."""
    async with scene(tmp_path, patient=True) as made, trio.open_nursery() as nursery:
        reads, _does_not = await made.joined(), await made.joined()
        tracemalloc.start()
        try:
            for number in range(300):
                nursery.start_soon(made.put, question(number, exe=os.fsencode(WORST), cwd=os.fsencode(WORST)))
                assert (await reads.until("question"))["exe"] == WORST
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert 3 * MOST_UNSENT_BYTES < 300 * 12 * 4096, "or nothing is shown"
        assert most < 2 * MOST_UNSENT_BYTES
        assert len(made.control._clients) == 1
        nursery.cancel_scope.cancel()


async def test_what_a_request_is_called_is_not_held_either(tmp_path: Path) -> None:
    """Who asks and does not read is not read from."""
    line = json.dumps({"id": "é" * 20_000}, ensure_ascii=False).encode() + b"\n"
    data = line * MOST_UNSENT
    async with scene(tmp_path) as made:
        other, client = await made.joined(), await made.joined()
        tracemalloc.start()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.stream.send_all, data)
                await trio.testing.wait_all_tasks_blocked(0.1)
                with trio.fail_after(1):
                    assert "ok" in await other.ask(do="list")
                nursery.cancel_scope.cancel()
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert 3 * len(data) > 10 * MOST_UNSENT_BYTES, "or nothing is shown"
        assert most < 2 * MOST_UNSENT_BYTES


async def test_who_reads_may_ask_for_a_thousand_things_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        client = await made.joined()
        nursery.start_soon(client.stream.send_all, b'{"id": 1, "do": "list"}\n' * 3 * MOST_UNSENT)
        for _ in range(3 * MOST_UNSENT):
            assert await client.line() == {"id": 1, "ok": []}


async def test_events_that_nobody_reads_leave_room_for_questions(tmp_path: Path) -> None:
    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        client = await made.joined()
        assert (await client.ask(do="events"))["ok"] is True
        for _ in range(5 * MOST_UNSENT):
            made.run.hub.publish(answered())
            await trio.lowlevel.checkpoint()
        nursery.start_soon(made.put, question())
        await trio.testing.wait_all_tasks_blocked()

        assert made.control.has_clients
        assert (await client.until("question"))["question"] == 1
        nursery.cancel_scope.cancel()


async def test_what_is_too_long_for_a_reply_is_said_to_be(tmp_path: Path) -> None:
    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        client = await made.joined()
        for number in range(2 + MOST_TOLD // (12 * 4096)):
            nursery.start_soon(made.put, question(number, exe=os.fsencode(WORST), cwd=os.fsencode(WORST)))
            await client.until("question")

        assert str(MOST_TOLD) in (await client.ask(do="list"))["error"]
        assert (await client.ask(do="answer", question=1, verdict="allow"))["ok"] == 1
        nursery.cancel_scope.cancel()


async def test_however_deep_a_line_goes_it_has_a_reply(tmp_path: Path) -> None:
    """Reading one, doing what it says and writing it down again need not give up at the same depth."""

    def deeper(said: Mapping[str, Json]) -> Json:
        return deeper(said)

    async with scene(tmp_path) as made:
        made.control._commands = {"deeper": deeper}
        client = await made.joined()
        await client.stream.send_all(b'{"id": 7, "do": "deeper"}\n')
        assert "deeply" in (await client.line())["error"]
        for word in (b'"list"', b'"fly"'):
            for depth in range(900, 1010):
                line = b'{"id":' + b"[" * depth + b"]" * depth + b',"do":' + word + b"}\n"
                await client.stream.send_all(line)
                await client.line()
        assert (await client.ask(do="list"))["ok"] == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_what_is_no_number_anywhere_else_is_none_here(tmp_path: Path, number: str) -> None:
    async with scene(tmp_path) as made:
        client = await made.joined()
        await client.stream.send_all(b'{"id": %s, "do": "list"}\n' % number.encode())
        reply = await client.stream.receive_some(MAX_LINE)

    said: dict[str, Any] = json.loads(reply, parse_constant=pytest.fail)
    assert (said["id"], "error" in said) == (None, True)


async def test_a_program_with_an_odd_name_is_told_as_every_name_is(tmp_path: Path) -> None:
    path = str(tmp_path / "control")
    async with listening(path, program=os.fsdecode(b"\xff")) as control:
        control.attend(FakeRun())
        async with await trio.open_unix_socket(path) as stream:
            assert json.loads(await stream.receive_some(MAX_LINE))["program"] == {"b64": "/w=="}


async def test_a_look_for_which_we_have_no_descriptor_fails_alone(tmp_path: Path) -> None:
    class Exhausted(FakeMemory):
        def read(self, address: int, size: int) -> bytes:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        client = await made.joined()
        nursery.start_soon(made.put, question(memory=Exhausted()))
        await client.until("question")

        assert (await client.ask(do="mem", question=1, address=1, length=1))["error"] == os.strerror(errno.EMFILE)
        assert "ok" in await client.ask(do="list")
        nursery.cancel_scope.cancel()


async def test_a_thousand_connections_are_answered_and_others_served_meanwhile(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        other = await made.joined()
        for _ in range(MOST_CLIENTS - 1):
            await made.joined()
        for number in range(1000):
            one = await made.connect()
            assert "connected already" in (await one.line())["error"]
            await one.stream.aclose()
            if number % 50 == 0:
                with trio.fail_after(1):
                    assert (await other.ask(do="list"))["ok"] == []


def test_there_are_so_many_breakpoints_and_no_more() -> None:
    points = Breakpoints()
    for _ in range(MOST_BREAKPOINTS):
        points.add("mkdir", "", lambda _call: True)

    with pytest.raises(PolicyError, match=str(MOST_BREAKPOINTS)):
        points.add("mkdir", "", lambda _call: True)
    assert points.remove(1)
    points.add("mkdir", "", lambda _call: True)
