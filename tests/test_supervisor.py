"""
Who lives how long, and which exception leaves the block; over the fake listener.

A block over a listener has all of the roof's rules but the launch.  What needs a kernel here, real
interrupts and a launched tree, runs in a process of its own.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import monitor
from monitor import Allow, Call, Deny, Pass, Return, Verdict, _native, handles, supervise
from monitor.testing import FakeListener, call


@pytest.fixture(autouse=True)
def _dumpable_again() -> Iterator[None]:
    """A strict supervision makes this process undumpable, which would close /proc/self to an ordinary user."""
    yield
    _native.set_dumpable(dumpable=True)


@pytest.fixture
def listener() -> Iterator[FakeListener]:
    fake = FakeListener()
    yield fake
    fake.close()


@handles("openat")
def allows(call: Call) -> Verdict:
    return Allow()


@handles("openat")
async def thinks(call: Call) -> Verdict:
    await trio.sleep_forever()
    return Allow()


@handles("openat")
def fails(call: Call) -> Verdict:
    raise AssertionError


@handles("openat")
def interrupted(call: Call) -> Verdict:
    raise KeyboardInterrupt


def notify(listener: FakeListener) -> int:
    return listener.notify(call("openat", pathname=b"/x"))


def a_sink_that_raises(event: monitor.Event) -> None:
    raise LookupError(type(event).__name__)


# ---- the block ----


async def test_calls_are_answered_for_the_length_of_the_block(listener: FakeListener) -> None:
    async with supervise(listener, handlers=[allows]) as run:
        assert (await listener.response(notify(listener))).continues
        assert run.stats.allowed == 1

    assert listener.closed


async def test_leaving_denies_what_waits_and_what_is_queued(listener: FakeListener) -> None:
    """One call is thought about, one more is made when the loop is stopped; none is left to the close."""

    @handles("openat")
    async def thinks_and_asks(call: Call) -> Verdict:
        try:
            await trio.sleep_forever()
        finally:
            idents.append(notify(listener))
        raise AssertionError

    async with supervise(listener, handlers=[thinks_and_asks]) as run:
        idents = [notify(listener)]
        await trio.testing.wait_all_tasks_blocked()

    assert len(idents) == 2
    assert run.stats.received == 1
    assert {response.id: response.error for response in listener.responses} == dict.fromkeys(idents, -errno.EPERM)


async def test_wait_all_returns_when_no_task_is_left(listener: FakeListener) -> None:
    async with supervise(listener, handlers=[allows]) as run:
        listener.hang_up()
        await run.wait_all()


async def test_stats_are_a_copy(listener: FakeListener) -> None:
    async with supervise(listener, handlers=[allows]) as run:
        before = run.stats
        before.denied = 99
        await listener.response(notify(listener))

        assert (before.allowed, run.stats.allowed, run.stats.denied) == (0, 1, 0)


async def test_denials_are_remembered_with_their_reason(listener: FakeListener) -> None:
    async with supervise(listener, handlers=[fails]) as run:
        await listener.response(notify(listener))

    (denial,) = run.denials
    assert (denial.name, denial.by, denial.handler, denial.verdict) == ("openat", "error", "fails", Deny(errno.EPERM))
    assert denial.named["flags"] == 0


async def test_several_blocks_live_side_by_side() -> None:
    listeners = [FakeListener() for _ in range(3)]
    async with (
        supervise(listeners[0], handlers=[allows]),
        supervise(listeners[1], otherwise=Return(1)),
        supervise(listeners[2], otherwise=Return(2)) as last,
    ):
        responses = [await one.response(notify(one)) for one in listeners]

    assert [response.value for response in responses] == [0, 1, 2]
    assert last.stats.returned == 1


async def test_a_body_that_waits_in_a_finally_is_served_under_cancellation_from_outside(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    """The body waits for its program; the program waits for us.  Were we cancelled first, nobody would move."""
    values = []
    with trio.move_on_after(5) as scope:
        async with supervise(listener, otherwise=Return(8)):
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                    values.append((await listener.response(notify(listener))).value)

    assert scope.cancelled_caught
    assert values == [8]
    assert listener.closed


# ---- what leaves the block ----


async def test_the_bodys_exception_leaves_as_itself(listener: FakeListener) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with supervise(listener, handlers=[allows]):
            raise error

    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert listener.closed


@pytest.mark.parametrize(
    "error", [StopIteration(1), StopAsyncIteration(), KeyboardInterrupt(), GeneratorExit()], ids=repr
)
async def test_the_bodys_odd_exceptions_leave_as_themselves(listener: FakeListener, error: BaseException) -> None:
    """Each of these means something to a generator, which the block is made of."""
    with pytest.raises(type(error)) as caught:
        async with supervise(listener, handlers=[allows]):
            raise error

    assert caught.value is error
    assert listener.closed


async def test_a_group_of_the_body_is_not_unwrapped(listener: FakeListener) -> None:
    with pytest.RaisesGroup(ValueError):
        async with supervise(listener, handlers=[allows]), trio.open_nursery():
            raise ValueError


async def test_a_failure_of_ours_cancels_the_body_and_leaves_with_its_cause(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    cancelled = False
    with pytest.raises(monitor.SupervisorError, match="LookupError") as caught:
        async with supervise(listener, handlers=[allows], events=a_sink_that_raises):
            ident = notify(listener)
            try:
                await trio.sleep_forever()
            finally:
                cancelled = True

    assert cancelled
    assert isinstance(caught.value.__cause__, LookupError)
    assert (await listener.response(ident)).continues


@pytest.mark.parametrize("later", [False, True], ids=["raises", "needs too long"])
async def test_what_a_handler_failed_to_decide_is_answered_as_the_run_says(
    later: bool, autojump_clock: trio.testing.MockClock
) -> None:
    @handles("openat")
    async def needs_too_long(_call: Call) -> Verdict:
        await trio.sleep_forever()

    given: list[tuple[Verdict, bool, int]] = [
        (monitor.Deny(errno.EIO), True, -errno.EIO),
        (monitor.Allow(racy="only observed"), False, 0),
    ]
    for verdict, strict, error in given:
        listener = FakeListener()
        handlers = [needs_too_long if later else fails]
        async with supervise(listener, handlers=handlers, on_failure=verdict, answer_seconds=1, strict=strict):
            response = await listener.response(notify(listener))

        assert (response.error, response.continues) == (error, error == 0)


@pytest.mark.parametrize("verdict", [monitor.Allow(), monitor.Allow(racy="why not")])
def test_what_was_not_decided_never_runs_where_something_is_enforced(verdict: Verdict, listener: FakeListener) -> None:
    with pytest.raises(ValueError, match="on_failure"):
        supervise(listener, handlers=[fails], on_failure=verdict)


async def test_an_assert_in_a_handler_leaves_as_handler_error(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(monitor.HandlerError, match="'fails' for openat: raised AssertionError") as caught:
        async with supervise(listener, handlers=[fails], handler_errors="raise"):
            notify(listener)
            await trio.sleep_forever()

    assert isinstance(caught.value.__cause__, AssertionError)
    assert listener.responses[0].error == -errno.EPERM


async def test_two_handlers_that_fail_at_once_still_leave_as_handler_error(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    """Two tasks fail in the same turn of the scheduler, so that their exceptions come out in a group."""
    event = trio.Event()

    @handles("openat")
    async def fails_later(call: Call) -> Verdict:
        await event.wait()
        raise AssertionError

    with pytest.raises(monitor.HandlerError) as caught:
        async with supervise(listener, handlers=[fails_later], handler_errors="raise"):
            notify(listener)
            notify(listener)
            await trio.testing.wait_all_tasks_blocked()
            event.set()
            await trio.sleep_forever()

    assert "at the same time" in caught.value.__notes__[0]
    assert [response.error for response in listener.responses] == [-errno.EPERM] * 2


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("later", [False, True], ids=["def", "async def"])
async def test_an_interrupt_in_a_handler_leaves_as_itself(
    listener: FakeListener, autojump_clock: trio.testing.MockClock, kind: type[BaseException], later: bool
) -> None:
    @handles("openat")
    def now(call: Call) -> Verdict:
        raise kind

    @handles("openat")
    async def in_a_while(call: Call) -> Verdict:
        await trio.sleep(1)
        raise kind

    with pytest.raises(kind):
        async with supervise(listener, handlers=[in_a_while if later else now]):
            notify(listener)
            await trio.sleep_forever()

    assert [response.error for response in listener.responses] == [-errno.EPERM]


async def test_of_two_exceptions_the_bodys_leaves_with_ours_as_a_note_and_an_event(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    told: list[monitor.Event] = []
    with pytest.raises(ValueError, match="mine") as caught:
        async with supervise(listener, handlers=[fails], handler_errors="raise", events=told.append) as run:
            late = run.events()
            notify(listener)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("mine")

    assert "HandlerError" in caught.value.__notes__[0]
    assert isinstance(told[-1], monitor.SupervisionFailed)
    assert isinstance(told[-1].error, monitor.HandlerError)
    assert [event async for event in late] == told


async def test_a_sink_that_raises_at_the_end_does_not_replace_the_bodys_exception(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    """The sink is the failure, and is told of the failure, and fails again."""
    with pytest.raises(ValueError, match="mine") as caught:
        async with supervise(listener, handlers=[allows], events=a_sink_that_raises):
            notify(listener)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("mine")

    assert "LookupError" in caught.value.__notes__[0]
    assert listener.closed


async def test_cancellation_from_outside_passes_through(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(1) as scope:
        async with supervise(listener, handlers=[thinks]):
            notify(listener)
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert [response.error for response in listener.responses] == [-errno.EPERM]


async def test_a_failure_is_not_swallowed_by_a_cancellation_from_outside(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    """
    A time-out cancels the body, and while it unwinds a handler's assert fails.

    Were the Cancelled what leaves, the scope outside would take it, and the failed assert with it.
    """
    with pytest.raises(monitor.HandlerError), trio.move_on_after(1):
        async with supervise(listener, handlers=[fails], handler_errors="raise"):
            try:
                await trio.sleep_forever()
            finally:
                notify(listener)
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)


async def test_a_handler_may_cancel_the_scope_around_its_own_block(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    @handles("openat")
    def stops(call: Call) -> Verdict:
        scope.cancel()
        return Return(3)

    with trio.CancelScope() as scope:
        async with supervise(listener, handlers=[stops]):
            notify(listener)
            await trio.sleep_forever()

    assert [response.value for response in listener.responses] == [3]


async def test_a_listener_that_its_owner_closes_ends_the_block_with_that(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(monitor.SupervisorError) as caught:
        async with supervise(listener, handlers=[allows]):
            listener.close()
            await trio.sleep_forever()

    assert isinstance(caught.value.__cause__, trio.ClosedResourceError)


async def test_a_handler_that_closes_the_listener_ends_the_block_and_its_fd_is_closed(
    listener: FakeListener, autojump_clock: trio.testing.MockClock
) -> None:
    fd = os.open("/dev/null", os.O_RDONLY)

    @handles("openat")
    def closes(call: Call) -> Verdict:
        listener.close()
        return monitor.InjectFd(fd, close_on_exec=True)

    with pytest.raises(monitor.SupervisorError):
        async with supervise(listener, handlers=[closes], events=print):
            ident = notify(listener)
            await trio.sleep_forever()

    assert (await listener.response(ident)).error == -errno.ENOSYS
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


async def test_an_abandoned_generator_leaves_the_block(listener: FakeListener) -> None:
    """
    The block stands in an async generator that is closed early.

    A GeneratorExit is thrown into the block, where waiting is still allowed; tasks that were not
    stopped would be waited for, for ever.
    """

    async def events() -> AsyncIterator[int]:
        async with supervise(listener, handlers=[thinks]):
            yield notify(listener)

    generator = events()
    ident = await anext(generator)
    await trio.testing.wait_all_tasks_blocked()
    await generator.aclose()  # type: ignore[attr-defined]

    assert listener.closed
    assert (await listener.response(ident)).error == -errno.EPERM


# ---- events ----


async def test_events_begin_when_they_are_asked_for_and_end_with_the_run(listener: FakeListener) -> None:
    async with supervise(listener, handlers=[allows]) as run:
        early = run.events()
        await listener.response(notify(listener))
        late = run.events()
        await listener.response(notify(listener))

    assert [event.name async for event in early] == ["openat", "openat"]  # type: ignore[union-attr]
    assert [event.name async for event in late] == ["openat"]  # type: ignore[union-attr]
    assert [event async for event in run.events()] == []


async def test_who_does_not_keep_up_is_told_what_is_missing(listener: FakeListener) -> None:
    async with supervise(listener, handlers=[allows]) as run:
        events = run.events(capacity=2)
        for _ in range(5):
            await listener.response(notify(listener))
        await trio.testing.wait_all_tasks_blocked()

    kinds = [event.count if isinstance(event, monitor.Dropped) else event.name async for event in events]  # type: ignore[union-attr]
    assert kinds == ["openat", "openat", 3]
    assert events.dropped == 3


async def test_every_sink_is_called_with_every_event(listener: FakeListener) -> None:
    first: list[monitor.Event] = []
    second: list[monitor.Event] = []
    async with supervise(listener, handlers=[allows], events=[first.append, second.append]):
        await listener.response(notify(listener))
        await trio.testing.wait_all_tasks_blocked()

    assert len(first) == 1
    assert first == second


# ---- arguments that cannot be meant ----


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": "make test"}, TypeError, "list of words"),
        ({"source": b"make"}, TypeError, "list of words"),
        ({"source": 5}, TypeError, "Listener.from_fd"),
        ({"source": None}, TypeError, "words of a program"),
        ({"source": []}, ValueError, "empty"),
        ({"handlers": allows}, TypeError, "list of handlers"),
        ({"handlers": "openat"}, TypeError, "list of handlers"),
        ({"handlers": [lambda call: Allow()]}, TypeError, "not marked"),
        ({"otherwise": Pass()}, TypeError, "otherwise"),
        ({"otherwise": None}, TypeError, "otherwise"),
        ({"otherwise": monitor.InjectFd(0, close_on_exec=True)}, TypeError, "otherwise"),
        ({"answer_seconds": 0}, ValueError, "answer_seconds"),
        ({"answer_seconds": float("nan")}, ValueError, "answer_seconds"),
        ({"grace_seconds": -1}, ValueError, "grace_seconds"),
        ({"handler_errors": "ignore"}, ValueError, "handler_errors"),
        ({"on_leave": "stay"}, ValueError, "on_leave"),
        ({"events": [1]}, TypeError, "functions"),
        ({"events": "file.jsonl"}, TypeError, "functions"),
        ({"leave_running": True, "handlers": [allows]}, ValueError, "nobody would answer"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_at_the_call(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    source = arguments.pop("source", ["true"])
    with pytest.raises(error, match=message):
        supervise(source, **arguments)


@pytest.mark.parametrize("argument", [{"leave_running": True}, {"grace_seconds": 1.0}])
def test_a_listener_takes_nothing_that_is_for_launches(listener: FakeListener, argument: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="on_leave"):
        supervise(listener, **argument)


async def test_an_unknown_call_is_refused_with_the_name_that_was_meant(listener: FakeListener) -> None:
    handler = monitor.Handler.of("opennat", allows)
    for source in (listener, ["true"]):
        with pytest.raises(monitor.PolicyError, match="did you mean 'openat'"):
            async with supervise(source, handlers=[handler]):
                raise AssertionError
    assert not listener.closed  # still its owner's


# ---- in earnest ----


def run_program(text: str, *, interrupt_after: bytes | None = None) -> tuple[int, str, str]:
    """Run Python *text*; send it SIGINT when it has printed *interrupt_after*; (status, stdout, stderr)."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    head = b""
    with child:
        try:
            if interrupt_after is not None:
                head = child.stdout.readline()
                assert head.strip() == interrupt_after, head
                child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=30)
        finally:
            child.kill()
    return child.returncode, (head + out).decode(), err.decode()


IN_EARNEST = """
    import errno, os, signal, subprocess, sys, monitor, trio
    from monitor import *

    answers = []
    def note(event):
        if isinstance(event, CallAnswered):
            answers.append(event)

    async def main():
        program = Launch(ASKS, stdout=subprocess.DEVNULL)
        async with supervise(program, handlers=[handler], strict=False, events=note) as run:
            main.run = run
            await body(run)

    async def body(run):
        await trio.sleep_forever()

    ASKS = [sys.executable, "-I", "-S", "-c", "import os\\nwhile True: os.getppid()"]
"""

THE_END = """
    try:
        trio.run(main)
    except BaseException as error:
        run = main.run
        print(type(error).__name__, run.returncode)
        stats = run.stats
        answered = stats.allowed + stats.denied + stats.returned + stats.gone
        assert stats.received == answered == len(answers), (stats, len(answers))
        assert os.listdir("/proc/self/task") and not os.path.exists(f"/proc/{run.pid}")
"""


def test_an_interrupt_ends_an_inline_handler_that_never_would() -> None:
    """^C arrives while a handler loops for ever on the loop's own thread: nothing else could end it."""
    status, out, err = run_program(
        IN_EARNEST
        + """
    @handles("getppid")
    def handler(call):
        print("looping", flush=True)
        while True:
            pass
    """
        + THE_END,
        interrupt_after=b"looping",
    )

    assert (status, out, err) == (0, "looping\nKeyboardInterrupt 137\n", "")


def test_an_interrupt_ends_a_loop_that_is_busy_and_every_call_is_answered() -> None:
    """^C arrives somewhere between a receive and its answer, or in the handler; it must not be seen by the target."""
    status, out, err = run_program(
        IN_EARNEST
        + """
    count = 0
    @handles("getppid")
    def handler(call):
        global count
        count += 1
        if count == 1000:
            print("busy", flush=True)
        return Return(1)
    """
        + THE_END,
        interrupt_after=b"busy",
    )

    assert (status, out, err) == (0, "busy\nKeyboardInterrupt 137\n", "")


def test_a_second_interrupt_in_the_time_of_grace_kills_the_tree_and_leaves_nothing() -> None:
    """
    The program ignores SIGTERM, and whoever waits for its time of grace presses ^C again.

    The clean-up is interrupted where it waits: it has to go on, in a hurry, and not leave the tree behind.
    """
    status, out, err = run_program(
        """
    import os, signal, sys, time, monitor, trio
    from monitor import Launch, supervise

    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"

    @trio.lowlevel.enable_ki_protection  # so that it reaches the main task, which waits
    async def interrupt_again():
        await trio.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    async def main():
        global run
        async with trio.open_nursery() as nursery:
            reading, writing = os.pipe()
            launch = Launch([sys.executable, "-I", "-S", "-c", program], stdout=writing)
            async with supervise(launch, grace_seconds=60, strict=False) as run:
                os.close(writing)
                await trio.lowlevel.wait_readable(reading)
                nursery.start_soon(interrupt_again)

    before = set(os.listdir("/proc/self/fd"))
    started = time.monotonic()
    try:
        trio.run(main)
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        print(type(error).__name__, run.returncode, time.monotonic() - started < 20)
        print(len(set(os.listdir("/proc/self/fd")) - before))
    """
    )

    assert (status, out, err) == (0, "KeyboardInterrupt 137 True\n1\n", "")


async def test_the_end_of_a_program_that_is_killed_by_leaving_is_told() -> None:
    told: list[monitor.Event] = []
    async with supervise(["sleep", "1000"], strict=False, events=told.append) as run:
        pid = run.pid

    assert [type(event) for event in told] == [monitor.TargetStarted, monitor.TargetExited]
    assert (told[-1].pid, told[-1].status) == (pid, 128 + signal.SIGKILL)  # type: ignore[union-attr]


async def test_a_handler_may_kill_the_run_it_belongs_to() -> None:
    @handles("getppid")
    def kills(call: Call) -> Verdict:
        run.kill()
        return Return(0)

    program = [sys.executable, "-I", "-S", "-c", "import os\nwhile True: os.getppid()"]
    async with supervise(program, handlers=[kills], strict=False) as run:
        assert await run.wait() == 128 + signal.SIGKILL
        await run.wait_all()

    stats = run.stats
    assert stats.received == stats.returned + stats.gone


async def test_nothing_is_left_of_many_runs(open_fds: Callable[[], set[str]]) -> None:
    async with supervise(["true"], strict=False) as run:
        await run.wait()
    before = open_fds()

    for _ in range(5):
        async with supervise(["true"], strict=False) as run:
            await run.wait()
        with pytest.raises(ValueError, match="mine"):
            async with supervise(["sleep", "1000"], strict=False):
                raise ValueError("mine")

    assert len(open_fds()) == len(before)
    assert not Path(f"/proc/{run.pid}").exists()
