"""
What two policies answer differently: every call of each ABI, and every case of it.

What it is not: printed (``cli.diff``), or why either says what it says (``explain``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from monitor.abi.arch import Arch
from monitor.abi.syscalls import call_table
from monitor.policy.action import Action
from monitor.policy.cases import Cases, cases_of
from monitor.policy.explain import Heard
from monitor.policy.model import Decision, Policy
from monitor.policy.table import Chain, table_of


class Difference(NamedTuple):
    """
    A call that two policies answer differently.

    Attributes:
        arch: the ABI.
        call: the name; None for all numbers without one.
        before: what the first says.
        after: what the second says.
        always: whether they do in every case.
        example: registers with which they do.
    """

    arch: Arch
    call: str | None
    before: Decision
    after: Decision
    always: bool
    example: Sequence[int]


def diff(first: Policy, second: Policy, arches: Iterable[Arch] = Arch) -> Iterator[Difference]:
    """
    Yield what *second* answers differently from *first*: every number of each ABI, and every case of it.

    There is one for each pair of answers to a call, numbers in their order, those without a name last.

    Raises:
        PolicyError: a condition names an argument that a call has not.
    """
    for arch in arches:
        before, after = table_of(first, arch), table_of(second, arch)
        for nr, name in sorted(call_table(arch).items()):
            yield from _differences(arch, name, before.calls[nr], after.calls[nr])
        yield from _differences(arch, None, before.unnamed, after.unnamed)


def _differences(arch: Arch, name: str | None, before: Iterable[Chain], after: Iterable[Chain]) -> Iterator[Difference]:
    heard = Heard()
    pairs: Cases[tuple[int, int]] = Cases()
    found = cases_of(pairs.joined(heard.layers(before), heard.layers(after), lambda one, other: (one, other)))
    by_actions: dict[tuple[Action, Action], Difference] = {}
    every = [(heard.decisions[one], heard.decisions[other], example) for (one, other), example in found]
    alone = len({(one.action, other.action) for one, other, _ in every}) == 1
    for one, other, example in every:
        if one.action != other.action:
            difference = Difference(arch, name, one, other, alone, example)
            by_actions.setdefault((one.action, other.action), difference)
    yield from by_actions.values()
