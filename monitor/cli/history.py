"""
What was typed to the debugger, kept from one run to the next.

What it is not: the line editor (``readline``), or of any use to a program: no answer is in it that counts.

The file is ``$XDG_STATE_HOME/seccomp-monitor/history``, else below ``~/.local/state``.  Who debugs as root with the
HOME of somebody else reads and writes nothing: each directory on the way must be our own, and the last one and the
file nobody else's to write.  Whatever goes wrong with it, the debugger does without.
"""

from __future__ import annotations

import contextlib
import os
import readline
import stat
from collections.abc import Callable, Generator, Mapping
from typing import Final

MOST: Final = 1000
"""Lines that are kept."""

_LONGEST: Final = 1 << 20
"""Bytes that are read; a file of ours is far shorter."""

_OPEN: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def load(environment: Mapping[str, str]) -> None:
    """Have the line editor know what was typed before."""
    with contextlib.suppress(OSError):
        directory = _directory(environment, make=False)
        try:
            file = _ours(os.open("history", os.O_RDONLY | _OPEN, dir_fd=directory), stat.S_ISREG)
        finally:
            os.close(directory)
        with os.fdopen(file, "rb") as opened:
            lines = opened.read(_LONGEST).decode("utf-8", "replace").splitlines()
        for line in lines[-MOST:]:
            if line.isprintable() and line:
                readline.add_history(line)


def save(environment: Mapping[str, str]) -> None:
    """Keep what the line editor knows: the new file takes the place of the old one as a whole."""
    count = readline.get_current_history_length()
    lines = [readline.get_history_item(index) or "" for index in range(max(1, count - MOST + 1), count + 1)]
    if not lines:
        return
    with contextlib.suppress(OSError):
        directory = _directory(environment, make=True)
        try:
            made = f".history.{os.getpid()}"
            file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600, dir_fd=directory)
            try:
                with os.fdopen(file, "wb") as opened:
                    opened.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
                os.rename(made, "history", src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(made, dir_fd=directory)
                raise
        finally:
            os.close(directory)


def _directory(environment: Mapping[str, str], *, make: bool) -> int:
    """Return an open fd of our directory of state.  Raises OSError: there is none, or it is not ours alone."""
    state, below = environment.get("XDG_STATE_HOME", ""), ["seccomp-monitor"]
    if not state.startswith("/"):  # a relative one is to be ignored, says the XDG Base Directory Specification
        state, below = environment.get("HOME", ""), [".local", "state", "seccomp-monitor"]
    if not state.startswith("/"):
        raise FileNotFoundError(state)
    found = _ours(os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), stat.S_ISDIR, alone=False)
    for name in below:
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=found)
            inner = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found)
        finally:
            os.close(found)
        found = _ours(inner, stat.S_ISDIR, alone=name == below[-1])
    return found


def _ours(fd: int, is_kind: Callable[[int], bool], *, alone: bool = True) -> int:
    """Return *fd* if of that kind, ours, and, if *alone*, nobody else's to write; else OSError, and it is closed."""
    held = os.fstat(fd)
    others = stat.S_IWGRP | stat.S_IWOTH if alone else 0
    if not is_kind(held.st_mode) or held.st_uid != os.geteuid() or held.st_mode & others:
        os.close(fd)
        message = "is not ours alone"
        raise PermissionError(message)
    return fd


@contextlib.contextmanager
def forgetting() -> Generator[None]:
    """Keep nothing of what is typed in the block: it says something once only."""
    readline.set_auto_history(False)
    try:
        yield
    finally:
        readline.set_auto_history(True)
