"""
Listing for the target: entries of a directory it has open, without those that are hidden from it.

What it is not: the decision what is hidden; whoever decides leaves a function with the call.  The target's
own description is read, so that its offset moves, and every entry that is left keeps its ``d_off``.

A buffer that is too small for the next entry is EINVAL to the kernel; if that entry is hidden, it is not for the
target to hear of it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from errno import EINVAL
from typing import Final

from monitor._native import entries_of
from monitor.broker.acting import Acting, our_lack
from monitor.broker.resolved import is_name
from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated

_MOST: Final = 1 << 16
"""The most that is read at a time; who has a larger buffer gets less than it could hold."""

_LEAST: Final = 4096
"""Room for any entry: a name has 255 bytes, or on some file systems a few times that."""

_OFFSET: Final = struct.Struct("=q").unpack_from
_OFFSET_AT: Final = 8
"""Where ``d_off`` stands: what lseek(2) takes to go on behind the entry."""

_LENGTH: Final = struct.Struct("=H").unpack_from
_LENGTH_AT: Final = 16
"""Where ``d_reclen`` stands, behind ``d_ino`` and ``d_off``: include/linux/dirent.h, fs/readdir.c."""

_NAME_AT: Final = {False: 19, True: 18}
"""Where the name begins: behind ``d_type``, which the old structure has at its end."""


def list_directory(acting: Acting, call: Call, register: int) -> Emulated:
    """Read on in the directory, until there is an entry that is not hidden, or none left."""
    old = call.name == "getdents"
    size = min(call.registers[2] & 0xFFFFFFFF, _MOST)
    fd = acting.duplicate(call, call.registers[0])
    try:
        if call.hides is not None:
            acting.be_the_same(call, register, fd)
        before = _offset(fd)
        kept = _read(fd, size, call.hides, old=old) if size else b""
        if kept:
            _write(acting, call, fd, before, kept)
    except OSError as error:
        return Emulated(-our_lack(error))
    finally:
        os.close(fd)
    if not size:
        return Emulated(-EINVAL)
    return Emulated(len(kept))


def _read(fd: int, size: int, hides: Callable[[bytes], bool] | None, *, old: bool) -> bytes:
    """Return the next entries that are not hidden, as many as come at once; none at the end.  Raises OSError."""
    while True:
        try:
            data = entries_of(fd, size, old=old)
        except OSError as error:
            if error.errno != EINVAL or hides is None or not _passes_hidden(fd, hides, old=old):
                raise
            continue
        kept = _kept(data, hides, old=old)
        if kept or not data:
            return kept


def _passes_hidden(fd: int, hides: Callable[[bytes], bool], *, old: bool) -> bool:
    """Go behind the next entry, if that is hidden; whether it was."""
    here = os.lseek(fd, 0, os.SEEK_CUR)
    name, entry = next(_entries(entries_of(fd, _LEAST, old=old), old=old), (b"", b""))
    passes = is_name(name) and hides(name)
    os.lseek(fd, _OFFSET(entry, _OFFSET_AT)[0] if passes else here, os.SEEK_SET)
    return passes


def _offset(fd: int) -> int:
    try:
        return os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:  # it is no directory, and nothing will be read
        return 0


def _write(acting: Acting, call: Call, fd: int, before: int, data: bytes) -> None:
    """Write entries where the target wants them; who does not get them reads them another time."""
    try:
        acting.write(call, call.registers[1], data)
    except (TargetGone, TargetMemoryError, OSError):
        os.lseek(fd, before, os.SEEK_SET)
        raise


def _kept(data: bytes, hides: Callable[[bytes], bool] | None, *, old: bool) -> bytes:
    if hides is None:
        return data
    return b"".join(entry for name, entry in _entries(data, old=old) if not (is_name(name) and hides(name)))


def _entries(data: bytes, *, old: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yield each entry's name and bytes."""
    place = 0
    while place < len(data):
        (length,) = _LENGTH(data, place + _LENGTH_AT)
        entry = data[place : place + length]
        yield entry[_NAME_AT[old] :].split(b"\0", 1)[0], entry
        place += length
