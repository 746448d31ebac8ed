"""
``seccomp-monitor agent``: runtimes hand their containers' listeners over, and policies and handlers decide.

What it is not: the supervision (``agent.agent``), or its configuration (``agent.configuration``).

The exit status is 0 after SIGTERM or SIGINT, 125 for what keeps it from beginning.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import click
import trio

from monitor.agent.agent import Agent
from monitor.agent.configuration import (
    CONTROL,
    SOCKET,
    Configuration,
    ConfigurationError,
    configuration_of,
    read_configuration,
)
from monitor.agent.containers import Containers
from monitor.agent.facts import is_in_container
from monitor.agent.notifying import Manager
from monitor.agent.rereading import Changes
from monitor.agent.serving import Served
from monitor.agent.shapes import AgentShape
from monitor.agent.sockets import ActivationError, handed_down, listening_at
from monitor.approve.control import ControlSocket, listening
from monitor.cli import OUR_FAILURE
from monitor.cli.destinations import events_to
from monitor.cli.loading import HandlersNotLoaded, load_handlers
from monitor.cli.reporting import Reporter, tell
from monitor.cli.run import EVENTS_HELP
from monitor.cli.running import failed
from monitor.errors import MonitorError
from monitor.events.hub import Hub, Sink, served
from monitor.events.jsonl import JsonLines
from monitor.notify.handler import Handler
from monitor.policy.variables import Variables
from monitor.sources.receiving import receive_all

_DIRECTORY_MODE = 0o711


class Choices(NamedTuple):
    """What the options say."""

    config: str | None
    shape: AgentShape
    definitions: Sequence[str]
    sources: Sequence[str]
    events: JsonLines | None

    def configuration(self, handlers: Sequence[Handler]) -> Configuration:
        """Return what is to be done, read anew.  Raises ConfigurationError, and PolicyError for the definitions."""
        variables = Variables.of(self.definitions)
        if self.config is None:
            return configuration_of(self.shape, variables=variables, handlers=handlers, uid=os.geteuid())
        return read_configuration(self.config, variables=variables, handlers=handlers, uid=os.geteuid())


@click.command("serve")
@click.option(
    "-c", "--config", metavar="FILE", help="Read everything from FILE; the options up to --mode are for none."
)
@click.option("--policies", metavar="DIR", help="Policies that metadata may pick: NAME.toml each.")
@click.option("--default", metavar="NAME", help="The policy of who picks none: one of DIR, or preset:NAME.")
@click.option("--socket", "path", metavar="SOCK", help=f"Where runtimes connect: {SOCKET} by default.")
@click.option("--control", metavar="SOCK", help=f'Where to be asked and to ask: {CONTROL} by default; "" is nowhere.')
@click.option("--uid", "uids", type=int, multiple=True, help="Who may hand over besides our own user.")
@click.option("--mode", metavar="MODE", help="The mode of the socket's file; 0600 by default.")
@click.option("--handlers", "sources", multiple=True, metavar="FILE", help="Load handlers: FILE.py or package.module.")
@click.option("-D", "definitions", multiple=True, metavar="NAME=VALUE", help="Set a variable of the policies.")
@click.option("--events", metavar="DEST", help=EVENTS_HELP)
@click.option("--log", metavar="FILE", help="Write reports to FILE instead of standard error.")
@click.option("--quiet", is_flag=True, help="Report nothing but failures of the agent itself.")
def serve_command(  # noqa: PLR0913  # one for each option
    *,
    config: str | None,
    policies: str | None,
    default: str | None,
    path: str | None,
    control: str | None,
    uids: tuple[int, ...],
    mode: str | None,
    sources: tuple[str, ...],
    definitions: tuple[str, ...],
    events: str | None,
    log: str | None,
    quiet: bool,
) -> int:
    """
    Supervise the containers whose runtimes connect, until SIGTERM.

    Which policy a container gets, its listenerMetadata says ("policy=NAME"), else an annotation or a rule of the
    configuration, else --default.  SIGHUP, or a change of a file, has everything read again.
    """
    if config is not None and (uids or any(one is not None for one in (policies, default, path, control, mode))):
        return failed("--config says everything: not with --policies, --default, --socket, --control, --uid or --mode")
    shape = AgentShape(
        version=1,
        policies=policies,
        default=default,
        socket=path,
        control=control,
        mode=mode,
        uids=[os.geteuid(), *uids] if uids else None,
    )
    try:
        choices = Choices(config, shape, definitions, sources, None if events is None else events_to(events))
        with Reporter(log=log, quiet=quiet) as reporter:
            return trio.run(_serve, choices, reporter)
    except* ConfigurationError as group:
        for error in _errors(group):
            tell(str(error))
    except* (ActivationError, HandlersNotLoaded, MonitorError, OSError) as group:
        for raised in group.exceptions:
            tell(str(raised))
    return OUR_FAILURE


def _errors(group: BaseExceptionGroup[ConfigurationError]) -> list[MonitorError]:
    found: list[MonitorError] = []
    for one in group.exceptions:
        found.extend(one.errors if isinstance(one, ConfigurationError) else ())
    return found


async def _serve(choices: Choices, reporter: Reporter) -> int:
    async with AsyncExitStack() as stack:
        manager = Manager.of(os.environ)
        handlers = [handler for source in choices.sources for handler in await load_handlers(source, stack)]
        configuration = choices.configuration(handlers)
        # Before there is a socket by which somebody sees that we are there, and after which there is one to take away.
        signals = stack.enter_context(trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        server = _server(stack, configuration)
        _raise_limit()
        if is_in_container():
            tell("this is not the host's pid namespace: containers of runtimes outside of it cannot be supervised")
        sinks: list[Sink] = [reporter, *([] if choices.events is None else [stack.enter_context(choices.events)])]
        hub = Hub(sinks)
        stack.callback(hub.end)
        control = await _control(stack, configuration)
        agent = Agent(
            configuration.choosing,
            hub=hub,
            tell=tell,
            handlers=handlers,
            approver=control,
            containers=Containers(most=configuration.containers),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(agent.run)
            for task in hub.tasks:
                nursery.start_soon(task)
            if control is not None:
                served_agent = Served(agent)
                control.attend(served_agent, served_agent.commands())
            nursery.start_soon(_receive, server, agent, configuration)
            if manager.watchdog_seconds != float("inf"):
                nursery.start_soon(manager.keep_alive)
            rereading = _Rereading(choices, handlers, configuration, agent, manager)
            nursery.start_soon(rereading.when_changed)
            manager.ready(rereading.status)
            await _mind(signals, rereading)
            manager.tell("STOPPING=1")
            if control is not None:
                control.close()
            nursery.cancel_scope.cancel()
        for sink in served(sinks):
            await sink.finish()
    return 0


async def _receive(server: socket.socket, agent: Agent, configuration: Configuration) -> None:
    await receive_all(
        trio.socket.from_stdlib_socket(server),
        agent.take,
        agent.refused,
        uids=configuration.uids,
        most_per_user=configuration.connections,
    )


def _server(stack: AsyncExitStack, configuration: Configuration) -> socket.socket:
    """Return the socket that runtimes connect to: the service manager's, or one made here."""
    given = handed_down(os.environ)
    if len(given) > 1:
        message = f"the service manager has opened {len(given)} sockets, and one is wanted: that for runtimes"
        raise ActivationError(message)
    for made in given.values():
        return stack.enter_context(made)
    _have_directory(configuration.socket, SOCKET)
    return stack.enter_context(listening_at(configuration.socket, mode=configuration.mode))


async def _control(stack: AsyncExitStack, configuration: Configuration) -> ControlSocket | None:
    if configuration.control is None:
        return None
    _have_directory(configuration.control, CONTROL)
    return await stack.enter_async_context(listening(configuration.control, program="agent"))


def _have_directory(path: str, usual: str) -> None:
    """Make the directory of our own default; any other is somebody else's to make."""
    if path == usual:
        with suppress(FileExistsError):
            Path(path).parent.mkdir(mode=_DIRECTORY_MODE)


def _raise_limit() -> None:
    """Have as many descriptors as we may: each container needs some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _mind(signals: AsyncIterator[int], rereading: _Rereading) -> None:
    """Return when a signal ends us; SIGHUP has everything read again."""
    async for number in signals:
        if number != signal.SIGHUP:
            return
        await rereading.read()


class _Rereading:
    """Reads the configuration again, all of it or nothing, and puts it in force."""

    def __init__(
        self,
        choices: Choices,
        handlers: Sequence[Handler],
        configuration: Configuration,
        agent: Agent,
        manager: Manager,
    ) -> None:
        self._choices = choices
        self._handlers = handlers
        self._configuration = configuration
        self._agent = agent
        self._manager = manager
        self._changes = Changes(configuration.files)
        self._reading = trio.Lock()

    @property
    def status(self) -> str:
        """What there is, for people."""
        return f"{len(self._configuration.choosing.policies)} policies, {len(self._agent.containers)} containers"

    async def when_changed(self) -> None:
        """Read whenever a file has changed, until cancelled."""
        while True:
            await self._changes.wait()
            await self.read()

    async def read(self) -> None:
        """Read now; what cannot be read is told, and what was in force stays."""
        async with self._reading:
            self._manager.reloading()
            try:
                # In a thread, since a file may have become something that blocks, or be long to compile.
                new = await trio.to_thread.run_sync(self._choices.configuration, self._handlers)
            except ConfigurationError as error:
                for one in error.errors:
                    tell(str(one))
                tell("the configuration was not read again; what was in force stays")
            except MonitorError as error:
                tell(f"the configuration was not read again: {error}; what was in force stays")
            else:
                self._use(new)
            self._manager.ready(self.status)

    def _use(self, new: Configuration) -> None:
        old, self._configuration = self._configuration, new
        self._changes.watch(new.files)
        for kept in self._agent.use(new.choosing):
            tell(kept)
        fixed = ("socket", "mode", "uids", "control", "containers", "connections")
        changed = [name for name in fixed if getattr(old, name) != getattr(new, name)]
        if changed:
            tell(f"{', '.join(changed)}: in force from the next start of the agent on")
        tell(f"the configuration was read again; {self.status}")
