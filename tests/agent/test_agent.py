"""Containers behind one agent: each decided by its own policy, and none of them in another's way."""

from __future__ import annotations

import errno
import itertools
import json
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.agent.agent import Agent, Chosen
from monitor.agent.facts import Facts
from monitor.agent.sockets import listening_at
from monitor.events.hub import Hub
from monitor.events.record import CallAnswered, ContainerEnded, ContainerStarted, Event
from monitor.notify.others import TURN
from monitor.origin import Origin
from monitor.policy.text import loads
from monitor.sources.receiving import receive_all

SECONDS = 10

OPEN = '[policy]\nversion = 1\nname = "open"\nsyscalls-default = "allow"\n'


def policy(name: str, call: str, said: str) -> monitor.Policy:
    """A policy that allows everything but one call."""
    return loads(f'{OPEN.replace("open", name)}[[syscalls]]\nnames = ["{call}"]\n{said}\n', Origin(f"{name}.toml"))


def denying(name: str, call: str, errno_name: str) -> monitor.Policy:
    return policy(name, call, f'action = "deny"\nerrno = "{errno_name}"')


def message(ident: str, *, metadata: str = "", status: str = "creating", **annotations: str) -> str:
    state = {"ociVersion": "1.0.2", "id": ident, "status": status, "pid": "@PID@", "bundle": "/b"}
    said = {"ociVersion": "1.0.2", "fds": ["seccompFd"], "pid": "@PID@", "metadata": metadata}
    return json.dumps({**said, "state": {**state, "annotations": annotations}}).replace('"@PID@"', "@PID@")


class Fixture:
    """An agent that listens, with what it has told and what happened."""

    def __init__(self, path: Path, runtime: str, choose: Callable[[Facts], Chosen], **options: Any) -> None:
        self.path = path
        self.runtime = runtime
        self.events: list[Event] = []
        self.told: list[str] = []
        self.changed = trio.Event()
        self.hub = Hub([self._note])
        self.agent = Agent(choose, hub=self.hub, tell=self._tell, **options)

    def _note(self, event: Event) -> None:
        self.events.append(event)
        self._change()

    def _tell(self, line: str) -> None:
        self.told.append(line)
        self._change()

    def _change(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def until(self, condition: Callable[[], Any]) -> Any:
        with trio.fail_after(SECONDS):
            while not (found := condition()):
                await self.changed.wait()
        return found

    def of(self, kind: type[Any], container: str) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind) and event.container == container]

    async def ended(self, container: str) -> ContainerEnded:
        found: list[ContainerEnded] = await self.until(lambda: self.of(ContainerEnded, container))
        return found[0]

    def command(self, said: str, calls: Sequence[str], words: Sequence[str]) -> list[str]:
        numbers = ",".join(str(number_of(Arch.native(), call)) for call in calls)
        return [self.runtime, str(self.path), said, numbers, *words]

    async def run(self, said: str, calls: Sequence[str], *words: str) -> subprocess.CompletedProcess[bytes]:
        """A container, from its start to its end."""
        with trio.fail_after(SECONDS):
            return await trio.run_process(
                self.command(said, calls, words), capture_stdout=True, capture_stderr=True, check=False
            )


@asynccontextmanager
async def listening(
    directory: Path, runtime: str, choose: Callable[[Facts], Chosen], **options: Any
) -> AsyncIterator[Fixture]:
    made = Fixture(directory / "agent", runtime, choose, **options)
    with listening_at(str(made.path), mode=0o600) as server:
        listener = trio.socket.from_stdlib_socket(server)
        async with trio.open_nursery() as nursery:
            await nursery.start(made.agent.run)
            nursery.start_soon(lambda: receive_all(listener, made.agent.take, made.agent.refused, uids={os.geteuid()}))
            yield made
            nursery.cancel_scope.cancel()


@pytest.fixture
def runtime(compiled: Callable[..., str]) -> str:
    return compiled("o_runtime")


def by_metadata(policies: Mapping[str, monitor.Policy]) -> Callable[[Facts], Chosen]:
    return lambda facts: Chosen(name=facts.state.metadata, why="metadata", policy=policies[facts.state.metadata])


async def test_each_container_has_its_own_policy(tmp_path: Path, runtime: str) -> None:
    policies = {"no": denying("no", "mkdir", "EACCES"), "ro": denying("ro", "mkdir", "EROFS")}
    async with listening(tmp_path, runtime, by_metadata(policies)) as made:
        for name in ("no", "ro"):
            done = await made.run(message(f"c-{name}", metadata=name), ["mkdir"], "/bin/mkdir", str(tmp_path / name))
            assert done.returncode == 1
            assert os.strerror({"no": errno.EACCES, "ro": errno.EROFS}[name]).encode() in done.stderr
            ended = await made.ended(f"c-{name}")
            assert (ended.received, ended.denied) == (1, 1)

    started = [event for event in made.events if isinstance(event, ContainerStarted)]
    assert [(one.container, one.policy, one.why, one.bundle) for one in started] == [
        ("c-no", "no", "metadata", "/b"),
        ("c-ro", "ro", "metadata", "/b"),
    ]
    calls = made.of(CallAnswered, "c-ro")
    assert [(one.name, one.verdict) for one in calls] == [("mkdir", monitor.Deny(errno.EROFS))]
    assert (made.told, len(made.agent.containers)) == ([], 0)


async def test_a_handler_that_ends_its_program_ends_one_containers_supervision(tmp_path: Path, runtime: str) -> None:
    """A library that calls sys.exit() must not cost all other containers their supervisor."""

    @monitor.handles("rmdir")
    def leaving(_call: monitor.Call) -> None:
        sys.exit(3)

    choose = by_metadata({"no": denying("no", "mkdir", "EROFS")})
    async with listening(tmp_path, runtime, choose, handlers=[leaving]) as made:
        done = await made.run(message("bad", metadata="no"), ["rmdir"], "/bin/rmdir", str(tmp_path / "none"))
        assert done.returncode != 0
        await made.ended("bad")
        await made.until(lambda: made.told)
        assert made.told == ["container 'bad' is not supervised: a handler has raised SystemExit(3)"]
        done = await made.run(message("good", metadata="no"), ["mkdir"], "/bin/mkdir", str(tmp_path / "one"))
        assert os.strerror(errno.EROFS).encode() in done.stderr


async def test_who_calls_without_a_pause_leaves_others_their_turns(
    tmp_path: Path, runtime: str, compiled: Callable[..., str]
) -> None:
    """Nobody is answered often while a call of another container waits."""
    answered: list[tuple[int, bool]] = []
    done: list[int] = []

    @monitor.handles("getppid")
    def counted(call: monitor.Call) -> monitor.Verdict:
        ready = made.agent._loop._ready.poll(0)  # none of our own container: its one thread asks just now
        others_wait = any(what & select.EPOLLIN for _, what in ready)
        answered.append((call.pid, others_wait))
        return monitor.Return(call.registers[1])

    async def run(container: str) -> None:
        words = [compiled("k_storm"), "5000"]
        done.append((await made.run(message(container, metadata="no"), ["getppid"], *words)).returncode)

    choose = by_metadata({"no": denying("no", "mkdir", "EROFS")})
    async with listening(tmp_path, runtime, choose, handlers=[counted]) as made, trio.open_nursery() as nursery:
        for container in "abc":
            nursery.start_soon(run, container)

    assert done == [0, 0, 0]
    rows = [len(list(row)) for (_, others_wait), row in itertools.groupby(answered) if others_wait]
    assert len(rows) > 20
    # Tasks that are ready have their turns in any order, and one whose supervision begins needs some.
    assert max(rows) <= 4 * TURN
