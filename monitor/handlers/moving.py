"""
The moving rule: names gain no rights by moving, and no pattern comes to mean something else by a link.

What it is not: the questions about patterns (``policy.moving``), or the move itself (``broker.names``).

It is asked about what the names alone allow.  A file may get a name where it may do no more than it
may do now; a directory, one where every name below it is treated alike.  EXDEV, as from one file
system to another: mv(1) copies then, and every copy is judged.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from errno import EACCES, EPERM, EXDEV
from itertools import product
from typing import Final, Protocol

from monitor.broker.lanes import Entry
from monitor.broker.names import MODE, RENAME_EXCHANGE, rename_flags
from monitor.broker.resolved import Resolved
from monitor.notify.decode import Call
from monitor.origin import Origin

NO_RIGHTS_BY_MOVING: Final = Origin("a name gains no rights by moving")
NO_LINK_THERE: Final = Origin("a link there changes what a pattern means")

_RENAMES: Final = frozenset({"rename", "renameat", "renameat2"})
_LINKS: Final = frozenset({"link", "linkat"})
_SYMLINKS: Final = frozenset({"symlink", "symlinkat"})
_NODES: Final = frozenset({"mknod", "mknodat"})
_REMOVALS: Final = frozenset({"unlink", "unlinkat"})


class Mover(Protocol):
    """What a policy knows about moving."""

    def gains(self, old: bytes, new: bytes) -> bool:
        """Whether more is allowed under the name *new* than under *old*."""
        ...

    def tells_apart(self, old: bytes, new: bytes) -> bool:
        """Whether any name below *old* is treated unlike the same below *new*."""
        ...

    def leads(self, name: bytes) -> bool:
        """Whether a symbolic link called *name* would change what a pattern means."""
        ...


class Refused(Exception):  # how a question ends, not an error
    """The rule forbids it."""

    def __init__(self, errno: int, origin: Origin, resolved: Resolved) -> None:
        """Say why, and about which name."""
        super().__init__()
        self.errno = errno
        self.origin = origin
        self.name = resolved.canonical


def check(mover: Mover, call: Call, paths: list[Resolved]) -> None:
    """
    Do nothing, if *call* may do with the names of *paths*, which it is allowed each by itself, what it does.

    Raises Refused.
    """
    if any(path.error or path.wrong or (path.entry is not None and path.missing is None) for path in paths):
        return  # the kernel refuses it anyway: it leads nowhere, or nothing can be called so
    if call.name in _RENAMES:
        old, new = paths
        _check_move(mover, old, new, old.seen)
        if rename_flags(call) & RENAME_EXCHANGE:
            _check_move(mover, new, old, new.seen)
    elif call.name in _LINKS:
        old, new = paths
        if old.object is not None and old.exists:
            _check_file(mover, old, new, old.object.mode)
    elif call.name in _SYMLINKS:
        _check_link(mover, paths[0])
    elif call.name in _NODES:
        _check_node(mover, call, paths[0])
    elif call.name in _REMOVALS:
        _check_removal(mover, paths[0])


def _check_move(mover: Mover, old: Resolved, new: Resolved, seen: Entry | None) -> None:
    _check_removal(mover, new)
    if seen is None:
        return  # there is nothing to be moved, and nothing that comes to be there is
    if not stat.S_ISDIR(seen.mode):
        _check_removal(mover, old)
        _check_file(mover, old, new, seen.mode)
    elif any(mover.tells_apart(one, other) for one, other in _pairs(old, new)):
        raise Refused(EXDEV, NO_RIGHTS_BY_MOVING, new)
    elif any(mover.leads(name) for name in new.names):
        raise Refused(EXDEV, NO_LINK_THERE, new)  # there may be one in it


def _check_file(mover: Mover, old: Resolved, new: Resolved, mode: int) -> None:
    if any(mover.gains(one, other) for one, other in _pairs(old, new)):
        raise Refused(EXDEV, NO_RIGHTS_BY_MOVING, new)
    if stat.S_ISLNK(mode):
        _check_link(mover, new)


def _check_link(mover: Mover, new: Resolved) -> None:
    if any(mover.leads(name) for name in new.names):
        raise Refused(EACCES, NO_LINK_THERE, new)


def _check_removal(mover: Mover, old: Resolved) -> None:
    """Refuse to take away a link through which a pattern means what it does."""
    if old.seen is not None and stat.S_ISLNK(old.seen.mode):
        _check_link(mover, old)


def _check_node(mover: Mover, call: Call, new: Resolved) -> None:
    """
    Refuse a device file that allows more than its device does.

    It is another name of the device, which has one in /dev by its numbers.
    """
    register = 1 if call.name == "mknod" else 2
    mode, device = call.registers[register] & MODE, call.registers[register + 1] & 0xFFFFFFFF
    if not device or not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        return
    kind = b"char" if stat.S_ISCHR(mode) else b"block"
    name = b"/dev/%b/%d:%d" % (kind, os.major(device), os.minor(device))
    if any(mover.gains(name, one) for one in new.names):
        raise Refused(EPERM, NO_RIGHTS_BY_MOVING, new)


def _pairs(old: Resolved, new: Resolved) -> Iterator[tuple[bytes, bytes]]:
    return product(old.names, new.names)
