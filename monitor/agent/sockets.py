"""
The socket that runtimes connect to: made here, or handed over by a service manager.

What it is not: what is done with a connection (``sources.receiving``).

A socket of the service manager's (sd_listen_fds(3)) is there before any container starts, and while the agent is
being replaced: runtimes wait in its queue then, instead of failing.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Generator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Final

from monitor.approve.peers import bound, take_away

BACKLOG: Final = 1024
"""Runtimes that may wait; the kernel has a bound of its own (net.core.somaxconn)."""

_FIRST: Final = 3
"""sd_listen_fds(3), ``SD_LISTEN_FDS_START``."""


class ActivationError(Exception):
    """What the service manager says of its sockets cannot be; the text says what."""


@contextmanager
def listening_at(path: str, *, mode: int) -> Generator[socket.socket, None, None]:
    """
    Have a new socket at *path*, whose file has *mode*, for the length of the block; it is taken away afterwards.

    One that nobody listens to any more is replaced.  Raises OSError: it cannot be made; EADDRINUSE where somebody
    listens, or what is there is no socket.
    """
    made, inode = bound(path, mode=mode, backlog=BACKLOG)
    with made:
        made.setblocking(False)  # noqa: FBT003  # the name says it
        try:
            yield made
        finally:
            take_away(path, inode)


def handed_down(environment: MutableMapping[str, str]) -> Mapping[str, socket.socket]:
    """
    Return the listening UNIX sockets that a service manager has opened for us, by name; each is the caller's.

    What says so is taken out of *environment*, so that no child takes it for its own.

    Raises:
        ActivationError: they are not there, or something else.
    """
    pid, count, names = (environment.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
    if pid != str(os.getpid()) or not count:
        return {}
    if not count.isdecimal() or not 0 < int(count) <= _most_fds():
        message = f"LISTEN_FDS is {count!a}"
        raise ActivationError(message)
    called = names.split(":") if names else []
    with ExitStack() as stack:
        found: dict[str, socket.socket] = {}
        for index, fd in enumerate(range(_FIRST, _FIRST + int(count))):
            made = stack.enter_context(_listening(fd))
            name = called[index] if index < len(called) else str(fd)
            if name in found:
                message = f"two sockets are called {name!a}: FileDescriptorName= tells them apart"
                raise ActivationError(message)
            found[name] = made
        stack.pop_all()
        return found


def _most_fds() -> int:
    return os.sysconf("SC_OPEN_MAX")


def _listening(fd: int) -> socket.socket:
    """Return *fd*, which is taken over.  Raises ActivationError: it is no listening UNIX stream socket."""
    try:
        is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError as error:
        message = f"fd {fd} is not open: {error.strerror}"
        raise ActivationError(message) from None
    made = socket.socket(fileno=fd) if is_socket else None
    if (
        made is None
        or made.family != socket.AF_UNIX
        or made.type != socket.SOCK_STREAM
        or not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        if made is None:
            os.close(fd)
        else:
            made.close()
        message = f"fd {fd} is no listening UNIX stream socket"
        raise ActivationError(message)
    made.set_inheritable(False)
    made.setblocking(False)  # noqa: FBT003  # the name says it
    return made
