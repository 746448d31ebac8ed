"""
``seccomp-monitor diff``: which calls two policies answer differently.

What it is not: a comparison of texts; two policies that mean the same do not differ.  What is said about
a call is exact, in every case of its registers; that is ``policy.explain``.

The exit status is 0 when nothing differs, 1 when something does.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import click

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.cli.policies import (
    ARCH_NAMES,
    Surroundings,
    about_policies,
    action_text,
    answering,
    arches_named,
    arguments_text,
    decision_text,
    load,
)
from monitor.policy.difference import Difference, diff
from monitor.policy.spelling import keys_of

_WIDTH: Final = 96

_NAMELESS: Final = "every number without a name"


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--arch", "names", type=ARCH_NAMES, multiple=True, help="Compare these ABIs; default: all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@answering
@about_policies
def command(*, first: str, second: str, names: tuple[str, ...], as_json: bool, surroundings: Surroundings) -> int:
    """Say which calls policy A and policy B answer differently, grouped by what they say."""
    arches = arches_named(names) or list(Arch)
    one, other = load(first, surroundings).policy, load(second, surroundings).policy
    found = list(diff(one, other, arches))
    if as_json:
        click.echo(json.dumps(_as_json(first, second, arches, found), indent=1))
    else:
        click.echo("\n".join(_lines(found, arches)) if found else "no difference")
    return 1 if found else 0


# ---- as text ----


def _lines(found: Iterable[Difference], arches: Sequence[Arch]) -> Iterator[str]:
    for number, (actions, differences) in enumerate(_by_actions(found).items()):
        if number:
            yield ""
        yield " -> ".join(actions)
        yield from _always_lines([one for one in differences if one.always], arches)
        yield from _sometimes_lines([one for one in differences if not one.always], arches)


def _by_actions(found: Iterable[Difference]) -> Mapping[tuple[str, str], Sequence[Difference]]:
    groups: dict[tuple[str, str], list[Difference]] = {}
    for one in found:
        groups.setdefault((action_text(one.before.action), action_text(one.after.action)), []).append(one)
    return groups


def _always_lines(differences: Iterable[Difference], arches: Sequence[Arch]) -> Iterator[str]:
    """Yield the calls that differ in every case, those of the same ABIs together."""
    on: dict[str | None, list[Arch]] = {}
    for one in differences:
        on.setdefault(one.call, []).append(one.arch)
    groups: dict[str, list[str]] = {}
    for call, having in on.items():
        groups.setdefault(_on(call, having, arches), []).append(call or _NAMELESS)
    for where, calls in groups.items():
        yield from _wrapped(f"{where}: {', '.join(calls)}", "  ")


def _sometimes_lines(differences: Iterable[Difference], arches: Sequence[Arch]) -> Iterator[str]:
    """Yield the calls that differ in some cases, with an example, alike ones once."""
    on: dict[tuple[str | None, str, str], list[Arch]] = {}
    for one in differences:
        example = arguments_text(one.arch, one.call, one.example)
        rules = f"{decision_text(one.before)} -> {decision_text(one.after)}"
        on.setdefault((one.call, example, rules), []).append(one.arch)
    for (call, example, rules), having in on.items():
        yield from _wrapped(f"{_on(call, having, arches)}: in some cases, as {call}({example}): {rules}", "  ")


def _on(call: str | None, having: Sequence[Arch], arches: Sequence[Arch]) -> str:
    """Return the names of the ABIs, or a word for all that have the call."""
    where = [arch for arch in arches if call is None or number_of(arch, call) is not None]
    return "everywhere" if len(arches) > 1 and where == list(having) else ", ".join(arch.table for arch in having)


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


# ---- as JSON ----


def _as_json(first: str, second: str, arches: Sequence[Arch], found: Iterable[Difference]) -> dict[str, Any]:
    return {
        "schema": 1,
        "a": first,
        "b": second,
        "arches": [arch.table for arch in arches],
        "differences": [
            {
                "arch": one.arch.table,
                "call": one.call,
                "a": {**keys_of(one.before.action), "by": decision_text(one.before)},
                "b": {**keys_of(one.after.action), "by": decision_text(one.after)},
                "always": one.always,
                "example": [f"{word:#x}" for word in one.example],
            }
            for one in found
        ],
    }
