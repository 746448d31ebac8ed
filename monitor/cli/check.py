"""
``seccomp-monitor check``: what is wrong with a policy although it can be meant.

What it is not: the judgement; that is ``policy.lint``.

The exit status is 0 when nothing is found, 1 when something is, 2 when the policy cannot be read.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import click

from monitor.cli.policies import (
    ARCH_NAMES,
    Surroundings,
    about_policies,
    answering,
    arches_named,
    load,
    place,
)
from monitor.policy.findings import Finding
from monitor.policy.formats import FormatFinding, Kind
from monitor.policy.lint import RULES, lint

_WIDTH: Final = 96


@click.command("check")
@click.argument("policies", nargs=-1, metavar="POLICY...")
@click.option("--arch", "names", type=ARCH_NAMES, multiple=True, help="On these ABIs; default: all that it is for.")
@click.option("--ignore", multiple=True, metavar="ID", help="Leave out findings of this kind: E-IO-URING.")
@click.option("--rules", is_flag=True, help="List what is looked for.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@answering
@about_policies
def command(  # one for each option
    *,
    policies: tuple[str, ...],
    names: tuple[str, ...],
    ignore: tuple[str, ...],
    rules: bool,
    as_json: bool,
    surroundings: Surroundings,
) -> int:
    """Find what makes no sense in each POLICY, and the traps that profiles fall into."""
    if rules:
        click.echo(json.dumps({"schema": 1, "rules": dict(RULES)}, indent=1) if as_json else "\n".join(_rule_lines()))
        return 0
    if not policies:
        message = "no policy is named"
        raise click.UsageError(message)
    if unknown := [word for word in ignore if word not in RULES]:
        message = f"--ignore: {unknown[0]!r} is no kind of finding; check --rules lists them"
        raise click.UsageError(message)
    found = {word: _findings(word, names, surroundings) for word in policies}
    found = {word: [one for one in findings if one.rule not in ignore] for word, findings in found.items()}
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=1))
    else:
        click.echo("\n".join(_lines(found)))
    return 1 if any(found.values()) else 0


def _findings(word: str, names: Iterable[str], surroundings: Surroundings) -> list[Finding]:
    given = load(word, surroundings)
    foreign = [_foreign(finding) for finding in given.findings if finding.lost]
    return [*foreign, *lint(given.policy, arches_named(names) or None)]


def _foreign(finding: FormatFinding) -> Finding:
    if finding.kind is Kind.UNKNOWN_CALL:
        hint = "correct the name; a call that is left out is answered by the default"
        return Finding("E-UNKNOWN-NAME", finding.message, hint, finding.origin)
    return Finding("E-FORMAT", finding.message, "say it otherwise, or do without it", finding.origin)


# ---- as text ----


def _lines(found: Mapping[str, Sequence[Finding]]) -> Iterator[str]:
    for word, findings in found.items():
        for finding in findings:
            on = f" [{', '.join(arch.table for arch in finding.arches)}]" if finding.arches else ""
            yield from _wrapped(f"{place(finding.origin, word)}: {finding.rule}: {finding.text}{on}", "")
            yield from _wrapped(f"hint: {finding.hint}", "    ")
        count = len(findings)
        yield f"{word}: {count or 'no'} {'finding' if count == 1 else 'findings'}"


def _rule_lines() -> Iterator[str]:
    width = max(map(len, RULES))
    for rule, text in RULES.items():
        yield from textwrap.wrap(f"{rule:{width}}  {text}", _WIDTH, subsequent_indent=" " * (width + 2))


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


# ---- as JSON ----


def _as_json(found: Mapping[str, Sequence[Finding]]) -> dict[str, Any]:
    return {
        "schema": 1,
        "policies": [
            {"policy": word, "findings": [_finding_as_json(finding) for finding in findings]}
            for word, findings in found.items()
        ],
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "text": finding.text,
        "hint": finding.hint,
        "file": finding.origin.file,
        "line": finding.origin.line,
        "key": finding.origin.key,
        "arches": [arch.table for arch in finding.arches],
    }
