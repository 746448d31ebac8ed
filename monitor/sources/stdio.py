"""
What a launched program gets as its descriptors: ours, nothing, or a pipe to us.

What it is not: the arranging of the numbers in the program, which is C (``native/child.c``).
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from errno import EBADF, EINVAL
from typing import Final, Protocol, TypeAlias

from monitor.errors import LaunchError, LaunchStage


class HasFileno(Protocol):
    """An open file."""

    def fileno(self) -> int:
        """Return its fd."""
        ...


Stdio: TypeAlias = int | HasFileno | None
"""None: the supervisor's own; ``subprocess.DEVNULL``, ``subprocess.PIPE``; an fd or a file, borrowed."""

_WORDS: Final = frozenset({subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT})
"""What is no fd."""


def fileno_of(source: int | HasFileno) -> int:
    """Return the fd of *source*."""
    return source if isinstance(source, int) else source.fileno()


def refuse_closed_fds(stdio: Sequence[Stdio], others: Mapping[int, int]) -> None:
    """
    Raise LaunchError if any of the fds that are asked for is not open, before one of ours is opened.

    Later one of ours could have got the number, and the program would be given that.
    """
    asked = {number: fileno_of(choice) for number, choice in enumerate(stdio) if choice is not None}
    for number, source in {**asked, **others}.items():
        if _flags(source) is None and not (number in asked and source in _WORDS):
            raise LaunchError(LaunchStage.FILE_DESCRIPTORS, EBADF, f"fd {number}")


def open_stdio(stdio: Sequence[Stdio], borrowed: ExitStack, ours: ExitStack) -> tuple[dict[int, int], dict[int, int]]:
    """
    Return (the program's numbers -> fds to give it, the numbers that are piped -> our ends).

    What is opened for the program alone is closed with *borrowed*, our ends with *ours*.
    """
    child: dict[int, int] = {}
    streams: dict[int, int] = {}
    try:
        for number, choice in enumerate(stdio):
            if choice is None:
                if _is_inherited(number):
                    child[number] = number
            elif choice == subprocess.PIPE:
                child[number], streams[number] = _pipe(number, borrowed, ours)
            elif choice == subprocess.DEVNULL:
                child[number] = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
                borrowed.callback(os.close, child[number])
            elif choice == subprocess.STDOUT:
                if 1 in child:
                    child[number] = child[1]
            else:
                child[number] = fileno_of(choice)
    except OSError as error:
        raise LaunchError(LaunchStage.PREPARE, error.errno or EINVAL) from error
    return child, streams


def _pipe(number: int, borrowed: ExitStack, ours: ExitStack) -> tuple[int, int]:
    read, write = os.pipe2(os.O_CLOEXEC)
    child, parent = (read, write) if number == 0 else (write, read)
    borrowed.callback(os.close, child)
    ours.callback(os.close, parent)
    return child, parent


def _is_inherited(fd: int) -> bool:
    """
    Whether *fd* is open, and such that an executed program has it.

    In a host that was started with a closed stdin the number may be anybody's: trio's, or a listener.
    """
    flags = _flags(fd)
    return flags is not None and not flags & fcntl.FD_CLOEXEC


def _flags(fd: int) -> int | None:
    """Return the flags of an fd, or None if it is not open."""
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFD)
    except (OSError, ValueError):  # ValueError: a negative number
        return None
