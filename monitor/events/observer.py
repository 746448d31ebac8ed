"""
Turns what dispatch tells into events: the joint between the flow and its records.

What it is not: a filter.  It counts what comes too often (slow handlers, no fds left) and tells
it once a second, with the number that was left out.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final

from monitor.events.hub import Hub
from monitor.events.record import CallAnswered, HandlerFailed, OutOfFds, RacyAllow, SlowHandler
from monitor.notify.account import NOTHING, Decision, Scribe, Seen, Watcher
from monitor.notify.decode import Call
from monitor.notify.look import DEFAULT_LOOK, Look
from monitor.notify.memory import Memory
from monitor.notify.target import glimpsed
from monitor.notify.verdict import Deny, Kill

if TYPE_CHECKING:
    from monitor.notify.render import Rendered

DENIALS_KEPT: Final = 1000
"""How many refused calls a run remembers; the counters know of all."""

_SECONDS_BETWEEN: Final = 1.0


class HubObserver:
    """The ``Observer`` of one run."""

    def __init__(self, hub: Hub) -> None:
        """Publish to *hub*."""
        self._hub = hub
        self._denials: deque[CallAnswered] = deque(maxlen=DENIALS_KEPT)
        self._slow_told = -_SECONDS_BETWEEN
        self._slow_suppressed = 0
        self._fds_told = -_SECONDS_BETWEEN

    @property
    def watcher(self) -> Watcher | None:
        """The only sink, if it takes calls that nobody decides about without a record."""
        return self._hub.watcher

    @property
    def scribe(self) -> Scribe | None:
        """What the only curious sink writes with, if it takes calls that run on without a record."""
        return self._hub.scribe

    @property
    def active(self) -> bool:
        """Whether anybody wants to know of every answer."""
        return self._hub.active

    def look(self, call: Call, *, told: bool) -> Seen:
        """Note what somebody wants to know of *call*; of what is *told* to all, always its words."""
        wish = self._hub.wish
        if wish is None:
            return NOTHING
        look = wish.look or (DEFAULT_LOOK if told else None)
        memory = glimpsed(call.target)
        rendered = None if look is None else _rendered(call, memory, look)
        if wish.process:
            return Seen(*self._hub.threads.names(call), rendered)
        return Seen(memory.comm() if wish.comm else "", rendered=rendered)

    @property
    def denials(self) -> Sequence[CallAnswered]:
        """The last refused calls, oldest first."""
        return tuple(self._denials)

    def answered(self, decision: Decision) -> None:
        """Record one answered call."""
        call, seen = decision.call, decision.seen
        event = CallAnswered(
            name=call.name,
            nr=call.nr,
            arch=call.arch,
            tid=call.tid,
            comm=seen.comm,
            pid=seen.pid,
            exe=seen.exe,
            rendered=seen.rendered,
            args=call.registers,
            verdict=decision.verdict,
            by=decision.by,
            handler=decision.handler,
            rule=decision.rule,
            would=decision.would,
            told=decision.told,
            result=decision.result,
            access=decision.access,
            path=decision.path,
            scope=decision.scope,
            hidden=decision.hidden,
            observed=call.looked,
            delivered=decision.delivered,
            latency_seconds=decision.seconds,
        )
        if isinstance(decision.verdict, Deny | Kill):
            self._denials.append(event)
        self._hub.publish(event)

    def handler_failed(self, call: Call, handler: str, error: BaseException) -> None:
        """Record a failure, with its traceback as text."""
        text = "".join(traceback.format_exception(error))
        self._hub.publish(HandlerFailed(name=call.name, tid=call.tid, handler=handler, error=error, traceback=text))

    def racy_allow(self, call: Call, handler: str | None) -> None:
        """Record a refused ``Allow``."""
        self._hub.publish(RacyAllow(name=call.name, tid=call.tid, handler=handler))

    def slow_handler(self, call: Call, handler: str, seconds: float) -> None:
        """Record a slow handler, once a second at most."""
        now = monotonic()
        if now - self._slow_told < _SECONDS_BETWEEN:
            self._slow_suppressed += 1
            return
        self._slow_told = now
        suppressed, self._slow_suppressed = self._slow_suppressed, 0
        self._hub.publish(SlowHandler(name=call.name, handler=handler, seconds=seconds, suppressed=suppressed))

    def out_of_fds(self, times: int) -> None:
        """Record that the reserve was needed, once a second at most."""
        now = monotonic()
        if now - self._fds_told >= _SECONDS_BETWEEN:
            self._fds_told = now
            self._hub.publish(OutOfFds(times=times))


def _rendered(call: Call, memory: Memory, look: Look) -> Rendered | None:
    try:
        from monitor.notify.render import render  # noqa: PLC0415  # most runs show no call
    except OSError:  # we have no fd to read a module with: the next call may find one
        return None
    return render(call.name, call.arch, call.registers, memory, look)
