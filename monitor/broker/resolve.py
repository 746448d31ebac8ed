"""
A path argument of a waiting thread becomes an fd that holds the object, and the name it has.

What it is: one copy of the path, one look-up, and the question whether the name that the kernel tells
may be believed.  What it is not: what is done where that is not enough (``slow``), a decision about
the name, or the use of the fd.  The step before it is ``decode``; the step after it a policy's, and
then ``files`` or ``metadata``.

Nothing is looked up by path twice.  A name is believed where the object's mount is one of the view's;
whatever else has no name, and what has none is refused by whoever decides by names.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from errno import EACCES, ENOENT
from typing import Final

from monitor._native import (
    CREATE,
    EMPTY,
    MAY_BLOCK,
    NOFOLLOW,
    NULL,
    PARENT,
    STRAIGHT,
    Object,
    PathLooker,
)
from monitor.broker.anonymous import anonymous_devices
from monitor.broker.hiding import Hides, hidden_name
from monitor.broker.mounts import LOCAL, Mount, Mounts
from monitor.broker.openers import shows_ours
from monitor.broker.plan import Start
from monitor.broker.procfs import as_own, below, device_of, is_below, is_of_ours, is_ours, owner_of
from monitor.broker.resolved import Resolved, names_of
from monitor.broker.slow import CONFINED, SlowWay, wrong
from monitor.broker.standing import Standing, ourselves, taken
from monitor.broker.views import View
from monitor.broker.walk import Surroundings
from monitor.broker.whose import Whose
from monitor.errors import TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.emulation import MayBlockError
from monitor.notify.listener import Listener

_PROC_ROOT: Final = 1
"""``PROC_ROOT_INO``: include/linux/proc_ns.h."""


class Resolver:
    """Resolves the paths of the threads of one listener, in our own view.  Owns three fds, and ends with ``close``."""

    def __init__(self, listener: Listener, *, is_supervised: Callable[[int], bool], reading: int) -> None:
        """
        Open what look-ups need; *listener* is borrowed, *is_supervised* knows the pids of targets.

        *reading*: ``PEEK`` or 0.
        """
        self._reading = reading
        self._listener = listener
        self._is_supervised = is_supervised
        self.proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        self.own_fds = os.open("/proc/self/fd", os.O_PATH | os.O_CLOEXEC)
        self._proc_device = device_of(self.proc)
        self.mounts = Mounts.ours()
        self.view: View | None = None
        self.standing: Standing | None = None
        self.hides: Hides | None = None
        """What a policy hides; None: nothing."""
        self._anonymous = anonymous_devices()

    def within(self, whose: Whose) -> Resolver:
        """Return one like this that looks up as *whose* says, and borrows everything; this one, if that is ours."""
        if whose.standing is None:
            return self
        other = copy.copy(self)
        other.standing = whose.standing
        if whose.view is not None:
            other.view, other.mounts = whose.view, whose.view.mounts
        return other

    def close(self) -> None:
        """Give the fds back."""
        self.mounts.close()
        os.close(self.own_fds)
        os.close(self.proc)

    def looker(self) -> PathLooker:
        """Return the buffers of one thread."""
        looker = PathLooker(self._listener.fileno(), self.proc, self.own_fds, self.mounts.fd)
        if self.standing is not None:
            looker.stand(self.standing.looking, self.standing.ours)
        return looker

    def looking(self) -> AbstractContextManager[None]:
        """Return what has the calling thread look up as the target would; raises as ``standing.taken``."""
        standing = self.standing
        return nullcontext() if standing is None else taken(standing.looking, standing.ours)

    def describe(self, looker: PathLooker, fd: int) -> Object:
        """Return what *fd*, which is borrowed, holds, and its name in this view.  Raises OSError."""
        held = looker.describe(fd)
        return held if self.view is None else self.view.inside(looker, held)

    def resolve(
        self, looker: PathLooker, call: Call, address: int, start: Start, resolve: int = 0, *, may_block: bool
    ) -> Resolved:
        """
        Resolve the path at *address*, which starts as *start* says, with openat2(2)'s bits *resolve*.

        *looker* is this thread's.  With *may_block* it may sleep for as long as a file system wants it to.

        Raises:
            TargetGone: the thread no longer waits.
            MayBlockError: it would perhaps have to sleep.
            OSError: we have no fd left.
        """
        flags = 0 if start.follow else NOFOLLOW
        flags |= self._reading | (MAY_BLOCK if may_block else self.mounts.further)
        flags |= (EMPTY if start.empty else 0) | (NULL if start.null else 0) | (CREATE if start.creates else 0)
        flags |= PARENT if start.parent else 0
        straight = self.hides is not None
        flags |= STRAIGHT if straight else 0
        try:
            found = looker.look_up(call.id, call.tid, address, start.directory, flags, resolve)
        except TargetMemoryError as error:
            return wrong(b"", error.errno)
        if found.mounts_changed:
            self.mounts.read()
        may_block = may_block or not (self.mounts.may_hang or found.mounts_changed)
        slow = SlowWay(self, looker, call, start, resolve, straight)
        if found.error:
            return slow.after(found, may_block=may_block)
        assert found.object is not None
        if self.view is not None:
            found = found._replace(object=self.view.inside(looker, found.object))
        assert found.object is not None
        on_procfs = self.is_procfs(found.object)
        if on_procfs and self.shows_others(looker, found.object):
            os.close(found.fd)
            return wrong(found.path, EACCES)
        if on_procfs and found.path:  # what an fd holds is what it is, whoever asks
            if may_block and resolve & CONFINED:
                return slow.confined_in_proc(found)
            os.close(found.fd)
            if not may_block:
                raise MayBlockError
            return slow.walked(found.path, -1)
        resolved = Resolved(found.path, fd=found.fd, held=found.object)
        resolved.missing = found.last
        resolved.must_be_directory = found.last is not None and found.path.endswith(b"/")
        resolved.by_fd = not found.path
        if start.parent:
            resolved.take_entry()
        self.name(resolved, call.target.pid if on_procfs else 0)
        return resolved

    def shows_others(self, looker: PathLooker, held: Object) -> bool:
        """
        Whether *held* is on a procfs of another pid namespace than ours, whose numbers we do not know.

        It is asked of that very file system, each time: what a view calls /proc may be another in a moment.  Its
        ``self`` is who looks, by the number there, and nothing where we are none of its processes (proc(5)).
        """
        if held.device == self._proc_device:
            return False
        mount = self.mounts.find(held.mount)
        if mount is None:
            return True
        try:
            with self.looking():
                fd = os.open(mount.point, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY)
        except OSError:
            return True
        try:
            root = looker.describe(fd)
            return (root.device, root.inode) != (held.device, _PROC_ROOT) or not is_of_ours(fd)
        finally:
            os.close(fd)

    def name(self, resolved: Resolved, process: int = 0) -> None:
        """Give *resolved* the names that may be believed; *process* is the target's, if anything is on procfs."""
        held, resolved.view = resolved.object, self.view
        assert held is not None
        mount = self.mount_of(held)
        owner = self.owner(held)
        if owner is not None and is_ours(owner):
            resolved.wrong = ENOENT  # as if it were not there, however it was come by
            return
        if owner is not None and self.is_foreign(owner):
            resolved.foreign = True
        resolved.may_hang = mount is None or mount.kind not in LOCAL
        if mount is None:
            resolved.anonymous = held.device in self._anonymous
            return
        if process and mount.kind == "proc" and shows_ours(below(mount, held), process):
            return
        names = names_of(held.link, resolved.missing)
        resolved.names = tuple(as_own(name, process) for name in names) if process else names

    def is_foreign(self, number: int) -> bool:
        """Whether *number* in /proc is none of the supervised."""
        with ourselves():
            return not self._is_supervised(number)

    def is_procfs(self, held: Object) -> bool:
        """Whether it is on a procfs: one of this view, or ours by whatever mount."""
        mount = self.mounts.find(held.mount)
        return held.device == self._proc_device or (mount is not None and mount.kind == "proc")

    def owner(self, held: Object) -> int | None:
        """Return the number of the process to which a thing on procfs belongs; None: it is elsewhere, or nobody's."""
        mount = self.mount_of(held)
        if mount is None and held.device == self._proc_device:
            return os.getpid()  # by what mount, and so where on it, cannot be told
        if mount is None or mount.kind != "proc":
            return None
        return owner_of(mount, held) if is_below(mount, held) else os.getpid()  # it cannot be told: as if it were ours

    def mount_of(self, held: Object) -> Mount | None:
        """Return the mount that *held* is on, where that is now: nobody tells when a directory above it is moved."""
        mount = self.mounts.find(held.mount)
        if mount is not None and mount.kind == "proc" and not is_below(mount, held):
            self.mounts.read()
            mount = self.mounts.find(held.mount)
        return mount

    def is_valid(self, call: Call) -> bool:
        """Whether the thread still waits."""
        return self._listener.is_valid(call.id)

    def surroundings(self, looker: PathLooker, tid: int, process: int) -> Surroundings:
        """Return what a walk for a thread has to know; its numbers are ours."""

        def is_procfs(fd: int) -> bool:
            with ourselves():
                return self.is_procfs(looker.describe(fd))

        def shows_others(fd: int) -> bool:
            with ourselves():
                return self.shows_others(looker, looker.describe(fd))

        def owner(fd: int) -> int | None:
            with ourselves():
                return self.owner(self.describe(looker, fd))

        def is_hidden(number: int) -> bool:
            with ourselves():
                return is_ours(number)

        def describe(fd: int) -> Object:
            with ourselves():
                return self.describe(looker, fd)

        def hidden(fd: int) -> bytes | None:
            with ourselves():
                passed = Resolved(b"", held=self.describe(looker, fd))
                self.name(passed, process)
            if not passed.names and not passed.anonymous:
                return b""
            return None if self.hides is None else hidden_name(self.hides, passed.names)

        return Surroundings(
            tid=tid,
            process=process,
            is_procfs=is_procfs,
            shows_others=shows_others,
            owner=owner,
            is_hidden=is_hidden,
            is_foreign=self.is_foreign,
            describe=describe,
            hidden=hidden if self.hides else None,
        )
