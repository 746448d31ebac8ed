"""
Tells the user of refused calls and failing handlers, a line each.

What it is not: the lines themselves (``events.strace``), or the program's output, which is its own.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from monitor.events.hub import Wish
from monitor.events.output import Output
from monitor.events.record import CallAnswered, HandlerFailed, TargetExited, TargetStarted
from monitor.notify.verdict import Deny, Kill

if TYPE_CHECKING:
    from monitor.events.record import Event


class Reporter:
    """A sink that writes to standard error or to a file, which it owns."""

    wish = Wish(refusals_only=True)

    def __init__(self, *, log: str | None, quiet: bool) -> None:
        """Open *log*; OSError if it cannot be written."""
        self._output = Output.standard_error() if log is None else Output.to_file(log, tell)
        self._quiet = quiet
        self._traced: set[str] = set()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the log."""
        self._output.close()

    def __call__(self, event: Event) -> None:
        """Write what *event* has to tell the user; nothing for what went as it should."""
        if isinstance(event, TargetStarted | TargetExited) or self._quiet:
            return
        # Here and not above: most runs have nothing to report.
        from monitor.events.strace import call_text, trouble_text, who_text  # noqa: PLC0415

        if isinstance(event, CallAnswered):
            if isinstance(event.verdict, Deny | Kill):
                self._output.write_line(f"{who_text(event.tid, event.comm)} {call_text(event)}")
            return
        if isinstance(event, HandlerFailed) and event.handler not in self._traced:
            self._traced.add(event.handler)  # the traceback is for the handler's author, who needs it once
            self._output.write_line(event.traceback.rstrip())
        self._output.write_line(trouble_text(event))


def tell(message: str) -> None:
    """Tell the user of a trouble of ours."""
    click.echo(f"seccomp-monitor: {message}", err=True)
