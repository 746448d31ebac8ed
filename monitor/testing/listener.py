"""
A listener without a kernel, with the kernel's promises.

What it is not: a filter; what is notified is what a test queues.  The contract suite that the real
listener passes, this one passes too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import deque
from errno import EBADF, EINVAL, EMFILE, ENOENT, ENOSYS
from typing import Final

import trio
from attrs import define, evolve, frozen

from monitor.abi.arch import Arch
from monitor.abi.seccomp import ResponseFlag
from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.listener import EVAPORATED, MOST_DENIED, NO_TASK_LEFT, NOTHING_QUEUED, RawNotification
from monitor.notify.reserve import FdReserve
from monitor.notify.target import Target
from monitor.testing.memory import FakeMemory

_MOST_READ: Final = 4096


@frozen
class Injected:
    """An fd that was put into a fake target."""

    number: int
    close_on_exec: bool
    content: bytes
    """What could be read from its beginning, at most 4096 bytes."""


@frozen
class Response:
    """The one answer to one fake notification."""

    id: int
    value: int = 0
    error: int = 0
    """0, or a negative errno."""
    flags: int = 0
    injected: Injected | None = None

    @property
    def continues(self) -> bool:
        """Whether the kernel would run the call."""
        return bool(self.flags & ResponseFlag.CONTINUE)


@define(eq=False)
class _Pending:
    raw: RawNotification
    memory: FakeMemory


class FakeListener:
    """
    A listener without a kernel: ``notify`` queues a call, ``response`` waits for its answer.

    It keeps the kernel's promises: an id is answered once (a second answer finds nobody), a
    thread that was taken away with ``interrupt`` is gone, after ``hang_up`` no task is left, and
    ``close`` ends whatever still waits with ENOSYS.
    """

    def __init__(self) -> None:
        """Nothing is queued, and tasks are left."""
        self.reserve = FdReserve()
        self.sent = 0
        self.responses: list[Response] = []
        """Every answer, in order."""
        self.signals: list[tuple[int, int]] = []
        """(tid, signal) of every ``Kill``."""
        self.full = False
        """Whether the targets' fd tables are full: then an injection fails with EMFILE."""
        self.fd_limit = 1024
        """The targets' RLIMIT_NOFILE: an injection *at* a number from here up fails with EBADF."""
        self.closed = False
        self._queue: deque[_Pending] = deque()
        self._received: dict[int, _Pending] = {}
        self._answers: dict[int, Response] = {}
        self._evaporated = 0
        self._somebody_waits = False
        self._changed = trio.Event()
        self._hung_up = False
        self._next_id = 1

    @classmethod
    def holding(cls, raw: RawNotification, memory: FakeMemory, name: str, arch: Arch) -> Call:
        """Return a call that was received and waits, behind a listener of its own."""
        listener = cls()
        listener.reserve.close()
        listener._received[raw[0]] = _Pending(raw, memory)
        return Call(raw, name, arch, listener)

    def _copied_memory(self) -> FakeMemory:
        source = self._received[0].memory
        pieces = {start: bytearray(piece) for start, piece in source.pieces.items()}
        return evolve(source, pieces=pieces, read_only=set(source.read_only), links=dict(source.links))

    # ---- the kernel's side ----

    def notify(self, made: Call) -> int:
        """Queue a notification of the call that *made* describes; its id."""
        if not isinstance(made._listener, FakeListener):
            message = "only a call made with monitor.testing.call() can be queued"
            raise TypeError(message)
        memory = made._listener._copied_memory()
        raw = (self._next_id, *made._raw[1:])  # the registers as they are, under an id of our own
        self._next_id += 1
        self._queue.append(_Pending(raw, memory))
        self._wake()
        return raw[0]

    def interrupt(self, ident: int) -> None:
        """Take the thread behind *ident* away: a signal or a death, before or after it was received."""
        for pending in [*self._queue, *self._received.values()]:
            if pending.raw[0] == ident:
                pending.memory.waiting = False
        self._queue = deque(pending for pending in self._queue if pending.memory.waiting)
        self._received = {key: pending for key, pending in self._received.items() if pending.memory.waiting}
        self._wake()

    def evaporate(self) -> None:
        """Announce a notification that a signal takes away before it is received."""
        self._evaporated += 1
        self._wake()

    def hang_up(self) -> None:
        """Let the last task be gone, and what waited with it."""
        for pending in [*self._queue, *self._received.values()]:
            self.interrupt(pending.raw[0])
        self._hung_up = True
        self._wake()

    async def response(self, ident: int) -> Response:
        """
        Wait for the answer to *ident*, which is ENOSYS if the listener is closed without one.

        Raises:
            TargetGone: its thread was taken away, so that there will be none.
        """
        await trio.lowlevel.checkpoint()
        while ident not in self._answers:
            if not self._is_pending(ident):
                raise TargetGone
            await self._changed.wait()
        return self._answers[ident]

    async def changed(self) -> None:
        """Wait until anything happens: a call is queued, answered or taken away."""
        await self._changed.wait()

    def _is_pending(self, ident: int) -> bool:
        return ident in self._received or any(pending.raw[0] == ident for pending in self._queue)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # ---- the supervisor's side ----

    def linger(self, seconds: float) -> bool:  # noqa: ARG002  # nothing comes while nobody runs
        """Return whether ``wait`` would end at once."""
        self._refuse_closed()
        return bool(self._queue or self._evaporated or self._hung_up)

    async def wait(self) -> None:
        """Wait until something can be received, or nothing ever will be."""
        self._refuse_closed()
        if self._somebody_waits:
            message = "another task waits on this listener"
            raise trio.BusyResourceError(message)
        self._somebody_waits = True
        try:
            await trio.lowlevel.checkpoint()
            self._refuse_closed()
            while not (self._queue or self._evaporated or self._hung_up):
                await self._changed.wait()
                self._refuse_closed()
        finally:
            self._somebody_waits = False

    def receive(self) -> RawNotification | int:
        """Return the next notification, or why there is none."""
        self._refuse_closed()
        if self._evaporated:
            self._evaporated -= 1
            return EVAPORATED
        if not self._queue:
            return NO_TASK_LEFT if self._hung_up else NOTHING_QUEUED
        pending = self._queue.popleft()
        self._received[pending.raw[0]] = pending
        return pending.raw

    def exchange(self, ident: int, value: int, error: int, flags: int) -> RawNotification | int:
        """Respond, then receive."""
        self._refuse_closed()
        try:
            self.respond(ident, value, error, flags)
            self.sent = 0
        except TargetGone:
            self.sent = -ENOENT
        return self.receive()

    def respond(self, ident: int, value: int = 0, error: int = 0, flags: int = 0) -> None:
        """Answer once."""
        self._refuse_closed()
        if flags & ResponseFlag.CONTINUE and (value or error):  # seccomp_notify_send() in the kernel
            raise OSError(EINVAL, os.strerror(EINVAL))
        self._finish(Response(ident, value, error, flags))

    def add_fd(self, ident: int, fd: int, *, at: int | None = None, close_on_exec: bool) -> int:
        """Inject and answer."""
        self._refuse_closed()
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH:
            raise OSError(EBADF, os.strerror(EBADF))
        if not self.is_valid(ident):
            raise TargetGone
        if at is None and self.full:
            raise OSError(EMFILE, os.strerror(EMFILE))
        if at is not None and at >= self.fd_limit:
            raise OSError(EBADF, os.strerror(EBADF))
        number = 3 + sum(response.injected is not None for response in self.responses) if at is None else at
        try:
            content = os.pread(fd, _MOST_READ, 0)
        except OSError:  # a pipe, a directory, a socket
            content = b""
        self._finish(Response(ident, number, injected=Injected(number, close_on_exec, content)))
        return number

    def kill(self, ident: int, tid: int, signal: int) -> None:
        """Note the signal; the fake thread goes on waiting, as one that handles it would."""
        if not self.is_valid(ident):
            raise TargetGone
        self.signals.append((tid, signal))

    def is_valid(self, ident: int) -> bool:
        """Whether the thread still waits."""
        self._refuse_closed()
        return ident in self._received

    def target(self, ident: int, tid: int) -> Target:
        """Return the fake thread."""
        self._refuse_closed()
        pending = self._received.get(ident)
        return Target(FakeMemory(tid, waiting=False) if pending is None else pending.memory)

    def deny_queued(self, errno: int) -> int:
        """Deny what is queued."""
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
        """Give the listener up; who still waits gets ENOSYS, which is no answer of ours and not among ``responses``."""
        self.closed = True
        self.reserve.close()
        for pending in [*self._queue, *self._received.values()]:
            pending.memory.waiting = False
            self._answers[pending.raw[0]] = Response(pending.raw[0], error=-ENOSYS)
        self._queue.clear()
        self._received.clear()
        self._wake()

    def _refuse_closed(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError

    def _finish(self, response: Response) -> None:
        pending = self._received.pop(response.id, None)
        if pending is None:
            raise TargetGone
        pending.memory.waiting = False
        self.responses.append(response)
        self._answers[response.id] = response
        self._wake()
