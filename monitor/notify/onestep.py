"""
Answers of one step: calls that nobody decides about, and plain ones that a fast path decides and does.

What it is not: the loop, or the long way of a call that is decided about (``dispatch``).  For these there is no
``Call``, and nobody is told of one but the watcher: that is what makes them fast.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOENT
from time import perf_counter, time

from monitor._native import RawNotification
from monitor.notify.account import Stats, Watcher
from monitor.notify.emulation import FastPath
from monitor.notify.handler import Route
from monitor.notify.listener import CONTINUE, AnyListener


class OneStep:
    """Answers over one listener, which it borrows, and receives the next notification with the same call of C."""

    def __init__(self, listener: AnyListener, stats: Stats, close_out: Callable[[RawNotification], None]) -> None:
        """Count in *stats*; *close_out* denies what was received and cannot be decided any more."""
        self._listener = listener
        self._stats = stats
        self._close_out = close_out
        self._answered = 0

    def answer(
        self, raw: RawNotification, route: Route, fast: FastPath, most: int, linger: int
    ) -> RawNotification | int:
        """
        Answer *raw* and what comes behind it while they are *fast*'s, *most* at the most; nobody wants to know of them.

        Returns what was received and not answered, which is *raw* itself where that is none of them.
        """
        try:
            following = fast.answer(raw, most, linger)
        except BaseException:
            self._count(fast.answered)
            self._close_out(fast.owed or raw)
            raise
        self._count(fast.answered)
        if fast.sent:
            self._stats.emulated -= 1
            self._lose(fast.sent, route, following)
        return following

    def more(self) -> int:
        """Return how many calls besides the first the last ``answer`` has answered, once."""
        answered, self._answered = self._answered, 0
        return max(answered - 1, 0)

    def _count(self, answered: int) -> None:
        self._answered = answered
        self._stats.received += answered
        self._stats.emulated += answered

    def let_pass(self, raw: RawNotification, route: Route, watcher: Watcher) -> RawNotification | int:
        """Answer a call that nobody decides about: *watcher* sees it, and it runs."""
        received, started = time(), perf_counter()
        try:
            noted = watcher.look(raw, route.name, route.arch)
        except BaseException:
            self._close_out(raw)
            raise
        self._stats.received += 1
        following = self._listener.exchange(raw[0], 0, 0, CONTINUE)
        sent = self._listener.sent
        seconds = perf_counter() - started
        if sent == 0:
            self._stats.allowed += 1
        else:
            self._lose(sent, route, following)
        try:
            watcher.tell(raw, route.name, route.arch, noted, received, seconds, sent == 0)
        except BaseException:
            if isinstance(following, tuple):
                self._close_out(following)
            raise
        return following

    def _lose(self, sent: int, route: Route, following: RawNotification | int) -> None:
        """Count an answer that did not arrive; what was received after it is denied if nothing can be answered."""
        self._stats.gone += 1
        if sent != -ENOENT:
            if isinstance(following, tuple):
                self._close_out(following)
            raise OSError(-sent, f"cannot respond to {route.name}")
