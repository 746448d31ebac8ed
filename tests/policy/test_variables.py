"""Variables in patterns of paths: values are literal, and slashes that meet one are what they are to a shell."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.errors import PolicyError
from monitor.policy import text
from monitor.policy.model import Policy
from monitor.policy.paths import PathPattern, components, escape
from monitor.policy.tables import Files, Network
from monitor.policy.variables import Variables
from tests.policy.drawn import EXAMPLES

HEAD = "[policy]\nversion = 1\nsyscalls-default = 'allow'\nknown-as-of = '6.1'\n"


def loaded(table: str, *definitions: str, home: str = "/home/me") -> Policy:
    return text.loads(HEAD + table, variables=Variables.of(definitions, home=home))


def read_list(pattern: str, *definitions: str, home: str = "/home/me") -> str:
    """Return what *pattern* becomes in a policy."""
    files = loaded(f"[files]\nread = ['/first', {pattern!r}]\n", *definitions, home=home).tables["files"]
    assert isinstance(files, Files)
    return files.read[1].expanded


@pytest.mark.parametrize(
    ("pattern", "value", "expanded"),
    [
        ("$D", "/srv/", "/srv"),
        ("$D", "/", "/"),
        ("!$D", "/", "!/"),
        ("$D", "///", "/"),
        ("$D/x", "/srv/", "/srv/x"),
        ("$D/x", "/", "/x"),
        ("${D}/x", "//", "/x"),
        ("!$D/x", "/srv//data/", "!/srv/data/x"),
        ("$D/**/*.pem", "/", "/**/*.pem"),
        ("$D**/x", "/", "/**/x"),
        ("/a/$D", "/srv/", "/a/srv"),
        ("/a/$D/b", "/", "/a/b"),
        ("/a/$D", "/", "/a"),
        ("/a$D", "/srv", "/a/srv"),
        ("/a/$D", "b", "/a/b"),
        ("**/$D", "id_*", r"**/id_\x2a"),
        ("$D$D/x", "/srv/", "/srv/srv/x"),
    ],
)
def test_slashes_that_meet_a_value_are_one(pattern: str, value: str, expanded: str) -> None:
    assert read_list(pattern, f"D={value}") == expanded


@pytest.mark.parametrize(
    ("pattern", "home", "expanded"),
    [("~/x", "/", "/x"), ("!~/x", "/", "!/x"), ("~", "/", "/"), ("~/x", "/home/me/", "/home/me/x"), ("~", "/r/", "/r")],
)
def test_a_home_may_be_the_root(pattern: str, home: str, expanded: str) -> None:
    assert read_list(pattern, home=home) == expanded


@pytest.mark.parametrize(
    ("pattern", "definition", "complaint"),
    [
        ("$D", "D=foo", r"\$D is 'foo', and a pattern begins with an absolute path; set it with -D D=/\.\.\."),
        ("${D}/x", "D=foo/", r"\$\{D\} is 'foo/', and .*; set it with -D D=/"),
        ("!$D/x", "D=.", r"\$D is '\.', and a pattern begins with an absolute path"),
        ("$D/x", "D=", r"\$D is '', and a pattern begins with an absolute path"),
        ("$D/x", "D=~", r"\$D is '\\\\x7e', and a pattern begins with an absolute path"),
        ("$D//x", "D=/srv", "empty component: / follows /"),
        ("/a/$D/x", "D=", "empty component: / follows /"),
        ("$D/x/", "D=/srv/", "empty component: a pattern covers what is below it without a last /"),
        ("$D", "D=/srv/../etc", "no component [.][.]"),
    ],
)
def test_what_makes_no_path_is_told_with_its_place(pattern: str, definition: str, complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint) as caught:
        read_list(pattern, definition)

    assert "files.read[1]" in str(caught.value)


def test_a_home_that_is_no_absolute_path_is_told() -> None:
    with pytest.raises(PolicyError, match=r"~ is 'me', and a pattern begins with an absolute path$"):
        read_list("~/x", home="me")


@pytest.mark.parametrize(
    ("address", "value", "expanded"),
    [
        ("unix:$D/app.sock", "/run/", "unix:/run/app.sock"),
        ("!unix:$D", "/", "!unix:/"),
        ("unix:/run/$D", "/app.sock", "unix:/run/app.sock"),
        ("unix:@$D", "/tmp//dbus/", "unix:@/tmp//dbus/"),
        ("unix:$D", "@a//b/", "unix:@a//b/"),
        ("$D", "tcp://localhost:80", "tcp://localhost:80"),
    ],
)
def test_a_slash_in_an_address_that_is_no_path_is_a_byte(address: str, value: str, expanded: str) -> None:
    network = loaded(f"[network]\nconnect = ['unix:/first', {address!r}]\n", f"D={value}").tables["network"]
    assert isinstance(network, Network)

    assert network.connect[1].expanded == expanded


def test_a_socket_below_a_relative_value_is_refused() -> None:
    with pytest.raises(
        PolicyError, match=r"network\.connect\[0\]: \$D is 'run', and a pattern begins with an absolute"
    ):
        loaded("[network]\nconnect = ['unix:$D/x']\n", "D=run")


VALUES = st.text("/ab.*!~$\\x é\udc80\n", max_size=12)
WRITTEN = st.lists(st.sampled_from(["${A}", "${B}", "/", "c", "d.e", r"\x2a"]), min_size=1, max_size=7).map("".join)
"""What follows the first variable of a pattern."""


def as_a_shell_has_it(written: str, values: dict[str, str]) -> bytes:
    """Return the name that *written* is to a shell and the kernel behind it."""
    plain = re.sub(r"\$\{([A-Z])\}", lambda use: values[use[1]], written.replace(r"\x2a", "*"))
    name = re.sub(b"/+", b"/", os.fsencode(plain))
    return name if name == b"/" else name.removesuffix(b"/")


@given(first=VALUES, second=VALUES, rest=WRITTEN)
@example(first="/", second="", rest="/c")
@example(first="/a/", second="//b//", rest="${B}/c")
@example(first="/*", second="", rest="/c")
def test_a_value_stands_for_the_bytes_that_it_has(first: str, second: str, rest: str) -> None:
    EXAMPLES["values stand for their bytes"] += 1
    values = {"A": first, "B": second}
    written = "${A}" + rest
    name = as_a_shell_has_it(written, values)
    try:
        pattern = PathPattern.parse(Variables(values).expand_path(written, escape=escape))
    except PolicyError:
        by_hand = re.search("//|/$", re.sub(r"\$\{([AB])\}", lambda use: "x" if values[use[1]] else "", written))
        assert not first.startswith("/") or by_hand or {b".", b".."} & set(name.split(b"/"))
        return

    assert first.startswith("/")
    assert pattern.elements == tuple(components(name))
    assert not pattern.carves_out
