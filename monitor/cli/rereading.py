"""
Notices that files have changed: what they are is asked again and again, and waited until it stays.

What it is not: the reading.  A file that is being written may be half of one that says less than the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import trio

LOOK_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 0.2

_MOST_LOOKS: Final = 25
"""At a file that changes all the time, until it is read as it is."""

_Stamps: TypeAlias = Mapping[str, tuple[int, ...]]


class Changes:
    """Of several files, or directories whose list of names counts."""

    def __init__(self, files: Sequence[str]) -> None:
        """Begin with *files* as they are now."""
        self._seen = _stamps(files)

    def watch(self, files: Sequence[str]) -> None:
        """Look at *files* from now on; those that were looked at before may have changed since."""
        self._seen = {**_stamps(files), **{name: self._seen[name] for name in files if name in self._seen}}

    async def wait(self) -> None:
        """Wait until something has changed, and has stayed as it is for a moment."""
        while _stamps([*self._seen]) == self._seen:  # noqa: ASYNC110  # a file sets no event
            await trio.sleep(LOOK_SECONDS)
        for _ in range(_MOST_LOOKS):
            before = _stamps([*self._seen])
            await trio.sleep(SETTLE_SECONDS)
            if _stamps([*self._seen]) == before:
                break
        self._seen = _stamps([*self._seen])


def _stamps(files: Sequence[str]) -> _Stamps:
    """Return what changes when one of *files* does; of one that is not there all is 0."""
    found: dict[str, tuple[int, ...]] = {}
    for name in files:
        try:
            status = Path(name).stat()
        except (OSError, ValueError):
            found[name] = (0, 0, 0, 0, 0)
        else:
            found[name] = (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found
