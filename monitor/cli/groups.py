"""
``seccomp-monitor groups``: the words that stand for several calls, and the calls they stand for.

What it is not: the tables; those are ``abi.groups``.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Iterator
from typing import Final

import click

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.groups import expand, refuse_unknown
from monitor.cli.policies import ARCH_NAMES, answering, arches_named
from monitor.errors import PolicyError

_WIDTH: Final = 96


@click.command("groups")
@click.argument("name", required=False)
@click.option("--arch", type=ARCH_NAMES, help="The calls of this ABI alone; default: of any.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@answering
def command(*, name: str | None, arch: str | None, as_json: bool) -> int:
    """List the groups of systemd (@file-system) and the classes of strace (%file), or the calls of NAME."""
    arches = list(Arch) if arch is None else arches_named([arch])
    names = _names() if name is None else [name]
    refuse_unknown(names)
    found = {word: _calls(word, arches) for word in names}
    if name is not None and not found[name]:
        message = f"{name} names no call on {', '.join(one.table for one in arches)}"
        raise PolicyError(message)
    if as_json:
        described = [{"name": word, "about": _about(word), "calls": sorted(calls)} for word, calls in found.items()]
        click.echo(json.dumps({"schema": 1, "groups": described}, indent=1))
    elif name is None:
        click.echo("\n".join(_lines(found)))
    else:
        click.echo("\n".join(sorted(found[name])))
    return 0


def _names() -> list[str]:
    """Return every group and every class, without the older spellings of classes."""
    classes = [f"%{name}" for name in tables.classes()["classes"]]
    return [*sorted(tables.groups()["systemd"]["groups"]), *sorted(classes)]


def _calls(word: str, arches: Collection[Arch]) -> frozenset[str]:
    found: set[str] = set()
    for arch in arches:
        try:
            found |= expand([word], arch, missing_ok=True)
        except PolicyError:  # a known word of which this ABI has nothing
            continue
    return frozenset(found)


def _about(word: str) -> str:
    return {"@": "systemd", "%": "strace"}.get(word[:1], "call")


def _lines(found: dict[str, frozenset[str]]) -> Iterator[str]:
    width = max(map(len, found))
    for word, calls in found.items():
        start = f"{word:{width}}  {len(calls):4}  "
        yield start + textwrap.shorten(" ".join(sorted(calls)), _WIDTH - len(start), placeholder=" ...")
