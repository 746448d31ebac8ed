"""
Tells the user of refused calls and failing handlers, a line each.

What it is not: the lines themselves (``events.strace``), or the program's output, which is its own.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import click

from monitor.events.hub import Wish
from monitor.events.output import Output
from monitor.events.record import (
    CallAnswered,
    ContainerEnded,
    ContainerStarted,
    HandlerFailed,
    PolicyReplaced,
    TargetExited,
    TargetStarted,
)

if TYPE_CHECKING:
    from monitor.events.record import Event


_LINES_COUNTED: Final = 10_000
"""Of how many different lines the repeats are counted; further ones are written each time."""

_ROUND: Final = frozenset(10**power for power in range(1, 13))


class Reporter:
    """A sink that writes to standard error or to a file, which it owns."""

    wish = Wish(refusals_only=True)

    def __init__(self, *, log: str | None, quiet: bool) -> None:
        """Open *log*; OSError if it cannot be written."""
        self._output = Output.standard_error() if log is None else Output.to_file(log, tell)
        self._quiet = quiet
        self._traced: set[str] = set()
        self._counts: dict[tuple[str, str], int] = {}
        self._told_of: dict[tuple[str, str], int] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell what is left, and close the log."""
        if not self._quiet:
            self.tell_repeats()
        self._output.close()

    def __call__(self, event: Event) -> None:
        """Write what *event* has to tell the user; nothing for what went as it should."""
        if isinstance(event, TargetStarted | TargetExited | PolicyReplaced) or self._quiet:
            return
        # Here and not above: most runs have nothing to report.
        from monitor.events.strace import call_text, container_text, trouble_text, who_text  # noqa: PLC0415
        from monitor.notify.render.text import printable  # noqa: PLC0415

        if isinstance(event, ContainerStarted | ContainerEnded):
            self._output.write_line(container_text(event))
            return
        if isinstance(event, CallAnswered):
            if event.told:
                who = f"{_of_container(event.container)}{printable(event.comm)}"
                self._tell_of_call(who_text(event.tid, event.comm, event.container), who, call_text(event))
            return
        if isinstance(event, HandlerFailed) and event.handler not in self._traced:
            self._traced.add(event.handler)  # the traceback is for the handler's author, who needs it once
            self._output.write_line(event.traceback.rstrip())
        self._output.write_line(_of_container(event.container) + trouble_text(event))

    def _tell_of_call(self, who: str, kind: str, line: str) -> None:
        """Write the line of a call; of one that comes again and again how often, whenever that has grown tenfold."""
        key = kind, line
        count = self._counts.get(key, 0) + 1
        if key in self._counts or len(self._counts) < _LINES_COUNTED:
            self._counts[key] = count
        if count == 1:
            self._output.write_line(f"{who} {line}")
        elif count in _ROUND:
            self._repeated(kind, line, count)

    def _repeated(self, kind: str, line: str, count: int) -> None:
        self._told_of[kind, line] = count
        self._output.write_line(f"... x{count} {kind}: {line}")

    def tell_repeats(self) -> None:
        """Write how often what came more than once came in all."""
        for (kind, line), count in self._counts.items():
            if count > 1 and self._told_of.get((kind, line)) != count:
                self._repeated(kind, line, count)


def _of_container(container: str | None) -> str:
    if container is None:
        return ""
    from monitor.events.strace import shortened  # noqa: PLC0415  # likewise
    from monitor.notify.render.text import printable  # noqa: PLC0415

    return f"{printable(shortened(container))}: "


def tell(message: str) -> None:
    """Tell the user of a trouble of ours; where nobody reads it any more, the program goes on all the same."""
    with contextlib.suppress(OSError):
        click.echo(f"seccomp-monitor: {message}", err=True)
