"""
Receiving, responding, adding fds: the functions of native/listener.c.

What it is not: the owner of the listener (``notify.listener``).  Receiving is the exception to
the rule that errors are raised: its outcomes are ordinary and come once per call, so they are
small integers.
"""

from __future__ import annotations

import struct
from errno import EAGAIN, ENOENT, ENOTCONN
from typing import Final, TypeAlias, cast

from monitor._native.shim import Data, check, check_waiting, ffi, lib

RawNotification: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int, int]
"""``struct seccomp_notif`` as it came: id, tid, flags, nr, arch, ip, and six argument registers."""

_LAYOUT: Final = struct.Struct("=QIIiIQ6Q")

UNPACK: Final = _LAYOUT.unpack_from
PACK: Final = _LAYOUT.pack_into
"""Make a ``RawNotification`` of a buffer, and the other way round; for this folder."""

NOTHING_QUEUED: Final = -EAGAIN
"""There is no notification now."""

NO_TASK_LEFT: Final = -ENOTCONN
"""No task uses the filter any more (``POLLHUP``): there will never be another notification."""

EVAPORATED: Final = -ENOENT
"""There was one, and it went away before it was received: a signal, or the target died."""

_exchange: Final = lib.mon_listener_exchange
_receive: Final = lib.mon_listener_receive


class Receiver:
    """
    The receiving half of one listener: the buffers that the kernel fills, and their sizes.

    It borrows *listener*; whoever owns the fd must not use this after closing it.  ``sent`` is
    the outcome of the last ``exchange``'s response: 0 or a negative errno.
    """

    __slots__ = ("_listener", "_notif", "_sent", "_size", "_view", "is_open", "sent")

    def __init__(self, listener: int) -> None:
        """Ask the kernel for its sizes (``SECCOMP_GET_NOTIF_SIZES``)."""
        notif, resp, data = (ffi.new("uint16_t *") for _ in range(3))
        check(lib.mon_listener_sizes(notif, resp, data))
        self._listener = listener
        self._size = int(notif[0])
        self._notif = ffi.new("uint64_t[]", (self._size + 7) // 8)
        self._view = ffi.buffer(self._notif, self._size)
        self._sent = ffi.new("int *")
        self.sent = 0
        self.is_open = True

    def buffers(self) -> tuple[Data, int, Data]:
        """Return where the kernel writes a notification, its size, and a view of it; for this folder."""
        return self._notif, self._size, self._view

    def forget(self) -> None:
        """Use the fd no more, which was closed: nothing can be received or answered from now on."""
        self.is_open = False

    def receive(self) -> RawNotification | int:
        """Return the next notification without waiting, or ``NOTHING_QUEUED`` and its like."""
        result = _receive(self._listener, self._notif, self._size)
        return cast("RawNotification", UNPACK(self._view)) if result == 0 else result

    def exchange(self, ident: int, value: int, error: int, flags: int) -> RawNotification | int:
        """Respond (*error* is 0 or a negative errno), then ``receive``, in one call of C."""
        result = _exchange(self._listener, ident, value, error, flags, self._notif, self._size, self._sent)
        self.sent = self._sent[0]
        return cast("RawNotification", UNPACK(self._view)) if result == 0 else result


def listener_check(listener: int) -> None:
    """Raise OSError unless *listener* is a seccomp listener."""
    check(lib.mon_listener_check(listener))


def listener_set_flags(listener: int, flags: int) -> None:
    """``SECCOMP_IOCTL_NOTIF_SET_FLAGS``; OSError on a kernel before 6.6."""
    check(lib.mon_listener_set_flags(listener, flags))


def listener_respond(listener: int, ident: int, value: int, error: int, flags: int) -> None:
    """Send one response; *error* is 0 or a negative errno.  Raises TargetGone."""
    check_waiting(lib.mon_listener_respond(listener, ident, value, error, flags))


def listener_is_valid(listener: int, ident: int) -> bool:
    """Whether the thread behind *ident* still waits for its answer."""
    result = lib.mon_listener_id_valid(listener, ident)
    return result != -ENOENT and check(result) == 0


def listener_add_fd(listener: int, ident: int, flags: int, fd: int, number: int, number_flags: int) -> int:
    """Put a duplicate of *fd* into the target; its number there.  Raises TargetGone, or OSError."""
    return check_waiting(lib.mon_listener_add_fd(listener, ident, flags, fd, number, number_flags))
