"""What a program under ``[files]`` does to come to what its policy does not give it, and what goes wrong meanwhile."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pytest

import monitor
from monitor.origin import Origin
from monitor.policy.text import loads

HEAD = """
[policy]
version = 1
name = "test"
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
"""

ALLOW = 'otherwise = "allow"\n'

LISTED = 'read = ["/usr", "/bin", "/lib", "/lib64", "/etc"]\n'


def python(script: str) -> list[str]:
    """Return the words of a program of Python."""
    return ["/usr/bin/python3", "-S", "-c", script]


async def output_of(lists: str, argv: list[str], *, launch: Mapping[str, Any] | None = None, **options: Any) -> str:
    """Return what a program writes under a policy whose ``[files]`` says *lists*."""
    given = loads(HEAD + lists, Origin("test.toml"))
    words = monitor.Launch(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", env={"PATH": "/usr/bin"}, **(launch or {})
    )
    async with monitor.supervise(words, policy=given, **options) as run:
        output = b"".join([chunk async for chunk in run.stdout]).decode(errors="replace")
        await run.wait()
    return output


@pytest.fixture
def stranger() -> Iterator[tuple[int, IO[bytes]]]:
    """A process that is neither supervised nor a child of ours, and what comes out of the pipe that it reads."""
    process = subprocess.Popen(["/bin/sh", "-c", "sleep 60 | cat"], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        yield _child_called("cat", process.pid), process.stdout
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _child_called(name: str, parent: int) -> int:
    while True:
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == f"{name}\n":
                return int(child)
        time.sleep(0.01)


# ---- processes that are none of the program's ----


async def test_the_guard_has_our_memory_and_is_not_there() -> None:
    done = await output_of(ALLOW, ["/bin/sh", "-c", "cat /proc/$PPID/comm /proc/$PPID/maps; ls /proc/$PPID/fd"])

    assert done.count("No such file or directory") == 3


@pytest.mark.parametrize("path", ["maps", "/proc/self/fd/5/maps", "task/../maps", "fd/0", "."])
async def test_a_directory_of_ours_in_proc_leads_nowhere_however_it_was_come_by(path: str) -> None:
    """A program comes to one by a race: ``O_PATH`` and chdir(2) are run by the kernel."""
    given = os.open(f"/proc/{os.getpid()}", os.O_PATH)
    try:
        script = f"import os; os.open({path!r}, os.O_RDONLY, dir_fd=5)"
        done = await output_of(ALLOW, python(script), launch={"fds": {5: given}})
    finally:
        os.close(given)

    assert "FileNotFoundError" in done


async def test_what_a_link_of_ours_in_proc_says_is_not_read() -> None:
    given = os.open(f"/proc/{os.getpid()}/exe", os.O_PATH | os.O_NOFOLLOW)
    try:
        done = await output_of(ALLOW, python("import os; os.readlink('', dir_fd=5)"), launch={"fds": {5: given}})
    finally:
        os.close(given)

    assert "FileNotFoundError" in done


@pytest.mark.parametrize("lists", [LISTED, ALLOW])
async def test_pipes_of_others_are_not_reached_through_proc(stranger: tuple[int, IO[bytes]], lists: str) -> None:
    pid, output = stranger
    done = await output_of(lists, ["/bin/sh", "-c", f"echo forged > /proc/{pid}/fd/0"])

    assert "cannot create" in done
    assert not select.select([output], [], [], 0.1)[0]


async def test_pipes_of_others_are_not_reached_through_a_directory_that_was_come_by(
    stranger: tuple[int, IO[bytes]],
) -> None:
    pid, output = stranger
    given = os.open(f"/proc/{pid}/fd", os.O_PATH)
    try:
        script = "import os; os.write(os.open('0', os.O_WRONLY, dir_fd=5), b'forged')"
        done = await output_of(ALLOW, python(script), launch={"fds": {5: given}})
    finally:
        os.close(given)

    assert "FileNotFoundError" in done
    assert not select.select([output], [], [], 0.1)[0]


# ---- what the kernel would read again ----


async def test_an_openat2_whose_flags_can_be_changed_is_not_run_by_the_kernel(tmp_path: Path) -> None:
    """The flags of openat2(2) stand in memory: O_PATH when they are looked at, and O_RDONLY a moment later."""
    (tmp_path / "key").write_text("hidden")
    script = f"""
import ctypes, os, struct, threading
libc = ctypes.CDLL(None, use_errno=True)
path = ctypes.create_string_buffer(b"/usr/bin/env".ljust(200, bytes(1)))
how = ctypes.create_string_buffer(struct.pack("QQQ", os.O_PATH, 0, 0))
good, bad = b"/usr/bin/env" + bytes(1), b"{tmp_path}/key" + bytes(1)
def flip():
    while True:
        ctypes.memmove(path, bad, len(bad)); ctypes.memmove(how, struct.pack("Q", os.O_RDONLY), 8)
        ctypes.memmove(path, good, len(good)); ctypes.memmove(how, struct.pack("Q", os.O_PATH), 8)
threading.Thread(target=flip, daemon=True).start()
stolen = 0
for _ in range(3000):
    fd = libc.syscall(437, -100, path, how, 24)
    if fd >= 0:
        try:
            stolen += os.read(fd, 6) == b"hidden"
        except OSError:
            pass
        os.close(fd)
print("stolen:", stolen, flush=True)
os._exit(0)
"""
    assert await output_of(LISTED, python(script)) == "stolen: 0\n"
