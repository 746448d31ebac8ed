"""
A client's end of the control socket, for who blocks.

What it is not: the protocol (docs/control-socket.md), or the other end (``approve.control``).
"""

from __future__ import annotations

import select
import socket
from collections import deque
from collections.abc import Iterator

from monitor.approve.wire import VERSION, Json, WireError, line_of, parsed


class Ended(Exception):
    """The supervisor has gone."""


class Connection:
    """The control socket: requests and their replies, and what is told without having been asked for."""

    def __init__(self, path: str) -> None:
        """Connect.  Raises OSError, Ended, and WireError where we may not, or who is there speaks otherwise."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.connect(path)
        self._left = b""
        self._told: deque[dict[str, Json]] = deque()
        self._count = 0
        self.hello = self._read()
        if "error" in self.hello:
            raise WireError(str(self.hello["error"]))
        if self.hello.get("control") != VERSION:
            message = f"speaks version {self.hello.get('control')!a} of the protocol, and this is {VERSION}"
            raise WireError(message)

    def _read(self) -> dict[str, Json]:
        """Return the next line."""
        while b"\n" not in self._left:
            data = self._socket.recv(1 << 16)
            if not data:
                raise Ended
            self._left += data
        line, _, self._left = self._left.partition(b"\n")
        return parsed(line)

    def request(self, do: str, **fields: Json) -> Json:
        """
        Return what is replied to a request.

        Raises:
            WireError: it is refused; the text says why.
            Ended: nobody is there any more.
        """
        self._count += 1
        try:
            self._socket.sendall(line_of({"id": self._count, "do": do, **fields}))
            while (found := self._read()).get("id") != self._count:
                self._told.append(found)
        except OSError:
            raise Ended from None
        if "error" in found:
            raise WireError(str(found["error"]))
        return found.get("ok")

    def told(self, *, wait: bool) -> Iterator[dict[str, Json]]:
        """Yield what was told meanwhile; wait for it, if nothing was and *wait*."""
        while True:
            while self._told:
                wait = False
                yield self._told.popleft()
            if not wait and b"\n" not in self._left and not select.select([self._socket], [], [], 0)[0]:
                return
            try:
                self._told.append(self._read())
            except OSError:
                raise Ended from None
