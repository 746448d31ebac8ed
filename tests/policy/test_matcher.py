"""All the patterns of a table at once: what each of them covers alone, in time that hardly grows with them."""

from __future__ import annotations

import time
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.policy.matcher import Matcher
from monitor.policy.paths import PathPattern, components
from tests.policy import plain
from tests.policy.drawn import EXAMPLES


@pytest.mark.seconds(180)
@given(patterns=st.lists(plain.patterns, max_size=12), name=plain.names)
def test_a_pass_finds_what_each_pattern_covers(patterns: list[PathPattern], name: bytes) -> None:
    EXAMPLES["one pass finds what each pattern covers"] += 1

    covering = Matcher(patterns).match(components(name)).covering

    assert [covering >> bit & 1 for bit in range(len(patterns))] == [plain.covers(one, name) for one in patterns]


@pytest.mark.seconds(180)
@given(patterns=st.lists(plain.patterns, max_size=6), name=plain.names)
def test_a_pass_finds_what_is_ahead(patterns: list[PathPattern], name: bytes) -> None:
    EXAMPLES["one pass finds the patterns that lead further"] += 1

    covering, ahead = Matcher(patterns).match(components(name))

    found = covering | ahead
    assert [found >> bit & 1 for bit in range(len(patterns))] == [plain.leads_below(one, name) for one in patterns]


def test_patterns_of_a_component_are_found_by_either_end() -> None:
    texts = ["/a*", "/*z", "/ab*", "/*yz", "/a*z", "/ab*z", "/a*yz", "/*b*", "/*", "/abyz", "/abyz*", "/*abyz"]

    covering = Matcher(map(PathPattern.parse, texts)).match([b"abyz"]).covering

    assert covering == (1 << len(texts)) - 1


def test_one_end_of_a_component_is_not_enough() -> None:
    texts = ["/ab*z", "/*yz", "/a*b*z", "/a*yz"]
    matcher = Matcher(map(PathPattern.parse, texts))

    def covering(component: bytes) -> list[str]:
        return [text for bit, text in enumerate(texts) if matcher.match([component]).covering >> bit & 1]

    assert covering(b"abx") == covering(b"a") == covering(b"az") == []
    assert covering(b"ayz") == ["/*yz", "/a*yz"]
    assert covering(b"abz") == ["/ab*z", "/a*b*z"]


def seconds_for(matcher: Matcher, name: list[bytes]) -> float:
    """Return what one pass takes: the least of several tries, in this process's own time."""
    best = float("inf")
    for _ in repeat(None, 7):
        begin = time.process_time()
        for _ in repeat(None, 500):
            matcher.match(name)
        best = min(best, time.process_time() - begin)
    return best / 500


@pytest.mark.parametrize(
    "form", ["/usr/lib/p{}/share", "**/k{}", "/home/u/.c{}/*", "**/*.e{:03}", "**/.s{:03}*"], ids=str
)
def test_two_hundred_patterns_cost_little_more_than_two(form: str) -> None:
    """Of the kinds that people write; where each pattern were tried in turn it would be a hundred times as much."""
    few, many = (Matcher(PathPattern.parse(form.format(number)) for number in range(count)) for count in (2, 200))

    for name in (b"/usr/lib/p1/share/doc/x", b"/home/u/.c1/x/y.e001", b"/srv/k1/.s001x"):
        assert seconds_for(many, components(name)) < 4 * seconds_for(few, components(name)) + 1e-6


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["/" + "**/a/" * 800 + "x"], b"/a" * 2047),
        (["/" + "**/a*/" * 600 + "x"], b"/ab" * 1300),
        (["/" + "**/a/" * depth + "x" for depth in range(1, 60)], b"/a" * 2047),
        (["/" + "*a" * 500 + "*"] * 10, b"/" + b"a" * 499 + b"b" * 3000),
    ],
)
def test_no_table_takes_long(texts: list[str], name: bytes) -> None:
    matcher = Matcher(map(PathPattern.parse, texts))

    begin = time.process_time()
    assert not matcher.match(components(name)).covering
    assert time.process_time() - begin < 10
