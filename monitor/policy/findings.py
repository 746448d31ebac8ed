"""
What is wrong with a policy, as values, and a look at what it says of the calls of one ABI.

What it is not: what is looked for (``traps``, ``baits``, ``reach``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from errno import ENOSYS
from typing import Final

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names, number_of
from monitor.origin import NOWHERE, Origin
from monitor.policy.action import Action, Deny, KillProcess, KillThread, Trap
from monitor.policy.explain import Heard, Known, runs
from monitor.policy.model import Decision, Policy
from monitor.policy.spelling import keys_of
from monitor.policy.table import Chain, table_of


@frozen
class Finding:
    """
    Something wrong.

    Attributes:
        rule: the id of what is looked for: ``E-CLONE3``.
        text: what is wrong, in one sentence.
        hint: what to do about it.
        origin: where.
        arches: on which ABIs; empty: on all that the policy is for, or on none in particular.
    """

    rule: str
    text: str
    hint: str
    origin: Origin = NOWHERE
    arches: tuple[Arch, ...] = ()


class Look:
    """What a policy says about the calls of one ABI."""

    def __init__(self, policy: Policy, arch: Arch) -> None:
        """Read the whole table of *arch*."""
        self.arch = arch
        self.policy = policy
        self.table = table_of(policy, arch)
        self._answers: dict[str, list[Decision]] = {}

    def finding(self, rule: str, text: str, hint: str, decision: Decision) -> Finding:
        """Return a finding of this ABI, where *decision* was made."""
        origin = decision.policy.origin if decision.rule is None else decision.rule.origin
        return Finding(rule, text, hint, origin, (self.arch,))

    def has(self, call: str) -> bool:
        """Whether the ABI has it."""
        return call in names(self.arch)

    def chains(self, call: str) -> tuple[Chain, ...]:
        """Return what the layers say about it."""
        nr = number_of(self.arch, call)
        assert nr is not None  # has()
        return self.table.calls[nr]

    def answers(self, call: str, known: Known | None = None) -> list[Decision]:
        """Return what happens to it, in every case, or where registers are *known*; nothing for no call."""
        if not self.has(call):
            return []
        if known:
            return _answers(self.chains(call), known)
        if call not in self._answers:
            self._answers[call] = _answers(self.chains(call), {})
        return self._answers[call]

    def unnamed(self) -> list[Decision]:
        """Return what happens to a number that no call has."""
        return _answers(self.table.unnamed, {})

    def may_run(self, *calls: str) -> bool:
        """Whether one of *calls* runs, in some case."""
        return any(runs(decision.action) for call in calls for decision in self.answers(call))

    def misled(self, call: str) -> Decision | None:
        """Return what refuses it in a way from which no program learns that it is not there."""
        return next((decision for decision in self.answers(call) if misleads(decision.action)), None)


def _answers(chains: Iterable[Chain], known: Known) -> list[Decision]:
    heard = Heard(known)
    return [decision for decision, _ in heard.said(heard.layers(chains))]


def misleads(action: Action) -> bool:
    """Whether it refuses a call, and not as a kernel does that has no such call."""
    return isinstance(action, KillProcess | KillThread | Trap) or (isinstance(action, Deny) and action.errno != ENOSYS)


def said(action: Action) -> str:
    """Return *action* in a few words."""
    return " ".join(str(value) for key, value in keys_of(action).items() if key != "parameters")


_LISTED: Final = 6
"""Of how many words a list is shown."""


def listed(words: Sequence[str]) -> str:
    """Return the first of *words*, and how many more there are."""
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more
