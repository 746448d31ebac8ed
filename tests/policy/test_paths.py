"""Patterns mean what a plain reading of them says; what is no pattern is refused, and shown where."""

from __future__ import annotations

import time

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.paths import ANY, DEEP, Glob, PathList, PathPattern, components, escape
from tests.policy import plain
from tests.policy.drawn import EXAMPLES


@given(pattern=plain.patterns, name=plain.names)
def test_a_pattern_covers_what_a_plain_reading_says(pattern: PathPattern, name: bytes) -> None:
    EXAMPLES["a path pattern covers what a plain reading says"] += 1

    assert pattern.covers(name) == plain.covers(pattern, name)


def test_the_ends_of_a_component_do_not_overlap() -> None:
    glob = Glob((b"ab", b"", b"ba"))

    assert not glob.matches(b"aba")
    assert glob.matches(b"abba")


@given(listed=plain.lists, name=plain.names)
def test_the_last_match_in_a_list_decides(listed: PathList, name: bytes) -> None:
    EXAMPLES["the last match in a list of paths decides"] += 1
    last = plain.last_match(listed, name)

    assert listed.last_match(name) == last
    assert listed.covers(name) == (last is not None and not last.text.startswith("!"))


@pytest.mark.parametrize(
    ("text", "covered", "not_covered"),
    [
        ("/", [b"/", b"/a", b"/a/b"], []),
        ("/usr", [b"/usr", b"/usr/lib/x"], [b"/", b"/usrlocal", b"/us", b"/x/usr"]),
        ("/etc/shadow*", [b"/etc/shadow", b"/etc/shadow-", b"/etc/shadow.d/x"], [b"/etc", b"/etc/x/shadow"]),
        ("**/id_rsa", [b"/id_rsa", b"/a/id_rsa", b"/a/b/id_rsa/c"], [b"/", b"/a/id_rsa.pub", b"/xid_rsa"]),
        ("/**/.env", [b"/.env", b"/a/.env"], [b"/a.env"]),
        ("/srv/*/keys", [b"/srv/a/keys", b"/srv/.a/keys/b"], [b"/srv/keys", b"/srv/a/b/keys"]),
        ("/srv/**", [b"/srv/a", b"/srv/a/b"], [b"/srv", b"/srvx/a"]),
        ("/srv/**/*.pem", [b"/srv/x.pem", b"/srv/a/b/.pem"], [b"/srv", b"/srv/x.pem2"]),
        ("/a/**/b/**/c", [b"/a/b/c", b"/a/x/b/b/y/c/z"], [b"/a/c/b", b"/a/b"]),
        ("/**/*/**/*", [b"/a/b", b"/a/b/c"], [b"/", b"/a"]),
        (r"/\x2a\xff", [b"/*\xff"], [b"/a\xff"]),
        ("/é*", ["/é".encode(), "/éa".encode()], [b"/\xc3"]),
        ("/[a]?{b}", [b"/[a]?{b}"], [b"/ax{b}"]),
        ("/$x/~", [b"/$x/~"], []),
    ],
)
def test_what_patterns_cover(text: str, covered: list[bytes], not_covered: list[bytes]) -> None:
    pattern = PathPattern.parse(text)

    assert [name for name in covered if not pattern.covers(name)] == []
    assert [name for name in not_covered if pattern.covers(name)] == []


def test_a_carve_out_may_stand_at_any_depth_and_be_taken_back() -> None:
    listed = PathList.parse(["/p", "!/p/.git/hooks", "/p/.git/hooks/safe"], Origin("a.toml", 3, key="files.write"))

    assert [listed.covers(name) for name in (b"/p/.git", b"/p/.git/hooks/x", b"/p/.git/hooks/safe/x")] == [
        True,
        False,
        True,
    ]
    decided = listed.last_match(b"/p/.git/hooks/x")
    assert decided is not None
    assert decided.origin == Origin("a.toml", 3, key="files.write[1]")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "^", "starts with"),
        ("usr", "^", "starts with"),
        ("~/x", "^", "starts with"),
        ("$HOME", "^", "starts with"),
        ("*/x", "^", "starts with"),
        ("**", "^", "starts with"),
        ("!!/x", " ^", "starts with"),
        ("//x", "^", "empty component"),
        ("/a//b", "  ^", "empty component"),
        ("/a/", "  ^", "without a last /"),
        ("/a/./b", "   ^", "no component ."),
        ("/a/..", "   ^^", "no component .."),
        (r"/a/\x2e", "   ^^^^", "matches nothing"),
        (r"/a\x2fb", "  ^^^^", "NUL or a /"),
        (r"/a\x00", "  ^^^^", "NUL or a /"),
        ("/a\0", "  ^", "NUL or a /"),
        (r"/a\xg0", "  ^", "two hexadecimal"),
        (r"/a\x1", "  ^", "two hexadecimal"),
        ("/a\\", "  ^", "two hexadecimal"),
        (r"/a\*", "  ^", "two hexadecimal"),
        ("/a/b**", "    ^^", "a component of its own"),
        ("/***", " ^^", "a component of its own"),
        ("/a\ud800", "  ^", "half a character"),
        ("/" + "a" * 4095, "^", "no name is longer"),
        ("/*" * 2048, "^", "no name is longer"),
    ],
)
def test_what_is_no_pattern_is_refused_and_shown(text: str, place: str, words: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        PathPattern.parse(text, Origin("a.toml", 7, key="files.read[0]"))

    message, _, carets = str(refusal.value).split("\n")
    assert message.startswith("a.toml:7: files.read[0]: ")
    assert words in message
    assert carets.removeprefix("    ").startswith(place)


def test_the_longest_patterns_are_patterns() -> None:
    assert PathPattern.parse("/" + "a" * 4094).covers(b"/" + b"a" * 4094)
    assert PathPattern.parse("/*" * 2047).covers(b"/a" * 2047)
    assert PathPattern.parse(r"/\x41" * 2047).covers(b"/A" * 2047)


def test_a_list_that_begins_with_a_carve_out_is_refused() -> None:
    with pytest.raises(PolicyError, match="'!/a' carves out of nothing"):
        PathList.parse(["!/a", "/"])


def test_an_empty_list_covers_nothing() -> None:
    assert not PathList.parse([]).covers(b"/")


@pytest.mark.parametrize(
    "name",
    [b"", b"a", b"a/b", b"//", b"/a/", b"//a", b"/a//b", b"/.", b"/..", b"/a/../b", b"/a/.", b"/a\0b", b"./a"],
)
def test_a_name_that_is_not_canonical_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="no canonical name"):
        PathPattern.parse("/").covers(name)


@given(value=st.binary(min_size=1).filter(lambda value: b"\0" not in value and b"/" not in value))
def test_an_escaped_value_stands_for_itself_alone(value: bytes) -> None:
    EXAMPLES["an escaped value stands for itself"] += 1
    if value in {b".", b".."}:
        return
    pattern = PathPattern.parse(f"/a/{escape(value)}/b")

    assert pattern.elements == (b"a", value, b"b")


@given(value=st.binary(), text=st.text())
def test_what_is_escaped_is_seen_and_says_nothing(value: bytes, text: str) -> None:
    assert escape(value).isprintable()
    assert not set(escape(value)) & set("*!~$")
    if text.isprintable() and not set(text) & set("\\*!~$"):
        assert escape(text.encode()) == text


@given(text=st.text("/*!.\\x2fab\0", max_size=12), data=st.binary(max_size=8))
def test_any_text_is_a_pattern_or_refused(text: str, data: bytes) -> None:
    EXAMPLES["any text is a pattern, or refused"] += 1
    for given_text in (text, "/" + data.decode("utf-8", "surrogateescape")):
        try:
            pattern = PathPattern.parse(given_text)
        except PolicyError:
            continue
        assert pattern.carves_out == given_text.startswith("!")
        assert pattern.covers(pattern.head) or len(pattern.elements) > len(components(pattern.head))


def test_bytes_of_a_text_that_is_no_unicode_stand_for_themselves() -> None:
    assert PathPattern.parse(b"/\xff\xfe".decode("utf-8", "surrogateescape")).covers(b"/\xff\xfe")


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("/", b"/"),
        ("/usr", b"/usr"),
        ("!/usr/lib/*.so", b"/usr/lib"),
        ("/a/**/b", b"/a"),
        ("**/b", b"/"),
        (r"/\x2a/b*", b"/*"),
    ],
)
def test_the_head_is_what_stands_before_the_first_star(text: str, head: bytes) -> None:
    assert PathPattern.parse(text).head == head


@pytest.mark.parametrize(
    ("text", "head", "resolved"),
    [
        ("/lib", b"/usr/lib", "/usr/lib"),
        ("!/var/run/*.sock", b"/run", "!/run/*.sock"),
        ("/var/run/**/a*", b"/", "/**/a*"),
        ("/all", b"/", "/"),
        ("/a", b"/b *", r"/b \x2a"),
        ("/lib", b"/lib", None),
        ("**/x", b"/", None),
        ("**/x", b"/mnt", "/mnt/**/x"),
    ],
)
def test_a_pattern_has_two_names_where_its_head_leads_elsewhere(text: str, head: bytes, resolved: str | None) -> None:
    assert PathPattern.parse(text).with_resolved_head(head).resolved_text == resolved


@given(pattern=plain.patterns, name=plain.names)
def test_the_two_names_are_two_patterns(pattern: PathPattern, name: bytes) -> None:
    EXAMPLES["the two names of a pattern are two patterns"] += 1
    written = attrs.evolve(pattern, resolved_head=None)
    resolved = written if pattern.resolved_text is None else PathPattern.parse(pattern.resolved_text)

    assert pattern.covers(name) == (written.covers(name) or resolved.covers(name))


def test_a_head_that_is_no_canonical_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no canonical name"):
        PathPattern.parse("/a").with_resolved_head(b"/a/../b")


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("/a/**/**/b", (b"a", DEEP, b"b")),
        ("/a/**", (b"a", ANY)),
        ("/a/**/*/**", (b"a", ANY, ANY)),
        ("**/*/**/*/a*", (ANY, ANY, DEEP, Glob((b"a", b"")))),
    ],
)
def test_patterns_are_kept_in_their_shortest_form(text: str, elements: tuple[object, ...]) -> None:
    assert PathPattern.parse(text).elements == elements


def test_a_pattern_cannot_be_built_wrong() -> None:
    with pytest.raises(TypeError):
        PathPattern(b"/a")  # type: ignore[arg-type]
    with pytest.raises(PolicyError):
        PathPattern("a")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        PathPattern("/a").text = "/b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/" + "**/*/" * 800 + "x", b"/a" * 2047),
        ("/" + "**/a/" * 800 + "x", b"/a" * 2047),
        ("/" + "**/a*/" * 600 + "x", b"/ab" * 1300),
        ("/" + "*a" * 2000 + "*", b"/" + b"a" * 1999 + b"b" * 2000),
        ("/x" + "*ab" * 1300, b"/x" + b"a" * 4000),
        ("/**/" + "*a/" * 1000 + "b", b"/a" * 2047),
    ],
)
def test_no_pattern_takes_long(text: str, name: bytes) -> None:
    """The worst that fits into the longest pattern and the longest name; a search that goes back never ends."""
    pattern = PathPattern.parse(text)

    begin = time.process_time()
    assert not pattern.covers(name)
    assert time.process_time() - begin < 10
