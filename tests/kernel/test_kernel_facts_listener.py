"""What the kernel's listener does, and what of it the package relies on."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import subprocess
from errno import EAGAIN, EBADF, EMFILE, ENOSYS, EPERM
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor._native import NO_TASK_LEFT, NOTHING_QUEUED
from monitor.abi.seccomp import MAX_ERRNO, RESTARTS

_ID, _TID, _SECOND = 0, 1, 7

RECEIVE = 0xC0502100
"""SECCOMP_IOCTL_NOTIF_RECV, include/uapi/linux/seccomp.h."""

NOBODY_WAITS = "anon_inode:seccomp notify"


def answering(verdict: monitor.Verdict) -> Any:
    """Return a handler that always says *verdict*."""

    @monitor.handles("getppid")
    def answer(_call: monitor.Call) -> monitor.Verdict:
        return verdict

    return answer


async def output_of(started: Any) -> bytes:
    """Return what the target still writes."""
    return b"".join([chunk async for chunk in started.process.streams[1]])


# ---- receiving ----


async def test_a_receive_without_a_notification_does_not_sleep(launched: Any) -> None:
    """The ioctl would: it ignores O_NONBLOCK.  So each receive looks first."""
    async with launched(["sleep", "60"], "getppid") as started:
        assert started.listener.receive() == NOTHING_QUEUED == -EAGAIN


async def test_a_caller_that_left_between_poll_and_receive_is_enoent_and_nothing_else_is_lost(
    launched: Any, received: Any, compiled: Any
) -> None:
    """
    Poll says that something is queued; a signal takes it away; the receive finds nobody.

    Told by the raw ioctl, because ``receive`` would poll again: ENOENT at once, no sleep, and the
    next notification is received as if nothing had been.
    """
    async with launched([compiled("k_signal"), "plain", "2"], "getppid") as started:
        await started.listener.wait()
        started.process.send_signal(signal.SIGSTOP)
        while Path(f"/proc/{started.process.pid}/stat").read_text().rpartition(") ")[2][0] != "T":
            await trio.sleep(0.001)
        with pytest.raises(FileNotFoundError):
            fcntl.ioctl(started.listener.fileno(), RECEIVE, bytearray(80))

        assert started.listener.receive() == NOTHING_QUEUED
        started.process.send_signal(signal.SIGCONT)
        for _ in range(2):
            started.listener.respond((await received(started.listener))[_ID], 4)
        assert await output_of(started) == b"8"


async def test_receiving_ends_when_the_last_task_is_gone(launched: Any, received: Any, compiled: Any) -> None:
    """POLLHUP: a receive that were only retried on ENOENT would never end."""
    async with launched([compiled("k_values"), "1"], "getppid") as started:
        started.listener.respond((await received(started.listener))[_ID], 0)
        await started.process.exited.wait()
        await started.listener.wait()

        assert started.listener.receive() == NO_TASK_LEFT
        assert started.listener.receive() == NO_TASK_LEFT


async def test_notifications_come_in_the_order_of_the_calls(launched: Any, received: Any, compiled: Any) -> None:
    """Each of five processes is made when the one before it has begun to wait."""
    async with launched([compiled("k_order")], "getppid") as started:
        notifications = [await received(started.listener)]
        while notifications[-1][_SECOND] != 5:
            notifications.append(await received(started.listener))
        for notification in notifications:
            started.listener.respond(notification[_ID], notification[_SECOND])
        await started.process.exited.wait()

    assert [notification[_SECOND] for notification in notifications] == [1, 2, 3, 4, 5]
    assert started.process.status == 0


async def test_a_listener_is_ours_alone_and_close_on_exec(launched: Any, received: Any, compiled: Any) -> None:
    """A copy in the target would let it answer itself, and keep its calls waiting when we are gone."""
    async with launched([compiled("k_values"), "1"], "getppid") as started:
        notification = await received(started.listener)
        links = [os.readlink(entry) for entry in Path(f"/proc/{notification[_TID]}/fd").iterdir()]  # noqa: PTH115
        ours = [
            entry.name
            for entry in Path("/proc/self/fd").iterdir()
            if entry.is_symlink() and os.readlink(entry) == NOBODY_WAITS  # noqa: PTH115
        ]

        assert NOBODY_WAITS not in links
        assert ours == [str(started.listener.fileno())]
        assert not os.get_inheritable(started.listener.fileno())


# ---- closing ----


async def test_a_closed_listener_is_enosys_for_the_waiting_call_and_all_later_ones(
    launched: Any, received: Any, compiled: Any
) -> None:
    async with launched([compiled("k_values"), "3"], "getppid") as started:
        await received(started.listener)
        started.listener.close()

        assert (await output_of(started)).split() == [b"%d" % -ENOSYS] * 3


async def test_a_duplicate_of_the_listener_keeps_calls_waiting_after_the_close(
    launched: Any, received: Any, compiled: Any
) -> None:
    """Why there is one copy with one owner."""
    async with launched([compiled("k_values"), "1"], "getppid") as started:
        notification = await received(started.listener)
        copy = os.dup(started.listener.fileno())
        started.listener.close()
        with trio.move_on_after(0.1) as patience:
            await started.process.exited.wait()
        assert patience.cancelled_caught

        with monitor.Listener.from_fd(copy) as second:
            second.respond(notification[_ID], 42)
            assert await output_of(started) == b"42\n"


async def test_closing_wakes_who_waits(launched: Any) -> None:
    async with launched(["sleep", "60"], "getppid") as started:
        with pytest.RaisesGroup(trio.ClosedResourceError):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(started.listener.wait)
                await trio.testing.wait_all_tasks_blocked()
                started.listener.close()


# ---- answering ----


async def test_every_errno_reaches_the_target_as_it_is(run_target: Any, compiled: Any) -> None:
    """1 to 4095, as a raw register; but for those that only the kernel itself may mean."""

    @monitor.handles("getppid")
    def answer(call: monitor.Call) -> monitor.Verdict:
        number = call.registers[1] + 1
        return monitor.Return(0) if number in RESTARTS else monitor.Deny(number)

    done = await run_target([compiled("k_values"), str(MAX_ERRNO)], [answer])

    expected = [0 if number in RESTARTS else -number for number in range(1, MAX_ERRNO + 1)]
    assert [int(line) for line in done.output.split()] == expected


async def test_every_value_reaches_the_target_as_it_is(run_target: Any, compiled: Any) -> None:
    values = [0, 1, -4096, 2**31, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**63, 0xDEADBEEFDEADBEEF]

    @monitor.handles("getppid")
    def answer(call: monitor.Call) -> monitor.Verdict:
        return monitor.Return(values[call.registers[1]])

    done = await run_target([compiled("k_values"), str(len(values))], [answer])

    assert [int(line) % 2**64 for line in done.output.split()] == [value % 2**64 for value in values]


async def test_an_answer_is_given_once(launched: Any, received: Any, compiled: Any) -> None:
    async with launched([compiled("k_values"), "1"], "getppid") as started:
        notification = await received(started.listener)
        started.listener.respond(notification[_ID], 1)

        with pytest.raises(monitor.TargetGone):
            started.listener.respond(notification[_ID], 2)
        assert await output_of(started) == b"1\n"


async def test_an_allowed_call_is_run_by_the_kernel(run_target: Any, compiled: Any) -> None:
    done = await run_target([compiled("k_values"), "1"], [answering(monitor.Allow())])

    parent = int(done.output)
    assert parent not in {0, os.getpid()}  # the guard, which has ended
    assert not Path(f"/proc/{parent}").exists()


# ---- putting a descriptor into the target ----


def injecting(path: Path, **options: Any) -> tuple[Any, list[int]]:
    """Return a handler that injects *path* opened anew, and the list of the fds it gave away."""
    given: list[int] = []

    @monitor.handles("getppid")
    def inject(_call: monitor.Call) -> monitor.Verdict:
        given.append(os.open(path, options.pop("flags", os.O_RDONLY) | os.O_CLOEXEC))
        return monitor.InjectFd(given[-1], **options)

    return inject, given


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to inject."""
    path = tmp_path / "file"
    path.write_text("injected")
    return path


@pytest.mark.parametrize("close_on_exec", [True, False])
async def test_an_injected_fd_has_the_number_that_is_returned_and_the_flag_that_was_asked_for(
    run_target: Any, compiled: Any, file: Path, open_fds: Any, close_on_exec: bool
) -> None:
    inject, _ = injecting(file, close_on_exec=close_on_exec)
    before = open_fds()

    done = await run_target([compiled("k_fds")], [inject])

    assert done.output == b"3 %d injected" % close_on_exec
    assert done.run.stats.injected == 1
    assert open_fds() == before


async def test_an_fd_is_injected_at_the_number_that_was_asked_for_and_replaces_what_is_there(
    run_target: Any, compiled: Any, file: Path
) -> None:
    for number in (17, 0):
        inject, _ = injecting(file, close_on_exec=True, at=number)
        done = await run_target([compiled("k_fds")], [inject])
        assert done.output == b"%d 1 injected" % number


async def test_a_number_above_the_targets_limit_is_ebadf(
    run_target: Any, compiled: Any, file: Path, open_fds: Any
) -> None:
    inject, _ = injecting(file, close_on_exec=True, at=1 << 30)
    before = open_fds()

    done = await run_target([compiled("k_fds")], [inject])

    assert done.output.startswith(b"%d " % -EBADF)
    assert open_fds() == before


async def test_an_o_path_fd_cannot_be_injected_and_that_is_told(
    run_target: Any, compiled: Any, file: Path, open_fds: Any
) -> None:
    inject, _ = injecting(file, close_on_exec=True, flags=os.O_PATH)
    told: list[monitor.Event] = []
    before = open_fds()

    done = await run_target([compiled("k_fds")], [inject], options={"events": told.append})

    assert done.output.startswith(b"%d " % -EPERM)
    assert [event.error.errno for event in told if isinstance(event, monitor.HandlerFailed)] == [EBADF]  # type: ignore[attr-defined]
    assert open_fds() == before


async def test_a_target_whose_table_is_full_sees_emfile(
    run_target: Any, compiled: Any, file: Path, open_fds: Any
) -> None:
    inject, _ = injecting(file, close_on_exec=True)
    before = open_fds()

    done = await run_target([compiled("k_fds"), "full"], [inject], rlimits={resource.RLIMIT_NOFILE: (20, 20)})

    assert done.output.startswith(b"%d " % -EMFILE)
    assert done.run.stats.denied == 1
    assert open_fds() == before


async def test_an_injection_answers_the_call(launched: Any, received: Any, compiled: Any, file: Path) -> None:
    """In one step: there is no moment in which the fd is there and the call may still fail."""
    async with launched([compiled("k_fds")], "getppid") as started:
        ident = (await received(started.listener))[_ID]
        with file.open() as source:
            assert started.listener.add_fd(ident, source.fileno(), close_on_exec=False) == 3
        with pytest.raises(monitor.TargetGone):
            started.listener.respond(ident, 0)
        assert await output_of(started) == b"3 0 injected"


# ---- killing ----


@pytest.mark.parametrize("thread", [[], ["thread"]], ids=["leader", "another thread"])
async def test_a_killed_target_runs_no_further_instruction(
    run_target: Any, compiled: Any, tmp_path: Path, thread: list[str]
) -> None:
    done = await run_target([compiled("k_kill"), str(tmp_path / "made"), *thread], [answering(monitor.Kill())])

    assert (done.status, done.output, done.run.stats.killed) == (128 + signal.SIGKILL, b"", 1)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("thread", [[], ["thread"]], ids=["leader", "another thread"])
async def test_a_signal_that_the_target_handles_comes_before_its_next_call(
    run_target: Any, compiled: Any, tmp_path: Path, thread: list[str]
) -> None:
    done = await run_target(
        [compiled("k_kill"), str(tmp_path / "made"), *thread], [answering(monitor.Kill(signal.SIGTERM))]
    )

    assert (done.status, done.output) == (3, b"terminated")
    assert thread or not (tmp_path / "made").exists()


# ---- several listeners, and listeners from elsewhere ----


async def test_several_listeners_in_one_program_do_not_mix(run_target: Any, compiled: Any) -> None:
    outputs: dict[int, bytes] = {}

    async def one(number: int) -> None:
        done = await run_target([compiled("k_values"), "200"], [answering(monitor.Return(number))])
        outputs[number] = done.output

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(one, number)

    assert outputs == {number: b"%d\n" % number * 200 for number in range(5)}


def hand_over(program: str, count: int, processes: int = 1) -> tuple[subprocess.Popen[bytes], int]:
    """Start ``k_handover.c``; its process, and the listener it sent (unix(7), SCM_RIGHTS)."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [program, str(theirs.fileno()), str(count), str(processes), *(["fast"] if processes > 1 else [])],
            pass_fds=[theirs.fileno()],
            stdout=subprocess.DEVNULL if processes > 1 else subprocess.PIPE,
            process_group=0,
        )
        _, [listener], _, _ = socket.recv_fds(ours, 1, 1)
    return process, listener


async def test_a_listener_that_came_over_a_socket_is_supervised_to_the_end(compiled: Any, open_fds: Any) -> None:
    before = open_fds()
    process, listener = hand_over(compiled("k_handover"), 3)
    with process:
        async with monitor.supervise(
            monitor.Listener.from_fd(listener), handlers=[answering(monitor.Return(8))]
        ) as run:
            await run.wait_all()
        assert process.communicate()[0] == b"8 8 8 "

    assert (run.stats.returned, process.returncode) == (3, 0)
    assert open_fds() == before


async def leave_after_the_first(process: subprocess.Popen[bytes], listener: int, on_leave: Any) -> bytes:
    """Answer one call and leave the block; what the target then wrote."""
    answered = trio.Event()

    @monitor.handles("getppid")
    async def first_only(_call: monitor.Call) -> monitor.Verdict:
        if answered.is_set():
            await trio.sleep_forever()
        answered.set()
        return monitor.Return(8)

    async with monitor.supervise(monitor.Listener.from_fd(listener), handlers=[first_only], on_leave=on_leave) as run:
        while run.stats.received < 2:
            await trio.sleep(0.001)
    return process.communicate()[0]


async def test_left_with_close_the_waiting_call_is_denied_and_later_ones_are_enosys(compiled: Any) -> None:
    process, listener = hand_over(compiled("k_handover"), 50_000)
    with process:
        output = await leave_after_the_first(process, listener, "close")

    answers = [int(word) for word in output.split()]
    assert answers[:2] == [8, -EPERM]
    assert set(answers[2:-1]) <= {-EPERM, -ENOSYS}  # denied if they were queued before the close
    assert (answers[-1], process.returncode) == (-ENOSYS, 0)


async def test_left_with_kill_the_processes_that_asked_are_killed(compiled: Any) -> None:
    process, listener = hand_over(compiled("k_handover"), 4)
    with process:
        output = await leave_after_the_first(process, listener, "kill")

    assert (output, process.returncode) == (b"8 ", -signal.SIGKILL)


async def test_leaving_a_listener_whose_targets_ask_without_end_ends(compiled: Any) -> None:
    """
    Several processes ask in a tight loop while the block is left.

    What is queued is denied first; a target that is denied asks again at once, so that something
    is always queued, and who denies until nothing is queued goes on for ever.
    """
    process, listener = hand_over(compiled("k_handover"), 100_000_000, 32)
    with process:
        async with monitor.supervise(
            monitor.Listener.from_fd(listener), handlers=[answering(monitor.Return(1))]
        ) as run:
            while run.stats.received < 100:
                await trio.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)


async def test_what_is_no_listener_is_refused_and_stays_the_callers() -> None:
    for path in ("/dev/null", "/proc/self/status", "/dev"):
        fd = os.open(path, os.O_RDONLY)
        with pytest.raises(OSError, match=r"ioctl|Invalid"):
            monitor.Listener.from_fd(fd)
        os.close(fd)  # raises if it had been closed
    with pytest.raises(OSError, match="Bad file"):
        monitor.Listener.from_fd(fd)
