"""
A listener that an OCI runtime hands over a UNIX socket: one connection, read to the end of its message.

What it is not: the message (``state_message``), the socket that runtimes connect to, or what becomes of the
container (``agent``).

The fds come with the first bytes (unix(7), SCM_RIGHTS) and are ours from the moment they are received, so that every
way out of here closes those that nobody takes: a runtime, or whoever plays one, could otherwise have us run out of
them.  They are close-on-exec at once; Python's ``socket.recv_fds`` would not ask for that.

A connection may be silent for hours: crun connects before the container is made, and with no-new-privileges sends
when it is started.  From the first byte on there is a time for the rest.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NamedTuple, NoReturn, Self

import trio
from attrs import frozen

from monitor.notify.listener import Listener
from monitor.sources.state_message import LISTENER_NAME, MalformedStateError, ProcessState, StateMessage

MOST_FDS: Final = 16
"""That one message may bring; the specification has one."""

MESSAGE_SECONDS: Final = 30.0
"""From the first byte of a message to its last."""

_AT_ONCE: Final = 1 << 16

_FD_BYTES: Final = array.array("i").itemsize

_CREDENTIALS: Final = struct.Struct("=iII")
"""``struct ucred``: unix(7)."""


class NotHandedOver(Exception):  # what somebody else did wrong is no error of ours
    """What came over a connection is no listener with its state; the text says why, and is safe to log."""


class Peer(NamedTuple):
    """Who connected (SO_PEERCRED), by the numbers of our namespaces; 0 is also who has none there."""

    pid: int
    uid: int
    gid: int


@frozen
class HandedOver:
    """What a runtime handed over.  Whoever has it closes the *listener*."""

    state: ProcessState
    listener: Listener
    peer: Peer


class _Fds:
    """Descriptors that came, and that nobody has taken yet."""

    def __init__(self) -> None:
        self._fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._fds)

    def add(self, ancillary: Iterable[tuple[int, int, bytes]]) -> None:
        """Own what a message has brought."""
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                whole = array.array("i")
                whole.frombytes(data[: len(data) - len(data) % _FD_BYTES])
                self._fds.extend(whole)

    def take(self, index: int) -> int:
        """Give one away, and close the others."""
        taken = self._fds.pop(index)
        self.close()
        return taken

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())


def peer_of(connection: trio.socket.SocketType) -> Peer:
    """Return who has connected."""
    return Peer(*_CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)))


async def handed_over(
    connection: trio.socket.SocketType, *, message_seconds: float = MESSAGE_SECONDS
) -> HandedOver | None:
    """
    Return what comes over *connection*, a stream socket, which stays open; None: it ended without a byte.

    That is a container that could not be started, and no mistake.  Waits for the first byte as long as it takes, and
    for the rest *message_seconds*; never for the end of the stream.  Cancelled, it closes what had come.

    Raises:
        NotHandedOver: it is something else.
    """
    message = StateMessage()
    with _Fds() as fds:
        if not await _piece(connection, message, fds):
            return None
        with trio.move_on_after(message_seconds) as waiting:
            while not message.ended:
                if not await _piece(connection, message, fds):
                    _refuse(f"the message ended after {len(message)} bytes, before its end")
        if waiting.cancelled_caught:
            _refuse(f"the message was not whole after {message_seconds:g} seconds")
        state = _parsed(message)
        if len(fds) != len(state.fds):
            _refuse(f"{len(fds)} descriptors came, and {len(state.fds)} have names")
        return HandedOver(state, _listener(fds.take(state.fds.index(LISTENER_NAME))), peer_of(connection))


async def _piece(connection: trio.socket.SocketType, message: StateMessage, fds: _Fds) -> bool:
    """Take what has come; False: nothing comes any more."""
    is_first = not len(message)
    try:
        data, ancillary, flags, _ = await connection.recvmsg(
            _AT_ONCE, socket.CMSG_SPACE(MOST_FDS * _FD_BYTES), socket.MSG_CMSG_CLOEXEC
        )
    except OSError as error:
        _refuse(f"the connection broke: {error.strerror}")
    before = len(fds)
    fds.add(ancillary)
    if flags & socket.MSG_CTRUNC:  # more than there is room for, or than we may have: some of them are lost
        _refuse(f"more than {MOST_FDS} descriptors came, or than we may have open")
    if len(fds) != before and not is_first:
        _refuse("descriptors came with a later part of the message")
    if not data:
        return False
    try:
        message.feed(data)
    except MalformedStateError as error:
        _refuse(f"the message {error}")
    return True


def _parsed(message: StateMessage) -> ProcessState:
    try:
        return message.parsed()
    except MalformedStateError as error:
        _refuse(f"the message {error}")


def _listener(fd: int) -> Listener:
    try:
        return Listener.from_fd(fd)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.close(fd)
        if isinstance(error, OSError):
            message = f"the descriptor called {LISTENER_NAME} is no seccomp listener"
            raise NotHandedOver(message) from None
        raise


def _refuse(why: str) -> NoReturn:
    raise NotHandedOver(why)
