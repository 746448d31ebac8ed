"""
``seccomp-monitor show``: a policy with everything that it includes and extends, or its answer to each call.

What it is not: an explanation of one answer (``why``), or a file to be loaded: what is included stands
in several parts here, each with its place above it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import attrs
import click

from monitor.abi.arch import Arch
from monitor.abi.syscalls import call_table
from monitor.cli import machine
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
    place,
)
from monitor.policy.explain import Heard
from monitor.policy.layout import shown
from monitor.policy.model import Decision, Policy, Rule
from monitor.policy.patterns import TwoNames, two_names
from monitor.policy.spelling import keys_of
from monitor.policy.table import Chain, table_of
from monitor.policy.tables import Files
from monitor.policy.writing import dumps


@click.command("show")
@click.argument("policy")
@click.option("--long", "is_long", is_flag=True, help="Write out groups, and short lists of paths as rules.")
@click.option("--calls", is_flag=True, help="Print the answer to each call, in every case.")
@click.option("--arch", type=ARCH_NAMES, help="For --calls: the ABI; default: this machine's own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@answering
@about_policies
def command(
    *, policy: str, is_long: bool, calls: bool, arch: str | None, as_json: bool, surroundings: Surroundings
) -> int:
    """Print POLICY with all that it includes and extends, or with --calls what it says about each call."""
    shown = load(policy, surroundings).policy
    if calls:
        asked = Arch.native() if arch is None else arches_named([arch])[0]
        rows = list(_rows(shown, asked))
        if as_json:
            click.echo(json.dumps(_rows_as_json(shown, asked, rows), indent=1))
        else:
            click.echo("\n".join(_row_lines(rows, asked)))
        return 0
    parts = [_part(title, _long(part) if is_long else part) for title, part in _parts(shown)]
    if as_json:
        click.echo(json.dumps({"schema": 1, "parts": [_part_as_json(part) for part in parts]}, indent=1))
    else:
        click.echo("\n".join("\n".join(_part_lines(part)) for part in parts), nl=False)
    return 0


# ---- the text ----


def _parts(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Yield every layer, and behind each of them what it extends, with the default that counts there."""
    for layer in policy.layers():
        part: Policy | None = layer
        while part is not None:
            how = "" if part is policy else ", included" if part is layer else f", extended by {shown(layer.name)}"
            title = f"{shown(part.name)}{how}: {place(part.origin, 'not from a file')}"
            yield (
                title,
                attrs.evolve(part, includes=(), extends=None, default=layer.default, exact_errno=layer.exact_errno),
            )
            part = part.extends


class _Part(NamedTuple):
    """
    One file, or preset.

    Attributes:
        title: what it is, and where it came from.
        text: as a file has it.
        two_names: the patterns in it that stand for two names on this machine.
    """

    title: str
    text: str
    two_names: tuple[TwoNames, ...]


def _part(title: str, part: Policy) -> _Part:
    return _Part(title, dumps(part), tuple(two_names(part, machine.resolve)))


def _part_lines(part: _Part) -> Iterator[str]:
    yield f"# {part.title}"
    for names in part.two_names:
        yield f"# {names.origin.key}: {machine.two_names_text(names)}"
    yield part.text


def _part_as_json(part: _Part) -> dict[str, Any]:
    names = [machine.two_names_as_json(one) for one in part.two_names]
    return {"title": part.title, "text": part.text, "two-names": names}


def _long(part: Policy) -> Policy:
    """Return the same without a word that stands for others."""
    found = dict(part.tables)
    files = found.get("files")
    if isinstance(files, Files):
        found["files"] = _long_files(files)
    return attrs.evolve(part, rules=[_long_rule(rule, part) for rule in part.rules], tables=found)


def _long_rule(rule: Rule, part: Policy) -> Rule:
    arches = [arch for arch in Arch if part.arches is None or arch in part.arches]
    calls = sorted({call for arch in arches for call in rule.calls(arch)})
    if not calls:
        return rule
    longer = attrs.evolve(rule, names=calls)
    # A name may stand for another call on an ABI that has none of that very name.
    return longer if all(longer.calls(arch) == rule.calls(arch) for arch in arches) else rule


def _long_files(files: Files) -> Files:
    """Return the same with each short list as the rule that it abbreviates."""
    return attrs.evolve(files, hide=(), deny=(), ask=(), write=(), read=(), rules=files.long_form())


# ---- the calls ----


class _Row(NamedTuple):
    """
    One call in one case, or in every one.

    Attributes:
        call: its name; None for every number without one.
        nr: its number; None likewise.
        decision: what happens.
        example: registers with which it does; None: it always does.
    """

    call: str | None
    nr: int | None
    decision: Decision
    example: Sequence[int] | None


def _rows(policy: Policy, arch: Arch) -> Iterator[_Row]:
    table = table_of(policy, arch)
    everything: list[tuple[str | None, int | None, Sequence[Chain]]] = [
        (name, nr, table.calls[nr]) for nr, name in sorted(call_table(arch).items())
    ]
    for call, nr, chains in [*everything, (None, None, table.unnamed)]:
        heard = Heard()
        said = heard.said(heard.layers(chains))
        for decision, example in said:
            yield _Row(call, nr, decision, example if len(said) > 1 else None)


def _row_lines(rows: Sequence[_Row], arch: Arch) -> Iterator[str]:
    name_width = max(len(row.call or "") for row in rows)
    action_width = max(len(action_text(row.decision.action)) for row in rows)
    for row in rows:
        nr = "" if row.nr is None else str(row.nr & ~arch.nr_bit)
        example = "" if row.example is None else f"  as with {arguments_text(arch, row.call, row.example)}"
        action = action_text(row.decision.action)
        start = f"{nr:>4}  {row.call or '(any other)':{name_width}}  {action:{action_width}}"
        yield f"{start}  {decision_text(row.decision)}{example}"


def _rows_as_json(policy: Policy, arch: Arch, rows: Iterable[_Row]) -> dict[str, Any]:
    return {
        "schema": 1,
        "policy": policy.name,
        "arch": arch.table,
        "calls": [
            {
                "call": row.call,
                "nr": row.nr,
                **keys_of(row.decision.action),
                "by": decision_text(row.decision),
                "always": row.example is None,
                "example": None if row.example is None else [f"{word:#x}" for word in row.example],
            }
            for row in rows
        ],
    }
