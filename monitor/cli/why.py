"""
``seccomp-monitor why``: which rule of a policy decides about a call, and what would let it run.

What it is not: the answer; that is ``policy.explain``.

The exit status is 0 when the call runs in every case that was asked about, and the tables allow what
it is used on, 1 when it may not.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from monitor.abi.arch import Arch
from monitor.cli import answers, machine
from monitor.cli.policies import (
    ARCH_NAMES,
    Given,
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
from monitor.policy import tables
from monitor.policy.action import Deny
from monitor.policy.asked import Asked, NamedPath, named_path
from monitor.policy.asked import address as asked_address
from monitor.policy.asked import paths as asked_paths
from monitor.policy.deciders import deciders
from monitor.policy.explain import Answer, Explanation, Ground, Remedy, registers, why
from monitor.policy.layout import block, shown
from monitor.policy.model import FALLBACKS, Policy
from monitor.policy.ranges import described
from monitor.policy.shipped import PREFIX
from monitor.policy.spelling import keys_of
from monitor.policy.writing import rule_keys

_WIDTH: Final = 96

_MATCH_WORDS: Final = {"yes": "matches", "no": "does not match", "depends": "may match"}


@click.command("why")
@click.argument("policy")
@click.argument("call")
@click.option("--arch", type=ARCH_NAMES, help="The ABI; default: this machine's own.")
@click.option("--arg", "arguments", multiple=True, metavar="N=V", help="An argument by name or index: domain=AF_INET.")
@click.option("--path", "paths", multiple=True, metavar="NAME", help="A canonical path, also as newpath=NAME.")
@click.option("--access", multiple=True, metavar="CLASS", help="What is done to the path: read; default: by the call.")
@click.option("--address", "addresses", multiple=True, metavar="ADDR", help="tcp://127.0.0.1:80, [::1]:443, unix:/x.")
@click.option("--known-as", "names", multiple=True, metavar="HOST", help="A host name that the address is known by.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@answering
@about_policies
def command(  # noqa: PLR0913  # one for each option
    *,
    policy: str,
    call: str,
    arch: str | None,
    arguments: tuple[str, ...],
    paths: tuple[str, ...],
    access: tuple[str, ...],
    addresses: tuple[str, ...],
    names: tuple[str, ...],
    as_json: bool,
    surroundings: Surroundings,
) -> int:
    """
    Say which rule of POLICY decides about CALL, which were tried, and the least that would let it run.

    With --path or --address also what its tables say about what the call is used on.
    """
    if access and not paths:
        message = "--access says what is done to a --path, and there is none"
        raise click.UsageError(message)
    if names and not addresses:
        message = "--known-as says how an --address is called, and there is none"
        raise click.UsageError(message)
    given = load(policy, surroundings)
    abi = Arch.native() if arch is None else arches_named([arch])[0]
    explanation = why(given.policy, abi, call, arguments)
    asked = list(_asked(explanation, [named_path(path) for path in paths], access, addresses, names))
    if as_json:
        click.echo(json.dumps(_as_json(explanation, asked), indent=1))
    else:
        click.echo("\n".join(_lines(explanation, given, asked)))
    return 0 if explanation.always_runs and all(one.allowed for one in asked) else 1


def _asked(
    explanation: Explanation,
    paths: Sequence[NamedPath],
    access: Sequence[str],
    addresses: Sequence[str],
    names: Sequence[str],
) -> Iterator[Asked]:
    """Yield what the tables say; links are followed as they are on this machine."""
    if not paths and not addresses:
        return
    decides = deciders(explanation.policy, machine.resolve)
    known = registers(explanation.arch, explanation.call, explanation.given)
    yield from asked_paths(decides, explanation.arch, explanation.call, known, paths, access)
    for address in addresses:
        yield from asked_address(decides, explanation.call, address, names)


# ---- as text ----


def _lines(explanation: Explanation, given: Given, asked: Sequence[Asked]) -> Iterator[str]:
    actions = list(dict.fromkeys(action_text(answer.decision.action) for answer in explanation.answers))
    outcome = actions[0] if len(actions) == 1 else "depends on its arguments"
    yield f"{_call_text(explanation)}: {outcome}"
    width = max(map(len, actions))
    for answer in explanation.answers:
        if len(explanation.answers) == 1:
            yield from _wrapped(f"by {by_text(answer, explanation)}", "  ")
        else:
            example = arguments_text(explanation.arch, explanation.call, answer.example)
            text = (
                f"{action_text(answer.decision.action):{width}}  by {by_text(answer, explanation)}, as with {example}"
            )
            yield from _wrapped(text, "  ", " " * (width + 4))
    yield from tried_lines(explanation)
    for remedy in explanation.remedies:
        yield from _remedy_lines(remedy, explanation, given)
    if not asked:
        yield from _table_lines(explanation.policy)
    for one in asked:
        yield from answers.lines(one)
    yield from answers.moving_lines(asked)


def _call_text(explanation: Explanation) -> str:
    name = "a call without a name" if explanation.call is None else explanation.call
    given = "".join(f", {text}" for text in explanation.given)
    return (
        f"{name} on {explanation.arch.table} (number {explanation.nr:#x}){given}"
        if (explanation.call is None or explanation.arch.nr_bit)
        else f"{name} on {explanation.arch.table} (number {explanation.nr}){given}"
    )


def by_text(answer: Answer, explanation: Explanation) -> str:
    """Return which rule of which layer decides, and why it is there."""
    decision = answer.decision
    layer = shown(decision.policy.name)
    match answer.ground:
        case Ground.RULE:
            text = decision_text(decision)
            if decision.rule is not None and decision.rule.reason:
                text += f" ({shown(decision.rule.reason)})"
        case Ground.DEFAULT:
            text = f"the default of {layer}: no rule names it" if not explanation.tried else f"the default of {layer}"
        case Ground.KNOWN_AS_OF:
            version = ".".join(map(str, decision.policy.known_as_of or ()))
            what = "no call that the tables know" if explanation.call is None else "newer than that"
            text = f"known-as-of = {version} of {layer}: {what}"
        case Ground.OTHER_ARCH:
            text = f"{layer}, which has no rules for {explanation.arch.table}"
    if _is_fallback(answer, explanation):
        text += "; ENOSYS, since a libc does without this call then"
    return text


def _is_fallback(answer: Answer, explanation: Explanation) -> bool:
    written = answer.decision.policy.default if answer.decision.rule is None else answer.decision.rule.action
    return (
        explanation.call in FALLBACKS
        and answer.ground in {Ground.RULE, Ground.DEFAULT}
        and isinstance(written, Deny)
        and answer.decision.action != written
    )


def tried_lines(explanation: Explanation) -> Iterator[str]:
    """Yield the rules about the call that were looked at."""
    if not explanation.tried:
        return
    yield "rules tried:"
    layers = len({id(tried.policy) for tried in explanation.tried})
    for tried in explanation.tried:
        where = f"{shown(tried.policy.name)}: " if layers > 1 else ""
        when = "" if tried.rule.when is None else f" when {tried.rule.when.source}"
        action = action_text(tried.rule.action)
        text = f"{_MATCH_WORDS[tried.matches]:14}  {where}{described(tried.rule)}: {action}{when}"
        yield from _wrapped(text, "  ", " " * 18)


def _remedy_lines(remedy: Remedy, explanation: Explanation, given: Given) -> Iterator[str]:
    layer = remedy.policy
    where = place(layer.origin, layer.name)
    if remedy.rule is None:
        if remedy.ground is Ground.OTHER_ARCH:
            yield f"to let it run, {where} has to name {explanation.arch.table} in arches"
        else:
            yield f"no rule can name it; to let it run, {where} needs another default or known-as-of"
        return
    before = _where_to_stand(remedy)
    if where.startswith(PREFIX):
        yield from _wrapped(f"to let it run, write a policy that extends {where}, with:", "")
    else:
        yield from _wrapped(f"to let it run, write into {where}{before}:", "")
    yield from textwrap.indent(block("[[syscalls]]", rule_keys(remedy.rule)).rstrip(), "  ").splitlines()
    if given.foreign and layer is given.policy:
        yield "  (as a policy of our own; convert makes one of it)"


def _where_to_stand(remedy: Remedy) -> str:
    if remedy.before is None:
        return ""
    gone = " and ".join(map(described, remedy.replaces))
    if remedy.before in remedy.replaces[:1]:
        return f", in the place of {gone}"
    return f", before {described(remedy.before)}" + (f" and without {gone}" if gone else "")


def _table_lines(policy: Policy) -> Iterator[str]:
    names = sorted({name for layer in policy.layers() for name in _tables_of(layer)})
    options = [option for option, about in _ASKING.items() if about & {*names}]
    if names:
        how = f"; ask with {' or '.join(options)}" if options else "; that is not asked here"
        yield f"besides, {', '.join(f'[{name}]' for name in names)} decides about what calls are used on{how}"


_ASKING: Final = {"--path NAME": {"files", "exec"}, "--address ADDR": {"network"}}


def _tables_of(layer: Policy) -> Iterator[str]:
    extending: Policy | None = layer
    while extending is not None:
        yield from tables.of(extending)
        extending = extending.extends


def _wrapped(text: str, first: str, rest: str | None = None) -> Iterator[str]:
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=first + "  " if rest is None else rest,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


# ---- as JSON ----


def _as_json(explanation: Explanation, asked: Sequence[Asked]) -> dict[str, Any]:
    return {
        "schema": 1,
        "policy": explanation.policy.name,
        "arch": explanation.arch.table,
        "call": explanation.call,
        "nr": explanation.nr,
        "given": list(explanation.given),
        "runs": explanation.always_runs,
        "answers": [_answer_as_json(answer) for answer in explanation.answers],
        "tried": [
            {
                "layer": tried.policy.name,
                "rule": str(tried.rule.origin),
                "matches": tried.matches,
                **keys_of(tried.rule.action),
                "when": None if tried.rule.when is None else tried.rule.when.source,
            }
            for tried in explanation.tried
        ],
        "remedies": [
            {
                "layer": remedy.policy.name,
                "file": remedy.policy.origin.file,
                "ground": remedy.ground.value,
                "before": None if remedy.before is None else str(remedy.before.origin),
                "replaces": [str(gone.origin) for gone in remedy.replaces],
                "rule": None if remedy.rule is None else rule_keys(remedy.rule),
            }
            for remedy in explanation.remedies
        ],
        "tables": sorted({name for layer in explanation.policy.layers() for name in _tables_of(layer)}),
        "asked": [answers.as_json(one) for one in asked],
    }


def _answer_as_json(answer: Answer) -> dict[str, Any]:
    rule = answer.decision.rule
    return {
        **keys_of(answer.decision.action),
        "ground": answer.ground.value,
        "layer": answer.decision.policy.name,
        "rule": None if rule is None else str(rule.origin),
        "reason": "" if rule is None else rule.reason,
        "example": [f"{word:#x}" for word in answer.example],
    }
