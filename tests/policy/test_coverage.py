"""Whether patterns cover or meet each other is found out exactly, and which of a table decide nothing."""

from __future__ import annotations

import pytest
from hypothesis import given

from monitor.policy.access import CLASSES, READ, WRITE
from monitor.policy.action import Allow
from monitor.policy.automaton import Automaton, TooManyStatesError
from monitor.policy.coverage import _decides, are_apart, common_name, covers, idle_patterns, uncovered_name
from monitor.policy.files import REFUSED, FileRule, FileTable
from monitor.policy.paths import PathList, PathPattern
from tests.policy import plain
from tests.policy.drawn import EXAMPLES

listed = PathList.parse

NAMES = [b"/", *plain.names_below(3, [b"a", b"b", b"ab", b".a", b"abb", b"c"])]


@pytest.mark.seconds(180)
@given(first=plain.patterns, second=plain.patterns)
def test_what_is_covered_is_found_by_trying(first: PathPattern, second: PathPattern) -> None:
    EXAMPLES["a pattern covers another as by trying"] += 1

    name = uncovered_name(first, second)

    assert covers(first, second) == (name is None)
    if name is None:
        assert [tried for tried in NAMES if second.covers(tried) and not first.covers(tried)] == []
    else:
        assert plain.covers(second, name)
        assert not plain.covers(first, name)


@pytest.mark.seconds(180)
@given(first=plain.patterns, second=plain.patterns)
def test_a_common_name_is_one(first: PathPattern, second: PathPattern) -> None:
    EXAMPLES["a common name of two patterns is one"] += 1

    name = common_name(first, second)

    if name is None:
        assert not any(first.covers(tried) and second.covers(tried) for tried in NAMES)
    else:
        assert plain.covers(first, name)
        assert plain.covers(second, name)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/", "/a"),
        ("/a", "/a/b*"),
        ("/*", "**/a"),
        ("**/a*", "/x/**/ab/c"),
        ("/*/*", "/a/**/b"),
        ("/a*", "/ab*c"),
        ("/*a*", "/*ba*c"),
        ("/a/**", "/a/*/**/b"),
        ("**/*", "/a"),
    ],
)
def test_a_pattern_that_covers_another_is_not_covered(first: str, second: str) -> None:
    one, other = PathPattern.parse(first), PathPattern.parse(second)

    assert covers(one, other)
    assert covers(one, one)
    assert not covers(other, one)


@pytest.mark.parametrize(
    ("first", "second", "uncovered"),
    [
        ("/a/b", "/a", b"/a"),
        ("/a/*/c", "/a/b", b"/a/b"),
        ("**/b", "/a", b"/a"),
        ("/a/b*", "/a/*", b"/a/\0"),
        ("/a", "/a/**/b", None),
    ],
)
def test_a_directory_is_not_covered_by_what_is_below_it(first: str, second: str, uncovered: bytes | None) -> None:
    name = uncovered_name(PathPattern.parse(first), PathPattern.parse(second))

    assert (name is None) == (uncovered is None)
    assert name is None or uncovered is None or len(name) == len(uncovered)


def test_both_names_must_be_covered() -> None:
    lib = PathPattern.parse("/lib").with_resolved_head(b"/usr/lib")

    assert not covers(PathPattern.parse("/usr"), lib)
    assert covers(PathPattern.parse("/*"), lib)
    assert covers(lib, PathPattern.parse("/usr/lib/x"))
    assert common_name(lib, PathPattern.parse("/usr/lib/x*")) == b"/usr/lib/x"


def test_a_question_that_takes_too_long_is_given_up() -> None:
    one, other = (PathPattern.parse("**/a" + "/*" * 20 + f"/{last}") for last in "bc")

    with pytest.raises(TooManyStatesError):
        uncovered_name(one, other)


def idle(table: FileTable) -> dict[str, tuple[str | None, str | None]]:
    return {one.pattern.text: (one.by.text if one.by else None, one.carve_out) for one in idle_patterns(table)}


def test_a_pattern_under_a_stronger_one_is_idle_until_it_is_carved_out() -> None:
    allowed = FileRule(listed(["/home/u", "/srv"]), READ, Allow())

    table = FileTable([allowed, FileRule(listed(["/home", "/srv/*"]), CLASSES, REFUSED)])
    assert idle(table) == {"/home/u": ("/home", "!/home/u")}

    mended = FileTable([allowed, FileRule(listed(["/home", "/srv/*", "!/home/u"]), CLASSES, REFUSED)])
    assert idle(mended) == {}


def test_rules_about_other_classes_leave_a_pattern_its_own() -> None:
    table = FileTable([FileRule(listed(["/a"]), WRITE, Allow()), FileRule(listed(["/"]), ["delete"], REFUSED)])

    assert idle(table) == {}


def test_several_patterns_together_may_leave_nothing() -> None:
    stronger = FileRule(listed(["/a*", "/*a", "/"]), CLASSES, REFUSED)

    assert idle(FileTable([FileRule(listed(["/a"]), READ, Allow()), stronger])) == {
        "/a": ("/", "!/a"),
        "/a*": ("/", None),
        "/*a": ("/", None),
    }


def test_a_carve_out_of_nothing_is_idle() -> None:
    table = FileTable([FileRule(listed(["/a", "!/b", "!/a/b", "!/a/b/c"]), READ, Allow())])

    assert idle(table) == {"!/b": (None, None), "!/a/b/c": (None, None)}


@pytest.mark.seconds(300)
@given(table=plain.tables)
def test_looking_at_few_patterns_at_a_time_finds_what_looking_at_all_does(table: FileTable) -> None:
    EXAMPLES["idle patterns among few are those among all"] += 1
    automaton = Automaton(place.pattern for place in table.ranking.places)
    bits = range(len(table.ranking.places))

    among_all = [table.ranking.places[bit].pattern for bit in bits if not _decides(automaton, table.ranking, bit)]

    assert {id(one.pattern) for one in idle_patterns(table)} == {id(pattern) for pattern in among_all}


@given(first=plain.patterns, second=plain.patterns)
def test_patterns_that_are_plainly_apart_have_no_name_in_common(first: PathPattern, second: PathPattern) -> None:
    EXAMPLES["patterns that are apart have no common name"] += 1

    if are_apart(first, second):
        assert not any(first.covers(name) and second.covers(name) for name in NAMES)


@pytest.mark.seconds(10)
def test_three_hundred_patterns_are_looked_through_at_once() -> None:
    """Each has a name of its own, or lies in a directory that is refused; either is plain without an automaton."""
    allowed = [f"{kind}{number}" for kind in ("/srv/app", "/opt/*/v", "**/.env", "/etc/x") for number in range(75)]
    refused = FileRule(listed(["/etc", "**/key*"]), CLASSES, REFUSED)

    found = idle(FileTable([FileRule(listed(allowed), READ, Allow()), refused]))

    assert sorted(found) == sorted(name for name in allowed if name.startswith("/etc"))


@pytest.mark.seconds(180)
@given(table=plain.tables)
def test_an_idle_pattern_decides_about_no_name(table: FileTable) -> None:
    EXAMPLES["an idle pattern decides about no name"] += 1
    idle_ones = [one.pattern for one in idle_patterns(table)]
    if not idle_ones:
        return

    deciding = {id(table.decide(access, name).pattern) for access in plain.ACCESSES for name in NAMES[:60]}

    assert not {id(pattern) for pattern in idle_ones if not pattern.carves_out} & deciding
