"""
Events as lines for people, in the look of strace(1).

What it is not: the words of a call (``notify.render``), which come with the event.  An event
without them, which nobody wished to see, shows its registers.
"""

from __future__ import annotations

import enum
import re
import time
from os import strerror
from typing import Final, assert_never, cast

from monitor.abi.arch import Arch
from monitor.abi.constants import errno_name, signal_name
from monitor.abi.seccomp import ERESTARTSYS
from monitor.abi.syscalls import signature_of
from monitor.events.hub import Wish
from monitor.events.output import Output
from monitor.events.record import (
    CallAnswered,
    ContainerEnded,
    ContainerStarted,
    Dropped,
    Event,
    GrantFailed,
    GrantWritten,
    HandlerFailed,
    OutOfFds,
    PolicyReplaced,
    RacyAllow,
    SlowHandler,
    SupervisionFailed,
    TargetExited,
    TargetStarted,
)
from monitor.notify.account import Would
from monitor.notify.listener import RawNotification
from monitor.notify.look import Look
from monitor.notify.memory import NoMemory, PeekedMemory
from monitor.notify.render import LineRenderer, render, text
from monitor.notify.verdict import Allow, Deny, Emulate, InjectFd, Kill, Pass, Return

_DIGEST: Final = re.compile("[0-9a-f]{64}")
_SHORT: Final = 12

_RESULT_COLUMN: Final = 40
"""Where ``=`` stands in a line whose call is short (strace(1), ``-a``)."""


class Clock(enum.Enum):
    """What time stands before a line: strace's ``-t``, ``-tt``, ``-ttt`` and ``-r``."""

    NONE = "none"
    SECONDS = "seconds"
    MICROSECONDS = "microseconds"
    EPOCH = "epoch"
    RELATIVE = "relative"


class StraceLines:
    """
    A sink that writes a line for each call, and for each end of the first process.

    On a terminal the thread's name stands before the line, in a file its number alone, as strace
    does it.  The time is that at which the call was received.
    """

    def __init__(
        self,
        output: Output,
        *,
        look: Look,
        clock: Clock = Clock.NONE,
        names: bool = False,
        launch_shown: bool = True,
    ) -> None:
        """Write to *output*, which is borrowed; *launch_shown*: the launch's own execve(2) too."""
        self.wish = Wish(comm=names, look=look)
        self._output = output
        self._look = look
        self._clock = clock
        self._names = names
        self._launch_shown = launch_shown
        self._last = 0.0
        self._memory = PeekedMemory()
        self._line = LineRenderer(self._memory, look).line

    def __call__(self, event: Event) -> None:
        """Write *event*, if it is one that is shown."""
        match event:
            case CallAnswered():
                self._write(event.tid, event.comm, event.time - event.latency_seconds, _words(event), _result(event))
            case TargetStarted():
                if self._launch_shown:
                    self._write(event.pid, "", event.time, _launch_text(event, self._look), "0")
            case TargetExited():
                self._write(event.pid, "", event.time, _exit_text(event))
            case PolicyReplaced():
                pass  # no call, and no trouble
            case ContainerStarted() | ContainerEnded():
                self._output.write_line(container_text(event))
            case _:
                trouble = trouble_text(event)
                if trouble:
                    self._output.write_line(trouble)

    def look(self, raw: RawNotification, name: str, arch: Arch | None) -> tuple[str, str]:
        """Put a call that nobody decides about into words, while its thread waits."""
        memory = self._memory
        memory.tid = raw[1]
        return memory.comm() if self._names else "", self._line(name, arch, raw[6:])

    def tell(
        self,
        raw: RawNotification,
        name: str,
        arch: Arch | None,
        noted: object,
        received: float,
        seconds: float,  # noqa: ARG002  # as Watcher has it
        delivered: bool,  # noqa: FBT001  # likewise
    ) -> None:
        """Write such a call; of one whose thread has gone meanwhile, only what its registers held."""
        comm, words = cast("tuple[str, str]", noted)
        if not delivered:
            comm, words = "", str(render(name, arch, raw[6:], NoMemory(), self._look))
        self._write(raw[1], comm, received, words, "?")

    def _write(self, tid: int, comm: str, then: float, words: str, result: str = "") -> None:
        who = who_text(tid, comm) + " " if self._names else f"{tid:<5} "
        if self._clock is not Clock.NONE:
            who += self._time_text(then)
        words = who + words
        self._output.write_line(f"{words:<{_RESULT_COLUMN - 1}} = {result}" if result else words)

    def _time_text(self, then: float) -> str:
        match self._clock:
            case Clock.NONE:
                return ""
            case Clock.SECONDS:
                return time.strftime("%H:%M:%S ", time.localtime(then))
            case Clock.MICROSECONDS:
                return time.strftime("%H:%M:%S", time.localtime(then)) + f".{int(then % 1 * 1e6):06d} "
            case Clock.EPOCH:
                return f"{then:.6f} "
            case Clock.RELATIVE:
                passed = max(0.0, then - self._last) if self._last else 0.0
                self._last = then
                return f"{passed:13.6f} "
            case _:
                assert_never(self._clock)


def call_text(event: CallAnswered) -> str:
    """Return ``openat(AT_FDCWD, "/etc/shadow", O_RDONLY) = -1 EACCES (Permission denied) <denied: RULE>``."""
    result = f"{_asked_text(event)} <asked: {event.scope}>" if event.by == "user" else _result(event)
    return f"{_words(event)} = {result}"


def who_text(tid: int, comm: str, container: str | None = None) -> str:
    """Return ``[pid 4711 sh]``, or ``[web pid 4711 sh]`` of the container ``web``."""
    where = "" if container is None else f"{text.printable(shortened(container))} "
    return f"[{where}pid {tid}{' ' + text.printable(comm) if comm else ''}]"


def shortened(container: str) -> str:
    """Return an id as people have it: of those that are a digest the first twelve digits, as Podman shows them."""
    return container[:_SHORT] if _DIGEST.fullmatch(container) else container


def _words(event: CallAnswered) -> str:
    if event.rendered is not None:
        return str(event.rendered)
    signature = None if event.arch is None else signature_of(event.arch, event.name)
    registers = event.args if signature is None else event.args[: len(signature.arguments)]
    return f"{event.name}({', '.join(text.hexadecimal(register) for register in registers)})"


def _result(event: CallAnswered) -> str:  # noqa: PLR0911  # one for each kind of verdict
    reason = _reason(event)
    if event.would is not None:
        return f"? <observed: would {_intention(event.would)}: {reason}>"
    match event.verdict:
        case Allow():
            if event.told and event.rule is not None:
                return f"? <allowed: {event.rule}>"
            return "?" if event.handler is None else "? <allowed>"
        case Deny(number):
            return f"-1 {errno_name(number)} ({strerror(number)}) <denied: {reason}>"
        case Return(value):
            return f"{value} <emulated>"
        case InjectFd():
            return "? <injected>"
        case Emulate():
            return _outcome_text(event)
        case Kill(number):
            return f"? <killed with {number.name}: {reason}>"
        case Pass():
            return "?"
        case _:
            assert_never(event.verdict)


def _asked_text(event: CallAnswered) -> str:
    """Return what came of a call that somebody was asked about."""
    match event.verdict:
        case Deny(number):
            return f"-1 {errno_name(number)} ({strerror(number)})"
        case Return(value):
            return str(value)
        case Emulate():
            return _done_text(event)
        case Kill(number):
            return f"? (killed with {number.name})"
        case Allow() | InjectFd() | Pass():
            return "?"
        case _:
            assert_never(event.verdict)


def _reason(event: CallAnswered) -> str:
    """Return who decided, and about what: ``agent.toml:8, read /etc/shadow``."""
    who = str(event.rule) if event.rule is not None else event.handler or event.by
    if event.path is None:
        return who
    return f"{who}, {event.access} {text.printable(event.path.decode('utf-8', 'surrogateescape'))}"


def _outcome_text(event: CallAnswered) -> str:
    """Return what came of a call that was done for the target, and by which rule it was."""
    outcome = _done_text(event)
    return f"{outcome} <allowed: {_reason(event)}>" if event.told else outcome


def _done_text(event: CallAnswered) -> str:
    if event.result is None:
        return "?"
    if event.result == -ERESTARTSYS:
        return "? ERESTARTSYS (To be restarted if SA_RESTART is set)"
    if event.result < 0:
        return f"-1 {errno_name(-event.result)} ({strerror(-event.result)})"
    return str(event.result)


def _intention(would: Would) -> str:  # noqa: PLR0911  # one for each of a closed list
    name = "" if would.errno is None else errno_name(would.errno)
    match would.action:
        case "deny":
            return f"deny with {name}"
        case "return":
            return f"return {would.value}"
        case "inject":
            return "inject a descriptor"
        case "ask":
            return f"ask, without an answer deny with {name}"
        case "kill":
            return "kill the process"
        case "kill-thread":
            return "kill the thread"
        case "trap":
            return "trap with SIGSYS"
        case "trace":
            return f"tell a tracer, without one deny with {name}"
        case _:
            assert_never(would.action)


def _launch_text(event: TargetStarted, look: Look) -> str:
    limit = look.string_limit
    shown = [text.quoted(word[:limit], cut=len(word) > limit) for word in event.argv[:limit]]
    argv = text.array(shown, cut=len(event.argv) > limit)
    plural = "" if event.variables == 1 else "s"
    return f"execve({text.quoted(event.path)}, {argv}, [/* {event.variables} var{plural} */])"


def _exit_text(event: TargetExited) -> str:
    if event.killed_by:
        return f"+++ killed by {signal_name(event.killed_by)} +++"
    return f"+++ exited with {event.status} +++"


def event_text(event: Event) -> str:
    """Return *event* as one line for whoever watches several containers, or one program from elsewhere."""
    where = "" if event.container is None else f"{text.printable(shortened(event.container))}: "
    match event:
        case CallAnswered():
            return f"{who_text(event.tid, event.comm, event.container)} {call_text(event)}"
        case TargetStarted():
            return f"{where}pid {event.pid} executes {text.printable(event.path.decode('utf-8', 'surrogateescape'))}"
        case TargetExited():
            return f"{where}pid {event.pid} {_exit_text(event)}"
        case ContainerStarted() | ContainerEnded():
            return container_text(event)
        case PolicyReplaced():
            return f"{where}policy {text.printable(event.name)} is in force; {len(event.calls)} calls are decided anew"
        case _:
            return where + trouble_text(event)


def container_text(event: ContainerStarted | ContainerEnded) -> str:
    """Return ``web: started under policy net (listenerMetadata)``."""
    where = text.printable(shortened(event.container or ""))
    if isinstance(event, ContainerEnded):
        return f"{where}: ended; {event.received} calls answered, {event.denied} denied"
    return f"{where}: started under policy {text.printable(event.policy)} ({text.printable(event.why)})"


def trouble_text(  # noqa: PLR0911  # one for each of a closed list
    event: HandlerFailed
    | RacyAllow
    | SlowHandler
    | OutOfFds
    | GrantWritten
    | GrantFailed
    | SupervisionFailed
    | Dropped,
) -> str:
    """Return what happened on our side, as one line; of what was written, what changed."""
    match event:
        case HandlerFailed():
            return (
                f"seccomp-monitor: handler {event.handler} failed for {event.name}, which was refused: {event.error!r}"
            )
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
        case GrantWritten():
            return event.difference.rstrip("\n")
        case GrantFailed():
            return f"seccomp-monitor: the answer was not written to {text.printable(event.file)}: {event.error}"
        case Dropped():
            return f"seccomp-monitor: {event.count} events were dropped"
        case SupervisionFailed():
            return f"seccomp-monitor: the supervision failed: {event.error}"
        case _:
            assert_never(event)
