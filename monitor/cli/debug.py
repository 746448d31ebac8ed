"""
``seccomp-monitor debug``: a program runs, and stops at each call that its policy refuses or asks about.

What it is not: what is typed (``debugger``, a process of its own on the terminal), or the supervision.  With
``--connect`` it is that other process, for a run somewhere else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import trio

from monitor.approve.control import listening
from monitor.approve.wire import WireError
from monitor.cli.loading import load_handlers
from monitor.cli.prompting import mind_the_terminal, show, tell_of_grants
from monitor.cli.remembering import Remembered
from monitor.cli.reporting import Reporter
from monitor.cli.requests import History, add_breakpoint, commands_of
from monitor.cli.running import TIMEOUT_HELP, environment, failed, has_terminal, minded_signals, run_to_status, watch
from monitor.debugging import Breakpoints
from monitor.notify.handler import Handler, no_opinion
from monitor.policy.action import Allow
from monitor.policy.model import Policy
from monitor.sources.launch import Launch
from monitor.supervisor import supervise


class Choices(NamedTuple):
    """What the options say."""

    words: Sequence[str]
    policies: Sequence[str]
    definitions: Sequence[str]
    breaks: Sequence[str]
    sources: Sequence[str]
    control: str | None
    grants: str | None
    ask_seconds: float | None
    seconds: float | None

    def remembered(self) -> Remembered:
        """Return the file of answers that hold always."""
        assert self.grants is not None
        return Remembered.of(self.grants, self.definitions, observe=False)


@click.command(
    "debug",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.option("-p", "policies", metavar="POLICY", multiple=True, help="A policy: FILE.toml, a profile, or a preset.")
@click.option("-b", "breaks", metavar="'CALL [if EXPR]'", multiple=True, help="Stop at this call, too.")
@click.option("--handlers", "sources", metavar="FILE", multiple=True, help="Python file or module with handlers.")
@click.option("-D", "definitions", metavar="NAME=VALUE", multiple=True, help="Set a variable of the policy.")
@click.option("--control", metavar="SOCK", help="Ask over this socket, not on the terminal.")
@click.option("--connect", metavar="SOCK", help="Answer what another run asks over this socket.")
@click.option("--started", type=click.Choice(["debug", "run"]), hidden=True, help="By what: it asks as that does.")
@click.option("--grants", metavar="FILE", help="Where answers that hold always stand, and are written.")
@click.option("--ask-timeout", "ask_seconds", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True))
@click.option("--log", metavar="FILE", type=click.Path(dir_okay=False), help="Report to FILE, not to standard error.")
@click.option("--timeout", "seconds", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), help=TIMEOUT_HELP)
@click.argument("words", metavar="CMD [ARGS]...", nargs=-1, type=click.UNPROCESSED)
def command(*, connect: str | None, started: str | None, log: str | None, **given: Any) -> int:  # noqa: ANN401  # of Choices
    """Run CMD, and decide on the terminal what its policy refuses or asks."""
    choices = Choices(**given)
    if choices.grants is not None and not choices.policies:
        return failed("--grants answers what a policy asks: name one with -p")
    if connect is not None:
        if choices.words:
            return failed("--connect is for a run that is there: no CMD")
        return _answer_for(connect, started)
    if not choices.words:
        return failed("which program? debug [OPTIONS] -- CMD, or debug --connect SOCK")
    try:
        reporter = Reporter(log=log, quiet=log is None)
    except OSError as error:
        return failed(str(error))
    with reporter:
        return run_to_status(partial(_run, choices, reporter))


def _answer_for(path: str, started: str | None) -> int:
    """Be the debugger of another run, or only its prompt."""
    from monitor.cli.connection import Connection, Ended  # noqa: PLC0415  # what takes the terminal
    from monitor.cli.debugger import Debugger  # noqa: PLC0415
    from monitor.cli.prompt import Prompt  # noqa: PLC0415
    from monitor.cli.terminal import Terminal  # noqa: PLC0415

    try:
        connection = Connection(path)
        terminal = Terminal()
    except (OSError, WireError) as error:
        return failed(f"{path}: {error}")
    except Ended:
        return failed(f"{path}: nobody answers")
    asks = Prompt if started == "run" else Debugger
    asks(connection, terminal, started=started is not None).run()
    return 0


async def _run(choices: Choices, reporter: Reporter) -> int:
    """Return the exit status."""
    policy = _policy(choices)
    breakpoints, history = Breakpoints(), History()
    for text in choices.breaks:
        add_breakpoint(breakpoints, text)
    if choices.control is None and not has_terminal():
        return failed("there is no terminal to ask on: give --control SOCK, and answer with debug --connect SOCK")
    async with AsyncExitStack() as stack:
        handlers = [handler for source in choices.sources for handler in await load_handlers(source, stack)]
        path = choices.control
        if path is None:
            path = str(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seccomp-monitor-")), "control"))
        control = await stack.enter_async_context(listening(path, program=choices.words[0], patient=True))
        received = stack.enter_context(minded_signals())
        mind_the_terminal()
        async with (
            supervise(
                Launch(choices.words, env=environment()),
                policy=policy,
                handlers=[*handlers, Handler.of("all", no_opinion, name="debug")],
                strict=bool(choices.policies),
                notify_refusals=True,
                approver=control,
                ask_seconds=choices.ask_seconds,
                grants=None if choices.grants is None else choices.remembered().file,
                breakpoints=breakpoints,
                events=[reporter, tell_of_grants, history],
            ) as run,
            trio.open_nursery() as nursery,
        ):
            control.attend(run, commands_of(run, breakpoints, history, control.question))
            if choices.control is None:
                nursery.start_soon(show, path, control, "debug")
            status = await watch(run, received, seconds=choices.seconds, wait_all=False)
            control.close()
            nursery.cancel_scope.cancel()
    return status


def _policy(choices: Choices) -> Policy:
    """Return the policy; without one, what refuses nothing."""
    if not choices.policies:
        return Policy("debug", Allow())
    from monitor.cli.enforcing import load_for_run, surroundings_here  # noqa: PLC0415  # only who has a policy pays

    grants = None if choices.grants is None else choices.remembered()
    return load_for_run(
        choices.policies, surroundings_here(choices.definitions, None, None), quiet=False, grants=grants
    )
