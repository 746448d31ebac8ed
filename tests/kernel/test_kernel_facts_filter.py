"""What a filter of ours holds against its target, with the supervisor alive and without it."""

from __future__ import annotations

import signal
import subprocess
import sys
from errno import EBUSY, EINTR, ENOSYS, EPERM
from pathlib import Path
from typing import Any

import pytest

import monitor
from monitor.abi.arch import Arch
from monitor.abi.seccomp import OFFSET_NR, RetValue
from monitor.abi.syscalls import number_of
from monitor.policy.action import Deny
from monitor.policy.bpf import Instruction, Op, Program
from monitor.policy.compile import compile_policy
from monitor.policy.model import Policy, Rule
from tests.conftest import require

_ID = 0


def never(call: monitor.Call) -> monitor.Verdict:
    """Stand for a handler that must not be asked."""
    message = f"{call} was notified"
    raise AssertionError(message)


def refusing(*names: str) -> tuple[Any, list[str]]:
    """Return a handler that denies, and the list of what it saw."""
    seen: list[str] = []

    @monitor.handles(*names)
    def refuse(call: monitor.Call) -> monitor.Verdict:
        seen.append(call.name)
        return monitor.Deny(EPERM)

    return refuse, seen


async def take_over(launched: Any, received: Any, compiled: Any, path: Path, program: Program | None) -> list[int]:
    """Run the attack of ``k_takeover.c``; what the kernel said to each try, and whether the file was made."""
    async with launched([compiled("k_takeover"), str(path)], "mkdir", program=program) as started:
        notification = await received(started.listener)
        started.listener.respond(notification[_ID], 0, -EPERM)
        started.listener.close()  # the supervisor is gone, the target goes on
        output = b"".join([chunk async for chunk in started.process.streams[1]])
    return [int(word) for word in output.split()]


async def test_a_target_cannot_install_a_listener_of_its_own_even_after_ours_is_closed(
    launched: Any, received: Any, compiled: Any, tmp_path: Path
) -> None:
    """
    The take-over: with our listener closed the kernel no longer says EBUSY to a second one.

    Of two filters that notify the newer wins: the target would answer its own calls, and the
    kernel would run what we had refused.  Our filter refuses the second listener itself.
    """
    path = tmp_path / "taken"

    assert await take_over(launched, received, compiled, path, None) == [EBUSY, EBUSY, -1]
    assert not path.exists()


async def test_without_our_rule_the_take_over_succeeds(
    launched: Any, received: Any, compiled: Any, tmp_path: Path
) -> None:
    """The control: the attack works, so that the test above can fail."""
    mkdir = number_of(Arch.native(), "mkdir")
    assert mkdir is not None
    naive = Program(
        [
            Instruction(Op.LD_ABS, OFFSET_NR),
            Instruction(Op.JEQ_K, mkdir, jt=0, jf=1),
            Instruction(Op.RET_K, RetValue.USER_NOTIF),
            Instruction(Op.RET_K, RetValue.ALLOW),
        ]
    )
    path = tmp_path / "taken"

    assert await take_over(launched, received, compiled, path, naive) == [EBUSY, 0, 0]
    assert path.exists()


@pytest.mark.parametrize(
    ("returned", "seen", "result"),
    [
        ("7fff0000", ["mkdir"], -EPERM),  # ALLOW
        ("7ffc0000", ["mkdir"], -EPERM),  # LOG
        ("7ff00000", ["mkdir"], -EPERM),  # TRACE
        ("50000", [], 0),  # ERRNO 0: a success that is none
        ("5000d", [], -13),  # ERRNO EACCES
        ("7fc00000", [], -ENOSYS),  # USER_NOTIF, with no listener
    ],
    ids=["allow", "log", "trace", "errno 0", "errno", "notify"],
)
async def test_a_targets_own_newer_filter_never_gives_it_more_rights(
    run_target: Any, compiled: Any, tmp_path: Path, returned: str, seen: list[str], result: int
) -> None:
    """It can hide a call from us, and then the call is not executed."""
    refuse, asked = refusing("mkdir")

    done = await run_target([compiled("k_filter"), str(tmp_path / "made"), returned], [refuse])

    assert (asked, int(done.output), done.status) == (seen, result, 0)
    assert not (tmp_path / "made").exists()


async def test_i386_and_x32_calls_are_refused_with_enosys_and_odd_numbers_run_into_it(
    run_target: Any, compiled: Any, tmp_path: Path
) -> None:
    """A filter that compares numbers alone would let mkdir of another ABI run unseen."""
    done = await run_target([compiled("k_abi"), str(tmp_path / "made")], [monitor.Handler.of("mkdir", never)])

    assert [int(word) for word in done.output.split()] == [-ENOSYS] * 4
    assert not (tmp_path / "made").exists()


async def test_numbers_that_no_call_has_are_notified_where_everything_is(
    run_target: Any, compiled: Any, tmp_path: Path
) -> None:
    """-1 is what a tracer skips a call with; the kernel answers it itself."""
    names: list[str] = []

    @monitor.handles("all")
    def answer(call: monitor.Call) -> monitor.Verdict:
        if call.name.startswith("syscall_"):
            names.append(call.name)
            return monitor.Return(77)
        return monitor.Allow()

    done = await run_target([compiled("k_abi"), str(tmp_path / "made")], [answer])

    assert "syscall_0x270f" in names
    assert done.output.split()[:2] == [b"%d" % -ENOSYS] * 2
    assert done.output.split()[3] == b"77"


async def test_a_whole_program_of_i386_is_refused(run_target: Any, compiled: Any, tmp_path: Path) -> None:
    probe = subprocess.run(
        ["gcc", "-m32", "-static", "-nostdlib", "-x", "c", "-o", "/dev/null", "-"],
        input=b"void _start(void) {}",
        capture_output=True,
        check=False,
    )
    require("gcc -m32", probe.returncode == 0)

    program = compiled("k_i386", "-m32", "-static", "-nostdlib", "-ffreestanding")
    assert subprocess.run([program], cwd=tmp_path, check=False).returncode == -signal.SIGTRAP  # it works by itself
    (tmp_path / "i386").rmdir()
    done = await run_target([program], [monitor.Handler.of("mkdir", never)], cwd=tmp_path)

    assert done.status == 128 + signal.SIGILL
    assert not (tmp_path / "i386").exists()


async def test_where_other_abis_are_let_in_their_calls_reach_the_same_handlers(
    run_target: Any, compiled: Any, tmp_path: Path
) -> None:
    seen: list[str] = []

    @monitor.handles("mkdir")
    def answer(call: monitor.Call) -> monitor.Verdict:
        seen.append(f"{call.arch.table if call.arch else '?'} {call}")
        return monitor.Deny(EPERM)

    words = [compiled("k_abi"), str(tmp_path / "made")]
    done = await run_target(words, [answer], other_abis=True)

    # The path in i386's low memory is read as well.  A kernel without x32 refuses the call before its filters run.
    assert seen[0] == f'i386 mkdir("{tmp_path}/made", 0700)'
    assert [line.split()[0] for line in seen[1:]] in ([], ["x32"])
    assert [int(word) for word in done.output.split()] == [-EPERM, -EPERM if seen[1:] else -ENOSYS, -ENOSYS, -ENOSYS]
    assert not (tmp_path / "made").exists()


async def test_the_filter_is_inherited_by_every_child(run_target: Any, compiled: Any) -> None:
    """By fork(2), by vfork(2), and by posix_spawn(3), which executes a program."""
    asked: list[tuple[int, int]] = []

    @monitor.handles("getppid")
    def answer(call: monitor.Call) -> monitor.Verdict:
        asked.append((call.registers[1], call.pid))
        return monitor.Return(call.registers[1])

    done = await run_target([compiled("k_spawn")], [answer])

    assert done.status == 0
    assert [number for number, _ in asked] == [1, 2, 3]
    assert len({pid for _, pid in asked} | {done.run.pid}) == 4


_RESTARTING = """
import ctypes, signal, sys, time
syscall = ctypes.CDLL(None, use_errno=True).syscall
number, nr = int(sys.argv[1]), int(sys.argv[2])
syscall(nr)
print(ctypes.get_errno())
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
deadline, seen = time.monotonic() + 20, set()
while time.monotonic() < deadline and len(seen) < 2:
    syscall(nr)
    seen.add(ctypes.get_errno())
print(*sorted(seen))
"""


@pytest.mark.parametrize("number", [512, 514, 516])
async def test_a_filter_that_returns_a_restarting_errno_shows_it_or_eintr_as_signals_come(
    launched: Any, number: int
) -> None:
    """Why no program runs under such a policy: what it would see depends on when a signal comes."""
    nr = number_of(Arch.native(), "getpgrp")
    assert nr is not None
    program = compile_policy(Policy("p", rules=[Rule(["getpgrp"], Deny(number))]), [Arch.native()]).program
    words = [sys.executable, "-c", _RESTARTING, str(number), str(nr)]
    async with launched(words, "getsid", program=program) as started:
        output = b"".join([chunk async for chunk in started.process.streams[1]]).decode()

    assert output == f"{number}\n{EINTR} {number}\n"
