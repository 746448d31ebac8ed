"""
Owns the fd of a seccomp listener: receive, respond, still valid, add fd.

What it is not: a loop (``dispatch``) or a reader of the target's memory (``target``).  The step
before it is a source that made the fd, the step after it ``decode``.

Three facts shape it (seccomp_unotify(2); kernel/seccomp.c, ``seccomp_notify_recv``):

* The receive ioctl ignores ``O_NONBLOCK``: with nothing queued it sleeps.  So each receive polls
  first, and there is one receiver, because of two that saw POLLIN one would sleep.
* ``wait_readable`` wakes for POLLIN and for POLLHUP alike.  Only the poll inside ``receive`` tells
  them apart; a receive that is retried on ENOENT without that look never ends.
* Closing the fd releases the waiting threads only when nobody is inside an ioctl on it and no
  duplicate is left.  So there is one copy, close-on-exec, with one owner: this class.
"""

from __future__ import annotations

import contextlib
import os
import select
from types import TracebackType
from typing import Final, Protocol, Self

import trio

from monitor import _native
from monitor._native import EVAPORATED, NO_TASK_LEFT, NOTHING_QUEUED, RawNotification
from monitor.abi.seccomp import AddFdFlag, ResponseFlag
from monitor.errors import TargetGone
from monitor.notify.memory import KernelMemory
from monitor.notify.reserve import FdReserve
from monitor.notify.target import Target

__all__ = [
    "EVAPORATED",
    "NOTHING_QUEUED",
    "NO_TASK_LEFT",
    "AnyListener",
    "Listener",
    "RawNotification",
]

MOST_DENIED: Final = 10_000
"""
How many calls ``deny_queued`` answers.  Whoever is refused may ask again at once: two threads that
do so would keep it busy for ever.  More threads than this are never queued in earnest; the rest
gets ENOSYS from the close.
"""

_SYNC_WAKE_UP: Final = 1
"""``SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`` (Linux 6.6): wake the other side on this CPU."""


class AnyListener(Protocol):
    """What dispatch needs of a listener: the kernel's, or the fake of ``monitor.testing``."""

    @property
    def reserve(self) -> FdReserve:
        """The fd that is given up when there is no other left."""
        ...

    async def wait(self) -> None:
        """Wait until something can be received, or nothing ever will be."""
        ...

    def linger(self, seconds: float) -> bool:
        """Wait so long at most without letting any task run; whether ``wait`` would end at once."""
        ...

    def receive(self) -> RawNotification | int:
        """Return the next notification without waiting, or why there is none."""
        ...

    def exchange(self, ident: int, value: int, error: int, flags: int) -> RawNotification | int:
        """Respond, then receive; ``sent`` tells what became of the response."""
        ...

    @property
    def sent(self) -> int:
        """The outcome of the last exchange's response: 0 or a negative errno."""
        ...

    def respond(self, ident: int, value: int, error: int, flags: int) -> None:
        """Respond.  Raises TargetGone."""
        ...

    def add_fd(self, ident: int, fd: int, *, at: int | None, close_on_exec: bool) -> int:
        """Put a duplicate of *fd* into the target and answer with its number.  Raises TargetGone."""
        ...

    def kill(self, ident: int, tid: int, signal: int) -> None:
        """Send *signal* to the waiting thread's process.  Raises TargetGone."""
        ...

    def is_valid(self, ident: int) -> bool:
        """Whether the thread still waits."""
        ...

    def target(self, ident: int, tid: int) -> Target:
        """Return the waiting thread, to look into."""
        ...

    def deny_queued(self, errno: int) -> int:
        """Receive what is queued and deny it, ``MOST_DENIED`` at most; the number of calls denied."""
        ...

    def close(self) -> None:
        """Give the listener up."""
        ...


class Listener:
    """
    A seccomp listener: the source of the notifications of one filter.

    Made by a launch, or with ``from_fd`` from an fd that came from elsewhere (a container
    runtime).  It owns the fd until ``close``; it is a context manager.
    """

    __slots__ = ("_fd", "exchange", "receive", "receiver", "reserve", "wait_killable")

    def __init__(self, owned_fd: int, *, wait_killable: bool | None = None) -> None:
        """Take *owned_fd* over; if this raises, the fd is still the caller's."""
        _native.listener_check(owned_fd)
        os.set_inheritable(owned_fd, False)  # noqa: FBT003  # the standard library's signature
        with contextlib.suppress(OSError):  # best effort: kernels before 6.6 lack it
            _native.listener_set_flags(owned_fd, _SYNC_WAKE_UP)
        self.receiver = _native.Receiver(owned_fd)
        """The buffers that are received into, for who answers and receives in one step."""
        self._fd = owned_fd
        self.reserve = FdReserve()
        self.wait_killable = wait_killable
        """Whether a received call waits through signals (Linux 5.19); None: not known."""
        # Bound once: these two are the hot path, and a method of ours around them costs as much
        # as what it would call.
        self.receive = self.receiver.receive
        self.exchange = self.receiver.exchange

    @classmethod
    def from_fd(cls, owned_fd: int) -> Self:
        """
        Take over the listener fd *owned_fd*, wherever it came from.

        Ownership: the fd is the listener's from now on; if this raises it is still the caller's.
        No duplicate may be left anywhere: one would keep calls waiting after the close.

        Raises:
            OSError: it is no seccomp listener (``ENOTTY``, ``EINVAL``) or not open (``EBADF``).
        """
        return cls(owned_fd)

    def fileno(self) -> int:
        """Return the fd, still owned by this object; -1 after ``close``."""
        return self._fd

    @property
    def sent(self) -> int:
        """The outcome of the last ``exchange``'s response: 0 or a negative errno."""
        return self.receiver.sent

    async def wait(self) -> None:
        """
        Wait until there is a notification, or no task that could make one.

        Cancelling it changes nothing.  Raises ClosedResourceError, and BusyResourceError when
        another task waits already.
        """
        await trio.lowlevel.wait_readable(self._open_fd())

    def linger(self, seconds: float) -> bool:
        """
        Wait so long at most for a notification, or for the last task to end; whether one of them came.

        Blocks the thread: no task runs meanwhile.  A signal ends the wait early or late, never by more
        than *seconds*.
        """
        poll = select.poll()
        poll.register(self._open_fd(), select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def respond(self, ident: int, value: int = 0, error: int = 0, flags: int = 0) -> None:
        """
        Send the one response to *ident*; *error* is 0 or a negative errno.

        Raises:
            TargetGone: nobody waits for it any more, an ordinary outcome.
        """
        _native.listener_respond(self._open_fd(), ident, value, error, flags)

    def add_fd(self, ident: int, fd: int, *, at: int | None = None, close_on_exec: bool, waits: bool = False) -> int:
        """
        Put a duplicate of *fd* into the target and answer with its number, in one atomic step.

        If it *waits*, it goes on waiting, and is to be answered with the number: only for a thread that no signal
        can take away from that (``wait_killable``).

        Waits (the whole thread does) until the target has run and taken it: microseconds.
        *fd* stays the caller's.  Returns the number in the target.

        Raises:
            TargetGone: nobody waits any more; nothing was put anywhere.
            OSError: ``EMFILE``: the target's table is full; ``EBADF``: *fd* is an ``O_PATH``
                descriptor, or *at* is above the target's limit.  The call is still unanswered.
        """
        flags = (AddFdFlag(0) if waits else AddFdFlag.SEND) | (AddFdFlag(0) if at is None else AddFdFlag.SETFD)
        return _native.listener_add_fd(
            self._open_fd(), ident, flags, fd, 0 if at is None else at, os.O_CLOEXEC if close_on_exec else 0
        )

    def kill(self, ident: int, tid: int, signal: int) -> None:
        """Send *signal* to the process of the thread that waits behind *ident*, and to no other."""
        _native.target_kill(self._open_fd(), ident, tid, signal)

    def is_valid(self, ident: int) -> bool:
        """Whether the thread still waits for its answer (``SECCOMP_IOCTL_NOTIF_ID_VALID``)."""
        return _native.listener_is_valid(self._open_fd(), ident)

    def target(self, ident: int, tid: int) -> Target:
        """Return the waiting thread, to look into."""
        return Target(KernelMemory(self._open_fd(), self.reserve, ident, tid))

    def deny_queued(self, errno: int) -> int:
        """Receive what is queued and deny it, ``MOST_DENIED`` at most; the number of calls denied."""
        count = 0
        while count < MOST_DENIED:
            received = self.receive()
            if not isinstance(received, int):
                count += 1
                with contextlib.suppress(TargetGone):
                    self.respond(received[0], 0, -errno, 0)
            elif received != EVAPORATED:
                break
        return count

    def close(self) -> None:
        """
        Close the listener.  Calls that wait, and all later ones, then fail with ENOSYS.

        Tasks that wait on it are woken with ClosedResourceError.  May be called twice, and where
        no trio runs.
        """
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        # The receiver still has the number, which will be somebody else's file: forget it.
        self.receiver.forget()
        self.receive = _refuse_receive
        self.exchange = _refuse_exchange
        self.reserve.close()
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.notify_closing(fd)
        os.close(fd)

    def _open_fd(self) -> int:
        if self._fd < 0:
            raise trio.ClosedResourceError
        return self._fd

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def _refuse_receive() -> RawNotification | int:
    raise trio.ClosedResourceError


def _refuse_exchange(ident: int, value: int, error: int, flags: int) -> RawNotification | int:  # noqa: ARG001  # as exchange
    raise trio.ClosedResourceError


CONTINUE: Final = int(ResponseFlag.CONTINUE)
"""The response flag that lets the kernel run the call."""
