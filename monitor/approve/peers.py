"""
The file of a socket that others connect to, and who may connect to a control socket.

What it is not: what is said there (``control``).
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import stat
import struct
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from errno import EEXIST, ENOPROTOOPT
from pathlib import Path
from typing import Final

import trio

BACKLOG: Final = 16

_LOCK_SECONDS: Final = 1.0
_LOCK_TRIES: Final = 50

_SO_PEERPIDFD: Final = 77
"""Linux 6.5; include/uapi/asm-generic/socket.h."""

_CREDENTIALS: Final = struct.Struct("=iII")
"""``struct ucred``: unix(7)."""


def _credentials(connected: trio.socket.SocketType) -> tuple[int, int]:
    """Return the process and the user that connected."""
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(found)
    return pid, uid


def who(connected: trio.socket.SocketType) -> str:
    """Return who has connected, in words."""
    return f"pid {_credentials(connected)[0]}"


def refusal(connected: trio.socket.SocketType, supervises: Callable[[int], bool]) -> str:
    """Return why who has connected may not; empty: he may.  *supervises* knows the pids of targets."""
    pid, uid = _credentials(connected)
    if uid != os.geteuid():
        return "not for other users"
    # In this order: who is gone belongs to nobody.
    if supervises(pid) or not _is_there(connected, pid):
        return "not for those who are asked about"
    return ""


def _is_there(connected: trio.socket.SocketType, pid: int) -> bool:
    """Whether the process that connected is there still, so that its number is not another's by now."""
    try:
        pidfd = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno != ENOPROTOOPT:
            return False
        return Path(f"/proc/{pid}").exists()
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return not poll.poll(0)
    finally:
        os.close(pidfd)


def bound(path: str, *, mode: int = 0o600, backlog: int = BACKLOG) -> tuple[socket.socket, int]:
    """
    Return a socket that listens at *path*, whose file has *mode*, and the inode of that.

    A socket that nobody listens to any more is replaced.  Of several who want that at once one has it.

    Raises:
        OSError: it cannot be made; EADDRINUSE where somebody listens, or what is there is no socket.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _alone(path):
            _take_stale_away(path)
            os.fchmod(made.fileno(), 0o600)  # what bind(2) makes has the mode of the socket, less the umask
            made.bind(path)
            inode = _changed_mode(path, mode)
            made.listen(backlog)  # nobody is let in before
    except BaseException:
        made.close()
        raise
    return made, inode


@contextmanager
def _alone(path: str) -> Generator[None, None, None]:
    """Let nobody else of us look for a stale socket in the same directory meanwhile: flock(2) of that."""
    fd = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_LOCK_TRIES):  # whoever may read the directory may hold it for ever
            with suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_LOCK_SECONDS / _LOCK_TRIES)
        yield
    finally:
        os.close(fd)


def _changed_mode(path: str, mode: int) -> int:
    """Give the socket file *path*, which was just made, its mode; its inode.  Raises OSError: it is one no more."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISSOCK(found.st_mode):
            raise FileExistsError(EEXIST, os.strerror(EEXIST), path)
        if stat.S_IMODE(found.st_mode) != mode:
            Path(f"/proc/self/fd/{fd}").chmod(mode)
        return found.st_ino
    finally:
        os.close(fd)


def take_away(path: str, inode: int) -> None:
    """Remove what was made, and not what somebody else has put there since."""
    with suppress(OSError):
        if os.lstat(path).st_ino == inode:
            Path(path).unlink()


def _take_stale_away(path: str) -> None:
    """Remove a socket that nobody listens to any more."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
        except OSError:
            return
