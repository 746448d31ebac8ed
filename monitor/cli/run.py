"""
``seccomp-monitor run``: a program runs, and handlers decide its calls.

What it is not: the supervision; that is ``monitor.supervise``, used here as anybody would.

The exit status is the program's own (128 + signal when it was killed), or 124 when it ran out of
time, 125 for a failure of ours, 126 when the program was found and cannot be executed, 127 when
it was not found.
"""

from __future__ import annotations

import math
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from errno import ENOENT, ENOTDIR
from time import monotonic
from typing import Any, Final, NamedTuple

import click
import trio

from monitor.cli import OUR_FAILURE
from monitor.cli.loading import HandlersNotLoaded, load_handlers
from monitor.cli.reporting import Reporter
from monitor.errors import HandlerError, LaunchError, LaunchStage, MonitorError
from monitor.notify.decode import Call
from monitor.notify.handler import Handler
from monitor.notify.verdict import Allow, Pass, Verdict
from monitor.run import ProcessRun
from monitor.supervisor import supervise

TIMED_OUT: Final = 124
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127

_INTERRUPTS: Final = 3
_INTERRUPT_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 5.0
"""What the program has between a SIGTERM or SIGHUP that was passed on and SIGKILL."""


TIMEOUT_HELP: Final = "End the whole run after so long (status 124)."


class Choices(NamedTuple):
    """What the options that concern the run itself say."""

    words: Sequence[str]
    names: Sequence[str]
    sources: Sequence[str]
    strict: bool
    seconds: float | None
    wait_all: bool


@click.command(
    "run",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.option("-e", "names", metavar="CALLS", multiple=True, help="Stop at these calls: names, %class, @group, !name.")
@click.option("--handlers", "sources", metavar="FILE", multiple=True, help="Python file or module with handlers.")
@click.option("--strict/--no-strict", default=False, help="Refuse every answer that the program could race.")
@click.option("--quiet", is_flag=True, help="Do not report refused calls.")
@click.option("--log", metavar="FILE", type=click.Path(dir_okay=False), help="Report to FILE, not to standard error.")
@click.option("--timeout", "seconds", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), help=TIMEOUT_HELP)
@click.option("--wait-all/--no-wait-all", default=False, help="Wait for the last process instead of the first.")
@click.option("--fail-on-denial", is_flag=True, help="Exit with the denial status if any call was refused.")
@click.option("--denial-status", type=click.IntRange(1, 255), default=1, show_default=True)
@click.argument("words", metavar="CMD [ARGS]...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(*, log: str | None, quiet: bool, fail_on_denial: bool, denial_status: int, **choices: Any) -> int:  # noqa: ANN401  # of Choices
    """Run CMD; Python handlers decide its system calls."""
    try:
        with Reporter(log=log, quiet=quiet) as reporter:
            status, denied = trio.run(_run, Choices(**choices), reporter)
    except HandlersNotLoaded as error:
        return _failed(str(error))
    except LaunchError as error:
        return _failed(str(error), _launch_status(error))
    except HandlerError as error:
        return _failed(f"{error}: {error.__cause__}")
    except (MonitorError, ValueError, OSError) as error:
        return _failed(str(error))
    return denial_status if denied and fail_on_denial else status


def _failed(message: str, status: int = OUR_FAILURE) -> int:
    click.echo(f"seccomp-monitor: {message}", err=True)
    return status


def _launch_status(error: LaunchError) -> int:
    if error.stage not in {LaunchStage.EXEC, LaunchStage.FIND}:
        return OUR_FAILURE
    # A script whose interpreter is missing was found, and cannot be executed.
    not_there = error.errno in {ENOENT, ENOTDIR} and not error.hint
    return NOT_FOUND if not_there else NOT_EXECUTABLE


def _words_of(names: Sequence[str]) -> tuple[str, ...]:
    """Split "-e openat,%network" as strace does, whose "trace=" may stand before it."""
    return tuple(word for name in names for word in name.removeprefix("trace=").split(",") if word)


def _no_opinion(_call: Call) -> Verdict:
    return Pass()


async def _run(choices: Choices, reporter: Reporter) -> tuple[int, int]:
    """Return the exit status, and how many calls were refused."""
    async with AsyncExitStack() as loaded:
        handlers = [handler for source in choices.sources for handler in await load_handlers(source, loaded)]
        if words := _words_of(choices.names):
            handlers.append(Handler.of(words, _no_opinion, name="-e"))
        # Before anything runs: a signal that comes meanwhile waits here until somebody can mind it.
        received = loaded.enter_context(_minded_signals())
        async with supervise(
            choices.words,
            handlers=handlers,
            otherwise=Allow(racy="no policy"),
            events=reporter,
            strict=choices.strict,
        ) as run:
            status = await _watch(run, received, choices)
    return status, run.stats.denied + run.stats.killed


async def _watch(run: ProcessRun, received: AsyncIterator[int], choices: Choices) -> int:
    """Wait for the end of the program, its time, or of our patience with signals."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_mind_signals, run, received, nursery.cancel_scope)
        with trio.move_on_after(math.inf if choices.seconds is None else choices.seconds) as patience:
            await run.wait()
            if choices.wait_all:
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


def _minded_signals() -> AbstractContextManager[AsyncIterator[int]]:
    """Receive what is minded below; what the user ignores (nohup) stays ignored, in the program too."""
    candidates = [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP]
    minded = [number for number in candidates if signal.getsignal(number) is not signal.SIG_IGN]
    for number in minded:  # what comes when the receiver has gone, just before the end, is too late
        signal.signal(number, signal.SIG_IGN)
    return trio.open_signal_receiver(*minded)


async def _mind_signals(run: ProcessRun, received: AsyncIterator[int], block: trio.CancelScope) -> None:
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
        elif number in {signal.SIGTERM, signal.SIGHUP}:
            run.send_signal(number)
            with trio.move_on_after(_GRACE_SECONDS):
                await run.wait()
            block.cancel()
