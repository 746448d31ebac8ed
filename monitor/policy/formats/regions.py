"""
What a policy says about one call, all layers together, in a form that formats without an order can take.

What it is not: a format.  First a list of conditions and actions of which the first that holds counts;
then clauses of which at most one action ever holds, whatever the order in which they are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias, assert_never

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.policy.action import Action, rank
from monitor.policy.condition import ALWAYS, AllOf, AnyOf, Condition, Not, Test, negation, positive
from monitor.policy.model import Policy, Rule

MAX_CLAUSES: Final = 512
"""Per call: more than anybody wants to read, or libseccomp to sort."""


class Case(NamedTuple):
    """A condition, the action where it holds, and the rule that says so; None: a default."""

    condition: Condition
    action: Action
    rule: Rule | None


Cases: TypeAlias = tuple[Case, ...]

Clause: TypeAlias = tuple[Test, ...]
"""Tests that must all hold."""


class TooManyClausesError(Exception):
    """The conditions of a call are too many to be written without an order."""


def cases_of(policy: Policy, arch: Arch, name: str) -> Cases:
    """Return what all layers of *policy* say about call *name* of *arch*; the last case is for whatever is left."""
    result: Cases = ()
    for layer in policy.layers():
        own = _own_cases(layer, arch, name)
        result = _combined(result, own) if result else own
    return result


def _own_cases(layer: Policy, arch: Arch, name: str) -> Cases:
    if layer.arches is not None and arch not in layer.arches:
        return (Case(ALWAYS, layer.decide_elsewhere().action, None),)
    found: list[Case] = []
    for rule in layer.all_rules():
        if name in rule.calls(arch):
            condition = rule.condition(arch, name)
            found.append(Case(ALWAYS if condition is None else positive(condition), rule.action_for(name), rule))
            if condition is None:
                return tuple(found)
    nr = number_of(arch, name)
    assert nr is not None  # the caller took the name from the table
    return (*found, Case(ALWAYS, layer.default_for(arch, nr), None))


def _combined(one: Cases, other: Cases) -> Cases:
    """
    Return what two layers say together: of two actions the more restrictive, of equal ones the first.

    In the order of pairs the first that holds is the first case of *one* with the first of *other*.
    """
    if len(one) * len(other) > MAX_CLAUSES:
        raise TooManyClausesError
    pairs = [
        Case(_both(mine.condition, its.condition), mine.action, mine.rule)
        if rank(mine.action) >= rank(its.action)
        else Case(_both(mine.condition, its.condition), its.action, its.rule)
        for mine in one
        for its in other
    ]
    # What stands behind a condition that always holds is never reached.
    end = next(index for index, case in enumerate(pairs) if case.condition == ALWAYS)
    pairs = pairs[: end + 1]
    while len(pairs) > 1 and pairs[-2].action == pairs[-1].action:
        del pairs[-2]
    return tuple(pairs)


def _both(one: Condition, other: Condition) -> Condition:
    parts = tuple(part for part in (one, other) if part != ALWAYS)
    return parts[0] if len(parts) == 1 else AllOf(parts)


def clauses_of(cases: Cases, default: Action) -> Iterator[tuple[Action, Clause]]:
    """
    Yield clauses that say the same as *cases* in any order; where none holds, *default* is meant.

    Raises:
        TooManyClausesError: there would be more than ``MAX_CLAUSES``.
    """
    if len({case.action for case in cases} - {default}) <= 1 and cases[-1].action == default:
        # One action and the default: where a case of the default shields nothing, any order is as good as theirs.
        first_default = next(index for index, case in enumerate(cases) if case.action == default)
        if all(case.action == default for case in cases[first_default:]):
            for case in cases[:first_default]:
                yield from ((case.action, clause) for clause in alternatives(case.condition))
            return
    for index, case in enumerate(cases):
        if case.action != default:
            others = tuple(negation(earlier.condition) for earlier in cases[:index] if earlier.action != case.action)
            for clause in alternatives(AllOf((*others, case.condition))):
                yield case.action, clause


def alternatives(condition: Condition) -> Sequence[Clause]:
    """
    Return clauses of which one holds exactly where *condition* does.

    Raises:
        TooManyClausesError: there would be more than ``MAX_CLAUSES``.
    """
    match condition:
        case Test():
            return [(condition,)]
        case AnyOf(parts):
            result = [clause for part in parts for clause in alternatives(part)]
        case AllOf(parts):
            result = [()]
            for part in parts:
                result = [(*before, *clause) for before in result for clause in alternatives(part)]
                if len(result) > MAX_CLAUSES:
                    raise TooManyClausesError
        case Not(part):
            return alternatives(negation(part))
        case _:
            assert_never(condition)
    if len(result) > MAX_CLAUSES:
        raise TooManyClausesError
    return result
