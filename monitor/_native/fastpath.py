"""
The plainest calls with a path, in two steps each: the functions of native/fastpath.c.

What it is not: a decision, or an answer (``fastacts``, ``fastrun``).  Between the two steps what was looked up can be
asked about; an answer or ``drop`` has to follow a look that found something.
"""

from __future__ import annotations

import os
from typing import Final, Literal, NamedTuple, TypeAlias

from monitor._native.listener import Receiver
from monitor._native.shim import constant, ffi, lib

Kind: TypeAlias = Literal["regular", "directory", "other", "missing"]

_KINDS: Final[dict[int, Kind]] = {
    constant("MON_FAST_REGULAR"): "regular",
    constant("MON_FAST_DIRECTORY"): "directory",
    constant("MON_FAST_OTHER"): "other",
    constant("MON_FAST_MISSING"): "missing",
}

HEAD: Final = 9
"""The bytes of a ``struct mon_fast_object`` before the name."""

_look: Final = lib.mon_fast_look


class Plain(NamedTuple):
    """
    What a plain path leads to.

    Attributes:
        mount: ``stx_mnt_id``; of the directory above it, where it is missing.
        kind: of a missing one there is nothing of this name.
        name: an absolute one, and no other can be meant.
    """

    mount: int
    kind: Kind
    name: bytes

    @classmethod
    def of(cls, told: bytes) -> Plain:
        """Return what the bytes that ``FastLooker.look`` returned stand for."""
        return cls(int.from_bytes(told[:8], "little"), _KINDS[told[8]], told[HEAD:])


class FastLooker:
    """
    Looks up the path of the notification that was received last.

    It borrows *listener*, whose buffers are those of *receiver*, and the fds of ``/proc``, ``/proc/self/fd`` and
    ``/proc/self/mountinfo``.
    """

    __slots__ = ("_data", "_found", "_notif", "_object", "_receiver", "_result", "_size", "_view", "sent")

    def __init__(self, receiver: Receiver, listener: int, proc: int, own_fds: int, mounts: int) -> None:
        """Allocate the buffers."""
        self._data = ffi.new("struct mon_lookup *")
        self._data.listener = listener
        self._data.proc = proc
        self._data.own_fds = own_fds
        self._data.mounts = mounts
        self._object = ffi.new("struct mon_fast_object *")
        self._found = ffi.buffer(self._object)
        self._result = ffi.new("int *")
        self._receiver = receiver
        self._notif, self._size, self._view = receiver.buffers()
        self.sent = 0
        """What became of the last answer but that of an open, which arrives or is none: 0 or a negative errno."""

    def look(self, path_register: int, directory_register: int, flags: int) -> bytes | int:
        """
        Look up a path; *directory_register*: -1 where there is none.

        Returns what was found as bytes, equal ones for equal things: see ``Plain.of``.  Or -errno, and nothing is open.
        """
        length = _look(self._data, self._notif, path_register, directory_register, flags, self._object)
        return self._found[: HEAD + length] if length >= 0 else length

    def drop(self) -> None:
        """Close what was found."""
        fd, self._data.fd = self._data.fd, -1
        os.close(fd)
