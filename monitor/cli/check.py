"""
``seccomp-monitor check``: what is wrong with a policy although it can be meant.

What it is not: the judgement; that is ``policy.lint``.

The exit status is 0 when nothing is found, 1 when something is, 2 when the policy cannot be read.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click
from attrs import frozen

from monitor.cli import machine
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
from monitor.policy.patterns import TwoNames, missing, two_names

_WIDTH: Final = 96


@click.command("check")
@click.argument("policies", nargs=-1, metavar="POLICY...")
@click.option("--arch", "names", type=ARCH_NAMES, multiple=True, help="On these ABIs; default: all that it is for.")
@click.option("--here", is_flag=True, help="The policy is for this machine: find paths that it does not have.")
@click.option("--ignore", multiple=True, metavar="ID", help="Leave out findings of this kind: E-IO-URING.")
@click.option("--rules", is_flag=True, help="List what is looked for.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@answering
@about_policies
def command(  # one for each option
    *,
    policies: tuple[str, ...],
    names: tuple[str, ...],
    here: bool,
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
    checked = [_checked(word, names, surroundings, frozenset(ignore), here=here) for word in dict.fromkeys(policies)]
    if as_json:
        click.echo(json.dumps(_as_json(checked), indent=1))
    else:
        click.echo("\n".join(_lines(checked)))
    return 1 if any(one.findings for one in checked) else 0


@frozen
class _Checked:
    """
    What there is to say about one policy.

    Attributes:
        word: as it was named.
        findings: what is wrong with it.
        two_names: the patterns that stand for two names on this machine, which is nothing wrong.
    """

    word: str
    findings: tuple[Finding, ...]
    two_names: tuple[TwoNames, ...]


def _checked(
    word: str, names: Iterable[str], surroundings: Surroundings, ignored: frozenset[str], *, here: bool
) -> _Checked:
    given = load(word, surroundings)
    found = [_foreign(finding) for finding in given.findings if finding.lost]
    found += lint(given.policy, arches_named(names) or None)
    found += missing(given.policy, machine.exists) if here else ()
    left = tuple(finding for finding in found if finding.rule not in ignored)
    return _Checked(word, left, tuple(two_names(given.policy, machine.resolve)))


def _foreign(finding: FormatFinding) -> Finding:
    if finding.kind is Kind.UNKNOWN_CALL:
        hint = "correct the name; a call that is left out is answered by the default"
        return Finding("E-UNKNOWN-NAME", finding.message, hint, finding.origin)
    return Finding("E-FORMAT", finding.message, "say it otherwise, or do without it", finding.origin)


# ---- as text ----


def _lines(checked: Iterable[_Checked]) -> Iterator[str]:
    for one in checked:
        for finding in one.findings:
            on = f" [{', '.join(arch.table for arch in finding.arches)}]" if finding.arches else ""
            yield from _wrapped(f"{place(finding.origin, one.word)}: {finding.rule}: {finding.text}{on}", "")
            yield from _wrapped(f"hint: {finding.hint}", "    ")
        for names in one.two_names:
            yield from _wrapped(f"{place(names.origin, one.word)}: {machine.two_names_text(names)}", "")
        count = len(one.findings)
        yield f"{one.word}: {count or 'no'} {'finding' if count == 1 else 'findings'}"


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


def _as_json(checked: Iterable[_Checked]) -> dict[str, Any]:
    return {
        "schema": 1,
        "policies": [
            {
                "policy": one.word,
                "findings": [_finding_as_json(finding) for finding in one.findings],
                "two-names": [machine.two_names_as_json(names) for names in one.two_names],
            }
            for one in checked
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
