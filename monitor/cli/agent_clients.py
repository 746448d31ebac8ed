"""
``seccomp-monitor agent list|show|tail|kill``: what a running agent knows, and the end of a container.

What it is not: the other end (``agent.serving``), or the person's answers to questions (``debug --connect``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Final, ParamSpec

import click

from monitor.approve.wire import Json, WireError
from monitor.cli import USAGE
from monitor.cli.connection import Connection, Ended
from monitor.cli.told import line, objects, text, values
from monitor.events.strace import shortened

P = ParamSpec("P")

CONTROL: Final = "/run/seccomp-monitor/control.sock"
"""Where an agent is asked, if nothing else is said."""

_CONTROL: Final = click.option(
    "--control", default=CONTROL, show_default=True, metavar="SOCK", help="The control socket of the agent."
)
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _asking(command: Callable[P, int]) -> Callable[P, int]:
    """Make what an agent refuses, or that there is none, one line and exit status 2."""

    @wraps(command)
    def asked(*args: P.args, **kwargs: P.kwargs) -> int:
        path = kwargs.get("control")
        try:
            return command(*args, **kwargs)
        except WireError as error:
            click.echo(f"seccomp-monitor: {line(str(error))}", err=True)
        except OSError as error:
            click.echo(f"seccomp-monitor: {path}: {error.strerror}: is the agent running?", err=True)
        except Ended:
            click.echo(f"seccomp-monitor: {path}: the agent has gone", err=True)
        return USAGE

    return asked


@click.command("list")
@_CONTROL
@_JSON
@_asking
def list_command(*, control: str, as_json: bool) -> int:
    """
    List the containers that are supervised: the policy of each, its age, and how many calls were denied.

    The exit status is 0 when there are some, 1 when there are none.
    """
    found = objects(Connection(control).request("containers"))
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif found:
        rows = [("CONTAINER", "PID", "POLICY", "AGE", "CALLS", "DENIED"), *map(_row, found)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            click.echo("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
    return 0 if found else 1


def _row(container: Mapping[str, Json]) -> tuple[str, ...]:
    return (
        shortened(text(container.get("container"))),
        text(container.get("pid") or "?"),
        text(container.get("policy")),
        _age(container.get("since")),
        text(container.get("received")),
        text(container.get("denied")),
    )


def _age(since: Json) -> str:
    """Return how long ago that was, as people say it: ``12s``, ``5m``, ``3h``, ``2d``."""
    seconds = max(0, int(time.time() - since)) if isinstance(since, int | float) else 0
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


@click.command("show")
@click.argument("container")
@_CONTROL
@_JSON
@_asking
def show_command(*, container: str, control: str, as_json: bool) -> int:
    """Show all that is known of CONTAINER, an id or the beginning of one."""
    found = Connection(control).request("container", container=container)
    assert isinstance(found, dict)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return 0
    for name, value in found.items():
        for shown in _shown(name, value):
            click.echo(shown)
    return 0


def _shown(name: str, value: Json) -> list[str]:
    """Return the lines of one thing that is known."""
    title = f"{name.replace('_', ' ')}:"
    match value:
        case dict():
            return [f"{title:<19}{', '.join(f'{text(key)} {text(one)}' for key, one in value.items())}"]
        case list():
            return [title, *(f"  {_entry(one)}" for one in value)] if value else []
        case float() if name == "since":
            return [f"{title:<19}{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(value))}"]
        case bool() | None:
            return [f"{title:<19}{ {True: 'yes', False: 'no', None: 'not known'}[value] }"]
        case _:
            return [f"{title:<19}{text(value)}"]


def _entry(said: Json) -> str:
    if isinstance(said, dict):
        counters = said.get("counters")
        told = f"; {_shown('', counters)[0].strip(': ')}" if isinstance(counters, dict) and counters else ""
        since = time.strftime("%H:%M:%S", time.localtime(float(str(said.get("since")))))
        return f"process {text(said.get('pid') or '?')}, handed over by pid {text(said.get('peer'))} at {since}{told}"
    key, value = values(said)
    return f"{text(key)}={text(value)}"


@click.command("tail")
@click.argument("container", required=False)
@_CONTROL
@_JSON
@click.option("--all", "everything", is_flag=True, help="Also calls that are allowed and not logged.")
@_asking
def tail_command(*, container: str | None, control: str, as_json: bool, everything: bool) -> int:
    """
    Print what happens from now on, in all containers or in CONTAINER, until interrupted or until the agent ends.

    That is which containers start and end, and which of their calls are refused, asked about or logged.
    """
    connection = Connection(control)
    ident = None if container is None else _ident(connection, container)
    connection.request("events", refusals_only=not everything, lines=True)
    try:
        while True:
            for told in connection.told(wait=True):
                record = told.get("record")
                if isinstance(record, dict) and ident in (None, record.get("container")):
                    click.echo(json.dumps(record) if as_json else line(told.get("line")))
    except Ended:
        return 0


def _ident(connection: Connection, word: str) -> Json:
    found = connection.request("container", container=word)
    assert isinstance(found, dict)
    return found["container"]


@click.command("kill")
@click.argument("containers", nargs=-1, required=True, metavar="CONTAINER...")
@_CONTROL
@_asking
def kill_command(*, containers: tuple[str, ...], control: str) -> int:
    """
    Send SIGKILL to the processes of each CONTAINER that were handed over.

    With the first of them everything ends that is in its pid namespace.  The runtime notices as if it had crashed.
    The exit status is 1 where nothing was there to kill.
    """
    connection = Connection(control)
    counts = [connection.request("kill", container=container) for container in containers]
    return 0 if all(counts) else 1
