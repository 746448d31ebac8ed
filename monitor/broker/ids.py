"""
Ids of another user namespace: what ours are called there, and the other way round.

What it is not: rights (``rights``).  Source: user_namespaces(7), ``uid_map`` as a process of our namespace reads it.
"""

from __future__ import annotations

import struct
from errno import EINVAL
from typing import Final, NamedTuple

OVERFLOW: Final = 65534
"""What an id without a name there is shown as: proc_sys_kernel(5), ``overflowuid`` as it comes."""

_UNCHANGED: Final = 0xFFFFFFFF

_OWNERS: Final = struct.Struct("=II")
_OF_STAT: Final = 28
"""Where ``st_uid`` and ``st_gid`` stand in ``struct stat`` of x86_64,"""
_OF_STATX: Final = 20
"""and ``stx_uid`` and ``stx_gid`` in ``struct statx``."""


class Extent(NamedTuple):
    """So many ids, from *inside* on there, and from *outside* on here: *number* of them."""

    inside: int
    outside: int
    number: int


ALL_IDS: Final = (Extent(0, 0, 0xFFFFFFFF),)


class IdMaps(NamedTuple):
    """The maps of one user namespace."""

    uids: tuple[Extent, ...]
    gids: tuple[Extent, ...]

    @property
    def are_ours(self) -> bool:
        """Whether every id is called there what it is here."""
        return self.uids == self.gids == ALL_IDS

    def shown_in_stat(self, status: bytes) -> bytes:
        """Return a ``struct stat`` with the owner as it is called there."""
        return self._shown(status, _OF_STAT)

    def shown_in_statx(self, status: bytes) -> bytes:
        """Return a ``struct statx`` likewise."""
        return self._shown(status, _OF_STATX)

    def _shown(self, status: bytes, place: int) -> bytes:
        uid, gid = _OWNERS.unpack_from(status, place)
        owners = _OWNERS.pack(_inside(self.uids, uid), _inside(self.gids, gid))
        return status[:place] + owners + status[place + _OWNERS.size :]

    def meant(self, uid: int, gid: int) -> tuple[int, int]:
        """Return what ids that are given to chown(2) mean here.  Raises OSError (EINVAL): there are none such."""
        return _outside(self.uids, uid), _outside(self.gids, gid)


def extents(text: bytes) -> tuple[Extent, ...]:
    """Return the extents of a map of /proc."""
    return tuple(Extent(*map(int, line.split())) for line in text.splitlines())


def _inside(found: tuple[Extent, ...], number: int) -> int:
    for inside, outside, many in found:
        if outside <= number < outside + many:
            return inside + number - outside
    return OVERFLOW


def _outside(found: tuple[Extent, ...], number: int) -> int:
    if number == _UNCHANGED:
        return number
    for inside, outside, many in found:
        if inside <= number < inside + many:
            return outside + number - inside
    raise OSError(EINVAL, "no such id in the user namespace")
