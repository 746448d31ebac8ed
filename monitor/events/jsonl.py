"""
Events as JSON Lines, one object each, for programs.

What it is not: for people (``strace``).  The schema has a number; within it fields are only added.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeAlias, assert_never

from monitor.abi.constants import signal_name
from monitor.events.callline import CallScribe, CallTexts
from monitor.events.fields import (
    Json,
    as_json,
    call_fields,
    decided_fields,
    register_fields,
    said_fields,
    text_of,
    text_or_bytes,
    who_fields,
)
from monitor.events.hub import Wish
from monitor.events.known import KnownThreads
from monitor.events.lines import CAPACITY, Lines
from monitor.events.opening import Opened, opened_fd, opened_file, opened_socket
from monitor.events.output import Output
from monitor.events.record import (
    CallAnswered,
    ContainerEnded,
    ContainerStarted,
    Dropped,
    Event,
    GrantFailed,
    GrantWritten,
    HandlerFailed,
    OutOfFds,
    PolicyReplaced,
    RacyAllow,
    SlowHandler,
    SupervisionFailed,
    TargetExited,
    TargetStarted,
)
from monitor.events.strace import trouble_text
from monitor.notify.look import Look

SCHEMA: Final = 1


class JsonLines:
    """
    A sink that writes an object for each event, as docs/events.md lists the fields.

    ``JsonLines(path)`` writes to a file, ``to_fd`` to what somebody has opened, ``to_socket`` to a UNIX
    socket.  The run that it is given to closes it when it ends; used as a context manager it serves every
    run of its block, one after another or at once, and the block closes it.

    The supervision never waits for a reader.  What a pipe, a terminal or a socket has no room for is held,
    *capacity* bytes at most; then the newest events are dropped, and ``"event": "dropped"`` with their
    number marks the place as soon as there is room again.  At the end a reader that still reads has a
    second for what is held.  When nothing can be written any more (the reader is gone, the disk is full)
    *tell* is called once with the reason, ``failure`` has it, and the run goes on.

    *look* is how much of each call is shown; *container* is in every line, for who supervises several.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[str],
        *,
        look: Look | None = None,
        container: str | None = None,
        capacity: int = CAPACITY,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """
        Write to the file *path*, from its beginning.

        Raises:
            OSError: it cannot be opened; ENXIO for a FIFO that nobody reads.
        """
        self._begin(opened_file(path), look, container, capacity, tell)

    @classmethod
    def to_fd(
        cls,
        owned_fd: int,
        *,
        look: Look | None = None,
        container: str | None = None,
        capacity: int = CAPACITY,
        tell: Callable[[str], None] | None = None,
    ) -> Self:
        """
        Write to a file, a pipe, a terminal or a stream socket that is open already.

        It is taken over and closed in the end, a pipe or a terminal at once: it is opened once more, so
        that whoever else has it keeps its flags.

        Raises:
            OSError: it is none of these, or not open for writing; it is still the caller's then.
        """
        self = cls.__new__(cls)
        self._begin(opened_fd(owned_fd), look, container, capacity, tell)
        return self

    @classmethod
    def to_socket(
        cls,
        address: str | bytes | os.PathLike[str],
        *,
        look: Look | None = None,
        container: str | None = None,
        capacity: int = CAPACITY,
        tell: Callable[[str], None] | None = None,
    ) -> Self:
        """
        Write to a UNIX stream socket; the *address* of an abstract one begins with ``@``.

        Raises:
            OSError: nobody listens there.
        """
        self = cls.__new__(cls)
        self._begin(opened_socket(address), look, container, capacity, tell)
        return self

    def _begin(
        self,
        opened: Opened,
        look: Look | None,
        container: str | None,
        capacity: int,
        tell: Callable[[str], None] | None,
    ) -> None:
        self.wish = Wish(process=True, look=look or Look())
        """What its events shall hold."""
        self._container = container
        self._is_lent = True
        self._texts = CallTexts(SCHEMA, container)
        try:
            self._lines = Lines(opened, capacity=capacity, mark=partial(_mark, container), tell=tell)
        except BaseException:
            opened.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether nothing is written any more."""
        return self._lines.closed

    @property
    def failure(self) -> OSError | None:
        """Why nothing is written any more, if something went wrong."""
        return self._lines.failure

    @property
    def dropped(self) -> int:
        """How many events were dropped in all."""
        return self._lines.dropped

    def __call__(self, event: Event) -> None:
        """Write *event*."""
        if self._lines.ready():
            self._lines.put(_line(event, self._lines.number, self._container))
        else:
            self._lines.drop()

    def scribe(self, threads: KnownThreads, look: Look | None) -> CallScribe:
        """Return what writes down calls of one run, of which no record is made."""
        return CallScribe(self._lines, self._texts, threads, look)

    async def serve(self) -> None:
        """Write what is held whenever there is room for it; the run that it is given to has this done."""
        await self._lines.serve()

    async def finish(self) -> None:
        """Give a reader that still reads a second; the run that it is given to has this done when it ends."""
        await self._lines.finish()
        if self._is_lent:
            self.close()

    def close(self) -> None:
        """Write no more; what is held is lost."""
        self._lines.close()

    def __enter__(self) -> Self:
        """Belong to a block, and not to a run."""
        self._is_lent = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class TracedJson:
    """A sink that writes the same objects as the lines of a trace: each waits until there is room for it."""

    def __init__(self, output: Output, look: Look) -> None:
        """Write to *output*, which is borrowed."""
        self.wish = Wish(process=True, look=look)
        self._output = output
        self._count = 0

    def __call__(self, event: Event) -> None:
        """Write *event*."""
        line = as_json(record_of(event, self._count))
        self._count += 1
        self._output.write_line(line)


def _line(event: Event, number: int, container: str | None) -> bytes:
    return as_json(record_of(event, number, container)).encode("ascii") + b"\n"


def _mark(container: str | None, count: int, number: int) -> bytes:
    """Return the line that stands where *count* are missing; no part of the stream itself, which so has no cycle."""
    return _line(Dropped(count=count), number, container)


def record_of(  # noqa: C901, PLR0911  # one for each of a closed list
    event: Event, seq: int, container: str | None = None
) -> dict[str, Json]:
    """Return the object of *event*, which is the *seq*-th of its stream."""
    named = event.container if container is None else container
    where = None if named is None else text_of(named)
    head: dict[str, Json] = {"schema": SCHEMA, "seq": seq, "ts": round(event.time, 6), "container": where}
    match event:
        case CallAnswered():
            return {**head, "event": "call", **_fields(event)}
        case TargetStarted():
            argv: list[Json] = [text_or_bytes(word) for word in event.argv]
            return {**head, "event": "start", "pid": event.pid, "exe": text_or_bytes(event.path), "argv": argv}
        case TargetExited():
            signal = signal_name(event.killed_by) if event.killed_by else None
            return {**head, "event": "exit", "pid": event.pid, "status": event.status, "signal": signal}
        case ContainerStarted():
            told: dict[str, Json] = {"policy": text_of(event.policy), "why": text_of(event.why)}
            return {**head, "event": "container-start", "pid": event.pid, "bundle": text_of(event.bundle), **told}
        case ContainerEnded():
            return {**head, "event": "container-end", "received": event.received, "denied": event.denied}
        case PolicyReplaced():
            calls: list[Json] = list(event.calls)
            return {**head, "event": "policy", "policy": text_of(event.name), "calls": calls}
        case Dropped():
            return {**head, "event": "dropped", "count": event.count}
        case HandlerFailed() | RacyAllow():
            handler = None if event.handler is None else text_of(event.handler)
            return {**_trouble(head, event), "tid": event.tid, "syscall": event.name, "handler": handler}
        case SlowHandler():
            return {**_trouble(head, event), "syscall": event.name, "handler": text_of(event.handler)}
        case GrantWritten():
            written = {"file": text_of(event.file), "difference": text_of(event.difference)}
            return {**head, "event": "grant", **written}
        case OutOfFds() | GrantFailed() | SupervisionFailed():
            return _trouble(head, event)
        case _:
            assert_never(event)


_Trouble: TypeAlias = HandlerFailed | RacyAllow | SlowHandler | OutOfFds | GrantFailed | SupervisionFailed


def _trouble(head: Mapping[str, Json], event: _Trouble) -> dict[str, Json]:
    return {**head, "event": "error", "kind": type(event).__name__, "message": text_of(trouble_text(event))}


def _fields(event: CallAnswered) -> dict[str, Json]:
    return {
        **who_fields(event.tid, event.pid, event.comm, event.exe),
        **call_fields(event.arch, event.nr, event.name),
        **register_fields(event.args),
        **said_fields(event.rendered, event.arch, event.name),
        **decided_fields(event, result=event.result, observed=event.observed, delivered=event.delivered),
        "latency_us": round(event.latency_seconds * 1e6, 1),
    }
