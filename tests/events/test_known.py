"""Who makes a call is known from one read, and is never another thread that got the number."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from monitor.abi.arch import Arch
from monitor.errors import TargetGone
from monitor.events import known
from monitor.events.known import KEPT, KnownThreads, Names
from monitor.notify.decode import Call
from monitor.notify.memory import KernelMemory
from monitor.notify.reserve import FdReserve
from monitor.notify.target import Target

RESERVE: Final = FdReserve()

CODE: Final = """
import os, sys
print(end="ready\\n", flush=True)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "name":
        open("/proc/self/comm", "w").write(rest)
    elif word == "exec":
        os.execv(rest, [rest, "-c", "read line"])
    print(flush=True)
"""


@pytest.fixture(autouse=True)
def _no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an answer here; the processes are there all the same."""
    monkeypatch.setattr("monitor.notify.memory._native.listener_is_valid", lambda _listener, _ident: True)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked at besides the name."""
    taken: list[str] = []
    link, process = KernelMemory.link, KernelMemory.process

    def looked_link(self: KernelMemory, name: str) -> bytes:
        taken.append(name)
        return link(self, name)

    def looked_process(self: KernelMemory) -> int:
        taken.append("process")
        return process(self)

    monkeypatch.setattr(KernelMemory, "link", looked_link)
    monkeypatch.setattr(KernelMemory, "process", looked_process)
    return taken


@pytest.fixture
def threads() -> Iterator[KnownThreads]:
    one = KnownThreads()
    yield one
    one.close()


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline()
        yield started
        started.kill()


def tell(program: subprocess.Popen[str], line: str) -> None:
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(line + "\n")
    program.stdin.flush()
    if not line.startswith("exec"):
        program.stdout.readline()


class Waiting:
    """As much of a listener as a look at a thread needs."""

    def target(self, ident: int, tid: int) -> Target:
        return Target(KernelMemory(-1, RESERVE, ident, tid))


def call(tid: int, place: int = 0x1000) -> Call:
    raw = (1, tid, 0, 110, Arch.X86_64.audit_value, place, 0, 0, 0, 0, 0, 0)
    return Call(raw, "getppid", Arch.X86_64, Waiting())  # type: ignore[arg-type]


def test_it_is_looked_at_once(threads: KnownThreads, program: subprocess.Popen[str], looks: list[str]) -> None:
    exe = Path(f"/proc/{program.pid}/exe").readlink()
    comm = Path(f"/proc/{program.pid}/comm").read_text().strip()
    found = {threads.names(call(program.pid)) for _ in range(20)}

    assert found == {Names(comm, program.pid, os.fsencode(exe))}
    assert looks[:2] == ["process", "exe"]
    assert len(looks) <= 4  # it may have taken more than a hundredth of a second


def test_a_new_name_is_seen_in_a_moment_and_elsewhere_at_once(
    threads: KnownThreads, program: subprocess.Popen[str]
) -> None:
    threads.names(call(program.pid))
    tell(program, "name an other\\one")
    time.sleep(known.NAME_SECONDS)
    assert threads.names(call(program.pid)).comm == "an other\\one"
    tell(program, "name a third")

    assert threads.names(call(program.pid, 0x2000)).comm == "a third"


def test_another_program_is_seen_by_its_name_or_its_address_or_in_a_moment(
    threads: KnownThreads, program: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the three is enough: the two others are kept the same."""
    monkeypatch.setattr(known, "EXE_SECONDS", 1000.0)
    tell(program, "name sh")
    before = threads.names(call(program.pid))
    tell(program, "exec /bin/sh")
    for _ in range(500):
        if Path(f"/proc/{program.pid}/exe").readlink() != Path(os.fsdecode(before.exe)):
            break
        time.sleep(0.01)

    assert threads.names(call(program.pid)) == before  # the same name, from the same address: said in the module
    after = threads.names(call(program.pid, 0x2000))
    assert os.fsdecode(after.exe) == str(Path("/bin/sh").resolve())
    assert threads.names(call(program.pid)) == after


def test_what_is_kept_is_looked_at_again_in_a_hundredth_of_a_second(
    threads: KnownThreads, program: subprocess.Popen[str], looks: list[str]
) -> None:
    threads.names(call(program.pid))
    time.sleep(2 * known.EXE_SECONDS)
    threads.names(call(program.pid))

    assert looks == ["process", "exe", "exe"]


def test_a_thread_that_has_ended_is_not_taken_for_the_next_of_its_number(
    threads: KnownThreads, program: subprocess.Popen[str], looks: list[str]
) -> None:
    pid = program.pid
    threads.names(call(pid))
    program.kill()
    program.wait()
    looks.clear()
    time.sleep(known.NAME_SECONDS)

    assert threads.names(call(pid)) == Names("", 0, b"")  # as it would be of the next thread: looked at anew
    assert looks == ["process", "exe"]


def test_a_thread_that_ends_while_it_is_met_is_not_kept(
    threads: KnownThreads,
    program: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
    open_fds: Callable[[], set[str]],
) -> None:
    """Its name could be read no more, so that nobody would know when its number is another's."""
    before = open_fds()

    def gone(_fd: int, _size: int, _offset: int) -> bytes:
        raise ProcessLookupError

    monkeypatch.setattr(os, "pread", gone)
    threads.names(call(program.pid))

    assert threads._known == {}
    assert open_fds() == before


def test_of_another_program_no_address_is_known_yet(
    threads: KnownThreads, program: subprocess.Popen[str], looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "EXE_SECONDS", 1000.0)
    link, exes = KernelMemory.link, [b"/bin/one", b"/bin/other", b"/bin/other"]
    monkeypatch.setattr(KernelMemory, "link", lambda self, name: link(self, name) and exes.pop(0))
    threads.names(call(program.pid))
    assert threads.names(call(program.pid, 0x2000)).exe == b"/bin/other"
    looks.clear()

    threads.names(call(program.pid))
    assert looks == ["exe"]


def test_few_descriptors_are_held_and_all_given_back(open_fds: Callable[[], set[str]]) -> None:
    before = open_fds()
    sleepers = [subprocess.Popen(["sleep", "100"]) for _ in range(KEPT + 5)]
    threads = KnownThreads()
    for one in sleepers:
        assert threads.names(call(one.pid)).pid == one.pid
    assert len(open_fds() - before) == KEPT
    threads.close()
    assert open_fds() == before
    assert threads.names(call(sleepers[0].pid)).pid == sleepers[0].pid  # after the end nothing is kept
    assert open_fds() == before
    for one in sleepers:
        one.kill()
        one.wait()


def test_of_a_thread_that_is_gone_only_nothing_is_known(
    threads: KnownThreads, program: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.notify.memory._native.listener_is_valid", lambda _listener, _ident: False)

    assert threads.names(call(program.pid))[1:] == (0, b"")
    with pytest.raises(TargetGone):
        call(program.pid).target.for_rendering().link("exe")
