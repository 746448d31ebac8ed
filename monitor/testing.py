"""
Handlers without a kernel: make a call, ask the handlers, look at the verdict.

What it is not: a simulation of Linux.  The fakes keep the promises that the real listener and
target make (a contract suite runs on both); what a system call would have done, they do not know.

::

    from monitor.testing import call, decide

    async def test_secrets_are_refused():
        verdict = await decide([no_secrets], call("mkdir", pathname=b"/home/secret"))

        assert verdict == monitor.Deny(errno.EACCES)

``decide`` runs the real dispatch over a ``FakeListener``, so that racy allows, deadlines and
failing handlers come out as they would in earnest.  Everything waits on trio's clock alone: an
autojump clock works here, and must not be used with real processes.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Mapping, Sequence
from errno import EBADF, EFAULT, EINVAL, EMFILE, ENAMETOOLONG, ENOENT, ENOSYS
from typing import Final, TypeAlias

import trio
from attrs import define, field, frozen

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.abi.seccomp import ResponseFlag
from monitor.abi.syscalls import Argument, Signature
from monitor.errors import PolicyError, TargetGone, TargetMemoryError
from monitor.events.hub import Hub
from monitor.events.observer import HubObserver
from monitor.events.record import CallAnswered, Event
from monitor.notify.decode import Call
from monitor.notify.ask import Options
from monitor.notify.dispatch import Dispatcher
from monitor.notify.handler import Handler, HandlerFunction, routes_of
from monitor.lifetime import most_telling
from monitor.notify.listener import EVAPORATED, MOST_DENIED, NO_TASK_LEFT, NOTHING_QUEUED, RawNotification
from monitor.notify.reserve import FdReserve
from monitor.notify.target import Target
from monitor.notify.verdict import Verdict
from monitor.supervisor import DENY

__all__ = ["FakeListener", "FakeMemory", "Injected", "Response", "call", "decide"]

_PAGE: Final = 4096
_FIRST_ADDRESS: Final = 0x10_0000

Value: TypeAlias = int | bytes | Sequence[bytes]
"""An argument: a number for a register, or what a pointer shall point to."""


@define
class FakeMemory:
    """The memory of a fake thread: pieces of bytes at addresses, and nothing between them."""

    tid: int = 1
    pid: int = 1
    name: str = "fake"
    pieces: dict[int, bytearray] = field(factory=dict[int, bytearray])
    read_only: set[int] = field(factory=set[int])
    """Where pieces begin that the thread itself may not write."""
    waiting: bool = True
    """False: the thread is gone, and every look raises TargetGone."""

    def place(self, data: bytes, *, at: int | None = None) -> int:
        """Put *data* somewhere, followed by nothing; the address, which is never 0."""
        if at is None:
            end = max((start + len(piece) for start, piece in self.pieces.items()), default=_FIRST_ADDRESS)
            at = (end + 2 * _PAGE) // _PAGE * _PAGE
        self.pieces[at] = bytearray(data)
        return at

    def process(self) -> int:
        """Return the process of the thread."""
        self._check()
        return self.pid

    def comm(self) -> str:
        """Return the name that was given."""
        return self.name

    def read(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes."""
        self._check()
        data = self._piece(address, f"read {size} bytes")[1]
        return bytes(data[:size])

    def read_string(self, address: int, limit: int) -> bytes:
        """Return the bytes before the first NUL."""
        self._check()
        data = self._piece(address, "read a string")[1][:limit]
        end = data.find(0)
        if end < 0:
            raise TargetMemoryError(address, ENAMETOOLONG if len(data) == limit else EFAULT, "read a string")
        return bytes(data[:end])

    def write(self, address: int, data: bytes) -> int:
        """Write into one piece; the count."""
        self._check()
        start, rest = self._piece(address, f"write {len(data)} bytes")
        if start in self.read_only:
            raise TargetMemoryError(address, EFAULT, f"write {len(data)} bytes")
        count = min(len(rest), len(data))
        offset = address - start
        self.pieces[start][offset : offset + count] = data[:count]
        return count

    def _check(self) -> None:
        if not self.waiting:
            raise TargetGone

    def _piece(self, address: int, what: str) -> tuple[int, bytes]:
        for start, piece in self.pieces.items():
            if start <= address < start + len(piece):
                return start, bytes(piece[address - start :])
        raise TargetMemoryError(address, EFAULT, what)


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
        return FakeMemory(source.tid, source.pid, source.name, pieces, set(source.read_only))

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
            content = os.pread(fd, _PAGE, 0)
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


def call(name: str, arch: Arch = Arch.X86_64, /, *, thread: int = 1, process: int = 1, **arguments: Value) -> Call:
    """
    Make a call as a handler would see it, of *thread* in *process*.

    *arguments* are by their names in ``call.args``: a number for a register, bytes for what a
    pointer points to (a path and a string get their NUL), a list of bytes for argv and its like
    and for a struct iovec array.  Those left out are 0.  The size argument of a buffer, and the
    count of an iovec array, is what was given unless it is given too.

    Raises:
        PolicyError: *arch* has no such call.
        TypeError: the call has no such argument, or it cannot be what was given.
    """
    number = syscalls.number_of(arch, name)
    signature = syscalls.signature_of(arch, name)
    if number is None or signature is None:
        message = f"{arch.table} has no call {name!r}"
        raise PolicyError(message)
    memory = FakeMemory(tid=thread, pid=process)
    registers = _Registers(memory, signature, arch.pointer_bits // 8)
    for key, value in arguments.items():
        registers.set(key, value)
    for key, value in arguments.items():
        registers.set_length(key, value, arguments)
    first, second, third, fourth, fifth, sixth = registers.words
    raw = (0, thread, 0, number, arch.audit_value, 0, first, second, third, fourth, fifth, sixth)
    return FakeListener.holding(raw, memory, name, arch)


_NUMBERS: Final = frozenset(
    {"int", "uint", "fd", "dirfd", "size", "flags", "mode", "pid", "uid", "gid", "signal", "offset", "cmd"}
)
"""Kinds of argument that point nowhere (monitor/abi/tables/README.md)."""

_MEASURED: Final = frozenset({"buffer_in", "buffer_out", "buffer_inout", "sockaddr"})
"""Kinds whose length argument counts bytes; of others one called a size does."""


class _Registers:
    """The six registers of a call in the making."""

    def __init__(self, memory: FakeMemory, signature: Signature, word: int) -> None:
        self.words = [0] * 6
        self._memory = memory
        self._signature = signature
        self._word = word

    def set(self, key: str, value: Value) -> None:
        known = [argument.name for argument in self._signature.arguments]
        if key not in known:
            message = f"{self._signature.name} has no argument {key!r}; it has: {', '.join(known) or 'none'}"
            raise TypeError(message)
        index = known.index(key)
        self.words[index] = self._register(self._signature.arguments[index], value)

    def set_length(self, key: str, value: Value, given: Mapping[str, Value]) -> None:
        """Set the argument that counts what *key* points to, unless it is *given*."""
        declared = self._signature.arguments[self._signature.index_of(key)]
        if isinstance(value, int) or declared.len_arg is None:
            return
        length = self._signature.arguments[declared.len_arg]
        counts_bytes = declared.kind in _MEASURED or "size" in length.name
        if length.name in given or counts_bytes != isinstance(value, bytes):
            return
        if length.direction is None:
            self.words[declared.len_arg] = len(value)
        else:  # behind a pointer, as accept(2) has it
            self.words[declared.len_arg] = self._memory.place(len(value).to_bytes(4, "little"))

    def _register(self, declared: Argument, value: Value) -> int:
        if isinstance(value, int):
            return value % (1 << 64)
        if isinstance(value, str) or declared.kind in _NUMBERS:
            what = "an int" if declared.kind in _NUMBERS else "an int or bytes"
            message = f"{self._signature.name}: {declared.name} is {what}, not {value!r}"
            raise TypeError(message)
        if isinstance(value, bytes):
            return self._memory.place(value + b"\0" if declared.kind in {"path", "string"} else value)
        if declared.kind == "iovec":
            return self._array([word for item in value for word in (self._memory.place(item), len(item))])
        return self._array([*(self._memory.place(item + b"\0") for item in value), 0])

    def _array(self, words: Sequence[int]) -> int:
        return self._memory.place(b"".join(word.to_bytes(self._word, "little") for word in words))


async def decide(
    handlers: Sequence[Handler | HandlerFunction] | Handler | HandlerFunction,
    made: Call,
    *,
    otherwise: Verdict = DENY,
    strict: bool = True,
    answer_seconds: float = 30.0,
    events: list[Event] | None = None,
) -> Verdict:
    """
    Return the verdict that *handlers* and dispatch come to about *made*.

    It is what would be answered: ``Deny(EPERM)`` for a handler that raised, for a racy
    ``Allow``, for a deadline.  A handler whose marks do not name the call is not asked.  What
    would have been told is appended to *events*.  The fd of an ``InjectFd`` is closed by then, as
    in earnest; what is in it can be seen in the ``responses`` of a ``FakeListener``.

    Raises:
        BaseException: what a handler raised that is no Exception (KeyboardInterrupt, an
            ``Exited`` of the test framework), as itself.
    """
    given = [handlers] if callable(handlers) or isinstance(handlers, Handler) else handlers
    chain = [one if isinstance(one, Handler) else Handler.from_mark(one) for one in given]
    if made.arch is None:
        message = "the call's ABI is not known"
        raise PolicyError(message)
    told: list[Event] = []
    listener = FakeListener()
    try:
        options = Options(otherwise, strict, answer_seconds, "deny")
        routes = routes_of(chain, _native_first(made.arch))
        dispatcher = Dispatcher(listener, routes, options, HubObserver(Hub([told.append])))
        listener.notify(made)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dispatcher.run)
            while not any(isinstance(event, CallAnswered) for event in told):
                await listener.changed()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise most_telling(group) from None
    finally:
        listener.close()
        if events is not None:
            events.extend(told)
    return next(event.verdict for event in told if isinstance(event, CallAnswered))


def _native_first(arch: Arch) -> Sequence[Arch]:
    """Return the ABI that a kernel which runs *arch* calls its own, which has every name; and *arch*."""
    native = max(arch.family(), key=lambda one: (one.pointer_bits, one.register_bits, bool(one.machines)))
    return [native, arch] if native is not arch else [arch]
