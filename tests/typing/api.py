"""
What a user writes, for the type checkers: this file is checked and never run.

What it is not: a test of behaviour.  A line that should be wrong carries the ignore that both
checkers need, so that it turns red when it becomes right.
"""

from __future__ import annotations

import errno
import functools
import os
import subprocess
from typing import assert_never, assert_type

import trio

import monitor
from monitor import testing


@monitor.handles("openat", "%network", "!connect")
def inline(call: monitor.Call) -> monitor.Verdict:
    assert_type(call.name, str)
    assert_type(call.arch, monitor.Arch | None)
    assert_type(call.tid, int)
    assert_type(call.args.flags, int)
    assert_type(call.args["from"], int)
    assert_type(call.args[0], int)
    assert_type(call.args.get("mode"), int | None)
    assert_type(call.read("pathname"), bytes)
    assert_type(call.read_strings("argv"), list[bytes])
    assert_type(call.target, monitor.Target)
    assert_type(call.render(monitor.Look(string_limit=80, fd_paths=True)), monitor.Rendered)
    assert_type(call.render().strings["pathname"], bytes)
    return monitor.Allow() if call.args.flags else monitor.Deny(errno.EACCES)


@monitor.handles("execve", answer_seconds=2.5, name="ask")
async def waiting(call: monitor.Call) -> monitor.Verdict:
    await trio.sleep(1)
    return monitor.Pass()


def with_parameter(word: bytes, call: monitor.Call) -> monitor.Verdict:
    return monitor.Kill() if call.read("pathname") == word else monitor.Pass()


class Stateful:
    @monitor.handles("close")
    def method(self, call: monitor.Call) -> monitor.Verdict:
        return monitor.Return(call.args.fd)

    @monitor.handles("socket")
    async def asynchronous(self, call: monitor.Call) -> monitor.Verdict:
        return monitor.InjectFd(os.open("/dev/null", os.O_RDONLY), close_on_exec=True, at=call.args[0])


def every_verdict(verdict: monitor.Verdict) -> str:
    match verdict:
        case monitor.Allow(racy):
            return racy or ""
        case monitor.Deny(number) | monitor.Return(number):
            return str(number)
        case monitor.InjectFd(fd):
            return str(fd)
        case monitor.Kill(signal):
            return signal.name
        case monitor.Pass() | monitor.Emulate():
            return ""
        case _:
            assert_never(verdict)


def every_event(event: monitor.Event) -> float:  # noqa: C901, PLR0911  # one for each kind of event
    match event:
        case monitor.CallAnswered(verdict=verdict, latency_seconds=latency):
            every_verdict(verdict)
            return latency
        case (
            monitor.TargetStarted(pid=number)
            | monitor.TargetExited(pid=number)
            | monitor.ContainerStarted(pid=number)
            | monitor.ContainerEnded(received=number)
        ):
            return number
        case monitor.HandlerFailed(error=error):
            raise error
        case monitor.RacyAllow(tid=tid):
            return tid
        case monitor.SlowHandler(seconds=seconds):
            return seconds
        case monitor.OutOfFds(times=times):
            return times
        case monitor.GrantWritten(difference=difference):
            return len(difference)
        case monitor.SupervisionFailed(error=error) | monitor.GrantFailed(error=error):
            raise error
        case monitor.PolicyReplaced(calls=calls):
            return len(calls)
        case monitor.Dropped(count=count):
            return count
        case _:
            assert_never(event)


async def launches() -> None:
    handlers = [inline, waiting, Stateful().method, Stateful().asynchronous]
    async with monitor.supervise(["make", b"test"], handlers=handlers) as run:
        assert_type(run, monitor.ProcessRun)
        assert_type(await run.wait(), int)
        assert_type(run.returncode, int | None)
        assert_type(run.stats, monitor.Stats)
        async for event in run.events(capacity=10):
            every_event(event)
    with monitor.JsonLines(b"/tmp/events", container="web", look=monitor.Look()) as lines:
        async with monitor.supervise(["true"], handlers=handlers, events=[lines, print]):
            assert_type(lines.dropped, int)
            assert_type(lines.failure, OSError | None)
    async with monitor.supervise(["true"], handlers=handlers, events=monitor.JsonLines.to_fd(3, capacity=1 << 16)):
        assert_type(monitor.JsonLines.to_socket("@name", tell=print), monitor.JsonLines)
    program = monitor.Launch(
        ["cat"],
        env={"PATH": "/bin"},
        cwd="/",
        stdin=subprocess.PIPE,
        fds={3: 4},
        uid=65534,
        gid=65534,
        namespaces={"user", "net"},
    )
    async with monitor.supervise(program, otherwise=monitor.Allow(), leave_running=True, events=print) as run:
        await run.stdin.send_all(b"")
        run.kill()


async def listens(owned_fd: int) -> None:
    bound = monitor.Handler.of("openat", functools.partial(with_parameter, b"/etc/shadow"), answer_seconds=1.0)
    with monitor.Listener.from_fd(owned_fd) as listener:
        async with monitor.supervise(listener, handlers=[bound], on_leave="kill", handler_errors="raise") as run:
            assert_type(run, monitor.Run)
            await run.wait_all()


async def tests_handlers() -> None:
    call = testing.call("openat", pathname=b"/etc/passwd", flags=os.O_RDONLY)
    assert_type(call, monitor.Call)
    assert_type(await testing.decide([inline], call), monitor.Verdict)
    assert_type(await testing.decide(waiting, call), monitor.Verdict)


def mistakes(listener: monitor.Listener) -> None:
    monitor.Deny("EACCES")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    monitor.InjectFd(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    monitor.supervise(listener, grace_seconds=1.0)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    monitor.supervise(["true"], on_leave="kill")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    monitor.supervise(["true"], handlers=[len])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
