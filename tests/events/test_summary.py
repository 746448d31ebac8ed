"""The table counts what was called."""

from __future__ import annotations

from monitor.abi.arch import Arch
from monitor.events.record import OutOfFds
from monitor.events.summary import Summary
from monitor.notify.verdict import Allow
from tests.events.made import answered, refused


def test_the_commonest_call_comes_first_and_a_total_last() -> None:
    summary = Summary()
    raw = (1, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0)
    for _ in range(3):
        summary.tell(raw, "close", Arch.X86_64, None, 0.0, 0.001, True)
    summary(answered())
    summary(refused(Allow(), name="read"))
    summary(OutOfFds(times=1))
    head, rule, *rows, last_rule, total = (line.split() for line in summary.lines())

    assert head == ["%", "call", "seconds", "usecs/call", "calls", "errors", "syscall"]
    assert rule == last_rule
    assert rows == [
        ["60.00", "0.003000", "1000.0", "3", "close"],
        ["20.00", "0.000500", "500.0", "1", "1", "openat"],
        ["20.00", "0.000500", "500.0", "1", "read"],
    ]
    assert total == ["100.00", "0.004000", "800.0", "5", "1", "total"]


def test_nothing_called_is_a_table_too() -> None:
    assert list(Summary().lines())[-1].split() == ["100.00", "0.000000", "0.0", "0", "total"]
