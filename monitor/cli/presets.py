"""
``seccomp-monitor presets``: the policies that ship, and their text.

What it is not: the policies; those are data in ``policy/presets``.
"""

from __future__ import annotations

import json
import textwrap
from typing import Final

import click

from monitor.cli.policies import PROFILES, Surroundings, answering, load
from monitor.policy import shipped
from monitor.policy.writing import dumps

_WIDTH: Final = 96

_ABOUT_PROFILES: Final = {
    "moby": "the default profile of Docker, read as for a container with its default capabilities",
    "containers-common": "the default profile of Podman, read likewise",
}


@click.command("presets")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@answering
def command(*, name: str | None, as_json: bool) -> int:
    """List the policies that ship, or print the text of NAME."""
    if name is not None:
        name = name.removeprefix(shipped.PREFIX)
        text = _text(name)
        click.echo(json.dumps({"schema": 1, "name": name, "text": text}, indent=1) if as_json else text, nl=as_json)
        return 0
    about = {each: _about(each) for each in [*shipped.names(), *PROFILES]}
    if as_json:
        listed = [{"name": each, "about": text} for each, text in about.items()]
        click.echo(json.dumps({"schema": 1, "presets": listed}, indent=1))
    else:
        for each, text in about.items():
            click.echo("\n".join(_row(each, text, max(map(len, about)))))
    return 0


def _text(name: str) -> str:
    if name in PROFILES and name not in shipped.names():
        return dumps(load(name, Surroundings()).policy)
    return shipped.text(name)


def _about(name: str) -> str:
    return load(name, Surroundings()).policy.reason or _ABOUT_PROFILES.get(name, "")


def _row(name: str, text: str, width: int) -> list[str]:
    start = f"{name:{width}}  "
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)) or [name]
