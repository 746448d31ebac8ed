"""
What else a loop has to do that answers several listeners: whether somebody waits behind another one.

What it is not: the waiting for a listener; that is trio's.  It is asked between two answers, where a visit to the
scheduler would cost more than the answer and mostly find nothing to do.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Final

TURN: Final = 8
"""Answers between two looks: at some 10 us each, nobody waits long for whoever calls without a pause."""

_LOOKED_AT: Final = 2
"""Of those that are ready: one of them is perhaps the one that asks."""


class Others:
    """Those behind which somebody may wait while one listener is being answered."""

    def __init__(self, ready: select.epoll, own: int) -> None:
        """Made by ``Loop``: of all that *ready* has, *own* is the one."""
        self._ready = ready
        self._own = own

    def have_a_turn(self, answered: int) -> bool:
        """Whether it is time to look, after so many answers, and somebody waits behind another listener."""
        return answered % TURN == 0 and any(fd != self._own for fd, _ in self._ready.poll(0, _LOOKED_AT))

    def linger(self, seconds: float) -> bool:
        """
        Wait so long at most for a notification behind any listener; whether there is one behind our own alone.

        Blocks the thread, as ``Listener.linger`` does, but nobody who asks anything waits for the end of that.
        """
        return [fd for fd, _ in self._ready.poll(seconds, _LOOKED_AT)] == [self._own]


class Loop:
    """The listeners of one loop, by their fds, which are borrowed."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ready = select.epoll()

    def add(self, fd: int) -> Others:
        """Look at *fd*, too; what others there are for it."""
        self._ready.register(fd, select.EPOLLIN)
        return Others(self._ready, fd)

    def remove(self, fd: int) -> None:
        """Look at *fd* no more; before it is closed, since its number is soon another's."""
        with suppress(OSError, ValueError):
            self._ready.unregister(fd)

    def close(self) -> None:
        """Be of no use any more."""
        self._ready.close()
