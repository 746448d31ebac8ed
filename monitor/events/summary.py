"""
How often which call was made, and how long its answer took: the table of strace's ``-c``.

What it is not: the time that the kernel spent in a call, which no supervisor sees.  The time here
is from the receipt of a notification to its answer; errors are those that were answered, since
the result of a call that ran on in the kernel is not known either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define

from monitor.abi.arch import Arch
from monitor.events.hub import Wish
from monitor.events.record import CallAnswered, Event
from monitor.notify.listener import RawNotification
from monitor.notify.verdict import Deny

_RULE: Final = f"{'-' * 6} {'-' * 11} {'-' * 11} {'-' * 9} {'-' * 9} {'-' * 16}"


@define
class _Row:
    calls: int = 0
    errors: int = 0
    seconds: float = 0.0


class Summary:
    """A sink that counts."""

    wish = Wish(comm=False)

    def __init__(self) -> None:
        """Begin at nothing."""
        self._rows: dict[str, _Row] = {}

    def __call__(self, event: Event) -> None:
        """Count *event*, if it is a call."""
        if isinstance(event, CallAnswered):
            self._count(event.name, event.latency_seconds, error=isinstance(event.verdict, Deny))

    def look(self, raw: RawNotification, name: str, arch: Arch | None) -> None:
        """Note nothing of a call that nobody decides about."""

    def tell(
        self,
        raw: RawNotification,  # noqa: ARG002  # all as Watcher has it
        name: str,
        arch: Arch | None,  # noqa: ARG002
        noted: object,  # noqa: ARG002
        received: float,  # noqa: ARG002
        seconds: float,
        delivered: bool,  # noqa: ARG002, FBT001
    ) -> None:
        """Count such a call."""
        self._count(name, seconds, error=False)

    def _count(self, name: str, seconds: float, *, error: bool) -> None:
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = _Row()
        row.calls += 1
        row.seconds += seconds
        row.errors += error

    def lines(self) -> Iterator[str]:
        """Yield the table, the call made most often first."""
        total = _Row()
        for row in self._rows.values():
            total.calls += row.calls
            total.errors += row.errors
            total.seconds += row.seconds
        yield f"{'% call':>6} {'seconds':>11} {'usecs/call':>11} {'calls':>9} {'errors':>9} syscall"
        yield _RULE
        for name, row in sorted(self._rows.items(), key=lambda item: (-item[1].calls, item[0])):
            yield _line(row, total, name)
        yield _RULE
        yield _line(total, total, "total")


def _line(row: _Row, total: _Row, name: str) -> str:
    share = 100 * row.calls / total.calls if total.calls else 100.0
    each = row.seconds * 1e6 / row.calls if row.calls else 0.0
    errors = row.errors or ""
    return f"{share:6.2f} {row.seconds:11.6f} {each:11.1f} {row.calls:9} {errors:>9} {name}"
