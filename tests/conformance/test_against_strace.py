"""
Ten real programs, and one that makes every call it can, do the same twice under strace.

What it is not: a test of what the kernel fills, or of results: a call is told when it is made.
"""

from __future__ import annotations

import http.server
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.compare import compare
from tests.conformance.programs import Program, Tracer, programs, strace
from tests.conformance.strace_lines import CLONES, Line, calls, parse, tree
from tests.conftest import require

TEN: Final = ("ls", "bash", "git", "python", "gcc", "tar", "curl", "sqlite3", "find", "calls32")

ALL: Final = (*TEN, "widecalls")

NOISE_AT_MOST: Final = 0.005
"""How much two runs of strace may differ: less than any fault that is looked for."""


class _Page(http.server.BaseHTTPRequestHandler):
    """Answers late, so that whoever asks always has to wait."""

    def do_GET(self) -> None:
        """Answer with a short text."""
        time.sleep(0.1)
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")

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


Traced = Callable[[str, Tracer], str]


@pytest.fixture(scope="module")
def programs_by_name(port: int, compiled: Callable[..., str]) -> dict[str, Program]:
    """Every program, its tools found and its C compiled."""
    for tool in ("strace", "git", "gcc", "curl", "sqlite3", "tar", "find"):
        require(tool, shutil.which(tool) is not None)
    return programs(port, compiled("t_calls32", "-m32", "-static"), compiled("t_widecalls", "-static", "-no-pie"))


@pytest.fixture(scope="module")
def traced(programs_by_name: dict[str, Program], public_directory: Path) -> Traced:
    """Return a function that runs a program under a tracer, once, and returns what was written."""

    @cache
    def run(name: str, tracer: Tracer) -> str:
        return programs_by_name[name].run(tracer, public_directory / name)

    return run


@pytest.mark.parametrize("name", ALL)
def test_two_runs_of_strace_are_equal(
    name: str, programs_by_name: dict[str, Program], traced: Traced, public_directory: Path
) -> None:
    """The floor of noise: a program that does not do the same twice would prove nothing."""
    program = programs_by_name[name]
    again = program.run(strace, public_directory / name)

    found = compare(calls(traced(name, strace), program.arch), calls(again, program.arch))

    assert found.total > 100
    assert found.share >= 1 - NOISE_AT_MOST, found


@pytest.mark.parametrize("name", ALL)
def test_threads_are_found_without_the_results_of_clones(name: str, traced: Traced) -> None:
    """A trace of entries does not tell them; where they are told, the guess is right."""
    lines = parse(traced(name, strace))
    known = [line for line in lines if line.name not in CLONES or line.result.isdecimal()]

    without = [Line(line.tid, line.name, line.arguments, "?", line.written) for line in known]

    assert tree(without) == tree(lines)
