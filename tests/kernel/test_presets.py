"""The presets around real programs: what they promise to let run runs, and what they refuse is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import monitor
from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.syscalls import number_of
from monitor.policy.text import load
from tests.conftest import require
from tests.policy.test_presets import HARDENED

ENOSYS = values("errno", Arch.X86_64)["ENOSYS"]
CONTAINERS = ["docker-default", "containers-default"]

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


COMMIT = "git init -q . && echo text > file && git add file && git commit -qm one && git log --format=%s"


async def ran(preset: str, argv: Sequence[str], *, standard_input: int | None = None) -> tuple[int, str]:
    """Return the status and the output of *argv* under *preset*."""
    launch = monitor.Launch(
        argv, env=ENVIRONMENT, stdin=standard_input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    async with monitor.supervise(launch, policy=load(f"preset:{preset}")) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode()
        return await run.wait(), output


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a page\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (likewise)
        pass


@pytest.fixture
def page() -> Iterator[str]:
    """Yield the address of a page on loopback."""
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


# ---- what containers may do ----


@pytest.mark.parametrize("preset", CONTAINERS)
async def test_a_shell_with_its_pipes_runs_as_in_a_container(preset: str, tmp_path: Path) -> None:
    script = f"cd {tmp_path}; seq 3 | sort -r > file; cat file; (sleep 0 & wait); ls -l | wc -l"

    assert await ran(preset, ["bash", "-c", script]) == (0, "3\n2\n1\n2\n")


@pytest.mark.parametrize("preset", CONTAINERS)
async def test_python_with_threads_and_processes_runs_as_in_a_container(preset: str) -> None:
    script = (
        "import subprocess, tempfile, threading, socket\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\n"
        "print(subprocess.check_output(['echo', 'child'], text=True), end='')\n"
        "tempfile.TemporaryFile().write(b'x'); one, other = socket.socketpair(); one.send(b'y'); print(other.recv(1))\n"
    )

    assert await ran(preset, [sys.executable, "-c", script]) == (0, "thread\nchild\nb'y'\n")


@pytest.mark.parametrize("preset", CONTAINERS)
async def test_git_runs_as_in_a_container(preset: str, tmp_path: Path) -> None:
    assert await ran(preset, ["sh", "-c", f"cd {tmp_path} && {COMMIT}"]) == (0, "one\n")


@pytest.mark.parametrize("preset", CONTAINERS)
async def test_curl_runs_as_in_a_container(preset: str, page: str) -> None:
    """Glibc's threads need clone3 to fail with ENOSYS: with EPERM there would be no resolver thread."""
    address = page.replace("127.0.0.1", "localhost")

    assert await ran(preset, ["curl", "-sS", "--ipv4", address]) == (0, "a page\n")


async def test_a_container_of_docker_gets_no_new_namespace() -> None:
    """Podman's may: there a namespace of users is what keeps a container apart in the first place."""
    status, output = await ran("docker-default", ["unshare", "-U", "true"])

    assert status == 1
    assert "Operation not permitted" in output


# ---- hardening ----


def asked(kind: str, nr: int, args: Sequence[int]) -> str:
    words = [arg & 0xFFFFFFFF_FFFFFFFF for arg in args]
    return ":".join([kind, str(nr), *map(str, words)])


async def test_hardening_refuses_each_of_its_calls_with_its_errno(compiled: Callable[..., str]) -> None:
    arch = Arch.native()
    calls = [(call, args, errno) for call, args, errno in HARDENED if number_of(arch, call) is not None]
    words = [asked("n", number_of(arch, call) or 0, args) for call, args, _ in calls]

    status, output = await ran("hardening", [compiled("p_errnos"), *words])

    assert status == 0
    answers = [int(line) for line in output.split()]
    assert list(zip([call for call, _, _ in calls], answers, strict=True)) == [
        (call, errno) for call, _, errno in calls
    ]


async def test_hardening_refuses_them_by_the_door_of_i386_too(compiled: Callable[..., str]) -> None:
    require("i386", Arch.native() is Arch.X86_64)
    numbers = [(number, args) for call, args, _ in HARDENED if (number := number_of(Arch.I386, call)) is not None]
    words = [asked("i", number, args) for number, args in [*numbers, (number_of(Arch.I386, "getpid") or 0, ())]]

    status, output = await ran("hardening", [compiled("p_errnos"), *words])

    assert (status, {int(line) for line in output.split()}) == (0, {ENOSYS})
    assert len(output.split()) == len(words)


async def test_hardening_refuses_a_program_of_i386(compiled: Callable[..., str]) -> None:
    require("i386", Arch.native() is Arch.X86_64)

    status, _ = await ran("hardening", [compiled("k_i386", "-m32", "-nostdlib", "-static")])

    assert status == 128 + signal.SIGILL


async def test_hardening_lets_ordinary_programs_run(page: str, tmp_path: Path) -> None:
    git = (
        f"cd {tmp_path} && git init -q . && echo text > file && git add . && git commit -qm one && git log --format=%s"
    )

    assert await ran("hardening", ["sh", "-c", git]) == (0, "one\n")
    assert await ran("hardening", ["curl", "-sS", page]) == (0, "a page\n")
    script = (
        "import threading; thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()"
    )
    assert await ran("hardening", [sys.executable, "-c", script]) == (0, "thread\n")


async def test_hardening_is_no_way_to_become_dumpable_or_not() -> None:
    script = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "print(libc.prctl(4, 0), libc.prctl(3))\n"  # PR_SET_DUMPABLE, PR_GET_DUMPABLE
    )

    assert await ran("hardening", [sys.executable, "-c", script]) == (0, "0 1\n")


# ---- the small ones ----


@pytest.fixture
def strict_target(compiled: Callable[..., str]) -> str:
    require("mode 1 target", Arch.native() in {Arch.X86_64, Arch.AARCH64})
    return compiled("p_strict", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector")


@pytest.mark.parametrize(("byte", "status", "output"), [(b"x", 7, "x"), (b"!", 128 + signal.SIGSYS, "")])
async def test_strict_mode_1_is_read_write_and_the_end(
    strict_target: str, byte: bytes, status: int, output: str
) -> None:
    reader, writer = os.pipe()
    os.write(writer, byte)
    os.close(writer)
    try:
        assert await ran("strict-mode-1", [strict_target], standard_input=reader) == (status, output)
    finally:
        os.close(reader)


async def test_no_network_leaves_local_sockets(page: str) -> None:
    script = (
        "import socket\n"
        "one, other = socket.socketpair(); one.send(b'local'); print(other.recv(5).decode())\n"
        "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK):\n"
        "    try:\n"
        "        socket.socket(family, socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_STREAM)\n"
        "    except OSError as error:\n"
        "        print(error.errno)\n"
    )
    refused = str(values("errno", Arch.native())["EAFNOSUPPORT"])

    assert await ran("no-network", [sys.executable, "-c", script]) == (0, "\n".join(["local", *[refused] * 5]) + "\n")
    status, _ = await ran("no-network", ["curl", "-sS", page])
    assert status != 0


async def test_a_service_runs_and_cannot_mount(compiled: Callable[..., str], tmp_path: Path) -> None:
    mount = asked("n", number_of(Arch.native(), "mount") or 0, ())

    assert await ran("system-service", ["sh", "-c", f"echo x > {tmp_path}/file; cat {tmp_path}/file"]) == (0, "x\n")
    assert await ran("system-service", [compiled("p_errnos"), mount]) == (0, "1\n")
