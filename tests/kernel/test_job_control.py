"""
A program that waits in a brokered call for what may never come, and a person at a terminal: ^Z, fg, bg, ^C.

What it is not: what signals do to such a call, one by one (``test_blocking``).
"""

from __future__ import annotations

import errno
import os
import pty
import select
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import pytest

from tests.conftest import require

POLICY: Final = """
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
otherwise = "allow"
exec = "unverified"
"""

CTRL_C: Final = b"\x03"
CTRL_Z: Final = b"\x1a"
CTRL_BACKSLASH: Final = b"\x1c"

SECONDS: Final = 20


class Shell:
    """A shell with job control, on a terminal of its own."""

    def __init__(self, directory: Path) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            environment = {**os.environ, "PS1": "prompt> ", "PS2": "", "TERM": "dumb", "HISTFILE": ""}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)
        self.shown = b""

    def say(self, text: bytes) -> None:
        """Type *text*."""
        os.write(self.terminal, text)

    def hear(self, wanted: bytes) -> bytes:
        """Return what is shown up to *wanted*, and no more."""
        deadline = monotonic() + SECONDS
        while wanted not in self.shown:
            assert monotonic() < deadline, self.shown
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.shown += os.read(self.terminal, 4096)
        before, _, self.shown = self.shown.partition(wanted)
        return before

    def close(self) -> None:
        """Hang up, and wait for its end."""
        os.close(self.terminal)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    require("bash", Path("/usr/bin/bash").exists() or Path("/bin/bash").exists())
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "policy.toml").write_text(POLICY)
    made = Shell(tmp_path)
    made.hear(b"prompt> ")
    try:
        yield made
    finally:
        made.close()


def begin(shell: Shell, program: str, *, brokered: bool) -> int:
    """Start *program*, which is ``cat fifo`` in the end, in the foreground; return its number when it sleeps there."""
    words = [sys.executable, "-m", "monitor", "run", "--quiet", "-p", "policy.toml", "--"] if brokered else []
    shell.say(shlex.join([*words, "sh", "-c", f'printf "be"; echo "gins"; {program}']).encode() + b"\n")
    shell.hear(b"begins\r\n")
    deadline = monotonic() + SECONDS
    while not (found := waiting(shell)):
        assert monotonic() < deadline
        sleep(0.01)
    sleep(0.2)  # it is in its open, and we are in ours for it
    return found[0]


def waiting(shell: Shell) -> list[int]:
    """Return the programs of the terminal that are cat."""
    session = os.getsid(shell.pid)
    return [pid for pid, name, fields in processes() if name == "cat" and int(fields[3]) == session]


def processes() -> Iterator[tuple[int, str, list[str]]]:
    """Yield number, name and what else /proc says of each process, from its state on."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                before, _, behind = (entry / "stat").read_text().rpartition(")")
            except OSError:
                continue
            yield int(entry.name), before.partition("(")[2], behind.split()


def state(pid: int) -> str:
    """Return the letter of its state."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def feed(directory: Path) -> None:
    """Open the other end of the FIFO, when somebody waits there, and write a line."""
    deadline = monotonic() + SECONDS
    while True:
        try:
            end = os.open(directory / "fifo", os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or monotonic() > deadline:
                raise
            sleep(0.02)  # nobody waits there yet
            continue
        os.write(end, b"a line\n")
        os.close(end)
        return


BOTH: Final = pytest.mark.parametrize("brokered", [False, True], ids=["natively", "brokered"])


@BOTH
@pytest.mark.parametrize("times", [1, 3])
def test_what_waits_is_stopped_goes_on_and_reads_each_line_once(
    shell: Shell, tmp_path: Path, brokered: bool, times: int
) -> None:
    pid = begin(shell, 'cat fifo; echo "status=$?"', brokered=brokered)
    for _ in range(times):
        shell.say(CTRL_Z)
        shell.hear(b"Stopped")
        shell.hear(b"prompt> ")
        sleep(0.3)
        assert state(pid) in ("TD" if brokered else "T")  # we are stopped, too, mostly before we see it
        shell.say(b"fg\n")
        shell.hear(b"cat fifo")
        sleep(0.3)
        assert state(pid) == "S"
    feed(tmp_path)

    assert shell.hear(b"status=0").count(b"a line\r\n") == 1
    shell.hear(b"prompt> ")
    assert not waiting(shell)


@BOTH
@pytest.mark.parametrize(("key", "status"), [(CTRL_C, 130), (CTRL_BACKSLASH, 131)], ids=["interrupt", "quit"])
def test_what_waits_is_ended(shell: Shell, brokered: bool, key: bytes, status: int) -> None:
    begin(shell, "exec cat fifo", brokered=brokered)
    shell.say(key)
    shell.hear(b"prompt> ")
    shell.say(b'echo "sta""tus=$?"\n')

    shell.hear(b"status=%d\r\n" % status)
    assert not waiting(shell)


@BOTH
def test_what_was_stopped_is_ended_when_it_goes_on(shell: Shell, brokered: bool) -> None:
    begin(shell, "exec cat fifo", brokered=brokered)
    shell.say(CTRL_Z)
    shell.hear(b"Stopped")
    shell.hear(b"prompt> ")
    shell.say(b"fg\n")
    shell.hear(b"cat fifo")
    sleep(0.3)
    shell.say(CTRL_C)
    shell.hear(b"prompt> ")
    shell.say(b'echo "sta""tus=$?"\n')

    shell.hear(b"status=130\r\n")
    assert not waiting(shell)


@BOTH
def test_in_the_background_it_waits_as_well(shell: Shell, tmp_path: Path, brokered: bool) -> None:
    begin(shell, 'cat fifo; echo "status=$?"', brokered=brokered)
    shell.say(CTRL_Z)
    shell.hear(b"Stopped")
    shell.hear(b"prompt> ")
    shell.say(b"bg\n")
    shell.hear(b"prompt> ")
    feed(tmp_path)

    assert shell.hear(b"status=0").count(b"a line\r\n") == 1
