"""
The rule about opening other people's files with O_CREAT in directories where many may write.

What it is not: a look-up.  Source: proc_sys_fs(5), ``protected_regular`` and ``protected_fifos``;
fs/namei.c, ``may_create_in_sticky``.  Opening an object through its fd skips it, so it is applied here.
"""

from __future__ import annotations

import os
import stat
from errno import EACCES
from pathlib import Path
from typing import Final

from monitor._native import open_at
from monitor.broker.resolved import Resolved
from monitor.broker.standing import file_uid

_IN_ROOT: Final = 0x10
"""RESOLVE_IN_ROOT: openat2(2)."""

_RULES: Final = {stat.S_IFREG: "protected_regular", stat.S_IFIFO: "protected_fifos"}


def may_create_in_sticky(resolved: Resolved) -> int:
    """Return the errno with which an existing object is not opened with O_CREAT, or 0."""
    if resolved.by_magic_link:
        return 0  # the directory is that of the link, in /proc: ``nd->dir_mode`` is not set anew
    held = resolved.object
    assert held is not None
    rule = _RULES.get(stat.S_IFMT(held.mode))
    level = 1 if rule is None else _level(rule)  # devices, sockets and links: no sysctl lifts it
    owner = os.fstat(resolved.fd).st_uid
    if level == 0 or owner == file_uid():
        return 0
    above = _directory_of(resolved)
    if above is None:
        return EACCES  # where it lies cannot be told any more
    if not above.st_mode & stat.S_ISVTX or owner == above.st_uid:
        return 0
    if above.st_mode & stat.S_IWOTH or (above.st_mode & stat.S_IWGRP and level >= 2):  # noqa: PLR2004  # the sysctl's own
        return EACCES
    return 0


def _level(name: str) -> int:
    return int(Path("/proc/sys/fs", name).read_bytes())


def _directory_of(resolved: Resolved) -> os.stat_result | None:
    """Return the status of the directory in which the object still has its name."""
    held = resolved.object
    if resolved.canonical is None or held is None:
        return None
    above, _, name = resolved.canonical.rpartition(b"/")
    try:
        if resolved.view is None:
            fd = os.open(above or b"/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            fd = open_at(resolved.view.root, above or b"/", os.O_PATH | os.O_DIRECTORY, resolve=_IN_ROOT)
    except OSError:
        return None
    try:
        there = os.stat(name, dir_fd=fd, follow_symlinks=False)
        return os.fstat(fd) if there.st_ino == held.inode else None
    except OSError:
        return None
    finally:
        os.close(fd)
