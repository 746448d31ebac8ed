"""``run --events`` and ``run --denials`` as programs meet them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = [sys.executable, "-m", "monitor", "run", "--quiet"]

POLICY = """
[policy]
version = 1
name = "small"
syscalls-default = "allow"

[[syscalls]]
names = ["mkdir", "mkdirat"]
action = "deny"
reason = "no directories"
"""

SHELL = ["sh", "-c", "mkdir /tmp/never-made; exit 5"]


@pytest.fixture
def rules(tmp_path: Path) -> list[str]:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return ["-p", str(path)]


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*RUN, *words], capture_output=True, check=False, **options)


def objects(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def check(found: list[dict[str, Any]]) -> None:
    """Whether *found* are the events of SHELL under POLICY, all of them."""
    calls = [one for one in found if one["event"] == "call"]
    assert [one["seq"] for one in found] == list(range(len(found)))
    assert (found[0]["event"], found[-1]["event"], found[-1]["status"]) == ("start", "exit", 5)
    assert [(one["verdict"], one["by"], one["path"]) for one in calls] == [("deny", "policy", "/tmp/never-made")]
    assert calls[0]["rule"].endswith("policy.toml:7")
    assert calls[0]["comm"] == "mkdir"


def test_every_event_goes_to_a_file(rules: list[str], tmp_path: Path) -> None:
    done = run(*rules, "--events", str(tmp_path / "events"), "--", *SHELL)

    assert done.returncode == 5, done.stderr
    check(objects((tmp_path / "events").read_bytes()))


def test_to_a_descriptor_that_the_program_does_not_get(rules: list[str]) -> None:
    reader, writer = os.pipe()
    done = run(*rules, "--events", f"fd:{writer}", "--", *SHELL, pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        received = file.read()

    assert done.returncode == 5, done.stderr
    check(objects(received))


@pytest.mark.parametrize("abstract", [False, True])
def test_to_a_socket(abstract: bool, rules: list[str], tmp_path: Path) -> None:
    name = f"@monitor-events-{os.getpid()}" if abstract else str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(b"\0" + name[1:].encode() if abstract else name)
        listening.listen()
        done = run(*rules, "--events", f"unix:{name}", "--", *SHELL)
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as file:
            received = file.read()

    assert done.returncode == 5, done.stderr
    check(objects(received))


def test_a_reader_that_goes_is_told_and_nothing_else_happens(rules: list[str]) -> None:
    ours, theirs = socket.socketpair()
    theirs.shutdown(socket.SHUT_RDWR)
    done = run(*rules, "--events", f"fd:{ours.fileno()}", "--", *SHELL, pass_fds=[ours.fileno()])
    ours.close()
    theirs.close()

    assert done.returncode == 5
    assert done.stderr.count(b"Broken pipe; the program goes on") == 1


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ("fd:999", "no such descriptor is open"),
        ("fd:three", "fd:3"),
        ("fd:-1", "fd:3"),
        ("fd:99999999999999999999", "no such descriptor is open"),
        ("unix:/nonexistent/socket", "No such file"),
        ("unix:@nobody-listens-here", "refused"),
        ("/nonexistent/folder/file", "No such file"),
    ],
)
def test_what_cannot_be_written_to_is_said_before_anything_runs(destination: str, said: str, tmp_path: Path) -> None:
    done = run("--events", destination, "--", "touch", str(tmp_path / "ran"))

    assert done.returncode == 125
    assert said in done.stderr.decode()
    assert not (tmp_path / "ran").exists()


def test_a_descriptor_of_our_own_is_none(tmp_path: Path) -> None:
    """The numbers from 3 on are ours unless the shell has opened them."""
    for number in range(3, 10):
        assert run("--events", f"fd:{number}", "--", "true").returncode == 125


def test_a_program_can_read_why_its_calls_are_refused(rules: list[str]) -> None:
    script = 'mkdir /tmp/never-made; read -r line <&"$SECCOMP_MONITOR_DENIALS"; echo "$line"'
    done = run(*rules, "--denials", "--", "sh", "-c", script)
    (found,) = objects(done.stdout)

    assert (found["syscall"], found["reason"], found["rule"]) == ("mkdir", "no directories", "syscalls[0]")
    assert run(*rules, "--", "sh", "-c", "echo $SECCOMP_MONITOR_DENIALS").stdout == b"\n"


def test_which_of_several_refusals_is_told_is_no_matter_of_chance(tmp_path: Path) -> None:
    """Classes of access are a set, and the order of sets of strings is another one in each process."""
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[policy]\nversion = 1\nknown-as-of = "6.1"\n'
        '[files]\nread = ["/"]\nwrite = ["/dev"]\nexec = "unverified"\nunix = "unmediated"\n'
    )
    told = set()
    for seed in range(6):
        words = [*RUN[:-1], "-p", str(policy), "--", "sh", "-c", f"echo x 2>/dev/null >{tmp_path}/new"]
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": str(seed)}
        )
        told.add(done.stderr.partition("<denied: ")[2])

    assert told == {f"{policy}:4, create {tmp_path}/new>\n"}
