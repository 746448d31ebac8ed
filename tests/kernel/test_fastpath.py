"""Plain calls under ``[files]`` are answered on the fast path, and nobody can tell but by the time it takes."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from errno import EBADF, ENOENT, ESTALE
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

import monitor
from monitor._native import ACTS, EMPTY, NOFOLLOW, STRAIGHT
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.broker.plain import plain_calls
from monitor.handlers import fastpath, paths
from monitor.handlers.fastpath import FastPath
from monitor.handlers.paths import Ruling
from monitor.notify.listener import RawNotification
from monitor.origin import NOWHERE
from monitor.policy.text import loads

HEAD = """
[policy]
version = 1
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
"""

SYSTEM = 'read = ["/usr", "/bin", "/lib", "/lib64", "/etc", "$T/open"]\n'

POLICIES = {
    "allow all": 'otherwise = "allow"\n',
    "a list": SYSTEM,
    "hidden": 'otherwise = "allow"\nhide = ["$T/secret", "$T/open/one"]\n',
    "denied": 'otherwise = "allow"\ndeny = ["$T/secret/key", "$T/open/dir"]\n',
    "looked at only": SYSTEM + '[[files.rules]]\naction = "deny"\npaths = ["$T/open/file"]\naccess = ["read"]\n',
    "not looked at": SYSTEM + '[[files.rules]]\naction = "deny"\npaths = ["$T/open/file"]\naccess = ["stat"]\n',
    "not listed": SYSTEM + '[[files.rules]]\naction = "deny"\npaths = ["$T/open"]\naccess = ["list"]\n',
}

SEEN = """
import os, sys
os.chdir(sys.argv[1])
NAMES = "open open/file open/one open/dir open/link open/loop open/gone open/fifo open/up/.. secret secret/key nothing "
NAMES += "nothing/ open/file/ open/link/ open/to-secret open/../secret/key . .. / /etc/passwd /proc/self/comm "
NAMES += "/proc/self/fd/0 /dev/null open/dir/no " + "x" * 300
FLAGS = [os.O_RDONLY, os.O_DIRECTORY, os.O_NOFOLLOW, os.O_NONBLOCK | os.O_CLOEXEC, os.O_PATH, os.O_WRONLY]
here = os.open(".", os.O_PATH)

def told(what, *args, **more):
    try:
        return what(*args, **more)
    except OSError as error:
        return error.errno

def look(name):
    for follow in (True, False):
        for near in (None, here):
            found = told(os.stat, name, follow_symlinks=follow, dir_fd=near)
            print(name, follow, near, found if isinstance(found, int) else (found.st_mode, found.st_size))

def open_it(name):
    for flags in FLAGS:
        if name != "open/fifo" or flags & os.O_NONBLOCK:
            fd = told(os.open, name, flags)
            print(name, flags, fd, told(os.read, fd, 9), told(os.get_inheritable, fd))
            told(os.close, fd)

for _ in range(3):  # from the second time on answers may be kept
    for name in [*NAMES.split(), ""]:
        look(name)
        open_it(name)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with things of all kinds."""
    for name in ("open/dir", "open/up", "secret"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("open/file", "open/one", "secret/key"):
        (tmp_path / name).write_text(f"{name}\n")
    for name, to in (("link", "file"), ("loop", "loop"), ("gone", "nowhere"), ("to-secret", "../secret/key")):
        (tmp_path / "open" / name).symlink_to(to)
    os.mkfifo(tmp_path / "open" / "fifo")
    return tmp_path


def policy_of(lists: str, tree: Path) -> monitor.Policy:
    return loads(HEAD + lists.replace("$T", str(tree)))


def program(script: str, *words: str) -> monitor.Launch:
    return monitor.Launch(
        ["/usr/bin/python3", "-S", "-c", script, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
    )


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


# ---- on real programs ----


async def test_plain_calls_take_it(tree: Path, rulings: list[str]) -> None:
    script = (
        "import os, sys\n"
        "for _ in range(200):\n"
        "    os.stat(sys.argv[1]); os.close(os.open(sys.argv[1], 0)); os.path.exists(sys.argv[1] + '-')"
    )
    async with monitor.supervise(program(script, f"{tree}/open/file"), policy=policy_of(SYSTEM, tree)) as run:
        assert await run.wait() == 0

    assert run.stats.emulated > 600
    assert len(rulings) < 100
    assert run.stats.received == run.stats.emulated + run.stats.allowed + run.stats.denied + run.stats.gone


async def test_calls_that_somebody_wants_to_hear_of_do_not(tree: Path, rulings: list[str]) -> None:
    told: list[monitor.Event] = []
    script = "import os, sys\nfor _ in range(200): os.stat(sys.argv[1])"
    given = policy_of(SYSTEM, tree)
    async with monitor.supervise(program(script, f"{tree}/open/file"), policy=given, events=told.append) as run:
        assert await run.wait() == 0

    assert len(rulings) > 200
    assert len([event for event in told if isinstance(event, monitor.CallAnswered)]) > 200


@pytest.mark.parametrize("lists", POLICIES.values(), ids=list(POLICIES))
async def test_a_program_sees_the_same_with_it_and_without(tree: Path, lists: str) -> None:
    seen: dict[str, bytes] = {}
    for way, options in {"fast": {}, "long": {"events": lambda _event: None}}.items():
        given: dict[str, Any] = {"policy": policy_of(lists, tree), **options}
        async with monitor.supervise(program(SEEN, str(tree)), **given) as run:
            seen[way] = b"".join([chunk async for chunk in run.stdout])
            assert await run.wait() == 0, seen[way][-2000:]

    assert seen["fast"].splitlines() == seen["long"].splitlines()
    assert seen["fast"].count(b"\n") > 500


async def test_another_policy_is_asked_at_once(tree: Path) -> None:
    script = (
        "import os, sys\n"
        "def can():\n"
        "    try: os.close(os.open(sys.argv[1], 0)); os.stat(sys.argv[1]); return b'yes'\n"
        "    except PermissionError: return b'no'\n"
        "for _ in range(3):\n"
        "    said = [can() for _ in range(20)]\n"
        "    os.write(1, b' '.join(sorted(set(said))) + b'.')\n"
        "    os.read(0, 1)\n"
    )
    ours, theirs = os.pipe()
    launch = monitor.Launch(
        ["/usr/bin/python3", "-S", "-c", script, f"{tree}/open/file"], stdin=ours, stdout=subprocess.PIPE, cwd="/"
    )
    answers = []
    async with monitor.supervise(launch, policy=policy_of(SYSTEM, tree)) as run:
        os.close(ours)
        for lists in (SYSTEM.replace("$T/open", "$T/other"), SYSTEM, SYSTEM):
            answers.append(await run.stdout.receive_some(100))
            run.replace_policy(policy_of(lists, tree))
            os.write(theirs, b"x")
        assert await run.wait() == 0
    os.close(theirs)

    assert answers == [b"yes.", b"no.", b"yes."]


async def test_a_fifo_is_waited_for_elsewhere(tree: Path) -> None:
    script = "import os, sys\nprint(os.open(sys.argv[1], 0) > 2, flush=True)"
    async with monitor.supervise(program(script, f"{tree}/open/fifo"), policy=policy_of(SYSTEM, tree)) as run:
        await trio.sleep(0.3)  # the loop is ours meanwhile
        writer = threading.Thread(target=lambda: os.close(os.open(tree / "open" / "fifo", os.O_WRONLY)))
        writer.start()
        assert await run.wait() == 0
        writer.join()


# ---- on a look-up that is made up ----

NATIVE = Arch.native()
OPENAT, NEWFSTATAT, FACCESSAT, READLINKAT = (
    number_of(NATIVE, name) or 0 for name in ("openat", "newfstatat", "faccessat", "readlinkat")
)
REGULAR, DIRECTORY, OTHER, MISSING = 1, 2, 3, 4


def notified(number: int, *registers: int) -> RawNotification:
    six = (*registers, *(0,) * (6 - len(registers)))
    return (7, 100, 0, number, NATIVE.audit_value, 0, *six)  # type: ignore[return-value]


class Looks:
    """A looker that finds what it is told to, and notes what is done with it."""

    def __init__(self, found: bytes | int) -> None:
        self.found = found
        self.done: list[object] = []
        self.sent = 0

    def look(self, *how: int) -> bytes | int:
        self.done.append(("look", *how))
        return self.found

    def drop(self) -> None:
        self.done.append("drop")

    def answer_open(self, flags: int) -> int:
        self.done.append(("open", flags))
        return -11

    def answer_status(self, address: int) -> int:
        self.done.append(("status", address))
        return -11

    def answer_error(self, ident: int, error: int) -> int:
        self.done.append(("error", ident, error))
        return -11

    def answer_missing(self) -> int:
        self.done.append("missing")
        return -11

    def answer_act(self, act: int, argument: int) -> int:
        self.done.append(("act", act, argument))
        return -11


def answered(path: FastPath, raw: RawNotification) -> RawNotification | int | None:
    """Return what was received behind *raw*; None: that was not answered."""
    path._left = 0
    following = path.answer(raw, 64)
    assert path.answered == (following is not raw)
    return None if following is raw else following


def found(kind: int, name: bytes, mount: int = 5) -> bytes:
    return mount.to_bytes(8, "little") + bytes([kind]) + name


class Decides:
    """A decider that says what it is told to."""

    def __init__(self, says: Callable[[str, bytes, bool], int], *, hides: bool) -> None:
        self.hides = hides
        self._says = says

    def __call__(self, access: str, name: bytes, *, directory: bool) -> Ruling:
        return Ruling(self._says(access, name, directory), NOWHERE, explicit=True)


def fast(
    looks: Looks,
    says: Callable[[str, bytes, bool], int],
    *,
    allowed: bool = True,
    is_open: bool = True,
    hides: bool = False,
) -> tuple[FastPath, list[str]]:
    """Return a fast path over *looks*, and where is noted that the mounts were read."""
    read: list[str] = []
    known = SimpleNamespace(plain=frozenset({5}), further=64, read=lambda: read.append("read"))
    calls = plain_calls(NATIVE, 0)
    broker = SimpleNamespace(
        plain=lambda: (looks, SimpleNamespace(is_open=is_open), known, calls),
        changing=lambda: ({}, threading.Lock()),
    )

    decides = Decides(says, hides=hides)
    path = FastPath(broker, decides, calls.keys() if allowed else ())  # type: ignore[arg-type]
    return path, read


def test_a_path_that_may_pass_what_is_hidden_is_not_plain() -> None:
    for hides in (False, True):
        looks = Looks(found(REGULAR, b"/a/name"))
        path, _ = fast(looks, allowing([]), hides=hides)
        answered(path, notified(OPENAT, 1, 2, 0))

        assert looks.done[0] == ("look", 1, 0, 64 | (STRAIGHT if hides else 0))


def allowing(asked: list[tuple[object, ...]]) -> Callable[[str, bytes, bool], int]:
    """Return a decider that allows everything, and notes what it is *asked*."""

    def decide(*question: object) -> int:
        asked.append(question)
        return 0

    return decide


@pytest.mark.parametrize(
    ("what", "number", "access", "directory", "last"),
    [
        (REGULAR, OPENAT, "read", False, ("open", 0)),
        (DIRECTORY, OPENAT, "list", True, ("open", 0)),
        (REGULAR, NEWFSTATAT, "stat", False, ("status", 3)),
        (DIRECTORY, NEWFSTATAT, "stat", True, ("status", 3)),
        (OTHER, NEWFSTATAT, "stat", False, ("status", 3)),
        (MISSING, NEWFSTATAT, "stat", False, ("error", 7, -ENOENT)),
        (MISSING, OPENAT, "read", False, "missing"),
        (REGULAR, FACCESSAT, "stat", False, ("act", ACTS["access"], 2)),
        (MISSING, FACCESSAT, "stat", False, ("act", ACTS["access"], 2)),
        (OTHER, READLINKAT, "readlink", False, ("act", ACTS["readlink"], 2)),
    ],
)
def test_what_is_allowed_is_answered(what: int, number: int, access: str, directory: bool, last: object) -> None:
    asked: list[tuple[object, ...]] = []
    looks = Looks(found(what, b"/a/name"))
    path, _ = fast(looks, allowing(asked))
    registers = (1, 2, 0) if number == OPENAT else (1, 2, 3, 0)
    nofollow = NOFOLLOW | EMPTY if number == READLINKAT else 0

    for _ in range(3):
        assert answered(path, notified(number, *registers)) == -11

    assert asked == [(access, b"/a/name", directory)], "answers are kept"
    assert looks.done == [("look", 1, 0, 64 | nofollow), last] * 3


@pytest.mark.parametrize(
    ("what", "number", "registers"),
    [
        (found(REGULAR, b"/a", mount=6), OPENAT, (0, 0, 0)),
        (found(OTHER, b"/a"), OPENAT, (0, 0, 0)),
    ],
)
def test_what_is_not_plain_is_dropped(what: bytes, number: int, registers: tuple[int, ...]) -> None:
    looks = Looks(what)
    path, _ = fast(looks, lambda *_question: 0)

    assert answered(path, notified(number, *registers)) is None
    assert looks.done[-1] == "drop"


def test_what_is_refused_is_dropped() -> None:
    looks = Looks(found(REGULAR, b"/a"))
    path, _ = fast(looks, lambda *_question: 13)

    assert [answered(path, notified(OPENAT)), answered(path, notified(NEWFSTATAT))] == [None, None]
    assert looks.done[1::2] == ["drop", "drop"]


@pytest.mark.parametrize(
    "flags",
    [os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_PATH, os.O_TMPFILE, os.O_APPEND, os.O_DIRECT, 1 << 30],
)
def test_opens_that_do_more_than_read_are_not_even_looked_up(flags: int) -> None:
    looks = Looks(found(REGULAR, b"/a"))
    path, _ = fast(looks, lambda *_question: 0)

    assert answered(path, notified(OPENAT, 0, 0, flags)) is None
    assert answered(path, notified(NEWFSTATAT, 0, 0, 0, 0x6000 | flags)) is None
    assert looks.done == []


def test_calls_of_which_registers_decide_and_other_abis_are_left_alone() -> None:
    looks = Looks(found(REGULAR, b"/a"))
    path, _ = fast(looks, lambda *_question: 0, allowed=False)
    closed, _ = fast(looks, lambda *_question: 0, is_open=False)
    raw = notified(OPENAT)

    assert answered(path, raw) is None
    assert answered(closed, raw) is None
    assert answered(closed, (*raw[:4], 1, *raw[5:])) is None
    assert looks.done == []


def test_other_mounts_are_read_and_ask_again() -> None:
    looks = Looks(-ESTALE)
    path, read = fast(looks, lambda *_question: 0)
    assert answered(path, notified(OPENAT)) is None
    assert read == ["read"]

    looks.found = -EBADF
    assert answered(path, notified(OPENAT)) is None
    assert read == ["read"]


def test_answers_of_before_are_forgotten_with_the_mounts() -> None:
    asked: list[tuple[object, ...]] = []
    looks = Looks(found(REGULAR, b"/a"))
    path, _ = fast(looks, allowing(asked))
    answered(path, notified(OPENAT))
    path._mounts.plain = frozenset({5, 6})
    answered(path, notified(OPENAT))
    path._mounts.plain = frozenset({6})

    assert answered(path, notified(OPENAT)) is None
    assert asked == [("read", b"/a", False)] * 2


def test_not_everything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastpath, "KEPT", 10)
    asked: list[tuple[object, ...]] = []
    looks = Looks(b"")
    path, _ = fast(looks, allowing(asked))
    for name in [b"/%d" % number for number in range(100)] + [b"/" + b"x" * 600] * 2:
        looks.found = found(REGULAR, name)
        answered(path, notified(OPENAT))

    assert len(asked) == 102
    assert max(len(lane.kept) for lane in path._lanes.values()) <= 10


def test_nothing_is_left_open_when_the_question_fails() -> None:
    def fails(*_question: object) -> int:
        raise RuntimeError

    looks = Looks(found(REGULAR, b"/a"))
    path, _ = fast(looks, fails)
    with pytest.raises(RuntimeError):
        answered(path, notified(OPENAT))

    assert looks.done[-1] == "drop"
