"""
Whatever comes in whatever order, every notification that was received has exactly one response.

A random script of calls, threads that go away, evaporated notifications, time, a hang-up and a
cancellation, over handlers that decide, pass, fail, are slow, inject and take too long.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeAlias

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

import monitor
from monitor import Allow, Call, Deny, InjectFd, Kill, Pass, Return, TargetGone, TargetMemoryError, Verdict
from monitor.abi.arch import Arch
from monitor.events.hub import Hub
from monitor.events.observer import HubObserver
from monitor.notify.ask import Options
from monitor.notify.dispatch import Dispatcher
from monitor.notify.handler import Handler, routes_of
from monitor.testing import FakeListener, call

Step: TypeAlias = tuple[str, int]

BEHAVIOURS = ("allow", "look", "deny", "return", "kill", "inject", "pass", "raise", "group", "gone", "memory", "none")
"""What a handler does about a call: the places of this tuple are the call's ``flags``."""

steps = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, len(BEHAVIOURS) - 1)),
        st.tuples(st.just("call"), st.integers(0, len(BEHAVIOURS) - 1)),
        st.tuples(st.just("interrupt"), st.integers(0, 10)),
        st.tuples(st.just("evaporate"), st.just(0)),
        st.tuples(st.just("full"), st.integers(0, 1)),
        st.tuples(st.just("time"), st.integers(0, 8)),
        st.tuples(st.just("turn"), st.just(0)),
    ),
    max_size=25,
)


class Owned:
    """The fds that handlers gave away."""

    def __init__(self) -> None:
        self.made: list[tuple[int, tuple[int, int]]] = []

    def make(self) -> int:
        fd = os.memfd_create("owned")
        status = os.fstat(fd)
        self.made.append((fd, (status.st_dev, status.st_ino)))
        return fd

    def left_open(self) -> list[int]:
        left = []
        for fd, file in self.made:
            try:
                status = os.fstat(fd)
            except OSError:
                continue
            if (status.st_dev, status.st_ino) == file:  # not the number's next owner
                left.append(fd)
        return left


def decide(owned: Owned, made: Call) -> Verdict:  # noqa: C901, PLR0911  # one case per behaviour
    match BEHAVIOURS[made.args.flags]:
        case "allow":
            return Allow()
        case "look":
            made.read("pathname")
            return Allow()
        case "deny":
            return Deny(errno.EACCES)
        case "return":
            return Return(made.args.flags)
        case "kill":
            return Kill()
        case "inject":
            return InjectFd(owned.make(), close_on_exec=True)
        case "pass":
            return Pass()
        case "raise":
            raise ValueError
        case "group":
            raise ExceptionGroup("group", [ValueError(), KeyError()])
        case "gone":
            raise TargetGone
        case "memory":
            raise TargetMemoryError(0, errno.EFAULT, "read")
        case _:
            return None  # type: ignore[return-value]


def handlers_of(owned: Owned, kinds: list[str]) -> list[Handler]:
    def inline(made: Call) -> Verdict:
        return decide(owned, made)

    async def soon(made: Call) -> Verdict:
        await trio.lowlevel.checkpoint()
        return decide(owned, made)

    async def later(made: Call) -> Verdict:
        await trio.sleep(2)
        return decide(owned, made)

    async def too_late(made: Call) -> Verdict:
        await trio.sleep(1000)
        return decide(owned, made)

    async def stubborn(made: Call) -> Verdict:
        with trio.CancelScope(shield=True):
            await trio.sleep(7)
        return decide(owned, made)

    functions: dict[str, Callable[[Call], object]] = {
        one.__name__: one for one in (inline, soon, later, too_late, stubborn)
    }
    return [Handler.of("openat", functions[kind]) for kind in kinds]  # type: ignore[arg-type]


kinds = st.lists(st.sampled_from(["inline", "soon", "later", "too_late", "stubborn"]), min_size=1, max_size=3)
ends = st.sampled_from(["cancel", "hang up", "wait and cancel"])


@given(kinds=kinds, script=steps, end=ends)
def test_every_received_notification_has_exactly_one_response_or_its_thread_was_gone(  # noqa: C901, PLR0915  # it plays scripts
    kinds: list[str], script: list[Step], end: str
) -> None:
    owned = Owned()
    told: list[monitor.Event] = []
    listener = FakeListener()
    options = Options(Deny(errno.EPERM), strict=True, answer_seconds=5.0, handler_errors="deny")
    routes = routes_of(handlers_of(owned, kinds), [Arch.X86_64])
    dispatcher = Dispatcher(listener, routes, options, HubObserver(Hub([told.append])))
    idents: list[int] = []
    interrupted: set[int] = set()

    async def play() -> None:
        for what, number in script:
            match what:
                case "call":
                    idents.append(listener.notify(call("openat", pathname=b"/x", flags=number)))
                case "interrupt" if idents:
                    ident = idents[number % len(idents)]
                    if not any(response.id == ident for response in listener.responses):
                        interrupted.add(ident)
                    listener.interrupt(ident)
                case "evaporate":
                    listener.evaporate()
                case "full":
                    listener.full = bool(number)
                case "time":
                    await trio.sleep(number)
                case _:
                    await trio.lowlevel.checkpoint()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dispatcher.run)
            await play()
            if end == "hang up":
                answered = {response.id for response in listener.responses}
                interrupted.update(set(idents) - answered)
                listener.hang_up()
                return
            if end == "wait and cancel":
                await trio.sleep(100)
            nursery.cancel_scope.cancel()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))

    listener.deny_queued(errno.EPERM)
    answered = [response.id for response in listener.responses]
    assert len(answered) == len(set(answered))
    assert set(idents) == set(answered) | interrupted
    assert set(answered) & interrupted == set()
    stats = dispatcher.stats
    told_answers = [event for event in told if isinstance(event, monitor.CallAnswered)]
    assert stats.received == len(told_answers)
    assert stats.received == sum(
        (stats.allowed, stats.denied, stats.returned, stats.injected, stats.killed, stats.gone)
    )
    assert stats.gone == sum(not event.delivered for event in told_answers)
    assert stats.failures == sum(isinstance(event, monitor.HandlerFailed) for event in told)
    assert owned.left_open() == []
    listener.close()
    assert all(response.error != -errno.ENOSYS for response in listener.responses)
