"""
The attack kit: programs that try to get what their policy forbids, many times, and count how often they do.

What it is not: a proof.  Each attack is shown to be one: the same program, let run by a racy handler or by
nobody, gets what it is after at least once in a thousand tries.

    python -m tests.attacks [--tries N] [--write] [NAME...]
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final, Literal, NamedTuple

import trio
from attrs import field, frozen

import monitor
from monitor.broker.acting import OPENS
from monitor.broker.families import FAMILIES, HELD, LISTINGS
from monitor.origin import Origin
from monitor.policy.text import load, loads

HERE: Final = Path(__file__).parent
PAGE: Final = HERE.parent.parent / "docs" / "attacks.md"
BEGIN: Final = "<!-- attacks -->"
END: Final = "<!-- end of attacks -->"

HEAD: Final = """
[policy]
version = 1
name = "attacked"
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
"""

OWN: Final = 'write = ["$T/a"]\n'
"""What most attacks may do: whatever they like in their own directory, and nothing else."""

PASSING: Final = 'write = ["$T/a"]\nread = ["$T/b/public"]\n'
"""Here the forbidden directory may be passed, since something behind it is allowed."""

OTHERWISE: Final = 'otherwise = "allow"\ndeny = ["$T/b"]\n'
"""Here everything is allowed that no rule forbids: what holds without a rule has to hold here, too."""

WRITING: Final = 'write = ["/"]\ndeny = ["$T/b"]\n'
"""Here a rule allows the whole machine."""

LISTED: Final = 'write = ["$T/a"]\nread = ["$T/b"]\nhide = ["$T/b/key"]\n'
"""Here both directories may be listed, and something in the one is hidden."""

HIDING: Final = 'write = ["$T/a"]\nread = ["$T/b/public"]\nhide = ["$T/a/hidden", "$T/a/hidden2"]\n'
"""Here two names are hidden, one of which is there."""

READING: Final = 'write = ["$T/a"]\nread = ["$T/b"]\n'
"""Here what is not the program's own may be read."""

MOVING: Final = 'write = ["$T/a"]\ndeny = ["$T/a/d/hooks", "$T/a/e/hooks"]\n'
"""Here a name below its own directory is forbidden, and others come to lie there by moving."""

FORGED: Final = 'write = ["$T/a"]\ndeny = ["$T/a/z (deleted)", "$T/a/y"]\n'
"""Of two names that one object may have, one is forbidden."""

CONTROL_TRIES: Final = 2000
"""Tries of a control: enough for two successes where one in a thousand is wanted."""

LIBRARIES: Final = (b"/usr/lib", b"/lib", b"/etc/ld.so")

THREADS: Final = 2
"""How many of our own are attacked: the first of them is the process."""

LEAST_TRIES: Final = 20
"""Of whatever takes long."""

FEW: Final = 1 << 16
"""More than any descriptor of an attack: AT_FDCWD is behind it."""

RACY_SECONDS: Final = 0.0001
"""How long a racy handler thinks: on a busy machine others come to run in it."""

Control = Literal["racy", "naive", "nobody"]


@frozen
class Attack:
    """
    One attack, under one policy.

    Attributes:
        name: of the attack, in the table and in tests.
        what: what is tried, for the table.
        program: the C file.
        mode: its third argument.
        lists: of the ``[files]`` table; $T is the directory of the run.
        control: who lets the same program through: a racy handler, or nobody at all.
        accomplice: whether the program also runs outside, unsupervised, with a fourth argument.
        once: whether it tries everything it knows once, however many tries are wanted.
        root: whether only root can do it.
        pids: whose process numbers it is told: those of the supervisor and its threads, or of others.
        handler: whether a handler that looks at names decides, in the place of a policy.
        least: whether a few hundred tries are enough.
        slow: by how much fewer tries there are, since each takes long.
    """

    name: str
    what: str
    program: str
    mode: str = "-"
    lists: str = OWN
    control: Control = "racy"
    accomplice: bool = field(default=False, kw_only=True)
    once: bool = field(default=False, kw_only=True)
    root: bool = field(default=False, kw_only=True)
    slow: int = field(default=1, kw_only=True)
    handler: bool = field(default=False, kw_only=True)
    least: bool = field(default=False, kw_only=True)
    pids: str = field(default="", kw_only=True)

    def count(self, tries: int) -> int:
        """Return how often it tries where *tries* are wanted."""
        if self.once:
            return 1
        return min(max(tries // self.slow, LEAST_TRIES), 500 if self.least else tries)


class AttackBrokeError(Exception):
    """The program of an attack did not count to its end; what it said."""


class Result(NamedTuple):
    """What came of a run: how often the program tried, how often it succeeded, and with what."""

    tries: int
    successes: int
    said: str


FLIPPED: Final = (
    "open", "openat", "openat2", "truncate", "stat", "statx", "statfs", "access", "faccessat2", "readlink",
    "listxattr", "chdir", "mkdir", "mknod", "symlink", "link", "rename", "chmod", "chown", "utimes", "setxattr",
    "inotify",
)  # fmt: skip

ATTACKS: Final[tuple[Attack, ...]] = (
    *(
        Attack(f"string flip: {mode}", "a second thread flips a byte of the path", "flip_string", mode)
        for mode in FLIPPED
    ),
    Attack(
        "flags flip: path", "a second thread flips open_how.flags from O_PATH, a third the path", "flip_how", "path"
    ),
    Attack("flags flip: list", "the same, to list a directory that may only be passed", "flip_how", "list"),
    Attack("symlink swap", "an accomplice swaps where a link leads", "swap", "link", accomplice=True),
    Attack(
        "directory swap",
        'an accomplice swaps two directories under openat(fd, "../key")',
        "swap",
        "dir",
        accomplice=True,
    ),
    Attack("symlink ancestor", "an accomplice swaps a directory and a link", "swap", "ancestor", accomplice=True),
    Attack("creation swap", "an accomplice puts a link where a file is to be made", "swap", "create", accomplice=True),
    Attack("directory descriptor swap: open", "dup2 of a second thread under openat", "swap_dirfd", "open", PASSING),
    Attack("directory descriptor swap: stat", "dup2 of a second thread under fstatat", "swap_dirfd", "stat", PASSING),
    Attack("O_PATH race: file", "what may not be opened is held by a flip, and used", "hold", "key"),
    Attack("O_PATH race: link", "the same with a symbolic link", "hold", "link"),
    Attack("O_PATH race: directory", "the same with a directory", "hold", "directory"),
    Attack(
        "directory descriptor swap: list",
        "dup2 of a second thread under getdents64",
        "swap_dirfd",
        "list",
        LISTED,
        "nobody",
    ),
    *(
        Attack(
            f"under a handler: {name}",
            f"{what}, where a handler looks at the name and no policy does",
            program,
            mode,
            accomplice=program == "swap",
            handler=True,
        )
        for name, what, program, mode in (
            ("string flip", "a second thread flips the path", "flip_string", "openat"),
            ("flags flip", "a second thread flips open_how.flags", "flip_how", "path"),
            ("symlink swap", "an accomplice swaps where a link leads", "swap", "link"),
            ("creation swap", "an accomplice puts a link where a file is to be made", "swap", "create"),
        )
    ),
    Attack(
        "FIFO stall",
        "eight opens of a FIFO that nobody writes",
        "stall",
        "fifo",
        OWN,
        "naive",
        accomplice=True,
        least=True,
    ),
    Attack(
        "lease stall",
        "eight opens of a file that another process leases",
        "stall",
        "lease",
        OWN,
        "naive",
        accomplice=True,
        least=True,
    ),
    Attack(
        "received: detached tree",
        "a directory of a tree that is mounted nowhere",
        "received",
        "detached",
        'write = ["$T/a", "/key", "/new"]\n',
        "nobody",
        accomplice=True,
        root=True,
        slow=10,
    ),
    Attack(
        "received: other namespace",
        "a directory of another mount namespace",
        "received",
        "namespace",
        'write = ["$T/a", "/mnt"]\n',
        "nobody",
        accomplice=True,
        root=True,
        slow=10,
    ),
    Attack("threads apart: descriptors", "unshare(CLONE_FILES): one number, two files", "apart", "files", OWN, "naive"),
    Attack("threads apart: directories", "unshare(CLONE_FS): two working directories", "apart", "place", OWN, "naive"),
    Attack("no room: always", "O_TRUNC and O_CREAT at RLIMIT_NOFILE", "full", "always", OWN, "naive", slow=5),
    Attack(
        "no room: race",
        "O_CREAT at RLIMIT_NOFILE while a second thread makes room",
        "full",
        "race",
        OWN,
        "naive",
        slow=5,
    ),
    Attack("signal storm", "O_CREAT|O_EXCL under a signal every 0.3 ms", "storm", "interrupt", OWN, "naive", slow=2),
    Attack("signal storm: restart", "the same with SA_RESTART", "storm", "restart", OWN, "naive", slow=2),
    Attack("flood", "16 threads at once, their paths flipped", "flood"),
    Attack("memory unmapped", "the page of the path is unmapped and replaced", "unmap"),
    Attack("core dumps", "a crash in a directory", "core", "-", OWN, "nobody", root=True, slow=100),
    Attack(
        "hidden names",
        "45 questions about a hidden name and one that is not there, 110 ways each",
        "hidden",
        "-",
        HIDING,
        "nobody",
        once=True,
    ),
    Attack(
        "hidden names: through",
        "the same of paths and links that lead through a hidden name to what is not hidden, 220 ways each",
        "hidden",
        "through",
        HIDING,
        "nobody",
        once=True,
    ),
    Attack("policy file", "six ways to open it, six paths, rename", "policy_file", "-", OWN, "nobody", once=True),
    *(
        Attack(
            f"refused: {mode}",
            what,
            "refused",
            mode,
            READING if mode == "metadata" else OWN,
            "nobody",
            once=True,
            pids="ours" if mode == "processes" else "",
        )
        for mode, what in (
            ("names", "what is forbidden made, linked, moved and taken away, by paths and descriptors"),
            ("metadata", "modes, owners, times, attributes of what may be read, by paths and descriptors"),
            ("ways", "i386, x32, io_uring, userfaultfd, handles, open_tree, namespaces, a listener, IPC"),
            ("processes", "signals, ptrace, prlimit, pidfd_getfd, memory, scheduling of us and our threads"),
        )
    ),
    Attack(
        "moving",
        "each way to have something else be called as what is forbidden, or that otherwise",
        "moving",
        "names",
        MOVING,
        "nobody",
        once=True,
    ),
    Attack(
        "moving: race",
        "a file is renamed to where no directory may come, and exchanged with a directory meanwhile",
        "moving",
        "race",
        MOVING,
        "nobody",
    ),
    Attack("forged names", 'memfds, "z (deleted)", O_TMPFILE, dots', "forged", "-", FORGED, "nobody", slow=10),
    Attack("/proc: own links", "b by /proc/self/root, cwd, fd, /dev/fd", "proc", "own", OTHERWISE, "nobody", once=True),
    *(
        Attack(
            f"/proc: {whose} under {called}",
            f"every file of processes that are {whose}",
            "proc",
            "all",
            lists,
            "nobody",
            once=True,
            pids=whose,
        )
        for whose, called, lists in (
            ("ours", "a list", OWN),
            ("ours", "otherwise", OTHERWISE),
            ("ours", "everything", WRITING),
            ("others", "a list", OWN),
            ("others", "otherwise", OTHERWISE),
        )
    ),
    *(
        Attack(
            f"/proc: a race to {whose}{below}",
            "a flip of chdir leads into the directory of a process",
            "proc",
            f"race{below}",
            OTHERWISE,
            "nobody",
            pids=whose,
            slow=500,
            root=below == "-fd",  # nobody else gets into the fd directory of who is not dumpable, with or without us
        )
        for whose in ("ours", "others")
        for below in ("", "-fd")
    ),
)


def named(name: str) -> Attack:
    """Return the attack called *name*."""
    return next(attack for attack in ATTACKS if attack.name == name)


# ---- the tree ----


@contextmanager
def tree() -> Iterator[Path]:
    """Make the directory that attack.h describes, which everybody may see."""
    with tempfile.TemporaryDirectory(prefix="monitor-attack-", dir="/tmp") as made:
        top = Path(made)
        top.chmod(0o755)
        for name in ("a", "b", "b/public", "a/sub", "a/d", "b/d", "a/hidden"):
            (top / name).mkdir()
        (top / "a" / "file").write_text("PUBLIC")
        (top / "a" / "sub" / "key").write_text("PUBLIC")
        (top / "b" / "key").write_text("SECRET")
        (top / "b" / "link").symlink_to("answer")
        (top / "a" / "hidden" / "inner").write_text("PUBLIC")
        (top / "a" / "hidden" / "link").symlink_to("../sub")
        (top / "a" / "hidden" / "up").symlink_to("..")
        (top / "a" / "hidden" / "far").symlink_to(top / "a" / "sub")
        (top / "a" / "out").symlink_to("hidden/../sub")
        (top / "a" / "out2").symlink_to("hidden2/../sub")
        (top / "a" / "to-policy").symlink_to("policy.toml")
        (top / "a" / "policy.toml").write_text(HEAD + OWN.replace("$T", str(top)))
        (top / "a" / "leased").write_text("PUBLIC")
        os.mkfifo(top / "a" / "fifo")
        for name in ("a/z (deleted)", "a/y (deleted)"):
            (top / name).write_text("SECRET")
        yield top


class Programs:
    """The compiled C files, made when they are wanted."""

    def __init__(self, directory: Path) -> None:
        """Compile into *directory*."""
        self._directory = directory
        self._made: dict[str, str] = {}

    def get(self, name: str) -> str:
        """Return the path of the program *name*."""
        if name not in self._made:
            output = self._directory / name
            command = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(output)]
            subprocess.run([*command, str(HERE / f"{name}.c"), "-lpthread"], check=True)
            output.chmod(0o755)
            self._made[name] = str(output)
        return self._made[name]


# ---- runs ----


def policy(attack: Attack, top: Path) -> monitor.Policy:
    """Return the policy that *attack* is made under."""
    if attack.program == "policy_file":
        return load(top / "a" / "policy.toml")
    return loads(HEAD + attack.lists.replace("$T", str(top)), Origin("attacked.toml"))


@contextmanager
def _accomplice(attack: Attack, program: str, top: Path) -> Iterator[int]:
    """Run the program outside, where it helps itself; the socket to it is for the attack's standard input."""
    if not attack.accomplice:
        with Path("/dev/null").open("rb") as nothing:
            yield nothing.fileno()
        return
    near, far = socket.socketpair()
    with near, far:
        process = subprocess.Popen([program, "0", str(top), attack.mode, "accomplice"], stdin=near.fileno())
        try:
            yield far.fileno()
        finally:
            process.kill()
            process.wait()


async def _output(stream: trio.lowlevel.FdStream) -> str:
    return b"".join([chunk async for chunk in stream]).decode(errors="replace")


def _result(said: str) -> Result:
    *before, last = said.strip().splitlines() or [""]
    try:
        tries, successes = map(int, last.split())
    except ValueError:
        raise AttackBrokeError(said) from None
    return Result(tries, successes, "\n".join(before))


def _words(attack: Attack, programs: Programs, top: Path, tries: int) -> list[str]:
    """Return the command line of *attack*."""
    return [programs.get(attack.program), str(attack.count(tries)), str(top), attack.mode, *_pids(attack)]


def _pids(attack: Attack) -> list[str]:
    if attack.pids == "ours":
        return [entry.name for entry in Path("/proc/self/task").iterdir()][:THREADS]
    return [str(os.getppid())] if attack.pids == "others" else []


async def _supervised(launch: monitor.Launch, **options: Any) -> Result:
    async with monitor.supervise(launch, **options) as run:
        said = await _output(run.stdout)
        status = await run.wait()
    if status:
        message = f"status {status}: {said}"
        raise AttackBrokeError(message)
    return _result(said)


async def attacked(attack: Attack, programs: Programs, tries: int) -> Result:
    """Let *attack* loose under its policy, or a handler that looks at names."""
    with tree() as top, _accomplice(attack, programs.get(attack.program), top) as stdin:
        launch = _launch(_words(attack, programs, top, tries), top, stdin)
        if attack.handler:
            return await _supervised(launch, handlers=[_careful(top)], otherwise=monitor.Allow())
        return await _supervised(launch, policy=policy(attack, top))


async def controlled(attack: Attack, programs: Programs) -> Result:
    """Let *attack* loose where it must succeed."""
    with tree() as top, _accomplice(attack, programs.get(attack.program), top) as stdin:
        words = _words(attack, programs, top, CONTROL_TRIES)
        if attack.control == "nobody":
            done = await trio.run_process(
                words, stdin=stdin, capture_stdout=True, stderr=subprocess.STDOUT, cwd=top / "a", check=False
            )
            return _result(done.stdout.decode(errors="replace"))
        handler = _racy(attack, top) if attack.control == "racy" else _naive(attack)
        return await _supervised(
            _launch(words, top, stdin), handlers=[handler], otherwise=monitor.Allow(), strict=False
        )


def _launch(words: Sequence[str], top: Path, stdin: int) -> monitor.Launch:
    return monitor.Launch(
        words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=str(top / "a"), env={}
    )


def _careful(top: Path) -> monitor.Handler:
    """Return a handler that lets the broker do what is asked of the program's own directory."""
    own = os.fsencode(top / "a") + b"/"

    def careful(call: monitor.Call) -> monitor.Verdict:
        found = call.path(FAMILIES[call.name].register).canonical
        return call.emulate() if found is not None and found.startswith((own, *LIBRARIES)) else monitor.Deny(13)

    return monitor.Handler.of(sorted(OPENS), careful)


def _racy(attack: Attack, top: Path) -> monitor.Handler:
    """Return the handler that a control is about: it reads the path, and then the kernel reads it again."""
    forbidden = os.fsencode(top / "b")

    def racy(call: monitor.Call) -> monitor.Verdict:
        address = call.registers[FAMILIES[call.name].register]
        path = call.target.read_string(address) if address else b""
        if path.startswith(forbidden + b"/") or (path == forbidden and "$T/b/" not in attack.lists):
            return monitor.Deny(13)
        sleep(RACY_SECONDS)
        return monitor.Allow(racy="the control of an attack")

    return monitor.Handler.of(sorted(FAMILIES.keys() - HELD - LISTINGS), racy)


def _naive(attack: Attack) -> monitor.Handler:
    """
    Return a broker as one writes it first.

    It opens by path, as the leader of the process would, on the loop, without a look at the number of
    descriptors, and, in a storm, again for each time that it hears of a call.
    """

    def naive(call: monitor.Call) -> monitor.Verdict:
        place = call.registers[0] & 0xFFFFFFFF
        start = f"/proc/{call.pid}/" + (f"fd/{place}/" if place < FEW else "cwd/")
        path = call.target.read_string(call.registers[1])
        full = os.path.join(os.fsencode(start), path)  # noqa: PTH118  # bytes
        with ExitStack() as opened:
            try:
                for _ in range(2 if attack.program == "storm" else 1):
                    fd = os.open(full, call.registers[2], call.registers[3] & 0o777)
                    opened.callback(os.close, fd)
            except OSError as error:
                return monitor.Deny(error.errno or 13)
            return monitor.InjectFd(os.dup(fd), close_on_exec=False)

    return monitor.Handler.of("openat", naive)


class Line(NamedTuple):
    """A line of the table."""

    attack: Attack
    result: Result
    control: Result

    @property
    def red(self) -> str:
        """Why it is red; empty: it is not."""
        if self.result.successes:
            return f"{self.attack.name}: {self.result.successes} of {self.result.tries}: {self.result.said}"
        if self.result.tries < 1 or self.control.successes * 1000 < self.control.tries or not self.control.successes:
            return f"{self.attack.name}: its control succeeds {self.control.successes} times of {self.control.tries}"
        return ""


async def line(attack: Attack, programs: Programs, tries: int) -> Line:
    """Make *attack*, and its control."""
    result = await attacked(attack, programs, tries)
    return Line(attack, result, await controlled(attack, programs))


# ---- the table ----


def in_table(lines: Sequence[Line], tries: int) -> str:
    """Return the table of docs/attacks.md."""
    rows = [
        f"| {one.attack.name} | {one.attack.what} | {one.result.tries} | {one.result.successes} "
        f"| {one.control.successes} of {one.control.tries} |"
        for one in lines
    ]
    today = datetime.now(tz=UTC).date()
    head = f"{today}, Linux {os.uname().release}, uid {os.geteuid()}, {tries} tries where nothing else is said."
    return "\n".join(
        [head, "", "| attack | what it tries | tries | successes | control |", "| --- | --- | --- | --- | --- |", *rows]
    )


def names_in(text: str) -> list[str]:
    """Return the names of the attacks in the table of *text*."""
    rows = [line for line in text.partition(BEGIN)[2].partition(END)[0].splitlines() if line.startswith("| ")]
    return [row.split(" | ")[0].removeprefix("| ") for row in rows[2:]]


def _write(lines: Sequence[Line], tries: int) -> None:
    """Write the table anew; of the same day, machine and number of tries, the lines of other attacks stay."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    new = in_table(lines, tries).strip().splitlines()
    kept = old.strip().splitlines() if old.strip().splitlines()[:1] == new[:1] else []
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in (*kept, *new) if row.startswith("| ")}
    ordered = [rows[attack.name] for attack in ATTACKS if attack.name in rows]
    head = new[: len(new) - len(lines)]
    PAGE.write_text("\n".join([before + BEGIN, *head, *ordered, END + after]), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Make the attacks that are named, or all of them; return whether one is red."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks")
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help="write the table of docs/attacks.md")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="monitor-attacks-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        programs = Programs(Path(made))
        for attack in [named(name) for name in options.names] or ATTACKS:
            if attack.root and os.geteuid():
                continue
            begin = monotonic()
            found = trio.run(line, attack, programs, options.tries)
            lines.append(found)
            counts = f"{found.result.successes} of {found.result.tries}, control {found.control.successes}"
            print(f"{attack.name}: {counts} of {found.control.tries}, {monotonic() - begin:.1f} s", flush=True)
    red = [one.red for one in lines if one.red]
    print(*red, sep="\n")
    if options.write and not red:
        _write(lines, options.tries)
    return bool(red)
