"""
What a policy's ``[network]`` says: connect or bind, and an address, become a decision.

What it is not: the text of the table, or a resolver; host names are what the caller knows.

The plain meaning is that of ``files``: the strongest action of all the rules that apply wins
(deny, ask, handle, allow), of equal ones the rule that was written first; where none applies,
``otherwise`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from errno import EACCES
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import attrs
from attrs import Factory, field, frozen, validators

from monitor.origin import NOWHERE, Origin
from monitor.policy.action import Allow, Ask, Deny, Handle, rank
from monitor.policy.addresses import AddressList, AddressPattern
from monitor.policy.automaton import TooManyStatesError
from monitor.policy.endpoints import Address, InetAddress

NetworkAccess: TypeAlias = Literal["connect", "bind"]
"""``connect`` is every call that names whom it speaks to, sendto(2) among them."""

ACCESSES: Final[frozenset[NetworkAccess]] = frozenset(get_args(NetworkAccess))

NetworkAction: TypeAlias = Deny | Ask | Handle | Allow

REFUSED: Final = Deny(EACCES)
"""What ``deny`` says of addresses where nobody wrote an errno (connect(2): a local firewall's answer)."""


def _accesses(accesses: Iterable[NetworkAccess]) -> frozenset[NetworkAccess]:
    return frozenset(accesses)


@frozen
class AddressRule:
    """What shall happen when some addresses are named."""

    addresses: AddressList = field(validator=validators.instance_of(AddressList))
    access: frozenset[NetworkAccess] = field(
        converter=_accesses, validator=[validators.min_len(1), validators.deep_iterable(validators.in_(ACCESSES))]
    )
    action: NetworkAction = field(validator=validators.instance_of((Deny, Ask, Handle, Allow)))
    reason: str = field(default="", kw_only=True)
    origin: Origin = field(default=NOWHERE, kw_only=True)


class AddressDecision(NamedTuple):
    """
    What a table says about one address, and where.

    Attributes:
        action: what shall happen.
        rule: the rule that said so; None: ``otherwise``.
        pattern: the pattern of its list that decided.
    """

    action: NetworkAction
    rule: AddressRule | None = None
    pattern: AddressPattern | None = None

    @property
    def origin(self) -> Origin:
        """Where it was written: NOWHERE for ``otherwise``."""
        if self.pattern is not None and self.pattern.origin != NOWHERE:
            return self.pattern.origin
        return self.rule.origin if self.rule is not None else NOWHERE


class IdleAddress(NamedTuple):
    """
    A pattern that decides about no address.

    Attributes:
        pattern: the pattern.
        rule: the rule in whose list it stands.
        by: the pattern that covers it, later in its list or in a stronger rule.
        by_rule: the rule in whose list *by* stands.
    """

    pattern: AddressPattern
    rule: AddressRule
    by: AddressPattern
    by_rule: AddressRule

    @property
    def carve_out(self) -> str | None:
        """What to write at the end of the list of *by*, so that the pattern comes to decide; None: nothing would."""
        if self.by_rule is self.rule or self.pattern.carves_out:
            return None
        return f"!{self.pattern.text}"


def _rules(rules: Iterable[AddressRule]) -> tuple[AddressRule, ...]:
    return tuple(rules)


def _by_strength(table: AddressTable) -> tuple[AddressRule, ...]:
    return tuple(sorted(table.rules, key=lambda rule: rank(rule.action), reverse=True))  # keeps the order of equals


@frozen
class AddressTable:
    """Rules, and what happens where none of them applies."""

    rules: tuple[AddressRule, ...] = field(converter=_rules)
    otherwise: Deny | Ask | Allow = field(default=REFUSED, validator=validators.instance_of((Deny, Ask, Allow)))
    _strongest_first: tuple[AddressRule, ...] = field(
        init=False, eq=False, repr=False, default=Factory(_by_strength, takes_self=True)
    )

    def decide(self, access: NetworkAccess, address: Address) -> AddressDecision:
        """
        Return what shall happen when *address* is connected to or bound.

        To connect to ``0.0.0.0`` or ``::`` is to connect to oneself: such an address is looked up
        as it is and as the loopback address, and the more restrictive answer counts.

        Source: net/ipv4/route.c, ``ip_route_output_key_hash_rcu``; net/ipv6/tcp_ipv6.c, ``tcp_v6_connect``.
        """
        decision = self._decide(access, address)
        loopback = loopback_of(address) if access == "connect" else None
        if loopback is not None:
            decision = max(decision, self._decide(access, loopback), key=lambda decision: rank(decision.action))
        return decision

    def _decide(self, access: NetworkAccess, address: Address) -> AddressDecision:
        for rule in self._strongest_first:
            if access in rule.access:
                pattern = rule.addresses.last_match(address)
                if pattern is not None and not pattern.carves_out:
                    return AddressDecision(rule.action, rule, pattern)
        return AddressDecision(self.otherwise)

    def idle_patterns(self) -> Iterator[IdleAddress]:
        """
        Yield the patterns that never decide, because another one covers each of them.

        Those that only several others together cover, or that take too long to know about, are
        left out.
        """
        for place, rule in enumerate(self._strongest_first):
            for index, pattern in enumerate(rule.addresses.patterns):
                by = _covering(pattern, rule.addresses.patterns[index + 1 :])
                if by is not None:
                    yield IdleAddress(pattern, rule, by, rule)
                    continue
                for stronger in self._strongest_first[:place]:
                    by = _covering_for_good(pattern, stronger) if rule.access <= stronger.access else None
                    if by is not None:
                        yield IdleAddress(pattern, rule, by, stronger)
                        break


def loopback_of(address: Address) -> InetAddress | None:
    """Return where connecting to *address* leads, if it is the unspecified one; None: to itself."""
    if not isinstance(address, InetAddress) or not address.address.is_unspecified:
        return None
    loopback = IPv4Address("127.0.0.1") if isinstance(address.address, IPv4Address) else IPv6Address("::1")
    return attrs.evolve(address, address=loopback)


def _covering(pattern: AddressPattern, others: Iterable[AddressPattern]) -> AddressPattern | None:
    """Return the one of *others* that covers *pattern*."""
    return next((other for other in others if _covers(other, pattern)), None)


def _covering_for_good(pattern: AddressPattern, rule: AddressRule) -> AddressPattern | None:
    """Return the pattern for which the list of *rule* says yes to all that *pattern* matches."""
    for other in reversed(rule.addresses.patterns):
        if other.carves_out:
            if _may_overlap(other, pattern):
                return None
        elif _covers(other, pattern):
            return other
    return None


def _covers(first: AddressPattern, second: AddressPattern) -> bool:
    try:
        return first.covers(second)
    except TooManyStatesError:
        return False


def _may_overlap(first: AddressPattern, second: AddressPattern) -> bool:
    try:
        return first.overlaps(second)
    except TooManyStatesError:
        return True
