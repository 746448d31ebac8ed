"""When a call is the runtime's, and when that is over: nothing of it can be chosen by a container."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from monitor.agent import phase as module
from monitor.agent.phase import Executed, Image, RuntimePhase
from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.verdict import Allow
from monitor.testing import call

RUNTIME = Image(10, 100, 0x1000, 0x7000)
OUTSIDE = Executed(1, 2, inside=False)
INSIDE = Executed(1, 3, inside=True)


class Threads:
    """What /proc says of threads, for who asks."""

    def __init__(self) -> None:
        self.images: dict[int, Image] = {10: RUNTIME}
        self.executed: dict[int, Executed] = {10: OUTSIDE, 5: OUTSIDE}
        self.gone = False

    def image_of(self, tid: int) -> Image | None:
        return self.images.get(tid)

    def executed_by(self, tid: int) -> Executed | None:
        return self.executed.get(tid)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    made = Threads()

    def still_waits(_call: Call) -> bool:
        return not made.gone

    monkeypatch.setattr(module.Image, "of", made.image_of)
    monkeypatch.setattr(module.Executed, "of", made.executed_by)
    monkeypatch.setattr(module, "_still_waits", still_waits)
    return made


def asked(phase: RuntimePhase, name: str = "close", tid: int = 10) -> bool:
    """Whether the call is the runtime's."""
    outcome = phase(cast("Call", SimpleNamespace(name=name, tid=tid)))
    if outcome is None:
        return False
    assert (outcome.verdict, outcome.by) == (Allow(), "runtime")
    return True


def test_the_runtime_is_who_was_there_at_the_handing_over(threads: Threads) -> None:
    phase = RuntimePhase(10, 5)
    assert all(asked(phase) for _ in range(3))
    assert not phase.over


@pytest.mark.parametrize("name", ["execve", "execveat"])
def test_its_execve_is_the_last_of_its_calls(threads: Threads, name: str) -> None:
    phase = RuntimePhase(10, 5)
    assert asked(phase, name)
    assert phase.over
    assert not asked(phase)


@pytest.mark.parametrize(
    "changed",
    [
        RUNTIME._replace(start_time=101),
        RUNTIME._replace(pid=11),
        RUNTIME._replace(start_code=0x2000),
        RUNTIME._replace(start_stack=0x7001),
        None,
    ],
)
def test_any_other_image_ends_it_for_good(threads: Threads, changed: Image | None) -> None:
    phase = RuntimePhase(10, 5)
    threads.images = {} if changed is None else {10: changed}
    assert not asked(phase)
    threads.images = {10: RUNTIME}
    assert not asked(phase)


@pytest.mark.parametrize("executed", [INSIDE, None])
def test_an_executable_inside_ends_it_for_good(threads: Threads, executed: Executed | None) -> None:
    phase = RuntimePhase(10, 5)
    threads.executed = {} if executed is None else {10: executed}
    assert not asked(phase)
    threads.executed = {10: OUTSIDE}
    assert not asked(phase)


@pytest.mark.parametrize("name", ["close", "execve"])
def test_a_call_that_a_signal_took_away_ends_nothing(threads: Threads, name: str) -> None:
    """Whom we saw may be another of that number, and the runtimes of Go send signals to themselves."""
    phase = RuntimePhase(10, 5)
    threads.gone = True
    threads.images = {}
    assert not asked(phase, name)
    threads.gone, threads.images = False, {10: RUNTIME}
    assert asked(phase, name)


def test_without_a_pid_it_is_who_executes_what_the_peer_does(threads: Threads) -> None:
    phase = RuntimePhase(0, 5)
    threads.images[20] = Image(20, 7, 1, 2)
    threads.executed[20] = OUTSIDE
    assert asked(phase, tid=20)
    assert not asked(phase, tid=10)  # one image alone


def test_without_a_pid_another_file_is_not_the_runtime(threads: Threads) -> None:
    phase = RuntimePhase(0, 5)
    threads.executed[10] = Executed(1, 9, inside=False)
    assert not asked(phase)
    assert phase.over


@pytest.mark.parametrize(("pid", "peer"), [(0, 0), (99, 5), (0, 99)])
def test_where_nobody_is_known_nothing_is_the_runtimes(threads: Threads, pid: int, peer: int) -> None:
    phase = RuntimePhase(pid, peer)
    assert phase.over
    assert not asked(phase)


# ---- what /proc says of real processes ----


@pytest.fixture
def sleeper() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_a_program_of_the_root_is_inside(sleeper: int) -> None:
    found = Executed.of(sleeper)
    assert found is not None
    assert found.inside
    mine = Executed.of(os.getpid())
    assert mine is not None
    assert found.is_same_file(mine)


def test_a_memfd_is_not() -> None:
    fd = os.memfd_create("runtime", 0)
    os.write(fd, Path(shutil.which("sleep") or "").read_bytes())
    with subprocess.Popen([f"/proc/self/fd/{fd}", "60"], pass_fds=[fd]) as process:
        found = Executed.of(process.pid)
        process.kill()
    os.close(fd)
    assert found is not None
    assert not found.inside


def test_an_execve_is_another_image(sleeper: int) -> None:
    before = Image.of(sleeper)
    assert before is not None
    assert before == Image.of(sleeper)
    with subprocess.Popen(["sh", "-c", "echo; read x; exec sleep 60"], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        shell = Image.of(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        while (sleep := Image.of(process.pid)) in {None, shell}:  # none, while the one becomes the other
            pass
        process.kill()
    assert shell is not None
    assert sleep is not None
    assert (shell.pid, shell.start_time) == (sleep.pid, sleep.start_time)
    assert shell != sleep


def test_who_is_gone_has_none() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert Image.of(process.pid) is None
    assert Executed.of(process.pid) is None


def test_whether_it_still_waits_is_asked_of_the_kernel() -> None:
    class Gone:
        def link(self, name: str) -> bytes:
            raise TargetGone

    waiting: Any = call("close")
    assert module._still_waits(waiting)
    waiting._target = type("T", (), {"_memory": Gone()})()
    assert not module._still_waits(waiting)
