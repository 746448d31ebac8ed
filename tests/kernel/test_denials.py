"""A program reads why its calls were refused; whatever it does with the connection disturbs nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor.events.denials import CAPACITY, DenialLines
from monitor.events.opening import opened_fd, opened_pair
from monitor.origin import Origin
from monitor.policy.text import loads
from tests.conftest import require
from tests.events.made import answered

HEAD = """
[policy]
version = 1
name = "told"
syscalls-default = "allow"
known-as-of = "6.1"

[[syscalls]]
names = ["socket"]
when = "domain == AF_UNIX"
action = "allow"

[[syscalls]]
names = ["socket"]
when = "domain == AF_NETLINK"
action = "deny"
errno = "EAFNOSUPPORT"
reason = "no odd socket families"
"""

FILES = """
[files]
read = ["/"]
write = ["{tree}/open", "{tree}/hidden/known"]
deny = ["{tree}/closed"]
hide = ["{tree}/hidden"]
exec = "unverified"
unix = "unmediated"

[[files.rules]]
paths = ["{tree}/missing"]
action = "deny"
errno = "ENOENT"
reason = "as if it were not there"
"""

PRELUDE = """
import errno, json, os, select, signal, socket, sys, threading
FD = int(os.environ["SECCOMP_MONITOR_DENIALS"])
ENDS = os.fdopen(os.dup(FD), "rb", buffering=0)
def told():
    assert select.select([ENDS], [], [], 5)[0], "nothing came"
    return json.loads(ENDS.readline())
def refused(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "nothing"
"""


def policy(tree: Path | None = None) -> monitor.Policy:
    files = "" if tree is None else FILES.format(tree=tree)
    return loads(HEAD + files, Origin("/somewhere/secret/policy.toml"))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", PRELUDE + textwrap.dedent(code)]


async def outcome(
    argv: Sequence[str],
    given: monitor.Policy | None = None,
    handlers: Sequence[monitor.Handler] = (),
    **launch: Any,
) -> tuple[int, str]:
    """Run a program that is told of its refusals; its status and what it printed."""
    program = monitor.Launch(argv, denials=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **launch)
    async with monitor.supervise(program, policy=given, handlers=handlers) as run:
        printed = b""
        async for chunk in run.stdout:
            printed += chunk
        return await run.wait(), printed.decode()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("open", "closed", "hidden", "missing"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    return tmp_path


async def test_a_python_program_reads_which_rule_it_was_and_what_would_be_allowed() -> None:
    code = """
        print(refused(socket.socket, socket.AF_NETLINK))
        line = told()
        print(json.dumps(line))
        """
    status, printed = await outcome(python(code), policy())
    said, line = printed.splitlines()
    found = json.loads(line)

    assert (status, said) == (0, "EAFNOSUPPORT")
    assert isinstance(found.pop("tid"), int)
    assert abs(found.pop("ts") - time.time()) < 60
    assert found == {
        "schema": 1,
        "seq": 0,
        "event": "denial",
        "arch": "x86_64",
        "nr": 41,
        "syscall": "socket",
        "decoded": {"domain": "AF_NETLINK", "type": "SOCK_STREAM|SOCK_CLOEXEC", "protocol": "NETLINK_ROUTE"},
        "path": None,
        "address": None,
        "verdict": "deny",
        "errno": 97,
        "errno_name": "EAFNOSUPPORT",
        "by": "policy",
        "rule": "syscalls[1]",
        "reason": "no odd socket families",
        "when": "domain == AF_NETLINK",
        "access": None,
        "allowed": ["domain == AF_UNIX"],
        "more": 0,
    }


async def test_a_shell_reads_it_too(tree: Path) -> None:
    script = f'echo x > {tree}/closed/new; read -r line <&"$SECCOMP_MONITOR_DENIALS"; echo "$line"'
    _, printed = await outcome(["sh", "-c", script], policy(tree))
    found = json.loads(printed.splitlines()[-1])

    assert (found["path"], found["errno_name"]) == (f"{tree}/closed/new", "EACCES")
    assert found["access"] in {"create", "write"}  # it asks for both, and both are refused
    assert (found["rule"], found["allowed"]) == ("files.deny[0]", [f"{tree}/open"])
    assert "secret" not in printed


async def test_of_what_is_hidden_there_is_no_word(tree: Path) -> None:
    """Nor of what is refused as if it were not there: the last line comes first."""
    code = f"""
        for name in ("hidden", "hidden/file", "hidden/no", "hidden/../open/file", "missing/file", "open/no"):
            print(refused(open, "{tree}/" + name))
        print(refused(open, "{tree}/hidden/new", "w"), refused(os.rename, "{tree}/hidden", "{tree}/open/x"))
        print(refused(os.mkdir, "{tree}/hidden"), sorted(os.listdir("{tree}")))
        print(refused(os.mkdir, "{tree}/closed/new"))
        line = told()
        print(line["seq"], line["path"], line["allowed"])
        """
    status, printed = await outcome(python(code), policy(tree))

    assert (status, printed.splitlines()) == (
        0,
        [
            *["ENOENT"] * 6,
            "EACCES ENOENT",
            "EACCES ['closed', 'missing', 'open']",
            "EACCES",
            f"0 {tree}/closed/new ['{tree}/open']",
        ],
    )


async def test_a_handlers_refusal_is_told_without_its_name() -> None:
    secret = monitor.Handler.of("mkdir", lambda _call: monitor.Deny(EACCES), name="internal_name")
    code = "print(refused(os.mkdir, '/tmp/x')); print(json.dumps(told()))"
    _, printed = await outcome(python(code), None, [secret])
    said, line = printed.splitlines()
    found = json.loads(line)

    assert said == "EACCES"
    assert (found["by"], found["rule"], found["reason"], found["allowed"]) == ("handler", None, None, [])
    assert "internal_name" not in line


async def test_what_others_want_to_see_of_descriptors_is_not_told(tmp_path: Path) -> None:
    """A name in our view of the file system, which a program in a root of its own does not know."""

    class Curious:
        wish = monitor.Wish(look=monitor.Look(fd_paths=True))

        def __call__(self, event: monitor.Event) -> None:
            if isinstance(event, monitor.CallAnswered) and event.rendered is not None:
                seen.append(str(event.rendered))

    seen: list[str] = []
    program = monitor.Launch(
        python("fd = os.open('/etc', os.O_RDONLY); refused(os.fchmod, fd, 0); print(json.dumps(told()))"),
        denials=True,
        stdout=subprocess.PIPE,
    )
    handler = monitor.Handler.of("fchmod", lambda _call: monitor.Deny(EACCES))
    async with monitor.supervise(program, handlers=[handler], events=Curious()) as run:
        printed = b"".join([chunk async for chunk in run.stdout])

    assert any("</etc>" in text for text in seen)
    assert "/etc" not in json.loads(printed)["decoded"]["fd"]


@pytest.mark.root
async def test_in_a_pid_namespace_of_its_own_no_number_of_ours_is_told() -> None:
    code = "refused(socket.socket, socket.AF_NETLINK); print(told()['tid'])"
    require("pid namespaces", os.geteuid() == 0)
    _, printed = await outcome(python(code), policy(), namespaces={"pid"})

    assert printed == "None\n"


async def test_the_number_is_the_lowest_that_is_free_and_off_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECCOMP_MONITOR_DENIALS", "77")  # of who supervises us
    show = ["sh", "-c", "echo $SECCOMP_MONITOR_DENIALS; ls /proc/self/fd | wc -l"]
    off = monitor.Launch(show, stdout=subprocess.PIPE)
    async with monitor.supervise(off) as run:
        assert b"".join([chunk async for chunk in run.stdout]).split() == [b"4"]

    null = os.open("/dev/null", os.O_RDONLY)
    _, printed = await outcome(show, fds={3: null, 5: null})
    os.close(null)
    assert printed.split() == ["4", "7"]


async def test_children_share_it() -> None:
    code = """
        child = os.fork()
        refused(socket.socket, socket.AF_NETLINK)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        print(len({told()["tid"], told()["tid"]}))
        """
    assert await outcome(python(code), policy()) == (0, "2\n")


def our_ends() -> set[Path]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the fd of this very listing
            found.add(entry.readlink())
    return found


async def test_its_end_is_the_end_of_the_supervision() -> None:
    """As of any connection; and a program that outlives us is not held up by it."""
    program = monitor.Launch(["sleep", "100"], denials=True)
    ends: list[int] = []
    async with monitor.supervise(program) as run:
        theirs = Path(f"/proc/{run.pid}/fd/3").readlink()
        assert theirs not in our_ends(), "it is the program's alone"
        ends.append(os.open(f"/proc/{run.pid}/fd", os.O_RDONLY))
        assert Path(f"/proc/{run.pid}/fd/3").readlink().name.startswith("socket:")
    os.close(ends[0])


MISCHIEF: Mapping[str, str] = {
    "closes": "os.close(FD); ENDS.close()",
    "shuts down": "s = socket.socket(fileno=FD); s.shutdown(socket.SHUT_RDWR)",
    "shuts down its own side": "s = socket.socket(fileno=FD); s.shutdown(socket.SHUT_WR)",
    "writes": "signal.signal(13, signal.SIG_IGN); print(refused(os.write, FD, b'x' * 99))",
    "never reads": "pass",
    "sends descriptors": "s = socket.socket(fileno=FD); print(refused(socket.send_fds, s, [b'x'], [0, 1, 2]))",
    "shrinks it": "s = socket.socket(fileno=FD); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)",
    "puts another over it": "os.dup2(os.open('/dev/full', os.O_RDWR), FD); os.close(ENDS.fileno())",
    "wants signals of it": "signal.signal(signal.SIGIO, signal.SIG_IGN); import fcntl; fcntl.fcntl(FD, fcntl.F_SETOWN, "
    "os.getpid()); fcntl.fcntl(FD, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)",
    "peeks without end": "s = socket.socket(fileno=os.dup(FD)); s.setsockopt(1, 42, 0)\n"
    "        threading.Thread(target=lambda: [s.recv(1, socket.MSG_PEEK) for _ in range(300)]).start()",
    "lets ten children read": "[os.fork() or ([os.read(FD, 7) for _ in range(99)], os._exit(0)) for _ in range(10)]",
    "reads a byte at a time": "threading.Thread(target=lambda: [os.read(FD, 1) for _ in range(300)]).start()",
}


@pytest.mark.parametrize("mischief", MISCHIEF)
async def test_nothing_that_it_does_with_it_holds_its_calls_up(mischief: str, open_fds: Callable[[], set[str]]) -> None:
    before = open_fds()
    code = f"""
        {MISCHIEF[mischief]}
        for _ in range(3000):
            refused(os.mkdir, "/tmp/x")
        print("done", flush=True)
        os._exit(0)
        """
    handler = monitor.Handler.of("mkdir", lambda _call: monitor.Deny(EACCES))
    with trio.fail_after(30):
        status, printed = await outcome(python(code), None, [handler])

    assert (status, printed.splitlines()[-1]) == (0, "done")
    assert open_fds() == before


async def test_a_program_that_reads_late_finds_the_place_of_what_is_missing() -> None:
    code = """
        for _ in range(4000):
            refused(os.mkdir, "/tmp/x")
        events = []
        while "dropped" not in events:
            line = told()
            events.append(line["event"])
        print(len(events) - 1 + line["count"], len(events) - 1 == line["seq"])
        """
    handler = monitor.Handler.of("mkdir", lambda _call: monitor.Deny(EACCES))

    status, printed = await outcome(python(code), None, [handler])

    # It reads when it has its last answer, and then the line about that may come behind the mark.
    assert (status, printed) in {(0, "4000 True\n"), (0, "3999 True\n")}


@pytest.mark.root
def test_a_read_that_never_ends_holds_up_nobody(compiled: Callable[..., str]) -> None:
    """
    The story: a program reads into memory whose page does not come, and asks for something that is refused.

    Of a pipe it holds the lock meanwhile, and a write waits for it whatever the flags say; of a socket it holds
    a lock of its own.  The second half of this test is the first one's reason.
    """
    stuck = compiled("e_stuck")

    def read_from(fd: int) -> subprocess.Popen[bytes]:
        reader = subprocess.Popen([stuck, str(fd)], pass_fds=[fd], stdout=subprocess.PIPE)
        assert reader.stdout is not None
        said = reader.stdout.readline()
        if said != b"stuck\n":
            reader.kill()
            reader.wait()
            reader.stdout.close()
        require("userfaultfd", said == b"stuck\n")
        return reader

    def end(reader: subprocess.Popen[bytes]) -> None:
        reader.kill()
        reader.wait()
        assert reader.stdout is not None
        reader.stdout.close()

    ours, theirs = opened_pair("test")
    reader = read_from(theirs)
    lines = DenialLines(ours, with_tids=True)
    began = time.monotonic()
    for _ in range(3000):
        lines(answered())
        time.sleep(0.0001 if lines._lines.number == 1 else 0)
    assert time.monotonic() - began < 5
    assert len(lines._lines._held) <= CAPACITY
    end(reader)
    lines._lines.close()
    os.close(theirs)

    read, write = os.pipe()
    reader = read_from(read)
    pipe = opened_fd(write)
    pipe.write(b"x" * 100)
    time.sleep(0.2)
    waiting = threading.Thread(target=lambda: pipe.write(b"x"))
    waiting.start()
    waiting.join(0.5)
    was_waiting = waiting.is_alive()
    end(reader)
    waiting.join()
    pipe.close()
    os.close(read)

    assert was_waiting
