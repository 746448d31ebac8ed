"""
What an open asks for: flags, mode and resolve bits, from registers or from a copy of ``struct open_how``.

What it is not: the opening (``files``).  The checks and their order are those of fs/open.c,
``build_open_flags`` and ``openat2``.
"""

from __future__ import annotations

import os
import struct
from errno import E2BIG, EAGAIN, EINVAL
from typing import Final, NamedTuple

from monitor.errors import TargetMemoryError
from monitor.notify.decode import Call

O_TMPFILE: Final = 0o20000000
"""``__O_TMPFILE``, without the O_DIRECTORY that ``os.O_TMPFILE`` has in it."""

O_PATH: Final = os.O_PATH

_FASYNC: Final = 0o20000
_O_LARGEFILE: Final = 0o100000
"""The kernel's, which libc has as 0."""

VALID: Final = (
    os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOCTTY | os.O_TRUNC | os.O_APPEND
    | os.O_NDELAY | os.O_NONBLOCK | os.O_SYNC | os.O_DSYNC | _FASYNC | os.O_DIRECT | _O_LARGEFILE | os.O_DIRECTORY
    | os.O_NOFOLLOW | os.O_NOATIME | os.O_CLOEXEC | os.O_PATH | O_TMPFILE
)  # fmt: skip
"""``VALID_OPEN_FLAGS``: include/linux/fcntl.h."""

_OF_PATHS: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_PATH | os.O_CLOEXEC
"""``O_PATH_FLAGS``: all others are forgotten beside O_PATH."""

_S_IALLUGO: Final = 0o7777

RESOLVE: Final = 0x3F
"""``VALID_RESOLVE_FLAGS``: include/linux/fcntl.h."""

_RESOLVE_CACHED: Final = 0x20
_BENEATH: Final = 0x08
_IN_ROOT: Final = 0x10

_HOW: Final = struct.Struct("=QQQ")
"""``struct open_how``: flags, mode, resolve."""

_PAGE: Final = 4096


class Opening(NamedTuple):
    """What is asked for; *error* is a positive errno where it cannot be meant."""

    flags: int
    mode: int
    resolve: int = 0
    error: int = 0

    @property
    def creates(self) -> bool:
        """Whether a file is made where there is none."""
        return bool(self.flags & os.O_CREAT)

    @property
    def closes_on_exec(self) -> bool:
        """Whether the target's fd is closed when it executes another program."""
        return bool(self.flags & os.O_CLOEXEC)

    @property
    def only_cached(self) -> bool:
        """Whether it is looked for in the kernel's cache alone."""
        return bool(self.resolve & _RESOLVE_CACHED)

    @property
    def is_temporary(self) -> bool:
        """Whether it is a file without a name, in a directory that is named."""
        return bool(self.flags & O_TMPFILE)

    @property
    def holds_only(self) -> bool:
        """Whether it is an ``O_PATH`` open: a descriptor that gives no access."""
        return bool(self.flags & O_PATH)


def opening_of(call: Call) -> Opening:
    """
    Return what *call*, an open, asks for; memory is read once.

    Raises:
        TargetMemoryError: the struct cannot be read.
        TargetGone: the thread no longer waits.
    """
    registers = call.registers
    match call.name:
        case "open":
            return _forgiving(registers[1], registers[2])
        case "creat":
            return _forgiving(os.O_CREAT | os.O_WRONLY | os.O_TRUNC, registers[1])
        case "openat":
            return _forgiving(registers[2], registers[3])
        case _:
            return _how(call, registers[2], registers[3])


def _forgiving(flags: int, mode: int) -> Opening:
    """Return what open(2) makes of its registers: unknown bits are forgotten (``build_open_how``)."""
    flags &= VALID
    mode &= _S_IALLUGO
    if flags & O_PATH:
        flags &= _OF_PATHS
    if not flags & (os.O_CREAT | O_TMPFILE):
        mode = 0
    return Opening(flags, mode, 0, _contradiction(flags))


def _how(call: Call, address: int, size: int) -> Opening:
    """Return what openat2(2) makes of its struct, which may be longer than we know it (``copy_struct_from_user``)."""
    if size < _HOW.size:
        return Opening(0, 0, 0, EINVAL)
    if size > _PAGE:
        return Opening(0, 0, 0, E2BIG)
    try:
        data = call.target.read(address, size)
    except TargetMemoryError as error:
        return Opening(0, 0, 0, error.errno)
    finally:
        call.target.looked = False  # it is our copy that is used
    if any(data[_HOW.size :]):
        return Opening(0, 0, 0, E2BIG)
    flags, mode, resolve = _HOW.unpack_from(data)
    return Opening(flags, mode, resolve, _strict(flags, mode, resolve))


def _strict(flags: int, mode: int, resolve: int) -> int:
    makes = flags & (os.O_CREAT | O_TMPFILE)
    if flags & ~VALID or resolve & ~RESOLVE or (resolve & _BENEATH and resolve & _IN_ROOT):
        return EINVAL
    if mode & ~_S_IALLUGO or (mode and not makes):
        return EINVAL
    if flags & O_PATH and flags & ~_OF_PATHS:
        return EINVAL
    cached = resolve & _RESOLVE_CACHED and flags & (os.O_TRUNC | os.O_CREAT | O_TMPFILE)
    return _contradiction(flags) or (EAGAIN if cached else 0)


def _contradiction(flags: int) -> int:
    """Return EINVAL for flags that exclude each other, or 0."""
    if flags & O_TMPFILE:
        whole = O_TMPFILE | os.O_DIRECTORY
        if flags & (whole | os.O_CREAT) != whole or flags & os.O_ACCMODE == os.O_RDONLY:
            return EINVAL
    elif flags & os.O_DIRECTORY and flags & os.O_CREAT:
        return EINVAL
    return 0
