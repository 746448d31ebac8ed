"""
What a policy hides, for a walk: a name that the target is not to know of is none that it can pass.

What it is not: the policy (the roof brings its word), or the walk.  What a path leads *to* is decided by the name
of that; here it is about what it passes and leaves again, by ``..`` or a link, so that the name does not tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from errno import ECONNABORTED, EHOSTDOWN, EIO, ENOTCONN, EREMOTEIO, ESTALE, ETIMEDOUT, EXDEV
from typing import Final, TypeAlias

Hides: TypeAlias = Callable[[bytes], bool]
"""Whether the policy hides a canonical name."""

TELLING: Final = frozenset({EXDEV, EIO, ESTALE, ENOTCONN, ETIMEDOUT, EHOSTDOWN, ECONNABORTED, EREMOTEIO})
"""Errors that only what is there brings about, such as a mount: it matters where, if anything is hidden."""


def hidden_name(hides: Hides, names: Iterable[bytes]) -> bytes | None:
    """Return that of *names* which is hidden, or the highest directory above it that is; None: none is."""
    for name in names:
        if hides(name):
            return next(above for above in _from_above(name) if hides(above))
    return None


def _from_above(name: bytes) -> Iterator[bytes]:
    """Yield the directories above *name*, the highest first, and *name*."""
    place = name.find(b"/", 1)
    while place > 0:
        yield name[:place]
        place = name.find(b"/", place + 1)
    yield name
