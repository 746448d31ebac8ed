"""
What dispatch may rely on, of the kernel's listener and of the fake alike.

Each test runs twice: over ``Listener``, with a real filter and a real program that asks on order,
and over ``FakeListener``.  So what the tests of the flow show with the fake holds in the kernel.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest
import trio
from attrs import frozen

from monitor import testing
from monitor._native import NO_TASK_LEFT, NOTHING_QUEUED, RawNotification
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.errors import TargetGone
from monitor.notify.listener import CONTINUE, EVAPORATED, MOST_DENIED, AnyListener, Listener
from monitor.policy.notify_program import compile_notify
from monitor.sources.launch import Launch, start
from monitor.sources.process import Process

GETPPID = number_of(Arch.native(), "getppid")
NOT_AN_ID = 0xDEAD_BEEF


@frozen
class Result:
    """What a caller saw: a value, or -1 and an errno; or the signal that ended it."""

    value: int = 0
    error: int = 0
    close_on_exec: bool = False
    first_byte: int = 0
    signal: int = 0


class Side(Protocol):
    """The other side of a listener: programs that call."""

    @property
    def listener(self) -> AnyListener:
        """What is tested."""

    async def ask(self, number: int = 0, *, full: bool = False) -> None:
        """Have a thread of its own make a call with *number*; returns when it is queued."""

    async def result(self, number: int = 0) -> Result:
        """Wait until the caller with *number* has its answer, or is dead."""

    async def kill(self, number: int = 0) -> None:
        """Kill the caller with *number*; returns when it is gone."""

    async def hang_up(self) -> None:
        """End every program."""


class FakeSide:
    def __init__(self) -> None:
        self.listener = testing.FakeListener()
        self._ids: dict[int, int] = {}
        self._killed: set[int] = set()

    async def ask(self, number: int = 0, *, full: bool = False) -> None:
        self.listener.full = full
        self._ids[number] = self.listener.notify(testing.call("getsid", pid=number))

    async def result(self, number: int = 0) -> Result:
        response = await self.listener.response(self._ids[number])
        if self.listener.signals:
            return Result(signal=self.listener.signals[0][1])
        if response.injected is not None:
            injected = response.injected
            return Result(injected.number, 0, injected.close_on_exec, injected.content[0])
        if response.error:
            return Result(-1, -response.error)
        return Result(response.value)

    async def kill(self, number: int = 0) -> None:
        self.listener.interrupt(self._ids[number])

    async def hang_up(self) -> None:
        self.listener.hang_up()


class RealSide:
    _REPORT = struct.Struct("=8q")

    def __init__(self, listener: Listener, process: Process) -> None:
        self.listener = listener
        self.pid = process.pid
        self._stdin, self._stdout = process.streams[0], process.streams[1]
        self._pids: dict[int, int] = {}
        self._results: dict[int, Result] = {}

    async def ask(self, number: int = 0, *, full: bool = False) -> None:
        await self._stdin.send_all(struct.pack("=2q", number, full))
        while number not in self._pids:
            await self._read_report()
        await self._until(lambda: self._waits(number))

    def _waits(self, number: int) -> bool:
        return Path(f"/proc/{self._pids[number]}/syscall").read_text().startswith(f"{GETPPID} ")

    @staticmethod
    async def _until(condition: Callable[[], bool]) -> None:
        while not condition():
            await trio.sleep(0.001)

    async def _read_report(self) -> None:
        data = await self._stdout.receive_some(self._REPORT.size)
        kind, number, pid, value, error, close_on_exec, byte, ended_by = self._REPORT.unpack(data)
        if kind == 0:
            self._pids[number] = pid
        elif ended_by:
            self._results[number] = Result(signal=ended_by)
        else:
            self._results[number] = Result(value, error, bool(close_on_exec), byte)

    async def result(self, number: int = 0) -> Result:
        while number not in self._results:
            await self._read_report()
        return self._results[number]

    async def kill(self, number: int = 0) -> None:
        os.kill(self._pids[number], signal.SIGKILL)
        await self.result(number)

    async def hang_up(self) -> None:
        for number in self._pids.keys() - self._results.keys():
            await self.kill(number)
        await self._stdin.aclose()


@asynccontextmanager
async def real_side(program: str) -> AsyncIterator[RealSide]:
    assert GETPPID is not None
    launch = Launch([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    started = await start(launch, compile_notify({Arch.native(): frozenset({GETPPID})}))
    process = started.process
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.watch)
        try:
            yield RealSide(started.listener, process)
        finally:
            with trio.CancelScope(shield=True):
                await process.end(0)
            started.listener.close()


@pytest.fixture(params=["kernel", "fake"])
async def side(request: pytest.FixtureRequest, compiled: Callable[..., str]) -> AsyncIterator[Side]:
    if request.param == "fake":
        fake = FakeSide()
        yield fake
        fake.listener.close()
    else:
        async with real_side(compiled("asks_on_order")) as real:
            yield real


async def received(side: Side) -> RawNotification:
    await side.listener.wait()
    outcome = side.listener.receive()
    assert isinstance(outcome, tuple)
    return outcome


@pytest.fixture
def an_fd() -> int:
    """An fd on a file that begins with "x"; the test closes it."""
    fd = os.memfd_create("contract")
    os.write(fd, b"x")
    return fd


# ---- lingering ----


async def test_lingering_tells_whether_a_wait_would_end_at_once(side: Side) -> None:
    assert not side.listener.linger(0.001)
    await side.ask()
    assert side.listener.linger(5.0)
    await received(side)
    assert not side.listener.linger(0.001)
    await side.hang_up()
    assert side.listener.linger(5.0)


# ---- receiving ----


async def test_receive_without_anything_queued_does_not_wait(side: Side) -> None:
    assert side.listener.receive() == NOTHING_QUEUED


async def test_a_queued_call_is_received_with_its_registers(side: Side) -> None:
    await side.ask(7)

    raw = await received(side)

    assert len(raw) == 12
    assert raw[6] == 7
    assert raw[1] > 0
    assert side.listener.receive() == NOTHING_QUEUED


async def test_calls_are_received_in_the_order_in_which_they_were_made(side: Side) -> None:
    for number in (3, 1, 2):
        await side.ask(number)

    assert [(await received(side))[6] for _ in range(3)] == [3, 1, 2]


async def test_each_notification_has_an_id_of_its_own(side: Side) -> None:
    for number in range(3):
        await side.ask(number)

    assert len({(await received(side))[0] for _ in range(3)}) == 3


async def test_wait_sleeps_until_something_is_queued(side: Side) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.listener.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        await side.ask()

    assert isinstance(side.listener.receive(), tuple)


async def test_cancelling_a_wait_loses_nothing(side: Side) -> None:
    with trio.move_on_after(0) as scope:
        await side.listener.wait()
    assert scope.cancelled_caught

    await side.ask(5)

    assert (await received(side))[6] == 5


async def test_two_waiters_are_refused(side: Side) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(side.listener.wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await side.listener.wait()
        nursery.cancel_scope.cancel()


# ---- answering ----


async def test_an_answer_reaches_its_caller(side: Side) -> None:
    await side.ask()
    raw = await received(side)

    side.listener.respond(raw[0], 1 << 40, 0, 0)

    assert await side.result() == Result(value=1 << 40)


async def test_a_second_answer_finds_nobody(side: Side) -> None:
    await side.ask()
    raw = await received(side)
    side.listener.respond(raw[0], 0, -errno.EACCES, 0)

    with pytest.raises(TargetGone):
        side.listener.respond(raw[0], 0, 0, 0)

    assert await side.result() == Result(value=-1, error=errno.EACCES)


async def test_an_answer_to_an_id_that_never_was_finds_nobody(side: Side) -> None:
    with pytest.raises(TargetGone):
        side.listener.respond(NOT_AN_ID, 0, 0, 0)


async def test_continue_takes_no_value(side: Side) -> None:
    await side.ask()
    raw = await received(side)

    with pytest.raises(OSError, match="Invalid") as caught:
        side.listener.respond(raw[0], 1, 0, CONTINUE)

    assert caught.value.errno == errno.EINVAL
    side.listener.respond(raw[0], 0, 0, CONTINUE)


async def test_exchange_answers_one_and_receives_the_next(side: Side) -> None:
    await side.ask(1)
    await side.ask(2)
    first = await received(side)

    second = side.listener.exchange(first[0], 11, 0, 0)

    assert side.listener.sent == 0
    assert isinstance(second, tuple)
    assert second[6] == 2
    assert side.listener.exchange(second[0], 0, -errno.ENOENT, 0) == NOTHING_QUEUED
    assert [await side.result(1), await side.result(2)] == [Result(11), Result(-1, errno.ENOENT)]


async def test_exchange_with_somebody_who_is_gone_still_receives(side: Side) -> None:
    await side.ask(1)
    first = await received(side)
    await side.kill(1)
    await side.ask(2)

    second = side.listener.exchange(first[0], 0, 0, 0)

    assert side.listener.sent == -errno.ENOENT
    assert isinstance(second, tuple)
    assert second[6] == 2


# ---- threads that go away ----


async def test_a_call_that_is_interrupted_before_it_is_received_is_not_received(side: Side) -> None:
    await side.ask()
    await side.kill()

    assert side.listener.receive() in {NOTHING_QUEUED, EVAPORATED}
    assert side.listener.receive() == NOTHING_QUEUED


async def test_a_call_that_is_interrupted_after_it_was_received_finds_nobody(side: Side) -> None:
    await side.ask()
    raw = await received(side)
    assert side.listener.is_valid(raw[0])

    await side.kill()

    assert not side.listener.is_valid(raw[0])
    with pytest.raises(TargetGone):
        side.listener.respond(raw[0], 0, 0, 0)


async def test_an_id_is_valid_from_receive_to_answer(side: Side) -> None:
    await side.ask()
    raw = await received(side)
    before = side.listener.is_valid(raw[0])

    side.listener.respond(raw[0], 0, 0, 0)

    assert (before, side.listener.is_valid(raw[0])) == (True, False)
    assert not side.listener.is_valid(NOT_AN_ID)


async def test_the_end_of_the_last_task_wakes_the_waiter_and_is_told_for_ever(side: Side) -> None:
    await side.hang_up()

    await side.listener.wait()

    assert [side.listener.receive() for _ in range(3)] == [NO_TASK_LEFT] * 3


async def test_what_was_received_and_is_gone_does_not_keep_the_end_away(side: Side) -> None:
    await side.ask()
    raw = await received(side)

    await side.hang_up()
    await side.listener.wait()

    assert side.listener.exchange(raw[0], 0, 0, 0) == NO_TASK_LEFT
    assert side.listener.sent == -errno.ENOENT


# ---- injecting ----


@pytest.mark.parametrize("close_on_exec", [True, False])
async def test_an_injected_fd_is_the_answer(side: Side, an_fd: int, close_on_exec: bool) -> None:
    await side.ask()
    raw = await received(side)

    number = side.listener.add_fd(raw[0], an_fd, at=None, close_on_exec=close_on_exec)

    assert await side.result() == Result(number, 0, close_on_exec, ord("x"))
    with pytest.raises(TargetGone):
        side.listener.respond(raw[0], 0, 0, 0)
    os.close(an_fd)  # still ours


async def test_an_fd_is_injected_at_the_number_that_was_asked_for(side: Side, an_fd: int) -> None:
    await side.ask()
    raw = await received(side)

    assert side.listener.add_fd(raw[0], an_fd, at=77, close_on_exec=False) == 77

    assert (await side.result()).value == 77
    os.close(an_fd)


async def answers_by_hand(side: Side, ident: int) -> None:
    assert side.listener.is_valid(ident)
    side.listener.respond(ident, 0, -errno.EDOM, 0)
    assert await side.result() == Result(-1, errno.EDOM)


async def test_a_full_table_keeps_the_call_unanswered(side: Side, an_fd: int) -> None:
    await side.ask(full=True)
    raw = await received(side)

    with pytest.raises(OSError, match="Too many open files") as caught:
        side.listener.add_fd(raw[0], an_fd, at=None, close_on_exec=False)

    assert caught.value.errno == errno.EMFILE
    await answers_by_hand(side, raw[0])
    os.close(an_fd)


async def test_a_number_beyond_the_limit_keeps_the_call_unanswered(side: Side, an_fd: int) -> None:
    await side.ask()
    raw = await received(side)

    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        side.listener.add_fd(raw[0], an_fd, at=(1 << 31) - 1, close_on_exec=False)

    assert caught.value.errno == errno.EBADF
    await answers_by_hand(side, raw[0])
    os.close(an_fd)


async def test_an_fd_that_is_not_open_keeps_the_call_unanswered(side: Side, an_fd: int) -> None:
    os.close(an_fd)
    await side.ask()
    raw = await received(side)

    with pytest.raises(OSError, match="Bad file descriptor"):
        side.listener.add_fd(raw[0], an_fd, at=None, close_on_exec=False)

    await answers_by_hand(side, raw[0])


async def test_a_path_descriptor_cannot_be_injected(side: Side) -> None:
    fd = os.open("/", os.O_PATH)
    await side.ask()
    raw = await received(side)

    with pytest.raises(OSError, match="Bad file descriptor"):
        side.listener.add_fd(raw[0], fd, at=None, close_on_exec=False)

    await answers_by_hand(side, raw[0])
    os.close(fd)


async def test_injecting_into_nobody_says_so(side: Side, an_fd: int) -> None:
    await side.ask()
    raw = await received(side)
    await side.kill()

    with pytest.raises(TargetGone):
        side.listener.add_fd(raw[0], an_fd, at=None, close_on_exec=False)

    os.close(an_fd)


# ---- signals, and the thread itself ----


async def test_a_signal_is_there_before_the_answer_is(side: Side) -> None:
    await side.ask()
    raw = await received(side)

    side.listener.kill(raw[0], raw[1], signal.SIGTERM)
    with contextlib.suppress(TargetGone):  # of the signal
        side.listener.respond(raw[0], 0, 0, 0)

    assert await side.result() == Result(signal=signal.SIGTERM)


async def test_a_signal_to_nobody_says_so(side: Side) -> None:
    await side.ask()
    raw = await received(side)
    side.listener.respond(raw[0], 0, 0, 0)

    with pytest.raises(TargetGone):
        side.listener.kill(raw[0], raw[1], signal.SIGTERM)


async def test_the_target_cannot_be_looked_into_after_the_answer(side: Side) -> None:
    await side.ask()
    raw = await received(side)
    target = side.listener.target(raw[0], raw[1])
    assert target.pid > 0

    side.listener.respond(raw[0], 0, 0, 0)

    for look in (
        lambda: target.read(4096, 1),
        lambda: target.read_string(4096),
        lambda: target.write(4096, b"x"),
        lambda: target.pid,
    ):
        with pytest.raises(TargetGone):
            look()


# ---- the end ----


async def test_queued_calls_are_denied_and_counted(side: Side) -> None:
    for number in (1, 2, 3):
        await side.ask(number)

    assert side.listener.deny_queued(errno.EPERM) == 3

    assert [await side.result(number) for number in (1, 2, 3)] == [Result(-1, errno.EPERM)] * 3
    assert side.listener.deny_queued(errno.EPERM) == 0


async def test_denying_what_is_queued_ends_though_the_refused_ask_again(side: Side) -> None:
    """
    Two threads ask again as soon as they are refused.

    While one is being refused the other has queued its next call, so there is always one more.
    """
    await side.ask()
    raw = await received(side)
    side.listener.receive = lambda: raw  # type: ignore[method-assign]

    assert side.listener.deny_queued(errno.EPERM) == MOST_DENIED


async def test_what_was_received_is_not_denied_with_what_is_queued(side: Side) -> None:
    await side.ask(1)
    raw = await received(side)
    await side.ask(2)

    assert side.listener.deny_queued(errno.EPERM) == 1

    assert side.listener.is_valid(raw[0])


async def test_a_close_ends_waiting_calls_with_enosys(side: Side) -> None:
    await side.ask(1)
    await received(side)
    await side.ask(2)

    side.listener.close()

    assert [await side.result(number) for number in (1, 2)] == [Result(-1, errno.ENOSYS)] * 2


async def test_a_close_wakes_the_waiter(side: Side) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def waiter() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await side.listener.wait()

        await trio.testing.wait_all_tasks_blocked()
        side.listener.close()


async def test_a_closed_listener_refuses_every_use_and_another_close_is_nothing(side: Side, an_fd: int) -> None:
    side.listener.close()
    side.listener.close()

    for use in (
        side.listener.receive,
        lambda: side.listener.exchange(1, 0, 0, 0),
        lambda: side.listener.respond(1, 0, 0, 0),
        lambda: side.listener.add_fd(1, an_fd, at=None, close_on_exec=False),
        lambda: side.listener.kill(1, 1, signal.SIGTERM),
        lambda: side.listener.is_valid(1),
        lambda: side.listener.target(1, 1),
        lambda: side.listener.deny_queued(1),
    ):
        with pytest.raises(trio.ClosedResourceError):
            use()
    with pytest.raises(trio.ClosedResourceError):
        await side.listener.wait()
    os.close(an_fd)


# ---- the real one alone ----


async def test_a_second_answer_to_a_target_that_has_not_run_since_finds_nobody(
    compiled: Callable[..., str], an_fd: int
) -> None:
    """
    The supervisor answers twice before the target, which shares its CPU, has run again.

    Until it has, the kernel knows the notification still, and says EINPROGRESS instead of ENOENT.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        async with real_side(compiled("asks_on_order")) as side:
            os.sched_setaffinity(side.pid, {min(before)})
            for number in range(20):
                await side.ask(number)
                raw = await received(side)
                side.listener.respond(raw[0], 0, -errno.EACCES, 0)

                with pytest.raises(TargetGone):
                    if number % 2:
                        side.listener.respond(raw[0], 0, 0, 0)
                    else:
                        side.listener.add_fd(raw[0], an_fd, at=None, close_on_exec=False)

                assert await side.result(number) == Result(value=-1, error=errno.EACCES)
    finally:
        os.close(an_fd)
        os.sched_setaffinity(0, before)


def test_an_fd_that_is_no_listener_stays_the_callers(open_fds: Callable[[], set[str]]) -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    before = open_fds()

    with pytest.raises(OSError, match=r"ioctl|argument"):
        Listener.from_fd(fd)

    assert open_fds() == before
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Listener.from_fd(fd)


async def test_a_listener_can_be_closed_where_no_trio_runs(
    compiled: Callable[..., str], open_fds: Callable[[], set[str]]
) -> None:
    """It is a context manager, and ``with`` may stand outside of ``trio.run``."""
    async with real_side(compiled("asks_on_order")) as side:
        fd = side.listener.fileno()

        await trio.to_thread.run_sync(side.listener.close)

        assert side.listener.fileno() == -1
        assert not any(entry.startswith(f"{fd} -> ") for entry in open_fds())
