"""Names gain no rights by moving, and no link changes what a pattern means: as a program under a policy meets it."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

import monitor
from monitor.events.record import CallAnswered
from monitor.origin import Origin
from monitor.policy.text import load, loads
from tests.conftest import require

POLICY: Final = """
[policy]
version = 1
name = "moving"
known-as-of = "6.12"
syscalls-default = "allow"
[files]
read = ["/usr", "/bin", "/lib", "/lib64", "/etc", "/opt", "/proc/*", "$PYTHON", "$T/read", "$T/own/build/out"]
write = ["$T/own", "$T/shared", "!$T/own/project/.git/hooks", "!$T/own/way/hooks", "$T/plain.txt"]
exec = "unverified"
[[files.rules]]
paths = ["$T/own/secret*"]
action = "deny"
access = ["read"]
[[files.rules]]
paths = ["**/.env"]
action = "deny"
access = ["write"]
[[files.rules]]
paths = ["$T/own/hidden"]
action = "hide"
"""

PROGRAM: Final = """
import ctypes, errno, os, sys, time
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def exchange(one, other):
    if libc.syscall(316, -100, one.encode(), -100, other.encode(), 2):  # renameat2, RENAME_EXCHANGE
        raise OSError(ctypes.get_errno(), "renameat2")
for text in sys.stdin.read().splitlines():
    try:
        eval(text)
    except OSError as error:
        print(errno.errorcode[error.errno])
    else:
        print("done")
"""

OK, EXDEV, EACCES, EPERM, ENOENT = "done", "EXDEV", "EACCES", "EPERM", "ENOENT"

CASES: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "a file within its own directory": [
        ("os.rename('own/file', 'own/dir/file')", OK),
    ],
    "a directory within its own directory": [
        ("os.rename('own/dir', 'own/sub')", OK),
    ],
    "a file that keeps what it may": [
        ("os.rename('own/file', 'shared/file')", OK),
    ],
    "a hard link that keeps what it may": [
        ("os.link('own/file', 'shared/file')", OK),
    ],
    "a file that may be read only": [
        ("os.rename('read/file', 'own/got')", EACCES),
        ("os.link('read/file', 'own/got')", EACCES),
    ],
    "a file that may not be read, under a name that may": [
        ("os.rename('own/secret', 'own/open')", EXDEV),
        ("os.link('own/secret', 'own/open')", EXDEV),
        ("os.rename('own/secret', 'own/secret2')", OK),
        ("os.link('own/secret2', 'own/secret3')", OK),
    ],
    "files that change places": [
        ("exchange('own/file', 'own/secret')", EXDEV),
        ("exchange('own/secret', 'own/file')", EXDEV),
        ("exchange('own/file', 'own/dir/file')", OK),
    ],
    "a file that loses something": [
        ("os.rename('own/file', 'own/secret')", OK),
    ],
    "a directory above a name that is forbidden": [
        ("os.rename('own/project/.git', 'own/project/x')", EXDEV),
        ("os.rename('own/project', 'own/x')", EXDEV),
        ("os.rename('own/project/src', 'own/project/x')", OK),
    ],
    "a directory onto such a name": [
        ("os.rename('own/dir', 'own/project/.git')", EXDEV),
        ("os.rename('own/empty', 'own/project/.git')", EXDEV),
    ],
    "a pattern that means the same everywhere": [
        ("os.rename('own/dir', 'shared/dir')", OK),
        ("os.rename('own', 'shared/own')", EXDEV),
    ],
    "a link where a pattern speaks of what is below": [
        ("os.symlink('x', 'own/project/.git/hooks')", EACCES),
        ("os.rmdir('own/gone/.git')", OK),
        ("os.symlink('dir', 'own/link')", OK),
        ("os.rename('own/link', 'own/project/link')", OK),
        ("os.link('own/project/link', 'own/link2', follow_symlinks=False)", OK),
    ],
    "a link in the place of a pattern itself": [
        ("os.unlink('plain.txt')", OK),
        ("os.symlink('own/file', 'plain.txt')", EACCES),
        ("os.symlink('dir', 'own/link')", OK),
        ("os.rename('own/link', 'plain.txt')", EACCES),
        ("os.rename('own/file', 'plain.txt')", OK),
    ],
    "a directory that may have a link in it, where a pattern speaks of what is below": [
        ("os.symlink('../read', 'own/dir/out')", OK),
        ("os.rename('own/dir', 'own/build')", EXDEV),
        ("os.mkdir('own/build')", OK),
        ("os.symlink('../read', 'own/build/out')", EACCES),
        ("os.rename('own/dir/out', 'own/build/out')", EACCES),
        ("os.rename('own/empty', 'own/build/out')", EXDEV),
        ("os.mkdir('own/build/out')", OK),
    ],
    "a link through which a pattern leads": [
        ("os.unlink('own/way')", EACCES),
        ("os.rename('own/way', 'own/other')", EACCES),
        ("os.rename('own/file', 'own/way')", EACCES),
        ("exchange('own/way', 'own/file')", EACCES),
        ("exchange('own/file', 'own/way')", EACCES),
        ("os.mkdir('own/way/hooks')", EACCES),
    ],
    "names that look as if they were gone": [
        ("os.mkdir('own/ (deleted)')", OK),
        ("os.mkdir('own/ (deleted)/x')", OK),
        ("os.stat('own/ (deleted)/x')", OK),
        ("os.rename('own/ (deleted)', 'own/x (deleted)')", OK),
    ],
    "a name that is hidden": [
        ("os.rename('own/hidden', 'own/x')", ENOENT),
        ("os.rename('own/file', 'own/hidden')", EACCES),
        ("os.mkdir('own/hidden')", EACCES),
        ("os.unlink('own/hidden')", ENOENT),
        ("os.rmdir('own/hidden')", ENOENT),
        ("os.chmod('own/hidden', 0)", ENOENT),
        ("os.link('own/file', 'own/hidden')", EACCES),
        ("os.symlink('x', 'own/hidden')", EACCES),
        ("os.mkfifo('own/hidden')", EACCES),
    ],
    "an environment file": [
        ("os.mknod('own/.env')", EACCES),
        ("os.rename('own/file', 'own/.env')", EACCES),
    ],
}


def _fill(top: Path) -> None:
    for name in (
        "own/project/.git/hooks",
        "own/project/src",
        "own/dir",
        "own/empty",
        "own/there",
        "own/gone/.git",
        "read",
        "shared",
    ):
        (top / name).mkdir(parents=True)
    (top / "own/way").symlink_to("there")
    for name in ("own/file", "own/secret", "own/hidden", "own/dir/file", "read/file", "plain.txt"):
        (top / name).write_text(name)


async def said(top: Path, given: monitor.Policy, lines: Sequence[str]) -> list[str]:
    """Return what came of each of *lines* under *given*, in the directory *top*."""
    script = top / "lines"
    script.write_text("\n".join(lines))
    with script.open("rb") as stdin:
        launch = monitor.Launch(
            [sys.executable, "-I", "-c", PROGRAM, str(top)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        async with monitor.supervise(launch, policy=given) as run:
            assert run.stdout is not None
            output = b"".join([chunk async for chunk in run.stdout])
            await run.wait()
    return output.decode().splitlines()


def policy(top: Path, text: str = POLICY) -> monitor.Policy:
    """Return the policy of *text* for the directory *top*."""
    return loads(text.replace("$T", str(top)).replace("$PYTHON", sys.prefix), Origin("moving.toml"))


@pytest.mark.parametrize("case", CASES)
async def test_a_name_moves_where_it_gains_nothing(case: str, tmp_path: Path) -> None:
    _fill(tmp_path)
    calls = CASES[case]

    assert await said(tmp_path, policy(tmp_path), [text for text, _ in calls]) == [wanted for _, wanted in calls]


async def test_mv_copies_what_may_not_be_moved(tmp_path: Path) -> None:
    """And every copy is decided about by itself."""
    _fill(tmp_path)
    (tmp_path / "own/project/.git/config").write_text("config")
    (tmp_path / "own/project/.git/hooks/hook").write_text("hook")
    command = f"cd {tmp_path}/own/project && mv .git other"

    launch = monitor.Launch(["sh", "-c", command], stderr=subprocess.PIPE)
    async with monitor.supervise(launch, policy=policy(tmp_path)) as run:
        assert run.stderr is not None
        errors = b"".join([chunk async for chunk in run.stderr])
        await run.wait()

    assert (tmp_path / "own/project/other/config").read_text() == "config"
    assert (tmp_path / "own/project/.git/hooks/hook").read_text() == "hook", "nobody may take it away"
    assert not (tmp_path / "own/project/other/hooks/hook").exists(), "nor read it"
    assert b"Permission denied" in errors


async def test_the_policy_stays_where_it_is(tmp_path: Path) -> None:
    """Its file, and the directories that it is in, whatever it says of them."""
    _fill(tmp_path)
    file = tmp_path / "own/dir/deep/policy.toml"
    file.parent.mkdir()
    file.write_text(POLICY.replace("$T", str(tmp_path)).replace("$PYTHON", sys.prefix))
    lines = [
        "os.rename('own/dir', 'own/x')",
        "os.rename('own/dir/deep', 'own/x')",
        "os.rename('own/dir/deep/policy.toml', 'own/x')",
        "os.rename('own/file', 'own/dir/deep/policy.toml')",
        "os.link('own/dir/deep/policy.toml', 'own/x')",
        "os.unlink('own/dir/deep/policy.toml')",
        "os.chmod('own/dir/deep/policy.toml', 0o666)",
        "os.truncate('own/dir/deep/policy.toml', 0)",
        "os.setxattr('own/dir/deep/policy.toml', 'user.x', b'')",
        "os.rename('own/dir/file', 'own/x')",
    ]

    assert await said(tmp_path, load(file), lines) == [EACCES] * 9 + [OK]
    assert file.read_text().startswith("\n[policy]")


async def test_links_that_lead_to_the_policy_stay_where_they_are(tmp_path: Path) -> None:
    """Whoever names it by them would be given another the next time."""
    _fill(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "real/policy.toml").write_text(POLICY.replace("$T", str(tmp_path)).replace("$PYTHON", sys.prefix))
    (tmp_path / "own/to-real").symlink_to("../real")
    (tmp_path / "own/dir/to-policy").symlink_to("../to-real/policy.toml")
    lines = [
        "os.unlink('own/dir/to-policy')",
        "os.rename('own/dir/to-policy', 'own/x')",
        "os.rename('own/file', 'own/dir/to-policy')",
        "os.unlink('own/to-real')",
        "os.rename('own/dir', 'own/x')",
        "os.unlink('own/file')",
    ]

    assert await said(tmp_path, load(tmp_path / "own/dir/to-policy"), lines) == [EACCES] * 5 + [OK]


async def test_a_program_whose_processes_are_killed_goes_on(tmp_path: Path) -> None:
    """A dead process that nobody has waited for has neither memory nor umask."""
    _fill(tmp_path)
    killed = (
        "[(pid := os.fork()) or [os.mkdir(f'own/{os.getpid()}-{n}') for n in range(10**6)],"
        " time.sleep(0.003), os.kill(pid, 9), time.sleep(0.001), os.waitpid(pid, 0)]"
    )

    assert await said(tmp_path, policy(tmp_path), [killed] * 40) == [OK] * 40


@pytest.mark.root
async def test_a_device_is_made_where_no_more_is_allowed_than_for_the_device(tmp_path: Path) -> None:
    _fill(tmp_path)
    lines = [
        f"os.mknod('own/disk', {stat.S_IFBLK | 0o600}, os.makedev(7, 0))",
        f"os.mknod('own/memory', {stat.S_IFCHR | 0o600}, os.makedev(1, 1))",
        f"os.mknod('own/fifo', {stat.S_IFIFO | 0o600})",
        f"os.mknod('own/socket', {stat.S_IFSOCK | 0o600})",
    ]
    everything = POLICY.split("[files]", maxsplit=1)[0] + '[files]\notherwise = "allow"\nexec = "unverified"\n'

    assert await said(tmp_path, policy(tmp_path), lines) == [EPERM, EPERM, OK, OK]
    assert not (tmp_path / "own/disk").exists()
    for name in ("fifo", "socket"):
        (tmp_path / "own" / name).unlink()
    assert await said(tmp_path, policy(tmp_path, everything), lines) == [OK] * 4


async def test_what_is_refused_says_why(tmp_path: Path) -> None:
    _fill(tmp_path)
    launch = monitor.Launch(
        ["mv", "-T", str(tmp_path / "own/secret"), str(tmp_path / "own/open")], stderr=subprocess.DEVNULL
    )

    told: list[monitor.Event] = []
    async with monitor.supervise(launch, policy=policy(tmp_path), events=told.append) as run:
        await run.wait()
    calls = [event for event in told if isinstance(event, CallAnswered) and event.name.startswith("rename")]
    (refused,) = [call for call in calls if isinstance(call.verdict, monitor.Deny)]

    assert refused.verdict == monitor.Deny(errno.EXDEV)
    assert (str(refused.rule), refused.path) == ("a name gains no rights by moving", os.fsencode(tmp_path / "own/open"))


def test_the_programs_are_there() -> None:
    require("mv", os.access("/bin/mv", os.X_OK))
