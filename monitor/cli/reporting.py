"""
Tells the user of refused calls and failing handlers, a line each.

What it is not: the program's output, which is its own; and not a reason for anything to fail: a
pipe that nobody reads or a full disk ends the reports and nothing else.
"""

from __future__ import annotations

import sys
from os import strerror
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO, assert_never

from monitor.abi import syscalls
from monitor.abi.constants import errno_name
from monitor.events.hub import Wish
from monitor.events.record import (
    CallAnswered,
    Dropped,
    Event,
    HandlerFailed,
    OutOfFds,
    RacyAllow,
    SlowHandler,
    SupervisionFailed,
    TargetExited,
    TargetStarted,
)
from monitor.notify.verdict import Deny, Kill


class Reporter:
    """A sink that writes to standard error or to a file, which it owns."""

    wish = Wish(refusals_only=True)

    def __init__(self, *, log: str | None, quiet: bool) -> None:
        """Open *log*; OSError if it cannot be written."""
        self._file: TextIO | None = None
        if log is not None:
            self._file = Path(log).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115  # closed by __exit__
        elif not quiet:
            self._file = sys.stderr
        self._quiet = quiet
        self._traced: set[str] = set()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the log."""
        if self._file is not None and self._file is not sys.stderr:
            self._file.close()

    def __call__(self, event: Event) -> None:
        """Write what *event* has to tell the user; nothing for what went as it should."""
        if self._quiet or self._file is None:
            return
        text = self._line(event)
        if text:
            self._write(self._file, text)

    def _write(self, file: TextIO, text: str) -> None:
        try:
            file.write(f"{text}\n")  # in one piece: the program writes there too
            file.flush()
        except (OSError, ValueError):  # closed pipe, full disk, closed file
            self._file = None

    def _line(self, event: Event) -> str:  # noqa: PLR0911  # one for each kind of event
        match event:
            case CallAnswered(verdict=Deny() | Kill()):
                return refused_line(event)
            case HandlerFailed():
                return self._failure_text(event)
            case RacyAllow():
                return (
                    f"seccomp-monitor: {event.handler or 'otherwise'}: Allow after a look at memory is a race, "
                    f'so {event.name} was refused (say Allow(racy="why it is only observation"), without --strict)'
                )
            case SlowHandler():
                return (
                    f"seccomp-monitor: handler {event.handler} took {event.seconds * 1000:.0f} ms for {event.name}; "
                    "nothing else was answered meanwhile"
                )
            case OutOfFds():
                return "seccomp-monitor: no file descriptor left in the supervisor; working with its reserve"
            case Dropped():
                return f"seccomp-monitor: {event.count} events were dropped"
            case SupervisionFailed():
                return f"seccomp-monitor: the supervision failed: {event.error}"
            case CallAnswered() | TargetStarted() | TargetExited():
                return ""
            case _:
                assert_never(event)

    def _failure_text(self, event: HandlerFailed) -> str:
        """Return one line, and the first time for each handler the traceback, which is for its author."""
        line = f"seccomp-monitor: handler {event.handler} failed for {event.name}, which was refused: {event.error!r}"
        if event.handler in self._traced:
            return line
        self._traced.add(event.handler)
        return f"{event.traceback.rstrip()}\n{line}"


def refused_line(event: CallAnswered) -> str:
    """Return one refused call in the manner of strace; arguments are numbers, memory is not read."""
    name = _printable(event.comm)
    who = f"[pid {event.tid}{' ' + name if name else ''}]"
    reason = event.handler or event.by
    match event.verdict:
        case Deny(number):
            result = f"-1 {errno_name(number)} ({strerror(number)}) <denied: {reason}>"
        case Kill(number):
            result = f"? <killed with {number.name}: {reason}>"
        case _:
            result = "?"
    return f"{who} {event.name}({_arguments(event)}) = {result}"


def _arguments(event: CallAnswered) -> str:
    signature = None if event.arch is None else syscalls.signature_of(event.arch, event.name)
    if signature is None:
        return ", ".join(f"{word:#x}" for word in event.args)
    shown = event.named
    return ", ".join(
        f"{argument.name}={_number(shown[argument.name], is_address=argument.width == 64 and not argument.signed)}"  # noqa: PLR2004
        for argument in signature.arguments
    )


def _number(value: int, *, is_address: bool) -> str:
    return f"{value:#x}" if is_address and value else str(value)


def _printable(text: str) -> str:
    """Return *text*, which the target chose, without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
