"""
``seccomp-monitor agent check SOCK``: plays a runtime's side, so that an agent can be tried without containers.

What it is not: the trials (``agent.checking``).
"""

from __future__ import annotations

import json

import click
import trio

from monitor.agent.checking import Found, checked
from monitor.cli import USAGE
from monitor.cli.told import line


@click.command("check")
@click.argument("socket", metavar="SOCK")
@click.option("--metadata", default="", metavar="TEXT", help="Send this as listenerMetadata, such as policy=NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each trial.")
def check_command(*, socket: str, metadata: str, as_json: bool) -> int:
    """
    Hand listeners over at SOCK as runtimes do, and say whether the calls behind them are answered.

    It works with any agent that speaks the protocol of the OCI runtime specification.  The exit status is 0 when all
    went well, 1 when something did not, 2 when nobody listens.
    """
    try:
        results = trio.run(_run, socket, metadata, as_json)
    except OSError as error:
        click.echo(f"seccomp-monitor: {socket}: {error.strerror}", err=True)
        return USAGE
    return 0 if all(results) else 1


async def _run(path: str, metadata: str, as_json: bool) -> list[bool]:  # noqa: FBT001  # by position, for trio.run
    with trio.socket.socket(trio.socket.AF_UNIX) as probe:
        await probe.connect(path)
    results: list[bool] = []
    async for found in checked(path, metadata):
        results.append(found.is_right)
        click.echo(json.dumps(found._asdict()) if as_json else _line(found))
    return results


def _line(found: Found) -> str:
    return f"{'ok    ' if found.is_right else 'FAILED'}  {found.title}: {line(found.what)}"
