"""
``seccomp-monitor doctor``: what this kernel, user and container allow, as a table or as JSON.

What it is not: the probes, or what they mean; those are ``monitor.features``.

The exit status is 0 when ``run`` can work here, 1 when it cannot.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from errno import errorcode
from itertools import groupby
from typing import Any, Final

import click

from monitor.features import ABILITIES, Feature, State, capabilities, lacking, probe_all

_WIDTHS: Final = (80, 100)
"""The narrowest and the widest table."""

_INDENT: Final = 34
"""Where the third column begins."""

_COLOURS: Final = {
    State.WORKS: "green",
    State.MISSING: "yellow",
    State.FORBIDDEN: "red",
    State.TIMED_OUT: "red",
    State.UNKNOWN: "yellow",
    State.NOTED: "cyan",
}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, as_json: bool) -> int:
    """Try what this kernel, user and container allow; say what degrades without it, and what to do."""
    began = time.monotonic()
    features = probe_all()
    if as_json:
        click.echo(json.dumps(_as_json(features, time.monotonic() - began), indent=1))
    else:
        # Not click's own guess: NO_COLOR counts too.
        click.echo("\n".join(_lines(features, _width())), color=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    return 1 if lacking("run", features) else 0


# ---- as a table ----


def _width() -> int:
    narrowest, widest = _WIDTHS
    columns = shutil.get_terminal_size((narrowest, 0)).columns if sys.stdout.isatty() else narrowest
    return min(max(columns, narrowest), widest)


def _lines(features: Sequence[Feature], width: int) -> Iterator[str]:
    yield from textwrap.wrap(_whereabouts(), width)
    for group, members in groupby(features, lambda feature: feature.group):
        yield ""
        yield click.style(group.value, bold=True)
        for feature in members:
            yield from _rows(feature, width)
    yield ""
    yield "* Nothing can be run without it."
    yield from textwrap.wrap(_verdict(features), width)


def _whereabouts() -> str:
    uname, held = os.uname(), capabilities()
    rights = "capabilities unknown" if held is None else ", ".join(held) or "no capabilities"
    return f"Linux {uname.release} {uname.machine}, uid {os.geteuid()}, {rights}"


def _rows(feature: Feature, width: int) -> Iterator[str]:
    """Return the line of *feature*, and below it why it is not there and what that means."""
    name = f"{feature.name} *" if feature.required else feature.name
    state = click.style(f"{feature.state.value:<10}", fg=_COLOURS[feature.state])
    first, *rest = _third_column(feature, width) or [""]
    yield f"  {state} {name:<20} {first}".rstrip()
    yield from (" " * _INDENT + line for line in rest)


def _third_column(feature: Feature, width: int) -> list[str]:
    paragraphs = [feature.detail]
    if not feature.available:
        paragraphs += [feature.advice, f"Without it: {feature.without}"]
    return [line for paragraph in paragraphs for line in textwrap.wrap(paragraph, width - _INDENT)]


def _verdict(features: Sequence[Feature]) -> str:
    if missing := lacking("run", features):
        return f"run does not work, nor does anything else: {_roots(missing)}"
    return "; ".join(_ability(ability, lacking(ability, features)) for ability in ABILITIES)


def _ability(ability: str, missing: Sequence[Feature]) -> str:
    return f"{ability} does not work ({_roots(missing)})" if missing else f"{ability} works"


def _roots(missing: Sequence[Feature]) -> str:
    """Return the names of those that are not merely missing because of another one that is."""
    names = {feature.name for feature in missing}
    return ", ".join(feature.name for feature in missing if not names.intersection(feature.needs))


# ---- as JSON ----


def _as_json(features: Iterable[Feature], seconds: float) -> dict[str, Any]:
    uname, found = os.uname(), list(features)
    return {
        "schema": 1,
        "kernel": {"release": uname.release, "machine": uname.machine},
        "user": {"uid": os.geteuid(), "capabilities": capabilities()},
        "features": [_feature_as_json(feature) for feature in found],
        "abilities": {
            ability: {"works": not lacking(ability, found), "lacking": [each.name for each in lacking(ability, found)]}
            for ability in ABILITIES
        },
        "seconds": round(seconds, 3),
    }


def _feature_as_json(feature: Feature) -> dict[str, Any]:
    return {
        "name": feature.name,
        "group": feature.group.value,
        "state": feature.state.value,
        "required": feature.required,
        "detail": feature.detail,
        "errno": feature.errno,
        "errno_name": None if feature.errno is None else errorcode.get(feature.errno),
        "value": feature.value,
        "without": feature.without,
        "advice": feature.advice,
        "needs": feature.needs,
    }
