"""Path patterns: any text, what it covers, and what it has in common with another one."""

from __future__ import annotations

from monitor.policy.automaton import TooManyStatesError
from monitor.policy.coverage import common_name, covers
from monitor.policy.matcher import Matcher
from monitor.policy.paths import PathPattern, components, escape
from tests.fuzz.frame import Fuzzer

NAMES = (b"/", b"/usr/lib/x.so", b"/srv/a/b/keys/c.pem", b"/\xff/ */a", b"/a" * 200, b"/" + b"ab" * 500)
SHORT = 100
"""Questions about all names are asked about patterns of so many bytes."""

OTHER = PathPattern("**/a*/keys")


def parse(data: bytes) -> None:
    pattern = PathPattern.parse(data.decode("utf-8", "surrogateescape"))
    resolved = pattern.with_resolved_head(b"/srv/a")
    matcher = Matcher([pattern, resolved])
    for name in NAMES:
        found = matcher.match(components(name)).covering
        assert bool(found & 1) == pattern.covers(name)
        assert bool(found & 2) == resolved.covers(name)
    assert PathPattern.parse(escape(pattern.head)).elements == tuple(components(pattern.head))
    if len(data) > SHORT:
        return
    try:
        common = common_name(pattern, OTHER)
        assert common is None or (pattern.covers(common) and OTHER.covers(common))
        assert covers(pattern, pattern)
    except TooManyStatesError:
        pass


FUZZER = Fuzzer(
    parse,
    seeds=(b"/", b"/usr/lib/*.so", b"**/id_rsa", b"!/srv/**/keys/*a*b*.pem", rb"/\xff/\x20\x2a/a", b"/a/*/**/*/b/**"),
    words=(
        b"/",
        b"*",
        b"**",
        b"**/",
        b"/*",
        b"!",
        b"~",
        b"$",
        b"\\x",
        rb"\x2f",
        rb"\x00",
        rb"\x2e",
        b".",
        b"..",
        b"\0",
        b"\xff",
    ),
)
