"""
The terminal of our session, which is the program's too: taken while something is asked, and given back.

What it is not: what is written there (``debugger``).

While we ask, we are its foreground process group; afterwards the program's is again, with the modes that it had,
and continued, should it have tried to read meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any


class Terminal:
    """The terminal that we show questions on, and that is ours only then."""

    def __init__(self) -> None:
        """Open the terminal of our session.  Raises OSError: there is none."""
        self._fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        for ignored in (signal.SIGTTOU, signal.SIGTTIN, signal.SIGTSTP):
            signal.signal(ignored, signal.SIG_IGN)
        for number in range(3):
            os.dup2(self._fd, number)
        self._owner = os.getpgrp()
        self._modes: list[Any] | None = None
        """What it had been set to; None: we have not taken it."""

    def interrupt(self) -> None:
        """Have who had the terminal before take ^C, as if we had not been there."""
        if self._owner != os.getpgrp():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._owner, signal.SIGINT)

    @contextmanager
    def taken(self) -> Generator[None]:
        """Be in its foreground for the length of the block, but for when it was given back meanwhile."""
        self.take()
        try:
            yield
        finally:
            with contextlib.suppress(OSError, termios.error):  # it may have been closed
                self.give_back()

    def take(self) -> None:
        """Be in its foreground, if we are not."""
        if self._modes is None:
            self._owner, self._modes = os.tcgetpgrp(self._fd), termios.tcgetattr(self._fd)
            os.tcsetpgrp(self._fd, os.getpgrp())
            termios.tcsetattr(self._fd, termios.TCSADRAIN, _cooked(self._modes))

    def give_back(self) -> None:
        """
        Let whoever had it before have it again, if we have it.

        Before they go on: a shell that has seen its job end takes the terminal itself, and what came behind that
        would take it from the shell.
        """
        if self._modes is not None:
            modes, self._modes = self._modes, None
            if os.tcgetpgrp(self._fd) != os.getpgrp():
                return  # who is in the foreground has set it to what they want
            termios.tcsetattr(self._fd, termios.TCSADRAIN, modes)
            _give_back(self._fd, self._owner)


def _cooked(modes: Sequence[Any]) -> list[Any]:
    """Return *modes* for somebody who types lines."""
    inputs, outputs, control, local, ispeed, ospeed, characters = modes
    inputs |= termios.ICRNL
    outputs |= termios.OPOST | termios.ONLCR
    local |= termios.ICANON | termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ISIG | termios.IEXTEN
    return [inputs, outputs, control, local, ispeed, ospeed, characters]


def _give_back(fd: int, group: int) -> None:
    """Put *group* into the foreground again, or where that has ended, the supervisor's own."""
    if group == os.getpgrp():
        return
    try:
        os.tcsetpgrp(fd, group)
    except OSError:
        group = os.getpgid(os.getppid())
        os.tcsetpgrp(fd, group)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGCONT)  # who has read meanwhile was stopped
