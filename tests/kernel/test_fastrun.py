"""A decision that was made about a name is kept for all that it depended on, and for nothing else."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from errno import EBADF
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor._native import (
    ALLOWED,
    ASKS,
    ELSEWHERE,
    IF_SAME,
    LATE,
    LEFT,
    MAY_BLOCK,
    NOTHING,
    PEEK,
    STALE,
    UNSAID,
    FastActor,
    FastCall,
    FastRun,
    Receiver,
    fastrun,
)
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.broker.plain import plain_calls
from monitor.policy.text import loads

NATIVE = Arch.native()
FACCESSAT, READLINKAT, NEWFSTATAT = (number_of(NATIVE, name) or 0 for name in ("faccessat", "readlinkat", "newfstatat"))
AT_FDCWD = (1 << 64) - 100
FURTHER = MAY_BLOCK | IF_SAME


class Waiting:
    """Calls that nobody made: their paths stand in our own memory, and no answer arrives."""

    def __init__(self) -> None:
        flags = os.O_PATH | os.O_CLOEXEC
        self._fds = [os.open("/proc", flags), os.open("/proc/self/fd", flags)]
        self._receiver = Receiver(-1)
        self.actor = FastActor(self._receiver, -1, *self._fds)
        self.run = FastRun(self.actor)
        self.text: Any = None
        self._made = 0
        questions: dict[str, int] = {}
        self.calls = {
            (arch, number): FastCall(
                call.path,
                call.directory,
                -1 if call.flags is None else call.flags,
                -1 if call.buffer is None else call.buffer,
                call.act,
                call.argument,
                questions.setdefault(call.access, len(questions)),
                call.looks,
            )
            for (arch, number), call in plain_calls(NATIVE, PEEK).items()
        }
        self.run.use(self.calls, FURTHER)

    def make(self, number: int, path: Path | str, flags: int = 0, arch: int = NATIVE.audit_value) -> None:
        """Be the call *number* with *path*, received."""
        self.text = ctypes.create_string_buffer(os.fsencode(path))
        registers = [AT_FDCWD, ctypes.addressof(self.text), 0, flags, 0, 0]
        view = self._receiver.buffers()[2]
        self._made += 1
        packed = struct.pack("=QIIiIQ6Q", self._made, os.getpid(), 0, number, arch, 0, *registers)
        view[: len(packed)] = packed

    def ask(self, number: int, path: Path | str, said: int = ALLOWED, **made: int) -> str:
        """Make the call; whether it had to be asked about, and what came of it."""
        self.make(number, path, **made)
        why = self.run.go(UNSAID, 64)
        asked = why == ASKS
        if asked:
            why = self.run.go(said, 64)
        if why == NOTHING:
            assert (self.run.answered, self.run.sent) == (1, -EBADF)
        return ("asked, " if asked else "") + {NOTHING: "answered", LEFT: "left", STALE: "stale"}[why]

    def close(self) -> None:
        self.actor.close()
        for fd in self._fds:
            os.close(fd)


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    waiting = Waiting()
    yield waiting
    waiting.close()


@pytest.fixture(autouse=True)
def _nothing_is_left_open(waiting: Waiting) -> Iterator[None]:
    """As many fds are open behind a test as were before."""
    before = os.listdir("/proc/self/fd")  # noqa: PTH208  # numbers
    yield
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_what_was_said_of_a_name_is_not_asked_again(waiting: Waiting, tmp_path: Path) -> None:
    said = [waiting.ask(FACCESSAT, tmp_path) for _ in range(3)]

    assert said == ["asked, answered", "answered", "answered"]


def test_what_is_for_the_long_way_is_left_to_it_each_time(waiting: Waiting, tmp_path: Path) -> None:
    said = [waiting.ask(FACCESSAT, tmp_path, ELSEWHERE) for _ in range(3)]

    assert said == ["asked, left", "left", "left"]


def test_another_question_about_the_same_name_is_asked(waiting: Waiting, tmp_path: Path) -> None:
    waiting.ask(FACCESSAT, tmp_path)

    assert waiting.ask(READLINKAT, tmp_path) == "asked, left"
    assert waiting.ask(NEWFSTATAT, tmp_path) == "left", "it is the same question, and there is nobody to write to"


def test_a_name_of_another_kind_of_object_is_asked_about(waiting: Waiting, tmp_path: Path) -> None:
    place = tmp_path / "place"
    kinds = []
    for make, end in ((place.touch, place.unlink), (place.mkdir, place.rmdir), (lambda: None, lambda: None)):
        make()
        kinds.append(waiting.ask(FACCESSAT, place))
        kinds.append(waiting.ask(FACCESSAT, place))
        end()

    assert kinds == ["asked, answered", "answered"] * 3


def test_another_name_is_asked_about_wherever_it_is_kept(waiting: Waiting, tmp_path: Path) -> None:
    """Many names share a place."""
    names = [tmp_path / f"name-{number}" for number in range(10_000)]
    said = {waiting.ask(FACCESSAT, name) for name in names}

    assert said == {"asked, answered"}
    assert waiting.ask(FACCESSAT, names[-1]) == "answered"


def test_a_long_name_is_asked_about_each_time(waiting: Waiting, tmp_path: Path) -> None:
    """What is kept is bounded: names are the target's to choose."""
    name = tmp_path / ("x" * 240)

    assert [waiting.ask(FACCESSAT, name) for _ in range(2)] == ["asked, answered"] * 2


def test_what_was_said_is_forgotten_when_asked_to(waiting: Waiting, tmp_path: Path) -> None:
    waiting.ask(FACCESSAT, tmp_path)
    waiting.run.use(waiting.calls, FURTHER)

    assert waiting.ask(FACCESSAT, tmp_path) == "asked, answered"


def test_only_plain_calls_are_looked_up(waiting: Waiting, tmp_path: Path) -> None:
    assert waiting.ask(FACCESSAT, tmp_path, arch=1) == "left"
    assert waiting.ask(READLINKAT + 1000, tmp_path) == "left"
    assert waiting.ask(NEWFSTATAT, tmp_path, flags=0x8000) == "left"
    waiting.run.use({key: call for key, call in waiting.calls.items() if key[1] != FACCESSAT}, FURTHER)
    assert waiting.ask(FACCESSAT, tmp_path) == "left"


def test_flags_are_an_int_whatever_else_stands_in_the_register(waiting: Waiting, tmp_path: Path) -> None:
    assert waiting.ask(NEWFSTATAT, tmp_path, flags=1 << 40) == "asked, left"


@pytest.mark.root
def test_changed_mounts_are_told_before_anything_is_answered(waiting: Waiting, tmp_path: Path) -> None:
    """Also where somebody else has heard of them: each open list tells each change once."""
    waiting.ask(FACCESSAT, tmp_path)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(tmp_path)], check=True)
    try:
        assert waiting.ask(FACCESSAT, tmp_path.parent) == "stale"
        assert waiting.ask(FACCESSAT, tmp_path.parent) == "asked, answered"
        assert waiting.ask(FACCESSAT, tmp_path) == "asked, answered", "it is on another mount"
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_look_that_tells_nothing_does_not_ask_who_waits(waiting: Waiting, tmp_path: Path) -> None:
    """There is no listener here: one that asked would leave it."""
    strict = {key: call._replace(hows={0: call.hows[0] & ~LATE}) for key, call in waiting.calls.items()}
    waiting.run.use(strict, FURTHER)

    assert waiting.ask(FACCESSAT, tmp_path) == "left"


def test_what_is_answered_is_what_was_asked_for_and_not_what_was_received_last(
    waiting: Waiting, tmp_path: Path
) -> None:
    waiting.make(FACCESSAT, tmp_path / "x")
    held, text = waiting.run.notification(), waiting.text
    waiting.make(READLINKAT, tmp_path)
    assert text is not waiting.text, "its memory stays"

    waiting.run.hold(held)

    assert waiting.run.notification() == held
    assert waiting.run.go(UNSAID, 64) == ASKS
    assert waiting.run.found().name == os.fsencode(tmp_path / "x")
    waiting.actor.drop()


# ---- on real programs ----

POLICY = """
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
otherwise = "allow"
"""

LOOKS = "for _ in range(3000): os.access('/etc', 0)"


MANY = """
for _ in 1 2 3 4 5 6 7 8; do
    /usr/bin/python3 -S -c '
import os
for _ in range(2000):
    os.access("/etc", 0)
' </dev/null &
done
wait
"""


@pytest.mark.seconds(60)
async def test_calls_that_tasks_answer_and_plain_ones_do_not_come_between_each_other() -> None:
    """A task that has answered receives, too; and both let others run while they hold what they have received."""
    launch = monitor.Launch(["bash", "-c", MANY], cwd="/")
    for _ in range(6):
        with trio.fail_after(10):
            async with monitor.supervise(launch, policy=loads(POLICY), linger_seconds=0.005) as run:
                assert await run.wait() == 0

        assert run.stats.gone == 0
        assert run.stats.emulated > 8 * 2000


@pytest.mark.parametrize(("programs", "cpus", "crowded"), [(4, 2, 1), (1, 2, 0), (4, 1, 0)])
async def test_threads_that_call_at_the_same_time_are_woken_on_other_cpus(
    programs: int, cpus: int, crowded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are any, and as long as they do."""
    runs: list[FastRun] = []
    before = FastRun.__init__
    seen: set[int] = set()

    def noted(run: FastRun, actor: FastActor) -> None:
        before(run, actor)
        runs.append(run)

    def went(run: FastRun, said: int, most: int) -> int:
        why = goes(run, said, most)
        seen.add(run.crowded)
        return why

    goes = FastRun.go
    monkeypatch.setattr(FastRun, "__init__", noted)
    monkeypatch.setattr(FastRun, "go", went)
    monkeypatch.setattr(fastrun, "usable_cpus", lambda: cpus)
    script = f"import os\nfor _ in range({programs} - 1):\n  if os.fork() == 0: break\n{LOOKS}"
    launch = monitor.Launch(["/usr/bin/python3", "-S", "-c", script], cwd="/")
    async with monitor.supervise(launch, policy=loads(POLICY)) as run:
        assert await run.wait() == 0

    assert seen == {0, crowded}
    assert len(runs) == 1
