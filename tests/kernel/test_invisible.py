"""
What a program could notice of somebody who acts for it: an fd too many, a signal in between, another's umask.

Each target runs natively and brokered, and says the same.  What it is not: a comparison call by call, which is
tests/conformance.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

import monitor
from monitor.broker.families import FAMILIES
from monitor.policy.text import loads

POLICY = """
[policy]
version = 1
known-as-of = "7.1"
syscalls-default = "allow"
[files]
otherwise = "allow"
exec = "unverified"
unix = "unmediated"
"""

BOTH = pytest.mark.parametrize("way", ["handler", "policy"])
"""By a handler that decides nothing, and under a policy that allows everything, where some calls go faster."""


@monitor.handles(*FAMILIES)
def emulate(call: monitor.Call) -> monitor.Verdict:
    """Do everything for the program."""
    return call.emulate()


class Ended(NamedTuple):
    """What came of a target; ``said`` is what no two runs have in common."""

    status: int
    output: list[str]
    said: list[int]


def natively(command: list[str], directory: Path) -> Ended:
    done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)
    return Ended(done.returncode, done.stdout.splitlines(), [int(word) for word in done.stderr.split()])


async def brokered(command: list[str], directory: Path, way: str) -> Ended:
    options = {"policy": loads(POLICY)}
    if way == "handler":
        options = {"handlers": [emulate], "otherwise": monitor.Allow()}  # type: ignore[dict-item]
    launch = monitor.Launch(
        command, cwd=str(directory), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with monitor.supervise(launch, **options) as run:  # type: ignore[call-overload]
        said: list[bytes] = []

        async def listen() -> None:
            said.extend([chunk async for chunk in run.stderr])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            output = b"".join([chunk async for chunk in run.stdout])
        status = await run.wait()
    assert run.stats.failures == 0
    assert run.stats.emulated > 100
    return Ended(status, output.decode().splitlines(), [int(word) for word in b"".join(said).split()])


def left(directory: Path) -> list[tuple[str, int, int]]:
    """Return name, mode and number of links of all that is in *directory*."""
    found = [(path.name, path.lstat()) for path in directory.iterdir()]
    return sorted((name, status.st_mode, status.st_nlink) for name, status in found)


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path]:
    """Two empty ones."""
    made = tmp_path / "native", tmp_path / "brokered"
    for directory in made:
        directory.mkdir()
    return made


@BOTH
@pytest.mark.parametrize("kind", ["make", "over", "lock"])
async def test_nobody_has_open_what_a_program_was_given_and_has_closed(
    compiled: Callable[..., str], directories: tuple[Path, Path], kind: str, way: str
) -> None:
    """
    A program that was just written can be executed, and a lock that was given up be taken.

    One open file has two fds: ours is closed before the target goes on.
    """
    command = [compiled("b_given"), kind, "300"]

    assert await brokered(command, directories[1], way) == natively(command, directories[0]) == (0, ["0 of 300"], [])


@BOTH
@pytest.mark.parametrize("kind", ["restart", "plain"])
async def test_whatever_a_signal_interrupts_is_done_once(
    compiled: Callable[..., str], directories: tuple[Path, Path], kind: str, way: str
) -> None:
    """
    A signal comes each millisecond, while names are made, moved and taken away.

    Where the handler wants calls made again (SA_RESTART) the results are those without us.  Where it does not, a
    call that nobody had received yet fails with EINTR, and nothing was done: the target makes it again, and would
    find it done.
    """
    command = [compiled("b_timer"), kind, "200"]
    native = natively(command, directories[0])

    done = await brokered(command, directories[1], way)

    signals, interrupted = done.said
    assert done.output == native.output
    assert done.output[0] == "mkdir: 200"
    assert len(done.output) == 11
    assert left(directories[1]) == left(directories[0])
    assert signals > 50
    assert kind == "plain" or interrupted == 0


@BOTH
async def test_umask_and_directory_are_those_of_the_moment(
    compiled: Callable[..., str], directories: tuple[Path, Path], way: str
) -> None:
    """Of threads and processes that share them or do not; changed during a call, they are the one or the other."""
    command = [compiled("b_shared"), "200"]
    native = natively(command, directories[0])

    done = await brokered(command, directories[1], way)

    assert done.output == native.output
    assert "made 200, in both 0, with another mode 0" in done.output
    assert min(done.said) > 0, "the race was none"
