"""Grants in a file: added and revoked in what stands there at that moment, whoever else edits it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.errors import PolicyError
from monitor.policy import edit, grants_file
from monitor.policy.grants_file import GrantsFile
from monitor.policy.tables import Grant, Written
from monitor.policy.variables import Variables

MKDIR = Grant(call="mkdir", verdict="allow")
RMDIR = Grant(call="rmdir", verdict="deny")

POLICY = '[policy]\nversion = 1\n\n# mine\n[[grants]]\ncall = "sync"\nverdict = "allow"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "grants.toml"


def entries(path: Path) -> list[str]:
    return [one.call for one in GrantsFile(path).entries()]


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def test_a_file_that_is_not_there_has_none_and_is_made_for_its_owner_alone(path: Path) -> None:
    assert GrantsFile(path).entries() == ()

    shown = GrantsFile(path).add(MKDIR)

    assert shown == f'--- {path}\n+++ {path}\n@@ -0,0 +1,3 @@\n+[[grants]]\n+call = "mkdir"\n+verdict = "allow"\n'
    assert GrantsFile(path).entries() == (MKDIR,)
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(path) == ["grants.toml"]


def test_a_policy_keeps_every_other_byte(path: Path) -> None:
    path.write_text(POLICY)

    GrantsFile(path).add(MKDIR)
    shown = GrantsFile(path).revoke(0)

    assert entries(path) == ["mkdir"]
    assert path.read_text() == '[policy]\nversion = 1\n\n[[grants]]\ncall = "mkdir"\nverdict = "allow"\n'
    assert "-# mine\n" in shown


def test_several_are_revoked_at_once_by_the_numbers_that_they_had(path: Path) -> None:
    for call in ("sync", "mkdir", "rmdir", "rename"):
        GrantsFile(path).add(Grant(call=call, verdict="allow"))

    GrantsFile(path).revoke(0, 2, 0)

    assert entries(path) == ["mkdir", "rename"]


def test_patterns_of_a_file_have_its_variables(path: Path) -> None:
    path.write_text('[[grants]]\ncall = "open"\nverdict = "allow"\npaths = ["$X/a", "$PROJECT/b"]\n')

    (one,) = GrantsFile(path, variables=Variables({"X": "/x"})).entries()

    assert [each.expanded for each in one.paths] == ["/x/a", f"{path.parent}/b"]


def test_a_link_and_a_mode_stay(path: Path) -> None:
    real = path.with_name("real.toml")
    real.write_text("# none\n")
    real.chmod(0o640)
    path.symlink_to("real.toml")

    GrantsFile(path).add(MKDIR)

    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert entries(real) == ["mkdir"]


# ---- others edit it, too ----


def test_two_who_remember_at_once_lose_nothing(path: Path) -> None:
    """Each of four processes adds twenty; all of them stand there, once."""
    script = (
        "import sys; from monitor.policy.grants_file import GrantsFile; from monitor.policy.tables import Grant\n"
        "for n in range(20):\n"
        "    GrantsFile(sys.argv[1]).add(Grant(call='mkdir', verdict='allow', why=f'{sys.argv[2]} {n}'))"
    )
    made = [subprocess.Popen([sys.executable, "-c", script, str(path), str(number)]) for number in range(4)]

    assert [one.wait() for one in made] == [0, 0, 0, 0]
    whys = [one.why for one in GrantsFile(path).entries()]
    assert sorted(whys) == sorted(f"{number} {n}" for number in range(4) for n in range(20))
    assert names(path) == ["grants.toml"]


def test_what_an_editor_without_a_lock_has_written_meanwhile_is_not_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written between our reading and our writing: the edit is made again, of what stands there then."""
    path.write_text("# before\n")
    original, done = edit.add_grant, list[str]()

    def interrupted(text: str, grant: Grant) -> str:
        if not done:
            done.append(text)
            edit.save(path, "# after\n")
        return original(text, grant)

    monkeypatch.setattr(edit, "add_grant", interrupted)
    GrantsFile(path).add(MKDIR)

    assert path.read_text().startswith("# after\n\n[[grants]]")
    assert names(path) == ["grants.toml"]


def test_who_is_always_overtaken_gives_up_and_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("")
    original = edit.add_grant

    def interrupted(text: str, grant: Grant) -> str:
        path.write_text(f"{path.read_text()}#\n")
        return original(text, grant)

    monkeypatch.setattr(edit, "add_grant", interrupted)
    with pytest.raises(PolicyError, match="others change it again and again"):
        GrantsFile(path).add(MKDIR)

    assert entries(path) == []
    assert names(path) == ["grants.toml"]


def test_a_lock_that_nobody_gives_up_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants_file, "_PATIENCE_SECONDS", 0.1)
    path.write_text("")
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="somebody else is editing it"):
            GrantsFile(path).add(MKDIR)

    assert entries(path) == []


def test_a_link_that_appears_meanwhile_leads_nowhere(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write the directory puts a link to another file there, after its name was looked up."""
    victim = path.with_name("victim")
    victim.write_text("# mine\n")
    path.symlink_to("victim")
    monkeypatch.setattr(os.path, "realpath", str)

    with pytest.raises(PolicyError, match="has become a symbolic link"):
        GrantsFile(path).add(MKDIR)

    assert victim.read_text() == "# mine\n"


# ---- what cannot be ----


def fifo(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 32)


def garbage(path: Path) -> None:
    path.write_text("grants = what\n")


def no_text(path: Path) -> None:
    path.write_bytes(b"# \xff\n")


def other(path: Path) -> None:
    path.write_text('[server]\nname = "x"\n')


def dotted(path: Path) -> None:
    """Of which ``tomllib`` makes as many tables, one in the other: nobody compares those."""
    path.write_text(".".join("a" * 4000) + " = 1\n")


def dotted_header(path: Path) -> None:
    path.write_text("[" + ".".join("a" * 4000) + "]\n")


def socket_file(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


MADE = [fifo, directory, loop, huge, garbage, no_text, other, dotted, dotted_header, socket_file]


@pytest.mark.parametrize("make", MADE)
def test_what_is_no_such_file_is_told_by_its_name_and_not_touched(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    before = path.lstat()

    tracemalloc.start()
    try:
        for action in (
            GrantsFile(path).entries,
            lambda: GrantsFile(path).add(MKDIR),
            lambda: GrantsFile(path).revoke(0),
        ):
            with pytest.raises((PolicyError, OSError), match=re.escape(str(path))):
                action()
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()

    assert path.lstat() == before
    assert names(path) == ["grants.toml"]


def test_however_deep_a_file_goes_it_is_no_more_than_wrong(path: Path) -> None:
    """What reads it, what finds its lines and what compares it each have a depth of their own."""
    for depth in range(200, 520, 7):
        text = f"grants = {'[' * depth}{']' * depth}\n"
        path.write_text(text)
        for action in (GrantsFile(path).entries, lambda: GrantsFile(path).add(MKDIR)):
            with pytest.raises(PolicyError, match=re.escape(str(path))):
                action()
        assert path.read_text() == text


def test_an_edit_takes_time_as_the_file_has_lines_and_not_by_their_square() -> None:
    def seconds(count: int) -> float:
        text = '[[grants]]\ncall = "sync"\nverdict = "allow"\n' * count
        began = time.process_time()
        edit.add_grant(text, MKDIR)
        return time.process_time() - began

    seconds(10)
    assert min(seconds(6400) for _ in range(3)) < 24 * min(seconds(800) for _ in range(3)), "eight times as many"


def test_a_file_that_would_have_no_room_is_as_it_was(path: Path) -> None:
    """As on a full disk; the kernel's word for it is EFBIG, where that is ENOSPC."""
    path.write_text("# mine\n")
    code = (
        "import resource, sys; from monitor.policy.grants_file import GrantsFile\n"
        "from monitor.policy.tables import Grant\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try: GrantsFile(sys.argv[1]).add(Grant(call='mkdir', verdict='allow'))\n"
        "except OSError as error: sys.stdout.write(error.strerror)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == os.strerror(errno.EFBIG)
    assert path.read_text() == "# mine\n"
    assert names(path) == ["grants.toml"]


def test_another_name_of_the_file_keeps_what_it_had(path: Path) -> None:
    path.write_text("# mine\n")
    path.with_name("other").hardlink_to(path)

    GrantsFile(path).add(MKDIR)

    assert path.with_name("other").read_text() == "# mine\n"
    assert entries(path) == ["mkdir"]


def test_a_mistake_is_revoked_and_nothing_is_added_to_it(path: Path) -> None:
    path.write_text('[[grants]]\ncall = "opne"\nverdict = "allow"\n')

    with pytest.raises(PolicyError, match=re.escape(f"{path}:2: grants[0].call: ")):
        GrantsFile(path).add(MKDIR)
    GrantsFile(path).revoke(0)

    assert entries(path) == []


def test_grants_in_one_list_are_edited_by_hand(path: Path) -> None:
    path.write_text('grants = [{ call = "sync", verdict = "allow" }]\n')

    with pytest.raises(PolicyError, match=re.escape(f"{path}: grants is not written as [[grants]]")):
        GrantsFile(path).add(MKDIR)
    assert entries(path) == ["sync"]


def test_what_would_be_longer_than_a_policy_may_be_is_not_written(path: Path) -> None:
    path.write_text("#" * ((1 << 20) - 10))

    with pytest.raises(PolicyError, match="longer than"):
        GrantsFile(path).add(MKDIR)
    assert path.stat().st_size == (1 << 20) - 10


def test_what_no_file_could_say_is_not_written(path: Path) -> None:
    path.write_text("# none\n")

    with pytest.raises(PolicyError, match="a pattern starts with"):
        GrantsFile(path).add(Grant(call="open", verdict="allow", paths=(Written("a"),)))
    assert path.read_text() == "# none\n"


def test_a_grant_that_is_not_there_is_not_revoked(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GrantsFile(path).revoke(0)
    assert not path.exists()
    GrantsFile(path).add(MKDIR)
    with pytest.raises(PolicyError, match="there is no such grant; there are 1"):
        GrantsFile(path).revoke(1)


def as_nobody(script: str, path: Path) -> str:
    """Return what a script of an ordinary user says about *path*, which it can reach."""
    for above in path.parents:
        if above.stat().st_mode & 0o005 != 0o005:
            above.chmod(above.stat().st_mode | 0o005)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    words = [*user, sys.executable, "-c", script, str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=False).stderr.strip().splitlines()[-1]


ADD = (
    "import sys; from monitor.policy.grants_file import GrantsFile; from monitor.policy.tables import Grant\n"
    "GrantsFile(sys.argv[1]).add(Grant(call='mkdir', verdict='allow'))"
)


@pytest.mark.root
def test_a_file_that_may_not_be_written_is_told(path: Path) -> None:
    path.write_text("")
    path.chmod(0o644)

    assert as_nobody(ADD, path) == f"PermissionError: [Errno 13] Permission denied: '{path}'"


@pytest.mark.root
def test_a_directory_that_may_not_be_written_is_told(path: Path) -> None:
    path.write_text("")
    path.chmod(0o666)

    said = as_nobody(ADD, path)
    assert said.startswith("PermissionError: [Errno 13] Permission denied; an edit makes a new file in its directory")
    assert str(path) in said


@pytest.mark.root
def test_a_file_of_somebody_stays_theirs(path: Path) -> None:
    path.write_text("")
    os.chown(path, 65534, 65534)

    GrantsFile(path).add(RMDIR)

    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
