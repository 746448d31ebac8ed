"""
The plainest calls beside opens that read and stats, in two steps each: native/fastacts.c and native/fastnames.c.

What it is not: a decision.  Between the two steps what was looked up can be asked about; one of ``answer_*``, or
``drop`` has to follow a look that found something.
"""

from __future__ import annotations

import os
import threading
from errno import EINPROGRESS
from typing import Final, Literal, NamedTuple, TypeAlias

from monitor._native.fastpath import HEAD, FastLooker
from monitor._native.listener import UNPACK, RawNotification, Receiver
from monitor._native.shim import Data, constant, ffi, lib

Act: TypeAlias = Literal["access", "access-flags", "readlink", "statx", "chdir", "mode", "owner", "times"]

ACTS: Final[dict[Act, int]] = {
    "access": constant("MON_ACT_ACCESS"),
    "access-flags": constant("MON_ACT_ACCESS_FLAGS"),
    "readlink": constant("MON_ACT_READLINK"),
    "statx": constant("MON_ACT_STATX"),
    "chdir": constant("MON_ACT_CHDIR"),
    "mode": constant("MON_ACT_MODE"),
    "owner": constant("MON_ACT_OWNER"),
    "times": constant("MON_ACT_TIMES"),
}
"""What may be done with an object, by the shim's numbers."""

HELD: Final = constant("MON_ACT_HELD")
"""Beside one of the last three: through the fd that the thread has."""

_act: Final = lib.mon_fast_act
_look_entry: Final = lib.mon_fast_look_entry
_see: Final = lib.mon_fast_see

Following: TypeAlias = RawNotification | int | None
"""What was received behind an answer, or why nothing was; None: nothing was answered or received."""


class Entry(NamedTuple):
    """
    What has the name about which a call is.

    Attributes:
        device: major << 32 | minor.
        inode: ``st_ino``.
        mode: ``st_mode``; 0: nothing has the name.
    """

    device: int
    inode: int
    mode: int


def entry_of(directory: int, name: bytes) -> Entry | None:
    """Return what has *name* in a directory; None: nothing.  No file system is asked that may be mounted there."""
    entry = ffi.new("struct mon_fast_entry *")
    lib.mon_path_see(directory, name, entry)
    return Entry(entry.device, entry.inode, entry.mode) if entry.mode else None


class FastRunner:
    """
    A thread with a umask of its own, which runs C alone.  Owns it.

    It is started when it is wanted first; until it runs, and where there can be none, nothing is made by it.
    """

    def __init__(self) -> None:
        """Start nothing."""
        self.data: Data = ffi.new("struct mon_runner *")
        self._started = False

    def start(self) -> None:
        """Start the thread, once."""
        if self._started:
            return
        self._started = True
        try:
            threading.Thread(target=_serve, args=(self.data,), name="monitor fast runner", daemon=True).start()
        except RuntimeError:  # "can't start new thread": others make files then
            return

    def close(self) -> None:
        """End the thread; it is not waited for."""
        lib.mon_runner_end(self.data)


def _serve(data: Data) -> None:
    lib.mon_runner_serve(data)  # where that fails, nothing is made by it


class FastActor(FastLooker):
    """
    A ``FastLooker`` that answers, and so receives what comes next: each ``answer_*`` what was looked up last.

    It hears of changed mounts for itself: each open list tells each change once (``mounts_poll``, fs/namespace.c), and
    others look up on other threads.  Ends with ``close``.
    """

    __slots__ = ("_entry", "_entry_found", "_mounts", "_old", "_old_entry", "_patience", "_runner")

    def __init__(self, receiver: Receiver, listener: int, proc: int, own_fds: int) -> None:
        """Allocate the buffers.  Raises OSError."""
        mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        super().__init__(receiver, listener, proc, own_fds, mounts)
        self._mounts = mounts
        self._old = ffi.new("struct mon_lookup *")
        for name in ("listener", "proc", "own_fds", "mounts"):
            setattr(self._old, name, getattr(self._data, name))
        self._old.fd = -1
        self._entry = ffi.new("struct mon_fast_entry *")
        self._old_entry = ffi.new("struct mon_fast_entry *")
        self._runner = FastRunner()
        self._patience = self._data.patience = self._old.patience = ffi.new("struct mon_patience *")

    def close(self) -> None:
        """Give the fd back, and end the thread that makes files."""
        self._runner.close()
        os.close(self._mounts)

    def data(self) -> Data:
        """Return what is looked up now; for this folder."""
        return self._data

    def run_buffers(self) -> tuple[Data, Data, int, Data]:
        """Return what is found, where the kernel writes a notification, its size, and a view of it; for this folder."""
        return self._object, self._notif, self._size, self._view

    def be_patient(self, milliseconds: int, until: float) -> None:
        """Have answers wait so long for what comes next, and not past *until*, in seconds of ``time.monotonic``."""
        self._patience.milliseconds = milliseconds
        self._patience.until = int(until * 1000)

    # ---- looks ----

    def held(self) -> tuple[int, int]:
        """Return device (major << 32 | minor) and inode of what was looked up."""
        return self._data.device, self._data.inode

    def look_entry(self, path_register: int, directory_register: int, flags: int) -> bytes | int:
        """Look up the directory of a path that ends with a name: as ``look``."""
        length = _look_entry(self._data, self._notif, path_register, directory_register, flags, self._object)
        return self._found[: HEAD + length] if length >= 0 else length

    def see(self) -> Entry:
        """Return what has the name; the directory is on a file system that answers."""
        entry = self._entry
        _see(self._data, entry)
        return Entry(entry.device, entry.inode, entry.mode)

    def keep_as_old(self) -> None:
        """Have what was looked up be the old one of two; another look follows."""
        self._data, self._old = self._old, self._data
        self._entry, self._old_entry = self._old_entry, self._entry

    def drop_old(self) -> None:
        """Close the old one."""
        fd, self._old.fd = self._old.fd, -1
        os.close(fd)

    # ---- answers ----

    def _following(self, result: int) -> Following:
        if result == -EINPROGRESS:
            return None
        self.sent = self._result[0]
        return UNPACK(self._view) if result == 0 else result

    def _given(self, result: int) -> Following:
        """Return what an answer with an fd, which arrives or is none, has for a result."""
        if result == 0:
            return UNPACK(self._view)
        return None if self._result[0] < 0 else result

    def answer_act(self, act: int, base: int) -> Following:
        """Do *act*, one of ``ACTS``, with what was looked up; its arguments begin in register *base*."""
        return self._following(_act(self._data, act, base, self._notif, self._size, self._result))

    def answer_missing(self) -> Following:
        """Say to an open that there is nothing."""
        return self._following(lib.mon_fast_missing(self._data, self._notif, self._size, self._result))

    def answer_changing_open(self, flags: int) -> Following:
        """Open what is there to change it."""
        return self._given(lib.mon_fast_open_changing(self._data, flags, self._notif, self._size, self._result))

    def answer_create(self, flags: int, mode: int) -> Following:
        """Make the file that is not there."""
        self._runner.start()
        return self._given(
            lib.mon_fast_create(self._data, self._runner.data, flags, mode, self._notif, self._size, self._result)
        )

    def answer_remove(self, flags: int) -> Following:
        """unlinkat(2) of the last component."""  # the call's name
        return self._following(lib.mon_fast_remove(self._data, flags, self._notif, self._size, self._result))

    def answer_mkdir(self, mode: int) -> Following:
        """mkdirat(2) of the last component."""
        self._runner.start()
        return self._following(
            lib.mon_fast_mkdir(self._data, self._runner.data, mode, self._notif, self._size, self._result)
        )

    def answer_symlink(self, text: int) -> Following:
        """symlinkat(2) of the last component; *text*: the address of what it says."""
        return self._following(lib.mon_fast_symlink(self._data, text, self._notif, self._size, self._result))

    def answer_rename(self, flags: int) -> Following:
        """renameat2(2) of the old one's last component."""
        return self._following(
            lib.mon_fast_rename(self._old, self._old_entry, self._data, flags, self._notif, self._size, self._result)
        )

    def answer_link(self) -> Following:
        """linkat(2) of the old one itself."""
        return self._following(lib.mon_fast_link(self._old, self._data, self._notif, self._size, self._result))
