"""
Whole lines to a reader that nobody waits for: a bounded number of bytes is held for it, and then lines are dropped.

What it is not: for people, who would rather wait than miss a line (``output``), or the opening of what is
written to (``opening``).

The newest lines are dropped, whole, and where they are missing stands a line that says how many: as soon
as the reader has taken enough for it.  A line of which a part was written is always finished first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from errno import EIO
from typing import Final

import trio

from monitor.events.opening import Opened

CAPACITY: Final = 1 << 20
"""How many bytes are held for a reader that does not read, unless somebody says otherwise."""

FINISH_SECONDS: Final = 1.0
"""How long a reader that still reads is given at the end."""

_AT_ONCE: Final = 1 << 16
"""The most that is written by one call: what a pipe holds."""

_MARK_BYTES: Final = 256
"""Enough for a mark."""

_LOOK_SECONDS: Final = 0.005
"""How often it is looked at the end whether there is room again."""


class Lines:
    """Writes lines to what was opened, which it owns."""

    def __init__(
        self,
        opened: Opened,
        *,
        capacity: int,
        mark: Callable[[int, int], bytes],
        tell: Callable[[str], None] | None,
    ) -> None:
        """
        Hold at most *capacity* bytes.

        *mark* is asked for the line that stands where so many are missing, and is told its number; *tell*
        is called, once, with the reason why nothing is written any more.
        """
        if capacity < 1:
            msg = f"capacity must be at least 1, not {capacity}"
            raise ValueError(msg)
        self._opened = opened
        self._is_open = True
        self._write = opened.write
        self._capacity = capacity
        self._mark = mark
        self._tell = tell
        self._held = bytearray()
        self._missing = 0
        self._something_held = trio.Event()
        self._turn = trio.Lock()
        self.failure: OSError | None = None
        """Why nothing is written any more, if something went wrong."""
        self.dropped = 0
        """How many lines were dropped in all."""
        self.waits = False
        """Whether ``ready`` has anything to do: an attribute, because it is asked for each call."""
        self.number = 0
        """That of the next line: how many have been taken to be written, marks among them."""

    @property
    def closed(self) -> bool:
        """Whether nothing is written any more."""
        return not self._is_open

    def ready(self) -> bool:
        """
        Return whether a line may be put; what is held is written first, unless ``serve`` does that.

        It may not while lines are missing and the reader has taken nothing since: then the next one need
        not even be made, but is to be dropped.
        """
        if (self._held or self._missing) and not self._turn.locked():
            self._flush()
        self.waits = not self._is_open or bool(self._held)
        return self._is_open and not self._missing

    def put(self, line: bytes) -> None:
        """
        Write *line*, which ends with its line end, or hold it, or drop it.

        To be called after ``ready``, which writes what comes before it.
        """
        done = 0
        if not self._held:
            try:
                done = self._write(line)
            except BlockingIOError:
                pass
            except OSError as error:
                self._give_up(error)
                return
            if done == len(line):
                self.number += 1
                return
        if not done and len(self._held) + len(line) > self._capacity:
            self.drop()
            return
        self._held += line[done:]
        self.waits = True
        self.number += 1
        self._something_held.set()

    def drop(self) -> None:
        """Count a line that is not written."""
        if self._is_open:
            self._missing += 1
            self.waits = True
            self.dropped += 1
            self._something_held.set()

    def _flush(self) -> None:
        """Write as much as there is room for; with that, also the mark of what is missing."""
        if not self._held:  # what is missing alone was too long for all that can be held
            self._mark_what_is_missing()
        while self._held:
            try:
                with memoryview(self._held) as view, view[:_AT_ONCE] as part:
                    done = self._write(part)
                    is_whole = done == len(part)
            except BlockingIOError:
                return
            except OSError as error:
                self._give_up(error)
                return
            del self._held[:done]
            self._mark_what_is_missing()
            if not is_whole:
                return

    def _mark_what_is_missing(self) -> None:
        if self._missing and (len(self._held) + _MARK_BYTES <= self._capacity or not self._held):
            self._held += self._mark(self._missing, self.number)
            self.number += 1
            self._missing = 0

    def _give_up(self, error: OSError) -> None:
        self.close()
        self.failure = error
        if self._tell is not None:
            reason = error.strerror or os.strerror(error.errno or EIO)
            self._tell(f"cannot write to {self._opened.name}: {reason}; the program goes on")

    async def serve(self) -> None:
        """
        Write what is held as soon as there is room for it; ends with the writing.

        Of several runs with one reader each does it in its turn.
        """
        async with self._turn:
            while self._is_open:
                await self._something_held.wait()
                if self._held or self._missing:
                    await self._room()
                    self._flush()
                elif self._is_open:
                    self._something_held = trio.Event()

    async def _room(self) -> None:
        """Wait until something can be written, or nothing ever will be."""
        try:
            await trio.lowlevel.wait_writable(self._opened.fd)
        except trio.ClosedResourceError:
            pass
        except OSError:  # epoll(7) does not know files, which have no room for a part when the disk is full
            await trio.sleep(_LOOK_SECONDS)

    async def finish(self, seconds: float = FINISH_SECONDS) -> None:
        """Give the reader so long, at most, for what is held, and for the mark of what is missing."""
        with trio.CancelScope(deadline=trio.current_time() + seconds, shield=True):
            self._flush()
            while self._is_open and self._held:
                await trio.sleep(_LOOK_SECONDS)
                self._flush()

    def close(self) -> None:
        """Write no more; what is held is lost."""
        self._held = bytearray()
        self._missing = 0
        self.waits = True
        self._something_held.set()
        if self._is_open:
            self._is_open = False
            if trio.lowlevel.in_trio_run():
                trio.lowlevel.notify_closing(self._opened.fd)
            with contextlib.suppress(OSError):  # EIO, ENOSPC: nothing is left that could be done
                self._opened.close()

    def __del__(self) -> None:
        """Close what nobody has closed."""
        if getattr(self, "_is_open", False):
            with contextlib.suppress(OSError):
                self._opened.close()
