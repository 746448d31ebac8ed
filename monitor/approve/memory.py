"""
Answers that hold for more than one call of a run.

What it is not: grants, which stand in a file (``policy.grants``) and outlive the run.  Of each scope so many
are kept; the oldest is forgotten first, and asked again.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from monitor.approve.question import Answer, Scope
from monitor.approve.shape import Asker, Shape

MOST: Final = 4096


class Memory:
    """What was answered, by scope."""

    def __init__(self, most: int = MOST) -> None:
        """Remember nothing yet, and never more than *most* answers of a scope."""
        self._most = most
        self._run: dict[Hashable, Answer] = {}
        self._program: dict[Hashable, Answer] = {}
        self._process: dict[Hashable, Answer] = {}

    def of_anybody(self, shape: Shape) -> Answer | None:
        """Return what was answered for the whole run to questions of *shape*."""
        return self._run.get(shape)

    @property
    def knows_askers(self) -> bool:
        """Whether any answer depends on who asks."""
        return bool(self._program or self._process)

    def of(self, asker: Asker, shape: Shape) -> Answer | None:
        """Return what was answered to *asker*, or to its program."""
        return self._process.get((asker, shape)) or self._program.get((asker.program, shape))

    def keep(self, answer: Answer, scope: Scope, asker: Asker, shape: Shape) -> None:
        """Remember *answer* for as much as *scope* says; for always, a file does."""
        match scope:
            case "once" | "always":
                pass
            case "process":
                self._put(self._process, (asker, shape), answer)
            case "program":
                self._put(self._program, (asker.program, shape), answer)
            case "run":
                self._put(self._run, shape, answer)

    def _put(self, kept: dict[Hashable, Answer], key: Hashable, answer: Answer) -> None:
        kept.pop(key, None)
        while len(kept) >= self._most:
            del kept[next(iter(kept))]
        kept[key] = answer
