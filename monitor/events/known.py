"""
Who the threads are that make calls: the thread's name, its process and what that executes, without three looks each.

What it is not: for a decision, or exact about a program that wants to deceive.  A thread chooses its name.

A number of a thread is used again when the thread has gone, so nothing is kept by that number alone: the
file /proc/TID/comm that was opened while the thread waited belongs to that thread, and reading it fails
with ESRCH as soon as it has ended (fs/proc/base.c, ``comm_show``).  So one read(2) says both that it is still
the same thread and what its name is now, however that was changed.

It is read for a call from an address from which this thread has made none lately: a program that was
executed is loaded elsewhere, and who changes a name mostly goes on to do something else.  And when the last
read is ``NAME_SECONDS`` old: so long a thread is shown under the name before, and for so long, if that is
possible at all, another thread as the one that had its number.

What its process executes is looked at again when the name has changed, as by execve(2), for a call from such
an address, and when the last look is ``EXE_SECONDS`` old: so long a program that takes care to keep the name and
the addresses is shown as the one before it.
"""

from __future__ import annotations

import contextlib
import os
from time import monotonic
from typing import Final, NamedTuple

from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.memory import KernelMemory, Memory
from monitor.notify.target import glimpsed

NAME_SECONDS: Final = 0.001
"""How old a thread's name may be, and the certainty that it is the same thread."""

EXE_SECONDS: Final = 0.010
"""How old the look at what a process executes may be where nothing says that it has changed."""

KEPT: Final = 32
"""How many threads are known at once; each costs an fd of ours."""

_PLACES: Final = 256
"""From how many addresses a thread is known to call."""

_COMM_BYTES: Final = 64
"""More than a name has (``TASK_COMM_LEN`` is 16; a kernel's worker has up to 64)."""


class Names(NamedTuple):
    """
    Who made a call.

    Attributes:
        comm: the thread's name (proc_pid_comm(5)).
        pid: the number of its process in our pid namespace; 0: it has none there.
        exe: what its process executes, as ``/proc/PID/exe`` says it.
    """

    comm: str
    pid: int
    exe: bytes


NOBODY: Final = Names("", 0, b"")
"""Of whom nothing is known."""


class _Known:
    __slots__ = ("exe_until", "fd", "name_until", "names", "places", "raw")

    def __init__(self, fd: int, raw: bytes, names: Names, place: int) -> None:
        self.fd = fd
        self.raw = raw
        self.names = names
        self.places = {place}
        now = monotonic()
        self.name_until = now + NAME_SECONDS
        self.exe_until = now + EXE_SECONDS


class KnownThreads:
    """The threads of one run that have made calls, as far as somebody wants to know who they are."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self._known: dict[int, _Known] = {}
        self._is_open = True

    def names(self, call: Call) -> Names:
        """Return who makes *call*, whose thread waits.  Raises ClosedResourceError: there is no listener any more."""
        notification = call._raw  # noqa: SLF001  # hot: no properties
        tid, place = notification[1], notification[5]
        known = self._known.get(tid)
        if known is not None:
            now = monotonic()
            if now < known.name_until and place in known.places:
                return known.names
            try:
                raw = os.pread(known.fd, _COMM_BYTES, 0)
            except OSError:  # ESRCH: it has ended, and another thread has got its number
                self._forget(tid)
            else:
                known.name_until = now + NAME_SECONDS
                if raw == known.raw and place in known.places and now < known.exe_until:
                    return known.names
                return _looked_at_again(known, raw, place, glimpsed(call.target))
        return self._meet(call, glimpsed(call.target))

    def _meet(self, call: Call, memory: Memory) -> Names:
        """Return who makes *call*, of whom nothing is known, and know them from now on if that can be."""
        fd = -1
        if self._is_open and call.tid > 0 and isinstance(memory, KernelMemory):
            with contextlib.suppress(OSError):  # gone, or we have no fd for it
                fd = os.open(f"/proc/{call.tid}/comm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            names = Names(memory.comm(), _process_of(memory), memory.link("exe"))  # it was there after the last one
            raw = os.pread(fd, _COMM_BYTES, 0) if fd >= 0 else b""
        except (TargetGone, OSError):
            names, raw = Names(memory.comm(), 0, b""), b""
        if not raw:
            if fd >= 0:
                os.close(fd)
            return names
        if len(self._known) >= KEPT:
            self._forget(next(iter(self._known)))
        self._known[call.tid] = _Known(fd, raw, names, call.instruction_pointer)
        return names

    def _forget(self, tid: int) -> None:
        os.close(self._known.pop(tid).fd)

    def close(self) -> None:
        """Know nobody any more."""
        self._is_open = False
        for tid in list(self._known):
            self._forget(tid)


def _looked_at_again(known: _Known, raw: bytes, place: int, memory: Memory) -> Names:
    """Return who it is now."""
    try:
        exe = memory.link("exe")
    except TargetGone:
        exe = b""
    if exe != known.names.exe or len(known.places) >= _PLACES:
        known.places.clear()
    known.places.add(place)
    known.raw = raw
    known.names = Names(os.fsdecode(raw.removesuffix(b"\n")), known.names.pid, exe)
    known.exe_until = monotonic() + EXE_SECONDS
    return known.names


def _process_of(memory: Memory) -> int:
    try:
        return memory.process()
    except TargetGone:
        return 0
