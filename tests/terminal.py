"""A program on a terminal of its own, with somebody who types and reads."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from struct import pack
from termios import TIOCSWINSZ
from time import monotonic
from typing import Final

SECONDS: Final = 12


class Session:
    """One program, in a session of its own."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: str,
        environment: Mapping[str, str] | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.shown = b""
        self.all = b""
        self._ended: int | None = None
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            if size is not None:
                ioctl(0, TIOCSWINSZ, pack("=HHHH", *size, 0, 0))
            os.chdir(cwd)
            os.execvpe(
                argv[0],
                list(argv),
                {
                    "XDG_STATE_HOME": "/nowhere",
                    **os.environ,
                    "TERM": "dumb",
                    "PS1": "prompt> ",
                    "HISTFILE": "",
                    **(environment or {}),
                },
            )

    def say(self, text: str) -> None:
        """Type *text*."""
        os.write(self.terminal, text.encode())

    def hear(self, wanted: str) -> str:
        """Return what is shown up to *wanted*, and no more."""
        deadline = monotonic() + SECONDS
        while wanted.encode() not in self.shown:
            assert monotonic() < deadline, (wanted, self.shown)
            assert self._read(0.1), (wanted, self.shown)
        before, _, self.shown = self.shown.partition(wanted.encode())
        return before.decode()

    def hears(self, wanted: str, seconds: float) -> bool:
        """Whether *wanted* is shown within so many seconds; what comes before it is gone then."""
        deadline = monotonic() + seconds
        while wanted.encode() not in self.shown and monotonic() < deadline:
            self._read(0.1)
        if wanted.encode() not in self.shown:
            return False
        self.hear(wanted)
        return True

    def _read(self, seconds: float) -> bool:
        """Read what is there; False: nobody writes any more."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.terminal, 4096)
        except OSError:
            return False
        self.shown += data
        self.all += data
        return bool(data)

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size."""
        ioctl(self.terminal, TIOCSWINSZ, pack("=HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """Close the terminal."""
        with contextlib.suppress(OSError):
            os.close(self.terminal)

    def status(self) -> int:
        """Wait for the end; its status as a shell has it."""
        deadline = monotonic() + SECONDS
        while self._ended is None:
            assert monotonic() < deadline, self.shown
            with contextlib.suppress(ValueError, OSError):  # hung up
                self._read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._ended = code if code >= 0 else 128 - code
        return self._ended

    def close(self) -> None:
        """Hang up, and leave nothing."""
        self.hang_up()
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            self._ended = 128 + signal.SIGKILL
