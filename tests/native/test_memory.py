"""The memory half of ``native/shim.h``, function by function, and the process-wide rest."""

from __future__ import annotations

import signal
import subprocess
import sys
from errno import EACCES, EFAULT, ENAMETOOLONG, ENOENT, EPERM
from typing import Any

import pytest
import trio

import monitor
from monitor._shim import ffi, lib
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.policy.notify_program import compile_notify
from monitor.sources.launch import start

NO_ID = 0xFFFF_FFFF_FFFF_FFF0
BEYOND_EVERY_PID = 0x7FFFFFFF
SIZE = 8192


class Waiting:
    """A thread that waits, with "across the border" at *address*, in a page of which ten bytes are left."""

    def __init__(self, started: Any, notification: Any) -> None:
        """Hold both; their owner ends them."""
        self.process = started.process
        self.listener = started.listener.fileno()
        self.respond = started.listener.respond
        self.id, self.tid, self.address = notification[0], notification[1], notification[6]
        self.buffer = ffi.new("char[]", SIZE)

    def read(self, address: int, size: int, *, ident: int | None = None, tid: int | None = None) -> int:
        """Call mon_target_read()."""
        ident, tid = self._or_mine(ident, tid)
        return int(lib.mon_target_read(self.listener, ident, tid, address, self.buffer, size))

    def read_string(self, address: int, size: int) -> int:
        """Call mon_target_read_string()."""
        return int(lib.mon_target_read_string(self.listener, self.id, self.tid, address, self.buffer, size))

    def write(self, address: int, data: bytes, *, ident: int | None = None, tid: int | None = None) -> int:
        """Call mon_target_write()."""
        ident, tid = self._or_mine(ident, tid)
        return int(lib.mon_target_write(self.listener, ident, tid, address, data, len(data)))

    def _or_mine(self, ident: int | None, tid: int | None) -> tuple[int, int]:
        return self.id if ident is None else ident, self.tid if tid is None else tid

    def got(self, size: int) -> bytes:
        """Return the first *size* bytes of the buffer."""
        return bytes(ffi.buffer(self.buffer, size))


@pytest.fixture
async def waiting(compiled: Any) -> Any:
    """A thread that waits."""
    getppid = number_of(Arch.native(), "getppid")
    assert getppid is not None
    started = await start(
        monitor.Launch([compiled("k_memory"), "border"], stdout=subprocess.DEVNULL),
        compile_notify({Arch.native(): frozenset({getppid})}),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(started.process.watch)
        await started.listener.wait()
        yield Waiting(started, started.listener.receive())
        with trio.CancelScope(shield=True):
            await started.process.end(0)
        started.listener.close()


async def test_a_read_gives_the_bytes_and_their_count(waiting: Waiting) -> None:
    assert waiting.read(waiting.address, 10) == 10
    assert waiting.got(10) == b"across the"
    assert waiting.read(waiting.address, 0) == 0


async def test_a_read_is_short_where_the_mapping_ends(waiting: Waiting) -> None:
    """4090 bytes into the first of two pages; what follows them may be mapped as well, or not."""
    end = 0x7FFFFFFFE000

    assert waiting.read(end, SIZE) == -EFAULT
    assert 0 < waiting.read(waiting.address, SIZE) <= SIZE
    assert waiting.got(6) == b"across"


async def test_a_string_needs_its_nul_within_the_size(waiting: Waiting) -> None:
    length = len(b"across the border")

    assert waiting.read_string(waiting.address, length + 1) == length
    assert waiting.got(length) == b"across the border"
    assert waiting.read_string(waiting.address, length) == -ENAMETOOLONG
    assert waiting.read_string(waiting.address, 1) == -ENAMETOOLONG
    assert waiting.read_string(waiting.address, 0) == -ENAMETOOLONG
    assert waiting.read_string(waiting.address + length, 1) == 0


async def test_nothing_behind_the_size_is_written_to(waiting: Waiting) -> None:
    ffi.buffer(waiting.buffer)[:] = b"#" * SIZE

    waiting.read(waiting.address, 6)
    assert waiting.got(8) == b"across##"
    waiting.read_string(waiting.address, 5)
    assert waiting.got(8) == b"across##"


async def test_a_write_is_read_back(waiting: Waiting) -> None:
    assert waiting.write(waiting.address, b"ACROSS THE BOARD") == 16
    assert waiting.read(waiting.address, 16) == 16
    assert waiting.got(16) == b"ACROSS THE BOARD"
    assert waiting.write(waiting.address, b"") == 0


@pytest.mark.parametrize("address", [0, 1, 0xFFFFFFFF81000000, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFF600000, 1 << 63])
async def test_an_address_that_is_none_is_efault(waiting: Waiting, address: int) -> None:
    assert waiting.read(address, 8) == -EFAULT
    assert waiting.read_string(address, 8) == -EFAULT
    assert waiting.write(address, b"12345678") == -EFAULT


async def test_thread_0_is_eacces(waiting: Waiting) -> None:
    """It is the number of a thread outside our pid namespace."""
    assert waiting.read(waiting.address, 1, tid=0) == -EACCES
    assert waiting.write(waiting.address, b"x", tid=0) == -EACCES
    assert lib.mon_target_kill(waiting.listener, waiting.id, 0, signal.SIGTERM) == -EPERM
    assert waiting.read(waiting.address, 1, tid=-1) == -EACCES


async def test_a_wrong_id_makes_every_look_enoent(waiting: Waiting) -> None:
    """Whatever the thread's memory says: bytes that cannot be told to be the caller's are no result."""
    assert waiting.read(waiting.address, 1, ident=NO_ID) == -ENOENT
    assert waiting.write(waiting.address, b"X", ident=NO_ID) == -ENOENT
    assert waiting.read(0, 1, ident=NO_ID) == -ENOENT
    assert waiting.read(waiting.address, 1, ident=NO_ID, tid=0) == -ENOENT
    assert lib.mon_target_kill(waiting.listener, NO_ID, waiting.tid, signal.SIGKILL) == -ENOENT

    assert waiting.read(waiting.address, 1) == 1
    assert waiting.got(1) == b"a"  # the write did not arrive


async def test_a_thread_that_is_not_there_is_enoent(waiting: Waiting) -> None:
    assert waiting.read(waiting.address, 1, tid=BEYOND_EVERY_PID) == -ENOENT
    assert waiting.write(waiting.address, b"x", tid=BEYOND_EVERY_PID) == -ENOENT


async def test_a_kill_reaches_the_process(waiting: Waiting) -> None:
    assert lib.mon_target_kill(waiting.listener, waiting.id, waiting.tid, 0) == 0
    assert lib.mon_target_kill(waiting.listener, waiting.id, waiting.tid, 999) < 0
    assert lib.mon_target_kill(waiting.listener, waiting.id, waiting.tid, signal.SIGKILL) == 0
    await waiting.process.exited.wait()

    assert waiting.process.status == 128 + signal.SIGKILL
    assert lib.mon_target_kill(waiting.listener, waiting.id, waiting.tid, signal.SIGKILL) == -ENOENT


async def test_no_look_leaves_an_fd_open(waiting: Waiting, open_fds: Any) -> None:
    before = open_fds()

    for address in (waiting.address, 0, 1 << 63):
        for ident in (waiting.id, NO_ID):
            waiting.read(address, 8, ident=ident)
            waiting.write(address, b"x", ident=ident)
            waiting.read_string(address, 8)
            lib.mon_target_kill(waiting.listener, ident, waiting.tid, 0)

    assert open_fds() == before


def test_dumpable_is_what_was_set() -> None:
    """In a process of its own: it stays."""
    code = """if True:
        from monitor._shim import lib
        print(lib.mon_get_dumpable(), lib.mon_set_dumpable(0), lib.mon_get_dumpable(), lib.mon_set_dumpable(5))
    """

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert output == b"1 0 0 -22\n"


def test_landlock_tells_its_version_or_why_there_is_none() -> None:
    """What /sys says must agree, where it can be read."""
    version = lib.mon_landlock_abi()

    try:
        with open("/sys/kernel/security/lsm") as file:  # noqa: PTH123
            assert (version > 0) == ("landlock" in file.read().split(","))
    except (FileNotFoundError, PermissionError):
        assert version != 0
