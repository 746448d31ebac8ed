"""
Real programs with every call on files and descriptors notified: they do what they do without us.

Each runs twice, unsupervised and supervised, in a directory of its own; what it wrote, and how it
ended, must be the same.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import monitor

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
}


@monitor.handles("%file", "%desc", "%network", "@file-system", "@io-event", "@basic-io")
def allow(_call: monitor.Call) -> monitor.Verdict:
    """Stop at every call that concerns a file or a descriptor, and let it go on."""
    return monitor.Allow()


Same = Callable[..., Awaitable[bytes]]


@pytest.fixture
def same(run_target: Any, tmp_path: Path) -> Same:
    """Return a function that runs a program in both ways and returns what it wrote."""

    async def run(*argv: str, files: dict[str, str] | None = None, at_least: int = 100) -> bytes:
        homes = [tmp_path / "without", tmp_path / "with"]
        for home in homes:
            home.mkdir()
            for name, text in (files or {}).items():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).write_text(text)
        without = subprocess.run(
            argv,
            cwd=homes[0],
            env={**ENVIRONMENT, "HOME": str(homes[0])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        done = await run_target(
            argv, [allow], cwd=homes[1], env={**ENVIRONMENT, "HOME": str(homes[1])}, stdin=subprocess.DEVNULL
        )

        output = done.output.replace(os.fsencode(homes[1]), os.fsencode(homes[0]))
        assert (done.status, output) == (without.returncode, without.stdout)
        assert done.run.stats.allowed == done.run.stats.received - done.run.stats.gone >= at_least
        assert files_below(homes[1]) == files_below(homes[0])
        return without.stdout

    return run


def files_below(directory: Path) -> set[str]:
    """Return the names of what is there, but not what git names by content and time."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


async def test_bash_with_pipes_and_job_control(same: Same) -> None:
    script = """
        set -m; exec 2>/dev/null  # what it says of jobs has their numbers
        seq 1 200 | grep 7 | sort -r | head -3
        (echo in a subshell; exit 3) & wait $!; echo "status $?"
        sleep 100 & stopped=$!; kill -STOP $stopped
        until read -r _ _ state _ < /proc/$stopped/stat && [ "$state" = T ]; do :; done
        kill -CONT $stopped; kill $stopped
        # bash 5.2 alone, now and then, spins for ever in "wait -f" for a job it saw stopped
        while kill -0 $stopped; do :; done; wait $stopped; echo "status $?"
        sleep 100 & kill $!; wait $! 2>/dev/null; echo "status $?"
        cat <(echo substituted) <<< ignored
        echo here > file; read -r line < file; echo "$line $(wc -c < file)"
        trap 'echo trapped' USR1; kill -USR1 $$
        sleep 100 & disown; kill $!
        yes | head -2; echo "${PIPESTATUS[@]}"
    """

    output = await same("bash", "-c", script)

    assert b"status 143" in output
    assert b"trapped\ny\ny\n141 0" in output


PYTHON = """
import concurrent.futures, os, subprocess, sys, threading, queue, tempfile
with tempfile.TemporaryDirectory(dir=".") as directory:
    def work(number):
        path = os.path.join(directory, str(number))
        with open(path, "w") as file:
            file.write(str(number) * 100)
        return len(open(path).read())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        print(sum(pool.map(work, range(100))))
    words = [[sys.executable, "-S", "-c", f"print({number})"] for number in range(4)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in words]
    print([process.communicate()[0] for process in processes])
    print(subprocess.run("cat; exit 4", shell=True, input=b"through a shell", capture_output=True))
    child = os.fork()
    if child == 0:
        os._exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    reader, writer = os.pipe()
    threading.Thread(target=lambda: (os.write(writer, b"x" * 100_000), os.close(writer))).start()
    print(sum(len(chunk) for chunk in iter(lambda: os.read(reader, 4096), b"")))
"""


async def test_python_with_threads_and_subprocesses(same: Same) -> None:
    output = await same(sys.executable, "-W", "ignore", "-c", PYTHON, at_least=1000)

    assert output.startswith(b"19000\n")


async def test_gcc_and_make_on_a_small_project(same: Same) -> None:
    files = {
        "Makefile": "program: one.o two.o\n\tgcc -o $@ $^\n%.o: %.c two.h\n\tgcc -O1 -c $<\n",
        "one.c": '#include <stdio.h>\n#include "two.h"\nint main(void) { printf("%d\\n", two()); return 0; }\n',
        "two.c": '#include "two.h"\nint two(void) { return 2; }\n',
        "two.h": "int two(void);\n",
    }

    output = await same("sh", "-c", "make -j2 >/dev/null && ./program && make", files=files, at_least=500)

    assert output.startswith(b"2\n")


async def test_git_init_add_commit_and_log(same: Same) -> None:
    script = """
        git init -q -b main . && git add . && git commit -q -m first && echo more >> a && git commit -q -a -m second
        git log --format='%H %s' && git status --short && git diff HEAD~1 --stat && git fsck
        git clone -q . clone && git -C clone log --oneline
    """

    output = await same("sh", "-e", "-c", script, files={"a": "a\n", "b/c": "c\n"})

    assert output.count(b"second") == 2


async def test_tar_creates_and_extracts(same: Same) -> None:
    files = {f"tree/{number % 5}/{number}": "x" * number * 100 for number in range(40)}
    script = """
        tar -czf tree.tgz tree; mkdir out; tar -xzf tree.tgz -C out; diff -r tree out/tree
        tar -tzf tree.tgz | wc -l
    """

    assert (await same("sh", "-e", "-c", script, files=files)).strip() == b"46"


TCP = """
import socket, threading
def serve(listening):
    for _ in range(5):
        connection, _ = listening.accept()
        with connection:
            data = b"".join(iter(lambda: connection.recv(1000), b""))
            connection.sendall(b"%d " % len(data) + data[:5])
with socket.create_server(("127.0.0.1", 0)) as listening:
    thread = threading.Thread(target=serve, args=[listening])
    thread.start()
    for number in range(5):
        with socket.create_connection(listening.getsockname()) as client:
            client.sendall(b"%d" % number * 50_000)
            client.shutdown(socket.SHUT_WR)
            print(b"".join(iter(lambda: client.recv(1000), b"")))
    thread.join()
"""


async def test_a_tcp_server_and_its_client(same: Same) -> None:
    output = await same(sys.executable, "-c", TCP)

    assert output.splitlines()[-1] == b"b'50000 44444'"


async def test_a_shell_on_a_terminal_of_its_own_stops_and_continues_its_jobs(run_target: Any) -> None:
    """``script`` gives it the terminal, whose foreground it hands from job to job."""
    inner = """
        set -m
        sleep 100 & until read -r _ _ state _ < /proc/$!/stat && [ "$state" = T ]; do kill -TSTP $!; done
        jobs; bg %1; kill $!; wait $!; echo "status $?"
    """
    command = f"exec bash --norc --noprofile -i -c {shlex.quote(inner)}"

    words = ["script", "-qec", command, "/dev/null"]
    done = await run_target(words, [allow], stdin=subprocess.DEVNULL, env=ENVIRONMENT)

    assert b"Stopped" in done.output
    assert b"status 143" in done.output
