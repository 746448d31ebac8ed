"""
Watches for the target: inotify(7) and fanotify(7) on what was looked up.

What it is not: the look-up, or a decision.  The watch is set by a duplicate of the target's own
descriptor, so that events come to it, and on the object, not on a path.

A mark on a whole mount or file system would tell of names nobody looked at: EPERM, as without
CAP_SYS_ADMIN.  Groups that hand out descriptors of what they saw are not made at all
(``policy.beneath``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EBADF, EFAULT, ENOENT, EPERM
from typing import Final

from monitor._native import watch_by_fanotify, watch_by_inotify
from monitor.broker.acting import Acting, our_lack
from monitor.broker.changing import is_held_only
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated

_IN_DONT_FOLLOW: Final = 0x02000000
_IN_ISDIR: Final = 0x40000000
"""Asks for nothing, but is a bit where there has to be one."""

_FAN_MARK_DONT_FOLLOW: Final = 0x4
_FAN_MARK_FLUSH: Final = 0x80
_FAN_MARK_WIDE: Final = 0x110
"""FAN_MARK_MOUNT, FAN_MARK_FILESYSTEM, FAN_MARK_MNTNS: include/uapi/linux/fanotify.h."""

_NOTHING: Final = -1


def watch_file(acting: Acting, call: Call, index: int) -> Emulated:
    """inotify_add_watch(2)."""
    mask = call.registers[2] & 0xFFFFFFFF

    def watch(group: int, fd: int) -> int:
        follows = mask & ~_IN_DONT_FOLLOW | _IN_ISDIR if mask & _IN_DONT_FOLLOW and fd >= 0 else mask
        return watch_by_inotify(group, fd, follows)

    return _watch(acting, call, index, watch)


def mark_file(acting: Acting, call: Call, index: int) -> Emulated:
    """fanotify_mark(2)."""
    flags, mask = call.registers[1] & 0xFFFFFFFF, call.registers[2]
    if flags & _FAN_MARK_WIDE:
        return Emulated(-EPERM)

    def watch(group: int, fd: int) -> int:
        return watch_by_fanotify(group, flags & ~_FAN_MARK_DONT_FOLLOW if fd >= 0 else flags, mask, fd)

    if flags & _FAN_MARK_FLUSH or call.registers[index]:
        return _watch(acting, call, index, watch)
    return _watch(acting, call, index, lambda group, fd: _mark_held(acting, call, watch, group, fd))


def _mark_held(acting: Acting, call: Call, watch: Callable[[int, int], int], group: int, fd: int) -> int:
    """Mark what the target has open, without a path."""
    if fd < 0:
        return watch(group, fd)
    try:
        held = acting.duplicate(call, call.registers[3])
    except OSError as error:
        return -our_lack(error)
    try:
        acting.be_the_same(call, 4, held)
        return -EBADF if is_held_only(held) else watch(group, held)
    finally:
        os.close(held)


def _watch(acting: Acting, call: Call, index: int, watch: Callable[[int, int], int]) -> Emulated:
    """Have *watch* watch what the path leads to, unless something is wrong with the other arguments."""
    try:
        group = acting.duplicate(call, call.registers[0])
    except OSError as error:
        if error.errno != EBADF:
            raise
        return Emulated(watch(_NOTHING, _NOTHING))
    try:
        said = watch(group, _NOTHING)
        if said != -EFAULT:
            return Emulated(said)
        resolved = acting.path(call, index)
        error_number = resolved.wrong or resolved.error or (ENOENT if resolved.missing is not None else 0)
        if error_number:
            return Emulated(-error_number)
        return Emulated(watch(group, resolved.fd))
    finally:
        os.close(group)
