"""
Where lines for people or programs are written: standard error, or a file.

What it is not: a reason for anything to fail.  A pipe that nobody reads or a full disk ends the
output, is told once, and changes nothing for the supervised program.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Output:
    """
    An fd that whole lines go to, each by one write(2) so that others can write there too.

    A line waits until there is room for it, and the supervision with it: as in strace(1), what
    reads the lines too slowly slows the program down.
    """

    def __init__(self, fd: int, name: str, *, owned: bool, tell: Callable[[str], None] | None = None) -> None:
        """Write to *fd*, close it in the end if it is *owned*; *tell* is given the reason if that fails."""
        self._fd = fd
        self._name = name
        self._owned = owned
        self._tell = tell

    @classmethod
    def standard_error(cls) -> Self:
        """Return the one that writes to standard error, which is borrowed."""
        return cls(2, "standard error", owned=False)

    @classmethod
    def to_file(cls, path: str, tell: Callable[[str], None]) -> Self:
        """Return the one that writes to a new file, or over an old one.  Raises OSError."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        return cls(fd, path, owned=True, tell=tell)

    @property
    def is_open(self) -> bool:
        """Whether lines still get there."""
        return self._fd >= 0

    def write_line(self, text: str) -> None:
        """Write *text*, which has no line end of its own, and one."""
        if self._fd < 0:
            return
        data = f"{text}\n".encode("utf-8", "surrogateescape")
        try:
            done = os.write(self._fd, data)
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except BlockingIOError:
            self._write_slowly(data)
        except OSError as error:
            self._give_up(error)

    def _write_slowly(self, data: bytes) -> None:
        """Write to what others have made non-blocking, and was full."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        try:
            while data:
                poll.poll()
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.close()
        if self._tell is not None:
            self._tell(f"cannot write to {self._name}: {error.strerror}; the program goes on")

    def close(self) -> None:
        """Write no more."""
        if self._owned and self._fd >= 0:
            with contextlib.suppress(OSError):  # EIO, ENOSPC: nothing is left that could be done
                os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
