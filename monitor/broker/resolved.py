"""
What a path argument leads to: an fd that holds it, and the name by which policies know it.

What it is not: the look-up (``resolve``, ``walk``), or a decision.
"""

from __future__ import annotations

import os
import re
import stat
from errno import ENOENT
from typing import Final

from monitor import _native
from monitor._native import Entry, Object
from monitor.broker.opening import Opening
from monitor.broker.views import View

_DELETED: Final = b" (deleted)"
"""What fs/d_path.c puts behind the name of what has none any more; files may be called so, too."""


_OWN_TABLE: Final = re.compile(rb"/proc/self(/map_files|(/task/\d+)?/fd)")

_OWN_NAME: Final = re.compile(rb"/proc/self/task/\d+/comm")


class Resolved:
    """
    One path argument of one call, looked up once.

    It owns ``fd``, which is closed when the call is answered.  A plain class, since one is made
    for every path.
    """

    __slots__ = (
        "anonymous",
        "by_fd",
        "by_magic_link",
        "entry",
        "error",
        "fd",
        "foreign",
        "may_hang",
        "missing",
        "must_be_directory",
        "names",
        "object",
        "opening",
        "path",
        "seen",
        "view",
        "wrong",
    )

    def __init__(self, path: bytes, *, error: int = 0, fd: int = -1, held: Object | None = None) -> None:
        """Say what came of the look-up; the names are for the resolver to give."""
        self.path = path
        """The bytes that the target passed."""
        self.error = error
        """The errno with which the kernel's own look-up ends; 0: it ends at ``fd``."""
        self.wrong = 0
        """The errno of arguments that lead nowhere at all, so that there is nothing to be decided about."""
        self.opening: Opening | None = None
        """What an open asks for."""
        self.fd = fd
        """``O_PATH``: on the object, or on the directory that has no ``missing``; -1: on nothing."""
        self.object = held
        """What ``fd`` holds."""
        self.missing: bytes | None = None
        """The last component, where nothing has this name."""
        self.entry: bytes | None = None
        """
        The last component of a name that is made, moved or taken away, with the slashes behind it.

        Then ``fd`` is the directory, and ``missing`` the component, whether anything has that name or not.
        """
        self.seen: Entry | None = None
        """What had the name ``entry`` when it was looked up; None: nothing."""
        self.must_be_directory = False
        """Whether slashes stand behind ``missing``."""
        self.names: tuple[bytes, ...] = ()
        """The absolute name as the target sees it; two where it is in doubt; none: no name can be believed."""
        self.anonymous = False
        """Whether it is a pipe, a socket, a memfd or the like, which never had a name."""
        self.by_fd = False
        """Whether the target holds it already: an empty path, and an fd."""
        self.by_magic_link = False
        """Whether the last step was a magic link of /proc: then its directory is where that link is."""
        self.foreign = False
        """Whether it belongs to a process of /proc that is none of the supervised."""
        self.view: View | None = None
        """Where it was looked up; None: in our own view."""
        self.may_hang = False
        """Whether it is on a file system that may answer never."""

    @property
    def exists(self) -> bool:
        """Whether ``fd`` is the object itself."""
        return self.fd >= 0 and self.missing is None

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory, as far as it exists."""
        return self.exists and self.object is not None and stat.S_ISDIR(self.object.mode)

    @property
    def is_own_table(self) -> bool:
        """Whether a process may do here what it likes, whatever the mode says (``proc_fd_permission``)."""
        return self.exists and _OWN_TABLE.fullmatch(self.canonical or b"") is not None

    @property
    def is_own_name(self) -> bool:
        """Whether a process may read and write here, whatever the mode says (``proc_tid_comm_permission``)."""
        return self.exists and _OWN_NAME.fullmatch(self.canonical or b"") is not None

    @property
    def name(self) -> bytes:
        """The last component of its name: ``secret`` of ``/srv/secret``; empty for / and where there is no name."""
        return self.names[0].rpartition(b"/")[2] if self.names else b""

    @property
    def canonical(self) -> bytes | None:
        """The absolute name as the target sees it; None: no name can be believed."""
        return self.names[0] if self.names else None

    def take_entry(self) -> None:
        """Be about the last component of the path in this directory, if that is a name; look at it once."""
        entry = self.entry = entry_of(self.path)
        component = entry.rstrip(b"/")
        self.missing = component if is_name(component) else None
        self.look()

    def look(self) -> None:
        """Look what has the name ``entry``, and remember it as ``seen``."""
        if self.missing is not None:
            self.seen = _native.entry_of(self.fd, self.missing)

    def close(self) -> None:
        """Give the fd back; may be called twice."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def names_of(link: bytes, missing: bytes | None) -> tuple[bytes, ...]:
    """
    Return the names that *link*, of /proc/self/fd, may stand for, with *missing* behind each; none for no path.

    ``z (deleted)`` is the name of a file ``z`` that is gone, or of one that is called so: both.
    """
    if not link.startswith(b"/"):
        return ()
    other = link.removesuffix(_DELETED)
    links = (link,) if other == link or other.endswith(b"/") else (link, other)  # nothing has an empty name
    if missing is None:
        return links
    return tuple((b"" if one == b"/" else one) + b"/" + missing for one in links)


def hidden_at(path: bytes, name: bytes) -> Resolved:
    """Return what *path* leads to, where it would pass *name*, which is hidden: it ends there, as if nothing were."""
    resolved = Resolved(path, error=ENOENT)
    resolved.missing = name.rpartition(b"/")[2]
    resolved.names = (name,)
    return resolved


def entry_of(path: bytes) -> bytes:
    """Return the last component of *path* with the slashes behind it; of ``/`` the slashes."""
    return path[path.rstrip(b"/").rfind(b"/") + 1 :]


def is_name(component: bytes) -> bool:
    """Whether an entry of a directory may be called *component*."""
    return component not in {b"", b".", b".."}
