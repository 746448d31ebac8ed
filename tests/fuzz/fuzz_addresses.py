"""Address patterns: any text, what it matches, and that it covers itself."""

from __future__ import annotations

from ipaddress import ip_address

from monitor.policy.addresses import AddressPattern
from monitor.policy.automaton import TooManyStatesError
from monitor.policy.endpoints import Address, InetAddress, UnixAbstract, UnixPath, UnixUnnamed
from tests.fuzz.frame import Fuzzer

SHORT = 100
"""Questions about all names are asked about patterns of so many bytes."""

ADDRESSES: tuple[Address, ...] = (
    InetAddress("tcp", ip_address("127.0.0.1"), 80, names=["localhost"]),
    InetAddress("udp", ip_address("fe80::1"), 53, scopes=["2", "eth0"]),
    InetAddress("tcp", ip_address("::ffff:10.1.2.3"), 8080, names=["a.example.org"]),
    UnixPath(b"/run/app.sock"),
    UnixAbstract(b"\0a/*\xff"),
    UnixUnnamed(),
)


def parse(data: bytes) -> None:
    pattern = AddressPattern.parse(data.decode("utf-8", "surrogateescape"))
    matched = [address for address in ADDRESSES if pattern.matches(address)]
    if pattern.path is not None and len(data) > SHORT:
        return
    try:
        assert pattern.covers(pattern)
        assert not matched or pattern.overlaps(pattern)
    except TooManyStatesError:
        assert pattern.path is not None


FUZZER = Fuzzer(
    parse,
    seeds=(
        b"tcp://127.0.0.1:*", b"tcp://*.example.org:443", b"10.0.0.0/8:8000-8999", b"unix:/run/app.sock",
        b"unix:@abstract", b"udp://[::1]:80", b"[fe80::%eth0/10]:53", b"!*:25", rb"unix:@\x00a*\xff", b"unix:**/*.sock",
        b"[::ffff:10.0.0.0/104]:1-65535", b"localhost:0",
    ),
    words=(
        b"tcp://", b"udp://", b"unix:", b"@", b"[", b"]", b":", b"/", b"%", b"*", b"*.", b"-", b"!", b".", b"::",
        b"ffff:", b"0", b"65536", b"255", b"00", b"\\x", rb"\x00", b"\xc3\xa9", b"\0", b"9" * 5000, b"a" * 70,
    ),
)  # fmt: skip
