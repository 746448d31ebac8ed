"""``seccomp-monitor run`` as a user meets it: exit statuses, signals, reports, mistakes."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "monitor", "run"]

REFUSE = """
    import errno, monitor

    @monitor.handles("mkdir", "mkdirat")
    def no_secrets(call):
        if call.read("pathname").endswith(b"secret"):
            return monitor.Deny(errno.EACCES)
        return monitor.Pass()
"""


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command with *words* and capture what it prints."""
    return subprocess.run([*RUN, *words], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.fixture
def handlers(tmp_path: Path):
    """Write a handlers file and return its path."""

    def write(text: str, name: str = "h.py") -> str:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--", "true"], 0),
        (["--", "sh", "-c", "exit 7"], 7),
        (["--", "sh", "-c", "kill -TERM $$"], 143),
        (["--", "sh", "-c", "kill -KILL $$"], 137),
        (["--", "/nonexistent/program"], 127),
        (["--", "no-program-of-this-name"], 127),
        (["--", "/etc/passwd"], 126),
        (["--", "/"], 126),
        (["--timeout", "0.2", "--", "sleep", "30"], 124),
        ([], 125),
        (["--no-such-option", "--", "true"], 125),
        (["-e", "no_such_call", "--", "true"], 125),
        (["--handlers", "/nonexistent.py", "--", "true"], 125),
        (["--timeout", "-1", "--", "true"], 125),
    ],
    ids=str,
)
def test_the_exit_status_tells_what_became_of_it(words: list[str], status: int) -> None:
    done = run(*words)

    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr


def test_a_script_with_a_missing_interpreter_was_found_and_says_which(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)

    done = run("--", str(script))

    assert done.returncode == 126
    assert "/no/such/interpreter" in done.stderr


def test_the_programs_streams_are_its_own() -> None:
    done = run("--", "sh", "-c", "cat; echo err >&2", input="in")

    assert (done.stdout, done.stderr) == ("in", "err\n")


def test_options_of_the_program_are_not_ours() -> None:
    assert run("--", "echo", "--timeout", "-e").stdout == "--timeout -e\n"
    assert run("echo", "-e", "x").stdout == "x\n"


def test_a_refused_call_is_reported_in_a_line_and_the_program_sees_the_errno(handlers, tmp_path: Path) -> None:
    done = run("--handlers", handlers(REFUSE), "--", "mkdir", str(tmp_path / "fine"), str(tmp_path / "secret"))

    assert done.returncode == 1
    assert (tmp_path / "fine").is_dir()
    assert not (tmp_path / "secret").exists()
    line = next(line for line in done.stderr.splitlines() if line.startswith("[pid "))
    assert line.endswith(
        f' mkdir] mkdir("{tmp_path}/secret", 0777) = -1 EACCES (Permission denied) <denied: no_secrets>'
    )


def test_quiet_reports_nothing_and_log_takes_the_reports(handlers, tmp_path: Path) -> None:
    log = tmp_path / "log"
    source = handlers(REFUSE)

    quiet = run("--quiet", "--handlers", source, "--", "mkdir", str(tmp_path / "secret"))
    logged = run("--log", str(log), "--handlers", source, "--", "mkdir", str(tmp_path / "secret"))

    assert "<denied" not in quiet.stderr + logged.stderr
    assert "<denied: no_secrets>" in log.read_text()


def test_a_log_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    done = run("--log", "/nonexistent/log", "--", "touch", str(tmp_path / "ran"))

    assert done.returncode == 125
    assert "/nonexistent/log" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_ends_the_reports_and_nothing_else(handlers, tmp_path: Path) -> None:
    source, script = handlers(REFUSE), f"mkdir {tmp_path}/secret; echo on"

    done = run("--log", "/dev/full", "--handlers", source, "--", "sh", "-c", script)

    assert done.stdout == "on\n"


def test_a_closed_stderr_ends_the_reports_and_nothing_else(handlers, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [*RUN, "--handlers", handlers(REFUSE), "--", "sh", "-c", f"mkdir {tmp_path}/secret 2>/dev/null; echo on"]

    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=write, text=True, check=False)
    os.close(write)

    assert (done.stdout, done.returncode) == ("on\n", 0)


def test_denials_can_decide_the_exit_status(handlers, tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/secret; exit 0"
    words = ["--handlers", handlers(REFUSE), "--", "sh", "-c"]

    assert run(*words, script).returncode == 0
    assert run("--fail-on-denial", *words, script).returncode == 1
    assert run("--fail-on-denial", "--denial-status", "9", *words, script).returncode == 9
    assert run("--fail-on-denial", *words, "exit 4").returncode == 4


def test_calls_named_with_e_run_on(tmp_path: Path) -> None:
    done = run("-e", "%file,!openat", "-e", "trace=getppid", "--", "sh", "-c", "cat /proc/self/status")

    assert done.returncode == 0
    assert "Seccomp:\t2" in done.stdout


def test_strict_refuses_what_could_be_raced(handlers, tmp_path: Path) -> None:
    done = run("--strict", "--handlers", handlers(REFUSE), "--", "mkdir", str(tmp_path / "fine"))

    assert done.returncode == 1
    assert "is a race" in done.stderr


def test_the_tree_ends_with_the_first_process_unless_all_are_waited_for() -> None:
    script = "(sleep 0.5; echo late) & echo early"

    first = run("--", "sh", "-c", script)
    every = run("--wait-all", "--", "sh", "-c", script)

    assert first.stdout == "early\n"
    assert every.stdout == "early\nlate\n"


# ---- handlers files ----


def test_the_handlers_are_those_the_module_defines_in_the_order_of_the_source(handlers, tmp_path: Path) -> None:
    handlers("import monitor\n@monitor.handles('getuid')\ndef other(call): return monitor.Return(77)\n", "imported.py")
    source = handlers(
        """
        import sys; sys.path.insert(0, __file__.rpartition("/")[0])
        import monitor
        from imported import other

        @monitor.handles("getppid")
        def first(call): return monitor.Pass()

        @monitor.handles("getppid")
        def second(call): return monitor.Return(4242)
        """
    )

    done = run("--handlers", source, "--", sys.executable, "-c", "import os; print(os.getppid(), os.getuid() == 77)")

    assert done.stdout == "4242 False\n"


def test_a_module_is_named_with_dots_and_found_where_one_stands(handlers, tmp_path: Path) -> None:
    handlers("import monitor\n@monitor.handles('getppid')\ndef h(call): return monitor.Return(11)\n", "mine.py")

    done = run("--handlers", "mine", "--", sys.executable, "-c", "import os; print(os.getppid())", cwd=tmp_path)

    assert done.stdout == "11\n"


@pytest.mark.parametrize("source", ["mine", "./mine.py"])
def test_while_a_program_runs_no_module_comes_from_where_it_may_write(handlers, tmp_path: Path, source: str) -> None:
    handlers(
        """
        import os, sys, monitor

        @monitor.handles("getppid")
        def late(call):
            import planted_by_the_program
            return monitor.Return(11)

        @monitor.handles("getpgid")
        def looks(call):
            return monitor.Return(sum(place in {"", ".", os.getcwd()} for place in sys.path) + 40)
        """,
        "mine.py",
    )
    script = "import os; open('planted_by_the_program.py', 'w'); print(os.getpgid(0))\ntry: os.getppid()\n"
    script += "except PermissionError: print('refused')\nelse: print('answered')"

    done = run("--handlers", source, "--", sys.executable, "-P", "-c", script, cwd=tmp_path)

    assert done.stdout.startswith("40\n")
    assert "No module named 'planted_by_the_program'" in done.stderr


def test_handlers_may_be_a_context_manager_that_lives_as_long_as_the_run(handlers) -> None:
    source = handlers(
        """
        import contextlib, monitor

        @contextlib.asynccontextmanager
        async def handlers():
            print("opened", flush=True)
            yield [monitor.Handler.of("getppid", lambda call: monitor.Return(5))]
            print("closed", flush=True)
        """
    )

    done = run("--handlers", source, "--", sys.executable, "-c", "import os; print(os.getppid())")

    assert done.stdout == "opened\n5\nclosed\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", ":1: "),
        ("\n\n1 / 0\n", ":3: ZeroDivisionError"),
        ("import no_such_module_anywhere\n", "no_such_module_anywhere"),
        ("x = 1\n", "no function in it is marked"),
        ("handlers = 5\n", "not a sequence"),
        ("handlers = [len]\n", "is not marked"),
        ("import monitor\n@monitor.handles\ndef f(call): ...\n", ":2: TypeError"),
        ("import monitor\n@monitor.handles('opennat')\ndef f(call): ...\n", "did you mean 'openat'"),
    ],
)
def test_a_mistake_in_a_handlers_file_is_told_by_its_line_without_a_traceback(handlers, text: str, said: str) -> None:
    done = run("--handlers", handlers(text), "--", "true")

    assert done.returncode == 125
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failing_handler_refuses_and_shows_its_traceback_once(handlers) -> None:
    source = handlers("import monitor\n@monitor.handles('getppid')\ndef broken(call): return 1 / 0\n")
    script = "import os\nfor _ in range(3):\n try: print(os.getppid())\n except OSError as e: print(e.errno)"

    done = run("--handlers", source, "--", sys.executable, "-c", script)

    assert done.stdout == "-1\n-1\n-1\n"  # libc's getppid has no errno to give
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.count("handler broken failed for getppid, which was refused") == 3


# ---- signals ----


@contextlib.contextmanager
def started(*words: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """Start the command, wait until its program has said that it is ready, and leave nothing of it behind."""
    with subprocess.Popen([*RUN, *words], stdout=subprocess.PIPE, text=True, **options) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


TRAP = "trap 'echo got {0}; exit 3' {0}; echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize("name", ["TERM", "HUP"])
def test_a_signal_is_passed_on_and_the_program_may_answer_it(name: str) -> None:
    with started("--", "sh", "-c", TRAP.format(name)) as process:
        process.send_signal(getattr(signal, f"SIG{name}"))

        assert process.communicate()[0] == f"got {name}\n"
        assert process.returncode == 3


def test_sigterm_ends_a_program_that_does_not_mind_it() -> None:
    with started("--", "sh", "-c", "echo ready; exec sleep 30") as process:
        process.send_signal(signal.SIGTERM)

        assert process.wait() == 128 + signal.SIGTERM


def test_one_interrupt_is_the_programs_to_decide_and_three_end_the_tree() -> None:
    """Sent to us alone, as kill(1) would: the terminal sends it to the program as well."""
    with started("--", "sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.05; done") as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)

        assert process.wait() == 137


def test_a_hangup_that_the_user_ignores_stays_ignored() -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started("--", "sh", "-c", "echo ready; sleep 0.5; echo on", preexec_fn=ignore) as process:
        process.send_signal(signal.SIGHUP)

        assert process.communicate()[0] == "on\n"
        assert process.returncode == 0


def test_an_interrupt_from_the_terminal_reaches_the_program() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done"
        os.execv(RUN[0], [*RUN, "--", "sh", "-c", script])
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 1000)

    os.write(terminal, b"\x03")
    try:
        while chunk := os.read(terminal, 1000):
            shown += chunk
    except OSError:
        pass  # the other side is closed: EIO
    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert b"interrupted" in shown


def test_killed_by_sigkill_it_leaves_no_process_behind(tmp_path: Path) -> None:
    marker = f"{os.getpid()}{time.monotonic_ns()}"[-9:]
    with started("--", "sh", "-c", f"(setsid sleep {marker} &); echo ready; exec sleep {marker}") as process:
        process.kill()
        process.wait()

        deadline = time.monotonic() + 5
        while still_there(marker) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not still_there(marker)


def still_there(marker: str) -> list[str]:
    """Return the processes that have *marker* on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and marker.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


# ---- what it does not load ----


def test_run_loads_nothing_that_it_does_not_need() -> None:
    code = (
        "import gc, sys\n"
        "sys.argv = ['seccomp-monitor', 'run', '--', 'true']\n"
        "import monitor.__main__\n"
        "status = monitor.__main__.main()\n"
        "print(sorted(set(sys.modules) & {'rich', 'cattrs', 'tomlkit', 'elftools', 'textual', 'prometheus_client',"
        " 'pytest', 'hypothesis', 'monitor.testing', 'monitor.policy.interpret', 'cffi', 'pycparser', 'asyncio'}),"
        " status, gc.isenabled())\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("[] 0 True\n", 0), done.stderr


def test_the_environment_is_what_it_was_without_us() -> None:
    """Python adds a variable of its own where the locale is C."""
    env = {"PATH": os.environ["PATH"], "ONE": "1"}

    assert run("--", "env", env=env).stdout == subprocess.check_output(["env"], env=env, text=True)
    with_locale = {**env, "LC_CTYPE": "C.UTF-8"}
    assert run("--", "env", env=with_locale).stdout == subprocess.check_output(["env"], env=with_locale, text=True)


def test_what_is_refused_again_and_again_is_counted_and_never_dropped(handlers, tmp_path: Path) -> None:
    often = f"i=0; while [ $i -lt 25 ]; do mkdir {tmp_path}/secret; i=$((i+1)); done 2>&-"
    script = f"{often}; mkdir {tmp_path}/other-secret 2>&-"
    done = run("--handlers", handlers(REFUSE), "--", "sh", "-c", script)
    told = [line for line in done.stderr.splitlines() if "<denied" in line]
    call = f'mkdir("{tmp_path}/secret", 0777) = -1 EACCES (Permission denied) <denied: no_secrets>'

    assert [line.partition("] ")[2] for line in told if line.startswith("[pid ")] == [
        call,
        call.replace("/secret", "/other-secret"),
    ]
    assert [line for line in told if line.startswith("... ")] == [f"... x10 mkdir: {call}", f"... x25 mkdir: {call}"]
