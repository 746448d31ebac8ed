"""Whatever a client sends, it harms nobody: each line has a reply, no question is answered, and others are served."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from monitor.approve.inspect import LOOKS
from monitor.approve.wire import MAX_LINE
from monitor.cli.requests import History, commands_of
from monitor.debugging import Breakpoints
from monitor.policy.text import loads
from monitor.testing import FakeMemory
from tests.approve.test_control import Scene, question, scene

WORDS = ["answer", "list", "events", "break", "delete", "breaks", "rules", "told", "policy", *LOOKS]
"""Everything but ``kill``, which does what it says."""

KEYS = ["question", "verdict", "errno", "value", "signal", "scope", "why", "address", "length", "at", "number", "last"]

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 7, 1 << 64, -(1 << 63), 0.5, 1e308, "", "x", "0x1", "-1", "1", "allow", "deny",
    "EPERM",
    "mkdir", "mkdir if mode == 1", "mkdir if " + "(" * 500, "no such call", "\0", "\ud800", "é" * 2000, [], [1],
    [[[]]], {},
    {"b64": "AA=="}, {"b64": 1}, {"b64": "?"}, {"question": 1}, "9" * 5000,
]  # fmt: skip


class Policed:
    """What ``commands_of`` needs of a run."""

    policy = loads('[policy]\nversion = 1\n[[syscalls]]\nnames = ["mkdir"]\naction = "ask"\n')


def lines(seed: int, count: int) -> list[bytes]:
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        said = {key: chance.choice(ODD) for key in chance.sample(KEYS, chance.randrange(6))}
        said |= {"id": chance.choice(ODD), "do": chance.choice([*WORDS, *WORDS, *ODD])}
        if chance.random() < 0.5:
            said["question"] = 1
        if said["do"] == "answer":  # what is right would be an answer
            said["verdict"] = chance.choice([None, 1, "maybe", "allow ", ["allow"], {}])
        whole = json.dumps(said).encode()
        if chance.random() < 0.3:
            place = chance.randrange(len(whole))
            whole = whole[:place] + chance.randbytes(chance.randrange(4)).replace(b"\n", b"") + whole[place + 1 :]
        found.append(chance.choice([whole, whole, whole, b"", b"[" * 2000, chance.randbytes(40).replace(b"\n", b"")]))
    return [line for line in found if b'"kill"' not in line]


def attend(made: Scene) -> None:
    """Have the commands of a debugged run, too."""
    commands = commands_of(Policed(), Breakpoints(), History(), made.control.question)  # type: ignore[arg-type]
    made.control._commands = commands


@pytest.mark.seconds(120)
@pytest.mark.parametrize("seed", range(4))
async def test_each_line_has_a_reply_and_nothing_comes_of_it(tmp_path: Path, seed: int) -> None:
    sent = lines(seed, 2000)
    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        attend(made)
        other, hostile = await made.joined(), await made.joined()
        nursery.start_soon(made.put, question(memory=FakeMemory()))
        await other.until("question")
        await hostile.until("question")
        for number, line in enumerate(sent):
            await hostile.stream.send_all(line + b"\n")
            reply = await hostile.until("id")
            assert set(reply) in ({"id", "ok"}, {"id", "error"}), line
            if number % 100 == 0:
                with trio.fail_after(1):
                    assert [one["question"] for one in (await other.ask(do="list"))["ok"]] == [1]
        assert made.answers == {}
        assert made.run.killed == 0
        assert (await other.ask(do="answer", question=1, verdict="allow"))["ok"] == 1
        await made.answer()


async def test_lines_without_an_end_and_clients_without_a_word_are_no_reason_to_hold_anything(tmp_path: Path) -> None:
    """Who sends more than a line may have is sent away, and what was held for it is given back."""
    async with scene(tmp_path) as made, trio.open_nursery() as nursery:
        other = await made.joined()
        nursery.start_soon(made.put, question())
        await other.until("question")
        for _ in range(40):
            endless = await made.joined()
            with suppress(trio.BrokenResourceError):
                await endless.stream.send_all(b"x" * (2 * MAX_LINE))
            assert await endless.has_ended()
            with trio.fail_after(1):
                await other.ask(do="list")
        for _ in range(500):
            silent = await made.connect()
            await silent.stream.aclose()
        with trio.fail_after(1):
            assert "ok" in await other.ask(do="list")
        with trio.fail_after(10):
            while len(made.control._clients) > 1:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
