"""``seccomp-monitor debug`` on a terminal: what is asked, what each command does, and whose the terminal is."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from monitor.cli.debugger import COMMANDS
from tests.terminal import SECONDS, Session

POLICY = """
[policy]
version = 1
known-as-of = "6.1"
[[syscalls]]
names = ["mkdir"]
action = "deny"
errno = "EROFS"
reason = "no new directories"
[[syscalls]]
names = ["sethostname"]
action = "ask"
[files]
read = ["/", "!{place}"]
write = ["/dev", "{place}/free"]
ask = ["{place}"]
exec = "unverified"
unix = "unmediated"
"""

MAIN = [sys.executable, "-m", "monitor"]
PROMPT = "(debug) "

Start = Callable[..., Session]


@pytest.fixture
def place(public_directory: Path) -> Path:
    directory = Path(os.path.realpath(public_directory)) / f"debugged-{os.urandom(4).hex()}"
    directory.mkdir()
    (directory / "secret").write_text("told\n")
    (directory / "policy.toml").write_text(POLICY.format(place=directory))
    return directory


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    made: list[Session] = []

    def begin(*argv: str, options: tuple[str, ...] = (), policy: bool = True) -> Session:
        given = ("-p", f"{place}/policy.toml") if policy else ()
        made.append(Session([*MAIN, "debug", *given, *options, "--", *argv], "/"))
        return made[-1]

    yield begin
    for session in made:
        session.close()


def question(session: Session) -> str:
    """Return what is asked next, up to the prompt."""
    session.hear("--- question ")
    return session.hear(PROMPT)


# ---- what is asked, and each answer ----


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("allow", "told"),
        ("allo", "told"),
        ("allow once", "told"),
        ("deny", "Permission denied"),
        ("errno ENOENT", "No such file"),
        ("errno eio run", "Input/output error"),
        ("return 99", "Bad file descriptor"),
    ],
)
def test_each_answer_does_what_it_says(start: Start, place: Path, typed: str, printed: str) -> None:
    session = start("cat", f"{place}/secret")
    shown = question(session)
    session.say(f"{typed}\n")
    session.hear(printed)

    assert f'openat(AT_FDCWD</>, "{place}/secret", O_RDONLY)' in shown
    assert f"read {place}/secret; " in shown
    assert "policy.toml:16 asks" in shown
    assert "patterns tried:" in shown
    assert "decides " in shown
    assert "otherwise: deny EACCES" in shown
    assert f"program {os.path.realpath('/usr/bin/cat')}, process " in shown
    assert "libc.so.6+0x" in shown
    assert " (open" in shown
    assert session.status() == (0 if printed == "told" else 1)


def test_what_is_refused_can_be_done_all_the_same(start: Start, place: Path) -> None:
    session = start("mkdir", f"{place}/made")
    assert "policy.toml:5 refuses this" in question(session)
    session.say("allow\n")

    assert session.status() == 0
    assert (place / "made").is_dir()


def test_an_answer_may_hold_for_more_than_one_call(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; cat {place}/secret; echo end")
    question(session)
    session.say("allow program\n")
    session.hear("told\r\ntold\r\nend")

    assert session.status() == 0


def test_an_empty_line_repeats(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; cat {place}/secret")
    question(session)
    session.say("errno EIO\n")
    question(session)
    session.say("\n")

    assert session.status() == 1
    assert session.all.count(b"Input/output error") == 2


def test_always_needs_a_file_and_an_ask(start: Start, place: Path) -> None:
    session = start("mkdir", f"{place}/made")
    question(session)
    session.say("always\n")
    session.hear("not for always: this is refused")
    session.say("deny\n")
    session.status()


# ---- what is shown ----


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("regs", "arg0 "),
        ("fds", "0: /dev/pts/"),
        ("maps", "libc.so.6"),
        ("where", "libc.so.6+0x"),
        ("w", "(open"),
        ("where here", "usage: where"),
        ("env", "PATH="),
        ("tree", "cat "),
        ("rules", "with these registers: allow"),
        ("policy", "known-as-of"),
        ("events", "(debug) "),
        ("events 3", "(debug) "),
        ("events x", "usage: events [N]"),
        ("events 1 2", "usage: events [N]"),
        ("events 201", "not done: last is a number from 0 to 200"),
        ("list", "* 1: cat"),
        ("show", "--- question 1"),
        ("breaks", "(debug) "),
        ("help", "delete N"),
        ("nonsense", "is no command"),
        ("re", "return"),
        ("r", "may be return, regs, rules"),
        ("mem 0 4", "not done"),
        ("mem", "usage: mem ADDRESS LENGTH"),
        ("errno", "usage: errno NAME"),
        ("errno EWHAT", "not done: errno is a name"),
        ("return x", "usage: return N"),
        ("allow for-ever", "not done: scope is one of"),
        ("deny once more", "usage: deny"),
        ("delete 7", "not done: there is no breakpoint 7"),
        ("break nonsense", "is no system call"),
        ("break mkdir if what", "not done"),
        ('show "', "No closing quotation"),
    ],
)  # fmt: skip
def test_each_look_shows_something_and_the_question_stays(start: Start, place: Path, typed: str, wanted: str) -> None:
    session = start("cat", f"{place}/secret")
    question(session)
    session.say(f"{typed}\n")
    session.hear(wanted)
    session.say("allow\n")
    session.hear("told")

    assert session.status() == 0


def test_memory_is_shown_as_it_is(start: Start, place: Path) -> None:
    session = start("cat", f"{place}/secret")
    question(session)
    session.say("regs\n")
    address = session.hear("arg2").rpartition("arg1 ")[2].strip()
    session.say(f"mem {address} {len(str(place))}\n")
    row = session.hear(str(place)[:16])
    session.say("allow\n")

    assert str(place)[:16].encode().hex(" ") in row
    assert session.status() == 0


def test_rules_says_which_decides_about_the_registers_and_which_about_the_name(start: Start, place: Path) -> None:
    session = start("cat", f"{place}/secret")
    question(session)
    session.say("rules\n")
    session.hear("by the default of")
    shown = session.hear(f"{place}/secret: ask")
    shown += session.hear("decides")
    session.say("allow\n")

    assert "for read: " in shown
    assert session.status() == 0


def test_what_a_rule_was_written_for_is_shown_with_it(start: Start, place: Path) -> None:
    session = start("mkdir", f"{place}/new")
    shown = question(session)
    session.say("rules\n")
    tried = session.hear("matches") + session.hear("deny EROFS")
    session.say("deny\n")
    session.hear("Read-only")

    assert "refuses this: no new directories" in shown
    assert "(no new directories)" in tried


def test_what_was_decided_before_can_be_shown(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; cat {place}/secret; mkdir {place}/new")
    for answer in ("deny", "allow"):
        question(session)
        session.say(f"{answer}\n")
    question(session)
    session.say("events\n")
    refused = session.hear("EACCES")
    session.hear("<asked: once>")
    allowed = session.hear("<asked: once>")
    session.say("events 1\n")
    last = session.hear(PROMPT)
    last += session.hear(PROMPT)
    session.say("deny\n")
    session.status()

    assert f'openat(AT_FDCWD, "{place}/secret", O_RDONLY) = -1 ' in refused
    assert f'openat(AT_FDCWD, "{place}/secret", O_RDONLY) = ' in allowed
    assert "EACCES" not in last
    assert "<asked: once>" in last


def test_every_command_is_in_some_test() -> None:
    source = Path(__file__).read_text()

    assert [one for one in COMMANDS if f'"{one}' not in source and f"{one}\\n" not in source] == []


# ---- breakpoints ----


def test_a_program_stops_at_a_breakpoint_and_goes_on(start: Start, place: Path) -> None:
    session = start("sh", "-c", "exit 7", options=("-b", "exit_group if status == 7"), policy=False)
    shown = question(session)
    session.say("allow\n")

    assert "exit_group(7)" in shown
    assert "a breakpoint asks" in shown
    assert session.status() == 7


def test_breakpoints_are_set_and_taken_away_while_it_runs(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; kill -0 $$; kill -0 $$; echo end")
    question(session)
    session.say("break kill if sig == 0\n")
    session.hear("breakpoint 1: kill if sig == 0")
    session.say("breaks\n")
    session.hear("breakpoint 1: kill if sig == 0")
    session.say("allow\n")
    assert "kill(" in question(session)
    session.say("delete 1\n")
    session.hear(PROMPT)
    session.say("allow\n")
    session.hear("end")

    assert session.status() == 0


def test_a_breakpoint_that_makes_no_sense_is_refused_before_anything_runs(place: Path) -> None:
    for text in ("nonsense", "mkdir if what == 1", "mkdir if mode =="):
        words = [*MAIN, "debug", "--control", f"{place}/socket", "-b", text, "--", "touch", f"{place}/ran"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 125
        assert "seccomp-monitor: " in done.stderr
    assert not (place / "ran").exists()


# ---- always ----


def test_an_answer_for_always_is_shown_written_and_not_asked_again(start: Start, place: Path) -> None:
    grants = place.parent / f"{place.name}.toml"
    session = start("sh", "-c", f"cat {place}/secret; cat {place}/secret", options=("--grants", str(grants)))
    question(session)
    session.say("always\n")
    shown = session.hear("write it? [y/N] ")
    session.say("n\n")
    session.hear(PROMPT)
    session.say("always it shows its harmless\n")
    shown += session.hear("write it? [y/N] ")
    session.say("y\n")
    session.hear("+[[grants]]")
    session.hear('+why = "it shows its harmless"')
    session.hear("told\r\n")
    assert session.status() == 0
    again = start("cat", f"{place}/secret", options=("--grants", str(grants)))
    assert again.status() == 0

    assert "why = it shows its harmless" in shown
    assert "call = openat" in shown
    assert f"paths = {place}/secret" in shown
    assert f"program = {os.path.realpath('/usr/bin/cat')}" in shown
    assert b"question" not in again.all


# ---- several questions ----


def test_next_leaves_one_open_and_shows_another(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret & (sleep 0.3; mkdir {place}/made) & wait")
    first = question(session)
    sleep(1)
    session.say("next\n")
    second = question(session)
    session.say("list\n")
    session.hear("cat (")
    session.say("deny\n")
    question(session)
    session.say("allow\n")
    session.hear("told")

    assert session.status() == 0
    assert b"Read-only" in session.all
    assert ("cat," in first, "mkdir," in second) == (True, True)


def test_a_question_whose_program_dies_goes_away(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret & sleep 0.5; kill -9 $!; wait; echo end; sleep 3")
    question(session)
    sleep(1.5)
    session.say("show\n")
    session.hear("question 1 was withdrawn")

    assert session.status() == 0
    assert b"end" in session.all


def test_the_debugger_ends_with_the_program_and_gives_the_terminal_back(start: Start, place: Path) -> None:
    """It waits for somebody to type; a shell goes on there afterwards, with its own modes."""
    session = Session(["bash", "--norc", "--noprofile", "--noediting", "-i"], "/")
    try:
        session.hear("prompt> ")
        session.say(
            f"{shlex.join([*MAIN, 'debug', '-p', f'{place}/policy.toml', '--timeout', '1'])} -- cat {place}/secret\n"
        )
        question(session)
        session.hear("prompt> ")
        session.say("echo status-$?\n")
        session.hear("status-124")
        session.say("stty -a | grep -c ' echo '\n")
        session.hear("1\r\n")
    finally:
        session.close()


# ---- the end of it ----


@pytest.mark.parametrize("typed", ["quit\n", "\x04"])
def test_who_leaves_is_asked_no_more(start: Start, place: Path, typed: str) -> None:
    session = start("sh", "-c", f"cat {place}/secret; cat {place}/secret; echo end")
    question(session)
    session.say(typed)
    session.hear("end")

    assert session.all.count(b"Permission denied") == 2
    assert session.status() == 0


def test_kill_ends_the_program(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; echo end")
    question(session)
    session.say("kill\n")

    assert session.status() == 128 + signal.SIGKILL
    assert b"end" not in session.all.rpartition(b"kill")[2]


def test_interrupts_and_stops_at_the_prompt_reach_nobody(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; echo end")
    question(session)
    for _ in range(5):  # Python may hear of a signal only when the next byte comes
        session.say("\x03")
        if session.hears("^C does nothing here", 2):
            break
    session.say("\x1a")
    session.resize(10, 30)
    session.say("allow\n")
    session.hear("told")
    session.hear("end")

    assert session.status() == 0


def test_a_terminal_that_is_closed_leaves_nothing_running(start: Start, place: Path) -> None:
    session = start("sh", "-c", f"cat {place}/secret; sleep 1000")
    question(session)
    session.hang_up()
    deadline = monotonic() + SECONDS
    while session_has_processes(session.pid):
        assert monotonic() < deadline
        sleep(0.05)
        os.waitpid(-1, os.WNOHANG)


def session_has_processes(number: int) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == number and fields[0] != "Z":
                return True
    return False


# ---- whose the terminal is ----


def test_a_shell_keeps_its_terminal_and_its_jobs(start: Start, place: Path) -> None:
    session = start("bash", "--norc", "--noprofile", "--noediting", "-i")
    session.hear("prompt> ")
    session.say(f"cat {place}/secret\n")
    question(session)
    session.say("allow run\n")
    session.hear("told")
    session.say("sleep 100\n")
    session.hear("sleep 100")
    sleep(0.5)
    session.say("\x1a")
    session.hear("Stopped")
    session.say("fg\n")
    session.hear("sleep 100")
    sleep(0.5)
    session.say("\x03")
    session.hear("prompt> ")
    session.say("read x; echo got-$x\n")
    session.hear("read x")
    session.say("this\n")
    session.hear("got-this")
    session.say(f"cat {place}/secret; exit 3\n")
    session.hear("told")

    assert session.status() == 3


def test_a_program_that_reads_while_another_is_asked_about_reads_afterwards(start: Start, place: Path) -> None:
    session = Session(["bash", "--norc", "--noprofile", "--noediting", "-i"], "/")
    script = f"cat {place}/secret & sleep 2; read line; echo got-$line; wait"
    try:
        session.hear("prompt> ")
        words = [*MAIN, "debug", "-p", f"{place}/policy.toml", "--", "sh", "-c", script]
        session.say(f"{shlex.join(words)}\n")
        question(session)
        sleep(2.5)  # the shell has tried to read, and was stopped
        session.say("allow\n")
        session.hear("told")
        session.say("this\n")
        session.hear("got-this")
        session.hear("prompt> ")
    finally:
        session.close()


# ---- from another terminal ----


def test_another_terminal_answers_over_the_socket(place: Path) -> None:
    words = [*MAIN, "debug", "-p", "policy.toml", "--control", "socket", "--", "cat", "secret"]
    with subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        deadline = monotonic() + SECONDS
        while not (place / "socket").exists():
            assert monotonic() < deadline
            sleep(0.05)
        session = Session([*MAIN, "debug", "--connect", "socket"], str(place))
        try:
            question(session)
            session.say("allow\n")
            output, _ = process.communicate(timeout=SECONDS)
            assert session.status() == 0
        finally:
            session.close()

    assert (process.returncode, output) == (0, b"told\n")
    assert not (place / "socket").exists()


def test_without_a_terminal_a_socket_is_needed(place: Path) -> None:
    words = ["setsid", *MAIN, "debug", "--", "touch", f"{place}/ran"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    assert done.returncode == 125
    assert "--control SOCK" in done.stderr
    assert not (place / "ran").exists()


@pytest.mark.parametrize(
    "options", [["--connect", "nowhere"], ["--connect", "policy.toml"], [], ["--connect", "x", "--", "cat"]]
)
def test_what_cannot_be_meant_is_said(place: Path, options: list[str]) -> None:
    done = subprocess.run([*MAIN, "debug", *options], cwd=place, capture_output=True, text=True, check=False)

    assert done.returncode == 125
    assert done.stderr.startswith("seccomp-monitor: ")
    assert "Traceback" not in done.stderr


# ---- handlers ----


HANDLERS = """
import monitor

@monitor.handles("getppid")
def refuses(call):
    return monitor.Deny(5)

@monitor.handles("getpgid")
async def fails(call):
    raise ValueError("no idea")

@monitor.handles("getsid")
def answers(call):
    return monitor.Return(4711)
"""

CALLER = """
import os
for call in (os.getppid, lambda: os.getpgid(0), lambda: os.getsid(0)):
    try:
        print("got", call())
    except OSError as error:
        print("got", error.errno)
"""


@pytest.fixture
def handlers(place: Path) -> tuple[str, ...]:
    (place / "decides.py").write_text(HANDLERS)
    return ("--handlers", f"{place}/decides.py")


def test_what_a_handler_refuses_is_asked_about_and_what_it_answers_is_not(
    start: Start, handlers: tuple[str, ...]
) -> None:
    session = start("/usr/bin/python3", "-c", CALLER, options=handlers, policy=False)
    assert "the handler refuses refuses this" in question(session)
    session.say("return 77\n")
    session.hear("got 77")
    assert "the handler fails refuses this" in question(session)
    session.say("deny\n")
    session.hear("got 1")
    session.hear("got 4711")

    assert session.status() == 0


def test_a_breakpoint_is_reached_before_a_handler_s_answer_is_given(start: Start, handlers: tuple[str, ...]) -> None:
    options = (*handlers, "-b", "getsid")
    session = start("/usr/bin/python3", "-c", "import os; print('got', os.getsid(0))", options=options, policy=False)
    shown = question(session)
    session.say("always\n")
    session.hear("not for always: a grant answers what a policy asks")
    session.say("allow\n")
    session.hear("got 4711")

    assert "a breakpoint asks" in shown
    assert "otherwise: return 4711" in shown
    assert session.status() == 0


# ---- who is at the other end ----


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b'{"control":2,"pid":1,"program":"x"}\n', "speaks version 2 of the protocol, and this is 1"),
        (b'{"pid":1}\n', "speaks version None of the protocol"),
        (b'{"control":"\\u001b[2J"}\n', r"speaks version '\x1b[2J' of the protocol"),
        (b'{"error":"not for other users"}\n', "not for other users"),
        (b"garbage\n", "socket: "),
        (b'{"control":1', "nobody answers"),
        (b"", "nobody answers"),
    ],
)
def test_who_speaks_otherwise_is_not_talked_to(place: Path, said: bytes, why: str) -> None:
    path = place / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        session = Session([*MAIN, "debug", "--connect", str(path)], "/")
        try:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                session.hear(why)
                assert session.status() == 125
        finally:
            session.close()
    assert b"\x1b[2J" not in session.all
