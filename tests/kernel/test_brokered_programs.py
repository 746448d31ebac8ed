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
from monitor.broker.families import FAMILIES
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


@BOTH
async def test_make_builds_a_project(same: Same, policy: str) -> None:
    script = "make -s -j2 && ./program && make; make -s -B one.o; rm two.o; make -n"

    assert (await same(script, files=PROJECT, policy=policy)).startswith(b"2\n")


@BOTH
async def test_make_builds_twenty_files_at_once(same: Same, policy: str) -> None:
    objects = " ".join(f"part{number}.o" for number in range(20))
    files = {f"part{number}.c": f"int part{number}(void) {{ return {number}; }}\n" for number in range(20)}
    files["Makefile"] = f"library.a: {objects}\n\tar rcsD $@ $^\n%.o: %.c\n\tgcc -pipe -O1 -c $<\n"
    script = "make -s -j8 && ar t library.a && nm library.a && make -j8 && make -s -B -j8 && sha256sum library.a *.o"

    assert b"part19" in await same(script, files=files, policy=policy, at_least=1000)


@BOTH
async def test_git_tells_of_a_repository(same: Same, policy: str) -> None:
    script = """
        export GIT_OPTIONAL_LOCKS=0  # it would write the index again, under another name first
        echo more >> one.c; echo new > new.c
        git status; git status --short; git log --stat; git diff; git cat-file -p HEAD; git -C .git log --oneline
    """

    assert b"second" in await same(script, files=PROJECT, before=REPOSITORY, policy=policy)


@BOTH
async def test_git_commits_and_clones(same: Same, policy: str) -> None:
    script = """
        git init -q -b main && git add . && git commit -q -m first && echo more >> one.c && git commit -q -a -m second
        git fsck; git clone -q . clone; git -C clone log --format='%H %s'
        git mv two.h three.h; git stash -q; git stash pop -q; git checkout -q -b other; git reset -q --hard; git status
        git tag one; git repack -q -a -d; git gc -q --prune=now; git fsck; git count-objects -v
    """

    assert b"second" in await same(script, files=PROJECT, policy=policy, at_least=1000)


@BOTH
async def test_tar_packs(same: Same, policy: str) -> None:
    """The bytes of the archive are the same: modes, owners and times as well as contents."""
    files = {f"tree/{number % 5}/{number}": "x" * number * 100 for number in range(40)}
    script = (
        "tar -cf - --xattrs --pax-option=delete=atime,delete=ctime tree | tee tree.tar | sha256sum; tar -tvf tree.tar"
    )
    before = "ln -s 0/5 tree/link; ln tree/0/5 tree/hard; touch -hd @1700000000 tree tree/*"

    assert b"tree/4/39" in await same(script, files=files, before=before, policy=policy)


@BOTH
async def test_tar_unpacks(same: Same, policy: str) -> None:
    files = {f"tree/{number % 5}/{number}": "x" * number * 100 for number in range(40)}
    same_times = "touch -hd @1700000000 tree tree/*"  # they are in the archive, which is made for each run
    packed = "tar -czf tree.tgz tree; rm -r tree"
    before = f"chmod 640 tree/1/1; ln -s 0/5 tree/link; ln tree/0/5 tree/hard; {same_times}; {packed}"
    script = "umask 027; tar -xzf tree.tgz; find tree -printf '%p %m %n %l %TY\\n' | sort; tar -df tree.tgz"

    assert b"tree/hard 6" in await same(script, files=files, before=before, policy=policy)


@BOTH
async def test_tar_keeps_owners_times_and_attributes(same: Same, policy: str) -> None:
    """As far as whoever runs it may."""
    files = {f"tree/{number}": "x" * number for number in range(5)}
    before = """
        setfattr -n user.one -v 1 tree/1; chmod 2751 tree; mkfifo tree/fifo; chown 1:1 tree/2 2>/dev/null || :
        ln -s nowhere tree/dangling; touch -hd @1700000000 tree/* tree; tar --xattrs -cf tree.tar tree; rm -r tree
    """
    script = """
        tar --xattrs -xpf tree.tar && find tree -printf '%p %m %n %U %G %l %T@ %y\\n' | sort; getfattr -d tree/*
        cp -a tree copy; find copy -printf '%p %m %n %U %G %l %T@ %y\\n' | sort; mv copy moved
        rm -rf moved tree.tar; ls
    """

    assert b"user.one" in await same(script, files=files, before=before, policy=policy)


@BOTH
async def test_sqlite_writes_and_reads(same: Same, policy: str) -> None:
    script = """
        sqlite3 new.db 'pragma journal_mode=memory; create table t(a, b); insert into t values (1, 2), (3, 4)'
        sqlite3 new.db 'select * from t; select sum(a) from t; pragma integrity_check'
        sqlite3 -readonly new.db 'insert into t values (1, 1)'; sqlite3 /proc/self/none 'select * from t'
    """

    assert b"1|2\n3|4\n4\nok" in await same(script, policy=policy, at_least=50)


@BOTH
async def test_sqlite_keeps_a_journal(same: Same, policy: str) -> None:
    script = """
        sqlite3 new.db 'create table t(a); insert into t values (1); begin; insert into t values (2); rollback'
        sqlite3 new.db 'pragma journal_mode=wal; insert into t values (3); select * from t'; ls
    """

    assert b"1\n3\n" in await same(script, policy=policy, at_least=50)


@BOTH
async def test_ps_and_df_tell_of_the_system(same: Same, policy: str) -> None:
    """
    Of processes that are its own, and of mounts; numbers that change by themselves are not asked for.

    The supervisor is not in the /proc of the program, so nobody else is asked about.
    """
    script = """
        sleep 100 & ps -o comm=,args= -p $$; ps -o comm=,stat=,nice= -p $!; kill $!; wait $!
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


@BOTH
async def test_bash_has_a_long_here_document(same: Same, policy: str) -> None:
    """In a file that it removes while it is open."""
    script = "head -c 100000 /dev/zero | tr '\\0' x > big; cat <<END | wc -c\n$(cat big)\nEND\n"

    assert await same(script, policy=policy, at_least=50) == b"100001\n"


@BOTH
async def test_bash_waits_at_fifos(same: Same, policy: str) -> None:
    script = """
        mkfifo one two; cat one > two & sort two & for word in c a b; do echo $word; done > one; wait; rm one two; ls
        mkfifo again; (exec 3<> again; echo kept >&3; read -r line <&3; echo $line); timeout 0.2 cat again; echo $?
    """

    assert await same(script, policy=policy, at_least=50) == b"a\nb\nc\nkept\n124\n"


@BOTH
async def test_coreutils_change_files(same: Same, policy: str) -> None:
    script = """
        mkdir -p a/b/c; touch -d 2020-01-01 a/b/file; ln -s b/file a/link; ln a/b/file a/hard; cp -a a copy
        mv a/hard moved; mv -T copy other; chmod -R go-rwx other; chmod u+s moved; install -D -m 0510 moved x/y/z
        truncate -s 5 moved; mktemp -d ./tmp.XXXX > /dev/null; rmdir tmp.*; rmdir a; rm -r a/b; unlink a/link
        ln -sf z x/y/w; mv x/y/w x/y/v; cp --remove-destination moved x/y/v; mkfifo -m 600 pipe; mknod pipe2 p
        find . -printf '%p %y %m %n %s %l %TY\\n' | sort; readlink -f other/link; stat -c '%a %h' moved
        shred -u moved; ls
    """

    assert b"other/link" in await same(script, policy=policy)


@BOTH
async def test_rsync_copies_what_changed(same: Same, policy: str) -> None:
    files = {f"from/{number % 3}/{number}": "x" * number for number in range(20)}
    script = """
        rsync -a --info=name from/ to; echo more >> from/1/1; rm from/2/2; chmod 600 from/0/0
        rsync -a --info=name --omit-dir-times --delete from/ to; diff -r from to && find to -printf '%p %m\\n' | sort
    """

    assert b"deleting 2/2" in await same(script, files=files, policy=policy)


@BOTH
async def test_dpkg_deb_builds_and_unpacks(same: Same, policy: str) -> None:
    control = "Package: one\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: one\n"
    files = {"one/DEBIAN/control": control, "one/usr/share/one/file": "text\n"}
    script = """
        chmod -R go-w one; SOURCE_DATE_EPOCH=1700000000 dpkg-deb --root-owner-group -Zgzip -b one one.deb
        dpkg-deb -I one.deb; dpkg-deb -c one.deb; dpkg-deb -x one.deb out; find out; sha256sum one.deb
    """

    assert b"./usr/share/one/file" in await same(script, files=files, policy=policy)


@BOTH
async def test_perl_and_patch_edit_files(same: Same, policy: str) -> None:
    script = r"""
        perl -pi.orig -e 's/two/zwei/g' one.c two.c; diff -u --label a --label b two.c.orig two.c > change.diff
        mv two.c.orig two.c; patch -s two.c < change.diff; cat two.c; sed -i s/zwei/two/ two.c; cat two.c
        perl -MFile::Temp=tempfile -MFile::Copy -e 'my ($f, $n) = tempfile(DIR => "."); print $f "x"; close $f;
            move($n, "moved") or die; utime 5, 6, "moved"; print join(" ", (stat "moved")[2, 7, 8, 9]), "\n"'
    """

    assert b"zwei" in await same(script, files=PROJECT, policy=policy)


NODE = """
const fs = require('fs');
fs.mkdirSync('a/b', {recursive: true}); fs.writeFileSync('a/b/c', 'text'); fs.symlinkSync('c', 'a/b/d');
fs.renameSync('a/b/c', 'a/e'); fs.linkSync('a/e', 'a/b/c'); fs.utimesSync('a/e', 5, 6); fs.chmodSync('a/e', 0o640);
console.log(fs.readFileSync('a/b/d', 'utf8'), fs.statSync('a/e').mtimeMs, fs.readdirSync('a', {recursive: true}));
fs.cpSync('a', 'copy', {recursive: true}); fs.rmSync('a', {recursive: true}); fs.truncateSync('copy/e', 2);
fs.promises.readFile('copy/e', 'utf8').then(text => console.log(text, fs.existsSync('a')));
"""


@BOTH
async def test_node_changes_files(same: Same, policy: str) -> None:
    assert b"te false" in await same("node script.js", files={"script.js": NODE}, policy=policy)


@BOTH
async def test_pip_installs_a_wheel(same: Same, policy: str) -> None:
    """From a file, into an environment of its own."""
    files = {
        "one/pyproject.toml": '[project]\nname = "one"\nversion = "1"\n[build-system]\nrequires = []\n',
        "one/one.py": "print('one is here')\n",
        "pack.py": PACK,
    }
    before = f"{sys.executable} pack.py; {sys.executable} -m venv --system-site-packages --without-pip venv"
    install = "-m pip --no-cache-dir --disable-pip-version-check install --no-index --no-deps --no-compile"
    script = (
        f"venv/bin/python -I {install} -q one-1-py3-none-any.whl && venv/bin/python -m one && find venv -name 'one*'"
    )

    assert b"one is here" in await same(script, files=files, before=before, policy=policy)


PACK = """
import zipfile
info = "one-1.dist-info/"
with zipfile.ZipFile("one-1-py3-none-any.whl", "w") as wheel:
    wheel.write("one/one.py", "one.py")
    for name, text in (
        ("METADATA", "Metadata-Version: 2.1\\nName: one\\nVersion: 1\\n"),
        ("WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"),
        ("RECORD", f"one.py,,\\n{info}METADATA,,\\n{info}WHEEL,,\\n{info}RECORD,,\\n"),
    ):
        wheel.writestr(zipfile.ZipInfo(info + name), text)  # of 1980, whenever it is made
"""


def test_every_program_is_there() -> None:
    for program in ("gcc", "git", "make", "sqlite3", "tar", "ps", "df", "find", "rsync", "node", "perl", "patch"):
        require(program, shutil.which(program) is not None)
    for program in ("dpkg-deb", "ar", "setfattr", "getfattr"):
        require(program, shutil.which(program) is not None)
