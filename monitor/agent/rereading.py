"""
Notices that files have changed: what they are is asked again and again, and waited until it stays.

What it is not: the reading.  A file that is being written may be half of one that says less than the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import trio

LOOK_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 0.2

_MOST_LOOKS: Final = 25
"""At a file that changes all the time, until it is read as it is."""

Stamp: TypeAlias = tuple[int, ...]
"""Of a file: another one when that has changed."""

_GONE: Final = (0,)


class Changes:
    """Of several files, or directories whose list of names counts."""

    def __init__(self, files: Mapping[str, Stamp]) -> None:
        """Begin with *files* as they were before they were read."""
        self._seen = files

    def watch(self, files: Mapping[str, Stamp]) -> None:
        """Look at *files* from now on, as they were likewise."""
        self._seen = files

    async def wait(self) -> None:
        """Wait until something has changed, and has stayed as it is for a moment."""
        while _stamps(self._seen) == self._seen:  # noqa: ASYNC110  # a file sets no event
            await trio.sleep(LOOK_SECONDS)
        for _ in range(_MOST_LOOKS):
            before = _stamps(self._seen)
            await trio.sleep(SETTLE_SECONDS)
            if _stamps(self._seen) == before:
                break
        self._seen = _stamps(self._seen)  # of what cannot be read, too: it is not read again until it changes


def stamp_of(name: str) -> Stamp:
    """Return what is another when the file *name* has changed, or is not there any more."""
    try:
        found = Path(name).stat()
    except (OSError, ValueError):
        return _GONE
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _stamps(files: Mapping[str, Stamp]) -> Mapping[str, Stamp]:
    return {name: stamp_of(name) for name in files}
