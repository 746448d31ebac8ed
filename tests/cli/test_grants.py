"""``seccomp-monitor grants``, and ``run --grants``: remembered answers as a user meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from monitor.cli import enforcing, remembering
from monitor.cli.enforcing import surroundings_here
from monitor.cli.remembering import Remembered, could_be_changed
from monitor.errors import PolicyError
from monitor.policy.tables import remembered
from monitor.policy.text import load
from monitor.policy.variables import Variables
from monitor.run import ProcessRun
from tests.cli.test_policy_commands import Answer, ask
from tests.cli.test_reading_again import FakeRun

HEAD = '[policy]\nversion = 1\nname = "mine"\n'
ASKS = HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "ask"\nerrno = "EBUSY"\n'
FILES = HEAD + 'known-as-of = "6.12"\n[files]\nwrite = ["/tmp"]\n'

GIT = """# what git may
[[grants]]
call = "openat"
paths = ["$HERE/git"]
access = ["read"]
program = "/usr/bin/git"
verdict = "allow"
expires = 2020-01-01
when-granted = 2019-11-22
why = "its configuration"
"""
MKDIR = '[[grants]]\ncall = "mkdir"\nverdict = "allow"\n'
SOCKET = '[[grants]]\ncall = "socket"\nwhen = "domain == AF_INET"\nverdict = "deny"\nerrno = "EACCES"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "grants.toml"
    path.write_text(f"{GIT}\n{MKDIR}\n{SOCKET}")
    return path


def grants(*words: str | Path) -> Answer:
    return ask("grants", *words)


# ---- list ----


def test_list_says_what_each_grant_covers_and_which_are_over(file: Path) -> None:
    done = grants("list", file, "-D", "HERE=/home/u")

    assert done.returncode == 0
    assert done.stdout == (
        f"{file}: 3 grants\n"
        "  1  allow openat to read /home/u/git and below, by /usr/bin/git, until 2020-01-01 (over)\n"
        "     granted 2019-11-22: its configuration\n"
        "  2  allow mkdir, by any program, until revoked\n"
        "  3  deny socket with EACCES where domain == AF_INET, by any program, until revoked\n"
    )


def test_list_as_json_has_the_keys_of_the_file_and_the_words(file: Path) -> None:
    done = grants("list", "--json", file, "-D", "HERE=/home/u")
    (listed,) = json.loads(done.stdout)["files"]

    assert listed["file"] == str(file)
    assert [one["number"] for one in listed["grants"]] == [1, 2, 3]
    assert [one["expired"] for one in listed["grants"]] == [True, False, False]
    assert listed["grants"][0]["expires"] == "2020-01-01"
    assert listed["grants"][2]["when"] == "domain == AF_INET"
    assert listed["grants"][1]["text"] == "allow mkdir, by any program, until revoked"


def test_list_shows_the_grants_of_a_policy_and_of_several_files(file: Path, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(ASKS + MKDIR)
    done = grants("list", "-D", "HERE=/x", policy, file, policy)

    assert [line for line in done.stdout.splitlines() if line[0] != " "] == [f"{policy}: 1 grant", f"{file}: 3 grants"]


def test_none_is_status_1(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text("# none\n")
    done = grants("list", tmp_path / "none.toml")

    assert (done.returncode, done.stdout) == (1, f"{tmp_path}/none.toml: no grants\n")


def test_what_is_shown_of_a_file_obeys_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.toml"
    path.write_text(f'{MKDIR}why = "\\u001b[2J\x9b2J"\n# \x9b2J\n')
    for done in (grants("list", path), grants("revoke", path, "1"), grants("list", f"{path}\x1b")):
        text = done.stdout + done.stderr
        assert text
        assert text.replace("\n", "").isprintable()


# ---- revoke ----


def test_revoke_takes_grants_by_their_numbers_and_shows_the_diff(file: Path) -> None:
    done = grants("revoke", file, "1", "3", "-D", "HERE=/home/u")

    assert done.returncode == 0
    assert file.read_text() == MKDIR
    assert {line for line in done.stdout.splitlines() if line[0] == "+"} == {f"+++ {file}"}
    assert "-# what git may\n" in done.stdout


def test_revoke_takes_all_that_are_over(file: Path) -> None:
    definition = ("-D", "HERE=/home/u")

    assert grants("revoke", "--expired", file, *definition).returncode == 0
    assert file.read_text() == f"{MKDIR}\n{SOCKET}"
    again = grants("revoke", "--expired", file)
    assert (again.returncode, again.stdout) == (1, f"{file}: no grant is over\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["revoke", "FILE"], "say which: numbers"),
        (["revoke", "FILE", "--expired", "1"], "say which: numbers"),
        (["revoke", "FILE", "0"], "Invalid value"),
        (["revoke", "FILE", "4", "-D", "HERE=/x"], "FILE: there is no such grant; there are 3"),
        (["revoke", "FILE", "2"], "FILE:4: grants[0].paths[0]: "),
        (["list", "FILE"], "FILE:4: grants[0].paths[0]: "),
        (["list"], "Missing argument"),
        (["list", "FILE", "-D", "HERE"], "a value is missing"),
        (["list", "/no/such.toml"], "/no/such.toml: there is no such file"),
        (["list", "/"], "/: cannot be read: Is a directory"),
        (["revoke", "/dev/null", "1"], "/dev/null: is no regular file"),
        (["what"], "No such command"),
    ],
)
def test_mistakes_are_told_in_one_line_with_status_2(file: Path, words: list[str], said: str) -> None:
    before = file.read_text()
    done = grants(*(word.replace("FILE", str(file)) for word in words))

    assert done.returncode == 2
    assert said.replace("FILE", str(file)) in done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_text() == before


def test_what_the_system_says_is_told_with_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(os, "rename", full)
    done = grants("revoke", file, "2", "-D", "HERE=/x")

    assert (done.returncode, done.stderr) == (2, f"seccomp-monitor: {file}: No space left on device\n")
    assert [path.name for path in file.parent.iterdir()] == ["grants.toml"]


# ---- run --grants ----


def run(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", "run", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(ASKS)
    return path


def test_run_answers_what_the_policy_asks_with_a_file_of_grants(policy: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.toml"
    given.write_text(MKDIR)
    without = run("-p", policy, "--grants", tmp_path / "none.toml", "--", "mkdir", tmp_path / "made")
    done = run("-p", policy, "--grants", given, "--", "mkdir", tmp_path / "made")

    assert (without.returncode, done.returncode) == (1, 0)
    assert f"-1 EBUSY (Device or resource busy) <denied: {policy}:4>" in without.stderr
    assert done.stderr == ""
    assert (tmp_path / "made").is_dir()
    assert not (tmp_path / "none.toml").exists()


def test_a_denial_that_was_remembered_is_told_with_its_place(policy: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.toml"
    given.write_text(MKDIR.replace("allow", "deny") + 'errno = "EROFS"\n')
    done = run("-p", policy, "--grants", given, "--", "mkdir", tmp_path / "made")

    assert f"-1 EROFS (Read-only file system) <denied: {given}:1>" in done.stderr


def test_a_file_by_a_plain_name_is_the_one_in_this_directory(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "given").write_text(MKDIR)
    done = run("-p", policy, "--grants", "given", "--", "mkdir", tmp_path / "made", cwd=tmp_path)

    assert done.returncode == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("what", "given.toml:1"),
        (ASKS, "given.toml:1: policy: "),
        ('[[grants]]\ncall = "mkdri"\nverdict = "allow"\n', "given.toml:2: grants[0].call: "),
        ("#" * (1 << 20) + "\n", "given.toml: longer than"),
    ],
)
def test_a_mistake_in_it_is_told_before_anything_runs(policy: Path, tmp_path: Path, text: str, said: str) -> None:
    given = tmp_path / "given.toml"
    given.write_text(text)
    done = run("-p", policy, "--grants", given, "--", "touch", tmp_path / "touched")

    assert done.returncode == 125
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "touched").exists()


def test_without_a_policy_nothing_is_asked() -> None:
    done = run("--grants", "given.toml", "--", "true")

    assert done.returncode == 125
    assert "--grants answers what a policy asks: name one with -p" in done.stderr


# ---- read again ----


class Fixture:
    """What reads a policy and its grants again, looked over its shoulder."""

    def __init__(self, policy: Path, given: Path, *, observe: bool = False) -> None:
        self.given = given
        remembered_file = Remembered(str(given), Variables(), observe)
        self.run = FakeRun(remembered_file.added_to(load(policy)))
        surroundings = surroundings_here((), None, None)
        run = cast("ProcessRun", self.run)
        self.reader = enforcing._Reader(run, [str(policy)], surroundings, remembered_file)
        self.reader._failed = False

    async def looks(self, count: int = 3) -> list[str]:
        """Look, and return the calls whose grants are in force then."""
        for _ in range(count):
            await self.reader.look(is_asked=False)
        return [one.call for one in remembered(self.run.policy)]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(enforcing, "tell", lines.append)
    return lines


@contextmanager
def trusted(monkeypatch: pytest.MonkeyPatch, *, trust: bool) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(remembering, "could_be_changed", lambda file: not trust and file.endswith("given.toml"))
        yield


async def test_a_grant_that_is_added_and_one_that_is_revoked_count_from_then_on(
    policy: Path, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given.toml"
    with trusted(monkeypatch, trust=True):
        again = Fixture(policy, given)
        assert await again.looks() == []
        given.write_text(MKDIR)
        assert await again.looks() == ["mkdir"]
        given.write_text("what")
        assert await again.looks() == ["mkdir"]
        given.unlink()
        assert await again.looks() == []

    assert [line.partition(":")[0] for line in told] == [
        "the policy was read again; 1 calls are decided differently",
        "the policy was not read again",
        "the policy was read again; 1 calls are decided differently",
    ]


async def test_what_the_program_could_have_written_is_not_read_again(
    policy: Path, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given.toml"
    given.write_text(SOCKET)
    with trusted(monkeypatch, trust=False):
        again = Fixture(policy, given)
        given.write_text(f"{SOCKET}\n{MKDIR}")
        assert await again.looks() == ["socket"]
        given.write_text("what")
        assert await again.looks() == ["socket"]
        given.unlink()
        assert await again.looks() == ["socket"]
        policy.write_text(ASKS.replace("EBUSY", "EROFS"))
        assert await again.looks() == ["socket"]

    assert told == [
        f"{given}: not read again: {remembering._WHY}; what was in force stays",
        "the policy was read again; 1 calls are decided differently",
    ]


@pytest.mark.parametrize(
    ("text", "observe", "read"), [(ASKS, False, False), (FILES, False, True), (FILES, True, False)]
)
async def test_only_files_keep_a_program_from_it(
    policy: Path, tmp_path: Path, told: list[str], text: str, *, observe: bool, read: bool
) -> None:
    """It is ours, and so are the program's rights."""
    policy.write_text(text)
    again = Fixture(policy, tmp_path / "given.toml", observe=observe)
    again.given.write_text(MKDIR)

    assert await again.looks() == (["mkdir"] if read else [])
    assert len(told) == 1


def test_what_is_ours_could_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "given.toml"
    path.write_text("")
    path.chmod(0o400)

    assert could_be_changed(str(path))
    assert could_be_changed(str(tmp_path / "none.toml"))


CHANGED = (
    "import sys; from monitor.cli.remembering import could_be_changed\n"
    "print(*map(could_be_changed, sys.argv[1:]), sep='\\n')"
)


@pytest.mark.root
def test_what_is_somebody_else_s_in_directories_of_theirs_could_not_be_changed(public_directory: Path) -> None:
    theirs = public_directory / "theirs"
    ours = public_directory / "ours"
    for directory, owner in ((theirs, 0), (ours, 65534)):
        directory.mkdir(mode=0o755)
        os.chown(directory, owner, owner)
    (theirs / "safe").write_text("")
    (theirs / "shared").write_text("")
    (theirs / "shared").chmod(0o666)
    (theirs / "given").write_text("")
    os.chown(theirs / "given", 65534, 0)
    (ours / "link").symlink_to(theirs / "safe")
    (theirs / "link").symlink_to(theirs / "safe")
    (theirs / "sticky").mkdir()
    (theirs / "sticky").chmod(0o1777)
    (theirs / "sticky" / "safe").write_text("")
    names = [
        theirs / "sticky" / "safe",
        theirs / "none",
        theirs / "link",
        theirs / "shared",
        theirs / "given",
        ours / "link",
    ]
    names += [theirs / "sticky" / "none", ours / "none"]
    script = [sys.executable, "-c", CHANGED, *map(str, names)]
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run([*user, *script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False", "False", "True", "True", "True", "True", "True"]


def test_a_definition_that_says_nothing_is_told() -> None:
    with pytest.raises(PolicyError, match="a value is missing"):
        Remembered.of("x.toml", ["HERE"], observe=False)
