"""Plain calls that ask or change something take the fast path, and nobody can tell but by the time that it takes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import monitor
from monitor._native import ACTS, FastActor
from monitor.broker.lanes import opening_lane
from monitor.handlers import paths
from monitor.handlers.lanes import Lanes
from monitor.origin import Origin
from monitor.policy.text import loads

HEAD = """
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
unix = "unmediated"
"""

ALLOWING = HEAD + 'otherwise = "allow"\n'

LOOP = """
import os, sys
os.chdir(sys.argv[1])
def no(what, *args, **more):
    try:
        what(*args, **more)
    except OSError as error:
        return error.errno
    raise SystemExit(f"it can be: {args}")
fd = os.open("file", os.O_RDWR)
other = os.open("other", os.O_WRONLY | os.O_CREAT)
for _ in range(200):
"""

KINDS = {
    "access": 'os.access("file", os.R_OK)',
    "access, effective": 'os.access("file", os.R_OK, effective_ids=True)',
    "access, missing": 'os.access("missing", os.R_OK)',
    "readlink": 'os.readlink("link")',
    "readlink of no link": 'no(os.readlink, "file")',
    "open of what is missing": 'no(os.open, "missing", os.O_RDONLY)',
    "open below what is missing": 'no(os.open, "missing/and/more", os.O_RDONLY)',
    "stat beside what is missing": 'no(os.stat, "missing/../more")',
    "open to write": 'os.close(os.open("file", os.O_RDWR | os.O_APPEND))',
    "open to empty": 'os.close(os.open("file", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))',
    "create": 'os.close(os.open("made", os.O_WRONLY | os.O_CREAT | os.O_EXCL)); os.unlink("made")',
    "mkdir and rmdir": 'os.mkdir("made"); os.rmdir("made")',
    "rename": 'os.rename("file", "moved"); os.rename("moved", "file")',
    "rename of a directory": 'os.rename("directory", "moved"); os.rename("moved", "directory")',
    "link": 'os.link("file", "made"); os.unlink("made")',
    "symlink": 'os.symlink("file", "made"); os.unlink("made")',
    "chmod": 'os.chmod("file", 0o640)',
    "chown": 'os.chown("file", -1, -1); os.lchown("link", -1, -1)',
    "utimensat": 'os.utime("file"); os.utime("link", (1, 2), follow_symlinks=False)',
    "by an fd": "os.fchmod(fd, 0o600); os.fchown(fd, -1, -1); os.utime(fd); os.utime(fd, (1, 2))",
    "chdir": 'os.chdir("directory"); os.chdir("..")',
}


def plant(tree: Path) -> Path:
    """Make *tree* what it is at the beginning of each run."""
    subprocess.run(
        ["chmod", "-R", "u+rwx", str(tree)], stderr=subprocess.DEVNULL, check=False
    )  # as the last run left it
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("directory/below", "full", "secret", "sticky"):
        (tree / name).mkdir(parents=True)
    for name in ("file", "full/one", "secret/key", "open.txt"):
        (tree / name).write_text(f"{name}\n")
    for name, to in (("link", "file"), ("gone", "nowhere"), ("loop", "loop"), ("to-secret", "secret")):
        (tree / name).symlink_to(to)
    os.mkfifo(tree / "fifo")
    (tree / "sticky").chmod(0o1777)
    (tree / "sticky/theirs").write_text("theirs\n")
    if os.geteuid() == 0:
        os.chown(tree / "sticky/theirs", 1234, 1234)
    return tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with things of all kinds."""
    return plant(tmp_path / "tree")


def program(script: str, *words: str, **options: Any) -> monitor.Launch:
    return monitor.Launch(
        ["/usr/bin/python3", "-S", "-c", script, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        **options,
    )


async def ran(script: str, tree: Path, policy: str, *, fast: bool = True, **options: Any) -> tuple[int, list[str]]:
    """Return the status and the lines of *script* under *policy*, which goes the long way unless *fast*."""
    given: dict[str, Any] = {} if fast else {"events": lambda _event: None}
    text = policy.replace("$T", str(tree))
    launch = program(script, str(tree), **options)
    async with monitor.supervise(launch, policy=loads(text, Origin("test.toml")), **given) as run:
        output = b"".join([chunk async for chunk in run.stdout])
        return await run.wait(), output.decode().splitlines()


@pytest.fixture
def rulings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that went the long way, from now on."""
    found: list[str] = []
    before = paths.PathJudge.ruling

    def ruling(judge: paths.PathJudge, call: monitor.Call) -> object:
        found.append(call.name)
        return before(judge, call)

    monkeypatch.setattr(paths.PathJudge, "ruling", ruling)
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
async def test_each_kind_takes_it(tree: Path, rulings: list[str], kind: str) -> None:
    assert await ran(f"{LOOP}    {kind}\n", tree, ALLOWING) == (0, [])
    assert len(rulings) < 60, rulings


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
async def test_no_kind_takes_it_where_somebody_wants_to_hear_of_it(tree: Path, rulings: list[str], kind: str) -> None:
    assert await ran(f"{LOOP}    {kind}\n", tree, ALLOWING, fast=False) == (0, [])
    assert len(rulings) >= 200


# ---- the same as on the long way, and natively ----

SAME = """
import os, stat, sys, resource
tree = sys.argv[1]
os.chdir(tree)
os.umask(0o027)
root = os.open(".", os.O_RDONLY)
NAMES = "file link gone loop missing missing/more directory directory/ file/ full full/one secret secret/key to-secret "
NAMES += "to-secret/key . .. directory/.. fifo made made/ sticky/theirs sticky/made open.txt here.txt"
NAMES = NAMES.split() + ["", "x" * 255, "x" * 256, "file/" + "x" * 256, tree + "/file", tree + "/made", "y/" * 300]

def told(name, what, *args, **more):
    try:
        result = what(*args, **more)
    except OSError as error:
        result = -error.errno
    print(name, *(str(arg)[:60] for arg in args), more, "=", result)
    return result if isinstance(result, int) else 0

def opened(name, flags):
    try:
        fd = os.open(name, flags, 0o666)
    except OSError as error:
        return -error.errno
    what = os.fstat(fd)
    text = what.st_size, oct(what.st_mode), os.get_inheritable(fd), fd
    os.close(fd)
    return text

def shown():
    for above, directories, files in sorted(os.walk(".")):
        for name in sorted(directories + files):
            try:
                what = os.lstat(os.path.join(above, name))
            except OSError as error:
                print(" ", above, name, error.errno)
                continue
            times = int(what.st_mtime) if what.st_mtime < 1000 else None
            size = None if stat.S_ISDIR(what.st_mode) else what.st_size
            print(" ", above, name, oct(what.st_mode), what.st_uid, what.st_nlink, size, times)

def undo(name):
    for what in (os.unlink, os.rmdir):
        try: what(name)
        except OSError: pass

for name in ("file", "full", "directory", "link", "secret"):  # to where nothing is
    if told("rename", os.rename, name, "elsewhere") == 0:
        told("rename", os.rename, "elsewhere", name)

for name in NAMES:
    for mode in (0, os.R_OK, os.W_OK | os.X_OK):
        told("access", os.access, name, mode)
    told("readlink", os.readlink, name)
    told("chmod", os.chmod, name, 0o644) if name not in {"..", "."} and "directory" not in name else None
    told("chmod", os.chmod, name, 0o755) if "directory" in name else None
    told("chown", os.chown, name, -1, os.getgid())
    told("utime", os.utime, name, (5, 6))
    told("utime", os.utime, name, (7, 8), follow_symlinks=False)
    for flags in (os.O_WRONLY, os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_DIRECTORY,
                  os.O_WRONLY | os.O_NOFOLLOW | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                  os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, os.O_RDONLY | os.O_CREAT):
        if "fifo" not in name:
            told("open", opened, name, flags)
            if name in {"made", "sticky/made", "nowhere", "here.txt"}: undo(name)
    shown()
    told("mkdir", os.mkdir, name, 0o777)
    told("symlink", os.symlink, "to somewhere", name)
    told("unlink", os.unlink, name) if name in {"made", "gone", "loop", "fifo", "missing", ""} else None
    told("rmdir", os.rmdir, name)
    shown()
    for to in ("made", "full", "file", "full/one", "secret/new", "here.txt", "link", "sticky/theirs", "x" * 256):
        told("link", os.link, name, to)
        if told("rename", os.rename, name, to) == 0 and name not in {to, to + "/"}:
            told("rename", os.rename, to, name)
    told("chdir", os.chdir, name)
    print(os.getcwd())
    os.fchdir(root)
    shown()

had = os.open("open.txt", os.O_RDONLY)
for what in (lambda: os.fchmod(had, 0o604), lambda: os.fchown(had, -1, os.getgid()), lambda: os.utime(had, (9, 10)),
             lambda: os.utime(had), lambda: os.fchmod(99, 0o600), lambda: os.utime(99)):
    told("by an fd", what)
os.unlink("open.txt") if os.path.exists("open.txt") else None
told("by an fd that has no name", os.fchmod, had, 0o640)
held = os.open(".", os.O_PATH)
told("by an fd that only holds", os.fchmod, held, 0o755)
told("by an fd that only holds", os.chown, held, -1, -1)
shown()
with open("long", "w") as text: print("long", file=text)
resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0) + 1, 100))
for name, flags in (("long", os.O_WRONLY | os.O_TRUNC), ("new", os.O_WRONLY | os.O_CREAT), ("no", 0), ("no/no", 0)):
    told("open without room", opened, name, flags)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
shown()
"""

TABLES = {
    "allow all": 'otherwise = "allow"\n',
    "a name that is denied": 'otherwise = "allow"\ndeny = ["$T/secret", "$T/full/one", "$T/made", "$T/nowhere"]\n',
    "names that are hidden": 'otherwise = "allow"\nhide = ["$T/secret", "$T/file", "$T/here.txt"]\n',
    "a pattern": 'otherwise = "allow"\n[[files.rules]]\naction = "deny"\npaths = ["$T/*.txt"]\naccess = ["write"]\n',
    "names that may not be read": 'otherwise = "allow"\n[[files.rules]]\naction = "deny"\n'
    'paths = ["$T/file", "$T/full/one"]\naccess = ["read"]\n',
    "names below what may be a link": 'otherwise = "allow"\ndeny = ["$T/made/x", "$T/link/x"]\n',
    "read only": 'otherwise = "deny"\nread = ["/"]\n',
    "no names of their own": 'otherwise = "allow"\n[[files.rules]]\naction = "deny"\npaths = ["$T/**"]\n'
    'access = ["create", "delete", "truncate"]\n',
    "no metadata": 'otherwise = "allow"\n[[files.rules]]\naction = "deny"\npaths = ["$T/file", "$T/directory"]\n'
    'access = ["chmod", "utime", "rename-source", "link-source", "readlink", "chdir", "stat"]\n',
}


@pytest.mark.seconds(120)
@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
async def test_a_program_sees_the_same_with_it_and_without(tree: Path, table: str) -> None:
    seen = {}
    for fast in (True, False):
        plant(tree)
        seen[fast] = await ran(SAME, tree, HEAD + table, fast=fast)
    plant(tree)

    assert seen[True] == seen[False]
    assert len(seen[True][1]) > 300


SUPERVISE = """
import sys, trio, monitor
from monitor.policy.text import loads

async def main():
    async with monitor.supervise(sys.argv[2:], policy=loads(sys.argv[1])) as run:
        return await run.wait()

sys.exit(trio.run(main))
"""


@pytest.mark.seconds(120)
@pytest.mark.parametrize("user", [0, 1234])
@pytest.mark.root
def test_it_is_what_the_kernel_does(tree: Path, user: int) -> None:
    """All that the kernel says to root, and to somebody who may not do everything."""
    for above in (tree.parent, *tree.parent.parents):
        if not above.stat().st_mode & 1:
            above.chmod(above.stat().st_mode | 0o011)
    alone = ["/usr/bin/python3", "-S", "-c", SAME, str(tree)]
    seen = []
    for words in (alone, [sys.executable, "-c", SUPERVISE, ALLOWING, *alone]):
        plant(tree)
        for name in (tree, tree / "file", tree / "full", tree / "full/one", tree / "sticky", tree / "link"):
            os.chown(name, user, user, follow_symlinks=False)  # the rest is root's
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd="/", user=user, group=user, extra_groups=[]
        )
        seen.append((done.returncode, done.stdout.splitlines(), done.stderr.splitlines()))

    assert seen[1] == seen[0]
    assert seen[0][0] == 0
    assert len(seen[0][1]) > 300


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for few files, one of which is there; and where it cannot be written to, below."""
    place, bound = tmp_path / "small", tmp_path / "bound"
    place.mkdir()
    bound.mkdir()
    with contextlib.ExitStack() as stack:
        for where, options in ((place, "nr_inodes=3,size=64k"), (bound, "ro")):
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], check=True)
            stack.callback(subprocess.call, ["umount", "-l", str(where)])
        (place / "file").write_text("text")
        yield tmp_path


@pytest.mark.root
async def test_a_full_file_system_and_one_that_is_only_read_are_told_of(small: Path) -> None:
    script = (
        "import os, sys\nos.chdir(sys.argv[1])\n"
        "def told(what, *args):\n"
        "    try: print(what(*args))\n"
        "    except OSError as error: print(error.errno)\n"
        "told(os.mkdir, 'small/one')\n"
        "for name in ('small', 'bound'):\n"
        "    for what in (os.mkdir, lambda name: os.open(name, 0o101), lambda name: os.symlink('x', name),\n"
        "                 os.unlink, lambda name: os.rename(name, name + '2'),\n"
        "                 lambda name: os.link(name, name + '2'), os.chmod):\n"
        "        told(what, name + '/new', *([0o600] if what is os.chmod else []))\n"
        "told(os.chmod, 'bound', 0o700); told(os.utime, 'bound')\n"
    )
    native = subprocess.run(
        ["/usr/bin/python3", "-S", "-c", script, str(small)], capture_output=True, text=True, check=False
    )
    (small / "small/one").rmdir()

    assert await ran(script, small, ALLOWING) == (0, native.stdout.splitlines())
    assert {"28", "30"} <= set(native.stdout.split())


# ---- what has to hold besides ----


async def test_what_is_made_has_the_umask_of_who_made_it_and_not_ours(tree: Path, rulings: list[str]) -> None:
    before = os.umask(0o077)
    os.umask(before)
    script = (
        "import os, sys\nos.chdir(sys.argv[1])\n"
        "for umask in (0, 0o022, 0o077, 0o777, 0o135):\n"
        "    os.umask(umask)\n"
        "    for number in range(20):\n"
        "        os.close(os.open(f'made-{number}', os.O_CREAT | os.O_WRONLY, 0o6777))\n"
        "        os.mkdir(f'dir-{number}', 0o1777)\n"
        "    print({oct(os.stat(f'{what}-{number}').st_mode) for number in range(20) for what in ('made', 'dir')})\n"
        "    for number in range(20): os.unlink(f'made-{number}'); os.rmdir(f'dir-{number}')\n"
    )
    native = subprocess.run(
        ["/usr/bin/python3", "-S", "-c", script, str(tree)], capture_output=True, text=True, check=True
    )
    _, lines = await ran(script, tree, ALLOWING)
    after = os.umask(before)

    assert [sorted(line.strip("{}").split(", ")) for line in lines] == [
        sorted(line.strip("{}").split(", ")) for line in native.stdout.splitlines()
    ]
    assert after == before
    assert len(rulings) < 60


async def test_the_policy_is_not_changed_whatever_it_is_called(tmp_path: Path, tree: Path) -> None:
    file = tree / "directory" / "policy.toml"
    file.write_text(ALLOWING)
    os.link(file, tree / "another")
    script = (
        "import os, sys\nos.chdir(sys.argv[1])\n"
        "def no(what, *args):\n"
        "    try: what(*args)\n"
        "    except PermissionError: return\n"
        "    print(what, args)\n"
        "for name in ('directory/policy.toml', 'another'):\n"
        "    no(os.open, name, os.O_WRONLY); no(os.open, name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)\n"
        "    no(os.chmod, name, 0)\n"
        "    no(os.unlink, name); no(os.rename, name, 'x'); no(os.rename, 'file', name); no(os.link, name, 'x')\n"
        "    no(os.utime, name); no(os.chown, name, -1, -1)\n"
        "    fd = os.open(name, 0); no(os.fchmod, fd, 0); no(os.utime, fd)\n"
        "no(os.rename, 'directory', 'x')\n"
    )
    policy = loads(file.read_text(), Origin(str(file)))
    async with monitor.supervise(program(script, str(tree)), policy=policy) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        assert (await run.wait(), output) == (0, "")

    assert file.read_text() == ALLOWING


async def test_names_move_one_at_a_time(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []
    locks: list[threading.Lock] = []
    begin = Lanes.__init__

    def note(lanes: Lanes, *given: Any) -> None:
        begin(lanes, *given)
        locks.append(given[-1])

    monkeypatch.setattr(Lanes, "__init__", note)
    for name in ("answer_rename", "answer_link", "answer_symlink"):
        before = getattr(FastActor, name)

        def answer(actor: FastActor, *given: Any, before: Any = before) -> object:
            held.append(locks[0].locked())
            return before(actor, *given)

        monkeypatch.setattr(FastActor, name, answer)
    script = "import os, sys\nos.chdir(sys.argv[1])\nos.rename('file', 'a'); os.link('a', 'b'); os.symlink('a', 'c')"

    assert await ran(script, tree, ALLOWING) == (0, [])
    assert held == [True] * 3


async def test_what_is_moved_is_what_was_seen(tree: Path, rulings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else has the name between the look and the move: it is looked up and decided anew."""
    before = FastActor.answer_rename
    swapped = 0

    def answer(actor: FastActor, flags: int) -> object:
        nonlocal swapped
        swapped += 1
        (tree / "other").write_text("other")
        (tree / "other").rename(tree / "file")
        return before(actor, flags)

    monkeypatch.setattr(FastActor, "answer_rename", answer)
    script = "import os, sys\nos.chdir(sys.argv[1])\nos.rename('file', 'moved')"

    assert await ran(script, tree, ALLOWING) == (0, [])
    assert swapped == 1
    assert "rename" in rulings
    assert (tree / "moved").read_text() == "other"


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_PATH, os.O_TMPFILE | os.O_RDWR, os.O_DIRECT | 1, os.O_EXCL | 1, 3])
def test_other_opens_have_no_lane(flags: int) -> None:
    assert opening_lane(flags) is None


def test_what_an_open_asks_for_depends_on_what_is_there() -> None:
    lane = opening_lane(os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    assert lane is not None
    assert lane.there == frozenset({"read", "write", "truncate"})
    assert lane.missing == frozenset({"read", "write", "create"})
    only_new = opening_lane(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    assert only_new is not None
    assert not only_new.there, "that it is there is not for the lane to say"


def test_acts_have_numbers_of_their_own() -> None:
    assert len(set(ACTS.values())) == len(ACTS)
