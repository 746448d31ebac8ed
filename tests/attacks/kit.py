"""
The attack kit: programs that try to get what their policy forbids, many times, and count how often they do.

What it is not: a proof.  Each attack is shown to be one: the same program, let run by a racy handler or by
nobody, gets what it is after at least once in a thousand tries.

    python -m tests.attacks [--tries N] [NAME...]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final, Literal, NamedTuple

import trio
from attrs import field, frozen

import monitor
from monitor.broker.broker import FAMILIES, HELD, LISTINGS
from monitor.origin import Origin
from monitor.policy.text import loads

HERE: Final = Path(__file__).parent

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

FORGED: Final = 'write = ["$T/a"]\ndeny = ["$T/a/z (deleted)", "$T/a/y"]\n'
"""Of two names that one object may have, one is forbidden."""

CONTROL_TRIES: Final = 2000
"""Tries of a control: enough for two successes where one in a thousand is wanted."""

RACY_SECONDS: Final = 0.0001
"""How long a racy handler thinks: on a busy machine others come to run in it."""

Control = Literal["racy", "nobody"]


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
    pids: str = field(default="", kw_only=True)

    def count(self, tries: int) -> int:
        """Return how often it tries where *tries* are wanted."""
        return 1 if self.once else max(tries // self.slow, 1)


class AttackBrokeError(Exception):
    """The program of an attack did not count to its end; what it said."""


class Result(NamedTuple):
    """What came of a run: how often the program tried, how often it succeeded, and with what."""

    tries: int
    successes: int
    said: str


FLIPPED: Final = ("open", "openat", "openat2", "truncate", "stat", "statx", "statfs", "access", "faccessat2",
                  "readlink", "listxattr", "chdir")  # fmt: skip

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
            slow=10,
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
        for name in ("a", "b", "b/public", "a/sub", "a/d", "b/d"):
            (top / name).mkdir()
        (top / "a" / "file").write_text("PUBLIC")
        (top / "a" / "sub" / "key").write_text("PUBLIC")
        (top / "b" / "key").write_text("SECRET")
        (top / "b" / "link").symlink_to("answer")
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
    text = HEAD + attack.lists.replace("$T", str(top))
    return loads(text, Origin("attacked.toml"))


@contextmanager
def _accomplice(attack: Attack, program: str, top: Path) -> Iterator[None]:
    """Run the program outside, where it helps itself."""
    if not attack.accomplice:
        yield
        return
    process = subprocess.Popen([program, "0", str(top), attack.mode, "accomplice"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def _output(stream: trio.lowlevel.FdStream) -> str:
    return b"".join([chunk async for chunk in stream]).decode()


def _result(said: str) -> Result:
    *before, last = said.strip().splitlines() or [""]
    try:
        tries, successes = map(int, last.split())
    except ValueError:
        raise AttackBrokeError(said) from None
    return Result(tries, successes, "\n".join(before))


def words(attack: Attack, programs: Programs, top: Path, tries: int) -> list[str]:
    """Return the command line of *attack*."""
    return [programs.get(attack.program), str(attack.count(tries)), str(top), attack.mode, *_pids(attack)]


def _pids(attack: Attack) -> list[str]:
    if attack.pids == "ours":
        return [entry.name for entry in Path("/proc/self/task").iterdir()]
    return [str(os.getppid())] if attack.pids == "others" else []


async def attacked(attack: Attack, programs: Programs, tries: int) -> Result:
    """Let *attack* loose under its policy."""
    with tree() as top, _accomplice(attack, programs.get(attack.program), top):
        argv = words(attack, programs, top, tries)
        launch = monitor.Launch(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=str(top / "a"), env={})
        async with monitor.supervise(launch, policy=policy(attack, top)) as run:
            said = await _output(run.stdout)
            status = await run.wait()
    if status:
        raise AttackBrokeError(said)
    return _result(said)


async def controlled(attack: Attack, programs: Programs, tries: int) -> Result:
    """Let *attack* loose where it must succeed."""
    tries = min(tries, CONTROL_TRIES)
    with tree() as top, _accomplice(attack, programs.get(attack.program), top):
        argv = words(attack, programs, top, tries)
        if attack.control == "nobody":
            done = await trio.run_process(
                argv, capture_stdout=True, stderr=subprocess.STDOUT, cwd=top / "a", check=False
            )
            return _result(done.stdout.decode())
        forbidden = os.fsencode(top / "b")

        @monitor.handles(*(FAMILIES.keys() - HELD - LISTINGS))
        def racy(call: monitor.Call) -> monitor.Verdict:
            address = call.registers[FAMILIES[call.name].register]
            path = call.target.read_string(address) if address else b""
            if path.startswith(forbidden + b"/") or (path == forbidden and "$T/b/" not in attack.lists):
                return monitor.Deny(13)
            sleep(RACY_SECONDS)
            return monitor.Allow(racy="the control of an attack")

        launch = monitor.Launch(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=str(top / "a"), env={})
        async with monitor.supervise(launch, handlers=[racy], strict=False) as run:
            said = await _output(run.stdout)
            await run.wait()
    return _result(said)


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
    return Line(attack, result, await controlled(attack, programs, tries))


def main(arguments: Sequence[str]) -> int:
    """Make the attacks that are named, or all of them; return whether one is red."""
    tries = 10_000
    names = list(arguments)
    if names[:1] == ["--tries"]:
        tries, names = int(names[1]), names[2:]
    status = 0
    with tempfile.TemporaryDirectory(prefix="monitor-attacks-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        programs = Programs(Path(made))
        for attack in [named(name) for name in names] or ATTACKS:
            if attack.root and os.geteuid():
                continue
            before = monotonic()
            try:
                found = trio.run(line, attack, programs, tries)
            except (AttackBrokeError, ExceptionGroup) as error:
                print(f"{attack.name}: BROKEN {error}")
                status = 1
                continue
            status |= bool(found.red)
            print(
                attack.name,
                found.result[:2],
                found.control[:2],
                f"{monotonic() - before:.1f}s",
                "RED " + found.red if found.red else "",
                flush=True,
            )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
