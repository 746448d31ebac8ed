"""
The calls that wait for a task, and what became of them meanwhile.

What it is not: the task (``dispatch``).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import trio

from monitor.notify.account import Judge, Outcome
from monitor.notify.decode import Call
from monitor.notify.listener import AnyListener

LOOK_FIRST_SECONDS: Final = 0.050
LOOK_LAST_SECONDS: Final = 0.500
"""How often waiting calls are looked at: is their thread still there?"""


class Waiting:
    """One call whose asynchronous handler runs, or for which the broker acts."""

    __slots__ = ("acted_for", "again", "asking", "call", "elsewhere", "gone", "refused", "scope")

    def __init__(self, call: Call) -> None:
        """Wait with *call*."""
        self.call = call
        self.scope: trio.CancelScope | None = None
        self.gone = False
        self.refused: Outcome | None = None
        """What a policy says that was put in force meanwhile."""
        self.again = False
        """Whether that policy has other handlers decide."""
        self.acted_for = False
        """Whether no handler is asked, since the broker looks it up or carries it out."""
        self.asking = False
        """Whether somebody is asked, since every handler has passed."""
        self.elsewhere = False
        """Whether a policy that was put in force meanwhile gives the call to a handler, or takes it from one."""

    @contextmanager
    def acting(self) -> Generator[trio.CancelScope, None, None]:
        """Have the broker do something for the call, as long as its thread is there."""
        self.acted_for = True
        try:
            with trio.CancelScope() as self.scope:
                yield self.scope
        finally:
            self.acted_for = False

    def decide_again(self, judge: Judge) -> None:
        """Have the policy that is in force now decide, if handlers or people still think about the call."""
        if self.acted_for:  # it is decided about after this, or was before
            return
        refused_before = self.refused is not None
        self.refused = judge.refuses(self.call)
        self.elsewhere = self.elsewhere or judge.gives_elsewhere(self.call)
        self.again = self.again or refused_before or self.asking or self.elsewhere
        if (self.again or self.refused is not None) and self.scope is not None:
            self.scope.cancel()


class WaitingRoom:
    """All calls of one listener that wait."""

    def __init__(self, listener: AnyListener) -> None:
        """Borrow *listener*."""
        self._listener = listener
        self._calls: dict[int, Waiting] = {}
        self._something_waits = trio.Event()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._calls)

    def enter(self, call: Call) -> Waiting:
        """Let *call* wait."""
        waiting = self._calls[call.id] = Waiting(call)
        self._something_waits.set()
        return waiting

    def leave(self, waiting: Waiting) -> None:
        """Let it wait no more."""
        del self._calls[waiting.call.id]

    def decide_again(self, judge: Judge) -> None:
        """Have the policy that is in force now decide about all of them."""
        for waiting in list(self._calls.values()):
            waiting.decide_again(judge)

    @trio.lowlevel.enable_ki_protection
    async def look_after(self) -> None:
        """Cancel what is done about calls whose thread is gone.  No timer runs while nothing waits."""
        while True:
            await self._something_waits.wait()
            pause = LOOK_FIRST_SECONDS
            while self._calls:
                await trio.sleep(pause)
                pause = min(2 * pause, LOOK_LAST_SECONDS)
                for waiting in list(self._calls.values()):
                    if not self._listener.is_valid(waiting.call.id):
                        waiting.gone = True
                        if waiting.scope is not None:
                            waiting.scope.cancel()
            self._something_waits = trio.Event()
