"""
What somebody who debugs can ask a run besides its questions: breakpoints, rules, the policy, and what has happened.

What it is not: the socket that it is asked over (``approve.control``), or what is typed (``debugger``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from monitor.abi import syscalls
from monitor.abi.arch import Arch
from monitor.approve.control import Command
from monitor.approve.question import Question
from monitor.approve.wire import Json, WireError, number_of
from monitor.debugging import Breakpoint, Breakpoints
from monitor.errors import PolicyError
from monitor.events.hub import Wish
from monitor.events.record import (
    CallAnswered,
    ContainerEnded,
    ContainerStarted,
    Event,
    PolicyReplaced,
    TargetExited,
    TargetStarted,
)
from monitor.events.strace import call_text, trouble_text, who_text
from monitor.notify.decode import Call
from monitor.origin import NOWHERE
from monitor.policy.condition import Condition
from monitor.policy.expression import Expression
from monitor.run import Run

MOST: Final = 200
"""What is kept of what has happened."""

_SHOWN: Final = 10


def commands_of(
    run: Run, breakpoints: Breakpoints, history: History, question: Callable[[Mapping[str, Json]], Question]
) -> Mapping[str, Command]:
    """Return what can be asked about *run*, by the words of the socket; *question* finds the one that is meant."""

    def add(said: Mapping[str, Json]) -> Json:
        try:
            return _described(add_breakpoint(breakpoints, str(said.get("at", ""))))
        except PolicyError as error:
            raise WireError(error.message) from None

    def remove(said: Mapping[str, Json]) -> Json:
        number = number_of(said, "number")
        if not breakpoints.remove(number):
            message = f"there is no breakpoint {number}"
            raise WireError(message)
        return True

    def listed(_said: Mapping[str, Json]) -> Json:
        return [_described(one) for one in breakpoints.all()]

    def rules(said: Mapping[str, Json]) -> Json:
        from monitor.cli.ruling import ruling_lines  # noqa: PLC0415  # only who wants to know pays

        assert run.policy is not None  # a debugged run has one
        return list(ruling_lines(run.policy, question(said)))

    def told(said: Mapping[str, Json]) -> Json:
        return list(history.last(number_of({"last": _SHOWN, **said}, "last", most=MOST)))

    def policy(_said: Mapping[str, Json]) -> Json:
        from monitor.policy.text import dumps  # noqa: PLC0415  # likewise

        assert run.policy is not None
        layers = [f"# {layer.name}: {layer.origin}" for layer in run.policy.layers() if layer.origin != NOWHERE]
        return [*layers, *dumps(run.policy).splitlines()]

    return {"break": add, "delete": remove, "breaks": listed, "rules": rules, "told": told, "policy": policy}


class History:
    """A sink that keeps the last things that were refused, asked, written or failed; it writes nothing."""

    wish = Wish(refusals_only=True)

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lines: deque[str] = deque(maxlen=MOST)

    def __call__(self, event: Event) -> None:
        """Keep *event*, if it is one that a person is told of."""
        match event:
            case CallAnswered():
                if event.told:
                    self._lines.append(f"{who_text(event.tid, event.comm)} {call_text(event)}")
            case TargetStarted() | TargetExited() | PolicyReplaced() | ContainerStarted() | ContainerEnded():
                pass
            case _:
                self._lines.extend(trouble_text(event).splitlines())

    def last(self, count: int) -> Sequence[str]:
        """Return the last *count* lines, the oldest first, as strace would write them; escaped."""
        return list(self._lines)[max(0, len(self._lines) - count) :]


def _described(one: Breakpoint) -> str:
    return f"breakpoint {one.number}: {one.call}{f' if {one.condition}' if one.condition else ''}"


def add_breakpoint(breakpoints: Breakpoints, text: str) -> Breakpoint:
    """
    Add the breakpoint ``CALL [if EXPR]``, in the language of policies.

    Raises:
        PolicyError: there is no such call, or EXPR is no condition about it.
    """
    name, _, condition = text.strip().partition(" if ")
    name, condition = name.strip(), condition.strip()
    arches = [arch for arch in sorted(Arch.native().family(), key=lambda one: one.table) if _has(arch, name)]
    if not arches:
        message = f"{name!r} is no system call"
        raise PolicyError(message)
    return breakpoints.add(name, condition, _applies(name, condition, arches))


def _has(arch: Arch, name: str) -> bool:
    return syscalls.number_of(arch, name) is not None


def _always(_call: Call) -> bool:
    return True


def _applies(name: str, condition: str, arches: Sequence[Arch]) -> Callable[[Call], bool]:
    if not condition:
        return _always
    expression = Expression(condition)
    bound: dict[Arch, Condition] = {}
    for arch in arches:
        signature = syscalls.signature_of(arch, name)
        if signature is not None:
            bound[arch] = expression.bind(signature, arch)

    def applies(call: Call) -> bool:
        return call.arch in bound and bound[call.arch].holds(call.registers)

    return applies
