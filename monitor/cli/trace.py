"""
``seccomp-monitor trace``: a program runs as it would, and its calls are written down.

What it is not: a decision about any call.  The filter stops at the calls that were asked for, at
no other; each is looked at and runs on in the kernel, whose result is therefore not known: ``= ?``.

The exit status is the program's own, as with ``run``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from monitor.abi import groups
from monitor.abi.arch import Arch
from monitor.cli.reporting import tell
from monitor.cli.running import (
    LINGER_SECONDS,
    TIMEOUT_HELP,
    environment,
    failed,
    minded_signals,
    run_to_status,
    watch,
    words_of,
)
from monitor.errors import PolicyError
from monitor.events.jsonl import TracedJson
from monitor.events.output import Output
from monitor.events.strace import Clock, StraceLines
from monitor.events.summary import Summary
from monitor.notify.handler import Handler, no_opinion
from monitor.notify.look import STRING_LIMIT, Look
from monitor.notify.verdict import Allow
from monitor.sources.launch import Launch
from monitor.supervisor import supervise

if TYPE_CHECKING:
    from monitor.events.hub import Sink

_CAP_SYS_ADMIN: Final = 21
"""include/uapi/linux/capability.h."""

_CLOCKS: Final = (Clock.NONE, Clock.SECONDS, Clock.MICROSECONDS, Clock.EPOCH)
"""What so many ``-t`` mean."""


class Choices(NamedTuple):
    """What the options say."""

    words: Sequence[str]
    names: Sequence[str]
    output: str | None
    as_json: bool
    summary: bool
    summary_too: bool
    clock: int
    relative: bool
    string_limit: int
    fd_paths: bool
    seconds: float | None
    wait_all: bool


@click.command(
    "trace",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.option("-e", "names", metavar="CALLS", multiple=True, help="Only these calls: names, %class, @group, !name.")
@click.option("-f", "follow", is_flag=True, help="Follow children, as is always done.")
@click.option("-o", "output", metavar="FILE", type=click.Path(dir_okay=False), help="Write to FILE, not to stderr.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON Lines.")
@click.option("-c", "summary", is_flag=True, help="Write no calls but a table of them in the end.")
@click.option("-C", "summary_too", is_flag=True, help="Write both.")
@click.option("-t", "clock", count=True, help="The time of day; -tt with microseconds, -ttt since 1970.")
@click.option("-r", "relative", is_flag=True, help="The time since the call before.")
@click.option(
    "-s", "string_limit", metavar="N", default=STRING_LIMIT, show_default=True, help="Cut strings at N bytes."
)
@click.option("-y", "fd_paths", is_flag=True, help="Show what descriptors are open on.")
@click.option("--timeout", "seconds", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), help=TIMEOUT_HELP)
@click.option("--wait-all/--no-wait-all", default=True, help="Wait for the last process, or for the first.")
@click.argument("words", metavar="CMD [ARGS]...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(*, follow: bool, **given: Any) -> int:  # noqa: ANN401, ARG001  # of Choices; -f says nothing new
    """Print the system calls of CMD in the look of strace."""
    choices = Choices(**given)
    inherited = _inheritable_fds()
    with ExitStack() as opened:
        try:
            traced = _traced(choices.names)
            look = Look(choices.string_limit, choices.fd_paths)
            output = Output.standard_error() if choices.output is None else Output.to_file(choices.output, tell)
            opened.enter_context(output)
        except (OSError, ValueError, PolicyError) as error:
            return failed(str(error))
        summary = Summary() if choices.summary or choices.summary_too else None
        sinks: list[Sink] = [] if summary is None else [summary]
        if not choices.summary or choices.summary_too:
            sinks.append(_writer(choices, output, look, launch_shown=_shows_launch(traced)))
        launch = partial(_launch, choices.words, inherited)
        status = run_to_status(partial(_run, choices, launch, traced, sinks))
        for line in () if summary is None else summary.lines():
            output.write_line(line)
    return status


def _writer(choices: Choices, output: Output, look: Look, *, launch_shown: bool) -> Sink:
    if choices.as_json:
        return TracedJson(output, look)
    clock = Clock.RELATIVE if choices.relative else _CLOCKS[min(choices.clock, len(_CLOCKS) - 1)]
    return StraceLines(output, look=look, clock=clock, names=choices.output is None, launch_shown=launch_shown)


def _traced(names: Sequence[str]) -> tuple[str, ...]:
    """Return the words of ``-e``; no word at all, or only such as take away, start from all calls."""
    words = words_of(names)
    if all(word.startswith("!") for word in words):
        words = ("all", *words)
    groups.expand(words, Arch.native())  # what no table knows is said before anything is opened
    return words


def _shows_launch(words: Sequence[str]) -> bool:
    return "execve" in groups.expand(words, Arch.native())


def _inheritable_fds() -> Sequence[int]:
    """Return the descriptors beyond 2 that a shell has opened for the program: none of ours is inheritable."""
    numbers = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    return [number for number in numbers if number > 2 and _is_inheritable(number)]  # noqa: PLR2004


def _is_inheritable(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:  # that of the listing itself
        return False


def _launch(words: Sequence[str], inherited: Sequence[int]) -> Launch:
    """Return *words* as they would run by themselves, as far as we have the rights for it."""
    return Launch(
        words,
        env=environment(),
        fds={number: number for number in inherited},
        no_new_privs=not _may_filter_privileged(),
        other_abis=True,
    )


def _may_filter_privileged() -> bool:
    """Whether we have CAP_SYS_ADMIN, with which a filter needs no no_new_privs (seccomp(2))."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_SYS_ADMIN & 1)


async def _run(choices: Choices, launch: Callable[[], Launch], traced: Sequence[str], sinks: Sequence[Sink]) -> int:
    """Return the exit status."""
    with minded_signals() as received:
        async with supervise(
            launch(),
            handlers=[Handler.of(traced, no_opinion, name="-e")],
            otherwise=Allow(racy="only observed"),
            events=sinks,
            strict=False,
            linger_seconds=LINGER_SECONDS,
        ) as run:
            return await watch(run, received, seconds=choices.seconds, wait_all=choices.wait_all)
