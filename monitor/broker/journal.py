"""
What was done for a thread that could not be told of it: remembered for when the kernel makes the call again.

What it is not: needed where the kernel lets a thread wait for its answer through signals (WAIT_KILLABLE_RECV,
Linux 5.19).  Before that, a signal takes a call away that we have begun: the thread hears EINTR, or the kernel
makes the call again after the handler (SA_RESTART) or the stop, under a new id.  What a second time would
fail, or do twice, is then answered with what came of the first.

A thread has one entry at the most: any other call of it that we hear of drops it, and so does its end.  The
same call is one with the same number and registers, made at the same place by the same thread, with the same
bytes behind its pointers.  One that the program makes anew after EINTR is answered likewise: what it wanted
was done.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated, MayBlockError

MOST: Final = 256
"""Threads whose lost answers are remembered; the oldest is forgotten first."""

ONCE: Final = frozenset(
    {
        *("mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "link", "linkat"),
        *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"),
        *("open", "openat", "openat2", "creat", "getdents", "getdents64", "fanotify_mark"),
        *("setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
        *("removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
    }
)
"""Calls that, done again, would fail or do something else; all others are done again."""

_START_TIME: Final = 19
"""The place of ``starttime`` behind the name in /proc/TID/stat (proc_pid_stat(5))."""

Key: TypeAlias = tuple[object, ...]


class Entry:
    """One call that was begun, and what came of it."""

    __slots__ = ("done", "ended", "key", "made", "tid")

    def __init__(self, tid: int, key: Key) -> None:
        """Begin it."""
        self.tid = tid
        self.key = key
        self.ended = threading.Event()
        self.done: Emulated | None = None
        """What the thread is answered; None: nothing came of it, or it has not come to an end."""
        self.made = -1
        """A file that was made and could not be handed over: ours to close."""

    def keep(self, made: int) -> None:
        """Keep a duplicate of the file that was made."""
        self.made = os.dup(made)


class Journal:
    """The calls that were begun for the threads of one listener.  Used from every thread of ours."""

    def __init__(self, most: int = MOST) -> None:
        """Remember nothing yet, and never more than *most*."""
        self._most = most
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many calls are remembered."""
        return len(self._entries)

    def note(self, call: Call) -> None:
        """Forget what *call*, of the same thread, shows not to be made again."""
        with self._lock:
            entry = self._entries.get(call.tid)
            if entry is not None and entry.key[: len(_head(call))] != _head(call):
                self._drop(entry)

    def begin(self, call: Call, behind: Iterable[bytes], *, may_block: bool) -> tuple[Entry, bool]:
        """
        Return the entry of *call*, behind whose pointers these bytes are, and whether it is to be done now.

        Where it was begun before, its end is awaited.  Raises MayBlockError: not here; TargetGone.
        """
        key = (*_head(call), _start_time(call.tid), *behind)
        while True:
            with self._lock:
                entry = self._entries.get(call.tid)
                if entry is None or entry.key != key:
                    return self._new(call.tid, key, entry), True
                if entry.ended.is_set():
                    return entry, False
            if not may_block:
                raise MayBlockError
            entry.ended.wait()

    def _new(self, tid: int, key: Key, before: Entry | None) -> Entry:
        if before is not None:
            self._drop(before)
        for other in list(self._entries.values()):
            if other.ended.is_set() and not os.path.exists(f"/proc/{other.tid}"):  # noqa: PTH110  # no exception for a race
                self._drop(other)
        while len(self._entries) >= self._most:
            self._drop(next(iter(self._entries.values())))
        entry = self._entries[tid] = Entry(tid, key)
        return entry

    def end(self, entry: Entry, done: Emulated | None) -> None:
        """Say what came of it; None: nothing but perhaps a file that was made.  What failed is done again."""
        with self._lock:
            if done is None:
                is_kept = entry.made >= 0
            else:
                is_kept = done.value >= 0 and not (done.answered or done.continued)
                entry.done = done if is_kept else None
            entry.ended.set()
            if not is_kept or self._entries.get(entry.tid) is not entry:
                self._drop(entry)

    def settle(self, entry: Entry) -> None:
        """Forget it: the thread was told."""
        with self._lock:
            self._drop(entry)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            for entry in list(self._entries.values()):
                self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        if self._entries.get(entry.tid) is entry:
            del self._entries[entry.tid]
        if entry.ended.is_set():  # else it is dropped once more at its end
            made, entry.made = entry.made, -1
            if made >= 0:
                os.close(made)


def _head(call: Call) -> Key:
    # The other registers are anything, when the program makes the call anew.
    return call.nr, call.audit_arch, call.instruction_pointer, call.registers[: len(call.args)]


def _start_time(tid: int) -> int:
    """Return when a thread began, which tells it from one that has its number later.  Raises TargetGone."""
    try:
        status = Path(f"/proc/{tid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        raise TargetGone from None
    return int(status.rpartition(b")")[2].split()[_START_TIME])
