"""
Which processes have asked, so that they can be ended when the supervision is left.

What it is not: every process behind the listener: one that makes no notified call is never seen.
It holds numbers and start times, no fds: a number that meanwhile belongs to somebody else has
another start time.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

_START_TIME: Final = 19
"""Its place behind the name in proc_pid_stat(5): field 22."""

_TGID: Final = b"\nTgid:"
_MANY: Final = 4096


def _start_time(pid: int) -> int:
    """Return when *pid* started, in clock ticks since boot; OSError if there is none."""
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[_START_TIME])


class SeenProcesses:
    """The processes of the threads that were noted."""

    def __init__(self) -> None:
        """Know nobody."""
        self._threads: set[int] = set()
        self._processes: dict[int, int] = {}

    def note(self, tid: int) -> None:
        """Remember the process of *tid*, a thread that waits right now."""
        if tid in self._threads or tid <= 0:
            return
        if len(self._threads) >= _MANY:
            self._forget_the_dead()
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{tid}/status").read_bytes()
            pid = int(status.partition(_TGID)[2].split(None, 1)[0])
            self._processes[pid] = _start_time(pid)
            self._threads.add(tid)

    def kill(self) -> int:
        """Send SIGKILL to every noted process that is still the one that was noted; how many those are."""
        killed = 0
        for pid, started in self._processes.items():
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(pid)
                try:
                    if _start_time(pid) == started:
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                        killed += 1
                finally:
                    os.close(pidfd)
        return killed

    def _forget_the_dead(self) -> None:
        self._threads.clear()  # the living are noted again when they next ask
        alive: dict[int, int] = {}
        for pid, started in self._processes.items():
            with contextlib.suppress(OSError):
                if _start_time(pid) == started:
                    alive[pid] = started
        self._processes = alive
