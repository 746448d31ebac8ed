"""
From how each number is decided to ranges of numbers that are decided alike.

What it is not: the search for the range (``tree``), or what a number means.  Every one of the 2^32
numbers that can come with an audit value is in exactly one range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from monitor.abi.arch import Arch
from monitor.origin import NOWHERE
from monitor.policy.action import rank
from monitor.policy.decisions import Decided
from monitor.policy.diagram import Node
from monitor.policy.layout import shown
from monitor.policy.model import Policy, Rule
from monitor.policy.numbers import spans
from monitor.policy.table import Chain

Behind: TypeAlias = Rule | Policy
"""What stands behind an instruction: a rule, or a policy with its default."""


_NAMED: Final = 3
"""How many calls of a rule without a place are named."""


def described(behind: Behind) -> str:
    """Return a few words for a rule or a default: where it stands, or what it is about."""
    if isinstance(behind, Policy):
        return f"the default of {shown(behind.name)}"
    if behind.origin != NOWHERE:
        return str(behind.origin)
    return "the rule for " + ", ".join(behind.names[:_NAMED]) + (", ..." if len(behind.names) > _NAMED else "")


class Segment(NamedTuple):
    """
    Numbers that are decided alike, from *first* up to the next segment's.

    Attributes:
        first: the lowest of the numbers.
        node: how they are decided.
        behind: the rules, and the policies by their defaults, for which they are.
    """

    first: int
    node: Node
    behind: tuple[Behind, ...]


def segments(audit_value: int, decided: Iterable[Decided], elsewhere: Segment) -> list[Segment]:
    """
    Return what happens to each number that comes with *audit_value*: no gap, no two alike in a row.

    *decided* are the ABIs for which the program is made; *elsewhere* is what happens to calls of others.
    """
    by_arch = {each.arch: each for each in decided}
    found: list[Segment] = []
    for arch in Arch:
        if arch.audit_value == audit_value:
            found += _of_arch(by_arch[arch]) if arch in by_arch else _of_other_arch(arch, elsewhere)
    return _merged(sorted(found, key=lambda segment: segment.first))


def _of_other_arch(arch: Arch, elsewhere: Segment) -> Iterator[Segment]:
    for span in spans(arch):
        yield elsewhere._replace(first=span.start)


def _of_arch(decided: Decided) -> Iterator[Segment]:
    """Yield the segments of one ABI, neighbours alike or not."""
    numbers = sorted(decided.nodes)
    default_behind = _behind(decided.table.unnamed)
    known: dict[tuple[int, ...], tuple[Behind, ...]] = {}
    for span in spans(decided.arch):
        following = span.start
        for nr in numbers:
            if nr not in span:
                continue
            if nr != following:
                yield Segment(following, decided.default, default_behind)
            chains = decided.chains(nr)
            key = tuple(map(id, chains))  # calls about which the same is said have the same chains
            if key not in known:
                known[key] = _behind(chains)
            yield Segment(nr, decided.nodes[nr], known[key])
            following = nr + 1
        if following in span:
            yield Segment(following, decided.default, default_behind)


def _behind(chains: Sequence[Chain]) -> tuple[Behind, ...]:
    """Return for which rules a call is decided about which the layers say *chains*."""
    if all(len(chain) == 1 for chain in chains):
        decision = max((chain[0].decision for chain in chains), key=lambda decision: rank(decision.action))
        return (decision.rule or decision.policy,)
    return tuple(one.decision.rule for chain in chains for one in chain if one.decision.rule is not None)


def _merged(found: Iterable[Segment]) -> list[Segment]:
    """Return the same with neighbours that are decided alike as one."""
    result: list[Segment] = []
    behind: dict[int, Behind] = {}
    for segment in found:
        if result and result[-1].node is segment.node:
            behind |= {id(one): one for one in segment.behind}
            continue
        _complete(result, behind)
        result.append(segment)
        behind = {id(one): one for one in segment.behind}
    _complete(result, behind)
    return result


def _complete(result: list[Segment], behind: dict[int, Behind]) -> None:
    if result:
        result[-1] = result[-1]._replace(behind=tuple(behind.values()))
