"""A program that becomes another, or ends, while somebody is asked about it: no answer is given to anybody else."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio

import monitor
from monitor import Allow, Answer, Deny, Question
from monitor.approve.question import Scope
from monitor.policy.text import loads

POLICY = loads(
    '[policy]\nversion = 1\nsyscalls-default = "allow"\n[[syscalls]]\nnames = ["getsid"]\naction = "ask"\n'
    'errno = "EPERM"\n'
)


class Thinker:
    """Has not made up its mind about what is asked first until it is told to; denies what is asked later."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = trio.Event()
        self.decided = trio.Event()
        self.withdrawn = 0
        self.questions: list[Question] = []

    async def __call__(self, question: Question) -> Answer:
        self.questions.append(question)
        if len(self.questions) > 1:
            await trio.lowlevel.checkpoint()
            return Answer(Deny(errno.EXDEV))
        self.asked.set()
        try:
            await self.decided.wait()
        except trio.Cancelled:
            self.withdrawn += 1
            raise
        return self.answer


def state(tid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{tid}/stat").read_text().rpartition(")")[2].split()[0]
    return "gone"


@pytest.mark.parametrize("scope", ["once", "process"])
@pytest.mark.parametrize(
    ("how", "said", "withdrawn"),
    [("killed", "parent", 1), ("exec", "executed", 1), ("leader", "sibling", 0), ("vfork", "parent", 0)],
)
async def test_an_answer_is_for_who_was_asked_about_and_nobody_after_it(
    compiled: Callable[..., str], how: str, said: str, withdrawn: int, scope: Scope
) -> None:
    """
    The stories: who waits is killed; or is ended by the execve(2) of a sibling, and the process is another program;
    or the first thread ends, which leaves a zombie by the number of the process; or waits on its parent's memory.
    """
    thinker = Thinker(Answer(Allow(), scope))
    launch = monitor.Launch([compiled("a_asked"), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with trio.fail_after(20):
        async with monitor.supervise(launch, policy=POLICY, approver=thinker) as run, trio.open_nursery() as nursery:
            await thinker.asked.wait()
            first = thinker.questions[0]
            await run.stdin.send_all(b"x")
            if how == "leader":
                while state(run.pid) != "Z":
                    await trio.sleep(0.005)
            if withdrawn:
                while not thinker.withdrawn:
                    await trio.sleep(0.005)
            thinker.decided.set()
            printed = b"".join([chunk async for chunk in run.stdout]).decode()
            nursery.cancel_scope.cancel()

    assert thinker.withdrawn == withdrawn
    assert first.registers[0] == (run.pid if how in {"exec", "leader"} else first.pid)
    assert printed == f"{said} got {-errno.EXDEV}\n"
