"""Address patterns match what a plain reading of them says; what is no pattern is refused, and shown where."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.addresses import AddressList, AddressPattern
from monitor.policy.endpoints import Address, InetAddress, UnixAbstract, UnixPath, UnixUnnamed
from monitor.policy.paths import PathPattern
from tests.policy import plain
from tests.policy.drawn import EXAMPLES

MAPPED = 0xFFFF << 32


def inet(transport: str, address: str, port: int, *names: str, scopes: tuple[str, ...] = ()) -> InetAddress:
    return InetAddress(transport, ip_address(address), port, names=names, scopes=scopes)


def bits_of(text: str) -> str:
    """Return an address as 128 digits."""
    address = ip_address(text)
    number = int(address) + (MAPPED if isinstance(address, IPv4Address) else 0)
    return f"{number:0128b}"


def host_matches(host: str, address: InetAddress) -> bool:
    """Say it digit by digit and label by label."""
    if host == "*":
        return True
    if host[0] == "[" or host[0].isdigit():
        network, _, prefix = host.strip("[]").partition("/")
        network, _, scope = network.partition("%")
        wanted, found = bits_of(network), bits_of(str(address.address))
        length = 128 if not prefix else int(prefix) + (0 if ":" in network else 96)
        is_v4 = found.startswith(bits_of("0.0.0.0")[:96])
        if is_v4 and length < 96:
            return False
        return wanted[:length] == found[:length] and scope in {"", *address.scopes}
    labels = host.split(".")[::-1]
    known = [name.split(".")[::-1] for name in address.names]
    if labels[-1] == "*":
        return any(len(name) >= len(labels) and name[: len(labels) - 1] == labels[:-1] for name in known)
    return labels in known


def plainly_matches(text: str, address: Address) -> bool:
    text = text.removeprefix("!")
    if text.startswith("unix:@"):
        tokens = plain.tokens_of(text[6:])
        if isinstance(address, UnixUnnamed):
            return text == "unix:@*"
        return isinstance(address, UnixAbstract) and plain.component_matches(tokens, address.name)
    if text.startswith("unix:"):
        return isinstance(address, UnixPath) and plain.covers(PathPattern(text[5:]), address.name)
    transport, _, rest = text.rpartition("://")
    host, _, ports = rest.rpartition(":")
    first, _, last = ("0-65535" if ports == "*" else ports).partition("-")
    return (
        isinstance(address, InetAddress)
        and transport in {"", address.transport}
        and int(first) <= address.port <= int(last or first)
        and host_matches(host, address)
    )


v4 = st.sampled_from(["127.0.0.1", "10.0.0.1", "10.1.0.0", "11.0.0.0", "0.0.0.0", "255.255.255.255"])
v6 = st.sampled_from(["::1", "::", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::fffe:a00:1"])
host_names = st.sampled_from(["example.org", "a.example.org", "a.b.example.org", "badexample.org", "org"])
hosts = st.one_of(
    st.just("*"),
    v4,
    st.sampled_from(["10.0.0.0/8", "0.0.0.0/0", "10.0.0.0/15", "10.0.0.1/32"]),
    v6.map(lambda host: f"[{host}]"),
    st.sampled_from(["[::/0]", "[fd00::/8]", "[::ffff:10.0.0.0/104]", "[::ffff:0:0/96]", "[::/80]", "[fe80::1%eth0]"]),
    host_names,
    host_names.map(lambda name: f"*.{name}"),
)
ports = st.sampled_from(["*", "0", "80", "80-443", "443-443", "65535"])
inet_texts = st.builds("{}{}:{}".format, st.sampled_from(["", "tcp://", "udp://"]), hosts, ports)
abstract_texts = (
    st.lists(st.sampled_from(["a", "b", "*", "\\x00", "\\x2f", "\\x2a", "\\xff"]), max_size=5)
    .map(lambda parts: "unix:@" + "".join(parts))
    .filter(lambda text: "**" not in text)
)
path_texts = plain.texts.map(lambda text: f"unix:{text}")
texts = st.one_of(inet_texts, inet_texts, abstract_texts, path_texts)

inet_addresses = st.builds(
    InetAddress,
    st.sampled_from(["tcp", "udp", "sctp"]),
    st.one_of(v4, v6).map(ip_address),
    st.sampled_from([0, 79, 80, 443, 444, 65535]),
    names=st.lists(host_names, max_size=2),
    scopes=st.sampled_from([(), ("2", "eth0"), ("3",)]),
)
abstract_names = st.lists(st.sampled_from([b"a", b"b", b"\0", b"/", b"*", b"\xff"]), max_size=5).map(b"".join)
addresses: st.SearchStrategy[Address] = st.one_of(
    inet_addresses,
    inet_addresses,
    abstract_names.map(UnixAbstract),
    plain.names.map(UnixPath),
    st.just(UnixUnnamed()),
)


@given(text=texts, address=addresses)
def test_a_pattern_matches_what_a_plain_reading_says(text: str, address: Address) -> None:
    EXAMPLES["an address pattern matches what a plain reading says"] += 1

    assert AddressPattern.parse(text).matches(address) == plainly_matches(text, address)


@given(text=inet_texts, address=inet_addresses)
def test_a_pattern_of_the_internet_matches_what_a_plain_reading_says(text: str, address: InetAddress) -> None:
    EXAMPLES["a pattern of the internet matches what a plain reading says"] += 1

    assert AddressPattern.parse(text).matches(address) == plainly_matches(text, address)


@given(text=abstract_texts, name=abstract_names)
def test_a_pattern_of_abstract_names_matches_what_a_plain_reading_says(text: str, name: bytes) -> None:
    EXAMPLES["a pattern of abstract names matches what a plain reading says"] += 1

    assert AddressPattern.parse(text).matches(UnixAbstract(name)) == plainly_matches(text, UnixAbstract(name))


@given(first=texts, second=texts, address=addresses)
def test_what_is_covered_is_matched_and_what_both_match_overlaps(first: str, second: str, address: Address) -> None:
    EXAMPLES["what an address pattern covers it matches"] += 1
    one, other = AddressPattern.parse(first), AddressPattern.parse(second)

    assert one.covers(one)
    if one.covers(other):
        assert one.overlaps(other)
        assert one.matches(address) or not other.matches(address)
    if one.matches(address) and other.matches(address):
        assert one.overlaps(other)
        assert other.overlaps(one)


@pytest.mark.seconds(180)
@given(first=abstract_texts, second=abstract_texts, names=st.lists(abstract_names, min_size=8, max_size=8))
def test_abstract_names_are_covered_exactly(first: str, second: str, names: list[bytes]) -> None:
    EXAMPLES["abstract names are covered exactly"] += 1
    one, other = AddressPattern.parse(first), AddressPattern.parse(second)
    samples = [name for name in (*names, second.removeprefix("unix:@").encode()) if other.matches(UnixAbstract(name))]
    # What stands for a star here is in neither pattern, so only a star can have meant it.
    sample = b"".join(b"??" if token == plain.STAR else bytes([token]) for token in plain.tokens_of(second[6:]))

    assert one.covers(other) == plainly_matches(first, UnixAbstract(sample))
    if one.covers(other):
        assert all(one.matches(UnixAbstract(name)) for name in samples)


@pytest.mark.parametrize(
    ("text", "address", "is_matched"),
    [
        ("tcp://127.0.0.1:*", inet("tcp", "127.0.0.1", 9), True),
        ("tcp://127.0.0.1:*", inet("tcp", "::ffff:127.0.0.1", 9), True),
        ("tcp://127.0.0.1:*", inet("udp", "127.0.0.1", 9), False),
        ("[::ffff:127.0.0.1]:9", inet("tcp", "127.0.0.1", 9), True),
        ("[::ffff:10.0.0.0/104]:9", inet("tcp", "10.2.3.4", 9), True),
        ("[::/0]:9", inet("tcp", "10.2.3.4", 9), False),
        ("0.0.0.0/0:9", inet("tcp", "::1", 9), False),
        ("*:9", inet("tcp", "::1", 9), True),
        ("10.0.0.0/8:8000-8999", inet("sctp", "10.255.0.1", 8999), True),
        ("10.0.0.0/8:8000-8999", inet("tcp", "10.255.0.1", 9000), False),
        ("tcp://*.example.org:443", inet("tcp", "1.2.3.4", 443, "A.Example.ORG."), True),
        ("tcp://*.EXAMPLE.org.:443", inet("tcp", "1.2.3.4", 443, "a.b.example.org"), True),
        ("tcp://*.example.org:443", inet("tcp", "1.2.3.4", 443, "example.org", "badexample.org"), False),
        ("tcp://example.org:443", inet("tcp", "1.2.3.4", 443, "example.org"), True),
        ("tcp://example.org:443", inet("tcp", "1.2.3.4", 443), False),
        ("udp://[::1]:53", inet("udp", "::1", 53), True),
        ("[fe80::/10]:1", inet("tcp", "fe80::1", 1, scopes=("2", "eth0")), True),
        ("[fe80::%eth0/10]:1", inet("tcp", "fe80::1", 1, scopes=("2", "eth0")), True),
        ("[fe80::1%2]:1", inet("tcp", "fe80::1", 1, scopes=("2", "eth0")), True),
        ("[fe80::1%eth1]:1", inet("tcp", "fe80::1", 1, scopes=("2", "eth0")), False),
        ("[fe80::1%eth0]:1", inet("tcp", "fe80::1", 1), False),
        ("unix:/run/app.sock", UnixPath(b"/run/app.sock"), True),
        ("unix:/run/app.sock", UnixAbstract(b"/run/app.sock"), False),
        ("unix:**/*.sock", UnixPath(b"/a/b/c.sock"), True),
        ("unix:/", UnixPath(b"/a"), True),
        ("unix:@abstract", UnixAbstract(b"abstract"), True),
        ("unix:@abstract", UnixAbstract(b"abstract\0"), False),
        (r"unix:@\x00\xff*", UnixAbstract(b"\0\xff\0/"), True),
        ("unix:@", UnixAbstract(b""), True),
        ("unix:@", UnixUnnamed(), False),
        ("unix:@*", UnixUnnamed(), True),
        ("unix:@*", UnixPath(b"/a"), False),
        ("unix:@/tmp/.X11-unix/*", UnixAbstract(b"/tmp/.X11-unix/X0"), True),
    ],
)
def test_what_patterns_match(text: str, address: Address, is_matched: bool) -> None:
    assert AddressPattern.parse(text).matches(address) == is_matched


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "^", "IPv4"),
        ("x", " ^", "ports follow"),
        ("tcp://a", "       ^", "ports follow"),
        ("tcp://a:", "        ^", "ports are"),
        ("tcp://:80", "      ^", "no IPv4"),
        ("http://a:80", "^^^^", "tcp or udp"),
        ("TCP://a:80", "^^^", "tcp or udp"),
        ("tcp://1.2.3:80", "      ^^^^^", "no IPv4"),
        ("tcp://1.2.3.04:80", "      ^^^^^^^^", "no IPv4"),
        ("tcp://256.1.1.1:80", "      ^", "no IPv4"),
        ("tcp://10.0.0.1/8:80", "      ^", "10.0.0.0/8 is meant"),
        ("tcp://10.0.0.0/33:80", "      ^", "32 at most"),
        ("tcp://10.0.0.0/255.0.0.0:80", "      ^", "32 at most"),
        ("::1:80", "^^^^^^", "in brackets"),
        ("[::1:80", "^", "no ] closes"),
        ("[::1]80", "     ^", "ports follow"),
        ("[fd00::]/8:80", "        ^", "within the brackets"),
        ("[::1%]:80", " ^", "no interface"),
        ("[1.2.3.4]:80", " ^", "no IPv6"),
        ("[fd00::1/8]:80", " ^", "fd00::/8 is meant"),
        ("a:9-2", "  ^^^", "matches nothing"),
        ("a:65536", "  ^", "up to 65535"),
        ("a:-1", "  ^", "up to 65535"),
        ("a:1-", "  ^", "up to 65535"),
        ("a:٣", "  ^", "up to 65535"),
        ("a.*.b:1", "^", "*. before a name"),
        ("*a:1", "^", "*. before a name"),
        ("é.org:1", "^", "ASCII"),
        ("\u212a.org:1", "^", "ASCII"),
        ("a..b:1", "^", "no host name"),
        ("-a:1", "^", "no host name"),
        ("a" * 64 + ":1", "^", "no host name"),
        ("a." * 127 + "a:1", "^", "no host name"),
        ("0x7f.1:1", "^", "is no address"),
        ("unix:run/x", "^", "starts with"),
        ("unix:!/x", "     ^", "! stands before"),
        ("unix:/a//b", "  ^", "empty component"),
        (r"unix:@a\x", "       ^", "two hexadecimal"),
        ("unix:@a**b", "      ^", "one is enough"),
        ("unix:@" + "a" * 108, "      ^", "107 bytes at most"),
    ],
)
def test_what_is_no_pattern_is_refused_and_shown(text: str, place: str, words: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        AddressPattern.parse(text, Origin("a.toml", 7, key="network.connect[0]"))

    message, _, carets = str(refusal.value).split("\n")
    assert message.startswith("a.toml:7: network.connect[0]: ")
    assert words in message
    assert carets.removeprefix("    ").startswith(place)


def test_the_last_match_in_a_list_decides() -> None:
    listed = AddressList.parse(["10.0.0.0/8:*", "!10.1.0.0/16:*", "10.1.0.1:22"], Origin("a.toml", 3, key="connect"))

    decided = [
        listed.last_match(inet("tcp", address, 22)) for address in ("10.2.0.0", "10.1.0.0", "10.1.0.1", "1.1.1.1")
    ]
    assert [one and one.text for one in decided] == ["10.0.0.0/8:*", "!10.1.0.0/16:*", "10.1.0.1:22", None]
    assert decided[1] is not None
    assert decided[1].origin.key == "connect[1]"
    with pytest.raises(PolicyError, match="carves out of nothing"):
        AddressList.parse(["!10.0.0.0/8:*"])


def test_a_path_has_two_names_where_its_head_leads_elsewhere() -> None:
    pattern = AddressPattern.parse("!unix:/var/run/*.sock")
    assert pattern.path is not None
    assert pattern.path.head == b"/var/run"
    resolved = pattern.with_resolved_head(b"/run")

    assert resolved.carves_out
    assert resolved.matches(UnixPath(b"/run/x.sock"))
    assert resolved.matches(UnixPath(b"/var/run/x.sock"))
    assert not pattern.matches(UnixPath(b"/run/x.sock"))
    with pytest.raises(TypeError, match="no path"):
        AddressPattern.parse("a:1").with_resolved_head(b"/run")


def test_an_address_cannot_be_built_wrong() -> None:
    assert inet("tcp", "::ffff:1.2.3.4", 1).address == IPv4Address("1.2.3.4")
    with pytest.raises(ValueError, match="belongs into scopes"):
        InetAddress("tcp", IPv6Address("fe80::1%eth0"), 1)
    with pytest.raises(ValueError, match="port"):
        inet("tcp", "::1", 65536)
    with pytest.raises(TypeError):
        InetAddress("tcp", cast("IPv4Address", "1.2.3.4"), 1)
    with pytest.raises(ValueError, match="name"):
        UnixAbstract(b"a" * 108)


@given(text=st.text("0123456789abcdef.:/[]%*-!@\\xtcpunix", max_size=25))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    EXAMPLES["any text is an address pattern, or refused"] += 1
    for prefix in ("", "tcp://", "unix:", "unix:@", "["):
        try:
            pattern = AddressPattern.parse(prefix + text)
        except PolicyError:
            continue
        assert pattern.covers(pattern)
