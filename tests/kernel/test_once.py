"""
Each call is done once, and its result is heard, whatever signals come, also where the kernel lets them take it away.

A kernel before Linux 5.19 knows nothing of WAIT_KILLABLE_RECV; tests/targets/d_absent.c makes this one such a kernel.
"""

from __future__ import annotations

import os
import subprocess
import sys
from errno import EEXIST, EINVAL
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from monitor.broker.journal import Entry, Journal
from monitor.notify.emulation import Emulated, MayBlockError

SIGNALS: Final = 60
"""What a run goes on for: on a fast machine its rounds are over before."""

_SUPERVISOR = """
import subprocess, sys, trio, monitor
from monitor.broker.families import FAMILIES
used, heard, thrown = {}, {}, 0
@monitor.handles(*FAMILIES)
def emulate(call):
    used[call.nr] = len(call.args)
    return call.emulate()
def told(event):
    global thrown
    if isinstance(event, monitor.CallAnswered) and event.delivered:
        call = event.nr, event.args[: used[event.nr]]
        thrown += heard.get(event.tid) == call
        heard[event.tid] = None if event.result == -512 else call  # ERESTARTSYS: it is to be made again
told.wish = monitor.Wish(comm=False)
async def main():
    launch = monitor.Launch(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    async with monitor.supervise(launch, handlers=[emulate], otherwise=monitor.Allow(), events=told) as run:
        async for chunk in run.stdout:
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
        status = await run.wait()
    print(status, run.stats.gone, run.stats.failures, thrown)
trio.run(main)
"""
"""
It counts the answers that the kernel took and threw away: it said that one was heard, and the next that was heard is
one to the same call.  A program that makes a call twice in a row has that counted too, which ``k_once`` does not.
"""


class Ran(NamedTuple):
    """The lines that a program wrote, how many answers nobody waited for, and how many were thrown away."""

    lines: list[str]
    gone: int
    thrown: int


@pytest.fixture
def before_5_19(compiled: Any) -> dict[str, str]:
    """The environment of a supervisor on such a kernel."""
    library = compiled("d_absent", "-shared", "-fPIC", "-ldl")
    return {**os.environ, "LD_PRELOAD": library, "ABSENT": "wait killable", "ERRNO": str(EINVAL)}


def supervised(argv: list[str], environment: dict[str, str] | None) -> Ran:
    """Run *argv* under a supervisor."""
    done = subprocess.run(
        [sys.executable, "-c", _SUPERVISOR, *argv],
        env=environment, stdout=subprocess.PIPE, check=True, text=True, timeout=200,
    )  # fmt: skip
    *lines, last = done.stdout.splitlines()
    status, gone, failures, thrown = map(int, last.split())
    assert (status, failures) == (0, 0), done.stdout
    return Ran(lines, gone, thrown)


def assert_done_once(directory: Path, rounds: int, misled: frozenset[int] = frozenset()) -> None:
    """What is there is what a run without signals leaves, but for what rounds wrote that were *misled*."""
    names = sorted(path.name for path in directory.iterdir())
    assert names == sorted(f"{kind}-{n}" for kind in ("directory", "file", "link") for n in range(rounds))
    for number in range(rounds):
        assert number in misled or (directory / f"file-{number}").read_text() == "on"
        assert (directory / f"file-{number}").stat().st_nlink == 2


@pytest.mark.seconds(240)
@pytest.mark.parametrize("handler", ["plain", "restart"])
def test_a_storm_of_signals_has_each_call_done_once_and_its_result_heard(
    handler: str, compiled: Any, tmp_path: Path
) -> None:
    lines, gone, thrown = supervised([compiled("k_once"), str(tmp_path), "100", handler, str(SIGNALS)], None)

    *failed, last = lines
    interrupted, signals, rounds = map(int, last.split())
    # What had not been received may fail with EINTR, where no restart was asked for; it was not begun.
    assert (failed, gone, thrown) == ([], 0, 0)
    assert handler == "plain" or not interrupted
    assert signals > 50
    assert_done_once(tmp_path, rounds)


@pytest.mark.seconds(240)
@pytest.mark.parametrize("handler", ["plain", "restart"])
def test_before_linux_5_19_too(handler: str, compiled: Any, tmp_path: Path, before_5_19: dict[str, str]) -> None:
    """
    What a signal took away is remembered.

    Such a kernel throws an answer away that comes in the very moment of a signal.  A thread that a signal has woken
    decides that it was interrupted before it takes the lock under which answers are given (kernel/seccomp.c,
    seccomp_do_user_notification); an answer in between is taken, with success, and never looked at.  Nobody can
    tell the call that follows from one that the program makes anew.  So as many calls may fail as answers were seen
    to be thrown away, about one in a thousand signals where there are two CPUs, and no other.
    """
    command = [compiled("k_once"), str(tmp_path), "80", handler, str(SIGNALS)]

    (*failed, last), gone, thrown = supervised(command, before_5_19)

    _, signals, rounds = map(int, last.split())
    assert len(failed) <= thrown, failed
    assert thrown * 10 < gone
    assert gone > 10, "no signal took a call away: the test shows nothing"
    assert signals > 50
    assert_done_once(tmp_path, rounds, frozenset(int(line.partition(":")[0]) for line in failed))


def test_a_call_that_is_made_twice_is_done_twice(tmp_path: Path, before_5_19: dict[str, str]) -> None:
    """It is the same call in every respect, but its first answer was heard."""
    made = str(tmp_path / "made")
    twice = f"import os\nfor _ in range(2):\n try: print(os.mkdir({made!r}))\n except OSError as e: print(e.errno)"

    lines, *_ = supervised([sys.executable, "-S", "-c", twice], before_5_19)

    assert lines == ["None", str(EEXIST)]


# ---- what is remembered ----


class Made:
    """As much of a call as is compared."""

    audit_arch = 0
    instruction_pointer = 1
    args = (1, 2)

    def __init__(self, nr: int = 83, registers: tuple[int, ...] = (1, 2), tid: int = 0) -> None:
        self.nr = nr
        self.registers = registers
        self.tid = tid or os.getpid()


def begin(journal: Journal, path: bytes, **call: Any) -> tuple[Entry, bool]:
    made: Any = Made(**call)
    return journal.begin(made, [path], may_block=False)


@pytest.fixture
def journal() -> Journal:
    """A journal in which mkdir("there") of this thread was done, and not heard of."""
    journal = Journal()
    entry, is_new = begin(journal, b"there")
    assert is_new
    journal.end(entry, Emulated(0))
    return journal


def test_the_same_call_is_answered_with_what_came_of_it(journal: Journal) -> None:
    entry, is_new = begin(journal, b"there")

    assert (entry.done, is_new) == (Emulated(0), False)


def test_another_name_behind_the_same_pointer_is_another_call(journal: Journal) -> None:
    assert begin(journal, b"elsewhere")[1]


def test_unused_registers_are_no_part_of_a_call(journal: Journal) -> None:
    assert not begin(journal, b"there", registers=(1, 2, 77))[1]


def test_any_other_call_of_the_thread_has_it_forgotten(journal: Journal) -> None:
    other: Any = Made(nr=84)
    journal.note(other)

    assert begin(journal, b"there")[1]


def test_the_call_of_another_thread_has_nothing_forgotten(journal: Journal) -> None:
    other: Any = Made(nr=84, tid=1)
    journal.note(other)

    assert not begin(journal, b"there")[1]


def test_what_has_not_come_to_an_end_is_waited_for_elsewhere() -> None:
    journal = Journal()
    entry, _ = begin(journal, b"there")

    with pytest.raises(MayBlockError):
        begin(journal, b"there")
    journal.end(entry, Emulated(0))
    assert not begin(journal, b"there")[1]


@pytest.mark.parametrize("done", [None, Emulated(-EEXIST), Emulated(3, answered=True)])
def test_what_failed_and_what_was_answered_is_not_remembered(done: Emulated | None) -> None:
    journal = Journal()
    entry, _ = begin(journal, b"there")
    journal.end(entry, done)

    assert begin(journal, b"there")[1]


def test_a_file_that_was_made_is_closed_when_it_is_forgotten(open_fds: Any, tmp_path: Path) -> None:
    before = open_fds()
    journal = Journal()
    entry, _ = begin(journal, b"made")
    with (tmp_path / "made").open("w") as file:
        entry.keep(file.fileno())
    journal.end(entry, None)
    assert open_fds() != before
    assert not begin(journal, b"made")[1]

    begin(journal, b"another")

    assert open_fds() == before
    journal.close()


def test_a_file_that_is_made_after_it_was_forgotten_is_closed(open_fds: Any, tmp_path: Path) -> None:
    before = open_fds()
    journal = Journal()
    entry, _ = begin(journal, b"made")
    begin(journal, b"another")
    with (tmp_path / "made").open("w") as file:
        entry.keep(file.fileno())
    journal.end(entry, None)

    assert open_fds() == before


def test_threads_that_are_gone_are_forgotten() -> None:
    with subprocess.Popen(["sleep", "100"]) as process:
        journal = Journal()
        entry, _ = begin(journal, b"there", tid=process.pid)
        journal.end(entry, Emulated(0))
        process.kill()
    begin(journal, b"there")

    assert len(journal) == 1


def test_no_more_than_so_many_are_remembered() -> None:
    processes = [subprocess.Popen(["sleep", "100"]) for _ in range(3)]
    journal = Journal(most=2)
    try:
        for process in processes:
            entry, _ = begin(journal, b"there", tid=process.pid)
            journal.end(entry, Emulated(0))
        assert len(journal) == 2
        assert [begin(journal, b"there", tid=process.pid)[1] for process in reversed(processes)] == [False, False, True]
    finally:
        for process in processes:
            process.kill()
            process.wait()
