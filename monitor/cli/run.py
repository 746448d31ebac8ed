"""
``seccomp-monitor run``: a program runs, and handlers decide its calls.

What it is not: the supervision; that is ``monitor.supervise``, used here as anybody would.

The exit status is the program's own (128 + signal when it was killed), or 124 when it ran out of
time, 125 for a failure of ours, 126 when the program was found and cannot be executed, 127 when
it was not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, NamedTuple

import click

from monitor.cli.loading import load_handlers
from monitor.cli.reporting import Reporter
from monitor.cli.running import TIMEOUT_HELP, environment, failed, minded_signals, run_to_status, watch, words_of
from monitor.notify.handler import Handler, no_opinion
from monitor.notify.verdict import Allow
from monitor.sources.launch import Launch
from monitor.supervisor import supervise


class Choices(NamedTuple):
    """What the options that concern the run itself say."""

    words: Sequence[str]
    names: Sequence[str]
    sources: Sequence[str]
    strict: bool
    seconds: float | None
    wait_all: bool
    denial_status: int
    """The exit status if any call was refused; 0: the program's own."""


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
def command(
    *,
    log: str | None,
    quiet: bool,
    fail_on_denial: bool,
    denial_status: int,
    **choices: Any,  # noqa: ANN401  # of Choices
) -> int:
    """Run CMD; Python handlers decide its system calls."""
    chosen = Choices(**choices, denial_status=denial_status if fail_on_denial else 0)
    try:
        reporter = Reporter(log=log, quiet=quiet)
    except OSError as error:
        return failed(str(error))
    with reporter:
        return run_to_status(partial(_run, chosen, reporter))


async def _run(choices: Choices, reporter: Reporter) -> int:
    """Return the exit status."""
    async with AsyncExitStack() as loaded:
        handlers = [handler for source in choices.sources for handler in await load_handlers(source, loaded)]
        if words := words_of(choices.names):
            handlers.append(Handler.of(words, no_opinion, name="-e"))
        # Before anything runs: a signal that comes meanwhile waits here until somebody can mind it.
        received = loaded.enter_context(minded_signals())
        async with supervise(
            Launch(choices.words, env=environment()),
            handlers=handlers,
            otherwise=Allow(racy="no policy"),
            events=reporter,
            strict=choices.strict,
        ) as run:
            status = await watch(run, received, seconds=choices.seconds, wait_all=choices.wait_all)
    refused = run.stats.denied + run.stats.killed
    return choices.denial_status if refused and choices.denial_status else status
