"""
Hands events to whoever asked for them, without ever waiting for them.

What it is not: a queue with a memory of its own.  A sink is called at once; a subscription holds
at most its capacity and then drops the newest, and says so at that place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol, Self, TypeAlias, cast, runtime_checkable

import trio
from attrs import frozen

from monitor.events.known import KnownThreads
from monitor.events.record import CallAnswered, Dropped, Event
from monitor.notify.account import Scribe, Watcher
from monitor.notify.look import Look

Sink: TypeAlias = Callable[[Event], None]
"""
Called for each event, on the loop, after the answer: must not block.  What it raises ends the supervision.

What its events shall hold it says in an attribute ``wish``, a ``Wish``.
"""


@runtime_checkable
class Served(Protocol):
    """A sink that has something to do besides being called."""

    async def serve(self) -> None:
        """Do it; cancelled when the run ends."""
        ...

    async def finish(self) -> None:
        """Bring to an end what was begun; the run has ended, and waits for this."""
        ...


@runtime_checkable
class Writing(Served, Protocol):
    """A sink that can write calls down without a record of them."""

    def scribe(self, threads: KnownThreads, look: Look | None) -> Scribe:
        """Return what does, for one run; *look* is what that shows of each call."""
        ...


@frozen
class Wish:
    """
    What a sink wants to know of a call; each costs a look into /proc or the target's memory.

    Where sinks of one run differ, every event holds what any of them wished for.
    """

    refusals_only: bool = False
    """No ``CallAnswered`` of what was not refused; where nobody wants them, none is made."""
    comm: bool = True
    """The thread's command name."""
    process: bool = False
    """The number of its process, and what that executes."""
    look: Look | None = None
    """The call in words, of what was not refused too."""

    def __or__(self, other: Wish) -> Wish:
        """Return what satisfies both."""
        looks = [wish.look for wish in (self, other) if wish.look is not None]
        widest = Look(max(look.string_limit for look in looks), any(look.fd_paths for look in looks)) if looks else None
        return Wish(
            refusals_only=self.refusals_only and other.refusals_only,
            comm=self.comm or other.comm,
            process=self.process or other.process,
            look=widest,
        )


_PLAIN: Final = Wish()
"""What a sink without a ``wish`` gets."""


class Subscription:
    """
    The events since it was made, as an async iterator; ends with the run.

    One task may wait at a time (BusyResourceError).  Cancelling the wait loses nothing.
    """

    def __init__(self, capacity: int, forget: Callable[[Subscription], None], *, refusals_only: bool = False) -> None:
        """Hold at most *capacity* events that were not yet taken; with *refusals_only* no call that is not told of."""
        if capacity < 1:
            msg = f"capacity must be at least 1, not {capacity}"
            raise ValueError(msg)
        self._capacity = capacity
        self._forget = forget
        self.wish = Wish(refusals_only=refusals_only)
        """What its events shall hold."""
        self._events: deque[Event] = deque()
        self._held = 0  # events without the marks: a mark needs no room of its own
        self._missing = 0
        self._ended = False
        self._wakeup = trio.Event()
        self._busy = False
        self.dropped = 0
        """How many events were dropped in all."""

    def put(self, event: Event) -> None:
        """Add *event* if it is wished for, or drop it when there is no room."""
        if self.wish.refusals_only and isinstance(event, CallAnswered) and not event.told:
            return
        if self._held >= self._capacity:
            self._missing += 1
            self.dropped += 1
            return
        self._mark_what_is_missing()
        self._held += 1
        self._events.append(event)
        self._wakeup.set()

    def end(self) -> None:
        """Let the iteration end after what is there."""
        self._mark_what_is_missing()
        self._ended = True
        self._wakeup.set()

    def _mark_what_is_missing(self) -> None:
        if self._missing:
            self._events.append(Dropped(count=self._missing))
            self._missing = 0

    def close(self) -> None:
        """Take no more events."""
        self._forget(self)
        self.end()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event."""
        if self._busy:
            msg = "another task waits for this subscription's next event"
            raise trio.BusyResourceError(msg)
        self._busy = True
        try:
            await trio.lowlevel.checkpoint()
            while not self._events:
                if self._ended:
                    raise StopAsyncIteration
                self._wakeup = trio.Event()
                await self._wakeup.wait()
            event = self._events.popleft()
            if not isinstance(event, Dropped):
                self._held -= 1
            return event
        finally:
            self._busy = False


def served(sinks: Iterable[object]) -> Sequence[Served]:
    """Return those of *sinks* that have something to do besides being called."""
    return [sink for sink in sinks if isinstance(sink, Served)]


def _wish_of(sink: Sink) -> Wish:
    return cast("Wish", getattr(sink, "wish", _PLAIN))


class Hub:
    """Every sink and subscription of one run."""

    def __init__(self, sinks: Iterable[Sink] = ()) -> None:
        """Begin with *sinks*."""
        self._sinks = tuple(sinks)
        self._subscriptions: list[Subscription] = []
        self._ended = False
        self._wish_of_sinks = Wish(refusals_only=True, comm=False)
        self.wish_changed: Callable[[], None] | None = None
        """Called when somebody comes or goes."""
        self.active = False
        """Whether somebody wants to know of every answer.  An attribute, because it is asked at every call."""
        self.wish: Wish | None = None
        """What anybody wants to know; None: nobody would be told of anything."""
        self.watcher: Watcher | None = None
        """The only sink, if it is one."""
        self.scribe: Scribe | None = None
        """What the only sink writes with that wants to know of calls which are not told to everybody, if it can."""
        self.threads = KnownThreads()
        """Who made calls."""
        self.ask_sinks()

    def ask_sinks(self) -> None:
        """Ask every sink anew what it wishes for: of one that hands events on, that may have changed."""
        self._wish_of_sinks = Wish(refusals_only=True, comm=False)
        for sink in self._sinks:
            self._wish_of_sinks |= _wish_of(sink)
        self._count_listeners()

    def _count_listeners(self) -> None:
        wish = self._wish_of_sinks
        for subscription in self._subscriptions:
            wish |= subscription.wish
        self.wish = wish if self._sinks or self._subscriptions else None
        alone = self._sinks[0] if len(self._sinks) == 1 and not self._subscriptions else None
        self.watcher = cast("Watcher", alone) if hasattr(alone, "look") and hasattr(alone, "tell") else None
        self.active = not wish.refusals_only
        curious = [sink for sink in self._sinks if not _wish_of(sink).refusals_only]
        only = curious[0] if len(curious) == 1 and not self._subscriptions else None
        self.scribe = only.scribe(self.threads, wish.look) if isinstance(only, Writing) else None
        if self.wish_changed is not None:
            self.wish_changed()

    @property
    def tasks(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What is to run beside the supervision."""
        return [sink.serve for sink in served(self._sinks)]

    def subscribe(self, capacity: int, *, refusals_only: bool = False) -> Subscription:
        """Return a subscription to everything from now on, or to what *refusals_only* leaves of it."""
        subscription = Subscription(capacity, self._forget, refusals_only=refusals_only)
        if self._ended:
            subscription.end()
        else:
            self._subscriptions.append(subscription)
            self._count_listeners()
        return subscription

    def publish(self, event: Event) -> None:
        """Tell everybody of *event*."""
        for subscription in self._subscriptions:
            subscription.put(event)
        for sink in self._sinks:
            sink(event)

    def end(self) -> None:
        """End every subscription."""
        self._ended = True
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()
        self._count_listeners()
        self.threads.close()

    def _forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._count_listeners()
