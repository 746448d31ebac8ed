"""Plain calls under ``[files]`` are answered on the fast path, and nobody can tell but by the time it takes."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from errno import EMFILE, ENOENT
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

import monitor
from monitor._native import (
    ACTS,
    ALLOWED,
    ASKS,
    ELSEWHERE,
    EMPTY,
    LATE,
    LEFT,
    MISSING,
    NOFOLLOW,
    NOTHING,
    NULL,
    RECEIVED,
    STALE,
    STRAIGHT,
    UNSAID,
    FastCall,
    Plain,
)
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.broker.plain import plain_calls
from monitor.handlers import paths
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


async def test_without_an_fd_for_it_everything_takes_the_long_way(
    tree: Path, rulings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_fds: object) -> None:
        raise OSError(EMFILE, os.strerror(EMFILE))

    monkeypatch.setattr("monitor.broker.broker.FastActor", fails)
    script = "import os, sys\nfor _ in range(200): os.stat(sys.argv[1])"
    async with monitor.supervise(program(script, f"{tree}/open/file"), policy=policy_of(SYSTEM, tree)) as run:
        assert await run.wait() == 0

    assert len(rulings) > 200


# ---- on a look-up that is made up ----

NATIVE = Arch.native()
OPENAT, NEWFSTATAT, FACCESSAT, READLINKAT, MKDIRAT, CHDIR = (
    number_of(NATIVE, name) or 0 for name in ("openat", "newfstatat", "faccessat", "readlinkat", "mkdirat", "chdir")
)
NOBODY = -11


def notified(number: int, *registers: int) -> RawNotification:
    six = (*registers, *(0,) * (6 - len(registers)))
    return (7, 100, 0, number, NATIVE.audit_value, 0, *six)  # type: ignore[return-value]


class Run:
    """A run that finds what it is told to, and notes what is said of it."""

    def __init__(self, found: Plain | None = None, *, ends: int = LEFT, sent: int = 0) -> None:
        self.plain = found
        self.ends = ends
        self.calls: Mapping[tuple[int, int], FastCall] = {}
        self.further = 0
        self.said: list[int] = []
        self.used = 0
        self.answered = 0
        self.raw = notified(0)
        self.sent = sent
        self.received = NOBODY

    def use(self, calls: Mapping[tuple[int, int], FastCall], further: int) -> None:
        self.calls, self.further = calls, further
        self.used += 1

    def hold(self, raw: RawNotification) -> None:
        self.raw = raw

    def go(self, said: int, most: int) -> int:
        assert most > 0
        self.answered = 0
        if (self.raw[4], self.raw[3]) not in self.calls:
            return LEFT
        if self.plain is None:
            return self.ends
        if said == UNSAID:
            return ASKS
        self.said.append(said)
        self.answered = int(said != ELSEWHERE)
        return NOTHING if self.answered else LEFT

    def notification(self) -> RawNotification:
        return self.raw

    def found(self) -> Plain:
        assert self.plain is not None
        return self.plain


class Actor:
    """Answers nothing, and notes what was dropped."""

    def __init__(self) -> None:
        self.dropped = 0
        self.patience: list[int] = []
        self.sent = 0

    def drop(self) -> None:
        self.dropped += 1

    def be_patient(self, milliseconds: int, until: float) -> None:
        assert until > 0
        self.patience.append(milliseconds)


def answered(path: FastPath, raw: RawNotification) -> RawNotification | int | None:
    """Return what was received behind *raw*; None: that was not answered."""
    path._left = 0
    run: Any = path._run
    run.raw = raw
    following = path.answer(raw, 64, 0)
    assert path.answered == (following is not raw)
    return None if following is raw else following


class Decides:
    """A decider that says what it is told to."""

    def __init__(self, says: Callable[[str, bytes, bool], int], *, hides: bool) -> None:
        self.hides = hides
        self._says = says

    def __call__(self, access: str, name: bytes, *, directory: bool) -> Ruling:
        return Ruling(self._says(access, name, directory), NOWHERE, explicit=True)


def fast(
    run: Run,
    says: Callable[[str, bytes, bool], int],
    *,
    allowed: bool = True,
    is_open: bool = True,
    hides: bool = False,
) -> tuple[FastPath, Actor, list[str]]:
    """Return a fast path over *run*, its actor, and where is noted that the mounts were read."""
    read: list[str] = []
    actor = Actor()
    known = SimpleNamespace(plain=frozenset({5}), further=64, read=lambda: read.append("read"))
    calls = plain_calls(NATIVE, 0)
    broker = SimpleNamespace(
        plain=lambda: (actor, run, SimpleNamespace(is_open=is_open), known, calls),
        changing=lambda: ({}, threading.Lock()),
    )
    decides = Decides(says, hides=hides)
    return FastPath(broker, decides, calls.keys() if allowed else ()), actor, read  # type: ignore[arg-type]


def allowing(asked: list[tuple[object, ...]]) -> Callable[[str, bytes, bool], int]:
    """Return a decider that allows everything, and notes what it is *asked*."""

    def decide(*question: object) -> int:
        asked.append(question)
        return 0

    return decide


def plain(kind: Any, mount: int = 5) -> Plain:
    return Plain(mount, kind, b"/a/name")


@pytest.mark.parametrize("hides", [False, True])
def test_a_path_that_may_pass_what_is_hidden_is_not_plain(hides: bool) -> None:
    run = Run()
    fast(run, allowing([]), hides=hides)

    looks = [look for call in run.calls.values() for look in call.hows.values()]
    assert all(bool(look & STRAIGHT) == hides for look in looks)
    assert len(looks) > 100


def test_each_call_is_looked_up_as_it_says() -> None:
    run = Run()
    fast(run, allowing([]))
    audit = NATIVE.audit_value

    assert run.further == 64
    opens = run.calls[audit, OPENAT]
    assert (opens.path, opens.directory, opens.flags, opens.buffer, opens.act) == (1, 0, 2, -1, 0)
    assert (opens.hows[0], opens.hows[os.O_NOFOLLOW]) == (0, NOFOLLOW)
    stats = run.calls[audit, NEWFSTATAT]
    assert (stats.path, stats.directory, stats.flags, stats.buffer, stats.act) == (1, 0, 3, 2, 0)
    assert (stats.hows[0], stats.hows[0x1100]) == (LATE, LATE | NOFOLLOW | EMPTY | NULL)
    readlinks = run.calls[audit, READLINKAT]
    assert (readlinks.flags, readlinks.act, readlinks.argument) == (-1, ACTS["readlink"], 2)
    assert dict(readlinks.hows) == {0: LATE | NOFOLLOW | EMPTY}
    # Whatever does something is done for nobody who is gone.
    assert all(not look & LATE for number in (OPENAT, CHDIR) for look in run.calls[audit, number].hows.values())


def test_calls_share_what_is_said_where_the_question_is_one() -> None:
    run = Run()
    fast(run, allowing([]))
    question = {number: call.question for (_, number), call in run.calls.items()}

    assert question[NEWFSTATAT] == question[FACCESSAT]
    assert len({question[NEWFSTATAT], question[OPENAT], question[READLINKAT]}) == 3


@pytest.mark.parametrize(
    ("kind", "number", "access", "directory", "said"),
    [
        ("regular", OPENAT, "read", False, ALLOWED),
        ("directory", OPENAT, "list", True, ALLOWED),
        ("regular", NEWFSTATAT, "stat", False, ALLOWED),
        ("directory", NEWFSTATAT, "stat", True, ALLOWED),
        ("other", NEWFSTATAT, "stat", False, ALLOWED),
        ("missing", NEWFSTATAT, "stat", False, MISSING),
        ("missing", OPENAT, "read", False, MISSING),
        ("regular", FACCESSAT, "stat", False, ALLOWED),
        ("missing", FACCESSAT, "stat", False, MISSING),
        ("other", READLINKAT, "readlink", False, ALLOWED),
    ],
)
def test_what_is_allowed_is_answered(kind: str, number: int, access: str, directory: bool, said: int) -> None:
    asked: list[tuple[object, ...]] = []
    run = Run(plain(kind))
    path, actor, _ = fast(run, allowing(asked))

    assert answered(path, notified(number)) == NOBODY

    assert asked == [(access, b"/a/name", directory)]
    assert (run.said, actor.dropped) == ([said], 0)


@pytest.mark.parametrize("found", [plain("regular", mount=6), plain("other")])
def test_what_is_not_plain_is_left(found: Plain) -> None:
    run = Run(found)
    path, _, _ = fast(run, lambda *_question: 0)

    assert answered(path, notified(OPENAT)) is None
    assert run.said == [ELSEWHERE]


def test_what_is_refused_is_left() -> None:
    run = Run(plain("regular"))
    path, _, _ = fast(run, lambda *_question: 13)

    assert [answered(path, notified(OPENAT)), answered(path, notified(NEWFSTATAT))] == [None, None]
    assert run.said == [ELSEWHERE] * 2


@pytest.mark.parametrize(
    "flags",
    [os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_PATH, os.O_TMPFILE, os.O_APPEND, os.O_DIRECT, 1 << 30],
)
def test_opens_that_do_more_than_read_are_not_plain(flags: int) -> None:
    run = Run()
    fast(run, lambda *_question: 0)

    assert flags not in run.calls[NATIVE.audit_value, OPENAT].hows
    assert 0x6000 | flags not in run.calls[NATIVE.audit_value, NEWFSTATAT].hows


def test_calls_of_which_registers_decide_and_other_abis_are_left_alone() -> None:
    run = Run(plain("regular"))
    path, _, _ = fast(run, lambda *_question: 0, allowed=False)
    closed, _, _ = fast(Run(plain("regular")), lambda *_question: 0, is_open=False)
    other = Run(plain("regular"))
    raw = notified(OPENAT)

    assert answered(path, raw) is None
    assert answered(closed, raw) is None
    assert answered(fast(other, lambda *_question: 0)[0], (*raw[:4], 1, *raw[5:])) is None
    assert (run.said, run.calls, other.said) == ([], {}, [])


def test_other_mounts_are_read_and_ask_again() -> None:
    run = Run(ends=STALE)
    path, _, read = fast(run, lambda *_question: 0)
    assert answered(path, notified(OPENAT)) is None
    assert read == ["read"]

    run.ends = LEFT
    assert answered(path, notified(OPENAT)) is None
    assert read == ["read"]


def test_what_was_said_is_forgotten_with_the_mounts() -> None:
    run = Run(plain("regular"))
    path, _, _ = fast(run, lambda *_question: 0)
    answered(path, notified(OPENAT))
    used = run.used
    path._mounts.plain = frozenset({6})

    assert answered(path, notified(OPENAT)) is None
    assert (run.used, run.said[-1]) == (used + 1, ELSEWHERE)


def test_what_comes_after_the_last_call_is_handed_on() -> None:
    run = Run(ends=RECEIVED, sent=-ENOENT)
    path, _, _ = fast(run, lambda *_question: 0)
    run.raw = notified(OPENAT)

    assert path.answer(notified(OPENAT), 64, 0) is run.raw
    assert path.sent == -ENOENT


def test_what_waits_is_answered_and_not_what_was_received_last() -> None:
    run = Run(plain("regular"))
    path, _, _ = fast(run, lambda *_question: 0)
    run.raw, waits = notified(NEWFSTATAT), notified(OPENAT)
    path.answer(waits, 64, 0)

    assert run.raw == waits


def test_it_lingers_as_it_is_told_to() -> None:
    run = Run(plain("regular"))
    path, actor, _ = fast(run, lambda *_question: 0)
    run.raw = notified(OPENAT)
    path.answer(run.raw, 64, 5)

    assert actor.patience == [5]


def test_nothing_is_left_open_when_the_question_fails() -> None:
    def fails(*_question: object) -> int:
        raise RuntimeError

    run = Run(plain("regular"))
    path, actor, _ = fast(run, fails)
    with pytest.raises(RuntimeError):
        answered(path, notified(OPENAT))

    assert (actor.dropped, path.owed) == (1, notified(OPENAT))
