"""Features are really tried, nothing of it stays, and each kind of answer is judged for what it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from errno import EACCES, EAGAIN, EBUSY, EINVAL, EMFILE, ENOENT, ENOSYS, EPERM, EPROTO
from pathlib import Path

import pytest

from monitor import _native
from monitor.errors import KernelFeatureError
from monitor.features import State, capabilities, lacking, probe, probe_all, probing, require
from monitor.features.catalogue import CATALOGUE

Answer = tuple[str, int, int, int]

WORKED: Answer = ("DONE", 0, 0, 0)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Answers are kept for a process's life; here each test asks anew."""
    for cached in (probe, probe_all, capabilities):
        cached.cache_clear()
    yield
    for cached in (probe, probe_all, capabilities):
        cached.cache_clear()


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return a function that replaces the kernel: these answers, and for every other probe "it works"."""

    def replace(answers: Mapping[str, Answer]) -> list[str]:
        asked: list[str] = []

        def answer(names: Sequence[str], _cgroup: bytes | None, _milliseconds: int) -> list[Answer]:
            asked.extend(names)
            return [answers.get(name, WORKED) for name in names]

        monkeypatch.setattr(_native, "probe", answer)
        return asked

    return replace


# ---- for real ----


def test_everything_that_is_required_works_here() -> None:
    assert lacking("run", probe_all()) == ()
    assert [feature.name for feature in probe_all()] == [entry.name for entry in CATALOGUE]


def test_a_feature_that_is_tried_alone_says_what_it_says_among_all() -> None:
    for name in ("continue", "Landlock", "user namespaces", "YAMA"):
        assert probe(name) == next(feature for feature in probe_all() if feature.name == name)


def test_nothing_of_the_process_changes(open_fds: Callable[[], set[str]]) -> None:
    """No fd, no thread, no child, no handler, no mask, no directory, no attribute in /proc/self/status."""

    def look() -> Sequence[object]:
        status = Path("/proc/self/status").read_text().splitlines()
        kept = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Threads", "Sig", "Shd", "Cap", "Umask")
        return (
            open_fds(),
            [line for line in status if line.startswith(kept)],
            [signal.getsignal(number) for number in signal.valid_signals()],
            Path.cwd(),
            _native.is_dumpable(),
            Path("/proc/thread-self/children").read_text(),
        )

    before = look()
    probe_all()

    assert look() == before


def test_the_host_hears_nothing_of_it() -> None:
    """No SIGCHLD, and nothing to reap: a host may be counting its children."""
    code = """
import os, signal
from monitor.features import probe_all
heard = []
signal.signal(signal.SIGCHLD, lambda number, frame: heard.append(number))
probe_all()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print(heard)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_host_that_reaps_whatever_it_finds_disturbs_nothing() -> None:
    code = """
import os, threading
from monitor.features import lacking, probe_all
over = threading.Event()
def reap():
    while not over.is_set():
        try:
            os.waitpid(-1, os.WNOHANG | 0x40000000)  # __WALL
        except ChildProcessError:
            pass
thread = threading.Thread(target=reap)
thread.start()
print(lacking("run", probe_all()))
over.set()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "()\n"


def test_a_host_that_ignores_sigchld_and_blocks_everything_is_answered_all_the_same() -> None:
    code = """
import signal
from monitor.features import lacking, probe_all
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
print(lacking("run", probe_all()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "()\n"


def test_the_interpreter_runs_on_meanwhile() -> None:
    """The lock is let go of: a thread counts while the probes are at work."""
    counted, over = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not over.is_set():
            counted += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    before = counted
    probe_all()
    after = counted
    over.set()
    thread.join()

    assert after > before


def test_several_threads_may_ask_at_once() -> None:
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(not lacking("run", probing._features(["listener"]).values())))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [True] * 8


def test_an_unknown_name_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        _native.probe(["listener", "no such thing"], None, 1000)
    with pytest.raises(KeyError):
        probe("no such thing")


def test_without_time_everything_has_timed_out_and_is_gone() -> None:
    outcomes: list[str] = []
    for _ in range(20):  # now and then one of them is quicker than no time at all
        outcomes += [outcome for outcome, *_ in _native.probe(["wait killable", "user namespaces"], None, 0)]
        assert Path("/proc/thread-self/children").read_text() == ""

    assert outcomes.count("TIMED_OUT") > len(outcomes) / 2
    assert set(outcomes) <= {"TIMED_OUT", "DONE"}


# ---- what an answer means ----


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        (("DONE", 0, ENOSYS, 0), State.MISSING, "ENOSYS at openat2 RESOLVE_IN_ROOT"),
        (("DONE", 0, EINVAL, 0), State.MISSING, "EINVAL at openat2 RESOLVE_IN_ROOT"),
        (("DONE", 0, EPERM, 0), State.FORBIDDEN, "EPERM at openat2 RESOLVE_IN_ROOT"),
        (("DONE", 0, EMFILE, 0), State.FORBIDDEN, "EMFILE at openat2 RESOLVE_IN_ROOT"),
        (("DONE", 0, 4000, 0), State.UNKNOWN, "4000 at openat2 RESOLVE_IN_ROOT"),
        (("DONE", 0, EPROTO, 0), State.UNKNOWN, "no error, and no effect: openat2 RESOLVE_IN_ROOT"),
        (("KILLED", 0, 0, signal.SIGSYS), State.FORBIDDEN, "killed at openat2 RESOLVE_IN_ROOT"),
        (("KILLED", 0, 0, signal.SIGSEGV), State.UNKNOWN, "signal 11 at openat2 RESOLVE_IN_ROOT"),
        (("TIMED_OUT", 0, 0, 0), State.TIMED_OUT, "no end at openat2 RESOLVE_IN_ROOT"),
        (("NOT_STARTED", 0, EAGAIN, 0), State.UNKNOWN, "EAGAIN: no process could be made to try it in"),
    ],
    ids=str,
)
def test_each_kind_of_answer_has_its_state(
    answering: Callable[..., list[str]], answer: Answer, state: State, detail: str
) -> None:
    answering({"openat2": answer})

    feature = probe("openat2")

    assert (feature.state, feature.detail, feature.available) == (state, detail, False)


def test_what_fails_for_want_of_another_is_unknown_and_names_it(answering: Callable[..., list[str]]) -> None:
    answering({"listener": ("DONE", 0, EBUSY, 0), "receive": ("DONE", 0, EBUSY, 0), "respond": ("DONE", 0, EBUSY, 0)})
    features = {feature.name: feature for feature in probe_all()}

    assert features["listener"].state is State.FORBIDDEN
    assert (features["receive"].state, features["receive"].detail) == (State.UNKNOWN, "needs listener")
    assert (features["respond"].state, features["respond"].detail) == (State.UNKNOWN, "needs receive")
    assert features["continue"].state is State.WORKS, "what works is not made to fail by a table"


def test_only_what_is_needed_is_tried(answering: Callable[..., list[str]]) -> None:
    asked = answering({})
    probe("add fd")

    assert asked == ["processes", "no_new_privs", "listener", "receive", "add fd"]


def test_answers_are_kept(answering: Callable[..., list[str]]) -> None:
    asked = answering({})
    assert probe("openat2") is probe("openat2")
    assert asked == ["processes", "openat2"]
    assert probe_all() is probe_all()


def test_no_process_at_all_is_the_first_row_and_everything_else_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(EAGAIN, os.strerror(EAGAIN))

    monkeypatch.setattr(_native, "probe", fail)
    features = {feature.name: feature for feature in probe_all()}

    assert features["processes"].state is State.FORBIDDEN
    assert "RLIMIT_NPROC" in features["processes"].advice
    assert features["openat2"].detail == "needs processes"
    assert capabilities() is None


def test_a_required_feature_that_is_missing_is_a_clear_error(answering: Callable[..., list[str]]) -> None:
    answering({"Landlock": ("DONE", 0, ENOSYS, 0)})
    require("listener")

    with pytest.raises(
        KernelFeatureError, match=r"Landlock is not available: ENOSYS at landlock_create_ruleset; .*5\.13"
    ):
        require("Landlock")


def test_clone3_may_be_absent_but_not_refused_where_libc_needs_it(
    answering: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answering({"clone3": ("DONE", 0, ENOSYS, 0)})
    assert probe("clone3").state is State.NOTED
    probe.cache_clear()

    answering({"clone3": ("DONE", 0, EPERM, 0)})
    assert probe("clone3").state is State.NOTED, "threads start all the same here"
    probe.cache_clear()

    def fail(_thread: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert probe("clone3").state is State.FORBIDDEN


def test_values_are_shown_where_they_say_something(answering: Callable[..., list[str]]) -> None:
    answering({"Landlock": ("DONE", 2, 0, 4), "open files": ("DONE", 0, 0, 1024), "no_new_privs": ("DONE", 0, 0, 1)})

    assert (probe("Landlock").detail, probe("Landlock").value) == ("ABI 4", 4)
    assert probe("open files").detail == "limit 1024"
    assert probe("no_new_privs").detail == "already set in this process"


def test_being_filtered_is_a_fact_and_no_failure(answering: Callable[..., list[str]]) -> None:
    answering({"own seccomp": ("DONE", 0, 0, 2)})

    feature = probe("own seccomp")

    assert feature.state is State.NOTED
    assert "in force above" in feature.detail


@pytest.mark.parametrize(("errno", "state"), [(ENOENT, State.MISSING), (EACCES, State.FORBIDDEN)])
def test_proc_that_is_not_there_takes_its_rows_with_it(
    answering: Callable[..., list[str]], errno: int, state: State
) -> None:
    gone: Answer = ("DONE", 0, errno, 0)
    answering({"/proc": gone, "/proc/PID/children": gone, "/proc/PID/mem": gone})
    features = {feature.name: feature for feature in probe_all()}

    assert features["/proc"].state is state
    assert features["/proc/PID/mem"].detail == features["/proc/PID/children"].detail == "needs /proc"
