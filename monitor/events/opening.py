"""
Where lines for programs go: a file, an fd that somebody passed, a UNIX socket; opened so that a write never waits.

What it is not: the lines, or what is done when there is no room for them (``lines``).

``O_NONBLOCK`` belongs to an open file description, and whoever passes an fd shares that with us: set
there, it would make *their* writes fail with EAGAIN.  So a pipe and a terminal are opened once more,
through /proc/self/fd, which makes a description of our own (proc_pid_fd(5)); a socket is never written
to but with ``MSG_DONTWAIT``.  A regular file has no such thing as a reader that does not read.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
from collections.abc import Callable
from errno import EACCES, EBADF, EINVAL, EPERM
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from attrs import frozen

Buffer: TypeAlias = bytes | memoryview

_MEMORY_DEVICES: Final = 1
"""The major number of /dev/null and /dev/full (Documentation/admin-guide/devices.txt)."""

_TIOCGPTN: Final = 0x80045430
"""Answered by the master of a pseudo terminal alone (ioctl_tty(2)): opened once more, that would be a new pair."""

_SEND_FLAGS: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


@frozen
class Opened:
    """What lines are written to; whoever has it closes it."""

    fd: int
    """To be waited for; what is written goes through ``write``."""
    name: str
    """For messages."""
    write: Callable[[Buffer], int]
    """
    As write(2): how much was taken.  Never waits, but for a regular file, which has no reader.

    Raises BlockingIOError (there is no room), or another OSError.
    """
    close: Callable[[], None]


def opened_file(path: str | bytes | os.PathLike[str]) -> Opened:
    """
    Open a file, a FIFO or a terminal by its name; what is in a file is lost.

    Raises:
        OSError: it cannot be opened; ENXIO for a FIFO that nobody has open for reading.
    """
    # O_NONBLOCK: or the open of a FIFO waits for a reader.  To a regular file it means nothing.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    fd = os.open(path, flags, 0o666)
    return _descriptor(fd, os.fsdecode(path))


def opened_fd(owned_fd: int) -> Opened:
    """
    Take *owned_fd* over, the write end of whatever it is; if this raises, it is still the caller's.

    Raises:
        OSError: it is not open for writing, or is something of which it is not known how to write to it
            without waiting.
    """
    name = f"fd {owned_fd}"
    kind = _kind(owned_fd)
    if kind == stat.S_IFSOCK:
        _refuse_other_sockets(owned_fd)
        os.set_inheritable(owned_fd, False)  # noqa: FBT003  # the standard library's signature
        return _connection(socket.socket(fileno=owned_fd), name)
    if fcntl.fcntl(owned_fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(EBADF, f"{name} is not open for writing")
    if kind == stat.S_IFREG or (kind == stat.S_IFCHR and os.major(os.fstat(owned_fd).st_rdev) == _MEMORY_DEVICES):
        os.set_inheritable(owned_fd, False)  # noqa: FBT003  # likewise
        return _descriptor(owned_fd, name)
    if kind != stat.S_IFIFO and not (os.isatty(owned_fd) and not _is_master(owned_fd)):
        raise OSError(EINVAL, f"{name} is neither a file, a pipe, a terminal nor a stream socket")
    reopened = _opened_again(owned_fd, name)
    os.close(owned_fd)
    return _descriptor(reopened, name)


def opened_socket(address: str | bytes | os.PathLike[str]) -> Opened:
    """
    Connect to the UNIX stream socket at *address*; an abstract one begins with ``@``.

    Raises:
        OSError: nobody listens there, or so many wait already that we would have to.
    """
    name = os.fsencode(address)
    where = b"\0" + name[1:] if name.startswith(b"@") else name
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        connection.connect(where)
    except BaseException:
        connection.close()
        raise
    return _connection(connection, os.fsdecode(name))


class Ends(NamedTuple):
    """A connection to a program that is not to be trusted: our end, and its fd."""

    ours: Opened
    theirs: int


def opened_pair(name: str) -> Ends:
    """
    Return a one-way connection of which the other end is for somebody who may do anything with it.

    A pipe would not do: who reads into memory whose pages do not come (userfaultfd(2), a file of a FUSE
    server) holds the lock of the pipe meanwhile, and a writer waits for it whatever its flags say
    (fs/pipe.c, ``pipe_read``).  The reader of a socket holds a lock of its own (net/unix/af_unix.c,
    ``unix_stream_read_generic``).
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    ours.shutdown(socket.SHUT_RD)  # nothing of theirs, data or fds, is kept for us
    return Ends(_connection(ours, name), theirs.detach())


def _kind(fd: int) -> int:
    return stat.S_IFMT(os.fstat(fd).st_mode)


def _refuse_other_sockets(fd: int) -> None:
    with socket.socket(fileno=os.dup(fd)) as one:
        if one.type != socket.SOCK_STREAM:
            raise OSError(EINVAL, f"fd {fd} is a socket, but no stream")


def _is_master(fd: int) -> bool:
    try:
        fcntl.ioctl(fd, _TIOCGPTN, b"\0" * 4)
    except OSError:
        return False
    return True


def _opened_again(fd: int, name: str) -> int:
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{fd}", flags)
    except OSError as error:
        if error.errno not in {EACCES, EPERM}:
            raise
        what = "it was made by somebody else, so only they could keep its writes from waiting"
        raise OSError(error.errno, f"{name}: {what}") from error


def _connection(connection: socket.socket, name: str) -> Opened:
    """Return a socket to write to; a reader that is gone is EPIPE, and no signal."""
    return Opened(connection.fileno(), name, lambda data: connection.send(data, _SEND_FLAGS), connection.close)


def _descriptor(fd: int, name: str) -> Opened:
    """Return an open file to write to, of a description that does not make us wait."""
    write = _write_to_pipe if _kind(fd) == stat.S_IFIFO else os.write
    return Opened(fd, name, partial(write, fd), partial(os.close, fd))


def _write_to_pipe(fd: int, data: Buffer) -> int:
    """Write to a pipe; a reader that is gone is EPIPE, and no signal, also where the process lets that end it."""
    if signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN:  # as Python leaves it
        return os.write(fd, data)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        return os.write(fd, data)
    except BrokenPipeError:
        if signal.SIGPIPE not in before:
            signal.sigtimedwait({signal.SIGPIPE}, 0)  # write(2) has sent it to this thread
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
