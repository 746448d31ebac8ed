"""
Where ``--events`` goes: a file, a descriptor that the shell has opened, a UNIX socket.

What it is not: how it is written there (``events.opening``, ``events.lines``).
"""

from __future__ import annotations

import fcntl
import os
from errno import EBADF

from monitor.cli.reporting import tell
from monitor.events.jsonl import JsonLines


def events_to(destination: str) -> JsonLines:
    """
    Return the sink that ``--events DESTINATION`` means.

    Raises:
        OSError: it cannot be written to.
    """
    if destination.startswith("unix:"):
        return JsonLines.to_socket(destination.removeprefix("unix:"), tell=tell)
    if not destination.startswith("fd:"):
        return JsonLines(destination, tell=tell)
    word = destination.removeprefix("fd:")
    if not (word.isascii() and word.isdecimal()):
        msg = f"--events {destination}: fd: takes the number of an open descriptor, as in fd:3"
        raise OSError(msg)
    fd = _duplicate(int(word))
    try:
        return JsonLines.to_fd(fd, tell=tell)
    except BaseException:
        os.close(fd)
        raise


def _duplicate(number: int) -> int:
    """Return a copy of a descriptor that we were started with: one of our own is none, whatever its number."""
    try:
        if number < 1 << 20 and os.get_inheritable(number):
            return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        pass
    raise OSError(EBADF, f"--events fd:{number}: no such descriptor is open")
