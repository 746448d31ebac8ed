"""
What lies behind a waiting thread, read under one check of its notification: the kernel's word for it.

What it is not: what a handler sees (``target``), which notes that it was looked at.

The rule that each method of ``KernelMemory`` keeps, so that nobody above can forget it: bytes are returned only
if the thread still waited *after* they were read.  Otherwise they may be another process's that got the
number.  Source: seccomp_unotify(2), "Example"; ``native/memory.c`` says how, and why through /proc/TID/mem.
"""

from __future__ import annotations

import os
from errno import EACCES
from pathlib import Path
from typing import Final, NoReturn, Protocol

from monitor import _native
from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.reserve import FdReserve

_START_TIME: Final = 19
"""The place of ``starttime`` behind the name in /proc/PID/stat (proc_pid_stat(5))."""


class Memory(Protocol):
    """The memory of one waiting thread: the kernel's, or the fake of ``monitor.testing``."""

    @property
    def tid(self) -> int:
        """The thread's number in our pid namespace; 0 when it has none there."""
        ...

    def process(self) -> int:
        """Return the number of the thread's process.  Raises TargetGone."""
        ...

    def started(self) -> int:
        """Return when the thread's process began, in clock ticks since boot: it and its number are no other's."""
        ...

    def executed(self) -> tuple[int, int] | None:
        """Return device and inode of what the process executes; None: it cannot be seen."""
        ...

    def comm(self) -> str:
        """Return the thread's command name, or an empty string."""
        ...

    def link(self, name: str) -> bytes:
        """Return where a link of the thread's folder in /proc points, or nothing.  Raises TargetGone."""
        ...

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes, fewer where the mapping ends, never none."""
        ...

    def read_string(self, address: int, limit: int) -> bytes:
        """Return the bytes before a NUL that comes within *limit* bytes."""
        ...

    def write(self, address: int, data: bytes) -> int:
        """Write *data*; the count, short where a page is missing."""
        ...


class KernelMemory:
    """The memory of a thread that waits behind one notification of a real listener."""

    __slots__ = ("_ident", "_listener", "_reserve", "tid")

    def __init__(self, listener: int, reserve: FdReserve, ident: int, tid: int) -> None:
        """Borrow the fd *listener*; nothing is opened before something is read."""
        self._listener = listener
        self._reserve = reserve
        self._ident = ident
        self.tid = tid

    def process(self) -> int:
        """Return the thread's process (proc_pid_status(5), ``Tgid``)."""
        if self.tid <= 0:
            return 0
        try:
            status = self._reserve.with_fd(Path(f"/proc/{self.tid}/status").read_bytes)
        except (FileNotFoundError, ProcessLookupError):
            raise TargetGone from None
        if not _native.listener_is_valid(self._listener, self._ident):
            raise TargetGone
        return int(status.partition(b"\nTgid:")[2].split(None, 1)[0])

    def started(self) -> int:
        """Return when the thread's process began (proc_pid_stat(5), ``starttime``).  Raises TargetGone."""
        pid = self.process()
        if not pid:
            return 0
        try:
            status = self._reserve.with_fd(Path(f"/proc/{pid}/stat").read_bytes)
        except (FileNotFoundError, ProcessLookupError):
            raise TargetGone from None
        if not _native.listener_is_valid(self._listener, self._ident):
            raise TargetGone
        return _start_time(status)

    def executed(self) -> tuple[int, int] | None:
        """Return device and inode behind ``/proc/TID/exe``.  Raises TargetGone."""
        found = _executed(self.tid)
        if not _native.listener_is_valid(self._listener, self._ident):
            raise TargetGone
        return found

    def comm(self) -> str:
        """Return the thread's command name (proc_pid_comm(5)); the target can set it to anything."""
        return _comm(self.tid)

    def link(self, name: str) -> bytes:
        """Return where ``/proc/TID/NAME`` points, such as ``fd/3``; proc(5) says what the text may be."""
        found = _link(self.tid, name)
        if not _native.listener_is_valid(self._listener, self._ident):
            raise TargetGone
        return found

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes; see ``mon_target_read`` in native/shim.h."""
        return self._reserve.with_fd(lambda: _native.target_read(self._listener, self._ident, self.tid, address, size))

    def read_string(self, address: int, limit: int) -> bytes:
        """Return a string; see ``mon_target_read_string`` in native/shim.h."""
        return self._reserve.with_fd(
            lambda: _native.target_read_string(self._listener, self._ident, self.tid, address, limit)
        )

    def write(self, address: int, data: bytes) -> int:
        """Write *data*; see ``mon_target_write`` in native/shim.h."""
        return self._reserve.with_fd(lambda: _native.target_write(self._listener, self._ident, self.tid, address, data))


class PeekedMemory:
    """
    The memory of whatever thread has the number ``tid``, read the fast way and for people only.

    Nothing says that it is the thread that waits: that is known when its answer has been
    delivered, and what was read is to be thrown away if it was not (``mon_target_peek``).
    """

    __slots__ = ("_peeker", "tid")

    def __init__(self) -> None:
        """Look at no thread yet: set ``tid``."""
        self._peeker = _native.Peeker()
        self.tid = 0

    def process(self) -> int:
        """Return the thread's process, or 0."""
        try:
            status = Path(f"/proc/{self.tid}/status").read_bytes()
        except OSError:
            return 0
        return int(status.partition(b"\nTgid:")[2].split(None, 1)[0])

    def started(self) -> int:
        """Return when that began, or 0."""
        try:
            return _start_time(Path(f"/proc/{self.process()}/stat").read_bytes())
        except OSError:
            return 0

    def executed(self) -> tuple[int, int] | None:
        """Return what it executes, or None."""
        return _executed(self.tid)

    def comm(self) -> str:
        """Return the thread's command name."""
        return _comm(self.tid)

    def link(self, name: str) -> bytes:
        """Return where ``/proc/TID/NAME`` points, or nothing."""
        return _link(self.tid, name)

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes."""
        return self._peeker.read(self.tid, address, size)

    def read_string(self, address: int, limit: int) -> bytes:
        """Return a string."""
        return self._peeker.read_string(self.tid, address, limit)

    def write(self, address: int, data: bytes) -> int:
        """Write nothing: who only looks changes nothing."""
        raise TargetMemoryError(address, EACCES, f"write {len(data)} bytes")


def _start_time(status: bytes) -> int:
    """Return the 22nd field of proc_pid_stat(5), counted from behind the name, which may hold anything."""
    return int(status.rpartition(b")")[2].split()[_START_TIME])


def _executed(tid: int) -> tuple[int, int] | None:
    if tid <= 0:
        return None
    try:
        status = Path(f"/proc/{tid}/exe").stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _comm(tid: int) -> str:
    try:
        fd = os.open(f"/proc/{tid}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.fsdecode(os.read(fd, 64).removesuffix(b"\n"))
    except OSError:
        return ""
    finally:
        os.close(fd)


def _link(tid: int, name: str) -> bytes:
    if tid <= 0:
        return b""
    try:
        return os.fsencode(os.readlink(f"/proc/{tid}/{name}"))  # noqa: PTH115  # bytes, not a path
    except OSError:
        return b""


def _gone(*_arguments: object, **_named: object) -> NoReturn:
    raise TargetGone


class NoMemory:
    """The memory of a thread that is gone: every look raises TargetGone."""

    tid = 0
    process = started = executed = link = read = read_string = write = staticmethod(_gone)

    def comm(self) -> str:
        """Return no name."""
        return ""
