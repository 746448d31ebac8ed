"""Edits: what they are about changes, and every other byte of the file stays."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import PolicyError
from monitor.policy import edit, tables
from monitor.policy.action import Allow, Deny
from monitor.policy.layout import value_text
from monitor.policy.model import Rule
from monitor.policy.tables import Grant, Written
from tests.policy.written import GRANT, RULES

RULE = Rule(["openat"], Deny(13), reason="no")

BLANKS = st.sampled_from(["", "\n", "# one\n", "\n# one\n\n\n", "\t# \u2028 [[grants]]\n", "\n  # x\n# y\n\n"])

STRINGS = st.sampled_from(
    ['"a"', "'b'", '"""\n\n# no comment\n[[syscalls]]\n"""', "'''\n[policy]\n'''", '"\\"#"', '""""q" """']
)
PAIRS = st.sampled_from(
    [
        "a = {}",
        "b.c = {} # why",
        "d = [ # [\n  {}, # ,\n\n  # alone\n]",
        'e = {{ x = {}, "y z" = [1, 2] }}',
        "\tf={}",
    ]
)
HEADERS = st.sampled_from(["[policy]", "[files]", "[[syscalls]]", " [[grants]] # g", "[[ grants ]]", "[[files.rules]]"])


@st.composite
def sources(draw: st.DrawFn) -> str:
    """Draw a text with comments wherever they may stand; each table stands in it once."""
    text = draw(BLANKS)
    seen: set[str] = set()
    for _ in range(draw(st.integers(0, 5))):
        header = draw(HEADERS)
        if header.startswith("[[files") and "[files]" not in seen:
            continue
        if "[[" not in header and header in seen:
            continue
        seen.add(header)
        text += f"{header}\n{draw(BLANKS)}"
        for pair in draw(st.lists(PAIRS, max_size=3, unique=True)):
            text += f"{pair.format(draw(STRINGS))}\n{draw(BLANKS)}"
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text.rstrip("\r\n") if draw(st.booleans()) else text


def data_of(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def without_piece(longer: str, shorter: str) -> str:
    """Return what has to be cut out of *longer*, in one piece, for *shorter*."""
    begin = in_common(longer, shorter)
    end = in_common(longer[begin:][::-1], shorter[begin:][::-1])
    assert begin + end == len(shorter), "more than one piece differs"
    return longer[begin : len(longer) - end]


def written_lines(text: str) -> list[str]:
    """Return the lines that are not blank, without the ends of any."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def in_common(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@given(sources(), RULES)
def test_a_rule_is_added_in_one_piece_and_nothing_else_differs(text: str, rule: Rule) -> None:
    edited = edit.add_rule(text, rule)

    without_piece(edited, text)
    before, after = data_of(text), data_of(edited)
    assert after.pop("syscalls")[:-1] == before.pop("syscalls", [])
    assert after == before


@given(sources(), st.data())
def test_a_rule_is_added_above_any_other(text: str, data: st.DataObject) -> None:
    rules = data_of(text).get("syscalls", [])
    index = data.draw(st.integers(0, len(rules)))
    if index == len(rules):
        with pytest.raises(PolicyError, match=f"there is no rule {index}"):
            edit.add_rule(text, RULE, before=index)
        return

    edited = edit.add_rule(text, RULE, before=index)

    without_piece(edited, text)
    found = data_of(edited)["syscalls"]
    assert found[index]["errno"] == "EACCES"
    assert found[:index] + found[index + 1 :] == rules


@given(sources(), GRANT)
def test_a_grant_is_added_in_one_piece_and_removed_without_a_trace(text: str, grant: Grant) -> None:
    edited = edit.add_grant(text, grant)

    without_piece(edited, text)
    again = edit.remove_grant(edited, len(data_of(text).get("grants", [])))
    assert written_lines(again) == written_lines(text)
    assert data_of(again) == data_of(text)


@given(sources(), st.data())
def test_a_grant_is_removed_in_one_piece(text: str, data: st.DataObject) -> None:
    grants = data_of(text).get("grants", [])
    if not grants:
        with pytest.raises(PolicyError, match="there is no such grant; there are 0"):
            edit.remove_grant(text, 0)
        return
    index = data.draw(st.integers(0, len(grants) - 1))

    edited = edit.remove_grant(text, index)

    without_piece(text, edited)
    del grants[index]
    assert data_of(edited).get("grants", []) == grants


def test_comments_go_with_what_they_stand_above() -> None:
    above = "# head\n\n[[grants]]\ncall = 'a' # a\n"
    text = f"{above}\n# about b\n# more\n[[grants]]\ncall = 'b'\n\n\n# about files\n[files]\n"

    edited = edit.remove_grant(text, 1)

    assert edited == f"{above}\n\n# about files\n[files]\n"


def test_a_rule_stands_above_the_comment_of_the_one_it_precedes() -> None:
    text = '[policy]\nversion = 1\n\n# about open\n[[syscalls]]\nnames = ["open"]\n'

    edited = edit.add_rule(text, RULE, before=0)

    assert edit.difference(text, edited, "p.toml") == (
        "--- p.toml\n+++ p.toml\n@@ -1,5 +1,11 @@\n [policy]\n version = 1\n+\n"
        '+[[syscalls]]\n+names = ["openat"]\n+action = "deny"\n+errno = "EACCES"\n+reason = "no"\n \n'
        " # about open\n [[syscalls]]\n"
    )


@pytest.mark.parametrize("text", ["syscalls = []\n", 'syscalls = [{ names = ["a"] }]\n', "syscalls = 3\n"])
def test_rules_that_are_written_otherwise_are_not_edited(text: str) -> None:
    with pytest.raises(PolicyError, match=r"not written as \[\[syscalls\]\]"):
        edit.add_rule(text, RULE)


@pytest.mark.parametrize("text", ["a = \n", "a = " + "[" * 5000, "a = " + "9" * 5000])
def test_what_is_no_toml_is_not_edited(text: str) -> None:
    with pytest.raises(PolicyError, match="no TOML"):
        edit.add_rule(text, RULE)


def test_a_rule_in_an_empty_file() -> None:
    assert edit.add_rule("", Rule(["open"], Allow())) == '[[syscalls]]\nnames = ["open"]\naction = "allow"\n'


class TestSave:
    def test_a_file_is_replaced_and_keeps_its_mode_and_its_link(self, tmp_path: Path) -> None:
        target = tmp_path / "real.toml"
        target.write_text("old")
        target.chmod(0o640)
        link = tmp_path / "link.toml"
        link.symlink_to(target)

        edit.save(link, "néw")

        assert (link.is_symlink(), target.read_bytes(), target.stat().st_mode & 0o777) == (True, "néw".encode(), 0o640)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["link.toml", "real.toml"]

    def test_a_file_that_cannot_be_replaced_is_as_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        target = tmp_path / "p.toml"
        target.write_text("old")

        def fail(*_arguments: object) -> None:
            raise OSError("no")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no"):
            edit.save(target, "new")

        assert (target.read_text(), list(tmp_path.iterdir())) == ("old", [target])

    def test_a_new_file_is_nobody_else_s(self, tmp_path: Path) -> None:
        edit.save(tmp_path / "grants.toml", "")

        assert (tmp_path / "grants.toml").stat().st_mode & 0o777 == 0o600


@given(st.lists(st.text(max_size=60), max_size=4))
def test_long_lists_have_a_line_for_each_element(texts: list[str]) -> None:
    written = value_text(texts)

    assert len(written) <= 100 or written.count("\n") == len(texts) + 1


def test_a_grant_is_a_value() -> None:
    grant = Grant(call="openat", verdict="allow", paths=(Written("/a"),))

    assert tables.Grants((grant,)) == tables.Grants((grant,))
