"""
Looking for the target: what stat(2) and its relatives say of what was looked up.

What it is not: the look-up, or a decision.  Each is a raw call on the fd that holds the object, and
its result is written in the kernel's own layout.  Flags that cannot be meant are refused first, as
the kernel does.
"""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable
from errno import EFAULT, EINVAL, ENOENT
from functools import partial
from typing import Final

from monitor._native import may_access, statfs_of, status_of, statx_of
from monitor.broker.acting import Acting, our_lack
from monitor.broker.resolved import Resolved
from monitor.broker.standing import ourselves
from monitor.errors import TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated

_AT_SYMLINK_NOFOLLOW: Final = 0x100
_AT_EACCESS: Final = 0x200
_AT_NO_AUTOMOUNT: Final = 0x800
_AT_EMPTY_PATH: Final = 0x1000
_AT_STATX_SYNC_TYPE: Final = 0x6000
_STATX_RESERVED: Final = 0x80000000

_STAT_FLAGS: Final = _AT_SYMLINK_NOFOLLOW | _AT_NO_AUTOMOUNT | _AT_EMPTY_PATH | _AT_STATX_SYNC_TYPE
_ACCESS_FLAGS: Final = _AT_EACCESS | _AT_SYMLINK_NOFOLLOW | _AT_EMPTY_PATH
_RWX: Final = 7

_XATTR_NAME_MAX: Final = 255
_XATTR_SIZE_MAX: Final = 65536
_XATTR_LIST_MAX: Final = 65536

DONE: Final = Emulated(0)


def _resolved_or_error(acting: Acting, call: Call, index: int) -> Resolved | Emulated:
    """Return what is there to be looked at, or what the kernel says instead."""
    resolved = acting.path(call, index)
    error = resolved.wrong or resolved.error
    if error:
        return Emulated(-error)
    return Emulated(-ENOENT) if resolved.missing is not None else resolved


def _write_of(acting: Acting, call: Call, register: int, look: Callable[[], bytes]) -> Emulated:
    """Write what *look* returns to where *register* of *call* points."""
    try:
        data = look()
    except OSError as error:
        return Emulated(-(error.errno or EFAULT))
    acting.write(call, call.registers[register], data)
    return DONE


def _int(register: int) -> int:
    return register & 0xFFFFFFFF


def _means_something(acting: Acting, call: Call, index: int, flags: int) -> bool:
    """Whether the kernel takes *flags*; those that there are not it overlooks beside an fd (Linux 6.11, fs/stat.c)."""
    if not flags & ~_STAT_FLAGS:
        return True
    if not flags & _AT_EMPTY_PATH or _int(call.registers[0]) >> 31 or not _overlooks_flags():
        return False
    address = call.registers[index]
    try:  # whatever stands there later, the flags were all that was in question
        return address == 0 or acting.read(call, address, 1) == b"\0"
    except TargetMemoryError:
        return False


@functools.cache
def _overlooks_flags() -> bool:
    try:
        statx_of(0, _AT_EACCESS, 0)
    except OSError as error:
        return error.errno != EINVAL
    return True


def stat_file(acting: Acting, call: Call, index: int) -> Emulated:
    """stat(2), lstat(2), newfstatat(2): ``vfs_statx`` in fs/stat.c."""
    buffer = index + 1
    if call.name == "newfstatat" and not _means_something(acting, call, index, _int(call.registers[3])):
        return Emulated(-EINVAL)
    resolved = _resolved_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    ids = acting.whose.ids
    look = partial(status_of, resolved.fd)
    return _write_of(acting, call, buffer, look if ids is None else lambda: ids.shown_in_stat(look()))


def statx_file(acting: Acting, call: Call, index: int) -> Emulated:
    """statx(2)."""
    flags, mask = _int(call.registers[2]), _int(call.registers[3])
    if mask & _STATX_RESERVED or flags & _AT_STATX_SYNC_TYPE == _AT_STATX_SYNC_TYPE:
        return Emulated(-EINVAL)
    if not _means_something(acting, call, index, flags):
        return Emulated(-EINVAL)
    resolved = _resolved_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    kept = flags & (_AT_STATX_SYNC_TYPE | _AT_NO_AUTOMOUNT)
    ids = acting.whose.ids
    look = partial(statx_of, resolved.fd, kept, mask)
    return _write_of(acting, call, 4, look if ids is None else lambda: ids.shown_in_statx(look()))


def statfs_file(acting: Acting, call: Call, index: int) -> Emulated:
    """statfs(2)."""
    resolved = _resolved_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    return _write_of(acting, call, 1, lambda: statfs_of(resolved.fd))


def access_file(acting: Acting, call: Call, index: int) -> Emulated:
    """access(2), faccessat(2), faccessat2(2): ``do_faccessat`` in fs/open.c."""
    mode = _int(call.registers[index + 1])
    flags = _int(call.registers[3]) if call.name == "faccessat2" else 0
    if mode & ~_RWX or flags & ~_ACCESS_FLAGS:
        return Emulated(-EINVAL)
    resolved = _resolved_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    if resolved.is_own_table or (resolved.is_own_name and not mode & os.X_OK):
        mode = 0
    taken = acting.whose.standing is not None  # then what was taken on are the ids by which it asks
    return Emulated(-may_access(resolved.fd, mode, _AT_EACCESS if taken else flags & _AT_EACCESS))


def readlink_file(acting: Acting, call: Call, index: int) -> Emulated:
    """readlink(2), readlinkat(2): ``do_readlinkat`` in fs/stat.c."""
    size = _signed(call.registers[index + 2])
    if size <= 0:
        return Emulated(-EINVAL)
    resolved = _resolved_or_error(acting, call, index)
    if isinstance(resolved, Emulated):
        return resolved
    held = resolved.object
    assert held is not None
    if not stat.S_ISLNK(held.mode):
        return Emulated(-ENOENT if resolved.by_fd else -EINVAL)
    try:
        text = _own_link(call, resolved) or os.readlink(b"", dir_fd=resolved.fd)
    except OSError as error:
        return Emulated(-our_lack(error))
    text = text[:size]
    acting.write(call, call.registers[index + 1], text)
    return Emulated(len(text))


def _own_link(call: Call, resolved: Resolved) -> bytes | None:
    """Return what /proc/self says to the target, which is not what it says to us; None: it is another link."""
    if resolved.canonical not in {b"/proc/self", b"/proc/thread-self"}:
        return None
    with ourselves():
        process = call.target.pid
    return b"%d" % process if resolved.canonical == b"/proc/self" else b"%d/task/%d" % (process, call.tid)


def _signed(register: int) -> int:
    value = _int(register)
    return value - (1 << 32) if value >> 31 else value
