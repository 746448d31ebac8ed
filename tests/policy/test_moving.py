"""
Two subtrees are told apart exactly where some name below them is treated differently.

Both ways are checked: a difference that is named is one by the plain reading; where none is
found, none is found by trying every name of a small tree either.
"""

from __future__ import annotations

import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.policy.access import CLASSES, READ, WRITE
from monitor.policy.action import Allow, Deny, Handle
from monitor.policy.files import REFUSED, FileRule, FileTable, Hide
from monitor.policy.moving import Difference, Subtrees, Unsettled, gained, leads, tells_apart
from monitor.policy.paths import PathList, components
from tests.policy import plain
from tests.policy.drawn import EXAMPLES

listed = PathList.parse

TREE = ["", *(name.decode() for name in plain.names_below(2, [b"a", b"b", b"ab", b".a", b"aba", b"bb", b"c"]))]
TREE += [name.decode() for name in plain.names_below(3, [b"a", b"b", b"x"]) if name.count(b"/") == 3]
"""What may follow a directory's name, for trying."""


def below(directory: bytes, rest: str) -> bytes:
    return (directory.removesuffix(b"/") + rest.encode("latin-1")) or b"/"


def differ(table: FileTable, first: bytes, second: bytes, rest: str) -> bool:
    """Whether the table gives different answers at *rest*, asked as everybody asks it."""
    return any(
        table.decide(access, below(first, rest), directory=directory).action
        != table.decide(access, below(second, rest), directory=directory).action
        for access in plain.ACCESSES
        for directory in (False, True)
    )


def check_by_reading(table: FileTable, first: bytes, second: bytes, answer: Difference) -> None:
    """See that *answer* is what the plain reading says of two names."""
    one, other = (below(directory, answer.below.decode("latin-1")) for directory in (first, second))
    assert components(one)[: len(components(first))] == components(first)
    assert components(other)[: len(components(second))] == components(second)
    here, there = (plain.decide(table, answer.access, name, directory=answer.directory) for name in (one, other))
    assert (answer.first.action, answer.second.action) == (here[0], there[0])
    assert here[0] != there[0]


@pytest.mark.seconds(240)
@given(table=plain.tables, first=plain.names, second=plain.names)
def test_two_subtrees_are_told_apart_where_trying_tells_them_apart(
    table: FileTable, first: bytes, second: bytes
) -> None:
    EXAMPLES["two subtrees are told apart as by trying"] += 1

    answer = tells_apart(table, first, second)

    assert not isinstance(answer, Unsettled)
    if answer is None:
        assert [rest for rest in TREE if differ(table, first, second, rest)] == []
    else:
        check_by_reading(table, first, second, answer)
        shorter = [rest for rest in TREE if len(rest) < len(answer.below)]
        assert not any(differ(table, first, second, rest) for rest in shorter)


@pytest.mark.seconds(240)
@given(table=plain.tables)
def test_every_pair_of_a_small_tree_is_compared_as_by_trying(table: FileTable) -> None:
    EXAMPLES["6 pairs of a small tree are compared as by trying"] += 1
    subtrees = Subtrees(table)
    directories = [b"/", b"/a", b"/a/b", b"/b"]
    tried = {
        directory: [
            [
                table.decide(access, below(directory, rest), directory=True).action
                for access in ("read", "stat", "delete")
            ]
            for rest in TREE
        ]
        for directory in directories
    }

    for first, second in combinations(directories, 2):
        answer = subtrees.tell_apart(first, second)
        assert not isinstance(answer, Unsettled)
        if answer is None:
            assert tried[first] == tried[second]
        else:
            check_by_reading(table, first, second, answer)
        mirrored = subtrees.tell_apart(second, first)
        assert (mirrored is None) == (answer is None)


AGENT = FileTable(
    [
        FileRule(listed(["/usr", "/p", "/q"]), READ, Allow()),
        FileRule(listed(["/p", "/tmp", "/q", "!/p/.git/hooks"]), WRITE, Allow()),
        FileRule(listed(["**/.env", "**/id_rsa", "**/*.key"]), CLASSES, Hide()),
    ]
)


@pytest.mark.parametrize(
    ("first", "second", "rest"),
    [
        (b"/p/.git", b"/p/git", b"/hooks"),
        (b"/p", b"/q", b"/.git/hooks"),
        (b"/p/a", b"/usr/a", b""),
        (b"/p/a", b"/p/a/.env", b""),
        (b"/p/.git/hooks", b"/p/hooks", b""),
    ],
)
def test_a_carve_out_forbids_moving_what_is_above_it(first: bytes, second: bytes, rest: bytes) -> None:
    answer = tells_apart(AGENT, first, second)

    assert isinstance(answer, Difference)
    assert answer.below == rest
    check_by_reading(AGENT, first, second, answer)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"/p/a", b"/p/b"),
        (b"/p/a", b"/p/a/b/c"),
        (b"/p/a", b"/tmp/b"),
        (b"/p/.git/refs", b"/q/refs"),
        (b"/p/a.key", b"/q/.env"),
        (b"/nowhere", b"/else"),
    ],
)
def test_a_pattern_of_one_component_forbids_nothing(first: bytes, second: bytes) -> None:
    assert tells_apart(AGENT, first, second) is None


def test_rules_that_come_to_the_same_are_not_told_apart() -> None:
    table = FileTable([FileRule(listed([f"/{name}"]), WRITE, Allow()) for name in "ab"])

    assert tells_apart(table, b"/a/x", b"/b/x") is None


def test_another_errno_or_handler_is_another_answer() -> None:
    for one, other in ((Deny(1), Deny(2)), (Handle("a"), Handle("b")), (Handle("a", {"b": 1}), Handle("a"))):
        table = FileTable([FileRule(listed(["/a"]), CLASSES, one), FileRule(listed(["/b"]), CLASSES, other)])
        assert tells_apart(table, b"/a", b"/b") is not None


def test_what_no_name_can_be_makes_no_difference() -> None:
    """All that is left of the list is "/a/.", which is no canonical name."""
    rest = [f"!/a/.\\x{byte:02x}*" for byte in range(1, 256) if byte != ord("/")]
    table = FileTable([FileRule(listed(["/a/.*", *rest]), CLASSES, Deny(1))])

    assert tells_apart(table, b"/a", b"/b") is None
    almost = FileTable([FileRule(listed(["/a/.*", *rest[:-1]]), CLASSES, Deny(1))])
    answer = tells_apart(almost, b"/a", b"/b")
    assert isinstance(answer, Difference)
    assert answer.below == b"/.\xff"


def test_the_resolved_name_counts_too() -> None:
    pattern = listed(["/var/run/x"]).patterns[0].with_resolved_head(b"/run/x")
    table = FileTable([FileRule(PathList([pattern]), CLASSES, REFUSED)], otherwise=Allow())

    for directory in (b"/var/run", b"/run"):
        answer = tells_apart(table, directory, b"/srv")
        assert isinstance(answer, Difference)
        assert answer.below == b"/x"
    assert tells_apart(table, b"/var/run", b"/run") is None


def test_a_name_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(ValueError, match="no canonical name"):
        tells_apart(AGENT, b"/p", b"/p/../q")


def test_a_question_that_takes_too_long_is_not_settled() -> None:
    """Which of the last twenty components were an "a" makes a million states; nobody waits for them."""
    far = "**/a" + "/*" * 20 + "/b"
    table = FileTable([FileRule(listed([far]), CLASSES, REFUSED), FileRule(listed(["/y"]), WRITE, Allow())])
    before = time.process_time()

    answer = tells_apart(table, b"/x/a", b"/x/b")

    assert isinstance(answer, Difference | Unsettled)
    assert tells_apart(table, b"/x/a", b"/x/b", limit=10) == Unsettled(10)
    assert time.process_time() - before < 20


def test_a_question_about_two_hundred_patterns_is_settled_quickly() -> None:
    texts = [f"/home/u/.c{number}/*" for number in range(60)] + [f"**/.s{number}*" for number in range(40)]
    allowed = [f"/srv/p{number}" for number in range(99)] + ["!/srv/p7/.git/hooks"]
    table = FileTable([FileRule(listed(texts), CLASSES, Hide()), FileRule(listed(allowed), WRITE, Allow())])
    subtrees = Subtrees(table)
    before = time.process_time()

    for number in range(9):
        assert subtrees.tell_apart(b"/srv/p1/x", b"/srv/p%d/y" % number) is None
    answer = subtrees.tell_apart(b"/srv/p7/.git", b"/srv/p7/git")
    assert isinstance(answer, Difference)
    assert answer.below == b"/hooks"
    assert subtrees.tell_apart(b"/srv/p7", b"/home/u") is not None
    assert time.process_time() - before < 2


def test_a_file_gains_what_only_the_place_to_which_it_is_moved_allows() -> None:
    table = FileTable(
        [FileRule(listed(["/a"]), {"read", "write"}, Allow()), FileRule(listed(["/b"]), {"read"}, Allow())]
    )

    assert gained(table, b"/b/x", b"/a/x") == {"write"}
    assert gained(table, b"/a/x", b"/b/x") == frozenset()
    assert gained(table, b"/c/x", b"/a/x") == {"read", "write"}


@given(table=plain.tables, old=plain.names, new=plain.names, access=st.sampled_from(plain.ACCESSES))
def test_a_file_gains_what_only_its_new_name_allows(table: FileTable, old: bytes, new: bytes, access: str) -> None:
    EXAMPLES["a file gains what only its new name allows"] += 1
    allowed = [isinstance(plain.decide(table, access, name)[0], Allow) for name in (old, new)]

    assert (access in gained(table, old, new)) == (allowed == [False, True])


@pytest.mark.parametrize(
    ("pattern", "name", "speaks"),
    [
        ("/srv/a", b"/srv/a", True),
        ("/srv/a/b/c", b"/srv/a", True),
        ("/srv/a/b/c", b"/srv/a/b", True),
        ("/srv/a/b/c", b"/srv/b", False),
        ("/srv/a", b"/srv/a/b", False),
        ("/srv/*/b", b"/srv/a", False),
        ("/srv/*.d/b", b"/srv/x.d", True),
        ("/srv/*.d/b", b"/srv/x.c", False),
        ("**/.env", b"/srv/a", False),
        ("**/*.c", b"/srv/a.c", False),
        ("/srv/a/**/x", b"/srv/a", True),
        ("/srv/a/**/x", b"/srv/a/b", False),
        ("/", b"/srv", False),
    ],
)
def test_a_link_leads_elsewhere_where_a_pattern_speaks_of_its_name_or_of_what_is_below(
    pattern: str, name: bytes, *, speaks: bool
) -> None:
    table = FileTable([FileRule(listed([pattern]), WRITE, Allow())], REFUSED)

    assert (leads(table, name) is not None) is speaks
