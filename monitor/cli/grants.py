"""
``seccomp-monitor grants``: the remembered answers of a file, listed in words, and revoked.

What it is not: what a grant means (``policy.grants``), or the edit of the file (``policy.grants_file``).

The exit status is 0 when there was something to list or to revoke, 1 when there was nothing, 2 when a file
cannot be read or written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import wraps
from typing import Final, NamedTuple, ParamSpec

import click

from monitor.cli import USAGE
from monitor.cli.policies import answering
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.grants import described
from monitor.policy.grants_file import GrantsFile
from monitor.policy.layout import shown
from monitor.policy.tables import Grant, is_over
from monitor.policy.variables import Variables
from monitor.policy.writing import grant_keys

P = ParamSpec("P")

_DEFINITIONS: Final = click.option(
    "-D", "definitions", multiple=True, metavar="NAME=VALUE", help="Set a variable of the file."
)


def _about_files(command: Callable[P, int]) -> Callable[P, int]:
    """Make what the system says of a file one line, too, and exit status 2."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except OSError as error:
            where = "" if error.filename is None else f"{shown(os.fsdecode(error.filename))}: "
            click.echo(f"seccomp-monitor: {where}{error.strerror}", err=True)
            return USAGE

    return answering(told)


@click.group("grants")
def command() -> None:
    """List or revoke remembered answers: those of a policy, or of a file of grants."""


class _Listed(NamedTuple):
    """The grants of one file."""

    file: str
    entries: tuple[Grant, ...]


@command.command("list")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_DEFINITIONS
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_about_files
def list_command(*, files: tuple[str, ...], definitions: tuple[str, ...], as_json: bool) -> int:
    """Say what each grant of each FILE covers, and which are over."""
    variables = Variables.of(definitions)
    listed = [_Listed(file, _of(file, variables).entries()) for file in dict.fromkeys(files)]
    if as_json:
        click.echo(json.dumps(_as_json(listed), indent=1))
    else:
        click.echo("\n".join(line for one in listed for line in _lines(one)))
    return 0 if any(one.entries for one in listed) else 1


@command.command("revoke")
@click.argument("file")
@click.argument("numbers", nargs=-1, type=click.IntRange(min=1), metavar="NUMBER...")
@click.option("--expired", is_flag=True, help="Revoke all that are over.")
@_DEFINITIONS
@_about_files
def revoke_command(*, file: str, numbers: tuple[int, ...], expired: bool, definitions: tuple[str, ...]) -> int:
    """Take grants out of FILE, by the numbers that list gives them, and show what has changed."""
    if bool(numbers) == expired:
        message = "say which: numbers, as list gives them, or --expired"
        raise click.UsageError(message)
    given = _of(file, Variables.of(definitions))
    if expired:
        numbers = tuple(number for number, one in enumerate(given.entries(), 1) if _is_over(one))
    if not numbers:
        click.echo(f"{shown(file)}: no grant is over")
        return 1
    click.echo(given.revoke(*(number - 1 for number in numbers)), nl=False)
    return 0


def _of(file: str, variables: Variables) -> GrantsFile:
    if not os.path.lexists(file):
        message = "there is no such file"
        raise PolicyError(message, Origin(shown(file)))
    return GrantsFile(file, variables=variables)


def _is_over(grant: Grant) -> bool:
    return grant.expires is not None and is_over(grant.expires)


def _lines(listed: _Listed) -> Iterator[str]:
    count = len(listed.entries)
    yield f"{shown(listed.file)}: {count or 'no'} {'grant' if count == 1 else 'grants'}"
    width = len(str(count))
    for number, one in enumerate(listed.entries, 1):
        yield f"  {number:{width}}  {described(one)}{' (over)' if _is_over(one) else ''}"
        if about := _about(one):
            yield f"  {'':{width}}  {about}"


def _about(grant: Grant) -> str:
    """Return when it was granted, and why."""
    when = "" if grant.when_granted is None else f"granted {grant.when_granted}"
    return ": ".join(text for text in (when, shown(grant.why)) if text)


def _as_json(listed: Iterable[_Listed]) -> Mapping[str, object]:
    return {
        "schema": 1,
        "files": [
            {"file": one.file, "grants": [_grant_as_json(*numbered) for numbered in enumerate(one.entries, 1)]}
            for one in listed
        ],
    }


def _grant_as_json(number: int, grant: Grant) -> Mapping[str, object]:
    keys = {key: str(value) if isinstance(value, date) else value for key, value in grant_keys(grant).items()}
    return {"number": number, "text": described(grant), "expired": _is_over(grant), **keys}
