"""
Modes, owners, times and sizes for the target: of what was looked up, or of what it has open.

What it is not: the look-up, or a decision.  What the target has open is changed through a duplicate
of its own fd, which the kernel takes or refuses as it would the target's; that it is still the object
about which it was decided is looked at once more, since another thread may have put another behind
the number.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from errno import EBADF, EINVAL, ENOENT
from typing import Final

from monitor._native import change_mode, change_owner, change_times
from monitor.broker.acting import Acting
from monitor.broker.names import MODE
from monitor.broker.plan import by_descriptor
from monitor.broker.resolved import Resolved
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated, MayBlockError

_AT_SYMLINK_NOFOLLOW: Final = 0x100
_AT_EMPTY_PATH: Final = 0x1000
AT_FLAGS: Final = _AT_SYMLINK_NOFOLLOW | _AT_EMPTY_PATH

_NO_ID: Final = 0xFFFFFFFF
_UTIME_OMIT: Final = 0x3FFFFFFE
_PAIR: Final = struct.Struct("=qq")
_TIMES: Final = struct.Struct("=qqqq")
"""``struct timespec[2]`` of 64-bit ABIs; ``struct timeval[2]`` has microseconds in place of nanoseconds."""

_MICROSECONDS: Final = 1_000_000


def there_or_error(acting: Acting, call: Call, index: int) -> Resolved | Emulated:
    """Return what is there to be changed, or what the kernel says instead."""
    resolved = acting.path(call, index)
    error = resolved.wrong or resolved.error or (ENOENT if resolved.missing is not None else 0)
    return Emulated(-error) if error else resolved


def on_held(acting: Acting, call: Call, register: int, index: int, act: Callable[[int], int]) -> Emulated:
    """
    Return what *act* does with a duplicate of the fd in *register*.

    Raises ChangedError: it is not what was looked up for register *index* any more.
    """
    try:
        fd = acting.duplicate(call, call.registers[register])
    except OSError as error:
        if error.errno != EBADF:
            raise
        return Emulated(-EBADF)
    try:
        acting.be_the_same(call, index, fd)
        return Emulated(act(fd))
    except OSError as error:
        return Emulated(-(error.errno or EBADF))
    finally:
        os.close(fd)


def is_held_only(fd: int) -> bool:
    """Whether *fd* is an ``O_PATH`` fd, which most calls do not take."""
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH)


def _int(register: int) -> int:
    return register & 0xFFFFFFFF


def _signed(register: int) -> int:
    return register - (1 << 64) if register >> 63 else register


def _done(function: Callable[[], None]) -> int:
    function()
    return 0


def change_mode_of(acting: Acting, call: Call, index: int) -> Emulated:
    """chmod(2), fchmodat(2), fchmodat2(2)."""
    if call.name == "fchmodat2" and _int(call.registers[3]) & ~AT_FLAGS:
        return Emulated(-EINVAL)
    resolved = there_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    acting.still_waits(call)
    return Emulated(change_mode(acting.own_fds, resolved.fd, call.registers[index + 1] & MODE))


def change_held_mode(acting: Acting, call: Call, register: int) -> Emulated:
    """fchmod(2)."""
    mode = call.registers[1] & MODE
    return on_held(acting, call, register, register, lambda fd: _done(lambda: os.fchmod(fd, mode)))


def change_owner_of(acting: Acting, call: Call, index: int) -> Emulated:
    """chown(2), lchown(2), fchownat(2)."""
    if call.name == "fchownat" and _int(call.registers[4]) & ~AT_FLAGS:
        return Emulated(-EINVAL)
    resolved = there_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    acting.still_waits(call)
    try:
        owner = acting.owner_meant(call, index + 1)
    except OSError as unknown:
        return Emulated(-(unknown.errno or EINVAL))
    return Emulated(change_owner(resolved.fd, *owner))


def change_held_owner(acting: Acting, call: Call, register: int) -> Emulated:
    """fchown(2)."""

    def change(fd: int) -> int:
        uid, gid = acting.owner_meant(call, 1)
        os.fchown(fd, _id(uid), _id(gid))
        return 0

    return on_held(acting, call, register, register, change)


def _id(number: int) -> int:
    """Return an id as os.fchown has it, where -1 leaves it as it is."""
    return -1 if number == _NO_ID else number


def change_size_of(acting: Acting, call: Call, index: int) -> Emulated:
    """truncate(2)."""
    length = _signed(call.registers[1])
    if length < 0:
        return Emulated(-EINVAL)
    resolved = there_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    if not acting.may_block:
        raise MayBlockError  # a lease
    acting.still_waits(call)
    assert acting.sleeper is not None  # a worker that truncates has one
    return Emulated(acting.sleeper.truncate(call, resolved.fd, length))


def change_held_size(acting: Acting, call: Call, register: int) -> Emulated:
    """ftruncate(2)."""
    length = _signed(call.registers[1])
    if length < 0:
        return Emulated(-EINVAL)
    return on_held(acting, call, register, register, lambda fd: _done(lambda: os.ftruncate(fd, length)))


# ---- times ----


def change_times_of(acting: Acting, call: Call, index: int) -> Emulated:
    """utime(2), utimes(2), futimesat(2), utimensat(2): fs/utimes.c."""
    times = _times(acting, call, call.registers[index + 1])
    if isinstance(times, Emulated):
        return times
    flags = _int(call.registers[3]) if call.name == "utimensat" else 0
    if by_descriptor(call, index) is not None:
        if flags:
            return Emulated(-EINVAL)
        return on_held(acting, call, 0, index, lambda fd: change_times(fd, times, is_path=False))
    if flags & ~AT_FLAGS:
        return Emulated(-EINVAL)
    resolved = there_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    acting.still_waits(call)
    return Emulated(change_times(resolved.fd, times, is_path=True))


def _times(acting: Acting, call: Call, address: int) -> bytes | Emulated | None:
    """Return ``struct timespec[2]``; None: now; or what the kernel says before it looks at a path."""
    if not address:
        return None
    if call.name == "utime":
        read, written = _PAIR.unpack(acting.read(call, address, _PAIR.size))
        return _TIMES.pack(read, 0, written, 0)
    data = acting.read(call, address, _TIMES.size)
    read, read_part, written, written_part = _TIMES.unpack(data)
    if call.name == "utimensat":
        return Emulated(0) if read_part == written_part == _UTIME_OMIT else data
    if not (0 <= read_part < _MICROSECONDS and 0 <= written_part < _MICROSECONDS):
        return Emulated(-EINVAL)
    return _TIMES.pack(read, read_part * 1000, written, written_part * 1000)
