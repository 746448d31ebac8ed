"""Lines reach their file whole, and one that cannot be written ends the output and nothing else."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.events.output import Output


@pytest.fixture
def told() -> list[str]:
    return []


def test_a_line_is_written_at_once_and_whole(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "lines"
    with Output.to_file(str(path), told.append) as output:
        output.write_line("one")
        first = path.read_text()
        output.write_line("two \udcff")

    assert first == "one\n"
    assert path.read_bytes() == b"one\ntwo \xff\n"
    assert not told


def test_a_file_is_written_over_and_is_not_the_programs(
    tmp_path: Path, told: list[str], open_fds: Callable[[], set[str]]
) -> None:
    path = tmp_path / "lines"
    path.write_text("old and long\n")
    before = open_fds()
    with Output.to_file(str(path), told.append) as output:
        (new,) = open_fds() - before
        assert not os.get_inheritable(int(new.split()[0]))
        output.write_line("new")

    assert path.read_text() == "new\n"
    assert open_fds() == before


def test_a_full_disk_is_told_once(told: list[str]) -> None:
    with Output.to_file("/dev/full", told.append) as output:
        output.write_line("one")
        output.write_line("two")

        assert not output.is_open
    assert told == ["cannot write to /dev/full: No space left on device; the program goes on"]


def test_a_closed_pipe_ends_the_output_and_leaves_a_borrowed_fd_open() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    output = Output(writer, "pipe", owned=False)
    output.write_line("one")
    output.write_line("two")

    assert not output.is_open
    os.close(writer)


def test_a_full_pipe_that_somebody_made_non_blocking_is_waited_for() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    received = bytearray()

    def read() -> None:
        time.sleep(0.05)
        while chunk := os.read(reader, 1000):
            received.extend(chunk)

    output = Output(writer, "pipe", owned=True)
    output.write_line("a" * 4000)
    thread = threading.Thread(target=read)
    thread.start()
    output.write_line("b" * 20_000)
    output.close()
    thread.join()
    os.close(reader)

    assert received == b"a" * 4000 + b"\n" + b"b" * 20_000 + b"\n"


def test_what_cannot_be_opened_is_an_error(tmp_path: Path, told: list[str]) -> None:
    with pytest.raises(FileNotFoundError):
        Output.to_file(str(tmp_path / "no" / "such" / "folder"), told.append)
