"""
Real programs whose every file call is done for them: they write what they write without us.

Each runs twice in the same directory, made anew before each run: unsupervised, and with every call
that a broker can do done by it.  Its two streams, its status and what it leaves must be the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

import monitor
from monitor.broker.broker import FAMILIES
from monitor.origin import Origin
from monitor.policy.text import loads
from tests.conftest import require

DOCUMENTS = "/usr/share/doc"

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    "TZ": "UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
}

POLICY = """
[policy]
version = 1
name = "programs"
known-as-of = "6.12"
syscalls-default = "allow"
[files]
read = ["/usr", "/bin", "/lib", "/lib64", "/etc", "/opt", "/proc/self", "/proc/*", "/proc/sys", "/proc/*/*"]
write = ["$HOME_OF_TEST", "/tmp", "/var/tmp"]
exec = "unverified"
unix = "unmediated"
[[files.rules]]
paths = ["/", "/dev", "/dev/*"]
access = ["stat", "list"]
action = "allow"
"""


@monitor.handles(*FAMILIES)
def emulate(call: monitor.Call) -> monitor.Verdict:
    """Do everything for the program."""
    return call.emulate()


class Done(NamedTuple):
    """What can be seen of a program that has ended: the last is what it left, by name."""

    status: int
    output: bytes
    errors: bytes
    left: Mapping[str, tuple[int, str]]


Same = Callable[..., Awaitable[bytes]]


def told(directory: Path) -> dict[str, tuple[int, str]]:
    """Return mode and content of everything below *directory*; not of git's index, which has times and inodes in it."""
    found = dict[str, tuple[int, str]]()
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            content = str(path.readlink())
        elif stat.S_ISREG(mode) and path.parts[-2:] != (".git", "index"):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        found[str(path.relative_to(directory))] = mode, content
    return found


class Home:
    """A directory that is made anew before each run, and the same each time."""

    def __init__(self, path: Path, files: Mapping[str, str], before: str) -> None:
        self.path = path
        self.environment = {**ENVIRONMENT, "HOME": str(path)}
        self._files = files
        self._before = before

    def make(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        for name, text in self._files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            os.utime(file, (1_700_000_000, 1_700_000_000))
        subprocess.run(["sh", "-e", "-c", self._before], cwd=self.path, env=self.environment, check=True)

    def natively(self, script: str) -> Done:
        self.make()
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.path, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr, told(self.path))

    async def supervised(self, script: str, **options: object) -> tuple[Done, monitor.ProcessRun]:
        self.make()
        above = self.path.parent
        with (above / "output").open("w+b") as output, (above / "errors").open("w+b") as errors:
            launch = monitor.Launch(
                ["bash", "-c", script],
                cwd=str(self.path), env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            )  # fmt: skip
            async with monitor.supervise(launch, **options) as run:  # type: ignore[call-overload]
                status = await run.wait()
            written = [os.pread(stream.fileno(), 1 << 30, 0) for stream in (output, errors)]
        return Done(status, written[0], written[1], told(self.path)), run


def assert_same(supervised: Done, native: Done) -> None:
    """Compare by parts, so that a difference is shown and not two whole outputs."""
    assert supervised.errors.decode().splitlines() == native.errors.decode().splitlines()
    assert supervised.output.decode().splitlines() == native.output.decode().splitlines()
    assert supervised == native


@pytest.fixture
def same(tmp_path: Path) -> Same:
    """Return a function that runs a script both ways, in a home with *files* and what *before* made, and compares."""

    async def run(
        script: str, *, files: Mapping[str, str] | None = None, before: str = ":", policy: str = "", at_least: int = 100
    ) -> bytes:
        home = Home(tmp_path / "home", files or {}, before)
        native = home.natively(script)
        if policy:
            given = loads(policy.replace("$HOME_OF_TEST", str(home.path)), Origin("test.toml"))
            done, supervision = await home.supervised(script, policy=given)
        else:
            done, supervision = await home.supervised(script, handlers=[emulate], otherwise=monitor.Allow())
        assert_same(done, native)
        assert supervision.stats.failures == 0
        assert supervision.stats.emulated >= at_least
        return native.output

    return run


BOTH = pytest.mark.parametrize("policy", ["", POLICY], ids=["everything", "policy"])
"""Done for it without any rule; and what the program needs being allowed, and nothing else."""

PROJECT = {
    "Makefile": "CFLAGS = -pipe -O1\nprogram: one.o two.o\n\tgcc -o $@ $^\n%.o: %.c two.h\n\tgcc $(CFLAGS) -c $<\n",
    "one.c": '#include <stdio.h>\n#include "two.h"\nint main(void) { printf("%d\\n", two()); return 0; }\n',
    "two.c": '#include "two.h"\nint two(void) { return 2; }\n',
    "two.h": "int two(void);\n",
}

REPOSITORY = "git init -q -b main && git add . && git commit -q -m first && git rm -q two.h && git commit -q -m second"


@BOTH
async def test_ls_tells_of_a_whole_tree(same: Same, policy: str) -> None:
    assert len(await same(f"ls -lR {DOCUMENTS}", policy=policy, at_least=1000)) > 10_000


@BOTH
async def test_find_finds(same: Same, policy: str) -> None:
    script = """
        find /usr/share/perl /usr/lib/python3 -printf '%p %y %s %m %u %i %l\\n'
        find /usr/include -newer /usr/bin/gcc -name 'std*'
    """

    assert len(await same(script, policy=policy, at_least=1000)) > 10_000


@BOTH
async def test_grep_reads_a_whole_tree(same: Same, policy: str) -> None:
    assert await same(
        "grep -rn 'define E2BIG' /usr/include/asm-generic /usr/include/linux; grep -rc GPL /usr/share/common-licenses",
        policy=policy,
    )


async def test_python_compiles_a_package(same: Same) -> None:
    """To files of the same bytes: nothing of the time or the inode is in them."""
    before = f"cp -rL {Path(os.__file__).parent}/json package"
    script = (
        f"{sys.executable} -m compileall -f --invalidation-mode unchecked-hash package && sha256sum $(find . -type f)"
    )

    assert b".pyc" in await same(script, before=before)


@BOTH
async def test_python_imports_and_walks(same: Same, policy: str) -> None:
    code = "import os, json, email, tempfile; print(sum(len(f) for _, _, f in os.walk(os.path.dirname(os.__file__))))"

    assert int(await same(f"{sys.executable} -W error -c '{code}'", policy=policy)) > 100


@BOTH
async def test_gcc_compiles_a_file(same: Same, policy: str) -> None:
    script = "gcc -pipe -O1 -c one.c && objdump -d one.o; gcc -c missing.c; gcc -pipe -E two.c"

    assert b"<main>" in await same(script, files=PROJECT, policy=policy)


async def test_make_builds_a_project(same: Same) -> None:
    assert (await same("make -s -j2 && ./program && make", files=PROJECT)).startswith(b"2\n")


KEEPS_ITS_IDS = f"""
[[syscalls]]
names = ["setresuid"]
arches = ["x86_64"]
when = "ruid == 0xffffffff && euid == {os.geteuid()} && suid == 0xffffffff"
action = "allow"
[[syscalls]]
names = ["setresgid"]
arches = ["x86_64"]
when = "rgid == 0xffffffff && egid == {os.getegid()} && sgid == 0xffffffff"
action = "allow"
"""
"""What make asks for before it starts a program (posix_spawn(3), POSIX_SPAWN_RESETIDS): the ids that it has."""


async def test_make_builds_what_needs_no_linker(same: Same) -> None:
    """The linker removes what was there before it writes, which nobody does for it under a policy yet."""
    script = "make one.o two.o; make one.o"

    assert b"-c two.c" in await same(script, files=PROJECT, policy=POLICY + KEEPS_ITS_IDS)


@BOTH
async def test_git_tells_of_a_repository(same: Same, policy: str) -> None:
    script = """
        export GIT_OPTIONAL_LOCKS=0  # it would write the index again, under another name first
        echo more >> one.c; echo new > new.c
        git status; git status --short; git log --stat; git diff; git cat-file -p HEAD; git -C .git log --oneline
    """

    assert b"second" in await same(script, files=PROJECT, before=REPOSITORY, policy=policy)


async def test_git_commits_and_clones(same: Same) -> None:
    script = """
        git init -q -b main && git add . && git commit -q -m first && echo more >> one.c && git commit -q -a -m second
        git fsck; git clone -q . clone; git -C clone log --format='%H %s'
    """

    assert b"second" in await same(script, files=PROJECT)


@BOTH
async def test_tar_packs(same: Same, policy: str) -> None:
    """The bytes of the archive are the same: modes, owners and times as well as contents."""
    files = {f"tree/{number % 5}/{number}": "x" * number * 100 for number in range(40)}
    script = (
        "tar -cf - --xattrs --pax-option=delete=atime,delete=ctime tree | tee tree.tar | sha256sum; tar -tvf tree.tar"
    )
    before = "ln -s 0/5 tree/link; ln tree/0/5 tree/hard; touch -hd @1700000000 tree tree/*"

    assert b"tree/4/39" in await same(script, files=files, before=before, policy=policy)


async def test_tar_unpacks(same: Same) -> None:
    files = {f"tree/{number % 5}/{number}": "x" * number * 100 for number in range(40)}
    same_times = "touch -hd @1700000000 tree tree/*"  # they are in the archive, which is made for each run
    packed = "tar -czf tree.tgz tree; rm -r tree"
    before = f"chmod 640 tree/1/1; ln -s 0/5 tree/link; ln tree/0/5 tree/hard; {same_times}; {packed}"
    script = "umask 027; tar -xzf tree.tgz; find tree -printf '%p %m %n %l %TY\\n' | sort; tar -df tree.tgz"

    assert b"tree/hard 6" in await same(script, files=files, before=before)


@BOTH
async def test_sqlite_writes_and_reads(same: Same, policy: str) -> None:
    script = """
        sqlite3 new.db 'pragma journal_mode=memory; create table t(a, b); insert into t values (1, 2), (3, 4)'
        sqlite3 new.db 'select * from t; select sum(a) from t; pragma integrity_check'
        sqlite3 -readonly new.db 'insert into t values (1, 1)'; sqlite3 /proc/self/none 'select * from t'
    """

    assert b"1|2\n3|4\n4\nok" in await same(script, policy=policy, at_least=50)


async def test_sqlite_keeps_a_journal(same: Same) -> None:
    script = """
        sqlite3 new.db 'create table t(a); insert into t values (1); begin; insert into t values (2); rollback'
        sqlite3 new.db 'pragma journal_mode=wal; insert into t values (3); select * from t'; ls
    """

    assert b"1\n3\n" in await same(script, at_least=50)


@BOTH
async def test_ps_and_df_tell_of_the_system(same: Same, policy: str) -> None:
    """
    Of processes that are its own, and of mounts; numbers that change by themselves are not asked for.

    The supervisor is not in the /proc of the program, so nobody else is asked about.
    """
    script = """
        sleep 100 & ps -o comm=,args= -p $$; ps -o comm=,stat=,nice= -p $!; kill $!
        ps -o ppid= -p $! ; [ $(ps -o pid= -p $$) = $$ ] && echo own
        df --output=source,fstype,target / /usr /tmp /dev; readlink /proc/self/cwd /proc/$$/exe
        [ $(readlink /proc/self) != $$ ] && echo other
    """

    assert b"own" in await same(script, policy=policy, at_least=50)


@BOTH
async def test_bash_redirects(same: Same, policy: str) -> None:
    script = r"""
        umask 027; echo one > a; echo two >> a; cat < a; cat a a > b; wc -c b; stat -c '%a %F' a b
        set -C; echo no > a; echo yes >| a; cat a
        cat <<-END
			here $((1 + 2)) $(cat a)
		END
        cat <<< "a string"
        exec 3<> a; read -r line <&3; echo more >&3; exec 3>&-; cat a
        while read -r line; do echo "[$line]"; done < b; cat < missing; echo x > missing/file
        echo to stderr >&2; cat a /dev/fd/9 2>&1 | tail -1; cat <(echo substituted) > /dev/null
        { echo left; echo right >&2; } > c 2> d; cat c d; for f in *; do [ -f $f ] && echo $f; done; test -x a; echo $?
        cd / && pwd && cd "$HOME" && echo ~- && cd missing; echo $?; [ a -ef ./a ] && echo same
        : > a; [ -s a ] || echo empty
    """

    assert b"here 3 yes" in await same(script, policy=policy, at_least=50)


async def test_bash_has_a_long_here_document(same: Same) -> None:
    """In a file that it removes while it is open, which nobody does for it under a policy yet."""
    script = "head -c 100000 /dev/zero | tr '\\0' x > big; cat <<END | wc -c\n$(cat big)\nEND\n"

    assert await same(script, at_least=50) == b"100001\n"


def test_every_program_is_there() -> None:
    for program in ("gcc", "git", "make", "sqlite3", "tar", "ps", "df", "find"):
        require(program, shutil.which(program) is not None)
