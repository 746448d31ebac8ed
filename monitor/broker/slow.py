"""
One path, where one look-up was not enough: it fails, meets procfs, or passes what is hidden.

What it is: what a failure means, and the walks that find out how far a path leads.  What it is not: the look-up
before it (``resolve``), or a walk itself (``walk``).
"""

from __future__ import annotations

import os
import threading
from errno import EACCES, EAGAIN, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from typing import TYPE_CHECKING, Final, NamedTuple

from monitor._native import LookedUp, PathLooker, open_at
from monitor.broker.hiding import TELLING
from monitor.broker.plan import Start
from monitor.broker.procfs import below
from monitor.broker.resolved import Resolved, entry_of, hidden_at
from monitor.broker.walk import BENEATH, IN_ROOT, LACKS, MOST_LINKS, NO_MAGICLINKS, NO_XDEV, How, Walked, walk
from monitor.errors import TargetGone
from monitor.notify.decode import Call
from monitor.notify.emulation import MayBlockError

if TYPE_CHECKING:
    from monitor.broker.resolve import Resolver

AT_FDCWD: Final = -100

_WALKED_AGAIN: Final = frozenset({ENOENT, ELOOP, ENOTDIR, EACCES, EISDIR, ENAMETOOLONG})
"""Errors after which it matters how far the path leads: a policy may not want it told."""

_NO_END: Final = frozenset({ENOENT, ENOTDIR})
"""Errors of what may be the last component alone."""

_CACHED: Final = 0x20
"""RESOLVE_CACHED: then EAGAIN is for the target."""

CONFINED: Final = NO_XDEV | BENEATH | IN_ROOT
"""Where nothing is hidden the kernel alone follows such a path."""


class SlowWay(NamedTuple):
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
            if walks and (self.straight or not self.resolve & CONFINED):
                return self.walked(found.path, found.start)
            if found.error in _NO_END and self.start.creates and self.start.follow:
                return self._through_last_links(found)
            if found.error in _WALKED_AGAIN:
                return self._as_far_as_it_leads(found)
        _close(found.start)
        if found.error in LACKS:
            raise OSError(found.error, os.strerror(found.error))
        if found.error == EAGAIN and not may_block and not self.resolve & _CACHED:
            raise MayBlockError
        if not walks or not found.path:
            return wrong(found.path, found.error)
        raise MayBlockError

    def _as_far_as_it_leads(self, found: LookedUp) -> Resolved:
        """Find the deepest directory that is there of a path that is confined, and leads nowhere."""
        start = found.start if found.start >= 0 else AT_FDCWD
        lead = b"/" if found.path.startswith(b"/") else b""
        parts = [part for part in found.path.split(b"/") if part]
        try:
            process = self.call.target.pid
            for count in range(len(parts) - 1, -1, -1):
                above = lead + b"".join(part + b"/" for part in parts[:count]) + b"."
                try:
                    with self.resolver.looking():
                        fd = open_at(start, above, os.O_PATH | os.O_DIRECTORY, resolve=self.resolve | NO_MAGICLINKS)
                except OSError as error:
                    if error.errno in LACKS:
                        raise
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
            process = self.call.target.pid
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
                if error.errno in LACKS:
                    raise
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
            resolved = self._of(path, last, self.call.target.pid) if isinstance(last, Walked) else last
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
                if error.errno in LACKS:
                    raise
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
            process = call.target.pid
            if start < 0:
                start = self._opened_start(path)
            surroundings = self.resolver.surroundings(self.looker, call.tid, process)
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
        if self.resolver.is_procfs(held) and self.resolver.shows_others(self.looker, held):
            os.close(walked.fd)
            return wrong(path, EACCES)
        resolved = Resolved(path, error=walked.error, fd=walked.fd, held=held)
        resolved.missing = walked.missing
        resolved.must_be_directory = walked.must_be_directory
        resolved.foreign = walked.foreign
        resolved.by_magic_link = walked.by_magic_link
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


def wrong(path: bytes, error: int) -> Resolved:
    """Return what arguments lead to that lead nowhere at all, with *error*."""
    resolved = Resolved(path)
    resolved.wrong = error
    return resolved
