"""
What ``why`` prints about a path or an address: as lines, and for JSON.

What it is not: the answer; that is ``policy.asked``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from monitor.policy.asked import Asked, Case
from monitor.policy.base_set import is_base
from monitor.policy.deciders import NetworkDecision, PathDecision, PathTable
from monitor.policy.files import FileAction, Hide
from monitor.policy.layout import shown
from monitor.policy.spelling import keys_of

_WIDTH: Final = 96


def file_action_keys(action: FileAction) -> Mapping[str, object]:
    """Return the keys that spell *action* in a policy."""
    return {"action": "hide"} if isinstance(action, Hide) else keys_of(action)


def file_action_text(action: FileAction) -> str:
    """Return *action* in a few words: ``deny EACCES``, ``hide``."""
    return " ".join(str(value) for key, value in file_action_keys(action).items() if key != "parameters")


# ---- as text ----


def lines(asked: Asked) -> Iterator[str]:
    """Yield what is said about one path or address."""
    grouped = _grouped(asked.cases)
    actions = list(dict.fromkeys(_action_text(cases[0]) for cases in grouped))
    outcome = actions[0] if len(actions) == 1 else "depends on what is done to it"
    yield f"{asked.what} {shown(asked.name)}: {outcome if actions else 'not asked about'}"
    if not actions:
        yield "  with these flags nothing is done to it; what is done through the descriptor is asked about then"
    for cases in grouped:
        yield from _case_lines(cases, alone=len(grouped) == 1)
    if asked.tried:
        yield "patterns tried:"
        yield from _tried_lines(asked)


def _grouped(cases: Iterable[Case]) -> list[list[Case]]:
    """Return the cases about which the same is decided, together."""
    groups: dict[object, list[Case]] = {}
    for case in cases:
        decided = case.decided
        key = decided and (id(decided.by), id(decided.decision.pattern), decided.decision.action)
        passing = case.passing and (id(case.passing.pattern), case.passing.action)
        groups.setdefault((key, passing), []).append(case)
    return list(groups.values())


def _action_text(case: Case) -> str:
    return "allow" if case.decided is None else file_action_text(case.decided.decision.action)


def _case_lines(cases: list[Case], *, alone: bool) -> Iterator[str]:
    certain = [case.access for case in cases if case.certain]
    possible = [case.access for case in cases if not case.certain]
    kinds = "; ".join(
        part for part in (", ".join(certain), f"perhaps {', '.join(possible)}" if possible else "") if part
    )
    action = "" if alone else f"{_action_text(cases[0])} "
    yield from _wrapped(f"{action}for {kinds}: {_by(cases[0].decided)}", "  ")
    passing = cases[0].passing
    if passing is not None:
        pattern = (
            "" if passing.pattern is None else f", since {shown(passing.pattern.text)} may lie below ({passing.origin})"
        )
        yield from _wrapped(f"{file_action_text(passing.action)} if it is a directory{pattern}", "    ")


def _by(decided: PathDecision | NetworkDecision | None) -> str:
    if decided is None:
        return "no table is asked"
    layer, decision = shown(decided.by.layer.name), decided.decision
    if decision.pattern is None or decision.rule is None:
        where = "" if not decided.by.origin.file else f" ({decided.by.origin})"
        return f"by otherwise of [{_table(decided)}] of {layer}{where}"
    if is_base(decision.origin):
        return f"by {decision.pattern} of the {decision.origin} of {layer}"
    reason = f": {shown(decision.rule.reason)}" if decision.rule.reason else ""
    listed = decision.rule.origin.key or f"[{_table(decided)}]"
    return f"by {shown(decision.pattern.text)} of {listed} of {layer} ({decision.origin}){reason}"


def _table(decided: PathDecision | NetworkDecision) -> str:
    return decided.by.name if isinstance(decided.by, PathTable) else "network"


def _tried_lines(asked: Asked) -> Iterator[str]:
    every = {case.access for case in asked.cases}
    layers = len({id(tried.by.layer) for tried in asked.tried})
    for tried in asked.tried:
        layer = f"{shown(tried.by.layer.name)}: " if layers > 1 else ""
        about = "" if set(tried.access) >= every else f", about {', '.join(tried.access)}"
        action = "" if tried.pattern.carves_out else f"{file_action_text(tried.rule.action)} "
        text = f"{tried.outcome:14}  {layer}{tried.pattern.origin}: {action}{shown(tried.pattern.text)}{about}"
        yield from _wrapped(text, "  ", " " * 18)
    if asked.others:
        yield f"  {'does not match':14}  {asked.others} {'other' if asked.others == 1 else 'others'}"


def _wrapped(text: str, first: str, rest: str | None = None) -> Iterator[str]:
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=first + "  " if rest is None else rest,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def moving_lines(asked: Iterable[Asked]) -> Iterator[str]:
    """Yield what tables do not say of names that move."""
    if any(case.access.startswith(("rename-", "link-")) for one in asked for case in one.cases):
        yield "besides, no name gains rights by moving: where it would, the call fails with EXDEV"


# ---- as JSON ----


def as_json(asked: Asked) -> dict[str, Any]:
    """Return the same as a JSON object."""
    return {
        "argument": asked.what,
        "name": asked.name,
        "allowed": asked.allowed,
        "answers": [_case_as_json(case) for case in asked.cases],
        "tried": [
            {
                "layer": tried.by.layer.name,
                "pattern": str(tried.pattern),
                **_place_as_json(tried.pattern.origin.file, tried.pattern.origin.line, tried.pattern.origin.key),
                **file_action_keys(tried.rule.action),
                "outcome": tried.outcome,
                "access": list(tried.access),
            }
            for tried in asked.tried
        ],
        "others": asked.others,
    }


def _case_as_json(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = {"access": case.access, "certain": case.certain, "allowed": case.allowed}
    if case.decided is None:
        return {**found, "table": None}
    decision = case.decided.decision
    passing = case.passing
    return {
        **found,
        **file_action_keys(decision.action),
        "table": _table(case.decided),
        "layer": case.decided.by.layer.name,
        "pattern": None if decision.pattern is None else str(decision.pattern),
        **_place_as_json(decision.origin.file, decision.origin.line, decision.origin.key),
        "reason": "" if decision.rule is None else decision.rule.reason,
        "directory": None if passing is None else file_action_keys(passing.action),
    }


def _place_as_json(file: str, line: int, key: str) -> dict[str, Any]:
    return {"file": file, "line": line, "key": key}
