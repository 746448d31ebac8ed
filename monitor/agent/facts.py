"""
What is known of a container when its listener comes: what the runtime says, and what /proc says besides.

What it is not: what follows from it (``choosing``).

The pids of the message are those of the runtime's pid namespace.  They are of use only in ours: an agent that runs
in a container of its own would take somebody else for the container's process, and would be told 0 for every
thread that asks.
"""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import Final, NamedTuple

from monitor.notify.listener import Listener
from monitor.sources.receive import HandedOver
from monitor.sources.state_message import ProcessState

_INITIAL_PID_NAMESPACE: Final = 0xEFFFFFFC
"""include/linux/proc_ns.h, ``PROC_PID_INIT_INO``."""

_FILTERED: Final = b"2"
"""``Seccomp`` of proc_pid_status(5): SECCOMP_MODE_FILTER."""


class ForeignNamespaceError(Exception):
    """What was handed over is about processes that have no number here; the text says what to do."""


class Facts(NamedTuple):
    """
    What is known of a container, for whoever chooses its policy.

    *in_user_namespace* (another one than ours) and *cgroup* (its path in the unified hierarchy, or else in the first
    one that proc_pid_cgroup(5) tells) are those of the process whose listener it is; None and empty: not known.
    """

    state: ProcessState
    in_user_namespace: bool | None = None
    cgroup: str = ""


def facts_of(found: HandedOver) -> Facts | None:
    """
    Return what is known of the container of *found*; None: nobody is left behind the listener.

    Raises:
        ForeignNamespaceError: its pids are not ours.
    """
    if has_ended(found.listener):
        return None
    if not found.peer.pid:
        _refuse("whoever handed it over has no pid here")
    pid = found.state.pid
    if not pid:  # crun exec does not tell it
        return Facts(found.state)
    if not _is_filtered(pid):
        if has_ended(found.listener):
            return None
        _refuse(f"pid {pid} of the message has no seccomp filter here")
    return Facts(found.state, _is_in_user_namespace(pid), _cgroup_of(pid))


def _refuse(why: str) -> None:
    message = f"{why}: is the agent in another pid namespace than the runtime? (it has to be in the host's)"
    raise ForeignNamespaceError(message)


def has_ended(listener: Listener) -> bool:
    """Whether no task is left that could ask over *listener* (seccomp_unotify(2), POLLHUP)."""
    poll = select.poll()
    poll.register(listener.fileno(), 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def is_in_container() -> bool:
    """Whether we are in another pid namespace than the first, so that runtimes outside of it are none for us."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino != _INITIAL_PID_NAMESPACE
    except OSError:
        return False


def _is_filtered(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False
    return status.partition(b"\nSeccomp:")[2].split(None, 1)[:1] == [_FILTERED]


def _is_in_user_namespace(pid: int) -> bool | None:
    try:
        theirs, ours = Path(f"/proc/{pid}/ns/user").stat(), Path("/proc/self/ns/user").stat()
    except OSError:
        return None
    return (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino)


def _cgroup_of(pid: int) -> str:
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_bytes().splitlines()
    except OSError:
        return ""
    unified = [line for line in lines if line.startswith(b"0::")]
    return os.fsdecode((unified or lines or [b"::"])[0].split(b":", 2)[2])
