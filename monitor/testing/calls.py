"""
A call as a handler would see it, and what handlers and dispatch come to about it.

What it is not: a run.  One call, one verdict, no process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import trio

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.abi.syscalls import Argument, Signature
from monitor.errors import PolicyError
from monitor.events.hub import Hub
from monitor.events.observer import HubObserver
from monitor.events.record import CallAnswered, Event
from monitor.lifetime import most_telling
from monitor.notify.ask import Options
from monitor.notify.decode import Call
from monitor.notify.dispatch import Dispatcher
from monitor.notify.handler import Handler, HandlerFunction, routes_of
from monitor.notify.verdict import Verdict
from monitor.supervisor import DENY
from monitor.testing.listener import FakeListener
from monitor.testing.memory import FakeMemory

Value: TypeAlias = int | bytes | Sequence[bytes]
"""An argument: a number for a register, or what a pointer shall point to."""


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
