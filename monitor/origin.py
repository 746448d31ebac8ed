"""
Where a rule came from: a file, a line, a key.

What it is not: the reason for the rule, which its author writes beside it.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Origin:
    """
    A place in what somebody wrote.

    *line* and *column* count from 1; 0 is "not known", as for a preset's or a foreign format's
    default.  *key* says the place within the file: ``syscalls[2].errno``.
    """

    file: str = ""
    line: int = 0
    column: int = 0
    key: str = ""

    def __str__(self) -> str:
        """Return ``agent.toml:12``, or as much of it as is known."""
        place = self.file or "policy"
        if self.line:
            return f"{place}:{self.line}"
        return f"{place} ({self.key})" if self.key else place

    def within(self, key: str) -> Origin:
        """Return the same place, one *key* further in."""
        return Origin(self.file, self.line, self.column, f"{self.key}.{key}" if self.key else key)


NOWHERE = Origin()
"""Of what was made by a program, not written in a file."""
