"""A table decides as the plain reading of it does; the strongest rule wins, not the most specific one."""

from __future__ import annotations

from errno import EACCES, ENOENT

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names as call_names
from monitor.abi.syscalls import signature_of
from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy.access import CHANGE, CLASSES, EXEC, READ, WRITE, allowed_classes, refused_classes
from monitor.policy.action import Allow, Ask, Deny, Handle
from monitor.policy.files import REFUSED, FileDecision, FileRule, FileTable, Hide, most_restrictive, strength
from monitor.policy.paths import PathList
from tests.policy import plain
from tests.policy.drawn import EXAMPLES

listed = PathList.parse

AGENT = FileTable(
    [
        FileRule(listed(["/usr", "/etc", "/p"]), READ, Allow()),
        FileRule(listed(["/p", "/tmp", "!/p/.git/hooks"]), WRITE, Allow()),
        FileRule(listed(["/etc/shadow*", "**/id_rsa"]), CLASSES, REFUSED, origin=Origin("a.toml", 9)),
        FileRule(listed(["/home/u/.ssh", "**/.env"]), CLASSES, Hide()),
        FileRule(listed(["/home/u/.config"]), CLASSES, Ask()),
        FileRule(listed(["/p/**/*.pem"]), ["delete"], Deny(1)),
        FileRule(listed(["/p/db"]), WRITE, Handle("rows")),
    ]
)


@pytest.mark.seconds(180)
@given(table=plain.tables, name=plain.names, access=st.sampled_from(plain.ACCESSES), directory=st.booleans())
def test_a_table_decides_as_it_reads(table: FileTable, name: bytes, access: str, directory: bool) -> None:
    EXAMPLES["a table of files decides as it reads"] += 1

    decision = table.decide(access, name, directory=directory)

    assert (decision.action, decision.pattern and decision.pattern.text) == plain.decide(
        table, access, name, directory=directory
    )
    assert decision.rule is None or decision.pattern in decision.rule.paths.patterns


@pytest.mark.seconds(180)
@given(table=plain.tables, name=plain.names, accesses=st.lists(st.sampled_from(plain.ACCESSES), min_size=1))
def test_of_several_classes_the_most_restrictive_answer_counts(
    table: FileTable, name: bytes, accesses: list[str]
) -> None:
    EXAMPLES["of several classes the most restrictive answer counts"] += 1
    each = [table.decide(access, name) for access in accesses]

    assert table.decide_all(accesses, name) == most_restrictive(each)
    assert strength(most_restrictive(each).action) == max(strength(one.action) for one in each)


@pytest.mark.parametrize(
    ("access", "name", "action", "pattern"),
    [
        ("read", b"/usr/lib/x", Allow(), "/usr"),
        ("write", b"/usr/lib/x", REFUSED, None),
        ("read", b"/tmp/x", Allow(), "/tmp"),
        ("write", b"/p/x", Allow(), "/p"),
        ("write", b"/p/.git/hooks/pre-push", REFUSED, None),
        ("read", b"/p/.git/hooks/pre-push", Allow(), "/p"),
        ("read", b"/etc/shadow-", REFUSED, "/etc/shadow*"),
        ("exec", b"/etc/shadow", REFUSED, "/etc/shadow*"),
        ("stat", b"/p/.env", Hide(), "**/.env"),
        ("read", b"/home/u/.ssh/id_rsa", Hide(), "/home/u/.ssh"),
        ("read", b"/home/u/.config/id_rsa", REFUSED, "**/id_rsa"),
        ("mount", b"/home/u/.config/git", Ask(), "/home/u/.config"),
        ("delete", b"/p/a/b.pem", Deny(1), "/p/**/*.pem"),
        ("write", b"/p/a/b.pem", Allow(), "/p"),
        ("write", b"/p/db/x", Handle("rows"), "/p/db"),
        ("exec", b"/usr/bin/x", REFUSED, None),
    ],
)
def test_what_an_agents_policy_says(access: str, name: bytes, action: object, pattern: str | None) -> None:
    decision = AGENT.decide(access, name)

    assert decision.action == action
    assert (decision.pattern and decision.pattern.text) == pattern
    assert not decision.above


def test_the_origin_is_the_patterns_or_that_of_its_rule() -> None:
    assert AGENT.decide("read", b"/etc/shadow").origin == Origin("a.toml", 9)
    assert AGENT.decide("read", b"/nowhere").origin == NOWHERE
    table = FileTable([FileRule(listed(["/a"], Origin("b.toml", 2, key="files.deny")), CLASSES, REFUSED)])
    assert str(table.decide("read", b"/a").origin) == "b.toml:2"
    assert table.decide("read", b"/a").origin.key == "files.deny[0]"


def test_of_equal_rules_the_first_one_decides() -> None:
    table = FileTable([FileRule(listed(["/a"]), CLASSES, Deny(errno)) for errno in (1, 2)])

    assert table.decide("read", b"/a").action == Deny(1)


def test_a_directory_above_an_allowed_pattern_may_be_passed_and_not_listed() -> None:
    table = FileTable([FileRule(listed(["/home/u/p", "/srv/*/x", "!/srv/b"]), READ, Allow())])

    for name in (b"/", b"/home", b"/home/u", b"/srv", b"/srv/a"):
        for access in ("stat", "chdir", "readlink"):
            assert table.decide(access, name, directory=True).above
            assert table.decide(access, name) == FileDecision(REFUSED)
        assert table.decide("list", name, directory=True) == FileDecision(REFUSED)
    for name in (b"/home/v", b"/srv/b", b"/srv/a/y"):
        assert table.decide("stat", name, directory=True) == FileDecision(REFUSED)
    assert not table.decide("stat", b"/home/u/p", directory=True).above


def test_what_is_denied_is_not_passed() -> None:
    table = FileTable([FileRule(listed(["/a/b"]), READ, Allow()), FileRule(listed(["/a", "!/a/b"]), CLASSES, REFUSED)])

    assert table.decide("stat", b"/a", directory=True).action == REFUSED
    assert table.decide("stat", b"/a/b", directory=True).action == Allow()


def test_a_hidden_name_is_not_there_and_cannot_be_made() -> None:
    assert {Hide().errno_for(access) for access in READ | EXEC} == {ENOENT}
    assert Hide().errno_for("delete") == ENOENT
    for access in ("create", "mkdir", "mknod", "symlink", "link-target", "rename-target", "bind"):
        assert Hide().errno_for(access) == EACCES


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(KeyError):
        AGENT.decide("reed", b"/")
    with pytest.raises(ValueError, match="'reed'"):
        FileRule(listed(["/"]), ["reed"], Allow())
    with pytest.raises(ValueError, match="access"):
        FileRule(listed(["/"]), [], Allow())


def test_a_name_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(ValueError, match="no canonical name"):
        AGENT.decide("read", b"/usr/../etc/shadow")


def test_a_table_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        AGENT.rules = ()  # type: ignore[misc]


def test_the_classes_are_those_of_the_calls_and_two_more() -> None:
    classes: set[str] = set()
    for arch in Arch:
        for name in call_names(arch):
            signature = signature_of(arch, name)
            for argument in signature.arguments if signature else ():
                classes |= argument.path.access if argument.path else frozenset()

    assert classes | {"list", "bind"} == CLASSES


def test_bundles() -> None:
    assert {"read", "stat", "readlink", "xattr-get", "list", "chdir", "watch"} == READ
    assert WRITE - READ == CHANGE
    assert not WRITE & EXEC
    assert allowed_classes(["write"]) == WRITE
    assert refused_classes(["write"]) == CHANGE
    assert allowed_classes(["read", "exec"]) == refused_classes(["read", "exec"]) == READ | EXEC
    assert allowed_classes(["delete"]) == {"delete"}
    with pytest.raises(PolicyError, match="'wryte' is no class"):
        allowed_classes(["wryte"])
