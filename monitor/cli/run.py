"""
``seccomp-monitor run``: a program runs, and policies and handlers decide its calls.

What it is not: the supervision; that is ``monitor.supervise``, used here as anybody would.

The exit status is the program's own (128 + signal when it was killed), or 124 when it ran out of
time, 125 for a failure of ours, 126 when the program was found and cannot be executed, 127 when
it was not found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import click
import trio

from monitor.cli.loading import load_handlers
from monitor.cli.reporting import Reporter
from monitor.cli.running import (
    LINGER_SECONDS,
    TIMEOUT_HELP,
    environment,
    failed,
    has_terminal,
    minded_signals,
    run_to_status,
    watch,
    words_of,
)
from monitor.notify.handler import Handler, no_opinion
from monitor.notify.verdict import Allow
from monitor.run import ProcessRun
from monitor.sources.launch import Launch
from monitor.supervisor import supervise

if TYPE_CHECKING:
    from monitor.approve.control import ControlSocket
    from monitor.cli.enforcing import Refusals
    from monitor.cli.policies import Surroundings
    from monitor.cli.prompting import Prompt
    from monitor.cli.remembering import Remembered
    from monitor.events.jsonl import JsonLines
    from monitor.events.record import Event
    from monitor.policy.model import Policy

    Reading: TypeAlias = Callable[[ProcessRun, trio.MemoryReceiveChannel[None]], Awaitable[None]]


EVENTS_HELP: Final = "Write each event as JSON to DEST, for programs: FILE, fd:N, unix:PATH or unix:@NAME."

DENIALS_HELP: Final = (
    "Let the program read, as JSON from the descriptor SECCOMP_MONITOR_DENIALS, why its calls are refused."
)

CONTROL_HELP: Final = "Ask over this socket, not on the terminal: debug --connect SOCK answers."

RELOAD_HELP: Final = "Read changed policies again also where the program could have written them."

FAIL_HELP: Final = (
    "Exit with the denial status if any call was refused. What a policy refuses comes to us then, which is slower; "
    "ENOSYS, trap and kill-thread do not count."
)


class Choices(NamedTuple):
    """What the options that concern the run itself say."""

    words: Sequence[str]
    names: Sequence[str]
    sources: Sequence[str]
    policies: Sequence[str]
    definitions: Sequence[str]
    caps: str | None
    kernel: str | None
    grants: str | None
    control: str | None
    ask_seconds: float | None
    ask: bool
    reload: bool
    observe: bool
    strict: bool | None
    seconds: float | None
    wait_all: bool
    quiet: bool
    denials: bool
    """Whether the program is told why its calls were refused."""
    denial_status: int
    """The exit status if any call was refused; 0: the program's own."""
    events: JsonLines | None
    """Where every event goes, for programs."""

    def surroundings(self) -> Surroundings:
        """Return what the policies may depend on."""
        from monitor.cli.enforcing import surroundings_here  # noqa: PLC0415  # only who has a policy pays for it

        return surroundings_here(self.definitions, self.caps, self.kernel)

    def policy(self) -> Policy | None:
        """Return the policy, read with everything it includes."""
        if not self.policies:
            return None
        from monitor.cli.enforcing import load_for_run, tell_unserved  # noqa: PLC0415  # likewise

        policy = load_for_run(self.policies, self.surroundings(), quiet=self.quiet, grants=self.remembered())
        if not self.quiet and not self.observe:
            tell_unserved(policy)
        return policy

    def reading(self, policy: Policy) -> Reading:
        """Return what reads *policy* again when its files are no more as they are now: to be called before it runs."""
        from monitor.cli.enforcing import reload_when_changed, stamps_of  # noqa: PLC0415  # likewise

        return partial(
            reload_when_changed,
            words=self.policies,
            surroundings=self.surroundings(),
            grants=self.remembered(),
            seen=stamps_of(policy),
            observe=self.observe,
            reload=self.reload,
        )

    def remembered(self) -> Remembered | None:
        """Return the file of answers that were given before."""
        if self.grants is None:
            return None
        from monitor.cli.remembering import Remembered  # noqa: PLC0415  # likewise

        return Remembered.of(self.grants, self.definitions, observe=self.observe)

    def trouble(self) -> str:
        """Return what of it makes no sense together; empty: nothing."""
        if self.control is not None and not self.ask:
            return "--control asks, and --no-ask does not: one of them"
        if self.ask_seconds is not None and not self.ask:
            return "--ask-timeout is about who is asked, and --no-ask asks nobody"
        alone = {
            "--observe says what a policy would refuse": self.observe,
            "--reload is about policies": self.reload,
            "--grants answers what a policy asks": self.grants is not None,
            "--control asks what a policy asks": self.control is not None,
            "--ask-timeout is about what a policy asks": self.ask_seconds is not None,
            "--no-ask is about what a policy asks": not self.ask,
        }
        given = [text for text, is_given in alone.items() if is_given]
        return "" if self.policies or not given else f"{given[0]}: name one with -p"

    async def approver(self, policy: Policy | None, loaded: AsyncExitStack) -> ControlSocket | Prompt | None:
        """Return who is asked what *policy* asks: over the socket, or on the terminal, if there is one."""
        if policy is None or self.observe or not self.ask:
            return None
        if self.control is not None:
            from monitor.approve.control import listening  # noqa: PLC0415  # likewise

            # Who sets a time waits so long for somebody to come.
            listens = listening(self.control, program=self.words[0], patient=self.ask_seconds is not None)
            return await loaded.enter_async_context(listens)
        if not has_terminal():
            return None
        from monitor.cli.prompting import prompting  # noqa: PLC0415  # likewise

        return await loaded.enter_async_context(prompting(self.words[0]))

    def refusals(self, policy: Policy | None) -> Refusals | None:
        """Return what counts the refused calls, if that matters."""
        if not self.denial_status:
            return None
        from monitor.cli.enforcing import Refusals, tell_uncounted  # noqa: PLC0415  # likewise

        if policy is not None and not self.quiet:
            tell_uncounted(policy)
        return Refusals()

    def is_strict(self) -> bool:
        """Whether answers that can be raced are refused: by default under a policy that is enforced."""
        return self.strict if self.strict is not None else bool(self.policies) and not self.observe


@click.command(
    "run",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.option("-p", "policies", metavar="POLICY", multiple=True, help="A policy: FILE.toml, a profile, or a preset.")
@click.option("-e", "names", metavar="CALLS", multiple=True, help="Stop at these calls: names, %class, @group, !name.")
@click.option("--handlers", "sources", metavar="FILE", multiple=True, help="Python file or module with handlers.")
@click.option("--observe", is_flag=True, help="Refuse nothing: report what the policy would.")
@click.option("--grants", metavar="FILE", help="Answers that were given before to what the policy asks.")
@click.option("--control", metavar="SOCK", help=CONTROL_HELP)
@click.option("--ask-timeout", "ask_seconds", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True))
@click.option("--ask/--no-ask", default=True, help="Ask on the terminal what the policy asks; without it, deny it.")
@click.option("-D", "definitions", metavar="NAME=VALUE", multiple=True, help="Set a variable of the policy.")
@click.option("--reload", is_flag=True, help=RELOAD_HELP)
@click.option("--caps", metavar="LIST", help="The capabilities that a Docker profile shall assume; Docker's 14.")
@click.option("--kernel", metavar="VERSION", help="The kernel that a Docker profile shall assume; this one.")
@click.option("--strict/--no-strict", default=None, help="Refuse every answer that the program could race.")
@click.option("--quiet", is_flag=True, help="Do not report refused calls.")
@click.option("--log", metavar="FILE", type=click.Path(dir_okay=False), help="Report to FILE, not to standard error.")
@click.option("--events", "destination", metavar="DEST", help=EVENTS_HELP)
@click.option("--denials", is_flag=True, help=DENIALS_HELP)
@click.option("--timeout", "seconds", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), help=TIMEOUT_HELP)
@click.option("--wait-all/--no-wait-all", default=False, help="Wait for the last process instead of the first.")
@click.option("--fail-on-denial", is_flag=True, help=FAIL_HELP)
@click.option("--denial-status", type=click.IntRange(1, 255), default=1, show_default=True)
@click.argument("words", metavar="CMD [ARGS]...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    *,
    log: str | None,
    quiet: bool,
    fail_on_denial: bool,
    denial_status: int,
    destination: str | None,
    **choices: Any,  # noqa: ANN401  # of Choices
) -> int:
    """Run CMD; policies and Python handlers decide its system calls."""
    status = denial_status if fail_on_denial else 0
    try:
        events = None if destination is None else _events_to(destination)
        reporter = Reporter(log=log, quiet=quiet)
    except OSError as error:
        return failed(str(error))
    chosen = Choices(**choices, quiet=quiet, denial_status=status, events=events)
    with reporter:
        if trouble := chosen.trouble():
            return failed(trouble)
        return run_to_status(partial(_run, chosen, reporter))


def _events_to(destination: str) -> JsonLines:
    from monitor.cli.destinations import events_to  # noqa: PLC0415  # only who wants events pays for it

    return events_to(destination)


async def _run(choices: Choices, reporter: Reporter) -> int:
    """Return the exit status."""
    async with AsyncExitStack() as loaded:
        policy = choices.policy()
        reading = None if policy is None else choices.reading(policy)
        handlers = [handler for source in choices.sources for handler in await load_handlers(source, loaded)]
        if words := words_of(choices.names):
            handlers.append(Handler.of(words, no_opinion, name="-e"))
        refusals, remembered = choices.refusals(policy), choices.remembered()
        approver = await choices.approver(policy, loaded)
        sinks = [reporter, refusals, choices.events, None if approver is None else _tell_of_grants]
        # Before anything runs: a signal that comes meanwhile waits here until somebody can mind it.
        received = loaded.enter_context(minded_signals())
        async with (
            supervise(
                Launch(choices.words, env=environment(), denials=choices.denials),
                policy=policy,
                observe=choices.observe,
                notify_refusals=bool(choices.denial_status or choices.events),
                handlers=handlers,
                otherwise=Allow(racy="no policy"),
                approver=approver,
                ask_seconds=choices.ask_seconds,
                grants=None if approver is None or remembered is None else remembered.file,
                events=[sink for sink in sinks if sink is not None],
                strict=choices.is_strict(),
                linger_seconds=LINGER_SECONDS,
            ) as run,
            trio.open_nursery() as nursery,
        ):
            if approver is not None:
                approver.attend(run)
            hangups = None if reading is None else _keep_reading(nursery, run, reading)
            status = await watch(run, received, seconds=choices.seconds, wait_all=choices.wait_all, hangups=hangups)
            if approver is not None:
                approver.close()
            nursery.cancel_scope.cancel()
    return choices.denial_status if refusals is not None and refusals.count else status


def _tell_of_grants(event: Event) -> None:
    from monitor.cli.prompting import tell_of_grants  # noqa: PLC0415  # likewise

    tell_of_grants(event)


def _keep_reading(nursery: trio.Nursery, run: ProcessRun, reading: Reading) -> trio.MemorySendChannel[None] | None:
    """Read the policies again when they change; return where a hangup asks for it, if it does."""
    send, receive = trio.open_memory_channel[None](1)
    nursery.start_soon(reading, run, receive)
    return None if has_terminal() else send
