"""
Tells a service manager how we are: sd_notify(3), in as many lines as the protocol needs.

What it is not: a library of systemd's.  The protocol is a datagram to the socket that NOTIFY_SOCKET names, and is
promised to stay so (systemd.exec(5), the Portability and Stability Promise).
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

import trio
from attrs import frozen


@frozen
class Manager:
    """
    Whoever started us and wants to know, or nobody.

    Attributes:
        address: of its socket; an abstract one begins with a NUL; empty: nobody wants to know.
        watchdog_seconds: it ends us where it hears nothing for so long; infinite: it does not.
    """

    address: str = ""
    watchdog_seconds: float = math.inf

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Manager:
        """Return whom *environment* names, and take it out of there: it is for no child of ours."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        if address[:1] not in {"/", "@"}:
            return cls()
        is_watched = microseconds.isdecimal() and int(microseconds) > 0 and pid in {"", str(os.getpid())}
        name = f"\0{address[1:]}" if address[0] == "@" else address
        return cls(name, int(microseconds) / 1e6 if is_watched else math.inf)

    def tell(self, *lines: str) -> None:
        """Tell it *lines*, as ``READY=1``; where it does not listen that is its business."""
        if not self.address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
            sending.setblocking(False)  # noqa: FBT003  # a manager that does not read holds nobody up
            sending.sendto("\n".join(lines).encode(), self.address)

    def reloading(self) -> None:
        """Tell that something is read again; ``ready`` tells that it is over."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def ready(self, status: str) -> None:
        """Tell that runtimes can connect, and *status* for people."""
        self.tell("READY=1", f"STATUS={status}")

    async def keep_alive(self) -> None:
        """Tell it that the loop turns, twice as often as it wants to hear, until cancelled."""
        while True:
            await trio.sleep(self.watchdog_seconds / 2)
            self.tell("WATCHDOG=1")
