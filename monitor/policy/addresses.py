r"""
Address patterns as policies write them: ``tcp://*.example.org:443``, ``10.0.0.0/8:8000-8999``, ``unix:@name``.

What it is not: what they match (``endpoints``), or a table of them (``network``).

A pattern of the internet is ``TRANSPORT://HOST:PORTS``; without a transport it is about all of
them.  The host is an address, a network (``10.0.0.0/8``, ``[fd00::/8]``), a name, ``*.`` and a name
for every name below it, or ``*`` for all; ports are a number, a range or ``*``.  A pattern of UNIX
sockets is ``unix:`` and a path pattern, or ``unix:@`` and an abstract name, in which bytes are
written ``\xNN`` and ``*`` stands for any of them.  An IPv6 address may name its interface:
``[fe80::1%eth0]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias, assert_never

import attrs
from attrs import field, frozen, validators

from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy.coverage import common_name, covers
from monitor.policy.endpoints import (
    LAST_PORT,
    LONGEST_ABSTRACT_NAME,
    AbstractPattern,
    Address,
    AnyHost,
    Host,
    HostName,
    HostNetwork,
    InetAddress,
    InetPattern,
    IpAddress,
    IpNetwork,
    UnixPath,
)
from monitor.policy.paths import PathPattern, indexed, unescaped
from monitor.policy.syntax import Span, complaint

TRANSPORTS: Final = ("tcp", "udp")
"""What may stand before ``://``."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST_HOST_NAME: Final = 253
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
_UNIX: Final = "unix:"

Meaning: TypeAlias = InetPattern | AbstractPattern | PathPattern
"""What a pattern says, without the ``!`` before it."""


def _meaning(pattern: AddressPattern) -> Meaning:
    try:
        meaning = _parse(pattern.text, pattern.origin)
    except PolicyError as error:
        raise error.at(pattern.origin) from None
    if pattern.resolved_head is None:
        return meaning
    if not isinstance(meaning, PathPattern):
        message = f"{pattern.text} has no head: it is no path"
        raise TypeError(message)
    return meaning.with_resolved_head(pattern.resolved_head)


@frozen
class AddressPattern:
    """
    One pattern, with or without ``!`` before it.

    A path pattern in it may have two names, as ``paths`` tells.

    Raises PolicyError: the text is no pattern, or one that can match nothing.
    """

    text: str = field(validator=validators.instance_of(str))
    origin: Origin = field(default=NOWHERE, kw_only=True)
    resolved_head: bytes | None = field(default=None, kw_only=True)
    meaning: Meaning = field(init=False, eq=False, repr=False, default=attrs.Factory(_meaning, takes_self=True))

    @classmethod
    def parse(cls, text: str, origin: Origin = NOWHERE) -> AddressPattern:
        """Return what *text* means.  ``~`` and variables are replaced already, their values escaped."""
        return cls(text, origin=origin)

    @property
    def carves_out(self) -> bool:
        """Whether ``!`` stands before it: what it matches, its list does not."""
        return self.text.startswith("!")

    @property
    def path(self) -> PathPattern | None:
        """The path pattern in it, which has a head to be resolved; None: it is no path."""
        return self.meaning if isinstance(self.meaning, PathPattern) else None

    def with_resolved_head(self, head: bytes) -> AddressPattern:
        """Return the same pattern, of which the path's head is *head* where links are followed."""
        return attrs.evolve(self, resolved_head=head)

    def matches(self, address: Address) -> bool:
        """Whether *address* is one of those that it is about, whatever ``!`` stands before it."""
        match self.meaning:
            case InetPattern() as inet:
                return isinstance(address, InetAddress) and inet.matches(address)
            case AbstractPattern() as abstract:
                return not isinstance(address, InetAddress | UnixPath) and abstract.matches(address)
            case PathPattern() as path:
                return isinstance(address, UnixPath) and path.covers(address.name)
            case _ as never:
                assert_never(never)

    def covers(self, other: AddressPattern) -> bool:
        """
        Whether it matches every address that *other* matches, whatever ``!`` stands before either.

        Raises TooManyStatesError: paths may take too long to know about.
        """
        match self.meaning, other.meaning:
            case InetPattern() as first, InetPattern() as second:
                return first.covers(second)
            case AbstractPattern() as first, AbstractPattern() as second:
                return first.covers(second)
            case PathPattern() as first, PathPattern() as second:
                return covers(first, second)
            case _:
                return False

    def overlaps(self, other: AddressPattern) -> bool:
        """
        Whether there is an address that both match, whatever ``!`` stands before either.

        Raises TooManyStatesError: paths may take too long to know about.
        """
        match self.meaning, other.meaning:
            case InetPattern() as first, InetPattern() as second:
                return first.overlaps(second)
            case AbstractPattern() as first, AbstractPattern() as second:
                return first.overlaps(second)
            case PathPattern() as first, PathPattern() as second:
                return common_name(first, second) is not None
            case _:
                return False

    def __str__(self) -> str:
        """Return it as it was written."""
        return self.text


def _patterns(patterns: Iterable[AddressPattern]) -> tuple[AddressPattern, ...]:
    return tuple(patterns)


def _something_to_carve(_list: object, _attribute: object, patterns: tuple[AddressPattern, ...]) -> None:
    if patterns and patterns[0].carves_out:
        message = f"{patterns[0].text!r} carves out of nothing: no pattern stands before it in its list"
        raise PolicyError(message, patterns[0].origin)


@frozen
class AddressList:
    """Patterns in their order: of those that match an address, the last one decides whether the list does."""

    patterns: tuple[AddressPattern, ...] = field(converter=_patterns, validator=_something_to_carve)

    @classmethod
    def parse(cls, texts: Iterable[str], origin: Origin = NOWHERE) -> AddressList:
        """Return the list of *texts*; *origin* is the list's, and each pattern's with its index."""
        return cls(AddressPattern.parse(text, indexed(origin, index)) for index, text in enumerate(texts))

    def last_match(self, address: Address) -> AddressPattern | None:
        """Return the pattern that decides about *address*; None: no pattern matches it."""
        return next((pattern for pattern in reversed(self.patterns) if pattern.matches(address)), None)


def _parse(text: str, origin: Origin) -> Meaning:
    """Return what *text* means."""
    start = int(text.startswith("!"))
    if text.startswith(f"{_UNIX}@", start):
        return _abstract(text, Span(start + len(_UNIX) + 1, len(text)))
    if text.startswith(_UNIX, start):
        return _path(text, start + len(_UNIX), origin)
    scheme = _SCHEME.match(text, start)
    if scheme is None:
        return _inet(text, Span(start, len(text)), None)
    if scheme[1] not in TRANSPORTS:
        message = "before :// there is tcp or udp, or nothing at all; a UNIX socket is unix:/path or unix:@name"
        raise complaint(text, Span(*scheme.span(1)), message)
    return _inet(text, Span(scheme.end(), len(text)), scheme[1])


def _path(text: str, start: int, origin: Origin) -> PathPattern:
    """Return the path pattern that begins at *start*."""
    if text.startswith("!", start):
        raise complaint(text, Span(start, len(text)), "! stands before the whole pattern: !unix:/path")
    return PathPattern.parse(text[start:], origin)


def _abstract(text: str, span: Span) -> AbstractPattern:
    """Return the pattern of abstract names at *span*."""
    parts: list[bytes] = []
    place = span.start
    for part in text[span.start :].split("*"):
        parts.append(unescaped(text, Span(place, place + len(part))))
        place += len(part) + 1
    if len(parts) > 1 and not all(parts[1:-1]):
        raise complaint(text, span, "* stands for any bytes of an abstract name: one is enough")
    shortest = sum(map(len, parts))
    if shortest > LONGEST_ABSTRACT_NAME:
        message = (
            f"matches nothing: an abstract name has {LONGEST_ABSTRACT_NAME} bytes at most, and this one {shortest}"
        )
        raise complaint(text, span, message)
    return AbstractPattern(tuple(parts))


def _inet(text: str, span: Span, transport: str | None) -> InetPattern:
    """Return the host and the ports at *span*."""
    host: Host
    if text.startswith("[", span.start):
        close = text.find("]", span.start)
        if close < 0:
            raise complaint(text, span, "no ] closes the address")
        host = _ipv6(text, Span(span.start + 1, close))
        colon = close + 1
        if text.startswith("/", colon):
            raise complaint(text, Span(colon, len(text)), "how many bits count is said within the brackets: [fd00::/8]")
    else:
        colon = text.find(":", span.start)
        if colon >= 0 and ":" in text[colon + 1 :]:
            raise complaint(text, span, "an IPv6 address stands in brackets: [::1]:80")
        host = _host(text, Span(span.start, colon if colon >= 0 else len(text)))
    if colon < 0 or not text.startswith(":", colon):
        place = colon if colon >= 0 else len(text)
        raise complaint(text, Span(place, place + 1), "ports follow the host: :443, :8000-8999 or :*")
    return InetPattern(transport, host, _ports(text, Span(colon + 1, len(text))))


def _ports(text: str, span: Span) -> range:
    """Return the ports at *span*."""
    piece = text[span.start : span.end]
    if piece == "*":
        return range(LAST_PORT + 1)
    first, dash, last = piece.partition("-")
    for number in (first, last) if dash else (first,):
        if not _NUMBER.fullmatch(number) or int(number) > LAST_PORT:
            message = f"ports are a number up to {LAST_PORT}, two of them with a - between, or *"
            raise complaint(text, span, message)
    ports = range(int(first), int(last or first) + 1)
    if not ports:
        raise complaint(text, span, "matches nothing: the first port is above the last")
    return ports


def _ipv6(text: str, span: Span) -> HostNetwork:
    """Return the address or network between brackets."""
    address, slash, prefix = text[span.start : span.end].partition("/")
    address, percent, scope = address.partition("%")
    if percent and not scope:
        raise complaint(text, span, "no interface follows the %")
    try:
        host = IPv6Address(address)
    except ValueError as error:
        raise complaint(text, span, f"is no IPv6 address: {error}") from None
    return HostNetwork(_network(text, span, host, prefix if slash else None), scope)


def _host(text: str, span: Span) -> Host:
    """Return what stands before the ports, but for what stands in brackets."""
    piece = text[span.start : span.end]
    if piece == "*":
        return AnyHost()
    if piece.strip("0123456789./"):
        return _host_name(text, span)
    address, slash, prefix = piece.partition("/")
    try:
        host = IPv4Address(address)
    except ValueError as error:
        raise complaint(text, span, f"is no IPv4 address: {error}") from None
    return HostNetwork(_network(text, span, host, prefix if slash else None))


def _network(text: str, span: Span, host: IpAddress, prefix: str | None) -> IpNetwork:
    """Return the network that begins at *host*."""
    kind = IPv4Network if isinstance(host, IPv4Address) else IPv6Network
    if prefix is None:
        return kind(host)
    if not _NUMBER.fullmatch(prefix) or int(prefix) > host.max_prefixlen:
        raise complaint(text, span, f"behind the / stands how many bits count, {host.max_prefixlen} at most")
    network = kind((host, int(prefix)), strict=False)
    if network.network_address != host:
        raise complaint(text, span, f"the address has bits that do not count: {network} is meant, or {host}")
    return network


def _host_name(text: str, span: Span) -> HostName:
    """Return the host name, or the names below one."""
    piece = text[span.start : span.end].lower()
    name = piece.removeprefix("*.").removesuffix(".")
    labels = name.split(".")
    if not text[span.start : span.end].isascii():
        raise complaint(text, span, "a host name is ASCII, as resolvers see it: xn--...")
    if "*" in name:
        raise complaint(text, span, "* stands for all hosts, and *. before a name for every name below it")
    if len(name) > _LONGEST_HOST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise complaint(text, span, "is no host name, and no address")
    if labels[-1].isdigit():
        raise complaint(text, span, "is no address: the last part of a host name is no number")
    return HostName(name, below=piece.startswith("*."))
