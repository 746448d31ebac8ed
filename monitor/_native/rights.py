"""
The rights and the root of another thread, taken for a while: the functions of native/rights.c.

What it is not: the choice of them (``broker.rights``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from monitor._native.shim import Data, check, ffi, lib

_take: Final = lib.mon_rights_take


class StrandedError(RuntimeError):
    """A thread of ours could not come back to our rights: it does nothing more."""


class TakenRights:
    """``struct mon_rights``: what a thread of ours takes.  *root* is borrowed; -1: the root stays."""

    __slots__ = ("_data", "_groups", "file_uid")

    def __init__(
        self,
        *,
        uid: int,
        gid: int,
        file_uid: int,
        file_gid: int,
        groups: Sequence[int],
        capabilities: int,
        root: int = -1,
    ) -> None:
        """Lay them out; *capabilities*: a bit for each that is effective."""
        self.file_uid = file_uid
        self._groups = ffi.new("uint32_t[]", list(groups))
        self._data = ffi.new("struct mon_rights *")
        self._data.uid, self._data.gid = uid, gid
        self._data.file_uid, self._data.file_gid = file_uid, file_gid
        self._data.group_count = len(groups)
        self._data.groups = self._groups
        self._data.capabilities = capabilities
        self._data.root = root

    def data(self) -> Data:
        """Return the structure; for this folder."""
        return self._data

    def take(self) -> None:
        """Have the calling thread take them.  Raises OSError: it is to go back, or to end."""
        check(_take(self._data))

    def come_back(self) -> None:
        """Have the calling thread take them again, as its own.  Raises StrandedError: it has to end."""
        error = -_take(self._data)
        if error:
            raise StrandedError(os.strerror(error))
