"""The listener half of ``native/shim.h``, function by function: what each returns, and when."""

from __future__ import annotations

import os
import subprocess
from errno import EAGAIN, EBADF, EINPROGRESS, EINVAL, ENOENT, ENOTCONN, ENOTTY
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor._shim import ffi, lib
from monitor.abi.arch import Arch
from monitor.abi.seccomp import AddFdFlag
from monitor.abi.syscalls import number_of
from monitor.policy.notify_program import compile_notify
from monitor.sources.launch import start

NO_ID = 0xFFFF_FFFF_FFFF_FFF0


class Notified:
    """A program whose getppid(2) is notified, and the raw number of its listener."""

    def __init__(self, started: Any) -> None:
        """Hold *started*, whose owner ends it."""
        self.process = started.process
        self.listener = started.listener.fileno()
        self.buffer = ffi.new("char[]", 256)

    def receive(self, size: int = 80) -> int:
        """Call mon_listener_receive()."""
        return int(lib.mon_listener_receive(self.listener, self.buffer, size))

    def words(self) -> tuple[int, int]:
        """Return the id and the thread of what was received."""
        return int(ffi.cast("uint64_t *", self.buffer)[0]), int(ffi.cast("uint32_t *", self.buffer)[2])

    async def received(self) -> tuple[int, int]:
        """Wait for the next notification."""
        while (result := self.receive()) == -EAGAIN:
            await trio.sleep(0.001)
        assert result == 0
        return self.words()


@pytest.fixture
async def notified(compiled: Any) -> Any:
    """A running ``k_order``: five processes that ask one after the other."""
    getppid = number_of(Arch.native(), "getppid")
    assert getppid is not None
    started = await start(
        monitor.Launch([compiled("k_order")], stdout=subprocess.DEVNULL),
        compile_notify({Arch.native(): frozenset({getppid})}),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(started.process.watch)
        yield Notified(started)
        with trio.CancelScope(shield=True):
            await started.process.end(0)
        started.listener.close()


def test_the_kernel_tells_its_sizes() -> None:
    sizes = [ffi.new("uint16_t *") for _ in range(3)]

    assert lib.mon_listener_sizes(*sizes) == 0
    assert sizes[0][0] >= 80
    assert sizes[1][0] >= 24
    assert sizes[2][0] >= 64


@pytest.mark.parametrize("function", [lib.mon_listener_check, lambda fd: lib.mon_listener_set_flags(fd, 1)])
def test_what_is_no_listener_is_told(function: Any) -> None:
    reader, writer = os.pipe()
    try:
        assert function(reader) in {-ENOTTY, -EINVAL}
    finally:
        os.close(reader)
        os.close(writer)
    assert function(reader) == -EBADF
    assert function(-1) == -EBADF


def test_every_function_refuses_an_fd_that_is_not_open() -> None:
    sent = ffi.new("int *")
    buffer = ffi.new("char[]", 80)
    closed = 1 << 20

    assert lib.mon_listener_receive(closed, buffer, 80) == -EBADF
    assert lib.mon_listener_respond(closed, 1, 0, 0, 0) == -EBADF
    assert lib.mon_listener_exchange(closed, 1, 0, 0, 0, buffer, 80, sent) == -EBADF
    assert sent[0] == -EBADF
    assert lib.mon_listener_id_valid(closed, 1) == -EBADF
    assert lib.mon_listener_add_fd(closed, 1, 0, 0, 0, 0) == -EBADF


async def test_a_listener_is_recognised_and_takes_only_the_flags_it_knows(notified: Notified) -> None:
    assert lib.mon_listener_check(notified.listener) == 0
    assert lib.mon_listener_set_flags(notified.listener, 1) == 0
    assert lib.mon_listener_set_flags(notified.listener, 1 << 40) == -EINVAL


async def test_a_buffer_that_is_not_zero_is_no_error(notified: Notified) -> None:
    """To the kernel it is EINVAL; the shim cleans it."""
    ffi.buffer(notified.buffer)[:] = b"\xff" * 256

    ident, tid = await notified.received()

    assert lib.mon_listener_id_valid(notified.listener, ident) == 0
    assert Path(f"/proc/{tid}").exists()


async def test_an_id_is_valid_until_it_is_answered(notified: Notified) -> None:
    ident, _ = await notified.received()

    assert lib.mon_listener_id_valid(notified.listener, ident) == 0
    assert lib.mon_listener_id_valid(notified.listener, NO_ID) == -ENOENT
    assert lib.mon_listener_respond(notified.listener, ident, 1, 0, 0) == 0
    assert lib.mon_listener_id_valid(notified.listener, ident) == -ENOENT
    assert lib.mon_listener_respond(notified.listener, ident, 1, 0, 0) == -ENOENT


async def test_a_response_that_both_continues_and_returns_is_refused(notified: Notified) -> None:
    ident, _ = await notified.received()

    assert lib.mon_listener_respond(notified.listener, ident, 1, 0, 1) == -EINVAL
    assert lib.mon_listener_respond(notified.listener, ident, 0, -1, 1) == -EINVAL
    assert lib.mon_listener_id_valid(notified.listener, ident) == 0


async def test_an_exchange_sends_and_receives_and_tells_of_both(notified: Notified) -> None:
    first, _ = await notified.received()
    sent = ffi.new("int *", 7)
    await trio.lowlevel.wait_readable(notified.listener)

    assert lib.mon_listener_exchange(notified.listener, first, 1, 0, 0, notified.buffer, 80, sent) == 0
    assert sent[0] == 0
    assert notified.words()[0] == first + 1
    lib.mon_listener_exchange(notified.listener, first, 1, 0, 0, notified.buffer, 80, sent)
    assert sent[0] == -ENOENT


async def test_an_fd_cannot_be_added_before_the_notification_was_received(notified: Notified) -> None:
    """Ids count up: that of the next call is known, and its caller waits, but we have not looked."""
    first, _ = await notified.received()
    await trio.lowlevel.wait_readable(notified.listener)

    assert lib.mon_listener_add_fd(notified.listener, first + 1, 0, 0, 0, 0) == -EINPROGRESS


async def test_an_added_fd_leaves_the_call_waiting_unless_it_is_the_answer(notified: Notified) -> None:
    ident, tid = await notified.received()
    with Path("/dev/null").open() as source:
        number = lib.mon_listener_add_fd(notified.listener, ident, 0, source.fileno(), 0, os.O_CLOEXEC)
        assert Path(f"/proc/{tid}/fd/{number}").readlink() == Path("/dev/null")
        assert lib.mon_listener_id_valid(notified.listener, ident) == 0

        at = lib.mon_listener_add_fd(
            notified.listener, ident, AddFdFlag.SETFD | AddFdFlag.SEND, source.fileno(), number + 5, 0
        )
        assert at == number + 5
        assert lib.mon_listener_id_valid(notified.listener, ident) == -ENOENT


@pytest.mark.parametrize(
    ("flags", "number", "number_flags", "error"),
    [(1 << 5, 0, 0, EINVAL), (0, 9, 0, EINVAL), (0, 0, os.O_NONBLOCK, EINVAL), (AddFdFlag.SETFD, 1 << 30, 0, EBADF)],
    ids=["unknown flag", "number without SETFD", "O_NONBLOCK", "number above the limit"],
)
async def test_an_fd_that_cannot_be_added_leaves_the_call_waiting(
    notified: Notified, flags: int, number: int, number_flags: int, error: int
) -> None:
    ident, _ = await notified.received()

    assert lib.mon_listener_add_fd(notified.listener, ident, flags, 0, number, number_flags) == -error
    assert lib.mon_listener_id_valid(notified.listener, ident) == 0


async def test_a_source_fd_that_is_closed_or_o_path_is_ebadf(notified: Notified) -> None:
    ident, _ = await notified.received()
    fd = os.open("/", os.O_PATH)

    assert lib.mon_listener_add_fd(notified.listener, ident, 0, fd, 0, 0) == -EBADF
    os.close(fd)
    assert lib.mon_listener_add_fd(notified.listener, ident, 0, fd, 0, 0) == -EBADF
    assert lib.mon_listener_id_valid(notified.listener, ident) == 0


async def test_no_task_left_is_told_again_and_again(notified: Notified) -> None:
    ident, _ = await notified.received()
    notified.process.kill_tree()
    await notified.process.tree_gone.wait()

    assert [notified.receive() for _ in range(3)] == [-ENOTCONN] * 3
    assert lib.mon_listener_respond(notified.listener, ident, 0, 0, 0) == -ENOENT
    assert lib.mon_listener_add_fd(notified.listener, ident, 0, 0, 0, 0) == -ENOENT
