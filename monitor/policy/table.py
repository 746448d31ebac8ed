"""
The decision table of one ABI: of each number exactly what each layer of a policy says about it.

What it is not: one answer.  What a layer says may depend on registers, and the layers may disagree;
``diagram`` makes one decision of it for a program, and ``routes`` for a supervisor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from monitor.abi.arch import NO_CALL, Arch
from monitor.abi.syscalls import call_table
from monitor.policy.action import Action
from monitor.policy.condition import Condition
from monitor.policy.model import Decision, Policy


class Alternative(NamedTuple):
    """
    What a layer says, where it says it.

    Attributes:
        condition: on which registers it depends; None: on none.
        decision: what happens.
    """

    condition: Condition | None
    decision: Decision


Chain: TypeAlias = tuple[Alternative, ...]
"""What one layer says about one call: the first that holds.  The last of them always does."""


def heard(chain: Chain, args: Sequence[int]) -> Decision:
    """Return what a layer says about a call with *args*."""
    return next(one.decision for one in chain if one.condition is None or one.condition.holds(args))


class Table(NamedTuple):
    """
    What is said about the calls of one ABI.

    Attributes:
        calls: number -> what each layer says, in the order of the layers.
        unnamed: the same for every number that no call of the tables has.
    """

    calls: Mapping[int, tuple[Chain, ...]]
    unnamed: tuple[Chain, ...]


def table_of(policy: Policy, arch: Arch) -> Table:
    """
    Return the table of *arch*.

    Raises:
        PolicyError: a condition names an argument that a call has not.
    """
    layers = list(policy.layers())
    chains = [_chains(layer, arch) for layer in layers]
    return Table(
        MappingProxyType({nr: tuple(of_layer[name] for of_layer in chains) for nr, name in call_table(arch).items()}),
        tuple((Alternative(None, layer.decide_alone(arch, NO_CALL, (0,) * 6)),) for layer in layers),
    )


def _chains(layer: Policy, arch: Arch) -> Mapping[str, Chain]:
    """Return what *layer* says about each call that *arch* has."""
    if layer.arches is not None and arch not in layer.arches:
        elsewhere = (Alternative(None, layer.decide_elsewhere()),)
        return dict.fromkeys(call_table(arch).values(), elsewhere)
    open_ended: dict[str, list[Alternative]] = {}
    closed: set[str] = set()
    for name, alternative in _alternatives(layer, arch, closed):
        open_ended.setdefault(name, []).append(alternative)
        if alternative.condition is None:
            closed.add(name)
    defaults = {
        # An equal action need not be the same one: parameters of 1 and true are equal.
        action: Alternative(None, Decision(layer.default if action == layer.default else action, None, layer))
        for action in _defaults(layer, arch)
    }
    # Calls about which the same is said get the same chain, so that it has to be looked at once.
    shared: dict[tuple[int, ...], Chain] = {}
    chains: dict[str, Chain] = {}
    for action, calls in _defaults(layer, arch).items():
        default = defaults[action]
        chains |= dict.fromkeys(calls, (default,))
        for name in calls & open_ended.keys() - closed:
            open_ended[name].append(default)
    for name, alternatives in open_ended.items():
        chains[name] = shared.setdefault(tuple(map(id, alternatives)), tuple(alternatives))
    return chains


def _defaults(layer: Policy, arch: Arch) -> Mapping[Action, frozenset[str]]:
    """Return what *layer* says about calls that no rule names, and which calls they are that it says it about."""
    bare = Policy("bare", layer.default, exact_errno=layer.exact_errno, known_as_of=layer.known_as_of)
    return _defaults_of(bare, arch)


@lru_cache(256)
def _defaults_of(layer: Policy, arch: Arch) -> Mapping[Action, frozenset[str]]:
    calls: dict[Action, set[str]] = {}
    for nr, name in call_table(arch).items():
        calls.setdefault(layer.default_for(arch, nr), set()).add(name)
    return MappingProxyType({action: frozenset(found) for action, found in calls.items()})


def _alternatives(layer: Policy, arch: Arch, closed: set[str]) -> Iterator[tuple[str, Alternative]]:
    """Yield what the rules say, in their order, about calls that no rule before has decided in any case."""
    for rule in layer.all_rules():
        alike: dict[tuple[Condition | None, Action], Alternative] = {}
        for name in rule.calls(arch) - closed:
            condition, action = rule.condition(arch, name), rule.action_for(name)
            alternative = Alternative(condition, Decision(action, rule, layer))
            yield name, alike.setdefault((condition, action), alternative)
