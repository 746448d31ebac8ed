"""A line that is written by hand says what json.dumps says of the same call, and is not made where nobody reads it."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import monitor
from monitor import testing
from monitor.abi.arch import Arch
from monitor.events.callline import KEPT, CallScribe, CallTexts
from monitor.events.jsonl import JsonLines, record_of
from monitor.events.known import KnownThreads, Names
from monitor.events.lines import Lines
from monitor.events.opening import Opened
from monitor.notify.account import By, Outcome, Would
from monitor.notify.decode import Call
from monitor.notify.look import Look
from monitor.notify.memory import NoMemory
from monitor.notify.render import render
from monitor.notify.verdict import Allow
from monitor.origin import Origin
from tests.events.made import answered

WORDS = st.text(max_size=10)
BYTES = st.binary(max_size=10).filter(lambda data: b"\0" not in data)
NUMBERS = st.integers(0, (1 << 64) - 1)
ABIS = [(Arch.X86_64, "getpid"), (Arch.I386, "mkdir")]
BYS: list[By] = ["handler", "policy", "default", "grant", "user"]


@given(
    path=BYTES,
    names=st.builds(Names, WORDS, st.integers(0, 1 << 22), BYTES),
    flags=NUMBERS,
    by=st.sampled_from(BYS),
    handler=st.none() | WORDS,
    rule=st.none() | st.builds(Origin, WORDS, st.integers(0, 99)),
    would=st.none() | st.builds(Would, st.sampled_from(["deny", "kill"]), st.sampled_from([None, 13])),
    decided=st.none() | BYTES,
    seconds=st.floats(0, 1e6),
    number=st.integers(0, 1 << 70),
    container=st.none() | WORDS,
    flags_of_it=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_it_is_the_line_that_json_dumps_would_make(
    path: bytes, names: Names, flags: int, by: By, handler: str | None, rule: Origin | None, would: Would | None,
    decided: bytes | None, seconds: float, number: int, container: str | None, flags_of_it: tuple[bool, bool, bool],
) -> None:  # fmt: skip
    observed, delivered, worded = flags_of_it
    call = testing.call("openat", pathname=path, flags=flags & 0xFFFFFFFF)
    rendered = call.render() if worded else None
    call.target.looked = observed
    outcome = Outcome(Allow(), by, handler)
    outcome.rule, outcome.would, outcome.path = rule, would, decided
    outcome.access = "" if decided is None else "read"
    taken: list[bytes] = []

    def write(data: Any) -> int:
        taken.append(bytes(data))
        return len(data)

    opened = Opened(-1, "test", write, lambda: None)
    lines = Lines(opened, capacity=1000, mark=lambda _count, _number: b"", tell=None)
    lines.number = number
    texts = CallTexts(1, container)
    scribe = CallScribe(lines, texts, KnownThreads(), Look())
    for _ in range(2):  # what is kept is used the second time
        scribe.tell(call, outcome, (names, texts.which(call), rendered), seconds, delivered=delivered)
    if rendered is not None and not delivered:  # what was seen may have been another thread's
        rendered = render(call.name, call.arch, call.registers, NoMemory(), Look())
    event = answered(
        name=call.name, nr=call.nr, arch=call.arch, tid=call.tid, comm=names.comm, pid=names.pid, exe=names.exe,
        rendered=rendered, args=call.registers, verdict=Allow(), by=by, handler=handler, rule=rule, would=would,
        access=outcome.access, path=decided, observed=observed, delivered=delivered, latency_seconds=seconds,
    )  # fmt: skip
    for place, line in enumerate(taken):
        assert line.isascii()
        assert line.count(b"\n") == 1
        found = json.loads(line)
        expected = json.loads(json.dumps(record_of(event, number + place, container)))
        assert abs(found.pop("latency_us") - expected.pop("latency_us")) <= 0.1
        assert found.pop("ts") > expected.pop("ts")
        assert found == expected


def test_calls_of_one_number_and_answers_of_one_handler_are_told_apart() -> None:
    texts = CallTexts(1, None)
    calls = [Call((1, 1, 0, 39, arch.audit_value, 0, *[0] * 6), name, arch, None) for arch, name in ABIS]  # type: ignore[arg-type]
    decided = [texts.decided(Outcome(Allow(), by), observed=False, delivered=True) for by in BYS]

    assert [json.loads(f"{{{texts.which(call).text}}}")["syscall"] for call in calls] == ["getpid", "mkdir"]
    assert [json.loads(f"{{{text}}}")["by"] for text in decided] == BYS


def test_what_is_kept_of_one_call_is_not_told_of_another() -> None:
    """Two threads of whom nothing is known have the same names, and a decision may or may not follow a look."""
    texts = CallTexts(1, None)
    nobody = Names("", 0, b"")
    who = [texts.who(tid, nobody) for tid in (1, 2, 1)]
    outcome = Outcome(Allow(), "handler", "h")
    decided = [
        json.loads(f"{{{texts.decided(outcome, observed=observed, delivered=delivered)}}}")
        for observed in (False, True)
        for delivered in (False, True)
    ]

    assert [json.loads(f"{{{text}}}")["tid"] for text in who] == [1, 2, 1]
    assert [(one["observed"], one["delivered"]) for one in decided] == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]


def test_what_is_kept_is_bounded() -> None:
    texts = CallTexts(1, None)
    for number in range(3 * KEPT):
        texts.who(number, Names("x", number, b""))
        texts.decided(Outcome(Allow(), "handler", str(number)), observed=False, delivered=True)
        raw = (1, 1, 0, number, Arch.X86_64.audit_value, 0, 0, 0, 0, 0, 0, 0)
        texts.which(Call(raw, f"syscall_{number:#x}", None, None))  # type: ignore[arg-type]

    assert max(len(texts._who), len(texts._decided), len(texts.known)) <= KEPT


@monitor.handles("getppid", "openat")
def let_run(_call: monitor.Call) -> monitor.Verdict:
    return monitor.Allow()


PROGRAM = ["sh", "-c", "cat /dev/null; exit 3"]


async def test_both_ways_say_the_same_of_a_real_run(tmp_path: Path) -> None:
    """Two sinks that want to know of every call get records; one alone writes without."""

    def curious(event: monitor.Event) -> None:
        assert event.time

    found: list[list[dict[str, Any]]] = []
    none: list[monitor.Sink] = []
    several: list[monitor.Sink] = [curious]
    for others in (none, several):
        path = tmp_path / f"lines{len(found)}"
        async with monitor.supervise(PROGRAM, handlers=[let_run], events=(JsonLines(path), *others)) as run:
            assert await run.wait() == 3
        found.append([json.loads(line) for line in path.read_text().splitlines()])
    (quick, slow) = ([line for line in lines if line["event"] == "call"] for lines in found)

    assert [[line["syscall"], line["path"], line["comm"], line["exe"]] for line in quick] == [
        [line["syscall"], line["path"], line["comm"], line["exe"]] for line in slow
    ]
    assert {key for line in quick for key in line} == {key for line in slow for key in line}
    assert any(line["path"] == "/dev/null" for line in quick)
    assert all(line["pid"] and line["delivered"] for line in quick)


async def test_without_a_sink_nothing_is_looked_at_or_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object, **_named: object) -> None:
        pytest.fail("somebody looked")

    for name in ("callline.CallScribe.look", "callline.CallScribe.tell", "known.KnownThreads.names"):
        monkeypatch.setattr(f"monitor.events.{name}", fail)
    monkeypatch.setattr("monitor.events.observer.CallAnswered", fail)
    monkeypatch.setattr("monitor.events.observer._rendered", fail)
    async with monitor.supervise(PROGRAM, handlers=[let_run]) as run:
        assert await run.wait() == 3
    assert run.stats.allowed > 2


async def test_who_only_wants_refusals_does_not_make_records_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: object, **_named: object) -> None:
        pytest.fail("a record was made")

    class Refusals:
        wish = monitor.Wish(refusals_only=True)

        def __call__(self, event: monitor.Event) -> None:
            pass

    monkeypatch.setattr("monitor.events.observer.CallAnswered", fail)
    sinks: list[monitor.Sink] = [JsonLines(tmp_path / "lines"), Refusals()]
    async with monitor.supervise(PROGRAM, handlers=[let_run], events=sinks) as run:
        await run.wait()

    assert (tmp_path / "lines").read_text().count('"openat"') > 2


async def test_a_subscription_brings_records_back(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "lines")
    async with monitor.supervise(PROGRAM, handlers=[let_run], events=sink) as run:
        with trio.fail_after(10):
            async for event in run.events():
                if isinstance(event, monitor.CallAnswered):
                    break
        await run.wait()


async def test_before_a_reader_that_stalls_calls_are_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing waits: the reader stalls from the beginning, and the program ends as if there was none."""
    looks: list[int] = []
    names = KnownThreads.names

    def looked(self: KnownThreads, call: Call) -> Names:
        looks.append(call.nr)
        return names(self, call)

    monkeypatch.setattr(KnownThreads, "names", looked)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    sink = JsonLines.to_fd(writer, capacity=4096)
    program = [sys.executable, "-c", "import os\nfor _ in range(2000): os.getppid()"]
    handler = monitor.Handler.of("getppid", lambda _call: monitor.Allow())
    async with monitor.supervise(program, handlers=[handler], events=sink) as run:
        assert await run.wait() == 0
        received = os.read(reader, 1 << 16)
    os.close(reader)

    assert run.stats.allowed == 2000
    assert 5 < len(looks) < 40
    assert sink.dropped > 1900
    whole = [json.loads(line)["seq"] for line in received.splitlines()[:-1]]
    assert whole == list(range(len(whole)))
