"""
A path argument of a waiting thread becomes an fd that holds the object, and the name it has.

What it is: one copy of the path, one look-up, and the question whether the name that the kernel tells
may be believed.  What it is not: a decision about the name, or the use of the fd.  The step before it
is ``decode``; the step after it a policy's, and then ``files`` or ``metadata``.

Nothing is looked up by path twice.  A name is believed where the object's mount is one of the view's;
whatever else has no name, and what has none is refused by whoever decides by names.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from errno import EACCES, EAGAIN, EISDIR, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOMEM, ENOTDIR
from typing import Final, NamedTuple

from monitor._native import (
    CREATE,
    EMPTY,
    MAY_BLOCK,
    NOFOLLOW,
    NULL,
    PARENT,
    STRAIGHT,
    LookedUp,
    Object,
    PathLooker,
    open_at,
)
from monitor.broker.anonymous import anonymous_devices
from monitor.broker.hiding import TELLING, Hides, hidden_name
from monitor.broker.mounts import LOCAL, Mount, Mounts
from monitor.broker.openers import shows_ours
from monitor.broker.plan import Start
from monitor.broker.procfs import as_own, below, is_below, is_ours, numbers_inside, owner_of, shows_this_process
from monitor.broker.resolved import Resolved, entry_of, hidden_at, names_of
from monitor.broker.standing import Standing, ourselves, taken
from monitor.broker.views import View
from monitor.broker.walk import BENEATH, IN_ROOT, MOST_LINKS, NO_MAGICLINKS, NO_XDEV, How, Surroundings, Walked, walk
from monitor.broker.whose import Whose
from monitor.errors import TargetGone, TargetMemoryError
from monitor.notify.decode import Call
from monitor.notify.emulation import MayBlockError
from monitor.notify.listener import Listener

AT_FDCWD: Final = -100

_WALKED_AGAIN: Final = frozenset({ENOENT, ELOOP, ENOTDIR, EACCES, EISDIR, ENAMETOOLONG})
"""Errors after which it matters how far the path leads: a policy may not want it told."""

_NO_END: Final = frozenset({ENOENT, ENOTDIR})
"""Errors of what may be the last component alone."""

_OURS: Final = frozenset({EMFILE, ENFILE, ENOMEM})
"""What can only be said of us."""

_CACHED: Final = 0x20
"""RESOLVE_CACHED: then EAGAIN is for the target."""

_CONFINED: Final = NO_XDEV | BENEATH | IN_ROOT
"""Where nothing is hidden the kernel alone follows such a path."""


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
            return _wrong(b"", error.errno)
        if found.mounts_changed:
            self.mounts.read()
        may_block = may_block or not (self.mounts.may_hang or found.mounts_changed)
        slow = _SlowWay(self, looker, call, start, resolve, straight)
        if found.error:
            return slow.after(found, may_block=may_block)
        assert found.object is not None
        if self.view is not None:
            found = found._replace(object=self.view.inside(looker, found.object))
        assert found.object is not None
        on_procfs = self.is_procfs(found.object)
        if on_procfs and found.path:  # what an fd holds is what it is, whoever asks
            if may_block and resolve & _CONFINED:
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
        self.name(resolved, self.process_of(call) if on_procfs else 0)
        return resolved

    def numbers_of(self, call: Call) -> tuple[int, int]:
        """Return the numbers by which /proc in this view knows process and thread of *call*; 0: by none."""
        if self.view is None or self.shows_our_processes(self.view):
            return call.target.pid, call.tid
        return numbers_inside(call.tid)

    def process_of(self, call: Call) -> int:
        """Return the first of these."""
        return self.numbers_of(call)[0]

    def shows_our_processes(self, view: View) -> bool:
        """Whether /proc in *view* has the numbers that we know; looked at once."""
        if view.shows_ours is None:
            with self.looking():
                view.shows_ours = shows_this_process()
        return view.shows_ours

    def name(self, resolved: Resolved, process: int = 0) -> None:
        """Give *resolved* the names that may be believed; *process* is the target's, if anything is on procfs."""
        held, resolved.view = resolved.object, self.view
        assert held is not None
        mount = self.mount_of(held)
        owner = self.owner(held)
        if owner is not None and self.is_hidden(owner):
            resolved.wrong = ENOENT  # as if it were not there, however it was come by
            return
        if owner is not None and self.is_foreign(owner, process):
            resolved.foreign = True
        resolved.may_hang = mount is None or mount.kind not in LOCAL
        if mount is None:
            resolved.anonymous = held.device in self._anonymous
            return
        if process and mount.kind == "proc" and shows_ours(below(mount, held), process):
            return
        names = names_of(held.link, resolved.missing)
        resolved.names = tuple(as_own(name, process) for name in names) if process else names

    def is_hidden(self, number: int) -> bool:
        """Whether *number* in /proc is ours: such a process is not there."""
        return self._knows_numbers() and is_ours(number)

    def is_foreign(self, number: int, process: int) -> bool:
        """
        Whether *number* in /proc is none of the supervised.

        Where we do not know the numbers it is a pid namespace that the run has made, if *process* has one there.
        """
        return not self._is_supervised(number) if self._knows_numbers() else not process

    def _knows_numbers(self) -> bool:
        return self.view is None or self.view.shows_ours is not False

    def is_procfs(self, held: Object) -> bool:
        """Whether it is on a procfs of this view."""
        mount = self.mounts.find(held.mount)
        return mount is not None and mount.kind == "proc"

    def owner(self, held: Object) -> int | None:
        """Return the number of the process to which a thing on procfs belongs; None: it is elsewhere, or nobody's."""
        mount = self.mount_of(held)
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
        """Return what a walk for a thread has to know; its numbers are those of /proc in this view."""

        def is_procfs(fd: int) -> bool:
            with ourselves():
                return self.is_procfs(looker.describe(fd))

        def owner(fd: int) -> int | None:
            with ourselves():
                return self.owner(self.describe(looker, fd))

        def is_hidden(number: int) -> bool:
            with ourselves():
                return self.is_hidden(number)

        def is_foreign(number: int) -> bool:
            return self.is_foreign(number, process)

        def describe(fd: int) -> Object:
            with ourselves():
                return self.describe(looker, fd)

        def hidden(fd: int) -> bytes | None:
            with ourselves():
                passed = Resolved(b"", held=self.describe(looker, fd))
                self.name(passed, process)
            return None if self.hides is None else hidden_name(self.hides, passed.names)

        return Surroundings(
            tid, process, is_procfs, owner, is_hidden, is_foreign, describe, hidden if self.hides else None
        )


class _SlowWay(NamedTuple):
    """One path, where one look-up was not enough."""

    resolver: Resolver
    looker: PathLooker
    call: Call
    start: Start
    resolve: int
    straight: bool
    """Whether the path was only followed as far as it is straight, because something is hidden."""

    def after(self, found: LookedUp, *, may_block: bool) -> Resolved:
        """Say what a failed look-up means, and walk where that has to be known."""
        if found.error == ENOENT and not self.resolver.is_valid(self.call):
            _close(found.start)
            raise TargetGone
        walks = found.error in _WALKED_AGAIN or (self.straight and found.error in TELLING)
        if found.path and may_block:
            if walks and (self.straight or not self.resolve & _CONFINED):
                return self.walked(found.path, found.start)
            if found.error in _NO_END and self.start.creates and self.start.follow:
                return self._through_last_links(found)
            if found.error in _WALKED_AGAIN:
                return self._as_far_as_it_leads(found)
        _close(found.start)
        if found.error in _OURS:
            raise OSError(found.error, os.strerror(found.error))
        if found.error == EAGAIN and not may_block and not self.resolve & _CACHED:
            raise MayBlockError
        if not walks or not found.path:
            return _wrong(found.path, found.error)
        raise MayBlockError

    def _as_far_as_it_leads(self, found: LookedUp) -> Resolved:
        """Find the deepest directory that is there of a path that is confined, and leads nowhere."""
        start = found.start if found.start >= 0 else AT_FDCWD
        lead = b"/" if found.path.startswith(b"/") else b""
        parts = [part for part in found.path.split(b"/") if part]
        try:
            process = self.resolver.process_of(self.call)
            for count in range(len(parts) - 1, -1, -1):
                above = lead + b"".join(part + b"/" for part in parts[:count]) + b"."
                try:
                    with self.resolver.looking():
                        fd = open_at(start, above, os.O_PATH | os.O_DIRECTORY, resolve=self.resolve | NO_MAGICLINKS)
                except OSError:
                    continue
                if parts[count] not in {b".", b".."} and not _is_link(fd, parts[count]):
                    return self._of(found.path, Walked(found.error, fd, parts[count]), process)
                os.close(fd)
                break  # where it would lead has no name
        finally:
            _close(found.start)
        return Resolved(found.path, error=found.error)

    def confined_in_proc(self, found: LookedUp) -> Resolved:
        """Return what a confined path leads to on procfs: below ``self``, which was ours, what is the target's."""
        held = found.object
        assert held is not None
        try:
            process = self.resolver.process_of(self.call)
        except BaseException:
            os.close(found.fd)
            raise
        mount = self.resolver.mount_of(held)
        own, fd = b"/%d" % os.getpid(), found.fd
        if mount is not None and (below(mount, held) + b"/").startswith(own + b"/"):
            rest = below(mount, held).removeprefix(own)
            rest = rest.replace(b"/task/%d" % threading.get_native_id(), b"/task/%d" % self.call.tid, 1)
            os.close(fd)
            try:
                with self.resolver.looking():
                    fd = open_at(AT_FDCWD, mount.point + b"/%d" % process + rest, os.O_PATH | os.O_NOFOLLOW)
            except OSError as error:
                return Resolved(found.path, error=error.errno or ENOENT)
        return self._of(found.path, Walked(0, fd, found.last, found.path.endswith(b"/")), process)

    def _through_last_links(self, found: LookedUp) -> Resolved:
        """
        Follow links that are the last component, and where a file is to be made, within the confines of openat2(2).

        A link's text is put into the path, and the kernel looks up from the start again: so nothing leaves the
        confines, and no error is ours.
        """
        try:
            path, start = found.path, found.start if found.start >= 0 else AT_FDCWD
            with self.resolver.looking():
                last = self._last_of(path, start, found.error)
            resolved = self._of(path, last, self.resolver.process_of(self.call)) if isinstance(last, Walked) else last
        except BaseException:
            _close(found.start)
            raise
        if resolved is None:
            return self._as_far_as_it_leads(found)
        _close(found.start)
        return resolved

    def _last_of(self, path: bytes, start: int, otherwise: int) -> Resolved | Walked | None:
        """Return what is behind the links; None: the directory is not there in which the first would be."""
        asked = path
        for _ in range(MOST_LINKS):
            named = path.rstrip(b"/")
            name = named.rpartition(b"/")[2]
            above = named[: len(named) - len(name)]
            if name in {b"", b".", b".."}:
                break
            try:
                fd = open_at(start, above + b".", os.O_PATH | os.O_DIRECTORY, resolve=self.resolve | NO_MAGICLINKS)
            except OSError as error:
                return Resolved(asked, error=error.errno or ENOENT) if path != asked else None
            if named != path:
                os.close(fd)
                return Resolved(asked, error=EISDIR)
            try:
                path = os.readlink(name, dir_fd=fd)
            except FileNotFoundError:
                return Walked(0, fd, name)
            except OSError:
                os.close(fd)
                break  # no link: what is there is found another time
            os.close(fd)
            path = path if path.startswith(b"/") else above + path
        return Resolved(asked, error=otherwise)

    def walked(self, path: bytes, start: int) -> Resolved:
        """Walk *path* from *start*, which is ours to close, or from where it starts by itself."""
        call = self.call
        try:
            process, thread = self.resolver.numbers_of(call)
            if start < 0:
                start = self._opened_start(path)
            surroundings = self.resolver.surroundings(self.looker, thread, process)
            how = How(self.start.follow or self.start.parent, self.start.creates, self.resolve)
            with self.resolver.looking():
                walked = walk(start, self._walked_part(path), surroundings, how)
        finally:
            _close(start)
        return self._of(path, walked, process)

    def _walked_part(self, path: bytes) -> bytes:
        """Return as much of *path* as is looked up: all of it, or the directory of a name."""
        if not self.start.parent:
            return path
        above = path.removesuffix(entry_of(path))
        return above + b"." if above or not path.startswith(b"/") else b"/"

    def _of(self, path: bytes, walked: Walked, process: int) -> Resolved:
        if walked.hidden is not None:
            os.close(walked.fd)
            return hidden_at(path, walked.hidden)
        try:
            held = self.resolver.describe(self.looker, walked.fd)
        except OSError:
            _close(walked.fd)
            raise
        resolved = Resolved(path, error=walked.error, fd=walked.fd, held=held)
        resolved.missing = walked.missing
        resolved.must_be_directory = walked.must_be_directory
        resolved.foreign = walked.foreign
        resolved.by_fd = not path
        if self.start.parent and walked.missing is None and not walked.error:
            resolved.take_entry()
        self.resolver.name(resolved, process)
        return resolved

    def _opened_start(self, path: bytes) -> int:
        """Open once more where *path* starts."""
        if path.startswith(b"/"):
            with self.resolver.looking():
                return os.open("/", os.O_PATH | os.O_CLOEXEC)
        tid, directory = self.call.tid, self.start.directory
        leaf = f"{tid}/cwd" if directory == AT_FDCWD else f"{tid}/fd/{directory}"
        try:
            start = os.open(leaf, os.O_PATH | os.O_CLOEXEC, dir_fd=self.resolver.proc)
        except FileNotFoundError:
            raise TargetGone from None  # it was there a moment ago
        if not self.resolver.is_valid(self.call):
            os.close(start)
            raise TargetGone
        return start


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)


def _is_link(directory: int, name: bytes) -> bool:
    try:
        os.readlink(name, dir_fd=directory)
    except OSError:
        return False
    return True


def _wrong(path: bytes, error: int) -> Resolved:
    resolved = Resolved(path)
    resolved.wrong = error
    return resolved
