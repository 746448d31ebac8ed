"""The control socket, attacked by the program that is asked about: from wherever in its tree it connects."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import monitor
from monitor.approve.control import listening
from monitor.policy.text import loads
from tests.conftest import require

POLICY = loads('[policy]\nversion = 1\n[[syscalls]]\nnames = ["sethostname"]\naction = "ask"\n')

REFUSED = "not for those who are asked about"

WHERES = {
    "self": [],
    "child": [],
    "orphan": [],
    "userns": [],
    "pidns": [],
    "deep": ["4200"],
    "restless": ["200"],
    "unguarded": [],
}
"""From where in the tree -> what else the program is told."""


@asynccontextmanager
async def supervised(argv: list[str], path: str) -> AsyncIterator[monitor.ProcessRun]:
    async with (
        listening(path, program="the program", patient=True) as control,
        monitor.supervise(argv, policy=POLICY, approver=control) as run,
    ):
        control.attend(run)
        yield run
        control.close()


async def told(file: Path) -> list[str]:
    """Return what is in *file* as soon as its last line is there."""
    while not file.exists() or not file.read_text().endswith("done\n"):
        await trio.sleep(0.005)
    return file.read_text().splitlines()[:-1]


@pytest.fixture
def place(public_directory: Path) -> Path:
    directory = public_directory / f"control-{os.urandom(4).hex()}"
    directory.mkdir()
    return directory


@pytest.mark.root
@pytest.mark.parametrize("where", WHERES)
async def test_no_process_of_the_tree_is_let_in(compiled: Callable[..., str], place: Path, where: str) -> None:
    """
    The stories of three of them.

    So deep that nobody looks at all that is above: processes that share their memory are made in seconds.  Below
    parents that end while they are looked at.  And below nobody: the guard, the parent of all orphans, has the
    user id of the program, which kills it, and then looks like anybody's process.
    """
    path, file = str(place / "control"), place / "told"
    with trio.fail_after(50):
        async with supervised([compiled("a_knocker"), path, str(file), where, *WHERES[where]], path):
            lines = await told(file)

    require("namespaces", "no namespace" not in lines)
    assert len(lines) == (int(WHERES[where][0]) if where == "restless" else 1)
    assert {json.loads(line).get("error") for line in lines} == {REFUSED}


async def test_the_same_program_is_let_in_from_elsewhere(compiled: Callable[..., str], place: Path) -> None:
    path, file = str(place / "control"), place / "told"
    async with supervised(["sleep", "100"], path):
        await trio.run_process([compiled("a_knocker"), path, str(file), "child"])
        assert [json.loads(line)["program"] for line in await told(file)] == ["the program"]


async def test_without_descriptors_nobody_comes_in_and_the_run_goes_on(place: Path) -> None:
    """A target can have us use up what we have; the next connection is then accepted later."""
    path = str(place / "control")
    async with supervised(["sleep", "100"], path) as run:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            lowest = os.dup(0)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
            try:
                client.connect(path)
                await trio.sleep(0.3)  # several times what is waited for room
                assert run.returncode is None
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            hello = await trio.to_thread.run_sync(client.recv, 4096)
        assert json.loads(hello)["program"] == "the program"
