"""
The memory of a waiting thread, and a signal to its process: the functions of native/memory.c.

What it is not: the rule that a look at memory forbids to allow (``notify.target``, ``notify.ask``).
"""

from __future__ import annotations

import os
from errno import EACCES, EFAULT, EMFILE, ENAMETOOLONG, ENFILE, EPERM
from typing import Final

from monitor._native.shim import check_waiting, ffi, lib
from monitor.errors import TargetMemoryError

PEEK_MAX: Final = 1 << 16
"""The most that is peeked at in one call."""


def _check_access(result: int, address: int, what: str) -> int:
    if result >= 0:
        return result
    if result in (-EFAULT, -ENAMETOOLONG, -EACCES, -EPERM):
        raise TargetMemoryError(address, -result, what)
    if result in (-EMFILE, -ENFILE):
        raise OSError(-result, os.strerror(-result))
    return check_waiting(result)


def target_read(listener: int, ident: int, tid: int, address: int, size: int) -> bytes:
    """Up to *size* bytes at *address*; fewer where the mapping ends, never none."""
    buffer = ffi.new("char[]", size)
    result = lib.mon_target_read(listener, ident, tid, address, buffer, size)
    return bytes(ffi.buffer(buffer, _check_access(result, address, f"read {size} bytes")))


def target_read_string(listener: int, ident: int, tid: int, address: int, limit: int) -> bytes:
    """Return the bytes before the first NUL, which must come within *limit* bytes."""
    buffer = ffi.new("char[]", limit)
    result = lib.mon_target_read_string(listener, ident, tid, address, buffer, limit)
    return bytes(ffi.buffer(buffer, _check_access(result, address, "read a string")))


class Peeker:
    """
    Reads for people, of whatever thread has the number: see ``mon_target_peek`` in native/shim.h.

    Its buffer is used again and again; what it returns is a copy.
    """

    __slots__ = ("_buffer", "_view")

    def __init__(self) -> None:
        """Allocate the buffer."""
        self._buffer = ffi.new("char[]", PEEK_MAX)
        self._view = ffi.buffer(self._buffer, PEEK_MAX)

    def read(self, tid: int, address: int, size: int) -> bytes:
        """Up to *size* bytes at *address*, ``PEEK_MAX`` at most; fewer where the mapping ends, never none."""
        result = lib.mon_target_peek(tid, address, self._buffer, min(size, PEEK_MAX))
        return self._view[: result if result >= 0 else _check_access(result, address, f"read {size} bytes")]

    def read_string(self, tid: int, address: int, limit: int) -> bytes:
        """Return the bytes before the first NUL, which must come within *limit* bytes, ``PEEK_MAX`` at most."""
        result = lib.mon_target_peek_string(tid, address, self._buffer, min(limit, PEEK_MAX))
        return self._view[: result if result >= 0 else _check_access(result, address, "read a string")]


def target_write(listener: int, ident: int, tid: int, address: int, data: bytes) -> int:
    """Write *data* at *address*; the count, which is short where a page is missing."""
    result = lib.mon_target_write(listener, ident, tid, address, ffi.from_buffer(data), len(data))
    return _check_access(result, address, f"write {len(data)} bytes")


def target_fd(listener: int, ident: int, tid: int, fd: int) -> int:
    """Return a duplicate of the waiting thread's *fd*, the caller's to close.  Raises TargetGone, or OSError."""
    return check_waiting(lib.mon_target_fd(listener, ident, tid, fd))


def target_kill(listener: int, ident: int, tid: int, signal: int) -> None:
    """Send *signal* to the process of the waiting thread.  Raises TargetGone, or OSError."""
    check_waiting(lib.mon_target_kill(listener, ident, tid, signal))
