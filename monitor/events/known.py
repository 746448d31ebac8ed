"""
Who the threads are that make calls: the thread's name, its process and what that executes, without three looks each.

What it is not: for a decision, or exact about a program that wants to deceive.  A thread chooses its name.

A number of a thread is used again when the thread has gone, so nothing is kept by that number alone: the
file /proc/TID/comm that was opened while the thread waited belongs to that thread, and reading it fails
with ESRCH as soon as it has ended (fs/proc/base.c, ``comm_show``).  So one read(2) for each call says both
that it is still the same thread and what its name is now, however that was changed.

What its process executes is looked at again when something says that it may be another program: a name
that has changed, as by execve(2), or a call from an address from which this thread has made none since
the last look, since the next program is loaded elsewhere.  And when that look is ``EXE_SECONDS`` old: a
program that takes care to keep the name and the addresses is shown as the one before it for so long.
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
    __slots__ = ("fd", "names", "places", "raw", "until")

    def __init__(self, fd: int, raw: bytes, names: Names, place: int) -> None:
        self.fd = fd
        self.raw = raw
        self.names = names
        self.places = {place}
        self.until = monotonic() + EXE_SECONDS


class KnownThreads:
    """The threads of one run that have made calls, as far as somebody wants to know who they are."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self._known: dict[int, _Known] = {}
        self._is_open = True

    def names(self, call: Call) -> Names:
        """Return who makes *call*, whose thread waits.  Raises ClosedResourceError: there is no listener any more."""
        known = self._known.get(call.tid)
        if known is not None:
            try:
                raw = os.pread(known.fd, _COMM_BYTES, 0)
            except OSError:  # ESRCH: it has ended, and another thread has got its number
                self._forget(call.tid)
            else:
                if raw == known.raw and call.instruction_pointer in known.places and monotonic() < known.until:
                    return known.names
                return _looked_at_again(known, raw, call.instruction_pointer, glimpsed(call.target))
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
    known.until = monotonic() + EXE_SECONDS
    return known.names


def _process_of(memory: Memory) -> int:
    try:
        return memory.process()
    except TargetGone:
        return 0
