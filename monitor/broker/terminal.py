"""
/dev/tty: the controlling terminal of the thread that asks, which is not ours.

What it is not: the opening of it.  Source: tty(4); proc_pid_stat(5), ``tty_nr``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

TERMINAL: Final = 5 << 32
"""The device number of /dev/tty: major << 32 | minor."""

_PTS: Final = range(136, 144)
"""UNIX98_PTY_SLAVE_MAJOR and those behind it, 256 terminals each (include/uapi/linux/major.h)."""

_CONSOLES: Final = 4
_FIRST_SERIAL: Final = 64


def open_terminal_of(tid: int) -> int | None:
    """
    Open the controlling terminal of a thread, to hold it; None: it has none that can be found, or there is no thread.

    One that is ours as well is opened as ours: what /dev/pts shows here may be another terminal of the same number.
    Raises OSError.
    """
    try:
        status = Path(f"/proc/{tid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    session, number = (int(field) for field in status.rpartition(b")")[2].split()[3:5])
    major, minor = os.major(number), os.minor(number)
    if number and session == os.getsid(0):
        path, number = "/dev/tty", os.makedev(TERMINAL >> 32, 0)
    elif major in _PTS:
        path = f"/dev/pts/{(major - _PTS.start) * 256 + minor}"
    elif major == _CONSOLES:
        path = f"/dev/tty{minor}" if minor < _FIRST_SERIAL else f"/dev/ttyS{minor - _FIRST_SERIAL}"
    else:
        return None
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    if os.fstat(fd).st_rdev == number:
        return fd
    os.close(fd)
    return None
