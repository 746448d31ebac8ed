"""
Whenever a run ends, and whoever ends it, nothing of the broker's is left: no fd, no thread, no file, no process.

    MONITOR_DEATHS=200 python -m pytest tests/kernel/test_broker_leaves_nothing.py
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any, Final

import pytest
import trio

import monitor
from monitor.broker.families import FAMILIES

DEATHS: Final = int(os.environ.get("MONITOR_DEATHS", "25"))
"""How often each is killed at a random moment; nightly more often (.ci/nightly/deaths)."""

BUSY = """
    n=0
    while :; do
        n=$((n + 1)); echo $n > made.$n; read -r line < made.$n; cat made.$n > copy.$n; ls -l > listed; true < missing
        stat made.$n > /dev/null; rm made.$n copy.$n; (exec 3<> fifo; echo x >&3; read -r line <&3); cd /; cd "$OLDPWD"
    done 2> /dev/null
"""
"""Opens, makes and looks in every way of the broker's, on the loop and on workers, and in processes of its own."""


@monitor.handles(*FAMILIES)
def emulate(call: monitor.Call) -> monitor.Verdict:
    """Do everything for the program."""
    return call.emulate()


def fds() -> Counter[str]:
    """Return what this process has open, without numbers: the same things open are the same answer."""
    found = Counter[str]()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the fd of this very listing
            found[str(entry.readlink())] += 1
    return Counter({name: count for name, count in found.items() if not name.endswith("/fd")})


def threads() -> list[str]:
    """Return the threads of the broker that there are; those of trio's cache end when nobody has used them a while."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("monitor ")]


async def settled(look: Callable[[], Any], wanted: Any) -> Any:
    """Return what *look* returns when that is *wanted*, or after five seconds: threads end by themselves."""
    deadline = monotonic() + 5
    while (found := look()) != wanted and monotonic() < deadline:
        await trio.sleep(0.01)
    return found


def children() -> str:
    """Return our children, which there are none of after a run."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


@pytest.fixture
async def warm() -> None:
    """Have everything imported, and trio's own threads started, before anything is counted."""
    for _ in range(3):
        async with monitor.supervise(["cat", "/dev/null"], handlers=[emulate], otherwise=monitor.Allow()) as run:
            await run.wait()


def place(tmp_path: Path) -> Path:
    """Return a directory for BUSY to work in."""
    directory = tmp_path / "place"
    directory.mkdir()
    os.mkfifo(directory / "fifo")
    return directory


def busy(directory: Path) -> monitor.Launch:
    return monitor.Launch(["/bin/sh", "-c", BUSY], cwd=str(directory))


# ---- the program dies ----


@pytest.mark.seconds(60 + DEATHS)
async def test_a_program_that_is_killed_at_any_moment_leaves_nothing_with_us(tmp_path: Path, warm: None) -> None:
    random = Random(1)
    directory = place(tmp_path)
    before = fds(), threads()

    for _ in range(DEATHS):
        async with monitor.supervise(busy(directory), handlers=[emulate], otherwise=monitor.Allow()) as run:
            await trio.sleep(random.uniform(0, 0.1))
            os.kill(run.pid, signal.SIGKILL)
            await run.wait()
        assert run.stats.failures == 0

    assert await settled(fds, before[0]) == before[0]
    assert await settled(lambda: len(threads()), len(before[1])) <= len(before[1])
    assert not children()
    assert_ordinary(directory)


@pytest.mark.seconds(60 + DEATHS)
async def test_a_run_that_is_left_at_any_moment_leaves_nothing(tmp_path: Path, warm: None) -> None:
    """While calls are on workers: files are being made, and FIFOs have nobody at the other end for a moment."""
    random = Random(2)
    directory = place(tmp_path)
    before = fds(), threads()

    for _ in range(max(DEATHS, 100)):
        with trio.move_on_after(random.uniform(0, 0.06)):
            async with monitor.supervise(busy(directory), handlers=[emulate], otherwise=monitor.Allow()) as run:
                await run.wait()

    assert await settled(fds, before[0]) == before[0]
    assert await settled(lambda: len(threads()), len(before[1])) <= len(before[1])
    assert not children()
    assert_ordinary(directory)


async def test_a_run_that_is_left_while_an_open_waits_for_ever_leaves_no_fd(tmp_path: Path, warm: None) -> None:
    """
    Nobody is at the other end of the FIFO, nor will be.

    The thread that waits there is ended with its wait only; whoever opens the other end ends it.
    """
    directory = place(tmp_path)
    before = fds(), threads()

    for _ in range(10):
        launch = monitor.Launch(["/bin/sh", "-c", ": < fifo"], cwd=str(directory))
        with trio.move_on_after(0.1):
            async with monitor.supervise(launch, handlers=[emulate], otherwise=monitor.Allow()) as run:
                await run.wait()
    other = os.open(directory / "fifo", os.O_RDWR | os.O_NONBLOCK)

    left = await settled(lambda: len(threads()), len(before[1]))
    os.close(other)
    assert left <= len(before[1])
    assert await settled(fds, before[0]) == before[0]


def assert_ordinary(directory: Path) -> None:
    """What is left is what a program leaves that is killed: whole names, its own modes, no more than it wrote."""
    umask = os.umask(0)
    os.umask(umask)
    for path in directory.iterdir():
        stem, _, number = path.name.partition(".")
        assert stem in {"made", "copy", "listed", "fifo"}, path
        assert path.name == "fifo" or path.stat().st_mode & 0o7777 == 0o666 & ~umask
        if stem in {"made", "copy"}:
            assert path.read_text() in {"", number + "\n"}


# ---- the supervisor dies ----

_SUPERVISOR = """
import sys, trio, monitor
from monitor.broker.families import FAMILIES
@monitor.handles(*FAMILIES)
def emulate(call):
    return call.emulate()
async def main():
    async with monitor.supervise(["/bin/sh", "-c", sys.argv[1]], handlers=[emulate], otherwise=monitor.Allow()) as run:
        print("runs", flush=True)
        await run.wait()
trio.run(main)
"""


def marked(mark: str) -> list[int]:
    """Return every process whose environment has *mark*; a zombie has none."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


@pytest.mark.seconds(60 + 3 * DEATHS)
def test_a_supervisor_that_is_killed_at_any_moment_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    """It is asked to make files, and dies while it does."""
    random = Random(3)
    directory = place(tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    for number in range(DEATHS):
        mark = f"MARK_OF_DEATH={os.getpid()}.{number}"
        name, _, value = mark.partition("=")
        with subprocess.Popen(
            [sys.executable, "-c", _SUPERVISOR, BUSY],
            cwd=directory, env={**os.environ, name: value, "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            process.stdout.readline()
            sleep(random.uniform(0, 0.08))
            process.kill()
        deadline = monotonic() + 20
        while left := marked(mark):
            assert monotonic() < deadline, f"still there: {left}"
            sleep(0.005)

    assert_ordinary(directory)
    assert not list(temporary.iterdir())


def assert_a_moment(directory: Path) -> None:
    """What is there is what ``k_once`` has made up to some call of it: none is half done, none left out."""
    names = {path.name for path in directory.iterdir()}
    last = max((int(name.rpartition("-")[2]) for name in names), default=0)
    for number in range(last + 1):
        there = {kind for kind in ("directory", "gone", "file", "link", "symlink") if f"{kind}-{number}" in names}
        file, gone = directory / f"file-{number}", directory / f"gone-{number}"
        if number < last:
            assert there == {"directory", "file", "link"}
            assert file.read_text() == "on"
        moments = ["", "directory", "directory gone", "directory file", "directory file link"]
        moments += ["directory file link symlink"]
        assert there in [set(moment.split()) for moment in moments], (number, there)
        if "gone" in there and not gone.is_dir():
            assert (gone.read_text(), gone.stat().st_mode & 0o777) in {("", 0o600), ("once", 0o600)}
        if "file" in there:
            assert file.read_text() in ({"on"} if "link" in there else {"", "once", "on"})
            assert file.stat().st_nlink == 1 + ("link" in there)


@pytest.mark.seconds(60 + 3 * DEATHS)
def test_a_supervisor_that_is_killed_at_any_moment_has_done_each_call_or_not(tmp_path: Path, compiled: Any) -> None:
    """
    It makes, moves and removes names for one program, and waits for the other end of a FIFO for another.

    Whoever waits there for us has our memory, and so our environment: that is gone, too.
    """
    random = Random(5)
    os.mkfifo(tmp_path / "fifo")
    for number in range(DEATHS):
        directory = tmp_path / str(number)
        directory.mkdir()
        mark = f"MARK_OF_DEATH={os.getpid()}.once.{number}"
        name, _, value = mark.partition("=")
        sleeper = f"{compiled('k_sleeper')} read {tmp_path}/fifo none 0 0"
        script = f"{sleeper} >/dev/null & exec {compiled('k_once')} {directory} 100000 plain 0 >/dev/null"
        with subprocess.Popen(
            [sys.executable, "-c", _SUPERVISOR, script],
            env={**os.environ, name: value}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            process.stdout.readline()
            sleep(random.uniform(0, 0.2))
            process.kill()
        deadline = monotonic() + 20
        while left := marked(mark):
            assert monotonic() < deadline, f"still there: {left}"
            sleep(0.005)
        assert_a_moment(directory)
        shutil.rmtree(directory)


async def test_nobody_waits_for_the_other_end_of_a_fifo_for_a_program_that_is_gone(tmp_path: Path) -> None:
    """Neither for one that was killed while it waited, nor for one whose run ended."""
    os.mkfifo(tmp_path / "fifo")

    @monitor.handles("open", "openat")
    def opens(call: monitor.Call) -> monitor.Verdict:
        return call.emulate()

    script = f"cat {tmp_path}/fifo & sleep 0.2; kill -9 $!; exec cat {tmp_path}/fifo"
    with trio.move_on_after(1.5):
        async with monitor.supervise(["sh", "-c", script], handlers=[opens], otherwise=monitor.Allow()) as run:
            await run.wait()

    with trio.fail_after(10):
        while any(thread.name.startswith("monitor ") for thread in threading.enumerate()):
            await trio.sleep(0.05)
