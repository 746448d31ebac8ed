"""
What the verbs that run a program have in common: its end, its time, our signals, our failures.

What it is not: a verb.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from errno import ENOENT, ENOTDIR
from pathlib import Path
from time import monotonic
from typing import Final

import click
import trio

from monitor.cli import OUR_FAILURE
from monitor.cli.loading import HandlersNotLoaded
from monitor.errors import HandlerError, LaunchError, LaunchStage, MonitorError
from monitor.run import ProcessRun
from monitor.sources.launch import DENIALS_VARIABLE

TIMED_OUT: Final = 124
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127

TIMEOUT_HELP: Final = "End the whole run after so long (status 124)."

LINGER_SECONDS: Final = 0.005
"""Nothing else happens in such a process but signals and the end of the program, which can wait so long."""

_INTERRUPTS: Final = 3
_INTERRUPT_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 5.0
"""What the program has between a SIGTERM or SIGHUP that was passed on and SIGKILL."""


def words_of(names: Sequence[str]) -> tuple[str, ...]:
    """Split "-e openat,%network" as strace does, whose "trace=" may stand before it."""
    return tuple(word for name in names for word in name.removeprefix("trace=").split(",") if word)


def environment() -> Mapping[bytes, bytes]:
    """
    Return the environment that a program is to have: ours, as we were given it.

    Python itself adds LC_CTYPE where the locale is C (PEP 538); the kernel remembers what was
    there at the start (proc_pid_environ(5)).
    """
    current = dict(os.environb)
    current.pop(DENIALS_VARIABLE, None)  # of who supervises us: the descriptor that it names is not passed on
    with contextlib.suppress(OSError):
        at_first = Path("/proc/self/environ").read_bytes().split(b"\0")
        if not any(variable.startswith(b"LC_CTYPE=") for variable in at_first):
            current.pop(b"LC_CTYPE", None)
    return current


def run_to_status(function: Callable[[], Awaitable[int]]) -> int:
    """Run *function* in trio; its exit status, or that of a failure, which is told."""
    try:
        return trio.run(function)
    except HandlersNotLoaded as error:
        return failed(str(error))
    except LaunchError as error:
        return failed(str(error), _launch_status(error))
    except HandlerError as error:
        return failed(f"{error}: {error.__cause__}")
    except (MonitorError, ValueError, OSError) as error:
        return failed(str(error))


def failed(message: str, status: int = OUR_FAILURE) -> int:
    """Say what failed; the exit status of it."""
    click.echo(f"seccomp-monitor: {message}", err=True)
    return status


def _launch_status(error: LaunchError) -> int:
    if error.stage not in {LaunchStage.EXEC, LaunchStage.FIND}:
        return OUR_FAILURE
    # A script whose interpreter is missing was found, and cannot be executed.
    not_there = error.errno in {ENOENT, ENOTDIR} and not error.hint
    return NOT_FOUND if not_there else NOT_EXECUTABLE


def has_terminal() -> bool:
    """Whether we have a controlling terminal, whose hangup is not for us to reinterpret."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


async def watch(
    run: ProcessRun,
    received: AsyncIterator[int],
    *,
    seconds: float | None,
    wait_all: bool,
    hangups: trio.MemorySendChannel[None] | None = None,
) -> int:
    """
    Wait for the end of the program, its time, or of our patience with signals; the exit status.

    A SIGHUP goes to *hangups*, if there are any, and else to the program.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_mind_signals, run, received, nursery.cancel_scope, hangups)
        with trio.move_on_after(math.inf if seconds is None else seconds) as patience:
            await run.wait()
            if wait_all:
                await run.wait_all()
        nursery.cancel_scope.cancel()
    if patience.cancelled_caught:
        run.send_signal(signal.SIGTERM)
        with trio.move_on_after(1):
            await run.wait()
        return TIMED_OUT
    if run.returncode is None:  # a signal of ours ended it
        run.kill()
        await run.wait()
    assert run.returncode is not None
    return run.returncode


def minded_signals() -> AbstractContextManager[AsyncIterator[int]]:
    """Receive what is minded below; what the user ignores (nohup) stays ignored, in the program too."""
    candidates = [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP]
    minded = [number for number in candidates if signal.getsignal(number) is not signal.SIG_IGN]
    for number in minded:  # what comes when the receiver has gone, just before the end, is too late
        signal.signal(number, signal.SIG_IGN)
    return trio.open_signal_receiver(*minded)


async def _mind_signals(
    run: ProcessRun,
    received: AsyncIterator[int],
    block: trio.CancelScope,
    hangups: trio.MemorySendChannel[None] | None,
) -> None:
    """
    Leave SIGINT and SIGQUIT to the program, which has them from the terminal too.

    A third ^C within two seconds ends the tree.  SIGTERM and SIGHUP are passed on, and then the
    tree is ended.
    """
    interrupts: list[float] = []
    async for number in received:
        if number == signal.SIGINT:
            now = monotonic()
            interrupts = [*(then for then in interrupts if now - then < _INTERRUPT_SECONDS), now]
            if len(interrupts) >= _INTERRUPTS:
                block.cancel()
        elif number == signal.SIGHUP and hangups is not None:
            with contextlib.suppress(trio.WouldBlock):  # one is asked for already
                hangups.send_nowait(None)
        elif number in {signal.SIGTERM, signal.SIGHUP}:
            run.send_signal(number)
            with trio.move_on_after(_GRACE_SECONDS):
                await run.wait()
            block.cancel()
