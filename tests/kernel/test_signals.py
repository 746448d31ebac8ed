"""Signals to a thread that waits for its answer (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19)."""

from __future__ import annotations

import os
import signal
import subprocess
from errno import EINTR
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor._native import NO_TASK_LEFT, NOTHING_QUEUED

_ID, _TID = 0, 1


def pending(tid: int, number: int) -> bool:
    """Whether a signal to the thread or its process has not been delivered (proc_pid_status(5))."""
    lines = Path(f"/proc/{tid}/status").read_text().splitlines()
    return any(int(line.split()[1], 16) >> (number - 1) & 1 for line in lines if line.startswith(("SigPnd", "ShdPnd")))


def state(tid: int) -> str:
    """Return the thread's state, a letter (proc_pid_stat(5))."""
    return Path(f"/proc/{tid}/stat").read_text().rpartition(") ")[2][0]


async def until(happened: Any) -> None:
    """Wait until *happened*; the time limit of the test ends it."""
    while not happened():  # nothing tells of what /proc shows
        await trio.sleep(0.001)


async def rest_of(started: Any) -> bytes:
    """Return what the target still writes."""
    return b"".join([chunk async for chunk in started.process.streams[1]])


@pytest.mark.parametrize("kind", ["plain", "restart"])
async def test_a_signal_handler_waits_for_the_answer(launched: Any, received: Any, compiled: Any, kind: str) -> None:
    """
    A signal with a handler comes after the call was received, and before it is answered.

    Without the flag the call would fail with EINTR, or be made again under a new id, and what was
    done for the first would be done twice.
    """
    async with launched([compiled("k_signal"), kind], "getppid") as started:
        assert started.listener.wait_killable
        notification = await received(started.listener)
        started.process.send_signal(signal.SIGUSR1)
        await trio.sleep(0.02)

        assert started.listener.is_valid(notification[_ID])
        assert pending(notification[_TID], signal.SIGUSR1)
        started.listener.respond(notification[_ID], 7)
        assert await rest_of(started) == b"h7"


async def test_sigkill_works_at_once_and_the_answer_finds_nobody(launched: Any, received: Any, compiled: Any) -> None:
    async with launched([compiled("k_signal"), "plain"], "getppid") as started:
        notification = await received(started.listener)
        started.process.send_signal(signal.SIGKILL)
        await started.process.exited.wait()

        assert started.process.status == 128 + signal.SIGKILL
        assert not started.listener.is_valid(notification[_ID])
        with pytest.raises(monitor.TargetGone):
            started.listener.respond(notification[_ID], 7)
        with pytest.raises(monitor.TargetGone):
            started.listener.add_fd(notification[_ID], 1, close_on_exec=True)
        with pytest.raises(monitor.TargetGone):
            started.listener.kill(notification[_ID], notification[_TID], signal.SIGTERM)


async def test_sigstop_stops_the_target_only_after_the_answer(launched: Any, received: Any, compiled: Any) -> None:
    async with launched([compiled("k_signal"), "plain", "2"], "getppid") as started:
        notification = await received(started.listener)
        started.process.send_signal(signal.SIGSTOP)
        await trio.sleep(0.02)
        assert state(notification[_TID]) != "T"
        assert started.listener.is_valid(notification[_ID])

        started.listener.respond(notification[_ID], 7)
        await until(lambda: state(notification[_TID]) == "T")
        assert started.listener.receive() == NOTHING_QUEUED

        started.process.send_signal(signal.SIGCONT)
        started.listener.respond((await received(started.listener))[_ID], 8)
        assert await rest_of(started) == b"15"


async def test_a_signal_before_the_receive_is_eintr_and_the_call_never_ran(launched: Any, compiled: Any) -> None:
    """The window before the receive stays open: the call fails, its notification evaporates."""
    async with launched([compiled("k_signal"), "plain"], "getppid") as started:
        await started.listener.wait()
        started.process.send_signal(signal.SIGUSR1)

        assert await rest_of(started) == b"h%d" % -EINTR
        await started.process.exited.wait()
        assert started.listener.receive() == NO_TASK_LEFT


async def test_a_signal_before_the_receive_with_sa_restart_asks_again_under_a_new_id(
    launched: Any, received: Any, compiled: Any
) -> None:
    async with launched([compiled("k_signal"), "restart"], "getppid") as started:
        await started.listener.wait()
        started.process.send_signal(signal.SIGUSR1)
        assert await started.process.streams[1].receive_some() == b"h"

        started.listener.respond((await received(started.listener))[_ID], 9)
        assert await rest_of(started) == b"9"


async def test_stop_and_continue_before_the_receive_is_one_call_answered_once(run_target: Any, compiled: Any) -> None:
    """Suspended and resumed while it is queued, a call is announced again; handlers see one call."""
    numbers: list[int] = []

    @monitor.handles("getppid")
    def answer(call: monitor.Call) -> monitor.Verdict:
        numbers.append(call.registers[1])
        os.kill(call.tid, signal.SIGSTOP)
        os.kill(call.tid, signal.SIGCONT)
        return monitor.Return(1)

    done = await run_target([compiled("k_signal"), "plain", "50"], [answer])

    assert (done.status, done.output) == (0, b"50")
    assert numbers == list(range(50, 0, -1))


@pytest.mark.parametrize("kind", ["plain timer", "restart timer"])
async def test_a_timer_faster_than_the_answers_does_not_keep_the_target_from_going_on(
    run_target: Any, compiled: Any, kind: str
) -> None:
    """
    A signal comes each millisecond, an answer takes three.

    Without the flag each signal takes the call away, it is made again, and no answer ever arrives.
    """

    @monitor.handles("getppid")
    async def answer(_call: monitor.Call) -> monitor.Verdict:
        await trio.sleep(0.003)
        return monitor.Return(1)

    done = await run_target([compiled("k_signal"), kind, "40"], [answer])

    assert done.status == 0
    assert done.run.stats.gone == 0
    if kind == "restart timer":
        assert (done.output, done.run.stats.returned) == (b"40", 40)


async def test_a_signal_to_the_supervisor_is_never_fatal(run_target: Any, compiled: Any) -> None:
    """
    Signals with Python handlers come to the supervisor itself all the time.

    A receive or a send that they interrupt is looked at again: EINTR is never fatal.
    """
    ticks: list[int] = []

    @monitor.handles("getppid")
    def answer(call: monitor.Call) -> monitor.Verdict:
        assert call.target.read_string(call.registers[0]) == b"a string"
        return monitor.Return(call.registers[1])

    before = signal.signal(signal.SIGPROF, lambda number, _frame: ticks.append(number))
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    try:
        done = await run_target([compiled("k_storm"), "4000"], [answer])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)

    assert (done.status, done.run.stats.returned) == (0, 4000)
    assert ticks


async def test_a_storm_of_signals_before_the_receive_ends_nothing(run_target: Any, compiled: Any) -> None:
    """
    Calls are taken away by signals while they are queued, in between two answers of a busy loop.

    Some evaporate between the poll and the receive (ENOENT), which is normal.
    """

    @monitor.handles("getppid")
    def answer(call: monitor.Call) -> monitor.Verdict:
        os.kill(call.tid, signal.SIGUSR1)
        return monitor.Return(1)

    done = await run_target([compiled("k_signal"), "restart", "500"], [answer])

    assert done.status == 0
    assert done.output.replace(b"h", b"") == b"500"


async def test_a_signal_to_the_supervisor_while_it_injects_an_fd_changes_nothing(
    run_target: Any, compiled: Any
) -> None:
    """
    The injection sleeps until the target has run and taken the fd; a signal comes to us meanwhile.

    The kernel then takes the fd back, and lets the target go on as if it had been answered with 0:
    an open(2) that seems to have succeeded, as standard input.
    """
    ticks: list[int] = []

    @monitor.handles("getppid")
    def answer(_call: monitor.Call) -> monitor.Verdict:
        return monitor.InjectFd(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), close_on_exec=True, at=9)

    before = signal.signal(signal.SIGUSR2, lambda number, _frame: ticks.append(number))
    command = ["sh", "-c", "while kill -USR2 $0; do :; done", str(os.getpid())]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as pest:
        try:
            done = await run_target([compiled("k_values"), "5000"], [answer])
        finally:
            pest.kill()
    signal.signal(signal.SIGUSR2, before)

    assert (done.status, set(done.output.split())) == (0, {b"9"})
    assert len(ticks) > 10
