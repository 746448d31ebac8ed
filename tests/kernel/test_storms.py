"""Many at once, and many in a row: nothing grows, nothing is lost, nobody waits for ever."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest
import trio
import trio.lowlevel

import monitor

PAGE = os.sysconf("SC_PAGESIZE")


@monitor.handles("getppid")
def echo(call: monitor.Call) -> monitor.Verdict:
    """Answer with the question."""
    return monitor.Return(call.registers[1])


async def test_500_threads_that_wait_at_once_each_get_their_own_answer(run_target: Any, compiled: Any) -> None:
    """None is answered before all of them wait."""
    everybody = trio.Event()
    waiting: list[int] = []

    @monitor.handles("getppid")
    async def answer(call: monitor.Call) -> monitor.Verdict:
        waiting.append(call.tid)
        if len(waiting) == 500:
            everybody.set()
        await everybody.wait()
        return monitor.Return(call.registers[1])

    done = await run_target([compiled("k_many"), "500"], [answer])

    assert (done.status, done.run.stats.returned) == (0, 500)
    assert len(set(waiting)) == 500


@pytest.mark.seconds(180)
async def test_100000_notifications_in_a_row_are_each_answered(run_target: Any, compiled: Any) -> None:
    done = await run_target([compiled("k_storm"), "100000"], [echo])

    assert (done.status, done.run.stats.received, done.run.stats.returned) == (0, 100_000, 100_000)


@pytest.mark.seconds(180)
async def test_a_storm_of_several_processes_starves_no_other_task(run_target: Any, compiled: Any) -> None:
    """The scheduler is visited once in 64 answers, so that the rest of the program runs."""
    turns = 0
    ended = False

    async def other() -> None:
        nonlocal turns
        while not ended:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        done = await run_target([compiled("k_storm"), "4000", "4"], [echo])
        ended = True

    assert (done.status, done.run.stats.returned) == (0, 16_000)
    assert turns > 100


def resident() -> int:
    """Return our resident memory in bytes (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.seconds(180)
@pytest.mark.parametrize("kind", ["inline", "async"])
async def test_memory_and_fds_are_flat(run_target: Any, compiled: Any, open_fds: Any, kind: str) -> None:
    """Each call reads memory.  Compared after a tenth of the calls and at the end."""
    total = 50_000 if kind == "inline" else 10_000
    marks: dict[int, tuple[int, int, set[str]]] = {}

    def look(call: monitor.Call) -> monitor.Verdict:
        number = call.registers[1]
        assert call.target.read_string(call.registers[0]) == b"a string"
        if number in {total // 10, total}:
            marks[number] = (sys.getallocatedblocks(), resident(), open_fds())
        return monitor.Return(number)

    async def look_later(call: monitor.Call) -> monitor.Verdict:
        await trio.lowlevel.checkpoint()
        return look(call)

    handler = monitor.Handler.of("getppid", look if kind == "inline" else look_later)
    done = await run_target([compiled("k_storm"), str(total)], [handler])

    (blocks, memory, fds), (blocks_after, memory_after, fds_after) = marks[total // 10], marks[total]
    assert done.status == 0
    assert blocks_after - blocks < 500
    assert memory_after - memory < 2 << 20
    assert fds_after == fds


async def test_refusals_are_remembered_within_bounds(run_target: Any, compiled: Any) -> None:
    @monitor.handles("getppid")
    def refuse(_call: monitor.Call) -> monitor.Verdict:
        return monitor.Deny(1)

    done = await run_target([compiled("k_storm"), "3000"], [refuse])

    assert (done.run.stats.denied, len(done.run.denials)) == (3000, 1000)


# ---- no fd left ----

_EXHAUSTED = """
import os, resource, sys, trio, monitor
held, events = [], []
@monitor.handles("getppid")
def look(call):
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    text = call.target.read_string(call.registers[0])
    call.target.write(call.registers[0], b"A")
    return monitor.Return(call.registers[1] if text.lower() == b"a string" and call.pid == call.tid else -5000)
async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    async with monitor.supervise([sys.argv[1], "300"], handlers=[look], events=events.append) as run:
        status = await run.wait()
    told = [event.times for event in events if isinstance(event, monitor.OutOfFds)]
    print(status, run.stats.returned, told[:1], len(told) < 5, len(held) > 20)
trio.run(main)
"""


def test_a_supervisor_without_fds_still_looks_and_answers_and_tells(python_as_user: Any, compiled: Any) -> None:
    """From the first call to the end of the block there is none left but the one in reserve."""
    with python_as_user(_EXHAUSTED, compiled("k_storm")) as process:
        output = process.communicate()[0].decode().splitlines()

    assert len(output) == 1, output
    status, returned, told, few, many = output[0].split()
    assert (status, returned, few, many) == ("0", "300", "True", "True")
    assert int(told.strip("[]")) >= 1


# ---- the supervisor dies ----

_SUPERVISOR = """
import sys, trio, monitor
@monitor.handles("mkdir", "getppid")
def answer(call):
    return monitor.Return(0)
async def main():
    tree = "while :; do mkdir x; done & (setsid sleep 1000 &) ; while :; do mkdir y; done"
    async with monitor.supervise(["sh", "-c", tree], handlers=[answer]) as run:
        print("runs", flush=True)
        await run.wait()
trio.run(main)
"""


def marked(mark: str) -> Iterator[int]:
    """Yield every process whose environment has *mark*; a zombie has none."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark.encode() in (entry / "environ").read_bytes():
                yield int(entry.name)
        except OSError:
            continue


@pytest.mark.seconds(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_supervisor_that_ends_at_any_moment_leaves_no_process(python_as_user: Any, number: signal.Signals) -> None:
    """
    A signal comes while the supervisor imports, launches, answers, or ends.

    Whatever it was doing: it is gone soon, and so is every process of its tree, the one in a
    session of its own too, and the guard.
    """
    random = Random(number)  # moments, no secrets
    for _ in range(6):
        mark = f"MARK={uuid.uuid4()}"
        environment = {**os.environ, "MARK": mark.removeprefix("MARK=")}
        with python_as_user(_SUPERVISOR, ordinary=False, env=environment) as process:
            assert process.stdout is not None
            if random.random() < 0.7:
                process.stdout.readline()
                sleep(random.uniform(0, 0.1))
            else:
                sleep(random.uniform(0.05, 0.4))
            process.send_signal(number)
            process.stdout.read()
            process.wait(timeout=20)
        deadline = monotonic() + 20
        while left := list(marked(mark)):
            assert monotonic() < deadline, f"still there: {left}"
            sleep(0.005)


def test_an_interrupted_supervisor_leaves_with_keyboard_interrupt(python_as_user: Any) -> None:
    """Not with a traceback of ours, and not as if nothing had been."""
    with python_as_user(_SUPERVISOR, ordinary=False) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"
        process.send_signal(signal.SIGINT)
        output = process.communicate()[0]

    assert output.rstrip().endswith(b"KeyboardInterrupt")
    assert b"Error" not in output
