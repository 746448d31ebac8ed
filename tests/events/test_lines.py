"""Lines for a program: no reader is waited for, what it has no room for is dropped whole, and the place is marked."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import tracemalloc
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import monitor
from monitor.events.jsonl import JsonLines
from monitor.events.lines import Lines
from monitor.events.opening import Opened, opened_fd, opened_pair
from monitor.events.record import OutOfFds
from tests.events.made import answered

ROOT = Path(__file__).parents[2]


def numbered(number: int) -> monitor.Event:
    return OutOfFds(times=number)


def objects(data: bytes) -> list[dict[str, Any]]:
    assert data.endswith(b"\n") or not data
    return [json.loads(line) for line in data.splitlines()]


def small_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    return reader, writer


def read_all(fd: int) -> bytes:
    """Read until the end."""
    received = b""
    while chunk := os.read(fd, 65536):
        received += chunk
    return received


def read_some(fd: int) -> bytes:
    """Read what is there."""
    os.set_blocking(fd, False)
    received = b""
    try:
        while chunk := os.read(fd, 65536):
            received += chunk
    except BlockingIOError:
        pass
    os.set_blocking(fd, True)
    return received


# ---- where they go, and who closes it ----


def test_a_file_has_each_line_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("old\n")
    sink = JsonLines(path)
    sink(answered())

    assert [one["event"] for one in objects(path.read_bytes())] == ["call"]
    sink.close()


def test_an_fd_is_taken_over_and_closed_with_the_sink(tmp_path: Path, open_fds: Callable[[], set[str]]) -> None:
    before = open_fds()
    fd = os.open(tmp_path / "lines", os.O_WRONLY | os.O_CREAT)
    sink = JsonLines.to_fd(fd)
    sink(answered())
    assert len(open_fds() - before) == 1
    sink.close()
    sink.close()

    assert open_fds() == before
    assert len(objects((tmp_path / "lines").read_bytes())) == 1


def test_what_nobody_has_closed_is_closed_when_it_is_forgotten(
    tmp_path: Path, open_fds: Callable[[], set[str]]
) -> None:
    before = open_fds()
    sink = JsonLines(tmp_path / "lines")
    del sink

    assert open_fds() == before


@pytest.mark.parametrize("kind", ["read end", "directory", "datagrams", "eventfd", "master", "closed"])
def test_what_cannot_be_written_to_without_waiting_stays_the_callers(
    kind: str, tmp_path: Path, open_fds: Callable[[], set[str]]
) -> None:
    others: list[int] = []
    if kind == "read end":
        fd, other = os.pipe()
        others = [other]
    elif kind == "directory":
        fd = os.open(tmp_path, os.O_RDONLY)
    elif kind == "datagrams":
        fd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()
    elif kind == "eventfd":
        fd = os.eventfd(0)
    elif kind == "master":
        fd, other = pty.openpty()
        others = [other]
    else:
        fd = os.open(tmp_path, os.O_RDONLY)
        os.close(fd)
    before = open_fds()
    with pytest.raises(OSError, match=r"fd|Bad"):
        JsonLines.to_fd(fd)

    assert open_fds() == before
    for one in [*others, *([] if kind == "closed" else [fd])]:
        os.close(one)


def test_the_flags_of_a_shared_pipe_stay_as_they_are() -> None:
    """Whoever else writes there is not to meet EAGAIN."""
    reader, writer = small_pipe()
    shared = os.dup(writer)
    sink = JsonLines.to_fd(writer)
    for number in range(200):
        sink(numbered(number))

    assert not fcntl.fcntl(shared, fcntl.F_GETFL) & os.O_NONBLOCK
    assert sink.dropped == 0  # all is held
    os.close(shared)
    sink.close()
    os.close(reader)


def test_the_flags_of_a_shared_socket_stay_as_they_are() -> None:
    reader, writer = socket.socketpair()
    shared = writer.dup()
    sink = JsonLines.to_fd(writer.detach())
    for number in range(20_000):
        sink(numbered(number))

    assert not fcntl.fcntl(shared.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK
    assert sink.dropped
    shared.close()
    sink.close()
    reader.close()


def test_a_terminal_that_is_stopped_is_not_waited_for() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    shared = os.dup(slave)
    sink = JsonLines.to_fd(slave, capacity=1000)
    for number in range(2000):
        sink(numbered(number))

    assert sink.dropped
    assert not fcntl.fcntl(shared, fcntl.F_GETFL) & os.O_NONBLOCK
    assert json.loads(read_some(master).split(b"\n")[0])["seq"] == 0
    sink.close()
    os.close(shared)
    os.close(master)


@pytest.mark.parametrize("abstract", [False, True])
def test_a_socket_is_connected_to(abstract: bool, tmp_path: Path) -> None:
    name = f"@monitor-test-{os.getpid()}" if abstract else str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(b"\0" + name[1:].encode() if abstract else name)
        listening.listen()
        sink = JsonLines.to_socket(name)
        connection, _ = listening.accept()
        with connection:
            sink(answered())
            sink.close()

            assert [one["event"] for one in objects(read_all(connection.fileno()))] == ["call"]


def test_where_nobody_listens_is_an_error_at_once(tmp_path: Path, open_fds: Callable[[], set[str]]) -> None:
    before = open_fds()
    os.mkfifo(tmp_path / "fifo")
    for make in (
        lambda: JsonLines.to_socket(tmp_path / "nothing"),
        lambda: JsonLines.to_socket("@nobody-is-called-so"),
        lambda: JsonLines(tmp_path / "fifo"),
        lambda: JsonLines(tmp_path / "no" / "folder"),
    ):
        with pytest.raises(OSError, match=r"Errno"):
            make()

    assert open_fds() == before


def test_a_listener_with_a_full_queue_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen(0)
        waiting = [JsonLines.to_socket(tmp_path / "socket")]
        with pytest.raises(BlockingIOError):
            waiting.append(JsonLines.to_socket(tmp_path / "socket"))
        waiting[0].close()


# ---- readers that do not read ----


def test_what_is_missing_is_marked_where_it_is_missing() -> None:
    """Line by line: what was held comes first, then the mark, then what came after there was room again."""
    reader, writer = small_pipe()
    sink = JsonLines.to_fd(writer, capacity=2000)
    for number in range(100):
        sink(numbered(number))
    first = read_some(reader)
    sink(numbered(100))
    second = read_some(reader)
    sink.close()
    found = objects(first + second)
    marks = [one for one in found if one["event"] == "dropped"]

    assert [one["seq"] for one in found] == list(range(len(found)))
    assert [one["event"] for one in found[-2:]] == ["dropped", "error"]
    assert len(marks) == 1
    assert len(found) - 1 + marks[0]["count"] == 101
    assert marks[0]["count"] == sink.dropped
    os.close(reader)


class Reader:
    """A pipe without a kernel: takes as many bytes as it is told to have room for."""

    def __init__(self) -> None:
        self.room = 0
        self.received = b""
        self.largest = 0

    def write(self, data: Any) -> int:
        taken = bytes(data[: self.room])
        if not taken:
            raise BlockingIOError
        self.room -= len(taken)
        self.received += taken
        return len(taken)

    def lines(self, capacity: int) -> Lines:
        opened = Opened(-1, "reader", self.write, lambda: None)
        mark = "{} missing, {}\n".format
        return Lines(opened, capacity=capacity, mark=lambda count, number: mark(count, number).encode(), tell=None)


@given(
    capacity=st.integers(1, 600),
    steps=st.lists(st.one_of(st.integers(1, 400), st.integers(-300, -1)), max_size=60),
)
def test_lines_come_whole_and_in_order_and_those_that_do_not_are_counted(capacity: int, steps: list[int]) -> None:
    """A positive step is a line of that size, a negative one room for so many bytes."""
    reader = Reader()
    lines = reader.lines(capacity)
    put: list[bytes] = []
    for step in steps:
        if step < 0:
            reader.room -= step
            continue
        line = b"%d,%d" % (len(put), lines.number)
        put.append(line + b"." * (step - len(line)) + b"\n")
        if lines.ready():
            lines.put(put[-1])
        else:
            lines.drop()
        assert len(lines._held) <= max(capacity, 256, len(max(put, key=len)))
    reader.room = 1 << 20
    assert lines.ready()
    whole = reader.received.decode().splitlines()
    expected = 0
    for place, found in enumerate(whole):
        if "missing" in found:
            count, number = found.split(" missing, ")
            assert int(number) == place
            expected += int(count)
        else:
            assert found.encode() + b"\n" == put[expected]
            expected += 1

    assert expected == len(put)
    assert lines.number == len(whole)


def test_memory_stays_flat_before_a_reader_that_never_reads() -> None:
    reader, writer = small_pipe()
    sink = JsonLines.to_fd(writer, capacity=1 << 16)
    event = answered()
    for _ in range(1000):
        sink(event)
    tracemalloc.start()
    for _ in range(50_000):
        sink(event)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert grown < 200_000
    assert sink.dropped > 50_000
    sink.close()
    os.close(reader)


def test_an_event_that_will_be_dropped_is_not_even_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = small_pipe()
    sink = JsonLines.to_fd(writer, capacity=1000)
    for number in range(200):
        sink(numbered(number))

    def record_of(*_given: object) -> None:
        pytest.fail("formatted")

    monkeypatch.setattr("monitor.events.jsonl.record_of", record_of)
    sink(answered())
    sink.close()
    os.close(reader)


def test_a_reader_that_is_gone_is_told_once(tmp_path: Path) -> None:
    for make in ("pipe", "socket"):
        told: list[str] = []
        if make == "pipe":
            reader, writer = os.pipe()
        else:
            one, other = socket.socketpair()
            reader, writer = one.detach(), other.detach()
        sink = JsonLines.to_fd(writer, tell=told.append)
        os.close(reader)
        for _ in range(3):
            sink(answered())

        assert sink.closed
        assert isinstance(sink.failure, BrokenPipeError)
        assert told == [f"cannot write to fd {writer}: Broken pipe; the program goes on"]


def test_no_signal_ends_a_process_that_left_sigpipe_as_the_kernel_has_it() -> None:
    code = """
        import os, signal, monitor
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        reader, writer = os.pipe()
        sink = monitor.JsonLines.to_fd(writer, tell=print)
        os.close(reader)
        sink(monitor.OutOfFds(times=1))
        print(signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.sigpending(), flush=True)
        os.write(1, b"alive\\n")
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["False set()", "alive"]


def test_after_the_end_nothing_is_written_to_what_has_its_number_then(slow_pipe: tuple[int, int]) -> None:
    """What was held would go into whatever was opened since."""
    _, writer = slow_pipe
    sink = JsonLines.to_fd(writer)
    while not sink._lines._held:
        sink(answered())
    number = sink._lines._opened.fd
    sink.close()
    with tempfile.TemporaryFile() as other:
        os.dup2(other.fileno(), number)
        try:
            for _ in range(3):
                sink(answered())
                sink._lines.ready()
            assert os.fstat(number).st_size == 0
        finally:
            os.close(number)


def test_a_full_disk_is_told_once() -> None:
    told: list[str] = []
    sink = JsonLines("/dev/full", tell=told.append)
    for _ in range(3):
        sink(answered())

    assert told == ["cannot write to /dev/full: No space left on device; the program goes on"]
    assert sink.closed


# ---- in a run ----


@pytest.fixture
def slow_pipe() -> Iterator[tuple[int, int]]:
    reader, writer = small_pipe()
    yield reader, writer
    os.close(reader)


async def test_what_is_held_goes_out_as_soon_as_there_is_room_and_the_mark_behind_it(
    slow_pipe: tuple[int, int],
) -> None:
    """Nothing more happens in the run: it is the reader that comes back."""
    reader, writer = slow_pipe
    sink = JsonLines.to_fd(writer, capacity=6000)
    for number in range(300):
        sink(numbered(number))
    received = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.serve)
        with trio.fail_after(5):
            while b'"dropped"' not in received:
                await trio.lowlevel.wait_readable(reader)
                received += os.read(reader, 1000)
        nursery.cancel_scope.cancel()
    *found, mark = objects(received)
    sink.close()

    assert [one["message"] != "" and one["event"] for one in found] == ["error"] * len(found)
    assert mark["count"] + len(found) == 300


async def test_while_it_is_served_no_call_pays_for_looking_whether_there_is_room(slow_pipe: tuple[int, int]) -> None:
    reader, writer = slow_pipe
    tries: list[int] = []
    opened = opened_fd(writer)

    def write(data: Any) -> int:
        tries.append(len(data))
        return opened.write(data)

    counted = Opened(opened.fd, "pipe", write, opened.close)
    lines = Lines(counted, capacity=1000, mark=lambda count, _number: b"%d missing\n" % count, tell=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lines.serve)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(1000):
            if lines.ready():
                lines.put(b"x" * 99 + b"\n")
            else:
                lines.drop()
        tries_before_room = len(tries)
        received = b""
        with trio.fail_after(5):
            while b"missing" not in received:
                await trio.lowlevel.wait_readable(reader)
                received += os.read(reader, 500)
        lines.close()

    assert tries_before_room < 50
    assert received.endswith(b"%d missing\n" % (1000 - received.count(b"x" * 99)))


async def test_serving_ends_with_the_sink_and_costs_nothing_while_nothing_is_held(slow_pipe: tuple[int, int]) -> None:
    reader, writer = slow_pipe
    sink = JsonLines.to_fd(writer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.serve)
        nursery.start_soon(sink.serve)  # of another run
        await trio.testing.wait_all_tasks_blocked()
        for number in range(100):
            sink(numbered(number))
        await trio.testing.wait_all_tasks_blocked()
        sink.close()

    assert reader >= 0


async def test_a_run_gives_its_reader_time_for_the_rest_and_closes(slow_pipe: tuple[int, int]) -> None:
    reader, writer = slow_pipe
    received: list[bytes] = []

    def read() -> None:
        time.sleep(0.2)
        received.append(read_all(reader))

    thread = threading.Thread(target=read)
    sink = JsonLines.to_fd(writer)
    async with monitor.supervise(["true"], events=sink) as run:
        await run.wait()
        for number in range(200):
            sink(numbered(number))
        thread.start()
    thread.join()

    assert sink.closed
    assert sorted(one["event"] for one in objects(received[0])) == ["error"] * 200 + ["exit", "start"]


async def test_a_reader_that_does_not_read_delays_the_end_by_a_second(slow_pipe: tuple[int, int]) -> None:
    sink = JsonLines.to_fd(slow_pipe[1])
    async with monitor.supervise(["true"], events=sink) as run:
        await run.wait()
        for number in range(200):
            sink(numbered(number))
        begin = trio.current_time()

    assert 0.9 < trio.current_time() - begin < 2.0


async def test_a_launch_that_fails_closes_it_too(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "lines")
    with pytest.raises(monitor.LaunchError):
        async with monitor.supervise(["/no/such/program"], events=sink):
            pass

    assert sink.closed


async def test_in_a_block_of_its_own_it_serves_every_run(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "lines") as sink:
        for _ in range(2):
            async with monitor.supervise(["true"], events=sink) as run:
                await run.wait()
        assert not sink.closed
    events = [one["event"] for one in objects((tmp_path / "lines").read_bytes())]

    assert events == ["start", "exit"] * 2
    assert sink.closed


async def test_a_closed_one_cannot_be_given_to_a_run(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "lines")
    async with monitor.supervise(["true"], events=sink):
        pass
    with pytest.raises(ValueError, match="closed"):
        monitor.supervise(["true"], events=sink)


def test_there_has_to_be_room_for_something(tmp_path: Path, open_fds: Callable[[], set[str]]) -> None:
    before = open_fds()
    with pytest.raises(ValueError, match="at least 1"):
        JsonLines(tmp_path / "lines", capacity=0)

    assert open_fds() == before


# ---- a connection to a program that is not to be trusted ----


def test_a_pair_goes_one_way() -> None:
    ours, theirs = opened_pair("test")
    assert ours.write(b"line\n") == 5
    assert os.read(theirs, 100) == b"line\n"
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with pytest.raises(BrokenPipeError):
        os.write(theirs, b"x")
    signal.signal(signal.SIGPIPE, before)
    ours.close()

    assert os.read(theirs, 100) == b""
    os.close(theirs)
