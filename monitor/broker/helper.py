"""
What may sleep for ever for a target: an open of a FIFO, of a device, of what others lease; a truncate.

What it is not: how it is done (native/helper.c), or where: a worker does it, which sleeps meanwhile, and
whoever has given it that may say from another thread that nobody waits any more.

A signal to the thread that waits has the kernel do with the call what it would have done without us:
it fails with EINTR, or is made again, or its process stops; but only where nothing was done yet.
"""

from __future__ import annotations

import os
from errno import EIO, EMFILE, ENFILE, EOWNERDEAD
from typing import Final

from monitor._native import HELPER_OPEN, HELPER_TRUNCATE, NO_HELPER, SIGNALLED, Waiter, run_helper
from monitor.abi.seccomp import ERESTARTSYS
from monitor.errors import TargetGone
from monitor.notify.decode import Call

LONG: Final = frozenset({"open", "openat", "openat2", "creat", "truncate"})
"""The calls of which a part may be done so."""

NOT_DONE: Final = -ERESTARTSYS
"""What is returned of a call that a signal has ended before it had any effect."""


class Sleeper:
    """Does one call for a thread, and can be told that nobody waits for it.  Owns an fd, and ends with ``close``."""

    def __init__(self, listener: int, proc: int, *, wait_killable: bool) -> None:
        """
        Borrow the listener and the fd of ``/proc``.

        *wait_killable*: the kernel tells of signals, and has the thread wait for us all the same.
        """
        self._listener = listener
        self._proc = proc
        self._wait_killable = wait_killable
        self._cancel = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def cancel(self) -> None:
        """Say that nobody waits any more; from any thread."""
        os.eventfd_write(self._cancel, 1)

    def close(self) -> None:
        """Give the fd back, when it has come to an end."""
        os.close(self._cancel)

    def open(self, call: Call, fd: int, flags: int) -> int:
        """Open once more what *fd* holds: an fd of ours, -errno, or NOT_DONE.  Raises TargetGone, OSError."""
        return self._run(call, HELPER_OPEN, fd, flags, 0)

    def truncate(self, call: Call, fd: int, length: int) -> int:
        """Truncate what *fd* holds: 0, -errno, or NOT_DONE.  Raises likewise."""
        return self._run(call, HELPER_TRUNCATE, fd, 0, length)

    def _run(self, call: Call, operation: int, fd: int, flags: int, length: int) -> int:
        waiter = Waiter(self._listener, call.id, call.tid, self._cancel, self._wait_killable)
        result, why = run_helper(waiter, self._proc, fd, operation, flags, length)
        if why == NO_HELPER or result == -EOWNERDEAD:  # of those, the target has no part
            error = ENFILE if why == NO_HELPER else EIO
            raise OSError(error, os.strerror(error))
        if result == -EMFILE:  # of our own table, in which a helper opens
            raise OSError(ENFILE, os.strerror(ENFILE))
        if result == NOT_DONE and why != SIGNALLED:
            raise TargetGone
        return result
