"""
The mounts of a view: whether there is one with a given number, and what kind of file system is on it.

What it is not: their tree, or what may be mounted.  The list is kept, and read again when the kernel
says that it was changed.  Source: proc_pid_mountinfo(5); poll(2) of it, fs/namespace.c.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from typing import Final, NamedTuple

from monitor._native import IF_SAME, MAY_BLOCK

_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
"""Blanks, newlines and backslashes in a path of mountinfo (fs/proc_namespace.c, ``mangle``)."""

LOCAL: Final = frozenset(
    {
        "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "jfs", "reiserfs", "erofs", "squashfs",
        "iso9660", "udf", "vfat", "exfat", "ntfs3", "overlay", "tmpfs", "ramfs", "devtmpfs", "devpts", "proc", "sysfs",
        "cgroup", "cgroup2", "mqueue", "hugetlbfs", "debugfs", "tracefs", "securityfs", "selinuxfs", "configfs",
        "efivarfs", "pstore", "bpf", "binfmt_misc", "fusectl", "nsfs", "rpc_pipefs", "resctrl",
    }
)  # fmt: skip
"""File systems of which a look-up ends when a disk has answered; of any other, perhaps never."""


class Mount(NamedTuple):
    """
    One mount.

    Attributes:
        point: where it is, as the view has it.
        kind: the type of its file system: ``ext4``, ``fuse.sshfs``.
        root: which directory of that is there; another than / where a part of it was bound.
    """

    point: bytes
    kind: str
    root: bytes


class Mounts:
    """The mounts of a mount namespace, below a root.  Owns one fd."""

    def __init__(self, fd: int, around: Mapping[int, Mount] | None = None) -> None:
        """
        Take *fd*, a ``mountinfo`` of /proc, and read it; *around*: what it does not tell of.

        Raises OSError, with *fd* closed.
        """
        self.fd = fd
        self._around = around or {}
        self._lock = threading.Lock()
        self._by_id: Mapping[int, Mount] = {}
        self.may_hang = False
        """Whether a look-up may meet a file system that does not answer."""
        self.plain: frozenset[int] = frozenset()
        """The numbers of those of which names and contents are the same for everybody, and which answer."""
        self.further = 0
        """``_native``'s flags of a look-up that may look further than the kernel's cache, where it will not hang."""
        try:
            self.read()
        except BaseException:
            self.close()
            raise

    @classmethod
    def ours(cls) -> Mounts:
        """Return those of this process.  Raises OSError."""
        return cls(os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC))

    def read(self) -> None:
        """Read the list again.  Raises OSError."""
        with self._lock:  # the fd has one offset, and threads that look up are many
            self._by_id = {**self._around, **parsed(_whole(self.fd))}
            self.may_hang = any(mount.kind not in LOCAL for mount in self._by_id.values())
            self.plain = frozenset(ident for ident, mount in self._by_id.items() if mount.kind in LOCAL - {"proc"})
            self.further = 0 if self.may_hang else MAY_BLOCK | IF_SAME

    def find(self, ident: int) -> Mount | None:
        """Return the mount with the number *ident* (``stx_mnt_id``); None: there is none in this view."""
        return self._by_id.get(ident)

    def close(self) -> None:
        """Give the fd back."""
        os.close(self.fd)


def _whole(fd: int) -> bytes:
    """Return the list from its start; while it is read it does not change from one read to the next."""
    os.lseek(fd, 0, os.SEEK_SET)
    chunks: list[bytes] = []
    while chunk := os.read(fd, 1 << 16):
        chunks.append(chunk)
    return b"".join(chunks)


def parsed(text: bytes) -> dict[int, Mount]:
    """Return the mounts of the lines of *text*, by their numbers."""
    found: dict[int, Mount] = {}
    for line in text.splitlines():
        fields = line.split(b" ")
        kind = fields[fields.index(b"-", 6) + 1]
        root, point = (_ESCAPED.sub(_byte, path) for path in fields[3:5])
        found[int(fields[0])] = Mount(point, kind.decode("ascii", "replace"), root)
    return found


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])
