"""One planted fault."""

from __future__ import annotations

from attrs import frozen


@frozen
class Mutant:
    """*before* stands exactly once in *file*; with *after* in its place one of *tests* must fail."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
