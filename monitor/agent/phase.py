"""
The runtime's own calls: what comes through a container's filter before the entry point is executed.

What it is not: a decision about the container.  A runtime installs the filter and then goes on for a moment
(closes descriptors, opens /proc, executes): what it does there is its own, and a policy made for the container
would refuse it, and with it every start.

Nothing is believed that a container could choose.  A phase belongs to one image of one process: the one that was
there when the listener was handed over, and it lasts as long as that image executes a file outside of its own
root.  It is over for good with the first execve that is notified, with an executable inside, or with any other
image.

Exact it is where execve and execveat are notified, as ``agent profile`` has it: nobody comes to the entry point
without our seeing it.  Elsewhere a program of the container's is told from the runtime by what it executes, and,
where that is a memfd, by the addresses that execve(2) gave it (proc_pid_stat(5), startstack): prctl(2),
PR_SET_MM_MAP, changes them for who knows what the runtime's were.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from monitor.errors import TargetGone
from monitor.notify.account import Outcome
from monitor.notify.decode import Call
from monitor.notify.target import glimpsed
from monitor.notify.verdict import Allow

EXECS: Final = frozenset({"execve", "execveat"})

_START_TIME, _START_CODE, _START_STACK = 19, 23, 25
"""Places behind the name in proc_pid_stat(5): fields 22, 26 and 28."""


class Image(NamedTuple):
    """
    One program in one process: another one after each execve(2).

    *start_code* and *start_stack* are 0 where we may not know them (PTRACE_MODE_READ), and then it is none.
    """

    pid: int
    start_time: int
    start_code: int
    start_stack: int

    @classmethod
    def of(cls, tid: int) -> Image | None:
        """Return that of a thread; None: it is gone, or cannot be told from another."""
        try:
            words = Path(f"/proc/{tid}/stat").read_bytes().rpartition(b")")[2].split()
            status = Path(f"/proc/{tid}/status").read_bytes()
        except OSError:
            return None
        process = int(status.partition(b"\nTgid:")[2].split(None, 1)[0])
        made = cls(process, *(int(words[place]) for place in (_START_TIME, _START_CODE, _START_STACK)))
        return made if made.start_code and made.start_stack else None


class Executed(NamedTuple):
    """The file that a process executes: no two are equal while one of them runs."""

    device: int
    inode: int
    inside: bool
    """Whether it is on a mount that the process can reach: below its root."""

    @classmethod
    def of(cls, tid: int) -> Executed | None:
        """Return that of a thread; None: it is gone, or may not be seen."""
        try:
            fd = os.open(f"/proc/{tid}/exe", os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            return cls(status.st_dev, status.st_ino, _mount_of(fd) in _mounts_of(tid))
        except OSError:
            return None
        finally:
            os.close(fd)

    def is_same_file(self, other: Executed) -> bool:
        """Whether *other* executes the same file, wherever that is for it."""
        return (self.device, self.inode) == (other.device, other.inode)


def _mount_of(fd: int) -> int:
    """Return the number of the mount that *fd* is on (proc_pid_fdinfo(5))."""
    text = Path(f"/proc/self/fdinfo/{fd}").read_bytes()
    return int(text.partition(b"\nmnt_id:")[2].split(None, 1)[0])


def _mounts_of(tid: int) -> frozenset[int]:
    """
    Return the numbers of the mounts below the root of a thread (fs/proc_namespace.c, ``show_mountinfo``).

    What a runtime executes from a memfd, or from a mount that it has taken out of every tree, is on none of them.
    """
    lines = Path(f"/proc/{tid}/mountinfo").read_bytes().splitlines()
    return frozenset(int(line.split(None, 1)[0]) for line in lines)


class RuntimePhase:
    """The ``Prelude`` of one listener: lets the runtime's calls run, until the entry point is executed."""

    def __init__(self, pid: int, peer: int) -> None:
        """
        Begin, at the moment of the handing over.

        *pid*: the process that the message names; 0: it names none (crun exec), and then it is whoever executes
        the very file that *peer*, who handed it over, executes.
        """
        self.over = False
        """For good."""
        self._image = Image.of(pid) if pid > 0 else None
        self._peer = Executed.of(peer) if pid <= 0 < peer else None
        if self._image is None and self._peer is None:
            self.over = True

    def __call__(self, call: Call) -> Outcome | None:
        """Return that *call* runs if it is the runtime's; with its execve, and with anybody else's call, it is over."""
        if self.over:
            return None
        image = self._seen(call.tid)
        if not _still_waits(call):
            # A signal has come, as the runtimes of Go send them to themselves: nobody gets an answer, the call may
            # come again, and whom we saw may be another of that number.
            return None
        if image is None:
            self.over = True
            return None
        self._image = image
        if call.name in EXECS:
            self.over = True  # what it executes is the container's, if it succeeds
        return Outcome(Allow(), "runtime")

    def _seen(self, tid: int) -> Image | None:
        """Return the image of *tid*, if that is the runtime's or may be."""
        executed, image = Executed.of(tid), Image.of(tid)
        if executed is None or image is None or executed.inside:
            return None
        if self._image is None:
            assert self._peer is not None
            return image if executed.is_same_file(self._peer) else None
        return image if image == self._image else None


def _still_waits(call: Call) -> bool:
    """Whether *call* waits still, so that what was seen of its thread was not another's of the same number."""
    try:
        glimpsed(call.target).link("exe")
    except TargetGone:
        return False
    return True
