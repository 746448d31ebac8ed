"""Policies are read again while a program runs, whatever becomes of their files."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
import trio

import monitor
from monitor.cli import enforcing
from monitor.cli.enforcing import Stamps, surroundings_here
from monitor.policy.action import Deny
from monitor.policy.model import Policy
from monitor.policy.text import load
from monitor.run import ProcessRun

HEAD = '[policy]\nversion = 1\nname = "mine"\n'
SHUT = HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "deny"\nerrno = "EBUSY"\nmutable = true\n'
OTHER = SHUT.replace("EBUSY", "EROFS")


class FakeRun:
    """A run that takes every policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.put_in_force: list[Policy] = []
        self.refusing: monitor.PolicyError | None = None

    def replace_policy(self, new: Policy) -> tuple[str, ...]:
        if self.refusing is not None:
            raise self.refusing
        self.policy = new
        self.put_in_force.append(new)
        return ("mkdir",)

    def errnos(self) -> Sequence[int]:
        return [rule.action.errno for one in self.put_in_force for rule in one.rules if isinstance(rule.action, Deny)]


class Fixture:
    """What reads one file again, looked over its shoulder: each look is made by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text(SHUT)
        os.utime(path)
        self.run = FakeRun(load(path))
        surroundings = surroundings_here((), None, None)
        self.reader = enforcing._Reader(cast("ProcessRun", self.run), [str(path)], surroundings, reload=True)
        self.reader._failed = False  # the file is new, and would be read at the first look

    async def looks(self, count: int = 3) -> None:
        for _ in range(count):
            await self.reader.look(is_asked=False)


@pytest.fixture
def again(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path / "mine.toml")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(enforcing, "tell", lines.append)
    return lines


async def test_a_file_that_has_not_changed_is_not_read(again: Fixture, told: list[str]) -> None:
    await again.looks()

    assert (again.run.put_in_force, told) == ([], [])


async def test_a_file_that_has_changed_is_read_once(again: Fixture, told: list[str]) -> None:
    again.path.write_text(OTHER)
    await again.looks(6)

    assert again.run.errnos() == [errno.EROFS]
    assert told == ["the policy was read again; 1 calls are decided differently"]


async def test_half_of_a_file_is_not_put_in_force(again: Fixture, told: list[str]) -> None:
    """An editor writes: at the first look there is half of a policy, which refuses nothing, and then the whole."""
    again.path.write_text(HEAD)
    await again.reader.look(is_asked=False)
    assert again.reader.look_again_seconds < 1
    again.path.write_text(OTHER)
    await again.looks()

    assert again.run.errnos() == [errno.EROFS]
    assert [policy.rules for policy in again.run.put_in_force if not policy.rules] == []
    assert len(told) == 1


async def test_a_file_that_never_stays_as_it_is_is_read_all_the_same(again: Fixture, told: list[str]) -> None:
    """Whoever touches it a thousand times a second does not keep a stricter policy from being read."""
    again.path.write_text(OTHER)
    for moment in range(20):
        os.utime(again.path, ns=(moment, moment))
        await again.reader.look(is_asked=False)

    assert again.run.errnos() == [errno.EROFS]
    assert len(told) == 1


async def test_a_file_that_is_touched_tells_nothing(again: Fixture, told: list[str]) -> None:
    for moment in range(20):
        os.utime(again.path, ns=(moment, moment))
        await again.looks(2)

    assert (again.run.put_in_force, told) == ([], [])


async def test_what_changed_between_the_reading_and_the_first_look_is_noticed(tmp_path: Path, told: list[str]) -> None:
    """The file is read before the program starts, and looked at only afterwards."""
    again = Fixture(tmp_path / "mine.toml")
    again.path.write_text(OTHER)
    surroundings = surroundings_here((), None, None)
    reader = enforcing._Reader(cast("ProcessRun", again.run), [str(again.path)], surroundings, reload=True)
    await reader.look(is_asked=False)

    assert again.run.errnos() == [errno.EROFS]
    assert len(told) == 1


async def test_what_changes_while_it_is_read_is_noticed(
    again: Fixture, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read, and then written before anybody looks again: the stamp must be that of before."""
    original = enforcing._Reader._load

    def load_and_change(reader: enforcing._Reader, now: Stamps) -> tuple[Policy, str]:
        policy = original(reader, now)
        again.path.write_text(OTHER)
        return policy

    again.path.write_text(SHUT.replace("EBUSY", "EACCES"))
    with monkeypatch.context() as patched:
        patched.setattr(enforcing._Reader, "_load", load_and_change)
        await again.looks(2)
    await again.looks()

    assert again.run.errnos() == [errno.EACCES, errno.EROFS]
    assert len(told) == 2


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 32)


def empty(path: Path) -> None:
    path.write_text("")


def binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\0" * 100)


def deleted(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("become", [fifo, directory, loop, dangling, device, huge, empty, binary, deleted])
async def test_whatever_becomes_of_a_file_is_told_once_and_changes_nothing(
    again: Fixture, told: list[str], become: Callable[[Path], None]
) -> None:
    become(again.path)
    with trio.fail_after(5):
        await again.looks(8)

    assert again.run.put_in_force == []
    (line,) = told
    assert str(again.path) in line
    assert "what was in force stays" in line
    shutil.rmtree(again.path) if again.path.is_dir() else again.path.unlink(missing_ok=True)
    again.path.write_text(OTHER)
    await again.looks()
    assert again.run.errnos() == [errno.EROFS]


async def test_a_mistake_in_an_included_file_is_noticed_when_it_is_mended_there(
    again: Fixture, told: list[str]
) -> None:
    """The file that is in force does not change, and the one with the mistake is in no policy yet."""
    other = again.path.with_name("other.toml")
    again.path.write_text(OTHER.replace('"mine"', '"mine"\ninclude = ["other.toml"]'))
    await again.looks()
    other.write_text("wrong")
    await again.looks()
    assert [line.partition(": ")[2].partition(":")[0] for line in told] == [str(again.path), str(other)]
    other.write_text(HEAD)
    await again.looks()

    assert again.run.errnos() == [errno.EROFS]


async def test_what_cannot_be_put_in_force_is_told_once(again: Fixture, told: list[str]) -> None:
    again.run.refusing = monitor.PolicyNotLoosenable(("mkdir",))
    again.path.write_text(OTHER)
    await again.looks(8)

    (line,) = told
    assert line.startswith("the policy was not replaced: ")


async def test_who_asks_is_told_each_time(again: Fixture, told: list[str]) -> None:
    await again.reader.look(is_asked=True)
    await again.reader.look(is_asked=True)
    again.path.unlink()
    await again.reader.look(is_asked=True)
    await again.reader.look(is_asked=True)

    assert [line.partition(" again")[0] for line in told] == [
        "the policy was read",
        "the policy was read",
        "the policy was not read",
        "the policy was not read",
    ]


async def test_a_file_that_blocks_does_not_hold_up_the_answers(
    again: Fixture, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is included was not there before, so nobody could see that it is a FIFO."""
    monkeypatch.setattr(enforcing, "_READ_SECONDS", 0.2)
    pipe = again.path.with_name("pipe.toml")
    os.mkfifo(pipe)
    again.path.write_text(HEAD + 'include = ["pipe.toml"]\n')
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await trio.sleep(0.01)
            ticks += 1

    await within(again.looks, tick)
    assert ticks > 5
    again.path.write_text(OTHER)
    await again.looks()
    assert again.run.errnos() == [errno.EROFS]
    assert "it takes more than" in told[0]
    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))  # lets the thread go


async def test_a_program_that_leaves_no_thread_to_be_had_does_not_end_itself(
    again: Fixture, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has our user id, and starts processes until RLIMIT_NPROC is reached."""

    async def none_left(*_words: object, **_options: object) -> Policy:
        await trio.lowlevel.checkpoint()
        message = "can't start new thread"
        raise RuntimeError(message)

    again.path.write_text(OTHER)
    with monkeypatch.context() as patched:
        patched.setattr(trio.to_thread, "run_sync", none_left)
        await again.looks(5)
    assert told == ["the policy was not read again: can't start new thread; what was in force stays"]
    await again.looks()
    assert again.run.errnos() == [errno.EROFS]


async def within(looks: Callable[[], Awaitable[None]], tick: Callable[[], Awaitable[None]]) -> None:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            await looks()
            nursery.cancel_scope.cancel()
