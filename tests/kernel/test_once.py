"""
Each call is done once, and its result is heard, whatever signals come, also where the kernel lets them take it away.

A kernel before Linux 5.19 knows nothing of WAIT_KILLABLE_RECV; tests/targets/d_absent.c makes this one such a kernel.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from errno import EINVAL
from pathlib import Path
from time import sleep
from typing import Any

import pytest

_SUPERVISOR = """
import subprocess, sys, trio, monitor
from monitor.broker.families import FAMILIES
@monitor.handles(*FAMILIES)
def emulate(call):
    return call.emulate()
async def main():
    launch = monitor.Launch(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    async with monitor.supervise(launch, handlers=[emulate], otherwise=monitor.Allow()) as run:
        async for chunk in run.stdout:
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
        status = await run.wait()
    print(status, run.stats.gone, run.stats.failures)
trio.run(main)
"""


@pytest.fixture
def before_5_19(compiled: Any) -> dict[str, str]:
    """The environment of a supervisor on such a kernel."""
    library = compiled("d_absent", "-shared", "-fPIC", "-ldl")
    return {**os.environ, "LD_PRELOAD": library, "ABSENT": "wait killable", "ERRNO": str(EINVAL)}


def supervised(argv: list[str], environment: dict[str, str] | None) -> tuple[list[str], int]:
    """Run *argv* under a supervisor; the lines it wrote, and how many answers nobody heard."""
    done = subprocess.run(
        [sys.executable, "-c", _SUPERVISOR, *argv],
        env=environment, stdout=subprocess.PIPE, check=True, text=True, timeout=100,
    )  # fmt: skip
    *lines, last = done.stdout.splitlines()
    status, gone, failures = map(int, last.split())
    assert (status, failures) == (0, 0), done.stdout
    return lines, gone


def assert_done_once(directory: Path, rounds: int) -> None:
    """What is there is what a run without signals leaves."""
    names = sorted(path.name for path in directory.iterdir())
    assert names == sorted(f"{kind}-{n}" for kind in ("directory", "file", "link") for n in range(rounds))
    for number in range(rounds):
        assert (directory / f"file-{number}").read_text() == "on"
        assert (directory / f"file-{number}").stat().st_nlink == 2


@pytest.mark.seconds(240)
@pytest.mark.parametrize("handler", ["plain", "restart"])
def test_a_storm_of_signals_has_each_call_done_once_and_its_result_heard(
    handler: str, compiled: Any, tmp_path: Path
) -> None:
    lines, gone = supervised([compiled("k_once"), str(tmp_path), "100", handler], None)

    *failed, last = lines
    interrupted, signals = map(int, last.split())
    # What had not been received may fail with EINTR, where no restart was asked for; it was not begun.
    assert (failed, gone) == ([], 0)
    assert handler == "plain" or not interrupted
    assert signals > 50
    assert_done_once(tmp_path, 100)


@pytest.mark.seconds(240)
@pytest.mark.parametrize("handler", ["plain", "restart"])
def test_before_linux_5_19_too(handler: str, compiled: Any, tmp_path: Path, before_5_19: dict[str, str]) -> None:
    lines, gone = supervised([compiled("k_once"), str(tmp_path), "100", handler], before_5_19)

    *failed, last = lines
    signals = int(last.split()[1])
    assert failed == []
    assert gone > 10, "no signal took a call away: the test shows nothing"
    assert signals > 50
    assert_done_once(tmp_path, 100)
