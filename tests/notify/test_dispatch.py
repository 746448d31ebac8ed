"""Every notification gets exactly one response, and it is the right one; over the fake listener, on a fake clock."""

from __future__ import annotations

import errno
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, field

import monitor
from monitor import Allow, Call, Deny, Emulate, InjectFd, Kill, Pass, Return, TargetGone, TargetMemoryError, Verdict
from monitor._native import RawNotification
from monitor.abi.arch import Arch
from monitor.errors import HandlerError
from monitor.events.hub import Hub
from monitor.events.observer import HubObserver
from monitor.notify.account import Seen
from monitor.notify.ask import Options
from monitor.notify.dispatch import DRAIN, Dispatcher
from monitor.notify.handler import Handler, routes_of
from monitor.testing import FakeListener, Response, call

OPEN = {"pathname": b"/etc/passwd", "flags": os.O_RDONLY}


@define
class Flow:
    """A dispatcher at work over a fake listener."""

    listener: FakeListener
    dispatcher: Dispatcher
    told: list[monitor.Event] = field(factory=list)

    def notify(self, name: str = "openat", **arguments: object) -> int:
        return self.listener.notify(call(name, **(arguments or OPEN if name == "openat" else arguments)))  # type: ignore[arg-type]

    async def answer(self, name: str = "openat", **arguments: object) -> Response:
        return await self.listener.response(self.notify(name, **arguments))

    def events(self, kind: type) -> list:
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def stats(self) -> monitor.Stats:
        return self.dispatcher.stats


def handler(function: Callable[..., object], name: str = "openat", **options: object) -> Handler:
    return Handler.of(name, function, **options)  # type: ignore[arg-type]


def make(
    *functions: Callable[..., object] | Handler,
    otherwise: Verdict = Deny(errno.EPERM),
    strict: bool = True,
    answer_seconds: float = 30.0,
    handler_errors: str = "deny",
    sink: Callable[[monitor.Event], None] | None = None,
    listener: Callable[[], FakeListener] = FakeListener,
    observer: Callable[[Hub], HubObserver] = HubObserver,
    broker: Any = None,
) -> Flow:
    fake = listener()
    told: list[monitor.Event] = []
    chain = [one if isinstance(one, Handler) else handler(one) for one in functions]
    sinks = [told.append] if sink is None else [told.append, sink]
    options = Options(otherwise, strict, answer_seconds, handler_errors)  # type: ignore[arg-type]
    dispatcher = Dispatcher(fake, routes_of(chain, [Arch.X86_64]), options, observer(Hub(sinks)), broker=broker)
    return Flow(fake, dispatcher, told)


@asynccontextmanager
async def flowing(*functions: Callable[..., object] | Handler, **options: object) -> AsyncIterator[Flow]:
    """Run a dispatcher behind the block."""
    flow = make(*functions, **options)  # type: ignore[arg-type]
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flow.dispatcher.run)
            yield flow
            nursery.cancel_scope.cancel()
    finally:
        flow.listener.close()


def says(verdict: object) -> Callable[[Call], object]:
    return lambda call: verdict


def says_later(verdict: object, seconds: float = 1.0) -> Callable[[Call], Awaitable[object]]:
    async def later(call: Call) -> object:
        await trio.sleep(seconds)
        return verdict

    return later


def raises(error: BaseException, *, later: bool) -> Callable[[Call], object]:
    def now(call: Call) -> object:
        raise error

    async def in_a_while(call: Call) -> object:
        await trio.sleep(1)
        raise error

    return in_a_while if later else now


sync_and_async = pytest.mark.parametrize("later", [False, True], ids=["def", "async def"])


# ---- verdicts become responses ----


@sync_and_async
@pytest.mark.parametrize(
    ("verdict", "value", "error", "continues"),
    [
        (Allow(), 0, 0, True),
        (Deny(errno.EACCES), 0, -errno.EACCES, False),
        (Return(0), 0, 0, False),
        (Return((1 << 63) - 1), (1 << 63) - 1, 0, False),
        (Return(1 << 63), -(1 << 63), 0, False),
        (Return(-5000), -5000, 0, False),
        (Kill(signal.SIGTERM), 0, -errno.EPERM, False),
        (Pass(), 0, -errno.EPERM, False),
    ],
    ids=str,
)
async def test_each_verdict_is_one_response(
    autojump_clock: trio.testing.MockClock, later: bool, verdict: Verdict, value: int, error: int, continues: bool
) -> None:
    async with flowing(says_later(verdict) if later else says(verdict)) as flow:
        response = await flow.answer()

        assert (response.value, response.error, response.continues) == (value, error, continues)
        assert flow.listener.responses == [response]


@sync_and_async
async def test_a_kill_signals_first_and_answers_then(autojump_clock: trio.testing.MockClock, later: bool) -> None:
    verdict = Kill(signal.SIGUSR1)
    async with flowing(says_later(verdict) if later else says(verdict)) as flow:
        await flow.answer()

        assert flow.listener.signals == [(1, signal.SIGUSR1)]
        assert flow.stats.killed == 1


class Untouchable(FakeListener):
    """A listener whose targets may not be signalled."""

    def kill(self, ident: int, tid: int, signal: int) -> None:
        raise PermissionError(errno.EPERM, "no")


async def test_who_may_not_be_killed_is_refused_and_that_is_told_after_the_answer() -> None:
    async with flowing(says(Kill()), listener=Untouchable) as flow:
        assert (await flow.answer()).error == -errno.EPERM

    assert (flow.stats.killed, flow.stats.denied, flow.stats.failures) == (0, 1, 1)
    assert [type(event) for event in flow.told] == [monitor.CallAnswered, monitor.HandlerFailed]


async def test_a_target_that_its_signal_took_away_counts_as_killed() -> None:
    """The signal ends the thread before the answer is sent: nobody waits, and that is what was wanted."""

    class Mortal(FakeListener):
        def kill(self, ident: int, tid: int, signal: int) -> None:
            super().kill(ident, tid, signal)
            self.interrupt(ident)

    async with flowing(says(Kill()), listener=Mortal) as flow:
        flow.notify()
        await trio.testing.wait_all_tasks_blocked()

    assert (flow.stats.killed, flow.stats.gone) == (1, 0)


# ---- the chain ----


async def test_handlers_are_asked_in_order_until_one_decides(autojump_clock: trio.testing.MockClock) -> None:
    asked: list[str] = []

    def passes(call: Call) -> Verdict:
        asked.append("first")
        return Pass()

    async def passes_later(call: Call) -> Verdict:
        await trio.sleep(1)
        asked.append("second")
        return Pass()

    def decides(call: Call) -> Verdict:
        asked.append("third")
        return Return(3)

    async with flowing(passes, passes_later, decides, says(Return(4))) as flow:
        assert (await flow.answer()).value == 3

    assert asked == ["first", "second", "third"]


@sync_and_async
async def test_what_all_pass_gets_otherwise(autojump_clock: trio.testing.MockClock, later: bool) -> None:
    passes = says_later(Pass()) if later else says(Pass())
    async with flowing(passes, passes, otherwise=Return(9)) as flow:
        assert (await flow.answer()).value == 9

        (answered,) = flow.events(monitor.CallAnswered)
        assert (answered.by, answered.handler) == ("default", None)


async def test_a_call_without_handlers_gets_otherwise() -> None:
    async with flowing(says(Allow())) as flow:
        assert (await flow.answer("close", fd=3)).error == -errno.EPERM


async def test_an_otherwise_that_would_be_pass_is_a_denial() -> None:
    async with flowing(otherwise=Pass()) as flow:
        assert (await flow.answer()).error == -errno.EPERM


# ---- handlers that fail ----


@sync_and_async
@pytest.mark.parametrize(
    "error", [ValueError("x"), ExceptionGroup("g", [KeyError(1), ValueError(2)]), StopIteration(1)], ids=repr
)
async def test_an_exception_denies_and_is_told_and_the_loop_goes_on(
    autojump_clock: trio.testing.MockClock, later: bool, error: Exception
) -> None:
    async with flowing(raises(error, later=later)) as flow:
        responses = [await flow.answer(), await flow.answer()]

        assert [response.error for response in responses] == [-errno.EPERM] * 2
        assert flow.stats.failures == 2
        failed = flow.events(monitor.HandlerFailed)
        assert len(failed) == 2
        assert "Traceback" in failed[0].traceback


@sync_and_async
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_any_other_base_exception_denies_and_leaves(
    autojump_clock: trio.testing.MockClock, later: bool, kind: type[BaseException]
) -> None:
    flow = make(raises(kind(), later=later))
    flow.notify()

    with pytest.raises(BaseExceptionGroup) as caught:
        await flow.dispatcher.run()

    assert caught.group_contains(kind)
    assert [response.error for response in flow.listener.responses] == [-errno.EPERM]
    (answered,) = flow.events(monitor.CallAnswered)
    assert answered.by == "error"
    flow.listener.close()


@pytest.mark.parametrize("returned", [None, 13, "deny", True, Deny, object()], ids=repr)
@sync_and_async
async def test_what_is_no_verdict_denies(autojump_clock: trio.testing.MockClock, later: bool, returned: object) -> None:
    async with flowing(says_later(returned) if later else says(returned)) as flow:
        assert (await flow.answer()).error == -errno.EPERM

        (failed,) = flow.events(monitor.HandlerFailed)
        assert isinstance(failed.error, HandlerError)
        assert "no verdict" in str(failed.error)


def _call(function: Callable[[Call], object], call: Call) -> object:
    return function(call)


async def test_a_def_that_returns_an_awaitable_is_told_so_and_nothing_is_left_unawaited() -> None:
    later = says_later(Allow())
    async with flowing(functools.partial(_call, later)) as flow:
        assert (await flow.answer()).error == -errno.EPERM

        assert "make it async def" in str(flow.events(monitor.HandlerFailed)[0].error)


async def test_a_value_that_cannot_even_be_shown_is_only_a_failure_of_its_handler() -> None:
    class Unspeakable:
        def __repr__(self) -> str:
            raise ValueError

    async with flowing(says(Unspeakable())) as flow:
        assert (await flow.answer()).error == -errno.EPERM
        assert flow.stats.failures == 1


@sync_and_async
@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: ExceptionGroup("nursery", [error])])
async def test_the_errno_of_memory_that_cannot_be_read_is_the_answer(
    autojump_clock: trio.testing.MockClock, later: bool, wrap: Callable[[Exception], Exception]
) -> None:
    """A handler that reads in a nursery of its own raises it in a group."""
    error = wrap(TargetMemoryError(0, errno.ENAMETOOLONG, "read"))
    async with flowing(raises(error, later=later)) as flow:
        assert (await flow.answer()).error == -errno.ENAMETOOLONG
        assert flow.stats.failures == 0


@sync_and_async
async def test_a_handler_that_finds_the_target_gone_has_not_failed(
    autojump_clock: trio.testing.MockClock, later: bool
) -> None:
    async with flowing(raises(TargetGone(), later=later)) as flow:
        assert (await flow.answer()).error == -errno.EPERM
        assert flow.stats.failures == 0
        assert flow.events(monitor.HandlerFailed) == []


@sync_and_async
async def test_under_raise_a_failure_denies_and_then_ends_the_run(
    autojump_clock: trio.testing.MockClock, later: bool
) -> None:
    flow = make(raises(AssertionError("wrong"), later=later), handler_errors="raise")
    flow.notify()

    with pytest.RaisesGroup(pytest.RaisesExc(HandlerError, match="openat: raised AssertionError")) as caught:
        await flow.dispatcher.run()

    assert isinstance(caught.value.exceptions[0].__cause__, AssertionError)
    assert [response.error for response in flow.listener.responses] == [-errno.EPERM]
    flow.listener.close()


# ---- deadlines ----


async def test_a_handler_that_takes_too_long_is_cancelled_and_denied(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with flowing(says_later(Allow(), 31)) as flow:
        before = trio.current_time()
        assert (await flow.answer()).error == -errno.EPERM

        assert trio.current_time() - before == pytest.approx(30)
        assert flow.stats.timeouts == 1
        assert flow.events(monitor.CallAnswered)[0].by == "timeout"


async def test_a_handlers_own_deadline_goes_before_the_supervisors(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing(handler(says_later(Allow(), 31), answer_seconds=2.5)) as flow:
        before = trio.current_time()
        await flow.answer()

        assert trio.current_time() - before == pytest.approx(2.5)


async def test_each_handler_of_a_chain_has_the_whole_time(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing(says_later(Pass(), 20), says_later(Pass(), 20), says_later(Return(1), 20)) as flow:
        assert (await flow.answer()).value == 1
        assert flow.stats.timeouts == 0


async def test_a_time_out_asks_nobody_else(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing(says_later(Pass(), 31), says(Allow())) as flow:
        assert (await flow.answer()).error == -errno.EPERM


async def test_a_handler_whose_clean_up_fails_in_its_nursery_ends_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """
    At the deadline one task of the handler's nursery is cancelled and another fails over it.

    The group that comes out has a Cancelled in it, so that it is no Exception until our scope has
    taken that away.
    """

    async def fails_over_it() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError

    async def asks(call: Call) -> Verdict:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_over_it)
            nursery.start_soon(trio.sleep_forever)
        return Allow()

    async with flowing(asks) as flow:
        assert [(await flow.answer()).error for _ in range(2)] == [-errno.EPERM] * 2
        assert flow.stats.failures == 2


# ---- cancellation from outside, and targets that go away ----


async def test_cancelled_it_denies_what_asynchronous_handlers_still_think_about(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with flowing(says_later(Allow(), 20)) as flow:
        flow.notify()
        flow.notify()
        await trio.testing.wait_all_tasks_blocked()

    assert [response.error for response in flow.listener.responses] == [-errno.EPERM] * 2
    assert {event.by for event in flow.events(monitor.CallAnswered)} == {"closing"}


async def test_a_handler_that_fails_over_a_cancellation_from_outside_is_told_and_ends_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As above, but the Cancelled is not ours: it has to go on, and the failure is the handler's."""

    async def fails_over_it() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError

    async def asks(call: Call) -> Verdict:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_over_it)
            nursery.start_soon(trio.sleep_forever)
        return Allow()

    async with flowing(asks) as flow:
        flow.notify()
        await trio.testing.wait_all_tasks_blocked()

    assert [response.error for response in flow.listener.responses] == [-errno.EPERM]
    assert len(flow.events(monitor.HandlerFailed)) == 1


async def test_a_call_that_was_received_when_the_cancellation_came_is_denied() -> None:
    """
    While calls keep coming the scheduler is visited with the next call already received.

    A cancellation that is delivered right there would leave that call without an answer.
    """

    def cancels_before_the_visit(call: Call) -> Verdict:
        if flow.stats.received == DRAIN:
            scope.cancel()
        return Allow()

    flow = make(cancels_before_the_visit)
    for _ in range(DRAIN + 10):
        flow.notify()

    with trio.CancelScope() as scope:
        await flow.dispatcher.run()

    assert flow.stats.received == DRAIN + 1 == len(flow.listener.responses)
    assert flow.listener.responses[-1].error == -errno.EPERM
    assert flow.listener.deny_queued(errno.EPERM) == 9
    flow.listener.close()


async def test_a_handler_is_cancelled_within_a_second_of_its_targets_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    cancelled_at: list[float] = []

    async def thinks(call: Call) -> Verdict:
        try:
            await trio.sleep_forever()
        finally:
            cancelled_at.append(trio.current_time())
        raise AssertionError

    for seconds_before in (0.01, 0.3, 7.0):
        async with flowing(thinks, answer_seconds=20) as flow:
            ident = flow.notify()
            await trio.sleep(seconds_before)
            flow.listener.interrupt(ident)
            gone_at = trio.current_time()
            await trio.sleep(1.01)

            assert cancelled_at.pop() - gone_at <= 1
            assert (flow.stats.gone, flow.stats.timeouts, flow.listener.responses) == (1, 0, [])


async def test_no_timer_runs_while_nothing_waits(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing(says_later(Allow())) as flow:
        await flow.answer()
        await trio.sleep(1)
        await trio.testing.wait_all_tasks_blocked()

        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == float("inf")


async def test_a_target_that_goes_while_it_is_decided_about_is_counted_gone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def interrupts(call: Call) -> Verdict:
        flow.listener.interrupt(call.id)
        return Allow()

    async with flowing(interrupts) as flow:
        flow.notify()
        await trio.sleep(1)

        assert (flow.stats.received, flow.stats.gone, flow.stats.allowed) == (1, 1, 0)
        assert not flow.events(monitor.CallAnswered)[0].delivered


async def test_what_evaporates_before_it_is_received_is_counted_and_the_loop_goes_on() -> None:
    async with flowing(says(Allow())) as flow:
        flow.listener.evaporate()
        flow.listener.evaporate()

        assert (await flow.answer()).continues
        assert (flow.stats.evaporated, flow.stats.received) == (2, 1)


async def test_the_run_ends_with_the_last_task() -> None:
    flow = make(says(Allow()))
    flow.listener.hang_up()

    await flow.dispatcher.run()

    flow.listener.close()


async def test_a_listener_that_cannot_receive_ends_the_run_with_its_errno() -> None:
    flow = make(says(Allow()))
    flow.listener.receive = lambda: -errno.EINVAL  # type: ignore[method-assign]
    flow.listener.evaporate()

    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="cannot receive")):
        await flow.dispatcher.run()

    flow.listener.close()


async def test_two_dispatchers_of_one_listener_are_refused() -> None:
    flow = make(says(Allow()))
    other = make(says(Allow()))
    other.listener.close()
    other.dispatcher._listener = flow.listener
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flow.dispatcher.run)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.RaisesGroup(trio.BusyResourceError):
            await other.dispatcher.run()
        nursery.cancel_scope.cancel()
    flow.listener.close()


# ---- an Allow is not a check ----


@sync_and_async
@pytest.mark.parametrize("by_handler", [True, False], ids=["handler", "otherwise"])
@pytest.mark.parametrize("reason", [None, "only observed"])
@pytest.mark.parametrize("looked", [True, False])
@pytest.mark.parametrize("strict", [True, False])
async def test_an_allow_after_a_look_is_refused_unless_it_says_why_and_nobody_is_strict(
    autojump_clock: trio.testing.MockClock,
    strict: bool,
    looked: bool,
    reason: str | None,
    by_handler: bool,
    later: bool,
) -> None:
    verdict = Allow(racy=reason)

    def looks(call: Call) -> Verdict:
        if looked:
            call.read("pathname")
        return verdict if by_handler else Pass()

    async def looks_later(call: Call) -> Verdict:
        await trio.sleep(1)
        return looks(call)

    async with flowing(looks_later if later else looks, strict=strict, otherwise=verdict) as flow:
        response = await flow.answer()

        allowed = not looked or (reason is not None and not strict)
        assert response.continues == allowed
        assert response.error == (0 if allowed else -errno.EPERM)
        assert flow.stats.racy == len(flow.events(monitor.RacyAllow)) == (not allowed)
        assert flow.events(monitor.CallAnswered)[0].observed == looked


async def test_a_look_by_a_handler_that_passed_counts() -> None:
    async with flowing(lambda call: call.read("pathname") and Pass(), says(Allow())) as flow:
        assert (await flow.answer()).error == -errno.EPERM


async def test_a_look_that_failed_counts() -> None:
    def tries(call: Call) -> Verdict:
        with pytest.raises(TargetMemoryError):
            call.target.read(1, 1)
        return Allow()

    async with flowing(tries) as flow:
        assert (await flow.answer()).error == -errno.EPERM


# ---- what a verdict owns ----


def memfd(content: bytes = b"x") -> int:
    fd = os.memfd_create("owned")
    os.write(fd, content)
    return fd


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@sync_and_async
async def test_an_injected_fd_is_closed_after_the_answer(autojump_clock: trio.testing.MockClock, later: bool) -> None:
    fd = memfd(b"hello")
    verdict = InjectFd(fd, close_on_exec=True, at=9)
    async with flowing(says_later(verdict) if later else says(verdict)) as flow:
        response = await flow.answer()

        assert response.value == 9
        assert response.injected is not None
        assert (response.injected.content, response.injected.close_on_exec) == (b"hello", True)
        assert not is_open(fd)
        assert flow.stats.injected == 1


@sync_and_async
async def test_an_fd_for_a_target_that_is_gone_is_closed(autojump_clock: trio.testing.MockClock, later: bool) -> None:
    fd = memfd()

    def injects(call: Call) -> Verdict:
        flow.listener.interrupt(call.id)
        return InjectFd(fd, close_on_exec=True)

    async def injects_later(call: Call) -> Verdict:
        return injects(call)

    async with flowing(injects_later if later else injects) as flow:
        flow.notify()
        await trio.testing.wait_all_tasks_blocked()

        assert not is_open(fd)
        assert (flow.stats.gone, flow.stats.injected) == (1, 0)


async def test_an_fd_is_closed_that_is_returned_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """The deadline passes while the handler is in a shielded wait; it returns its fd, and no Cancelled was raised."""
    fd = memfd()

    async def injects(call: Call) -> Verdict:
        with trio.CancelScope(shield=True):
            await trio.sleep(40)
        return InjectFd(fd, close_on_exec=True)

    async with flowing(injects) as flow:
        assert (await flow.answer()).injected is not None
        assert not is_open(fd)


async def test_a_full_table_of_the_target_is_its_own_errno_and_no_failure() -> None:
    fd = memfd()
    async with flowing(says(InjectFd(fd, close_on_exec=True))) as flow:
        flow.listener.full = True

        assert (await flow.answer()).error == -errno.EMFILE
        assert not is_open(fd)
        assert (flow.stats.failures, flow.stats.denied, flow.stats.injected) == (0, 1, 0)


async def test_a_number_beyond_the_targets_limit_is_its_own_errno_and_no_failure() -> None:
    fd = memfd()
    async with flowing(says(InjectFd(fd, close_on_exec=True, at=5000))) as flow:
        assert (await flow.answer()).error == -errno.EBADF
        assert not is_open(fd)
        assert flow.stats.failures == 0


class LackingBroker:
    """Of whose calls it cannot be told whether they can be done."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def prepare(self, call: Call) -> None:
        """Nothing has to be looked up."""

    def can(self, call: Call) -> bool:
        raise self.error


@sync_and_async
async def test_a_lack_of_fds_to_look_whose_a_call_is_ends_that_call_and_no_run(
    autojump_clock: trio.testing.MockClock, later: bool
) -> None:
    """It is no failure of the handler that said ``Emulate``, either."""
    broker = LackingBroker(OSError(errno.EMFILE, ""))
    says_so = says_later(Emulate()) if later else says(Emulate())
    async with flowing(says_so, handler_errors="raise", broker=broker) as flow:
        for _ in range(2):
            assert (await flow.answer()).error == -errno.ENFILE
        assert (flow.stats.denied, flow.stats.failures) == (2, 0)


@sync_and_async
async def test_a_thread_that_ends_before_it_is_known_whose_its_call_is_ends_no_run(
    autojump_clock: trio.testing.MockClock, later: bool
) -> None:
    def decide(call: Call) -> Verdict:
        flow.listener.interrupt(call.id)
        return Emulate()

    async def decide_later(call: Call) -> Verdict:
        return decide(call)

    broker = LackingBroker(TargetGone())
    async with flowing(decide_later if later else decide, handler_errors="raise", broker=broker) as flow:
        for number in range(2):
            flow.notify()
            await trio.testing.wait_all_tasks_blocked()
            assert (flow.stats.gone, flow.stats.failures) == (number + 1, 0)


@pytest.mark.parametrize("kind", ["closed", "path"])
async def test_an_fd_that_cannot_be_injected_is_the_handlers_failure(kind: str) -> None:
    fd = os.open("/", os.O_PATH)

    def injects(call: Call) -> Verdict:
        if kind == "closed":
            os.close(fd)
        return InjectFd(fd, close_on_exec=True)

    async with flowing(injects) as flow:
        assert (await flow.answer()).error == -errno.EPERM
        assert not is_open(fd)
        assert flow.stats.failures == len(flow.events(monitor.HandlerFailed)) == 1


async def test_an_fd_whose_handler_was_slow_is_closed_though_a_sink_raises() -> None:
    """The slowness is told before the answer is given: a sink that raises must not lose what the verdict owns."""
    fd = memfd()

    def slow(call: Call) -> Verdict:
        time.sleep(0.011)
        return InjectFd(fd, close_on_exec=True)

    def sink(event: monitor.Event) -> None:
        if isinstance(event, monitor.SlowHandler):
            raise ValueError

    flow = make(slow, sink=sink)
    flow.notify()
    with pytest.RaisesGroup(ValueError):
        await flow.dispatcher.run()

    assert not is_open(fd)
    assert [response.error for response in flow.listener.responses] == [-errno.EPERM]
    flow.listener.close()


# ---- observers that raise ----


def complaining(kind: type) -> Callable[[monitor.Event], None]:
    def sink(event: monitor.Event) -> None:
        if isinstance(event, kind):
            raise LookupError(kind.__name__)

    return sink


FAILING: Sequence[tuple[type, Callable[[Call], object]]] = [
    (monitor.CallAnswered, says(Allow())),
    (monitor.CallAnswered, says(Deny(1))),
    (monitor.CallAnswered, says(Kill())),
    (monitor.HandlerFailed, raises(ValueError(), later=False)),
    (monitor.HandlerFailed, says(None)),
    (monitor.HandlerFailed, says(InjectFd(1_000_000, close_on_exec=True))),
    (monitor.RacyAllow, lambda call: call.read("pathname") and Allow()),
]


@pytest.mark.parametrize(("kind", "function"), FAILING)
@sync_and_async
async def test_an_observer_that_raises_ends_the_run_and_leaves_nothing_unanswered(
    autojump_clock: trio.testing.MockClock, later: bool, kind: type, function: Callable[[Call], object]
) -> None:
    """With the answer to the first call the second was received: it has to be answered all the same."""

    async def in_a_while(call: Call) -> object:
        await trio.sleep(1)
        return function(call)

    flow = make(in_a_while if later else function, sink=complaining(kind))
    idents = {flow.notify(), flow.notify()}

    with pytest.raises(ExceptionGroup) as caught:
        await flow.dispatcher.run()

    assert caught.group_contains(LookupError)

    answered = [response.id for response in flow.listener.responses]
    assert len(answered) == len(set(answered)) == flow.stats.received
    flow.listener.deny_queued(errno.EPERM)
    assert {response.id for response in flow.listener.responses} == idents
    flow.listener.close()


async def test_an_observer_that_raises_does_not_hide_an_interrupt() -> None:
    flow = make(raises(KeyboardInterrupt(), later=False), sink=complaining(monitor.CallAnswered))
    flow.notify()

    with pytest.RaisesGroup(KeyboardInterrupt) as caught:
        await flow.dispatcher.run()

    assert "LookupError" in caught.value.exceptions[0].__notes__[0]
    flow.listener.close()


# ---- slow handlers, and re-entry ----


async def test_slow_inline_handlers_are_counted_and_told_once_a_second() -> None:
    def slow(call: Call) -> Verdict:
        time.sleep(0.011)
        return Allow()

    async with flowing(slow) as flow:
        for _ in range(3):
            await flow.answer()

        assert flow.stats.slow == 3
        (told,) = flow.events(monitor.SlowHandler)
        assert told.seconds > 0.010
        assert told.name == "openat"


async def test_an_asynchronous_handler_is_not_slow(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing(says_later(Allow(), 5)) as flow:
        await flow.answer()
        assert flow.stats.slow == 0


async def test_a_handler_that_enters_trio_again_fails_alone() -> None:
    def enters(call: Call) -> Verdict:
        trio.run(trio.sleep, 0)
        return Allow()

    def calls_from_thread(call: Call) -> Verdict:
        trio.from_thread.run_sync(lambda: None)
        return Allow()

    async with flowing(enters, handler(calls_from_thread, "close")) as flow:
        assert (await flow.answer()).error == -errno.EPERM
        assert (await flow.answer("close", fd=3)).error == -errno.EPERM
        assert flow.stats.failures == 2


async def test_while_one_call_waits_others_are_answered(autojump_clock: trio.testing.MockClock) -> None:
    async with flowing(says_later(Return(1), 5), handler(says(Return(2)), "close")) as flow:
        slow = flow.notify()

        assert (await flow.answer("close", fd=3)).value == 2

        assert (await flow.listener.response(slow)).value == 1
        assert [response.id for response in flow.listener.responses] == [2, 1]


async def test_other_tasks_run_while_calls_keep_coming() -> None:
    """Each answer brings the next call: without a visit to the scheduler nobody else would ever run."""
    turns = 0
    listener_full = True

    def again(call: Call) -> Verdict:
        if listener_full:
            flow.notify()
        return Allow()

    async with flowing(again) as flow:
        flow.notify()
        while turns < 5:
            await trio.lowlevel.checkpoint()
            turns += 1
        listener_full = False

    assert 0 < flow.stats.received <= 10 * DRAIN


@pytest.mark.parametrize("shape", ["function", "method", "partial", "object"])
@sync_and_async
async def test_every_shape_of_handler_is_run_as_what_it_is(
    autojump_clock: trio.testing.MockClock, later: bool, shape: str
) -> None:
    class Sync:
        def method(self, call: Call) -> Verdict:
            return Return(5)

        __call__ = method

    class Async:
        async def method(self, call: Call) -> Verdict:
            await trio.sleep(1)
            return Return(5)

        __call__ = method

    one: Any = Async() if later else Sync()
    shapes: dict[str, Callable[..., object]] = {
        "function": says_later(Return(5)) if later else says(Return(5)),
        "method": one.method,
        "partial": functools.partial(type(one).method, one),
        "object": one,
    }
    async with flowing(shapes[shape]) as flow:
        assert (await flow.answer()).value == 5


# ---- ^C ----


@sync_and_async
@pytest.mark.parametrize("received", [1, 2])
def test_an_interrupt_between_a_receive_and_its_answer_waits_until_it_is_answered(received: int, later: bool) -> None:
    """
    The worst moment: the call is ours and nobody else knows of it.

    The first call is received after a wait, the second together with the answer to the first: by
    the loop, or by the task that answers.
    """

    class Interrupted(FakeListener):
        def receive(self) -> RawNotification | int:
            outcome = super().receive()
            if isinstance(outcome, tuple) and outcome[0] == received:
                signal.raise_signal(signal.SIGINT)
            return outcome

    def asks_again(call: Call) -> Verdict:
        if call.id == 1:
            flow.notify()
        return Allow()

    async def asks_again_later(call: Call) -> Verdict:
        await trio.lowlevel.checkpoint()
        return asks_again(call)

    flow = make(asks_again_later if later else asks_again, listener=Interrupted)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flow.dispatcher.run)
            flow.notify()
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main)

    assert caught.group_contains(KeyboardInterrupt)
    answered = [response.id for response in flow.listener.responses]
    assert answered
    assert len(answered) == len(set(answered)) == flow.stats.received
    assert flow.listener._received == {}
    flow.listener.close()


@sync_and_async
def test_an_interrupt_ends_a_handler_and_its_call_is_denied(later: bool) -> None:
    """In a handler it does not wait: one that loops for ever could not be ended otherwise."""
    reached_the_end = False

    def loops(call: Call) -> Verdict:
        nonlocal reached_the_end
        signal.raise_signal(signal.SIGINT)
        reached_the_end = True
        return Allow()

    async def loops_later(call: Call) -> Verdict:
        await trio.lowlevel.checkpoint()
        return loops(call)

    flow = make(loops_later if later else loops)
    flow.notify()

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(flow.dispatcher.run)

    assert caught.group_contains(KeyboardInterrupt)
    assert not reached_the_end
    assert [response.error for response in flow.listener.responses] == [-errno.EPERM]
    flow.listener.close()


@sync_and_async
@pytest.mark.parametrize("verdict", ["Allow", "Deny", "InjectFd"])
def test_a_call_is_denied_when_whoever_looks_at_it_fails(later: bool, verdict: str) -> None:
    """An observer that fails ends the supervision; the call it looked at is refused, and its fd closed."""

    class Blind(HubObserver):
        def look(self, call: Call, *, told: bool) -> Seen:
            raise ZeroDivisionError

    null = os.open("/dev/null", os.O_RDONLY)
    answer = {"Allow": Allow(), "Deny": Deny(errno.EACCES), "InjectFd": InjectFd(null, close_on_exec=True)}[verdict]
    flow = make(says_later(answer, 0) if later else says(answer), observer=Blind)
    flow.notify()
    flow.notify()

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(flow.dispatcher.run)

    assert caught.group_contains(ZeroDivisionError)
    assert flow.listener.responses
    assert {response.error for response in flow.listener.responses} == {-errno.EPERM}
    assert len(flow.listener.responses) == flow.stats.received
    if verdict == "InjectFd":
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(null)
    else:
        os.close(null)
    flow.listener.close()
