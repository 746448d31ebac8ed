"""
Programs that do the same whenever they are run: their words, their files, their environment.

What it is not: what is expected of them.  Each runs in a fresh directory that has the same name
every time, with a fixed environment; what still differs by chance (temporary names) is spelled
the same afterwards.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from attrs import field, frozen

from monitor.abi.arch import Arch
from tests.conformance.strace_lines import Call, calls

WORDS: Final = "%file,%process,%network,%desc"
"""The calls that are traced."""

Tracer: TypeAlias = Callable[[str, Path], Sequence[str]]
"""From the words for calls, and the file to write to, to a command, which options and the program's words follow."""

LONG_AGO: Final = 1_700_000_000
"""When every file was made; a file as young as its index would be read again by git, or not."""

CHANCE: Final[Mapping[str, str]] = {
    r"<(socket|pipe):\[\d+\]>": r"<\1:[INODE]>",
    r"</proc/\d+/": "</proc/PID/",
}
"""What ``-y`` shows of a descriptor, and no two runs share: pattern to replacement."""

ENVIRONMENT: Final = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    "TZ": "UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONMALLOC": "malloc",  # when Python takes its next arena hangs on addresses, which are random ...
    "MALLOC_ARENA_MAX": "1",  # ... and so does how often the C library takes one for a thread
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_DATE": f"@{LONG_AGO} +0000",  # objects are named after what is in them, and so are their files
    "GIT_COMMITTER_DATE": f"@{LONG_AGO} +0000",
}

SCRIPT: Final = """
set -e
mkdir -p made/deep
for name in one two three; do echo "$name" > "made/$name"; done
cat made/one made/two > made/deep/both
test -e made/none || ln -s one made/link
value=$(cat made/link; exec >&-; sleep 0.1)  # bash is in wait4 then, not on its way there, when the signal comes
(cd made && exec sort -r deep/both)
if grep -q two made/deep/both; then printf '%s\\n' "$value" >> made/three; fi
cat <<< "a here-string with a \\"quote\\", a comma, and (brackets"
read -r line < made/three
mv made/two "made/with space"
rm -r made/deep
exit 3
"""

PYTHON: Final = """
import os, socket, subprocess, sys, tempfile, threading
os.makedirs("made/by/python")
with open("made/by/python/\\u00fcber \\x07", "wb") as file:
    file.write(bytes(range(256)))
    file.flush()
    os.fsync(file.fileno())
ready, turns = threading.Semaphore(0), [threading.Lock() for _ in range(3)]
def work(number):
    ready.release()
    with turns[number], open(f"made/{number}", "w") as file:
        file.write(str(number) * 100)
    ready.release()
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for turn, thread in zip(turns, threads):  # one after the other: whoever is first takes the fd, the arena, the stack
    turn.acquire(), thread.start(), ready.acquire()
for turn, thread in zip(turns, threads):
    turn.release(), ready.acquire()
for thread in threads:
    thread.join()
print(subprocess.run(["cat", "made/1"], stdout=subprocess.PIPE).stdout[:4])
one, other = socket.socketpair()
one.sendall(b"through a socket")
print(other.recv(100))
with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
    server.bind("made/socket"), server.listen(1)
    client.connect("made/socket")
    server.accept()[0].close()
child = os.fork()
if child == 0:
    os._exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os.rename("made/2", "made/two"), os.chmod("made/two", 0o640), os.utime("made/two", (1, 2)), os.unlink("made/0")
print(sorted(entry.name for entry in os.scandir("made")), os.stat("/etc").st_uid, os.access("none", os.R_OK))
"""

SQL: Final = """
create table words (word text primary key, number integer);
insert into words values ('one', 1), ('two', 2), ('three', 3);
begin; update words set number = number * 10; commit;
create index by_number on words (number);
select word, number from words order by number desc;
drop table words;
vacuum;
"""

TREE: Final[Mapping[str, str]] = {
    "plain": "text\n",
    "sub/one.c": '#include <stdio.h>\nint main(void) { puts("one"); return 0; }\n',
    "sub/two.h": "#define TWO 2\n",
    "sub/deep/three": "three\n" * 1000,
    "with space": "",
}


@frozen
class Program:
    """
    One program.

    Attributes:
        argv: its words; the first is the whole path, since strace and we look through PATH differently.
        files: name to content, of what lies in its directory at the start.
        before: makes the rest of the directory, not traced.
        arch: its ABI.
        chance: pattern to replacement, for what differs by chance in two runs.
        words: the calls that are traced.
        relocatable: whether the addresses of what it has itself differ from run to run.
    """

    argv: Sequence[str]
    files: Mapping[str, str] = field(factory=dict[str, str])
    before: Callable[[Path], object] = lambda _directory: None
    arch: Arch = Arch.X86_64
    chance: Mapping[str, str] = field(factory=dict[str, str])
    words: str = WORDS
    relocatable: bool = True

    def prepare(self, directory: Path) -> None:
        """Make *directory* what it is before every run."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for name, text in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for path in [directory, *directory.rglob("*")]:
            os.utime(path, (LONG_AGO, LONG_AGO))
        self.before(directory)

    def run(self, tracer: Tracer, directory: Path, options: Sequence[str] = ()) -> str:
        """Run the program in *directory*, made afresh; return what *tracer* wrote about it."""
        self.prepare(directory)
        output = directory.with_suffix(".trace")
        output.unlink(missing_ok=True)
        done = subprocess.run(
            [*tracer(self.words, output), *options, "--", *self.argv],
            cwd=directory,
            env={**ENVIRONMENT, "HOME": str(directory), "TMPDIR": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = output.read_text(errors="surrogateescape") if output.exists() else ""
        assert text, f"nothing was traced; status {done.returncode}: {done.stdout.decode(errors='replace')}"
        for pattern, replacement in [*self.chance.items(), *CHANCE.items()]:
            text = re.sub(pattern, replacement, text)
        return text

    def calls(self, text: str) -> list[Call]:
        """Return the calls of a run, as they are compared."""
        return calls(text, self.arch, relocatable=self.relocatable)


def strace(words: str, output: Path) -> list[str]:
    """Return the command of strace."""
    return ["strace", "-f", "-e", f"trace={words}", "-o", str(output)]


def ours(words: str, output: Path) -> list[str]:
    """Return our command; -P, because the program's directory is no place to import from."""
    return [sys.executable, "-P", "-m", "monitor", "trace", "-e", words, "-o", str(output)]


def programs(port: int, calls32: str, widecalls: str) -> dict[str, Program]:
    """
    Return the ten, and one more that makes every call it can, by name.

    *port* is a web server's; *calls32* and *widecalls* are the compiled programs of those names.
    """
    return {
        "ls": Program(["/bin/ls", "-l", ".", "sub"], TREE, before=_make_links),
        "bash": Program(
            ["/bin/bash", "script"],
            {**TREE, "script": SCRIPT},
            # Whether a child has ended before bash waits for it, or while it does, is a race.
            chance={r"(?m)^\d+ +(wait4\(-1, |<\.\.\. wait4 resumed>|ioctl\(2, TIOCGWINSZ, ).*\n": ""},
        ),
        "git": Program(["/usr/bin/git", "status"], TREE, before=_make_repository),
        "python": Program([sys.executable, "-s", "-P", "-B", "-c", PYTHON]),
        "gcc": Program(["/usr/bin/gcc", "-O1", "-o", "one", "sub/one.c"], TREE, chance={r"/cc\w{6}\b": "/ccRANDOM"}),
        "tar": Program(["/bin/sh", "-c", "tar -cf a.tar plain sub && mkdir out && tar -xf a.tar -C out"], TREE),
        "curl": Program(
            ["/usr/bin/curl", "-sS", "--happy-eyeballs-timeout-ms", "60000", "-o", "page", f"http://127.0.0.1:{port}/"],
            chance={r"(poll\(.*, 2,) \d+\)": r"\1 WHAT IS LEFT)"},
        ),
        "sqlite3": Program(["/usr/bin/sqlite3", "-batch", "-cmd", ".testctrl prng_seed 1", "words.db", SQL]),
        "find": Program(
            ["/usr/bin/find", ".", "-type", "f", "-newermt", "2000-01-01", "-exec", "cat", "{}", "+"], TREE
        ),
        "calls32": Program([calls32], arch=Arch.I386),
        "widecalls": Program(
            [widecalls],
            words="all",
            relocatable=False,
            chance={r"\b((brk|set_tid_address|set_robust_list)\(|arch_prctl\(ARCH_SET_FS, )0x\w+": r"\1HEAP"},
        ),
    }


def _make_links(directory: Path) -> None:
    (directory / "link").symlink_to("plain")
    (directory / "nowhere").symlink_to("not there")


def _make_repository(directory: Path) -> None:
    """Commit everything; then change one file, and add one that git does not know."""
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    environment = {**ENVIRONMENT, "HOME": str(directory)}
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], cwd=directory, env=environment, check=True)
    (directory / "plain").write_text("another text\n")
    os.utime(directory / "plain", (LONG_AGO + 1, LONG_AGO + 1))
    (directory / "unknown").touch()
