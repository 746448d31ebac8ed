"""
The judge of a debugged run: what a policy or a handler refuses becomes a question, and so do calls with a breakpoint.

What it is not: what the policy says; *inner* says that, and a question that nobody answers is answered as it, or
the handler, says.  Nothing is lifted but by a person, for one run: a handler sees no refused call, and no grant is
about one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import frozen

from monitor.asking import asks_of
from monitor.errors import PolicyError, TargetGone, TargetMemoryError
from monitor.notify.account import Outcome
from monitor.notify.approval import Asks
from monitor.notify.decode import Call
from monitor.notify.verdict import Deny, InjectFd, Kill
from monitor.origin import NOWHERE, Origin

if TYPE_CHECKING:
    from monitor.notify.account import Judge

BREAKPOINT: Final = Origin("a breakpoint")


@frozen
class Breakpoint:
    """
    A call that somebody wants to see before it is answered.

    *applies* is told the registers: six unsigned 64-bit words.
    """

    number: int
    call: str
    condition: str
    """As it was written; empty: always."""
    applies: Callable[[Call], bool]


MOST_BREAKPOINTS: Final = 256
"""How many a run has at once: each call is held against all of them."""


class Breakpoints:
    """Those of one run; they come and go while it lasts."""

    def __init__(self) -> None:
        """Begin with none."""
        self._count = 0
        self._found: dict[int, Breakpoint] = {}

    def add(self, call: str, condition: str, applies: Callable[[Call], bool]) -> Breakpoint:
        """
        Add one, under the next number.

        Raises:
            PolicyError: there are ``MOST_BREAKPOINTS`` already.
        """
        if len(self._found) >= MOST_BREAKPOINTS:
            message = f"there are {MOST_BREAKPOINTS} breakpoints already"
            raise PolicyError(message)
        self._count += 1
        made = self._found[self._count] = Breakpoint(self._count, call, condition, applies)
        return made

    def remove(self, number: int) -> bool:
        """Take one away; False: there is none of that number."""
        return self._found.pop(number, None) is not None

    def all(self) -> tuple[Breakpoint, ...]:
        """Return them, the oldest first."""
        return tuple(self._found.values())

    def hit(self, call: Call) -> Breakpoint | None:
        """Return the first that *call* has reached."""
        return next((one for one in self._found.values() if one.call == call.name and one.applies(call)), None)


class DebuggingJudge:
    """The ``Judge`` of a debugged run."""

    def __init__(self, inner: Judge, breakpoints: Breakpoints) -> None:
        """Ask about what *inner* refuses, and about calls that reach *breakpoints*."""
        self._inner = inner
        self._breakpoints = breakpoints

    def refuses(self, call: Call) -> Outcome | None:
        """Return the refusal of *call*, as a question."""
        refused = self._inner.refuses(call)
        return None if refused is None else _questioned(call, refused)

    def gives_elsewhere(self, call: Call) -> bool:
        """Return whether the last replacement gives *call*, which waits, to a handler, or takes it from one."""
        return self._inner.gives_elsewhere(call)

    def asks_before(self, call: Call) -> Outcome | None:
        """Return what has to be asked before *call* is done for its target, as a handler says."""
        return self._inner.asks_before(call)

    def answers(self, call: Call) -> Outcome | None:
        """Return what is answered when every handler has passed; where a breakpoint is reached, as a question."""
        said = self._inner.answers(call)
        if said is None or said.asks is not None or self._breakpoints.hit(call) is None:
            return said
        return _questioned(call, said, at=BREAKPOINT)

    def reconsiders(self, call: Call, decided: Outcome) -> Outcome:
        """Return what a handler has *decided*, as a question if it refuses *call*, or at a breakpoint."""
        if decided.asks is not None or isinstance(decided.verdict, InjectFd):
            return decided  # it is one already; or what it holds would have to be given back if somebody says otherwise
        if isinstance(decided.verdict, Deny | Kill):
            return _questioned(call, decided, at=Origin(f"the handler {decided.handler}"))
        return decided if self._breakpoints.hit(call) is None else _questioned(call, decided, at=BREAKPOINT)


def _questioned(call: Call, said: Outcome, at: Origin | None = None) -> Outcome:
    """Return *said* as what is answered where nobody says otherwise; *at*: why somebody is asked."""
    try:
        asks = asks_of(call, at or said.rule or NOWHERE)
    except (TargetGone, TargetMemoryError, OSError):
        return said  # without a look at it nobody can decide otherwise
    refused = isinstance(said.verdict, Deny | Kill)
    if not refused:
        asks = asks._replace(allowed=said.verdict)  # it goes on as it would have
    if said.path is not None:
        asks = Asks(asks.allowed, (asks.about[0]._replace(access=said.access, path=said.path),))
    said.asks = asks._replace(refused=refused, grantable=False)
    return said
