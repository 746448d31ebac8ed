"""A table of addresses decides by the strongest rule, and looks twice at addresses that mean oneself."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.origin import NOWHERE, Origin
from monitor.policy.action import Allow, Ask, Deny, Handle
from monitor.policy.addresses import AddressList
from monitor.policy.endpoints import Address, InetAddress, UnixPath, UnixUnnamed
from monitor.policy.network import ACCESSES, REFUSED, AddressRule, AddressTable, NetworkAccess, loopback_of
from tests.policy.drawn import EXAMPLES
from tests.policy.test_addresses import addresses, plainly_matches, texts

listed = AddressList.parse

AGENT = AddressTable(
    [
        AddressRule(
            listed(["tcp://127.0.0.1:*", "tcp://*.example.org:443", "unix:/run/app.sock"]), ["connect"], Allow()
        ),
        AddressRule(listed(["tcp://10.0.0.0/8:*", "!tcp://10.9.0.0/16:*"]), ["connect"], Allow()),
        AddressRule(listed(["tcp://127.0.0.1:0"]), ["bind"], Allow()),
        AddressRule(listed(["unix:/run/docker.sock", "*:25"]), ACCESSES, REFUSED, origin=Origin("a.toml", 4)),
    ],
    otherwise=Ask(),
)


def tcp(address: str, port: int, *names: str) -> InetAddress:
    return InetAddress("tcp", ip_address(address), port, names=names)


@pytest.mark.parametrize(
    ("access", "address", "action", "pattern"),
    [
        ("connect", tcp("127.0.0.1", 80), Allow(), "tcp://127.0.0.1:*"),
        ("connect", tcp("1.2.3.4", 443, "www.example.org"), Allow(), "tcp://*.example.org:443"),
        ("connect", tcp("1.2.3.4", 443), Ask(), None),
        ("connect", tcp("127.0.0.1", 25), REFUSED, "*:25"),
        ("bind", tcp("127.0.0.1", 0), Allow(), "tcp://127.0.0.1:0"),
        ("bind", tcp("127.0.0.1", 80), Ask(), None),
        ("bind", tcp("0.0.0.0", 0), Ask(), None),
        ("connect", UnixPath(b"/run/docker.sock"), REFUSED, "unix:/run/docker.sock"),
        ("connect", UnixPath(b"/run/app.sock"), Allow(), "unix:/run/app.sock"),
        ("bind", UnixUnnamed(), Ask(), None),
        ("connect", tcp("10.1.2.3", 80), Allow(), "tcp://10.0.0.0/8:*"),
        ("connect", tcp("10.9.2.3", 80), Ask(), None),
    ],
)
def test_what_an_agents_policy_says(
    access: NetworkAccess, address: Address, action: object, pattern: str | None
) -> None:
    decision = AGENT.decide(access, address)

    assert decision.action == action
    assert (decision.pattern and decision.pattern.text) == pattern


def listing(drawn: list[tuple[str, bool]]) -> AddressList:
    return listed([f"!{text}" if carves_out and place else text for place, (text, carves_out) in enumerate(drawn)])


lists = st.lists(st.tuples(texts, st.booleans()), max_size=3).map(listing)
accesses = st.sampled_from(sorted(ACCESSES))
rules = st.builds(
    AddressRule,
    lists,
    st.sets(accesses, min_size=1),
    st.sampled_from([Deny(1), Deny(13), Ask(), Handle("h"), Allow(), Allow()]),
)
tables = st.builds(AddressTable, st.lists(rules, max_size=4), st.sampled_from([Deny(13), Ask(), Allow()]))


def plainly(table: AddressTable, access: NetworkAccess, address: Address) -> object:
    for kind in (Deny, Ask, Handle, Allow):
        for rule in table.rules:
            if isinstance(rule.action, kind) and access in rule.access:
                last = None
                for pattern in rule.addresses.patterns:
                    if plainly_matches(pattern.text, address):
                        last = pattern.text
                if last is not None and not last.startswith("!"):
                    return rule.action
    return table.otherwise


@given(table=tables, access=accesses, address=addresses)
def test_a_table_decides_as_it_reads(table: AddressTable, access: NetworkAccess, address: Address) -> None:
    EXAMPLES["a table of addresses decides as it reads"] += 1
    decision = table.decide(access, address)

    if access == "bind" or loopback_of(address) is None:
        assert decision.action == plainly(table, access, address)
    assert decision.rule is None or decision.pattern in decision.rule.addresses.patterns


@given(table=tables, access=accesses, address=addresses)
def test_an_idle_pattern_decides_about_no_address(table: AddressTable, access: NetworkAccess, address: Address) -> None:
    EXAMPLES["an idle address pattern decides about no address"] += 1
    decision = table.decide(access, address)

    assert not any(idle.pattern is decision.pattern for idle in table.idle_patterns())


@pytest.mark.parametrize("written", ["0.0.0.0", "::ffff:0.0.0.0", "::"])
def test_connecting_to_no_address_is_connecting_to_oneself(written: str) -> None:
    own = "[::1]:80" if written == "::" else "127.0.0.1:80"
    refusing = AddressTable([AddressRule(listed([own]), ACCESSES, REFUSED)], otherwise=Allow())
    allowing = AddressTable([AddressRule(listed([own]), ACCESSES, Allow())])

    assert refusing.decide("connect", tcp(written, 80)).action == REFUSED
    assert refusing.decide("bind", tcp(written, 80)).action == Allow()
    assert allowing.decide("connect", tcp(written, 80)).action == REFUSED


def test_the_origin_is_the_patterns_or_that_of_its_rule() -> None:
    assert AGENT.decide("connect", tcp("1.2.3.4", 25)).origin == Origin("a.toml", 4)
    assert AGENT.decide("connect", tcp("1.2.3.4", 26)).origin == NOWHERE


def test_a_pattern_that_another_covers_is_idle() -> None:
    covered = AddressRule(listed(["10.1.0.0/16:1-9", "unix:/run/a", "a.org:1"]), ["connect"], Allow())
    table = AddressTable([covered, AddressRule(listed(["10.0.0.0/8:*", "unix:/run", "*.org:*"]), ACCESSES, REFUSED)])

    assert [(idle.pattern.text, idle.by.text) for idle in table.idle_patterns()] == [
        ("10.1.0.0/16:1-9", "10.0.0.0/8:*"),
        ("unix:/run/a", "unix:/run"),
        ("a.org:1", "*.org:*"),
    ]
    carved = AddressTable([covered, AddressRule(listed(["10.0.0.0/8:*", "!10.1.2.0/24:5"]), ACCESSES, REFUSED)])
    assert [*carved.idle_patterns()] == []


def test_a_rule_cannot_be_built_wrong() -> None:
    with pytest.raises(ValueError, match="listen"):
        AddressRule(listed([]), ["listen"], Allow())  # type: ignore[list-item]
    with pytest.raises(ValueError, match="access"):
        AddressRule(listed([]), [], Allow())
