"""
The file of a control socket, and who may connect to it.

What it is not: what is said there (``control``).
"""

from __future__ import annotations

import os
import select
import socket
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from errno import ENOPROTOOPT
from pathlib import Path
from typing import Final

import trio

BACKLOG: Final = 16

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


def bound(path: str) -> tuple[socket.socket, int]:
    """Return a socket that listens at *path*, and the inode of that."""
    _take_stale_away(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(made.fileno(), 0o600)  # what bind(2) makes has the mode of the socket: nobody is let in meanwhile
        made.bind(path)
        made.listen(BACKLOG)
        return made, os.lstat(path).st_ino
    except BaseException:
        made.close()
        raise


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
