"""
What a program may be told of a refusal: which rule it was and why, and what would have been allowed.

What it is not: all that is known.  The program learns nothing of where a policy stands, nothing of rules that
are not about what it asked for, and of what is hidden not even that anything was refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from monitor.abi.arch import Arch
from monitor.origin import NOWHERE, Origin
from monitor.policy import action as actions
from monitor.policy.deciders import Deciders, PathTable, Resolve, deciders
from monitor.policy.model import Policy, Rule
from monitor.policy.paths import PathPattern

MOST: Final = 16
"""How many patterns or conditions are told."""


class Telling(NamedTuple):
    """
    What is told of one refusal.

    Attributes:
        rule: the key of the rule in its policy: ``syscalls[2]``, ``files.deny[0]``, ``files``.
        reason: what its author has written beside it, or nothing.
        condition: on which registers it depends; None: on none.
        allowed: names without stars under which the same access is allowed, or conditions on registers under
            which other rules of the same policy let the call run; not all of them, and a hint only.
        more: how many further ones there are.
    """

    rule: str
    reason: str
    condition: str | None = None
    allowed: Sequence[str] = ()
    more: int = 0


class Teller:
    """What may be told of the refusals of one policy."""

    def __init__(self, policy: Policy, resolve: Resolve) -> None:
        """Prepare nothing yet; *resolve* is that of ``deciders``."""
        self.policy = policy
        self._resolve = resolve
        self._made: Deciders | None = None
        self._allowed: dict[str, Sequence[str]] = {}

    def of_call(self, origin: Origin, arch: Arch | None, name: str) -> Telling | None:
        """Return what is told of a rule about the registers of call *name*; None: it is no rule of the policy."""
        if origin == NOWHERE:
            return None
        for layer in self.policy.layers():
            if origin == Origin(layer.name, key="default"):
                return _cut(Telling("default", "", None, list(_conditions(layer, None, arch, name))))
            for rule in layer.all_rules():
                if rule.origin == origin:
                    found = list(_conditions(layer, rule, arch, name))
                    return _cut(Telling(origin.key, rule.reason, _condition(rule), found))
        return None

    def of_path(self, origin: Origin, access: str) -> Telling | None:
        """Return what is told of a rule about *access* to a name; None: it is no rule of the policy."""
        if origin == NOWHERE:
            return None
        for table in self._deciders.about(access):
            if origin == table.origin:
                return _cut(Telling(f"{origin.key}.otherwise", "", None, self._allowing(access)))
            for rule in table.table.rules:
                if origin == rule.origin or any(origin == pattern.origin for pattern in rule.paths.patterns):
                    return _cut(Telling(origin.key, rule.reason, None, self._allowing(access)))
        return None

    @property
    def _deciders(self) -> Deciders:
        if self._made is None:
            self._made = deciders(self.policy, self._resolve)
        return self._made

    def _allowing(self, access: str) -> Sequence[str]:
        """Return the patterns without stars that allow *access*, and that nothing else refuses or hides."""
        found = self._allowed.get(access)
        if found is None:
            written = {
                pattern.head: str(pattern)
                for table in self._deciders.about(access)
                for pattern in _literal_patterns(table, access)
            }
            found = self._allowed[access] = [text for name, text in written.items() if self._allows(access, name)]
        return found

    def _allows(self, access: str, name: bytes) -> bool:
        decided = self._deciders.path(access, name, directory=False)
        return decided is not None and isinstance(decided.decision.action, actions.Allow)


def _literal_patterns(table: PathTable, access: str) -> Iterator[PathPattern]:
    for rule in table.own_rules:
        if isinstance(rule.action, actions.Allow) and access in rule.access:
            yield from (one for one in rule.paths.patterns if one.is_literal and not one.carves_out)


def _conditions(layer: Policy, refusing: Rule | None, arch: Arch | None, name: str) -> Iterator[str]:
    """Yield the conditions under which rules of *layer* besides the *refusing* one let call *name* run."""
    for rule in layer.all_rules():
        if rule is refusing or actions.is_refusal(rule.action) or arch is None or name not in rule.calls(arch):
            continue
        condition = _condition(rule)
        if condition is not None:
            yield condition


def _condition(rule: Rule) -> str | None:
    return None if rule.when is None else rule.when.source


def _cut(telling: Telling) -> Telling:
    return telling._replace(allowed=tuple(telling.allowed[:MOST]), more=max(0, len(telling.allowed) - MOST))
