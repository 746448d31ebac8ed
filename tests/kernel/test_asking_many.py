"""Many threads wait at once, and several people answer over the socket: each thread gets one answer, and its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor.approve.control import listening
from monitor.policy.text import loads
from tests.kernel.test_asking import HEAD

POLICY = loads(HEAD + '[[syscalls]]\nnames = ["getpriority"]\naction = "ask"\n')


class Person:
    """Somebody at the other end of the socket, who answers with the number that is asked about, and 1000."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.answered: dict[int, int] = {}
        self.left = b""

    async def line(self) -> dict[str, Any]:
        """Return what is told next; nothing: nobody is there any more."""
        while b"\n" not in self.left:
            try:
                data = await self.stream.receive_some(1 << 16)
            except trio.BrokenResourceError:
                return {}
            if not data:
                return {}
            self.left += data
        line, _, self.left = self.left.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    async def answer_all(self, takes: Callable[[int], bool]) -> None:
        """Answer what *takes* says, until the run is over."""
        while told := await self.line():
            if "args" in told and takes(told["question"]):
                await self.answer(told)
            if "ok" in told:
                self.answered[told["ok"]] = self.answered.get(told["ok"], 0) + 1
        await self.stream.aclose()

    async def answer(self, told: dict[str, Any], *, cut: int | None = None) -> None:
        value = int(told["args"][1], 16) + 1000
        said = {"id": told["question"], "do": "answer", "question": told["question"], "verdict": "return"}
        await self.stream.send_all((json.dumps({**said, "value": value}).encode() + b"\n")[:cut])

    async def vanish(self, after: int) -> None:
        """Answer so many, and go in the middle of the next answer."""
        answers = 0
        while answers <= after:
            told = await self.line()
            if "args" in told:
                await self.answer(told, cut=-20 if answers == after else None)
                answers += 1
        await self.stream.aclose()


async def person(path: str) -> Person:
    return Person(await trio.open_unix_socket(path))


@pytest.mark.seconds(120)
@pytest.mark.parametrize(("threads", "tried"), [(200, "none"), (300, "some")])
async def test_each_of_them_gets_its_own_answer(
    compiled: Callable[..., str], tmp_path: Path, threads: int, tried: str
) -> None:
    """Above 256 that wait, the next are told EAGAIN, and try again."""
    path = str(tmp_path / "control")
    launch = monitor.Launch([compiled("w_crowd", "-pthread"), str(threads)], stdout=subprocess.PIPE)
    async with (
        listening(path, program="crowd", patient=True) as control,
        monitor.supervise(launch, policy=POLICY, approver=control) as run,
        trio.open_nursery() as nursery,
    ):
        while run.stats.received < min(threads, 256):  # before anybody is there who answers
            await trio.sleep(0.01)
        control.attend(run)
        people = [await person(path) for _ in range(3)]
        await people[2].vanish(after=5)
        for one, rest in zip(people, (0, 1), strict=False):
            nursery.start_soon(one.answer_all, lambda number, rest=rest: number % 2 == rest)
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        status = await run.wait()
        control.close()

    assert (status, output) == (0, f"{threads} right, 0 wrong, {tried} tried again\n")
    answered = [set(one.answered) for one in people[:2]]
    assert all(answered)
    assert not answered[0] & answered[1]
    assert all(count == 1 for one in people[:2] for count in one.answered.values())
    assert run.stats.asked == threads
