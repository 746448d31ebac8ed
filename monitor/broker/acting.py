"""
What every family of calls needs to act for a thread: its paths, its umask, its fds, its memory.

What it is not: a family.  One object for each thread of ours that acts.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from errno import EBADF, EMFILE, ENFILE
from pathlib import Path
from typing import NamedTuple, TypeVar

from monitor._native import PathLooker, target_fd
from monitor.broker.resolved import Resolved
from monitor.broker.worker import Runner
from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.emulation import ChangedError, Emulated
from monitor.notify.listener import Listener

T = TypeVar("T")


class Shared(NamedTuple):
    """
    What all that act for the targets of one broker have in common.

    Attributes:
        moving: held by who moves names.
        runner: a thread with a umask of its own, for the loop.
    """

    moving: threading.Lock
    runner: Runner


class Acting:
    """One thread of ours that acts for targets; *may_block* says whether it may sleep."""

    def __init__(
        self, listener: Listener, looker: PathLooker, own_fds: int, shared: Shared, *, may_block: bool
    ) -> None:
        """Borrow the listener, what look-ups need, and what all of them share."""
        self._moving = shared.moving
        self._runner = shared.runner
        self._listener = listener
        self.looker = looker
        self.own_fds = own_fds
        self.may_block = may_block

    def path(self, call: Call, index: int) -> Resolved:
        """Return what the path in register *index* leads to.  Raises as the broker's ``path``."""
        found = call.looked_up(index)
        assert isinstance(found, Resolved)
        return found

    def still_waits(self, call: Call) -> None:
        """Do nothing while the thread waits.  Raises TargetGone."""
        if not self._listener.is_valid(call.id):
            raise TargetGone

    def duplicate(self, call: Call, register: int) -> int:
        """Return a duplicate of an fd of the thread's, ours to close.  Raises OSError, TargetGone."""
        number = register & 0xFFFFFFFF
        if number >> 31:
            raise OSError(EBADF, os.strerror(EBADF))
        return target_fd(self._listener.fileno(), call.id, call.tid, number)

    def be_the_same(self, call: Call, index: int, fd: int) -> None:
        """
        Do nothing, if *fd* is of what was looked up for register *index*, by whose name it was decided.

        Raises ChangedError: another thread put something else behind the number.
        """
        held, now = self.path(call, index).object, self.looker.describe(fd)
        if held is None or (held.device, held.inode, held.mount) != (now.device, now.inode, now.mount):
            raise ChangedError

    def read(self, call: Call, address: int, size: int) -> bytes:
        """Return *size* bytes of the target's, which are not read again.  Raises TargetMemoryError, TargetGone."""
        try:
            return call.target.read(address, size)
        finally:
            call.target.looked = False  # it is our copy that is used

    def read_string(self, call: Call, address: int, limit: int) -> bytes:
        """Return a string of the target's, likewise; see ``Target.read_string``."""
        try:
            return call.target.read_string(address, limit)
        finally:
            call.target.looked = False

    def write(self, call: Call, address: int, data: bytes) -> None:
        """Write a result where the target wants it.  Raises TargetMemoryError, TargetGone."""
        call.target.write(address, data)

    def inject(self, call: Call, fd: int, *, close_on_exec: bool) -> Emulated:
        """Answer with a duplicate of *fd*, which stays ours.  Raises OSError (EMFILE), TargetGone."""
        call.injecting = True
        return Emulated(self._listener.add_fd(call.id, fd, at=None, close_on_exec=close_on_exec), answered=True)

    def alone(self, *places: Resolved) -> AbstractContextManager[object]:
        """
        Return what keeps others from moving names meanwhile.

        Not on a file system that may answer never: there, others would have to wait for it.
        """
        return nullcontext() if any(place.may_hang for place in places) else self._moving

    def is_full(self, call: Call) -> bool:
        """Whether the thread has no room for another fd: each number below its limit is in use."""
        full = False
        with suppress(OSError):
            limit, _ = resource.prlimit(call.tid, resource.RLIMIT_NOFILE)
            full = limit == 0 or 0 < limit <= self._count(call.tid, limit)
        self.still_waits(call)
        return full

    def _count(self, tid: int, limit: int) -> int:
        """Return how many fds below *limit* the thread has, or another number less than it."""
        fds = Path(f"/proc/{tid}/fd")
        count = fds.stat().st_size  # of all of them: proc_pid_fd(5), Linux 6.2
        if 0 < count < limit:
            return count
        return sum(int(entry.name) < limit for entry in fds.iterdir())  # some lie behind a limit that was lowered

    def with_umask(self, call: Call, function: Callable[[], T]) -> T:
        """
        Return what *function* returns under the umask of the thread.

        On a worker, whose umask is its own; from the loop on a thread for which it waits.  Raises TargetGone, and
        what *function* raises.
        """
        umask = umask_of(call.tid)
        self.still_waits(call)

        def act() -> T:
            os.umask(umask)
            return function()

        return act() if self.may_block else self._runner.run(act)


def umask_of(tid: int) -> int:
    """Return the umask of a thread (proc_pid_status(5), Linux 4.7).  Raises TargetGone."""
    try:
        status = Path(f"/proc/{tid}/status").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        raise TargetGone from None
    umask = status.partition(b"\nUmask:")[2].split(None, 1)
    if not umask:  # it is dead, and not yet waited for
        raise TargetGone
    return int(umask[0], 8)


def our_lack(error: OSError) -> int:
    """Return what a target is told when we lack something: that the system does, and not it."""
    return ENFILE if error.errno in {EMFILE, None} else error.errno or ENFILE
