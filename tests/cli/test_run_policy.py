"""``seccomp-monitor run -p``: policies as a user meets them, from files and by name, enforced, observed, replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

RUN = [sys.executable, "-m", "monitor", "run"]

HEAD = '[policy]\nversion = 1\nname = "mine"\n'

DENY = (
    HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "deny"\nerrno = "EBUSY"\nmutable = true\nreason = "no new ones"\n'
)


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *words], capture_output=True, text=True, check=False, **options)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(DENY)
    return path


def test_a_policy_file_is_enforced_and_its_rule_is_named(policy: Path, tmp_path: Path) -> None:
    done = run("-p", str(policy), "--", "mkdir", str(tmp_path / "made"))

    assert done.returncode == 1
    assert f"-1 EBUSY (Device or resource busy) <denied: {policy}:4>" in done.stderr
    assert not (tmp_path / "made").exists()


def test_an_observed_policy_refuses_nothing(policy: Path, tmp_path: Path) -> None:
    done = run("--observe", "-p", str(policy), "--", "mkdir", str(tmp_path / "made"))

    assert done.returncode == 0
    assert f'mkdir("{tmp_path}/made", 0777) = ? <observed: would deny with EBUSY: {policy}:4>' in done.stderr
    assert (tmp_path / "made").exists()


def test_docker_s_profile_as_a_shadow_names_call_rule_and_errno() -> None:
    done = run("--observe", "-p", "docker-default", "--", "unshare", "-U", "true")

    assert done.returncode == 0
    assert "unshare(CLONE_NEWUSER) = ? <observed: would deny with EPERM: docker-default (default)>" in done.stderr


def test_docker_s_profile_answers_as_it_says() -> None:
    done = run("-p", "docker-default", "--", "unshare", "-U", "true")

    assert done.returncode == 1
    assert "unshare failed: Operation not permitted" in done.stderr


def test_the_first_of_several_is_on_top_and_the_others_only_tighten(policy: Path, tmp_path: Path) -> None:
    open_one = tmp_path / "open.toml"
    open_one.write_text(HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "allow"\n')
    done = run("-p", str(open_one), "-p", str(policy), "--", "mkdir", str(tmp_path / "made"))

    assert "EBUSY" in done.stderr


def test_a_rule_may_name_a_handler_of_the_file(tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "handle"\nhandler = "guard"\n')
    handlers = tmp_path / "h.py"
    handlers.write_text(
        "import errno, monitor\n@monitor.handles('getpgrp')\ndef guard(call): return monitor.Deny(errno.EXDEV)\n"
    )
    done = run("-p", str(policy), "--handlers", str(handlers), "--", "mkdir", str(tmp_path / "made"))

    assert "<denied: guard>" in done.stderr
    assert not (tmp_path / "made").exists()


# ---- mistakes ----


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "[network]\nconnect = []\n", "[network] is not enforced by this version"),
        (HEAD + '[[syscalls]]\nnames = ["mkdri"]\naction = "deny"\n', "mkdir"),
        (HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "dney"\n', "dney"),
        (HEAD + '[[syscalls]]\nnames = ["socket"]\nwhen = "domian == AF_UNIX"\naction = "deny"\n', "domain"),
        ("not toml", "mine.toml:1"),
    ],
)
def test_a_mistake_is_told_with_its_place_before_anything_runs(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    done = run("-p", str(path), "--", "touch", str(tmp_path / "touched"))

    assert done.returncode == 125
    assert said in done.stderr
    assert "mine.toml" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("word", ["no-such-preset", "no/such/file.toml", "profile.xyz"])
def test_a_policy_that_is_not_there_is_told(word: str) -> None:
    done = run("-p", word, "--", "true")

    assert done.returncode == 125
    assert word.partition(".")[0] in done.stderr


def test_observing_needs_a_policy() -> None:
    assert run("--observe", "--", "true").returncode == 125


# ---- replacing ----


@contextmanager
def asking(tmp_path: Path, policy: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A program without a terminal that makes a directory for each line it reads, and says whether it could."""
    script = 'while read -r word; do mkdir "$word" 2>/dev/null && echo made || echo refused; done'
    log = ["--log", str(tmp_path / "log")]
    words = [*RUN, *log, "-p", str(policy), *(options or ["--reload"]), "--", "sh", "-c", script]
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def answer(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_a_changed_file_is_read_again_while_the_program_runs(policy: Path, tmp_path: Path) -> None:
    with asking(tmp_path, policy) as process:
        assert answer(process, "one") == "refused"
        policy.write_text(DENY.replace("mkdir", "rmdir").replace("mutable = true\n", ""))
        assert "mark rules mutable before" in told(process)
        assert answer(process, "two") == "refused"
        policy.write_text(HEAD)
        assert "the policy was read again" in told(process)
        assert answer(process, "three") == "made"


@pytest.mark.parametrize("observe", [False, True])
def test_what_the_program_could_have_written_is_not_read_again(policy: Path, tmp_path: Path, observe: bool) -> None:
    """Neither when it has changed nor when a signal asks for it, which the program could have sent."""
    options = ["--no-strict", *(["--observe"] if observe else [])]
    before = "made" if observe else "refused"
    with asking(tmp_path, policy, *options) as process:
        assert answer(process, "one") == before
        policy.write_text(DENY.replace("EBUSY", "EROFS"))
        line = told(process)
        assert f"{policy}: not read again: the program has our rights" in line
        assert "(--reload reads it all the same)" in line
        os.kill(process.pid, signal.SIGHUP)
        assert "not read again" in told(process)
        assert answer(process, "two") == before
    assert "EROFS" not in (tmp_path / "log").read_text()


def test_what_a_table_keeps_the_program_from_writing_is_read_again(tmp_path: Path) -> None:
    files = '[files]\nread = ["/"]\nwrite = ["/"]\nexec = "unverified"\nunix = "unmediated"\n'
    head = HEAD.replace("version = 1\n", 'version = 1\nknown-as-of = "6.1"\n')
    policy = tmp_path / "mine.toml"
    policy.write_text(head + files + f'deny = ["{tmp_path}/one"]\n')
    with asking(tmp_path, policy, "--no-strict", "--quiet") as process:
        assert answer(process, "one") == "refused"
        policy.write_text(head + files)
        while "the policy was read again" not in (line := told(process)):
            assert "refused under" in line
        assert answer(process, "one") == "made"


def test_a_file_that_has_become_wrong_changes_nothing(policy: Path, tmp_path: Path) -> None:
    with asking(tmp_path, policy) as process:
        assert answer(process, "one") == "refused"
        policy.write_text("wrong")
        line = told(process)
        assert "mine.toml:1" in line
        assert "what was in force stays" in line
        assert answer(process, "two") == "refused"


def test_a_hangup_without_a_terminal_reads_the_policies_again(policy: Path, tmp_path: Path) -> None:
    with asking(tmp_path, policy) as process:
        assert answer(process, "one") == "refused"
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGHUP)
        assert "the policy was read again; 0 calls are decided differently" in told(process)
        assert answer(process, "two") == "refused"


def test_a_storm_of_hangups_is_answered_and_ends_with_the_program(policy: Path, tmp_path: Path) -> None:
    """They come while the policy is read, while calls are answered, and while the program ends."""
    with asking(tmp_path, policy) as process:
        assert answer(process, "one") == "refused"
        time.sleep(0.1)
        ended = threading.Event()

        def storm() -> None:
            while not ended.wait(0.0005):
                os.kill(process.pid, signal.SIGHUP)

        thread = threading.Thread(target=storm)
        thread.start()
        try:
            until = time.monotonic() + 1  # it is read in a thread, which may have to wait for its turn
            answers = [answer(process, str(number)) for number in range(50)]
            while time.monotonic() < until:
                answers.append(answer(process, "more"))
            assert set(answers) == {"refused"}
            assert process.stdin is not None
            process.stdin.close()
            # Not reaped yet: its number stays its own until the storm is over.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            ended.set()
            thread.join()
        assert process.wait() == 0
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()

    assert 1 <= len(lines) < 100
    assert all("the policy was read again; 0 calls" in line for line in lines)


def test_a_policy_that_names_a_handler_that_is_not_there_is_not_put_in_force(policy: Path, tmp_path: Path) -> None:
    with asking(tmp_path, policy) as process:
        assert answer(process, "one") == "refused"
        policy.write_text(HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "handle"\nhandler = "guard"\n')
        line = told(process)
        assert f"{policy}:4" in line
        assert "no handler is called 'guard'" in line
        assert "what was in force stays" in line
        assert answer(process, "two") == "refused"
    assert "EBUSY" in (tmp_path / "log").read_text()


def test_a_run_ends_although_a_file_of_its_policy_blocks(policy: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with asking(tmp_path, policy) as process:
        assert answer(process, "one") == "refused"
        policy.write_text(HEAD + 'include = ["pipe.toml"]\n')
        os.kill(process.pid, signal.SIGHUP)
        assert [answer(process, str(number)) for number in range(5)] == ["refused"] * 5
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(5) == 0


# ---- --fail-on-denial ----


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ('"deny"', 9),
        ('"deny"\nerrno = "EACCES"\nmutable = true', 9),
        ('"kill"', 9),
        ('"ask"', 9),
        ('"deny"\nerrno = "ENOSYS"', 0),
        ('"deny"\nerrno = "ENOSYS"\nmutable = true', 0),
        ('"deny"\nerrno = 0', 0),
        ('"return"\nvalue = 3', 0),
        ('"log"', 0),
    ],
)
def test_what_a_policy_refuses_in_the_kernel_counts_as_a_denial(tmp_path: Path, action: str, status: int) -> None:
    """The program goes on and ends well; the status must not say that nothing was refused."""
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + f'[[syscalls]]\nnames = ["mkdir"]\naction = {action}\n')
    words = ["-p", str(path), "--", "sh", "-c", f"mkdir {tmp_path}/made; true"]

    assert run("--fail-on-denial", "--denial-status", "9", *words).returncode == status
    assert run(*words).returncode == 0


def test_what_only_the_kernel_refuses_is_said_not_to_count(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + '[[syscalls]]\nnames = ["mkdir"]\naction = "trap"\n')
    done = run("--fail-on-denial", "-p", str(path), "--", "true")

    assert done.returncode == 0
    assert f"--fail-on-denial does not count what only the kernel can do: trap ({path}:4)" in done.stderr
    assert run("-p", str(path), "--", "true").stderr == ""


# ---- surroundings ----


def test_a_policy_for_other_machines_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[policy]\nversion = 1\narches = ["aarch64"]\n')
    done = run("-p", str(path), "--", "true")

    assert done.returncode == 125
    assert f"{path}: its rules are for aarch64, and this machine runs" in done.stderr


def test_a_policy_for_another_abi_of_this_machine_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[policy]\nversion = 1\narches = ["i386"]\n')
    done = run("-p", str(path), "--", "true")

    assert done.returncode == 128 + signal.SIGSYS
    assert f"{path}: its rules are for i386; every call of x86_64 kills the process" in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_closed_standard_streams_change_nothing(policy: Path, tmp_path: Path, closed: str) -> None:
    """Otherwise what we open next has the number 2, and the reports are written to it."""
    seen = tmp_path / "seen"
    script = f"mkdir {tmp_path}/made; readlink /proc/self/fd/2 > {seen}; exit 7"
    words = [*RUN, "-p", str(policy), "--", "sh", "-c", script]
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *words], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (7, b"")
    assert not (tmp_path / "made").exists()
    assert seen.read_text() == ""


def test_a_mistake_has_its_status_although_nobody_can_be_told() -> None:
    words = [*RUN, "-p", "not-there.toml", "--", "true"]
    assert subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *words], check=False).returncode == 125


def test_reports_that_nobody_reads_end_nothing(policy: Path, tmp_path: Path) -> None:
    """The reader of standard error goes away, a call is refused, and the policy is read again, which is told."""
    with asking(tmp_path, policy) as process:
        assert answer(process, "one") == "refused"
        assert process.stderr is not None
        process.stderr.close()
        policy.write_text(HEAD)
        os.kill(process.pid, signal.SIGHUP)
        for _ in range(100):
            if answer(process, str(_)) == "made":
                break
            time.sleep(0.1)
        assert answer(process, "three") == "made"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


def test_what_is_refused_because_of_a_table_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        '[policy]\nversion = 1\nknown-as-of = "6.12"\n[files]\notherwise = "allow"\nunix = "unmediated"\n'
    )
    done = run("-p", "p.toml", "--", "true", cwd=tmp_path)

    said = [line for line in done.stderr.splitlines() if "refused under [files]" in line]
    assert len(said) == 2
    assert "presets beneath-files" in said[0]
    assert 'exec = "unverified"' in said[1]
    assert run("-p", "p.toml", "--quiet", "--", "true", cwd=tmp_path).stderr == ""
