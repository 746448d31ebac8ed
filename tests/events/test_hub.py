"""A subscription is a queue with bounds that says what is missing, whatever happens in whatever order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from monitor import Dropped, Event, OutOfFds, Subscription
from monitor.events.hub import Hub, Wish
from monitor.notify.look import Look


def event(number: int) -> Event:
    return OutOfFds(times=number)


def plain(taken: Event) -> int | str:
    return f"{taken.count} missing" if isinstance(taken, Dropped) else taken.times  # type: ignore[union-attr]


async def rest_of(subscription: Subscription) -> list[int | str]:
    return [plain(one) async for one in subscription]


async def take(subscription: Subscription) -> int | str:
    return plain(await anext(subscription))


@given(capacity=st.integers(1, 4), steps=st.lists(st.sampled_from(["publish", "take"]), max_size=30))
def test_it_does_what_a_plain_list_would(capacity: int, steps: list[str]) -> None:
    """
    The model: a list of numbers, in which a run of those that found no room stands as one mark.

    A mark is there from the next event on that finds room, or from the end.
    """
    held: list[int | str] = []
    missing = lost = 0
    expected: list[int | str] = []

    async def run() -> None:
        nonlocal missing, lost
        hub = Hub()
        subscription = hub.subscribe(capacity)
        got: list[int | str] = []
        for number, step in enumerate(steps):
            if step == "publish":
                hub.publish(event(number))
                if sum(isinstance(one, int) for one in held) == capacity:
                    missing, lost = missing + 1, lost + 1
                    continue
                if missing:
                    held.append(f"{missing} missing")
                    missing = 0
                held.append(number)
            elif held:
                got.append(await take(subscription))
                expected.append(held.pop(0))
        hub.end()
        got += await rest_of(subscription)

        assert got == expected + held + ([f"{missing} missing"] if missing else [])
        assert subscription.dropped == lost
        published = steps.count("publish")
        assert sum(isinstance(one, int) for one in got) + lost == published

    trio.run(run)


async def test_room_for_one_is_room_again_after_it_was_taken() -> None:
    """A mark that needed room of its own would never find it in a subscription for one event."""
    hub = Hub()
    subscription = hub.subscribe(1)
    for number in range(3):
        hub.publish(event(number))
    first = await take(subscription)
    hub.publish(event(3))
    hub.end()

    assert [first, *await rest_of(subscription)] == [0, "2 missing", 3]


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_subscription_holds_something(capacity: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Hub().subscribe(capacity)


async def test_one_task_waits_at_a_time() -> None:
    subscription = Hub().subscribe(5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(anext, subscription)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await anext(subscription)
        nursery.cancel_scope.cancel()


async def test_a_cancelled_wait_loses_nothing() -> None:
    hub = Hub()
    subscription = hub.subscribe(5)
    with trio.CancelScope() as scope:
        scope.cancel()
        hub.publish(event(1))
        await anext(subscription)

    assert await take(subscription) == 1


@pytest.mark.parametrize("end", [lambda hub, subscription: hub.end(), lambda hub, subscription: subscription.close()])
async def test_the_end_wakes_who_waits(end: Callable[[Hub, Subscription], None]) -> None:
    hub = Hub()
    subscription = hub.subscribe(5)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def waiter() -> None:
            assert await rest_of(subscription) == []

        await trio.testing.wait_all_tasks_blocked()
        end(hub, subscription)


async def test_a_closed_subscription_gets_nothing_more_and_may_be_closed_again() -> None:
    hub = Hub()
    closed, other = hub.subscribe(5), hub.subscribe(5)
    hub.publish(event(1))
    closed.close()
    closed.close()
    hub.publish(event(2))
    hub.end()

    assert await rest_of(closed) == [1]
    assert await rest_of(other) == [1, 2]


async def test_a_subscription_after_the_end_is_empty() -> None:
    hub = Hub()
    hub.end()

    assert await rest_of(hub.subscribe(1)) == []


def test_a_hub_is_active_while_somebody_listens() -> None:
    hub = Hub()
    assert not hub.active
    subscription = hub.subscribe(1)
    assert hub.active
    subscription.close()
    assert not hub.active
    assert Hub([print]).active


async def test_subscribers_are_told_though_a_sink_raises() -> None:
    def sink(event: Event) -> None:
        raise LookupError

    hub = Hub([sink])
    subscription = hub.subscribe(5)
    with pytest.raises(LookupError):
        hub.publish(event(1))
    hub.end()

    assert await rest_of(subscription) == [1]


async def test_a_sink_may_subscribe_and_close_from_within() -> None:
    hub: Hub

    def sink(event: Event) -> None:
        late.append(hub.subscribe(5))
        early.close()

    hub = Hub([sink])
    late: list[Subscription] = []
    early = hub.subscribe(5)
    hub.publish(event(1))
    hub.publish(event(2))
    hub.end()

    assert await rest_of(early) == [1]
    assert [await rest_of(one) for one in late] == [[2], []]


# ---- what sinks wish for ----


class Sink:
    def __init__(self, wish: Wish | None = None) -> None:
        if wish is not None:
            self.wish = wish

    def __call__(self, event: Event) -> None:
        pass


class Watching(Sink):
    def look(self, *call: object) -> None:
        pass

    def tell(self, *passed: object) -> None:
        pass


def test_every_event_holds_what_any_sink_wished_for() -> None:
    narrow = Wish(refusals_only=True, comm=False, look=Look(string_limit=5, fd_paths=True))
    wide = Wish(process=True, look=Look(string_limit=500))

    assert narrow | wide == Wish(comm=True, process=True, look=Look(string_limit=500, fd_paths=True))
    assert Hub([Sink(narrow), Sink(wide)]).wish == narrow | wide
    assert Hub([Sink()]).wish == Wish()
    assert Hub().wish is None


def test_answers_are_recorded_only_while_somebody_wants_them() -> None:
    hub = Hub([Sink(Wish(refusals_only=True))])
    assert not hub.active
    subscription = hub.subscribe(1)
    assert hub.active
    subscription.close()
    assert not hub.active


def test_only_a_sink_that_is_alone_watches() -> None:
    """Whoever else is there gets records, and then the watcher gets them too."""
    watching = Watching()
    hub = Hub([watching])
    assert hub.watcher is watching
    subscription = hub.subscribe(1)
    assert hub.watcher is None
    subscription.close()
    assert hub.watcher is watching
    assert Hub([watching, Sink()]).watcher is None
    assert Hub([Sink()]).watcher is None
