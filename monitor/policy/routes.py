"""
Routes: what the supervisor has to decide about a call of which BPF could only say "notified".

What it is not: an answer, or a handler.  A route knows what each layer says about one call, with the
conditions bound to its registers, so that ``decide`` is ``Policy.decide`` without the search.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from attrs import Factory, field, frozen

from monitor.abi.arch import Arch
from monitor.abi.syscalls import name_of
from monitor.policy.action import Allow, rank
from monitor.policy.answers import NOTIFY, elsewhere, standing_of
from monitor.policy.bpf import WORD_MASK
from monitor.policy.decisions import Decided
from monitor.policy.diagram import Node, ends
from monitor.policy.model import Decision, Policy
from monitor.policy.numbers import EVERY, Numbers, owner
from monitor.policy.table import Alternative, Chain, heard


def _always(route: Route) -> Decision | None:
    """Return what is said whatever the registers hold, where nothing depends on them; most calls are decided so."""
    if any(len(chain) > 1 for chain in route.chains):
        return None
    return max((chain[0].decision for chain in route.chains), key=lambda decision: rank(decision.action))


@frozen
class Route:
    """
    What the supervisor has to do with one call of one ABI.

    Attributes:
        arch: the ABI; None for calls of ABIs for which the program was not made.
        name: the call; None for numbers that have no name in the tables.
        notified: whether the program notifies it, or some uses of it.
        wanted: whether a handler asked to see it.
        chains: what each layer says about it, in their order.
        alone: whether the program decides some uses of it without us.
        always: what is said whatever the registers hold; None: that depends on them.
    """

    arch: Arch | None
    name: str | None
    notified: bool
    wanted: bool
    chains: tuple[Chain, ...]
    alone: bool = True
    always: Decision | None = field(init=False, eq=False, repr=False, default=Factory(_always, takes_self=True))

    def decide(self, args: Sequence[int]) -> Decision:
        """Return what the policy says about the call with *args*, six unsigned 64-bit words."""
        if self.always is not None:
            return self.always
        return max(self.decisions(args), key=lambda decision: rank(decision.action))  # of equals the first

    def decisions(self, args: Sequence[int]) -> tuple[Decision, ...]:
        """Return what each layer says, in their order."""
        return tuple(heard(chain, args) for chain in self.chains)


def _known(given: Mapping[tuple[Arch, int], Route]) -> Mapping[tuple[Arch, int], Route]:
    return MappingProxyType(dict(given))


def _others(given: Mapping[Arch, Route]) -> Mapping[Arch, Route]:
    return MappingProxyType(dict(given))


@frozen
class Routes:
    """
    The route of every call.

    Attributes:
        known: by ABI and number, with x32's bit for x32.
        others: by ABI, for all numbers that are not in *known*.
        elsewhere: for calls of ABIs for which the program was not made.
        observe: whether nothing is refused: then the routes say what would have been.
        refusals: whether the program leaves to us what we can refuse as well as it.
    """

    known: Mapping[tuple[Arch, int], Route] = field(converter=_known, hash=False)
    others: Mapping[Arch, Route] = field(converter=_others, hash=False)
    elsewhere: Route
    observe: bool
    refusals: bool = False

    def always_allowed(self) -> frozenset[tuple[int, int]]:
        """Return the calls (``AUDIT_ARCH_*``, number) that are notified, and allowed whatever their registers hold."""
        return frozenset(
            (arch.audit_value, number)
            for (arch, number), route in self.known.items()
            if route.notified and route.always is not None and isinstance(route.always.action, Allow)
        )

    def of(self, audit_value: int, nr: int) -> Route:
        """Return the route of a call from the two fields of ``struct seccomp_data`` that tell it."""
        arch = owner(audit_value, nr & WORD_MASK)
        if arch is None or arch not in self.others:
            return self.elsewhere
        return self.known.get((arch, nr & WORD_MASK)) or self.others[arch]


def routes_of(
    policy: Policy,
    decided: Iterable[Decided],
    notified: Mapping[Arch, Numbers],
    *,
    observe: bool,
    refusals: bool = False,
) -> Routes:
    """Return the routes of *policy*; *decided* is how the calls of each ABI are decided."""
    known: dict[tuple[Arch, int], Route] = {}
    others: dict[Arch, Route] = {}
    for arch, table, nodes, default in decided:
        wanted: Numbers = notified.get(arch, frozenset())
        notifies = _Notifies()
        for nr, node in nodes.items():
            chains = table.calls.get(nr, table.unnamed)
            seen = wanted is EVERY or nr in wanted
            known[arch, nr] = Route(
                arch, name_of(arch, nr), notifies.at(node), seen, chains, notifies.not_always_at(node)
            )
        default_alone = notifies.not_always_at(default)
        others[arch] = Route(arch, None, notifies.at(default), wanted is EVERY, table.unnamed, default_alone)
    said = elsewhere(policy)
    chains = tuple((Alternative(None, decision),) for decision in said)
    asks = standing_of(said).settled(wanted=False, observe=observe, refusals=refusals) == NOTIFY
    return Routes(known, others, Route(None, None, asks, False, chains, not asks), observe, refusals)  # noqa: FBT003  # fields of a value


class _Notifies:
    """Knows of which diagrams an end is a notification."""

    def __init__(self) -> None:
        self._found: dict[Node, frozenset[int]] = {}

    def at(self, node: Node) -> bool:
        """Whether calls that are decided by *node* may be notified."""
        return NOTIFY in self._ends(node)

    def not_always_at(self, node: Node) -> bool:
        """Whether some of them are not."""
        return self._ends(node) != frozenset({NOTIFY})

    def _ends(self, node: Node) -> frozenset[int]:
        if node not in self._found:
            self._found[node] = ends(node)
        return self._found[node]
