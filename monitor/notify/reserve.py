"""
One fd kept in reserve, so that a supervisor without any left can still look and answer.

What it is not: a cure.  It is given up for the moment of one look, and that it was needed is told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from errno import EMFILE, ENFILE
from typing import TypeVar

Result = TypeVar("Result")


class FdReserve:
    """
    Holds one open fd; ``needed`` counts how often it had to be given up.

    Looking into a target opens a file under /proc.  When that fails for want of an fd (the host
    program leaks, or its limit is low) the reserve is closed, the look taken again, and the
    reserve opened anew; where that fails, because somebody else took the number, at a later look.
    """

    __slots__ = ("_closed", "_fd", "needed")

    def __init__(self) -> None:
        """Open it now, while there are fds."""
        self.needed = 0
        self._closed = False
        self._fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def with_fd(self, look: Callable[[], Result]) -> Result:
        """Return what *look* returns; if it fails with EMFILE or ENFILE, try once more with the reserve."""
        if self._fd < 0:
            self._fill()
        try:
            return look()
        except OSError as error:
            if error.errno not in {EMFILE, ENFILE}:
                raise
            self.needed += 1
            if self._fd < 0:
                raise
        self._spend()
        try:
            return look()
        finally:
            self._fill()

    def close(self) -> None:
        """Give the fd up for good."""
        self._closed = True
        self._spend()

    def _spend(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _fill(self) -> None:
        if not self._closed:
            with contextlib.suppress(OSError):
                self._fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
