"""What a program under ``[files]`` does to come to what its policy does not give it, and what goes wrong meanwhile."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from errno import EACCES, EMFILE, ENOENT, ENOTDIR, EPERM, EXDEV
from pathlib import Path
from typing import IO, Any

import pytest
import trio

import monitor
from monitor._native import Object
from monitor._native.fastacts import FastRunner
from monitor.broker import listing, metadata, mounts, resolve, walk, worker
from monitor.broker.acting import Acting
from monitor.errors import KernelFeatureError, SupervisorError, TargetGone
from monitor.notify import waiting
from monitor.origin import Origin
from monitor.policy.text import load, loads

HEAD = """
[policy]
version = 1
name = "test"
known-as-of = "6.12"
syscalls-default = "allow"
[files]
exec = "unverified"
"""

NOBODY = 65534

BENEATH, IN_ROOT = 0x08, 0x10

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


@pytest.mark.root
@pytest.mark.parametrize(
    ("kind", "path"),
    [("net", "sys/net/ipv4/ip_local_port_range"), ("ipc", "sysvipc/shm"), ("ipc", "sys/kernel/shmmax")],
)
async def test_what_shows_the_namespaces_of_its_opener_is_not_opened_for_a_program_with_others(
    kind: str, path: str
) -> None:
    script = ["/bin/sh", "-c", f"read -r line < /proc/{path} && echo $line; read -r line < /proc/net/dev && echo on"]

    assert "Permission denied" in await output_of(ALLOW, script, launch={"namespaces": [kind]})
    assert "Permission denied" not in await output_of(ALLOW, script)


async def test_the_file_of_the_policy_is_not_written_by_another_link_of_it(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(HEAD + ALLOW)
    (tmp_path / "other").hardlink_to(tmp_path / "policy.toml")
    script = ["/bin/sh", "-c", f"echo forged >> {tmp_path}/other; cat {tmp_path}/other > {tmp_path}/copy"]
    async with monitor.supervise(script, policy=load(tmp_path / "policy.toml")) as run:
        await run.wait()

    assert (tmp_path / "policy.toml").read_text() == HEAD + ALLOW == (tmp_path / "copy").read_text()


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


# ---- what goes wrong on our side, and what changes while a call waits ----


def _count_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_thread_that_cannot_have_its_own_umask_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers may forbid unshare(2); nobody waits for a file that will never be made."""

    def refused() -> None:
        raise PermissionError(EPERM, os.strerror(EPERM))

    monkeypatch.setattr(worker, "unshare_fs", refused)
    monkeypatch.setattr(FastRunner, "start", lambda _runner: None)  # whose thread ends where C hears the same
    with trio.fail_after(20), pytest.raises(SupervisorError) as caught:
        await output_of(ALLOW, ["/bin/sh", "-c", f"echo > {tmp_path}/made"])

    assert isinstance(caught.value.__cause__, KernelFeatureError)
    assert not (tmp_path / "made").exists()


async def test_a_program_for_which_nobody_can_act_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker needs fds of its own, after the program was started."""
    before = _count_fds()

    def lacking(*_given: Any, **_named: Any) -> None:
        raise OSError(EMFILE, os.strerror(EMFILE))

    monkeypatch.setattr(resolve.Resolver, "__init__", lacking)
    with pytest.raises(OSError, match="Too many open files"):
        await output_of(ALLOW, ["/bin/sleep", "60"])

    assert _count_fds() == before


async def test_a_thread_that_cannot_be_started_fails_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refused(self: threading.Thread) -> None:
        if self.name in {"monitor worker", "monitor runner", "monitor fast runner"}:
            message = "can't start new thread"
            raise RuntimeError(message)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refused)
    done = await output_of(ALLOW, ["/bin/sh", "-c", f"echo > {tmp_path}/made; echo on"])

    assert "Too many open files in system" in done
    assert done.endswith("on\n")


async def test_a_policy_is_replaced_while_paths_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "LOCAL", frozenset[str]())
    given = loads(HEAD + ALLOW, Origin("test.toml"))
    script = "import os\nfor i in range(500): os.path.exists('/proc/self/stat'); os.path.exists(f'/none/{i}')"
    before = _count_fds()
    async with monitor.supervise(python(script), policy=given) as run:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def replace() -> None:
                    while True:
                        run.replace_policy(given)
                        await trio.sleep(0.1)

                nursery.start_soon(replace)
                status = await run.wait()
                scope.cancel()

    assert (status, run.stats.failures) == (0, 0)
    assert _count_fds() == before


@pytest.mark.parametrize("planted", ["link", "file"])
async def test_a_handler_is_asked_again_where_what_it_decided_about_has_changed(tmp_path: Path, planted: str) -> None:
    """What was not there when it was asked is made by somebody before the file is."""
    (tmp_path / "secret").write_text("hidden")
    asked = []

    @monitor.handles("openat")
    def creates(call: monitor.Call) -> monitor.Verdict:
        path = call.path("pathname")
        if os.fsencode(tmp_path) not in (path.canonical or b""):
            return call.emulate()
        asked.append((path.name, path.exists))
        if path.exists:
            return monitor.Deny(EXDEV)
        if planted == "link":
            (tmp_path / "new").symlink_to(tmp_path / "secret")
        else:
            (tmp_path / "new").write_text("hidden")
        return call.emulate()

    script = f"import os; os.write(os.open('{tmp_path}/new', os.O_RDWR | os.O_CREAT), b'forged')"
    done = await output_of(ALLOW, python(script), handlers=[creates])

    assert asked == [(b"new", False), (b"secret" if planted == "link" else b"new", True)]
    assert "Invalid cross-device link" in done
    assert (tmp_path / "new").read_text() == "hidden"


async def test_what_lies_on_a_file_system_that_may_hang_is_done_by_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it, asking about it and listing it: the look-up is not all that can wait for it."""
    (tmp_path / "file").write_text("read me")
    did: list[str] = []
    for module, name in ((metadata, "status_of"), (metadata, "statx_of"), (listing, "entries_of")):

        def noted(*given: Any, _real: Any = getattr(module, name), **named: Any) -> Any:
            did.append(threading.current_thread().name)
            return _real(*given, **named)

        monkeypatch.setattr(module, name, noted)
    monkeypatch.setattr(mounts, "LOCAL", frozenset[str]())
    monkeypatch.setattr(resolve, "LOCAL", frozenset[str]())
    script = f"cat {tmp_path}/file; stat -c %s {tmp_path}/file; ls {tmp_path}"
    done = await output_of(ALLOW + 'hide = ["/srv/hidden"]', ["/bin/sh", "-c", script])

    assert done == "read me7\nfile\n"
    assert set(did) == {"monitor worker"}


async def test_a_worker_keeps_what_it_uses_until_it_has_done_with_it() -> None:
    workers = worker.Workers()
    began, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        began.set()
        may_end.wait()
        done.append("work")
        raise OSError

    async with trio.open_nursery() as nursery:
        nursery.start_soon(workers.run, work, lambda _result: done.append("given back"))
        await trio.to_thread.run_sync(began.wait)
        nursery.cancel_scope.cancel()
    workers.close(lambda: done.append("closed"))
    assert done == []
    may_end.set()
    with trio.fail_after(10):
        while len(done) < 3:
            await trio.sleep(0.01)

    assert done == ["work", "given back", "closed"]


_TEMPORARY = """
import errno, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
for _ in range(300):
    try:
        os.close(os.open(sys.argv[2], os.O_TMPFILE | os.O_WRONLY))
    except OSError as error:
        assert (error.errno, sys.argv[1]) == (errno.EMFILE, "3")
"""


@pytest.mark.parametrize("room", [3, 64], ids=["full", "with room"])
async def test_a_thread_that_gets_an_fd_from_a_worker_is_not_taken_for_gone(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While an fd is injected the kernel says that nobody waits (``seccomp_notify_id_valid``).

    Of no file system it is known here that it answers, so that every call is a worker's.
    """
    for module in (mounts, resolve):
        monkeypatch.setattr(module, "LOCAL", frozenset[str]())
    monkeypatch.setattr(waiting, "LOOK_FIRST_SECONDS", 0)
    monkeypatch.setattr(waiting, "LOOK_LAST_SECONDS", 0)
    monkeypatch.setattr(Acting, "gives_before_it_answers", False)  # as where a signal takes calls away
    launch = monitor.Launch([*python(_TEMPORARY), str(room), str(tmp_path)], cwd="/")
    with trio.fail_after(50):
        async with monitor.supervise(launch, handlers=[emulates], otherwise=monitor.Allow()) as run:
            assert await run.wait() == 0

    assert run.stats.emulated >= 300
    assert run.stats.gone == 0


async def test_nobody_waits_for_a_fifo_on_behalf_of_a_program_that_was_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    given = loads(HEAD + ALLOW, Origin("test.toml"))
    script = f"sh -c 'echo $$ > {tmp_path}/pid; exec cat {tmp_path}/fifo' & sleep 60"
    async with monitor.supervise(["/bin/sh", "-c", script], policy=given) as run:
        with trio.fail_after(20):
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
                await trio.sleep(0.01)
            pid = int((tmp_path / "pid").read_text())
            while "cat" not in Path(f"/proc/{pid}/comm").read_text():
                await trio.sleep(0.01)
            await trio.sleep(0.2)
            os.kill(pid, signal.SIGKILL)
            while run.stats.gone == 0:
                await trio.sleep(0.01)
    os.close(os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK))  # and the thread has an end too


async def test_a_lack_of_ours_is_met_by_the_call_where_a_file_system_may_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """And by one whose thread is gone: neither ends the run."""
    monkeypatch.setattr(mounts, "LOCAL", frozenset[str]())
    real = resolve.Resolver.resolve
    lacks: list[BaseException] = [TargetGone(), OSError(EMFILE, "")]

    def lacking(self: resolve.Resolver, looker: Any, call: monitor.Call, *given: Any, **named: Any) -> Any:
        if call.name == "readlink" and lacks:
            raise lacks.pop()
        return real(self, looker, call, *given, **named)

    monkeypatch.setattr(resolve.Resolver, "resolve", lacking)
    script = """
import ctypes
libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(9)
for _ in range(3):
    print(libc.syscall(89, b"/none", buffer, 9), ctypes.get_errno())
"""
    done = await output_of(ALLOW, python(script))

    assert done == f"-1 {ENOENT}\n" * 3


# ---- handlers without a policy ----


@monitor.handles("openat")
def emulates(call: monitor.Call) -> monitor.Verdict:
    """Have done for a program what it wants."""
    return call.emulate()


async def test_what_was_looked_up_is_opened_whatever_has_its_name_by_then(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("looked up\n")
    (tmp_path / "other").write_text("another\n")
    seen: list[bytes | None] = []

    @monitor.handles("openat")
    def slow(call: monitor.Call) -> monitor.Verdict:
        if call.read("pathname").endswith(b"/here"):
            seen.append(call.path("pathname").canonical)
            (tmp_path / "other").replace(tmp_path / "here")
        return call.emulate()

    launch = monitor.Launch(["/usr/bin/cat", str(tmp_path / "here")], stdout=subprocess.PIPE)
    async with monitor.supervise(launch, handlers=[slow], otherwise=monitor.Allow()) as run:
        output = b"".join([chunk async for chunk in run.stdout])
        await run.wait()

    assert (output, seen) == (b"looked up\n", [os.fsencode(tmp_path / "here")])


@pytest.mark.root
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"uid": NOBODY, "gid": NOBODY}, []),
        ({}, ["/usr/bin/setpriv", f"--reuid={NOBODY}", "--clear-groups"]),
        ({}, ["/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all", f"--reuid={NOBODY}"]),
    ],
)
async def test_a_thread_with_other_rights_gets_nothing_by_ours(
    tmp_path: Path, options: dict[str, Any], words: list[str]
) -> None:
    (tmp_path / "key").write_text("hidden")
    (tmp_path / "key").chmod(0o600)
    script = f"import os; os.read(os.open('{tmp_path}/key', os.O_RDONLY), 6)"
    launch = monitor.Launch([*words, *python(script)], stdout=subprocess.PIPE, cwd="/", **options)
    async with monitor.supervise(launch, handlers=[emulates], otherwise=monitor.Allow()) as run:
        assert await run.wait() != 0


# ---- terminals, and links in directories where everybody may write ----

_TERMINAL = """
import sys, trio, monitor
from monitor.broker.families import FAMILIES
@monitor.handles(*FAMILIES)
def emulates(call):
    return call.emulate()
async def main():
    async with monitor.supervise(["/bin/sh", "-c", "echo it is > /dev/tty"], handlers=[emulates],
                                 otherwise=monitor.Allow()) as run:
        await run.wait()
trio.run(main)
"""


@pytest.mark.root
@pytest.mark.parametrize("mounted", ["true", "mount -t devpts -o newinstance,ptmxmode=666 none /dev/pts"])
def test_the_terminal_of_a_program_is_its_own_whatever_dev_pts_shows(mounted: str) -> None:
    """In a container the terminal is often one of the host's, whose number may be that of another here."""
    command = ["unshare", "--mount", "--propagation=private", "sh", "-ec", f'{mounted}\nexec "$@"', "sh"]
    child, master = pty.fork()
    if child == 0:
        os.execvp(command[0], [*command, sys.executable, "-c", _TERMINAL])
    output = b""
    with contextlib.suppress(OSError):  # EIO: nobody has it any more
        while data := os.read(master, 1000):
            output += data
    os.close(master)
    os.waitpid(child, 0)

    assert output == b"it is\r\n"


def test_only_the_last_link_of_a_path_is_asked_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a directory that is sticky and everybody's: fs/namei.c asks about trailing links."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    monkeypatch.setattr(walk, "_is_protected", lambda _directory, _link: True)
    nothing = Object(0, 0, 0, 0, 0, b"")
    around = walk.Surroundings(
        0, 0, lambda _: False, lambda _: False, lambda _: None, lambda _: False, lambda _: False, lambda _: nothing
    )
    start = os.open(tmp_path, os.O_PATH)
    try:
        ends = [walk.walk(start, path, around, walk.How(follow=True)) for path in (b"link/.", b"link", b"link/")]
    finally:
        os.close(start)
    for end in ends:
        os.close(end.fd)

    assert [end.error for end in ends] == [0, EACCES, EACCES]


@pytest.mark.parametrize(
    ("where", "path", "resolve", "expected"),
    [
        ("/proc", "/self/stat", IN_ROOT, 0),
        ("/proc", "self/stat", BENEATH, 0),
        ("/proc", "/thread-self/stat", IN_ROOT, 0),
        ("/usr", "none/none", BENEATH, ENOENT),
        ("/usr", "/../../none/none", IN_ROOT, ENOENT),
        ("/usr", "bin/env/none", BENEATH, ENOTDIR),
    ],
)
async def test_paths_that_are_confined_end_where_they_do_without_us(
    where: str, path: str, resolve: int, expected: int
) -> None:
    script = f"""
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
start = os.open({where!r}, os.O_PATH)
fd = libc.syscall(437, start, {path!r}.encode(), struct.pack("QQQ", 0, 0, {resolve}), 24)
print(ctypes.get_errno() if fd < 0 else int(os.read(fd, 100).split()[0]) - os.getpid())
"""
    assert await output_of(ALLOW, python(script)) == f"{expected}\n"
