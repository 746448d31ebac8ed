"""
Views: a root directory that is not ours, the mounts below it, and the names that things have there.

What it is not: a way into it (``standing``), or a look-up.  Its mount namespace need not be entered: the root is
held by an fd, and with it the mount that it is on.
"""

from __future__ import annotations

import os
import struct
import weakref
from collections import OrderedDict
from typing import Final, NamedTuple

from monitor._native import Object, PathLooker, statfs_of
from monitor.broker.mounts import LOCAL, Mount, Mounts

KEPT: Final = 16
"""How many views are kept that no call is about."""


_TYPE: Final = struct.Struct("=q").unpack_from
"""``f_type`` of ``struct statfs``, in 64-bit ABIs."""

_PROC_SUPER_MAGIC: Final = 0x9FA0
"""include/uapi/linux/magic.h"""


class NoViewError(Exception):
    """A root from which nothing is looked up for a target."""


class Place(NamedTuple):
    """A directory, whatever it is called: no two of them are equal while one is held."""

    device: int
    inode: int
    mount: int
    namespace: int

    @classmethod
    def of(cls, held: Object, namespace: int) -> Place:
        """Return that of *held*, for who is in a mount *namespace*: its list of mounts is of that."""
        return cls(held.device, held.inode, held.mount, namespace)


class View:
    """
    One root directory, and the mounts that are below it.

    Owns the fds of both, which are closed when nobody has the view any more.
    """

    def __init__(self, root: int, held: Object, mounts: Mounts) -> None:
        """Take *root*, an ``O_PATH`` fd that holds *held*, and *mounts*, which are ours from now on."""
        self.root = root
        self.name = held.link
        """What we call the root; empty: it has no name."""
        self.mounts = mounts
        self._end = weakref.finalize(self, _close, root, mounts)
        self._end.atexit = False

    def inside(self, looker: PathLooker, held: Object) -> Object:
        """
        Return *held*, of which we looked at the name, with the name that it has in this view; none outside.

        The root may be moved meanwhile: then it has no name that could be believed.
        """
        now = looker.describe(self.root).link
        return held._replace(link=_below(self.name, held.link) if now == self.name else b"")


def _close(root: int, mounts: Mounts) -> None:
    os.close(root)
    mounts.close()


def _below(root: bytes, link: bytes) -> bytes:
    if not root.startswith(b"/") or root.endswith(b" (deleted)"):
        return b""  # another may be called so
    if root == b"/":
        return link
    if link == root:
        return b"/"
    return link.removeprefix(root) if link.startswith(root + b"/") else b""


class Views:
    """The views of the threads of one run."""

    def __init__(self, proc: int, looker: PathLooker, ours: Mounts) -> None:
        """Borrow an fd of /proc, buffers of the loop's, and the mounts of our own view."""
        self._proc = proc
        self._looker = looker
        self._ours = ours
        fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
        try:
            self._own = Place.of(looker.describe(fd), self._namespace("self"))
        finally:
            os.close(fd)
        self._all: weakref.WeakValueDictionary[Place, View] = weakref.WeakValueDictionary()
        self._last: OrderedDict[Place, View] = OrderedDict()

    def of(self, tid: int) -> View | None:
        """
        Return the view of a thread; None: it is ours.

        Raises:
            OSError: we have no fd, or it cannot be seen.
            NoViewError: paths that begin there are not looked up by us.
        """
        fd = os.open(f"{tid}/root", os.O_PATH | os.O_CLOEXEC, dir_fd=self._proc)
        try:
            held = self._looker.describe(fd)
            place = Place.of(held, self._namespace(str(tid)))
            if place == self._own:
                return None
            view = self._all.get(place)
            if view is None:
                view, fd = self._made(tid, fd, held), -1
                self._all[place] = view
            view.name = held.link
            self._keep(place, view)
            return view
        finally:
            if fd >= 0:
                os.close(fd)

    def _namespace(self, thread: str) -> int:
        return os.stat(f"{thread}/ns/mnt", dir_fd=self._proc).st_ino  # dir_fd

    def _made(self, tid: int, root: int, held: Object) -> View:
        known = self._ours.find(held.mount)
        if known is not None and known.kind not in LOCAL:
            raise NoViewError  # whoever enters it may wait for ever
        if (known is not None and known.kind == "proc") or _TYPE(statfs_of(root)) == (_PROC_SUPER_MAGIC,):
            raise NoViewError  # its ``self`` would be ours
        file = os.open(f"{tid}/mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        # Where the root is no mount of its own, the mount that it is on is not among those below it.
        around = {held.mount: Mount(b"/", "" if known is None else known.kind, b"")}
        return View(root, held, Mounts(file, around))

    def _keep(self, place: Place, view: View) -> None:
        self._last[place] = view
        self._last.move_to_end(place)
        if len(self._last) > KEPT:
            self._last.popitem(last=False)

    def close(self) -> None:
        """Keep none any more."""
        self._last.clear()
