"""``seccomp-monitor trace`` as a user meets it: what is written, where, and that the program goes on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TRACE = [sys.executable, "-m", "monitor", "trace"]


def trace(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command with *words* and capture what it prints."""
    return subprocess.run([*TRACE, *words], capture_output=True, text=True, check=False, **options)


def calls_in(text: str) -> list[str]:
    """Return the names of the calls in *text*, which has strace's lines."""
    return re.findall(r"^(?:\[pid [^]]*\]|\d+) +(?:[\d.:]+ )?(\w+)\(", text, re.MULTILINE)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


# ---- which calls ----


def test_only_the_calls_that_were_asked_for_are_stopped_and_written() -> None:
    done = trace("-e", "openat,mkdir", "--", "mkdir", "/proc/made")
    shown = calls_in(done.stderr)

    assert set(shown) == {"openat", "mkdir"}
    assert 'mkdir("/proc/made", 0777)' in done.stderr


@pytest.mark.parametrize(
    ("words", "has", "has_not"),
    [
        (["-e", "%file"], {"execve", "openat"}, {"mmap"}),
        (["-e", "trace=%file,!execve"], {"openat"}, {"execve", "mmap"}),
        (["-e", "@file-system"], {"openat"}, {"execve"}),
        (["-e", "!openat", "-e", "!execve"], {"mmap", "close"}, {"openat", "execve"}),
        ([], {"execve", "openat", "mmap", "exit_group"}, set()),
        (["-e", "all"], {"execve", "openat", "mmap", "exit_group"}, set()),
    ],
)
def test_calls_are_named_as_strace_and_systemd_name_them(words: list[str], has: set[str], has_not: set[str]) -> None:
    shown = set(calls_in(trace(*words, "--", "/bin/true").stderr))

    assert has <= shown
    assert not has_not & shown


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("openta", "unknown call 'openta'; did you mean 'openat'?"),
        ("%fiel", "unknown class '%fiel'; did you mean '%file'?"),
        ("@file-sistem", "unknown group '@file-sistem'; did you mean '@file-system'?"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_one_before_anything_runs(
    word: str, said: str, tmp_path: Path
) -> None:
    done = trace("-e", word, "-o", str(tmp_path / "log"), "--", "touch", str(tmp_path / "touched"))

    assert done.returncode == 125
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_launch_itself_is_a_line_although_its_execve_is_never_stopped() -> None:
    env = {"PATH": os.environ["PATH"], "ONE": "1"}
    done = trace("-e", "execve", "--", "true", env=env)

    assert 'execve("/usr/bin/true", ["true"], [/* 2 vars */]) = 0' in done.stderr


# ---- the program is left alone ----


def test_the_exit_status_is_the_programs() -> None:
    assert trace("--", "sh", "-c", "exit 7").returncode == 7
    assert trace("--", "sh", "-c", "kill -9 $$").returncode == 137
    assert trace("--", "no-program-of-this-name").returncode == 127
    assert trace("--", "/etc/passwd").returncode == 126


def test_children_and_threads_are_followed_and_the_last_is_waited_for(log: Path) -> None:
    done = trace("-e", "mkdir", "-o", str(log), "--", "sh", "-c", "(sleep 0.3; mkdir /proc/late) & exit 3")

    assert done.returncode == 3
    assert 'mkdir("/proc/late", 0777)' in log.read_text()


def test_the_program_keeps_its_standard_streams_and_the_fds_it_was_given(tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    with extra.open("w") as file:
        script = f"cat; echo e >&2; echo x >&{file.fileno()}"
        words = ["-o", str(tmp_path / "log"), "--", "bash", "-c", script]
        done = trace(*words, input="in", pass_fds=[file.fileno()])

    assert (done.stdout, done.stderr, extra.read_text()) == ("in", "e\n", "x\n")


@pytest.mark.root
def test_set_uid_programs_work_under_root_as_they_do_without() -> None:
    words = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "sh",
        "-c",
        "grep NoNewPrivs /proc/self/status",
    ]

    assert trace("-e", "mkdir", "--", *words).stdout == subprocess.check_output(words, text=True)


def test_a_32_bit_and_a_static_program_are_traced(compiled: Any, log: Path) -> None:
    for flags in (["-m32", "-static"], ["-static"], []):
        program = compiled("t_hello", *flags)
        done = trace("-e", "mkdir", "-o", str(log), "--", program, "made here")

        assert done.returncode == 0
        assert ' mkdir("made here/\\1\\377", 0700)   = ?' in log.read_text()


def test_a_program_of_go_is_traced(log: Path) -> None:
    """It makes system calls without a libc, from threads of its own making."""
    done = trace("-f", "-e", "%file", "-o", str(log), "--", "shfmt", "/dev/null")

    assert done.returncode == 0
    assert '"/dev/null"' in log.read_text()


# ---- how it is written ----


def test_strings_are_cut_where_it_was_said() -> None:
    done = trace("-s", "3", "-e", "write", "--", "echo", "hello")

    assert 'write(1, "hel"..., 6)' in done.stderr


def test_paths_of_descriptors_are_shown_if_wanted(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("x")
    done = trace("-y", "-e", "read,openat", "--", "cat", "input", cwd=tmp_path)

    assert f'openat(AT_FDCWD<{tmp_path}>, "input", O_RDONLY)' in done.stderr
    assert f"read(3<{tmp_path}/input>, 0x" in done.stderr


def test_times_stand_before_the_call(log: Path) -> None:
    patterns = {
        "-t": r"\d+ +\d\d:\d\d:\d\d \w+\(",
        "-tt": r"\d+ +\d\d:\d\d:\d\d\.\d{6} \w+\(",
        "-ttt": r"\d+ +\d{10}\.\d{6} \w+\(",
        "-r": r"\d+ +\d\.\d{6} \w+\(",
    }
    for option, pattern in patterns.items():
        trace(option, "-e", "openat", "-o", str(log), "--", "true")
        first = log.read_text().splitlines()[0]

        assert re.match(pattern, first), first


def test_json_lines_have_the_words_and_the_registers(log: Path) -> None:
    trace("--json", "-e", "openat", "-o", str(log), "--", "cat", "/etc/hostname")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    call = next(event for event in events if event.get("path") == "/etc/hostname")

    assert [events[0]["event"], events[-1]["event"]] == ["start", "exit"]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert call["syscall"] == "openat"
    assert call["decoded"]["flags"] == "O_RDONLY"
    assert (call["pid"], call["comm"], call["exe"]) == (events[0]["pid"], "cat", os.path.realpath("/bin/cat"))


def test_a_summary_counts_and_can_come_with_the_calls(log: Path) -> None:
    alone = trace("-c", "-e", "openat", "--", "true")
    both = trace("-C", "-e", "openat", "-o", str(log), "--", "true")

    assert calls_in(alone.stderr) == []
    assert re.search(r"^100\.00 .* 2 +openat$", alone.stderr, re.MULTILINE)
    assert calls_in(log.read_text()) == ["openat", "openat"]
    assert log.read_text().endswith(" total\n")
    assert both.stderr == ""


def test_a_line_is_whole_whatever_the_program_writes_beside_it() -> None:
    """Control characters of a path are escaped, so that no path looks like a line."""
    done = trace("-e", "mkdir", "--", "mkdir", "/proc/x\n[pid 1] mkdir(\x1b[31m")

    assert r'mkdir("/proc/x\n[pid 1] mkdir(\33[31m", 0777)' in done.stderr


# ---- when the output goes wrong ----


def test_a_closed_pipe_and_a_full_disk_leave_the_program_alone(tmp_path: Path) -> None:
    words = ["sh", "-c", "mkdir one; mkdir two; mkdir three; exit 5"]
    reader, writer = os.pipe()
    os.close(reader)
    closed = subprocess.run([*TRACE, "--", *words], cwd=tmp_path, stderr=writer, check=False)
    os.close(writer)
    assert closed.returncode == 5
    assert len(list(tmp_path.iterdir())) == 3

    full = trace("-o", "/dev/full", "--", "sh", "-c", "rmdir one two three; exit 6", cwd=tmp_path)
    assert full.returncode == 6
    assert full.stderr == "seccomp-monitor: cannot write to /dev/full: No space left on device; the program goes on\n"
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_opened_is_told_before_anything_runs(tmp_path: Path) -> None:
    done = trace("-o", str(tmp_path / "no" / "folder"), "--", "touch", str(tmp_path / "touched"))

    assert done.returncode == 125
    assert "No such file or directory" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_string_limit_without_sense_is_told() -> None:
    for limit in ("-1", "65537", "many"):
        assert trace("-s", limit, "--", "true").returncode == 125


def test_a_timeout_ends_the_whole_tree() -> None:
    assert trace("--timeout", "0.3", "-e", "mkdir", "--", "sh", "-c", "sleep 50 & wait").returncode == 124
