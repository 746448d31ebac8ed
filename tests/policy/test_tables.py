"""The tables of a policy: read, checked, asked about, and refused by who would run a program under them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy import tables, text
from monitor.policy.model import Policy
from monitor.policy.tables import Exec, FileRule, Files, Grant, Grants, Limits, Network, Written
from tests.policy.written import VARIABLES, loaded

HEAD = '[policy]\nversion = 1\nknown-as-of = "6.1"\n'

EXAMPLE = """
[policy]
version = 1
name = "coding-agent"
include = ["preset:hardening"]
syscalls-default = "allow"
known-as-of = "6.1"

[[syscalls]]
names = ["socket"]
when = "domain != AF_UNIX && domain != AF_INET && domain != AF_INET6"
action = "deny"
errno = "EAFNOSUPPORT"
reason = "no odd socket families"

[files]
read = ["/usr", "/etc", "$PROJECT"]
write = ["$PROJECT", "/tmp", "!$PROJECT/.git/hooks"]
deny = ["/etc/shadow*", "**/id_rsa"]
hide = ["~/.ssh", "**/.env"]
ask = ["~/.config"]
otherwise = "deny"

[[files.rules]]
paths = ["$PROJECT/**/*.pem"]
access = ["delete"]
action = "deny"
errno = "EPERM"
reason = "keys stay"

[network]
connect = ["tcp://127.0.0.1:*", "tcp://*.example.org:443", "10.0.0.0/8:8000-8999",
           "unix:/run/app.sock", "unix:@abstract"]
bind = ["tcp://127.0.0.1:0"]
deny = ["unix:/run/docker.sock", "unix:/run/containerd/containerd.sock"]
otherwise = "ask"

[exec]
allow = ["/usr/bin", "$PROJECT/bin"]
otherwise = "deny"

[limits]
processes = 64

[[grants]]
call = "openat"
paths = ["~/.config/git"]
program = "/usr/bin/git"
verdict = "allow"
expires = 2027-01-01
when-granted = 2026-11-22
why = "git reads its configuration"
"""


def written(*texts: str) -> tuple[Written, ...]:
    return tuple(Written(one) for one in texts)


def refusal(source: str) -> str:
    with pytest.raises(PolicyError) as caught:
        loaded(HEAD + source)
    return str(caught.value)


class TestExample:
    def test_every_table_is_there(self) -> None:
        policy = loaded(EXAMPLE)

        assert tables.of(policy) == {
            "files": Files(
                read=written("/usr", "/etc", "$PROJECT"),
                write=written("$PROJECT", "/tmp", "!$PROJECT/.git/hooks"),
                deny=written("/etc/shadow*", "**/id_rsa"),
                hide=written("~/.ssh", "**/.env"),
                ask=written("~/.config"),
                rules=(
                    FileRule(written("$PROJECT/**/*.pem"), "deny", access=("delete",), errno=1, reason="keys stay"),
                ),
            ),
            "network": Network(
                connect=written(
                    "tcp://127.0.0.1:*",
                    "tcp://*.example.org:443",
                    "10.0.0.0/8:8000-8999",
                    "unix:/run/app.sock",
                    "unix:@abstract",
                ),
                bind=written("tcp://127.0.0.1:0"),
                deny=written("unix:/run/docker.sock", "unix:/run/containerd/containerd.sock"),
                otherwise="ask",
            ),
            "exec": Exec(allow=written("/usr/bin", "$PROJECT/bin")),
            "limits": Limits(processes=64),
        }
        assert tables.grants(policy) == (
            Grant(
                call="openat",
                verdict="allow",
                paths=written("~/.config/git"),
                program=Written("/usr/bin/git"),
                expires=date(2027, 1, 1),
                when_granted=date(2026, 11, 22),
                why="git reads its configuration",
            ),
        )

    def test_patterns_know_their_values_and_their_lines(self) -> None:
        files = tables.of(loaded(EXAMPLE))["files"]

        assert isinstance(files, Files)
        assert [one.expanded for one in files.read] == ["/usr", "/etc", "/srv/a\\x2ab"]
        assert files.hide[1].origin == Origin("p.toml", 20, 19, "files.hide[1]")

    def test_it_is_refused_by_who_would_run_a_program(self) -> None:
        assert tables.enforced == frozenset({"files"})
        with pytest.raises(PolicyError, match=r"^p\.toml:[0-9]+: network: \[network\] is not enforced by this version"):
            tables.refuse_unenforced(loaded(EXAMPLE))


class TestUnenforced:
    def test_tables_of_every_layer_count(self) -> None:
        deepest = Policy("c", tables={"limits": Limits(processes=1)})
        policy = Policy("a", extends=Policy("b", includes=(deepest,), tables={"exec": Exec()}))

        assert [name for name, _ in tables.unenforced(policy)] == ["exec", "limits"]

    def test_grants_need_nobody_to_enforce_them(self) -> None:
        policy = loaded('[policy]\nversion = 1\n[[grants]]\ncall = "open"\nverdict = "allow"\n')

        tables.refuse_unenforced(policy)


class TestRefusals:
    @pytest.mark.parametrize(
        ("source", "complaint"),
        [
            ('[files]\nread = ["usr"]', "p.toml:5: files.read[0]: a pattern starts with /"),
            ('[files]\nread = ["!/usr"]', "carves out of nothing"),
            ('[files]\nread = [""]', "p.toml:5: files.read[0]: an empty string"),
            ('[files]\nread = ["/a", "$NO"]', "p.toml:5: files.read[1]: variable $NO is not set"),
            ('[files]\nread = ["~bob"]', "~bob is not known here"),
            ("[files]\nread = 3", "p.toml:5: files.read: a list of strings is wanted here, not 3"),
            ('[files]\notherwise = "hide"', "'allow' or 'deny' or 'ask' is wanted here, not 'hide'"),
            ('[files]\nenforce = "kernal"', "did you mean 'kernel'?"),
            ('[[files.rules]]\naction = "deny"', "'paths' is missing"),
            ('[[files.rules]]\npaths = []\naction = "deny"', "p.toml:5: files.rules[0].paths: no path is named"),
            ('[[files.rules]]\npaths = ["/a"]\naccess = ["erase"]\naction = "deny"', "'erase' is no class of access"),
            (
                '[[files.rules]]\npaths = ["/a"]\naction = "hide"\nerrno = 1',
                "'errno' means nothing beside action = 'hide'",
            ),
            ('[[files.rules]]\npaths = ["/a"]\naction = "deny"\nerrno = 512', "restarts a call"),
            ('[[files.rules]]\npaths = ["/a"]\naction = "handle"', "needs 'handler'"),
            ('[files.rules]\npaths = ["/a"]', "a list of tables is wanted here, not a table"),
            ('[network]\nconnect = ["tcp://1.2.3.4:99999"]', "p.toml:5: network.connect[0]: "),
            ('[network]\nlisten = ["tcp://1.2.3.4:9"]', "[network] has no key 'listen'"),
            ('[exec]\nallow = ["bin"]', "p.toml:5: exec.allow[0]: "),
            ("[limits]\nprocesses = 0", "p.toml:5: limits.processes: 0 processes; the program itself is one"),
            ("[limits]\nprocesses = true", "a whole number is wanted here, not true"),
            ('[[grants]]\ncall = "opne"\nverdict = "allow"', "p.toml:5: grants[0].call"),
            ('[[grants]]\ncall = "open"\nverdict = "ask"', "'allow' or 'deny' is wanted here, not 'ask'"),
            (
                '[[grants]]\ncall = "open"\nverdict = "allow"\nerrno = 1',
                "'errno' means nothing beside verdict = 'allow'",
            ),
            ('[[grants]]\ncall = "open"\nverdict = "allow"\nexpires = "2027"', "a date is wanted here, not '2027'"),
            ('[[grants]]\ncall = "open"\nverdict = "allow"\nprogram = "git"', "p.toml:7: grants[0].program: "),
            ('[grants]\ncall = "open"', "a list of tables is wanted here, not a table"),
        ],
    )
    def test_what_no_table_says(self, source: str, complaint: str) -> None:
        assert complaint in refusal(source)

    def test_values_that_no_file_could_hold_cannot_be_built(self) -> None:
        with pytest.raises(ValueError, match="processes"):
            Limits(processes=0)
        with pytest.raises(ValueError, match="otherwise"):
            Files(otherwise="hide")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="paths"):
            FileRule((), "deny")
        with pytest.raises(PolicyError, match="no class of access"):
            FileRule(written("/a"), "deny", access=("erase",))


class TestGrantsOfTheirOwn:
    def test_a_file_of_nothing_but_grants(self, tmp_path: Path) -> None:
        path = tmp_path / "grants.toml"
        path.write_text(
            '[[grants]]\ncall = "open"\nverdict = "deny"\nerrno = "EACCES"\nexpires = 2027-01-01T10:00:00Z\n'
        )

        found = text.load_grants(path, variables=VARIABLES)

        expires = datetime(2027, 1, 1, 10, tzinfo=UTC)
        assert found == Grants((Grant(call="open", verdict="deny", errno=13, expires=expires),))

    def test_it_may_be_empty(self, tmp_path: Path) -> None:
        (tmp_path / "grants.toml").write_text("# none yet\n")

        assert text.load_grants(tmp_path / "grants.toml") == Grants(())

    def test_it_has_nothing_else(self, tmp_path: Path) -> None:
        (tmp_path / "grants.toml").write_text("[policy]\nversion = 1\n")

        with pytest.raises(PolicyError, match=re.escape("grants.toml:1: policy: a policy file has no key 'policy'")):
            text.load_grants(tmp_path / "grants.toml")
