"""What ``why`` says about paths and addresses, from the tables of a policy."""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path

import pytest

from monitor.cli import machine
from tests.cli.test_policy_commands import answered, ask

TABLED = """
[policy]
version = 1
name = "tabled"
include = ["inner.toml"]
syscalls-default = "allow"
known-as-of = "6.1"

[[syscalls]]
names = ["io_uring_setup", "io_uring_enter", "io_uring_register", "mknod"]
action = "deny"

[files]
read = ["/srv", "/lib"]
write = ["/srv/data", "!/srv/data/keys"]
deny = ["**/id_rsa"]

[[files.rules]]
paths = ["/srv/data/*.pem"]
access = ["delete"]
action = "deny"
errno = "EPERM"
reason = "keys stay"

[network]
connect = ["tcp://127.0.0.1:*", "tcp://*.example.org:443", "unix:@app", "unix:/srv/app.sock"]
bind = ["unix:/srv"]
otherwise = "ask"

[exec]
allow = ["/usr/bin"]
"""

INNER = """
[policy]
version = 1
syscalls-default = "allow"
known-as-of = "6.1"

[files]
hide = ["/srv/data/hidden"]
otherwise = "allow"
"""


@pytest.fixture(scope="module")
def tabled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies") / "tabled.toml"
    path.write_text(TABLED)
    (path.parent / "inner.toml").write_text(INNER)
    return path


def told(tabled: Path, *words: str) -> tuple[int, list[str]]:
    with chdir(tabled.parent):
        done = ask("why", "tabled.toml", *words, "--arch", "x86_64")
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_why_tells_what_decides_about_a_path_and_what_was_tried(tabled: Path) -> None:
    status, lines = told(tabled, "unlink", "--path", "/srv/data/a.pem")

    assert status == 1
    assert lines == [
        "unlink on x86_64 (number 87): allow",
        "  by the default of tabled: no rule names it",
        "pathname /srv/data/a.pem: deny EPERM",
        "  for delete: by /srv/data/*.pem of files.rules[0] of tabled (tabled.toml:19): keys stay",
        "patterns tried:",
        "  weaker          tabled.toml:15: allow /srv/data",
        "  decides         tabled.toml:19: deny EPERM /srv/data/*.pem",
        "  does not match  3 others",
    ]


def test_why_tells_the_layer_that_decides(tabled: Path) -> None:
    status, lines = told(tabled, "stat", "--path", "/srv/data/hidden/x")

    assert status == 1
    assert "pathname /srv/data/hidden/x: hide" in lines
    assert "  for stat: by /srv/data/hidden of files.hide of inner (inner.toml:8)" in lines
    assert "  decides         inner: inner.toml:8: hide /srv/data/hidden" in lines
    assert "  weaker          tabled: tabled.toml:14: allow /srv" in lines


def test_why_tells_each_class_of_access_where_the_flags_are_not_known(tabled: Path) -> None:
    status, lines = told(tabled, "openat", "--path", "/srv/x")

    assert status == 1
    assert "pathname /srv/x: depends on what is done to it" in lines
    assert "  allow for perhaps read: by /srv of files.read of tabled (tabled.toml:14)" in lines
    assert any(line.startswith("  deny EACCES for perhaps write, create, truncate: by otherwise") for line in lines)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["openat", "--arg", "flags=O_RDONLY", "--path", "/srv/x"], 0),
        (["openat", "--arg", "flags=O_WRONLY|O_CREAT", "--path", "/srv/x"], 1),
        (["openat", "--arg", "flags=O_WRONLY|O_CREAT", "--path", "/srv/data/x"], 0),
        (["openat", "--arg", "flags=O_WRONLY", "--path", "/srv/data/keys/x"], 1),
        (["openat", "--arg", "flags=O_PATH", "--path", "/srv/id_rsa"], 0),
        (["openat", "--arg", "flags=O_WRONLY", "--path", "/dev/null"], 0),
        (["openat2", "--path", "/srv/x"], 1),
        (["openat2", "--path", "/srv/data/x"], 0),
        (["openat2", "--path", "/srv/x", "--access", "read"], 0),
        (["openat2", "--path", "/srv/x", "--access", "read", "--access", "chmod"], 1),
        (["getdents64", "--path", "/srv", "--access", "list"], 0),
        (["rename", "--path", "/srv/data/a"], 0),
        (["rename", "--path", "oldpath=/srv/data/a", "--path", "newpath=/srv/b"], 1),
        (["execve", "--path", "/usr/bin/git"], 0),
        (["execve", "--path", "/srv/data/x"], 1),
        (["mknod", "--path", "/srv/data/x"], 1),  # the table allows, the registers do not
        (["connect", "--address", "tcp://127.0.0.1:80"], 0),
        (["connect", "--address", "127.0.0.1:80"], 1),  # over udp it is asked about
        (["connect", "--address", "tcp://[::1]:443"], 1),
        (["connect", "--address", "tcp://192.0.2.1:443", "--known-as", "www.example.org"], 0),
        (["sendto", "--address", "unix:@app"], 0),
        (["connect", "--address", "unix:/srv/app.sock"], 0),
        (["bind", "--address", "unix:/srv/data/x"], 0),
        (["bind", "--address", "unix:/srv/x"], 1),  # which [network] allows and [files] does not
        (["connect", "--address", "tcp://127.0.0.1:80", "--address", "unix:@other"], 1),
    ],
)
def test_why_says_0_where_the_call_runs_and_the_tables_allow(tabled: Path, words: list[str], status: int) -> None:
    assert told(tabled, *words)[0] == status


def test_a_directory_on_the_way_may_be_passed(tabled: Path) -> None:
    status, lines = told(tabled, "stat", "--path", "/usr")

    assert status == 1
    assert "pathname /usr: deny EACCES" in lines
    assert any(line.startswith("    allow if it is a directory, since ") for line in lines)
    assert not any("directory" in line for line in told(tabled, "truncate", "--path", "/usr")[1])


def test_why_follows_the_links_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    path = tmp_path / "links.toml"
    path.write_text('[policy]\nversion = 1\nknown-as-of = "6.1"\n[files]\nread = ["$PROJECT/link"]\n')

    done = ask("why", path, "stat", "--path", f"{tmp_path.resolve()}/real/x")

    assert done.returncode == 0
    assert f"for stat: by {tmp_path}/link of files.read of links" in " ".join(done.stdout.split())


def test_why_says_that_names_gain_nothing_by_moving(tabled: Path) -> None:
    assert told(tabled, "link", "--path", "/srv/data/a")[1][-1].startswith("besides, no name gains rights by moving")


def test_why_mentions_the_tables_and_how_to_ask_them(tabled: Path) -> None:
    status, lines = told(tabled, "openat")

    assert status == 0
    assert lines[-1] == (
        "besides, [exec], [files], [network] decides about what calls are used on; "
        "ask with --path NAME or --address ADDR"
    )


def test_why_of_a_policy_without_the_table_says_that_nobody_is_asked() -> None:
    lines = ask("why", "no-network", "openat", "--path", "/etc/shadow").stdout.splitlines()

    assert "  for perhaps read, write, create, truncate: no table is asked" in lines


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["openat", "--path", "etc/passwd"], "'etc/passwd' is relative"),
        (["openat", "--path", "/etc/../x"], "'/etc/../x' is no canonical name"),
        (["openat", "--path", "//etc"], "no canonical name"),
        (["openat", "--path", "/etc/"], "no canonical name"),
        (["openat", "--path", ""], "is relative"),
        (["openat", "--path", "newpath=/x"], "openat has no path called 'newpath'; its paths: pathname"),
        (["openat", "--path", "pathname=x"], "'x' is relative"),
        (["read", "--path", "/x"], "read names no path; --access says what is done to one"),
        (["openat", "--path", "/x", "--access", "reed"], "did you mean 'read'?"),
        (["openat", "--access", "read"], "there is none"),
        (["connect", "--known-as", "x"], "there is none"),
        (["openat", "--address", "unix:@x"], "openat names no address; there are: bind, connect"),
        (["connect", "--address", "tcp://10.0.0.0/8:80"], "one address is wanted"),
        (["connect", "--address", "tcp://10.0.0.1:80-90"], "one address is wanted"),
        (["connect", "--address", "tcp://*:80"], "one address is wanted"),
        (["connect", "--address", "tcp://example.org:80"], "one address is wanted"),
        (["connect", "--address", "unix:/run/*"], "one address is wanted"),
        (["connect", "--address", "unix:@a*"], "one address is wanted"),
        (["connect", "--address", "!tcp://10.0.0.1:80"], "without a !"),
        (["connect", "--address", "localhost"], "ports follow the host"),
        (["connect", "--address", "unix:x"], "a pattern starts with /"),
    ],
)
def test_questions_that_mean_nothing_are_refused(tabled: Path, words: list[str], message: str) -> None:
    done = ask("why", tabled, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_no_text_is_shown_as_a_policy_writes_it(tabled: Path) -> None:
    _, lines = told(tabled, "stat", "--path", os.fsdecode(b"/srv/\xff\x1b[1m"))

    assert r"pathname /srv/\xff\x1b[1m: allow" in lines


def test_what_a_policy_says_of_itself_is_escaped_too(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(
        '[policy]\nversion = 1\nname = "a\\u001b[2J"\nknown-as-of = "6.1"\n'
        '[[files.rules]]\npaths = ["/x"]\naction = "deny"\nreason = "no\\nyes"\n'
    )

    lines = [line for line in ask("why", path, "stat", "--path", "/x").stdout.splitlines() if "for stat" in line]

    assert len(lines) == 1
    assert "\x1b" not in lines[0]


def test_why_in_json_has_what_the_tables_say(tabled: Path) -> None:
    answer = answered("why", tabled, "openat", "--arg", "flags=O_RDWR", "--path", "/srv/x", "--arch", "x86_64")

    assert answer["runs"]
    (asked,) = answer["asked"]
    assert (asked["argument"], asked["name"], asked["allowed"]) == ("pathname", "/srv/x", False)
    read, write = asked["answers"]
    assert (read["access"], read["action"], read["table"], read["layer"]) == ("read", "allow", "files", "tabled")
    assert (read["pattern"], read["file"], read["line"], read["key"]) == ("/srv", str(tabled), 14, "files.read[0]")
    assert (write["access"], write["action"], write["errno"], write["pattern"]) == ("write", "deny", "EACCES", None)
    assert [(one["pattern"], one["outcome"], one["access"]) for one in asked["tried"]] == [
        ("/srv", "decides", ["read"])
    ]
    assert answered("why", tabled, "openat")["asked"] == []


def test_what_leads_into_the_targets_own_process_stays_its_own(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "fds").symlink_to("/proc/self/fd")

    assert machine.resolve(b"/proc/self/maps") == b"/proc/self/maps"
    assert machine.resolve(os.fsencode(tmp_path / "fds" / "3")) == b"/proc/self/fd/3"
    assert machine.resolve(os.fsencode(tmp_path / "loop" / "x")) == os.fsencode(tmp_path / "loop" / "x")
    assert machine.resolve(b"/") == b"/"
    assert machine.exists(os.fsencode(tmp_path / "loop"))
    assert not machine.exists(os.fsencode(tmp_path / "none" / "x"))
    assert not machine.exists(b"/dev/null/x")
