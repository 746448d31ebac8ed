"""What a policy asks is asked by ``run`` on the terminal, of whoever sits there; and of nobody where nobody does."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.terminal import SECONDS, Session

POLICY = """
[policy]
version = 1
known-as-of = "6.1"
[[syscalls]]
names = ["mkdir"]
action = "deny"
errno = "EROFS"
[files]
read = ["/", "!{place}"]
write = ["/dev", "{place}.free"]
exec = "unverified"
unix = "unmediated"
[[files.rules]]
paths = ["{place}"]
access = ["read", "write", "create", "truncate", "delete", "rename-source", "rename-target"]
action = "{action}"
reason = "what others made is theirs"
"""

MAIN = [sys.executable, "-P", "-m", "monitor"]

LATE = {"monitor.approve.approvals", "monitor.approve.control", "monitor.remembering"}

Start = Callable[..., Session]


@pytest.fixture
def place(public_directory: Path) -> Path:
    directory = Path(os.path.realpath(public_directory)) / f"prompted-{os.urandom(4).hex()}"
    directory.mkdir()
    (directory / "secret").write_text("told\n")
    (directory / "policy.toml").write_text(POLICY.format(place=directory, action="ask"))
    return directory


def run_words(place: Path, *argv: str, options: tuple[str, ...] = ()) -> list[str]:
    return [*MAIN, "run", "--quiet", "-p", f"{place}/policy.toml", *options, "--", *argv]


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    made: list[Session] = []

    def begin(*argv: str, options: tuple[str, ...] = (), shell: str = "", cwd: str = "/") -> Session:
        words = (
            ["bash", "--norc", "--noprofile", "--noediting", "-i"]
            if shell
            else run_words(place, *argv, options=options)
        )
        made.append(Session(words, cwd))
        if shell:
            made[-1].hear("prompt> ")
            made[-1].say(f"{shell}\n")
        return made[-1]

    yield begin
    for session in made:
        session.close()


def question(session: Session) -> str:
    """Return what is asked next, up to where an answer is typed."""
    before = session.hear("allow? [")
    session.hear("] ")
    return before


# ---- what is asked, and each answer ----


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("y", "told"),
        ("yes", "told"),
        ("Y", "told"),
        ("allow", "told"),
        ("n", "Permission denied"),
        ("no", "Permission denied"),
        ("deny", "Permission denied"),
        ("errno EIO", "Input/output error"),
        ("return 99", "Bad file descriptor"),
    ],
)
def test_each_answer_does_what_it_says(start: Start, place: Path, typed: str, printed: str) -> None:
    session = start("cat", f"{place}/secret")
    shown = question(session)
    session.say(f"{typed}\n")
    session.hear(printed)

    assert f"{os.path.realpath('/usr/bin/cat')} (" in shown
    assert f') asks: openat(AT_FDCWD</>, "{place}/secret", O_RDONLY)' in shown
    assert f"read {place}/secret; {place}/policy.toml:15: what others made is theirs" in shown
    assert session.status() == (0 if printed == "told" else 1)


def test_an_answer_may_hold_for_more_than_one_call(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; cat {place}/secret; echo end")
    question(session)
    session.say("allow program\n")
    session.hear("told\r\ntold\r\nend")

    assert session.status() == 0


def test_an_empty_line_answers_nothing_whatever_was_said_before(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; cat {place}/secret")
    question(session)
    session.say("y\n")
    session.hear("told")
    question(session)
    session.say("\n")
    question(session)
    session.say("n\n")
    session.hear("Permission denied")

    assert session.status() == 1


def test_help_lists_what_is_offered_and_the_commands_of_the_debugger_are_there(start: Start, place: Path) -> None:
    session = start("cat", f"{place}/secret")
    question(session)
    session.say("?\n")
    offered = question(session)
    session.say("show\n")
    shown = question(session)
    session.say("tree\n")
    session.hear("cat /")
    session.say("y\n")

    assert "allow program" in offered
    assert "always" not in offered
    assert "--- question 1: cat" in shown
    assert session.status() == 0


def test_always_is_a_grant_that_is_shown_and_the_next_run_asks_nothing(start: Start, place: Path) -> None:
    grants = place.parent / f"{place.name}.toml"
    options = ("--grants", str(grants))
    session = start("mv", f"{place}/secret", f"{place}/moved", options=options)
    shown = question(session)
    session.say("a\n")
    session.hear("write them? [y/N] ")
    session.say("y\n")
    session.hear("+[[grants]]")
    assert session.status() == 0
    (place / "moved").rename(place / "secret")
    again = start("mv", f"{place}/secret", f"{place}/moved", options=options)

    assert f"delete, rename-source {place}/secret; " in shown
    assert f"create, rename-target {place}/moved; " in shown
    assert again.status() == 0
    assert b"allow?" not in again.all
    assert (place / "moved").exists()


def test_what_is_refused_is_refused_and_asked_of_nobody(start: Start, place: Path) -> None:
    session = start("mkdir", f"{place}/new")

    assert session.status() == 1
    assert b"Read-only" in session.all
    assert b"allow?" not in session.all


# ---- whose the terminal is ----


def test_what_the_program_reads_is_not_asked_for_and_the_terminal_is(start: Start, place: Path) -> None:
    words = shlex.join(run_words(place, "sh", "-c", f"cat {place}/secret; cat"))
    session = start(shell=f"echo of a pipe | {words}; echo status $?")
    question(session)
    session.say("y\n")
    session.hear("told\r\nof a pipe\r\nstatus 0")


def test_in_the_background_it_is_denied_at_once(start: Start, place: Path) -> None:
    words = shlex.join(run_words(place, "cat", f"{place}/secret"))
    session = start(shell=f"{words} & wait; echo status $?")
    session.hear("Permission denied")
    session.hear("status ")

    assert b"allow?" not in session.all


def test_a_shell_with_job_control_is_asked_about_and_has_its_terminal_again(start: Start, place: Path) -> None:
    session = start("bash", "--norc", "--noprofile", "--noediting", "-i", options=())
    session.hear("prompt> ")
    session.say(f"true | cat {place}/secret\n")
    question(session)
    session.say("y\n")
    session.hear("told")
    session.hear("prompt> ")
    session.say(f"(sleep 0.2; exec cat {place}/secret) | cat; echo then\n")
    question(session)
    session.say("n\n")
    session.hear("then")
    session.hear("prompt> ")
    session.say("exit 7\n")

    assert session.status() == 7


def test_interrupted_it_is_denied_and_the_program_interrupted(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"trap 'echo caught; exit 9' INT; cat {place}/secret; echo went on")
    question(session)
    session.say("\x03")
    while not session.hears("caught", 2):  # between the prompt and the wait for a key, readline(3) hears none
        session.say("\x03")

    assert session.status() == 9
    assert b"went on" not in session.all
    assert b"told" not in session.all


def test_who_leaves_is_asked_nothing_more(start: Start, place: Path) -> None:
    for typed in ("\x04", "quit\n"):
        session = start("sh", "-c", f"cat {place}/secret; cat {place}/secret; echo end")
        question(session)
        session.say(typed)
        session.hear("end")

        assert session.status() == 0
        assert session.all.count(b"Permission denied") == 2
        assert session.all.count(b"allow?") == 1


def test_a_terminal_that_is_closed_ends_the_program(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"echo $$ >{place}.free; cat {place}/secret; sleep 100")
    question(session)
    pid = int(Path(f"{place}.free").read_text())
    session.hang_up()
    deadline = monotonic() + SECONDS
    while Path(f"/proc/{pid}").exists():
        assert monotonic() < deadline
        sleep(0.05)

    assert session.status() in {128 + signal.SIGHUP, 128 + signal.SIGKILL, 1}


def test_with_colours_or_without_the_same_is_asked(place: Path) -> None:
    for environment in ({"TERM": "xterm-256color"}, {"TERM": "dumb", "NO_COLOR": "1"}, {"TERM": ""}):
        session = Session(run_words(place, "cat", f"{place}/secret"), "/", environment)
        try:
            assert "asks: openat" in question(session)
            session.say("y\n")
            session.hear("told")
            assert session.status() == 0
        finally:
            session.close()


# ---- nobody there ----


def test_without_a_terminal_it_is_denied_at_once(place: Path) -> None:
    words = run_words(place, "cat", f"{place}/secret")
    done = subprocess.run(words, capture_output=True, text=True, check=False, start_new_session=True, timeout=SECONDS)

    assert done.returncode == 1
    assert "Permission denied" in done.stderr


def test_with_no_ask_it_is_denied_at_once(start: Start, place: Path) -> None:
    session = start("cat", f"{place}/secret", options=("--no-ask",))

    assert session.status() == 1
    assert b"Permission denied" in session.all
    assert b"allow?" not in session.all


def test_nobody_answers_in_time_and_it_is_denied(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; echo end", options=("--ask-timeout", "1.5"))
    question(session)
    session.hear("Permission denied")
    session.hear("end")

    assert session.status() == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--no-ask",), "name one with -p"),
        (("--control", "x"), "name one with -p"),
        (("--ask-timeout", "1"), "name one with -p"),
        (("-p", "strict", "--no-ask", "--control", "x"), "one of them"),
        (("-p", "strict", "--no-ask", "--ask-timeout", "1"), "asks nobody"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(options: tuple[str, ...], why: str) -> None:
    done = subprocess.run([*MAIN, "run", *options, "--", "true"], capture_output=True, text=True, check=False)

    assert done.returncode == 125
    assert why in done.stderr


# ---- another terminal ----


def test_over_a_socket_who_is_connected_answers(start: Start, place: Path) -> None:
    socket = place.parent / f"{place.name}.sock"
    asking = ("--control", str(socket), "--ask-timeout", "30")
    program = subprocess.Popen(
        run_words(place, "cat", f"{place}/secret", options=asking), stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = monotonic() + SECONDS
        while not socket.exists():
            assert monotonic() < deadline
            sleep(0.02)
        session = Session([*MAIN, "debug", "--connect", str(socket)], "/")
        try:
            session.hear("(debug) ")
            session.say("allow\n")
            output, _ = program.communicate(timeout=SECONDS)
        finally:
            session.close()
    finally:
        program.kill()
        program.wait()

    assert (output, program.returncode) == ("told\n", 0)


def test_over_a_socket_without_anybody_it_is_denied_at_once(place: Path) -> None:
    words = run_words(place, "cat", f"{place}/secret", options=("--control", f"{place.parent}/{place.name}.sock"))
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS)

    assert done.returncode == 1
    assert "Permission denied" in done.stderr


# ---- a policy that asks later, and what is loaded before ----


def test_a_policy_that_begins_to_ask_finds_somebody(start: Start, place: Path) -> None:
    policy = place / "policy.toml"
    policy.write_text(POLICY.format(place=place, action="allow"))
    os.utime(policy, (1, 1))
    session = start(
        "sh",
        "-c",
        f"cat {place}/secret; echo ready; while [ ! -e {place}.free ]; do sleep 0.05; done; cat {place}/secret",
    )
    session.hear("ready")
    policy.write_text(POLICY.format(place=place, action="ask"))
    session.hear("the policy was read again")
    Path(f"{place}.free").write_text("")
    question(session)
    session.say("n\n")
    session.hear("Permission denied")

    assert session.status() == 1


def test_nothing_is_loaded_for_a_policy_that_asks_nothing(place: Path) -> None:
    loaded = {}
    for action in ("deny", "ask"):
        (place / "policy.toml").write_text(POLICY.format(place=place, action=action))
        session = Session(run_words(place, "cat", f"{place}/secret"), "/", {"PYTHONPROFILEIMPORTTIME": "1"})
        try:
            if action == "ask":
                question(session)
                session.say("n\n")
            session.status()
            loaded[action] = {name for name in LATE if f"{name}\r\n".encode() in session.all}
        finally:
            session.close()

    assert loaded == {"deny": set(), "ask": LATE}


# ---- the current directory is the program's ----


def test_what_asks_takes_no_module_from_where_the_program_may_write(start: Start, place: Path) -> None:
    for module in ("click", "readline", "trio", "shlex", "tempfile", "attrs", "json", "monitor"):
        (place / f"{module}.py").write_text(f"open({f'{place}/ran'!r}, 'a').write('x')\nraise SystemExit(3)\n")
    session = start("cat", f"{place}/secret", cwd=str(place))
    question(session)
    session.say("y\n")
    session.hear("told")

    assert session.status() == 0
    assert not (place / "ran").exists()
