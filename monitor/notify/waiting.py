"""
A call that waits for a task, and what became of it meanwhile.

What it is not: the task (``dispatch``).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import trio

from monitor.notify.account import Outcome
from monitor.notify.decode import Call


class Waiting:
    """One call whose asynchronous handler runs, or for which the broker acts."""

    __slots__ = ("acted_for", "again", "call", "gone", "refused", "scope")

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

    @contextmanager
    def acting(self) -> Generator[trio.CancelScope, None, None]:
        """Have the broker do something for the call, as long as its thread is there."""
        self.acted_for = True
        try:
            with trio.CancelScope() as self.scope:
                yield self.scope
        finally:
            self.acted_for = False
