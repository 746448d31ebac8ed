"""
Addresses that calls name, and sets of them: networks, host names, ports, abstract names of UNIX sockets.

What it is not: the text of a pattern (``addresses``), or a resolver; a host name matches what the
caller says an address is called, and nothing else.

An IPv4 address stays what it is in its IPv6 form, ``::ffff:10.0.0.1``.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias, assert_never

from attrs import field, frozen, validators

from monitor.policy.paths import Glob

LAST_PORT: Final = 0xFFFF

LONGEST_ABSTRACT_NAME: Final = 107
"""``sun_path`` has 108 bytes, and the first one is the NUL (unix(7))."""

IpAddress: TypeAlias = IPv4Address | IPv6Address
IpNetwork: TypeAlias = IPv4Network | IPv6Network

_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def unmapped_address(address: IpAddress) -> IpAddress:
    """Return *address*, as IPv4 where it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def unmapped_network(network: IpNetwork) -> IpNetwork:
    """Return *network*, as IPv4 where all of it is.  A wider one of IPv6 has no address of IPv4 in it."""
    if isinstance(network, IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    address = network.network_address.ipv4_mapped
    assert address is not None
    return IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))


def _host_names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower().removesuffix(".") for name in names)


def _words(words: Iterable[str]) -> frozenset[str]:
    return frozenset(words)


def _no_scope(_address: object, _attribute: object, address: IpAddress) -> None:
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        message = f"the scope of {address} belongs into scopes, under every name that it has"
        raise ValueError(message)


@frozen
class InetAddress:
    """
    An address of the internet, as a call names it.

    *names* are the host names that it is known by, as those who resolved them say; *scopes* are
    the number and the name of the interface, where the address has one (``sin6_scope_id``).
    A transport without ports has port 0.
    """

    transport: str = field(validator=validators.min_len(1))
    address: IpAddress = field(
        converter=unmapped_address, validator=[validators.instance_of((IPv4Address, IPv6Address)), _no_scope]
    )
    port: int = field(validator=[validators.ge(0), validators.le(LAST_PORT)])
    names: frozenset[str] = field(default=frozenset(), converter=_host_names, kw_only=True)
    scopes: frozenset[str] = field(default=frozenset(), converter=_words, kw_only=True)


@frozen
class UnixPath:
    """A UNIX socket with a name in the file system, the canonical one."""

    name: bytes


@frozen
class UnixAbstract:
    """A UNIX socket with a name of its own: what follows the NUL, NULs among it."""

    name: bytes = field(validator=validators.max_len(LONGEST_ABSTRACT_NAME))


@frozen
class UnixUnnamed:
    """No name at all: bind(2) makes up an abstract one (unix(7), "Autobind feature")."""


Address: TypeAlias = InetAddress | UnixPath | UnixAbstract | UnixUnnamed


@frozen
class AnyHost:
    """``*``: every address of either family."""


@frozen
class HostNetwork:
    """The addresses of *network*; with a *scope*, those on that interface alone."""

    network: IpNetwork = field(converter=unmapped_network)
    scope: str = ""


@frozen
class HostName:
    """The addresses that are known by *name*; with *below*, by a name that ends in a dot and *name*."""

    name: str
    below: bool = False


Host: TypeAlias = AnyHost | HostNetwork | HostName


@frozen
class InetPattern:
    """Addresses of the internet."""

    transport: str | None
    """None: whatever it is."""
    host: Host
    ports: range

    def matches(self, address: InetAddress) -> bool:
        """Whether *address* is one of them."""
        if self.transport not in {None, address.transport} or address.port not in self.ports:
            return False
        match self.host:
            case AnyHost():
                return True
            case HostNetwork(network, scope):
                return address.address in network and (not scope or scope in address.scopes)
            case HostName(name, below=True):
                return any(known.endswith(f".{name}") for known in address.names)
            case HostName(name):
                return name in address.names
            case _:
                assert_never(self.host)

    def covers(self, other: InetPattern) -> bool:
        """Whether it matches every address that *other* matches."""
        return (
            self.transport in {None, other.transport}
            and self.ports[0] <= other.ports[0]
            and other.ports[-1] <= self.ports[-1]
            and _host_covers(self.host, other.host)
        )

    def overlaps(self, other: InetPattern) -> bool:
        """Whether there is an address that both match."""
        return (
            (None in {self.transport, other.transport} or self.transport == other.transport)
            and self.ports[0] <= other.ports[-1]
            and other.ports[0] <= self.ports[-1]
            and _hosts_overlap(self.host, other.host)
        )


def _host_covers(first: Host, second: Host) -> bool:
    match first, second:
        case AnyHost(), _:
            return True
        case HostNetwork(), HostNetwork():
            return _contains(first.network, second.network) and first.scope in {"", second.scope}
        case HostName(name, below=True), HostName(other, below):
            return other.endswith(f".{name}") or (below and other == name)
        case HostName(), HostName():
            return first == second
        case _:
            return False


def _contains(first: IpNetwork, second: IpNetwork) -> bool:
    return first.version == second.version and second.network_address in first and second.prefixlen >= first.prefixlen


def _hosts_overlap(first: Host, second: Host) -> bool:
    # One address may be known by any names, and an interface by a number and a name.
    if isinstance(first, HostNetwork) and isinstance(second, HostNetwork):
        return _contains(first.network, second.network) or _contains(second.network, first.network)
    return True


@frozen
class AbstractPattern:
    """Abstract names, as what stands between the stars; one part alone is the name itself."""

    parts: tuple[bytes, ...] = field(validator=validators.min_len(1))

    def matches(self, address: UnixAbstract | UnixUnnamed) -> bool:
        """Whether *address* is one of them; one that is yet to be made up must not matter."""
        if isinstance(address, UnixUnnamed):
            return not any(self.parts) and len(self.parts) > 1
        return self.matches_name(address.name)

    def matches_name(self, name: bytes) -> bool:
        """Whether *name* is one of them, as if names could be of any length."""
        return name == self.parts[0] if len(self.parts) == 1 else Glob(self.parts).matches(name)

    def covers(self, other: AbstractPattern) -> bool:
        """Whether it matches every name that *other* matches, as if names could be of any length."""
        # A byte that stands nowhere in it is matched by its stars alone, so anything would be in its place.
        used = b"".join(self.parts)
        fresh = next(bytes([byte]) for byte in range(0x100) if byte not in used)
        return self.matches_name(fresh.join(other.parts))

    def overlaps(self, other: AbstractPattern) -> bool:
        """Whether there is a name that both match, as if names could be of any length."""
        if len(self.parts) == 1:
            return other.matches_name(self.parts[0])
        if len(other.parts) == 1:
            return self.matches_name(other.parts[0])
        # Between the ends there is room for whatever either wants.
        first, second = sorted((self.parts[0], other.parts[0]), key=len)
        third, fourth = sorted((self.parts[-1], other.parts[-1]), key=len)
        return second.startswith(first) and fourth.endswith(third)
