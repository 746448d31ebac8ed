"""
What ``trace`` prints is what strace prints, line by line and thread by thread.

What it is not: a test of what the kernel fills, or of results: a call is told when it is made.
Ten real programs have to be equal in 95 of 100 lines, before any excuse; what differs then has to
be in the table of reasons below, and all of the table has to be needed.
"""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from attrs import frozen

from tests.conformance.compare import Comparison, Difference, compare
from tests.conformance.programs import Program, Tracer, ours, programs, strace
from tests.conformance.strace_lines import CLONES, Line, parse, tree
from tests.conftest import require

TEN: Final = ("ls", "bash", "git", "python", "gcc", "tar", "curl", "sqlite3", "find", "calls32")

ALL: Final = (*TEN, "widecalls")

STRACE_VERSION: Final = "strace -- version 6.1"
"""That of Debian 12.  Every version learns names and habits, so lines can be compared with one."""

EQUAL_AT_LEAST: Final = 0.95

NOISE_AT_MOST: Final = 0.005
"""How much two runs of strace may differ: less than any fault that is looked for."""


@frozen
class Reason:
    """
    Why a call may differ.

    Attributes:
        why: what strace does, what we do, and why that stays so.
        strace: a pattern in the call as strace shows it; ``^$`` for a call that it does not show.
        ours: likewise.
    """

    why: str
    strace: str
    ours: str

    def explains(self, difference: Difference) -> bool:
        """Whether *difference* is of this kind."""
        theirs, own = difference.texts
        return bool(re.search(self.strace, theirs) and re.search(self.ours, own))


LATER: Final = (
    "FALLOC_FL_WRITE_ZEROES",
    "FAN_REPORT_FD_ERROR",
    "F_GET_RW_HINT",
    "F_SET_RW_HINT",
    "MFD_NOEXEC_SEAL",
    "MOVE_MOUNT_BENEATH",
    "O_EMPTYPATH",
    "RWF_NOAPPEND",
    "SA_UNSUPPORTED",
)
"""Names that strace 6.1 does not know."""

REASONS: Final[tuple[Reason, ...]] = (
    Reason(
        why="the launch's own execve is told from what was asked for: its environment lies nowhere yet",
        strace=r"^execve\(.*\], ADDRESS /\* \d+ vars \*/\)$",
        ours=r"^execve\(.*\], \[/\* \d+ vars \*/\]\)$",
    ),
    *(
        Reason(why=f"strace has no name for {name}", strace=rf"^(?!.*\b{name}\b)\w", ours=rf"\b{name}\b")
        for name in LATER
    ),
    Reason(
        why="our own filter refuses a second listener, and a filter's refusal is not told",
        strace=r"^seccomp\(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, NULL\)$",
        ours=r"^$",
    ),
    Reason(why="a filter is given 32 bits of the number, strace has all 64", strace=r"^syscall_0xf{16}\(", ours=r"^$"),
    Reason(why="likewise", strace=r"^$", ours=r"^syscall_0xf{8}\("),
    Reason(
        why="what it restarts is told by the result of a call before, which we do not see",
        strace=r"^restart_syscall\(<\.\.\. resuming interrupted \w+ \.\.\.>\)$",
        ours=r"^restart_syscall\(\)$",
    ),
    Reason(
        why="strace reads these when the call has ended, and not at all if it failed",
        strace=r"^epoll_pwait2?\(99, _, 5, (-1, )?0x\w+, (NULL, )?8\)$",
        ours=r"^epoll_pwait2?\(99, _, 5, (\{.*\}, NULL|-1, ~\[KILL STOP RTMIN RT_1\]), 8\)$",
    ),
    Reason(
        why="strace has one list of AT_ flags for all calls; we name those that the call has",
        strace=r"^(linkat|newfstatat)\(.*\bAT_REMOVEDIR\b",
        ours=r"^(linkat|newfstatat)\((?!.*\bAT_REMOVEDIR\b)",
    ),
    Reason(
        why="strace names flags that only the kernel itself sets, and that were given up since",
        strace=r"\bMSG_SENDPAGE_NOTLAST\|MSG_BATCH\|MSG_NO_SHARED_FRAGS\b",
        ours=r"\bMSG_BATCH\|MSG_SOCK_DEVMEM\b",
    ),
    Reason(why="another architecture's flag", strace=r"^pkey_alloc\(.*PKEY_DISABLE_EXECUTE", ours=r"^pkey_alloc\("),
    Reason(
        why="a policy and a flag in one word; strace takes it for one number",
        strace=r"^sched_setscheduler\(2147483647, 0x40000077 /\* SCHED_\?\?\? \*/, ",
        ours=r"^sched_setscheduler\(2147483647, 0x77 /\* SCHED_\?\?\? \*/\|SCHED_RESET_ON_FORK, ",
    ),
    Reason(
        why="strace has words for the protocol of socket(2), and none here",
        strace=r"^socketpair\(AF_INET, SOCK_STREAM, 6, _\)$",
        ours=r"^socketpair\(AF_INET, SOCK_STREAM, IPPROTO_TCP, _\)$",
    ),
    Reason(
        why="strace has no words for a protocol that is 0",
        strace=r"^socket\(AF_BLUETOOTH, SOCK_SEQPACKET, 0\)$",
        ours=r"^socket\(AF_BLUETOOTH, SOCK_SEQPACKET, BTPROTO_L2CAP\)$",
    ),
    Reason(
        why="strace does not say what a descriptor is open on where it stands behind a pointer or a request",
        strace=r"^(ioctl\(99, BTRFS_IOC_CLONE or FICLONE, 5\)|mount_setattr\(.*, userns_fd=3\}, 32\))$",
        ours=r"^(ioctl\(99, BTRFS_IOC_CLONE or FICLONE, 5<.*>\)|mount_setattr\(.*, userns_fd=3<.*>\}, 32\))$",
    ),
    Reason(
        why="strace has no words for these flags",
        strace=r"^rseq\(_, 0x5, 0x1, ",
        ours=r"^rseq\(_, 0x5, RSEQ_FLAG_UNREGISTER, ",
    ),
)


class _Page(http.server.BaseHTTPRequestHandler):
    """Answers late, so that whoever asks always has to wait, and in one piece, so that it waits once."""

    def do_GET(self) -> None:
        """Answer with a short text."""
        time.sleep(0.1)
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a web server on the loopback interface."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.partition("\n")[0]


Options: TypeAlias = tuple[str, ...]

Traced = Callable[[str, Tracer, Options], str]

Compared = Callable[[str, Options], Comparison]

ALL_OPTIONS: Final[tuple[Options, ...]] = ((), ("-y", "-s", "200"))

BY_OPTIONS: Final = pytest.mark.parametrize("options", ALL_OPTIONS, ids=["plain", "-y -s 200"])


@pytest.fixture(scope="module")
def programs_by_name(port: int, compiled: Callable[..., str]) -> dict[str, Program]:
    """Every program, its tools found and its C compiled."""
    for tool in ("git", "gcc", "curl", "sqlite3", "tar", "find"):
        require(tool, shutil.which(tool) is not None)
    require(STRACE_VERSION, STRACE_VERSION in _first_line("strace", "--version"))
    return programs(port, compiled("t_calls32", "-m32", "-static"), compiled("t_widecalls", "-static", "-no-pie"))


@pytest.fixture(scope="module")
def traced(programs_by_name: dict[str, Program], public_directory: Path) -> Traced:
    """Return a function that runs a program under a tracer, once, and returns what was written."""

    @cache
    def run(name: str, tracer: Tracer, options: Options) -> str:
        return programs_by_name[name].run(tracer, public_directory / name, options)

    return run


@pytest.fixture(scope="module")
def compared(programs_by_name: dict[str, Program], traced: Traced) -> Compared:
    """Return a function that compares strace's run of a program with ours."""

    @cache
    def look(name: str, options: Options) -> Comparison:
        program = programs_by_name[name]
        return compare(*(program.calls(traced(name, tracer, options)) for tracer in (strace, ours)))

    return look


@pytest.mark.parametrize("name", ALL)
def test_two_runs_of_strace_are_equal(
    name: str, programs_by_name: dict[str, Program], traced: Traced, public_directory: Path
) -> None:
    """The floor of noise: a program that does not do the same twice would prove nothing."""
    program = programs_by_name[name]
    again = program.run(strace, public_directory / name)

    found = compare(program.calls(traced(name, strace, ())), program.calls(again))

    assert found.total > 100
    assert found.share >= 1 - NOISE_AT_MOST, str(found)


@pytest.mark.parametrize("name", ALL)
def test_threads_are_found_without_the_results_of_clones(name: str, traced: Traced) -> None:
    """A trace of entries does not tell them; where they are told, the guess is right."""
    lines = parse(traced(name, strace, ()))
    known = [line for line in lines if line.name not in CLONES or line.result.isdecimal()]

    without = [Line(line.tid, line.name, line.arguments, "?", line.written) for line in known]

    assert tree(without) == tree(lines)


@pytest.mark.seconds(60)
@pytest.mark.parametrize("name", TEN)
@BY_OPTIONS
def test_a_trace_is_equal_to_that_of_strace(name: str, options: Options, compared: Compared) -> None:
    found = compared(name, options)

    assert found.share >= EQUAL_AT_LEAST, str(found)


@pytest.mark.seconds(60)
@pytest.mark.parametrize("name", ALL)
@BY_OPTIONS
def test_what_differs_has_a_reason(name: str, options: Options, compared: Compared) -> None:
    found = compared(name, options)

    left = [one for one in found.differences if not any(reason.explains(one) for reason in REASONS)]

    assert not left, str(Comparison(found.total - len(left), tuple(left)))


@pytest.mark.seconds(60)
def test_every_reason_is_needed(compared: Compared) -> None:
    differences = [
        difference for name in ALL for options in ALL_OPTIONS for difference in compared(name, options).differences
    ]

    unused = [reason.why for reason in REASONS if not any(reason.explains(one) for one in differences)]

    assert unused == []
