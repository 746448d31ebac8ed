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


def terminal_of(tid: int) -> str | None:
    """Return the path of the thread's controlling terminal; None: it has none, or there is no thread."""
    try:
        status = Path(f"/proc/{tid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    number = int(status.rpartition(b")")[2].split()[4])
    major, minor = os.major(number), os.minor(number)
    if major in _PTS:
        path = f"/dev/pts/{(major - _PTS.start) * 256 + minor}"
    elif major == _CONSOLES:
        path = f"/dev/tty{minor}" if minor < _FIRST_SERIAL else f"/dev/ttyS{minor - _FIRST_SERIAL}"
    else:
        return None
    try:
        return path if Path(path).stat().st_rdev == number else None
    except OSError:
        return None
