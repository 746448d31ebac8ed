"""
What makes no sense in a policy as a whole: rules that mean nothing, anywhere, or that nothing reaches.

What it is not: advice (``explain``).  What is refused here has no meaning at all, or is two rules
that contradict each other, of which the first wins and the second is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from monitor.abi.arch import Arch
from monitor.abi.groups import expand
from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy.beneath import refuse_allowing
from monitor.policy.model import Policy, Rule

Decided: TypeAlias = dict[tuple[Arch, str], Rule]
"""What an earlier rule says about a call of an ABI."""


def verify(policy: Policy) -> None:
    """
    Do nothing, if every rule of *policy*'s own can matter.

    Raises:
        PolicyError: a rule that no call can reach, or a condition that names what its calls have not.
    """
    refuse_allowing(policy)
    arches = sorted(policy.arches or Arch, key=list(Arch).index)
    always: Decided = {}
    conditional: dict[str, Decided] = {}
    for rule in policy.rules:
        calls = {(arch, name) for arch in arches for name in rule.calls(arch)}
        if not calls:
            raise _names_nothing(rule, arches)
        _bind(rule, calls)
        condition = "" if rule.when is None else str(rule.when)
        before = {**conditional.get(condition, {}), **always} if condition else always
        if calls <= before.keys():
            raise _never_reached(rule, before[min(calls, key=str)])
        decided = conditional.setdefault(condition, {}) if condition else always
        for call in calls:
            decided.setdefault(call, rule)


def _placed(message: str, origin: Origin) -> PolicyError:
    return PolicyError(message, None if origin == NOWHERE else origin)


def _names_nothing(rule: Rule, arches: Iterable[Arch]) -> PolicyError:
    here = [arch for arch in arches if rule.arches is None or arch in rule.arches]
    if not here:
        return _placed("its ABIs are none of those the policy is for", rule.origin)
    try:
        expand(rule.names, here[0], missing_ok=True)
    except PolicyError as error:
        return _placed(error.message, rule.origin)
    raise AssertionError(rule)  # rule.calls() found nothing, and so does expand()


def _bind(rule: Rule, calls: set[tuple[Arch, str]]) -> None:
    """Refuse a condition that one of *calls* cannot have: on any ABI, or on one that the rule names."""
    if rule.when is None:
        return
    failed: dict[str, PolicyError] = {}
    bound: set[str] = set()
    for arch, name in sorted(calls, key=lambda call: (call[1], list(Arch).index(call[0]))):
        try:
            rule.condition(arch, name)
        except PolicyError as error:
            if rule.arches is not None:
                raise
            failed.setdefault(name, error)
        else:
            bound.add(name)
    for name, complaint in failed.items():
        if name not in bound:
            raise complaint


def _never_reached(rule: Rule, earlier: Rule) -> PolicyError:
    where = "" if earlier.origin == NOWHERE else f" ({earlier.origin})"
    if rule.action == earlier.action:
        return _placed(f"says again what an earlier rule{where} says; it can never match", rule.origin)
    return _placed(f"contradicts an earlier rule{where}, and the first match wins; it can never match", rule.origin)
