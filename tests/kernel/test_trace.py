"""What a trace says is what was called: each call once, in its thread's order, by the short way and the long one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

import monitor
from monitor.events.output import Output
from monitor.events.record import CallAnswered, Event
from monitor.events.strace import StraceLines
from monitor.notify.handler import no_opinion
from monitor.notify.look import Look


async def traced(argv: Sequence[str], names: str, path: Path, *others: Any) -> list[str]:
    """Return the lines that a trace of *argv* writes, with *others* as further sinks."""
    with Output.to_file(str(path), print) as output:
        async with monitor.supervise(
            monitor.Launch(argv, stdout=subprocess.DEVNULL, other_abis=True),
            handlers=[monitor.Handler.of(names, no_opinion)],
            otherwise=monitor.Allow(racy="only observed"),
            events=[StraceLines(output, look=Look()), *others],
            strict=False,
        ) as run:
            await run.wait_all()
    return path.read_text().splitlines()


def by_thread(lines: Sequence[str]) -> list[list[str]]:
    """
    Return the lines of each thread without its number, the threads in the order of their first line.

    Addresses and numbers of processes are taken out; those of a young machine have three digits, as sizes have.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        tid, _, rest = line.partition(" ")
        found[tid].append(re.sub(r"0x[0-9a-f]{4,}|\b[0-9]{4,}\b|(?<=wait4\()[0-9]+", "N", rest.strip()))
    return list(found.values())


@pytest.mark.seconds(300)
def test_100000_calls_of_16_threads_are_each_written_once_and_in_order(compiled: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = ["-e", "getpriority", "-o", str(log), "--", compiled("t_threads"), "16", "6250"]
    subprocess.run([sys.executable, "-m", "monitor", "trace", *words], check=True)
    counted: dict[str, list[int]] = defaultdict(list)
    for line in log.read_text().splitlines():
        if found := re.fullmatch(r"(\d+) +getpriority\(PRIO_PROCESS, (\d+)\) += \?", line):
            counted[found[1]].append(int(found[2]))

    assert len(counted) == 16
    assert all(numbers == list(range(6250)) for numbers in counted.values())


async def test_the_short_way_and_the_long_one_write_the_same(compiled: Any, tmp_path: Path) -> None:
    """With a second sink a record is made of each call; alone, the writer gets the calls as they are."""
    records: list[Event] = []
    program = [compiled("k_spawn")]
    short = await traced(program, "all", tmp_path / "short")
    long = await traced(program, "all", tmp_path / "long", records.append)

    assert sum(isinstance(record, CallAnswered) for record in records) > 100
    assert by_thread(short)[0] == by_thread(long)[0]


async def test_a_failing_watcher_denies_its_call_and_ends_the_run(tmp_path: Path) -> None:
    """Nothing that nobody saw is let through."""

    class Failing:
        def __call__(self, event: Event) -> None:
            pass

        def look(self, *_call: object) -> None:
            raise ValueError("planted")

        def tell(self, *_passed: object) -> None:
            raise AssertionError

    with pytest.raises(monitor.SupervisorError, match="planted"):
        async with monitor.supervise(
            ["mkdir", str(tmp_path / "made")],
            handlers=[monitor.Handler.of("mkdir", no_opinion)],
            otherwise=monitor.Allow(),
            events=Failing(),
        ) as run:
            await run.wait()

    assert not (tmp_path / "made").exists()


async def test_a_watcher_that_fails_after_the_answer_ends_the_run_too(tmp_path: Path) -> None:
    class Failing:
        def __call__(self, event: Event) -> None:
            pass

        def look(self, *_call: object) -> None:
            pass

        def tell(self, *_passed: object) -> None:
            raise ValueError("planted")

    with pytest.raises(monitor.SupervisorError, match="planted"):
        async with monitor.supervise(
            ["sh", "-c", f"mkdir {tmp_path}/one; mkdir {tmp_path}/two"],
            handlers=[monitor.Handler.of("mkdir", no_opinion)],
            otherwise=monitor.Allow(),
            events=Failing(),
        ) as run:
            await run.wait()

    assert not (tmp_path / "two").exists()


async def test_who_is_denied_by_default_is_not_let_pass_because_somebody_watches(tmp_path: Path) -> None:
    with Output.to_file(str(tmp_path / "log"), print) as output:
        async with monitor.supervise(
            ["mkdir", str(tmp_path / "made")],
            handlers=[monitor.Handler.of("mkdir", no_opinion)],
            events=StraceLines(output, look=Look()),
        ) as run:
            assert await run.wait() == 1

    assert not (tmp_path / "made").exists()
    assert "-1 EPERM (Operation not permitted) <denied: default>" in (tmp_path / "log").read_text()


async def test_a_subscriber_who_comes_later_gets_records(compiled: Any, tmp_path: Path) -> None:
    with Output.to_file(str(tmp_path / "log"), print) as output:
        async with monitor.supervise(
            monitor.Launch([compiled("t_threads"), "2", "100"]),
            handlers=[monitor.Handler.of("getpriority", no_opinion)],
            otherwise=monitor.Allow(),
            events=StraceLines(output, look=Look()),
        ) as run:
            events = run.events()
            await run.wait()
            await run.wait_all()

    seen = [event async for event in events if isinstance(event, CallAnswered)]
    assert len(seen) == 200
    assert len((tmp_path / "log").read_text().splitlines()) == 202


async def test_a_loop_that_lingers_lets_other_tasks_run(compiled: Any) -> None:
    """Calls without a pause: a task that only wants a turn now and then gets it, and an end comes at once."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        async with monitor.supervise(
            [compiled("t_threads"), "4", "5000"],
            handlers=[monitor.Handler.of("getpriority", no_opinion)],
            otherwise=monitor.Allow(),
            linger_seconds=0.01,
        ) as run:
            assert await run.wait() == 0
        nursery.cancel_scope.cancel()

    assert run.stats.allowed == 20_000
    assert turns > 50


async def test_a_handler_that_thinks_in_a_task_is_not_held_up_by_lingering(compiled: Any) -> None:
    @monitor.handles("getpriority")
    async def think(_call: monitor.Call) -> monitor.Verdict:
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        return monitor.Allow()

    with trio.fail_after(30):
        async with monitor.supervise([compiled("t_threads"), "1", "50"], handlers=[think], linger_seconds=0.1) as run:
            began = trio.current_time()
            assert await run.wait() == 0

    assert trio.current_time() - began < 50 * 20 * 0.1 / 4


@pytest.mark.parametrize("seconds", [-0.1, 0.2])
def test_a_loop_that_would_stand_still_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="linger_seconds"):
        monitor.supervise(["true"], linger_seconds=seconds)
