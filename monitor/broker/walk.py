"""
A path walked component by component, as fs/namei.c does, where one openat2(2) is not enough.

What it is: the slow way, for paths that meet procfs, whose ``self`` would be ours, or magic links,
which lead to what the *target's* fds and directories are; for paths that lead nowhere, to know how far
they do; and, where a policy hides names, for those that may pass one and leave it again, by ``..`` or a
link.  What it is not: the way of most paths (``resolve``).
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable
from errno import EACCES, EISDIR, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM, ENOTDIR, EXDEV
from pathlib import Path
from typing import Final, NamedTuple

from monitor._native import Object, open_at
from monitor.broker.standing import file_uid, ourselves

LACKS: Final = frozenset({EMFILE, ENFILE, ENOMEM})
"""What can only be said of us, and never of where a path leads."""

MOST_LINKS: Final = 40
"""``MAXSYMLINKS``: include/linux/namei.h."""

_PROC_ROOT: Final = 1
"""``PROC_ROOT_INO``: include/linux/proc_ns.h."""

NO_XDEV: Final = 0x01
NO_MAGICLINKS: Final = 0x02
NO_SYMLINKS: Final = 0x04
BENEATH: Final = 0x08
IN_ROOT: Final = 0x10
"""RESOLVE_* of openat2(2)."""

_ST_NOSYMFOLLOW: Final = 0x2000
"""Of a mount on which no link is followed: include/linux/statfs.h."""


class Surroundings(NamedTuple):
    """
    What a walk has to know of whoever walks.

    Attributes:
        tid: the thread.
        process: the process of it, in the pid namespace of our /proc.
        is_procfs: whether an fd is on procfs.
        shows_others: whether that is of a pid namespace whose numbers are not known.
        owner: the process of /proc to which belongs what an fd is on; None: it is nobody's.
        is_hidden: whether a number in /proc belongs to us: such a process is not there.
        is_foreign: whether it belongs to a process that is none of the supervised.
        describe: says what an fd holds.
        hidden: the name that a policy hides, of what an fd is on or of a directory above it; None: it hides none;
            empty: what the fd is on has no name that can be believed.
    """

    tid: int
    process: int
    is_procfs: Callable[[int], bool]
    shows_others: Callable[[int], bool]
    owner: Callable[[int], int | None]
    is_hidden: Callable[[int], bool]
    is_foreign: Callable[[int], bool]
    describe: Callable[[int], Object]
    hidden: Callable[[int], bytes | None] | None = None


class How(NamedTuple):
    """
    How a path is walked.

    Attributes:
        follow: whether a link in the place of the last component is followed.
        creates: whether a file may be made, whose name has no slashes behind it.
        resolve: the RESOLVE_* bits by which it is confined.
    """

    follow: bool
    creates: bool = False
    resolve: int = 0


class Walked(NamedTuple):
    """
    How far a path leads.

    Attributes:
        error: the errno with which it ends; 0: it leads to *fd*.
        fd: the object; or, with *missing* or an error, the directory where it ends.  The caller's to close.
        missing: the component that is not in *fd*, or cannot be passed.
        must_be_directory: whether slashes stand behind a last component that is not there.
        foreign: whether it went through a process in /proc that is none of the supervised.
        hidden: the name that it would have passed, and that is not there for who walks.
        by_magic_link: whether the last step was a magic link.
    """

    error: int
    fd: int
    missing: bytes | None = None
    must_be_directory: bool = False
    foreign: bool = False
    hidden: bytes | None = None
    by_magic_link: bool = False


class _Missing(Exception):  # the end of a walk, not an error of ours
    """The last component is not there."""

    def __init__(self, component: bytes) -> None:
        super().__init__()
        self.component = component


class _Stop(Exception):  # likewise
    """The walk ends here."""

    def __init__(self, error: int, component: bytes | None, hidden: bytes | None = None) -> None:
        super().__init__()
        self.error = error
        self.component = component
        self.hidden = hidden


def walk(start: int, path: bytes, surroundings: Surroundings, how: How) -> Walked:
    """
    Walk *path* from the directory *start*, which is borrowed.

    May block, as any look-up may.  Raises OSError where we cannot go on: no fd, no memory.
    """
    absolute = path.startswith(b"/") and not how.resolve & IN_ROOT
    if absolute and how.resolve & BENEATH:
        return Walked(EXDEV, os.dup(start))
    try:
        here = open_at(start, b"/", os.O_PATH) if absolute else _entered(start, surroundings)
    except OSError as error:
        if error.errno not in {EACCES, ENOTDIR}:
            raise
        return Walked(error.errno, os.dup(start))  # no directory, or none that may be searched
    walker = _Walker(start, here, path, surroundings, how)
    try:
        return walker.result()
    except BaseException:
        os.close(walker.here)
        raise


def _entered(start: int, surroundings: Surroundings) -> int:
    """Return *start* anew, if who walks may search it."""
    try:
        return open_at(start, b".", os.O_PATH)
    except OSError as error:
        if error.errno != EACCES or surroundings.owner(start) != surroundings.process:
            raise
    with ourselves():  # as in ``_open``: a process may enter what is its own
        return open_at(start, b".", os.O_PATH)


class _Walker:
    """Where a walk is, and what is left of its path."""

    def __init__(self, start: int, here: int, path: bytes, surroundings: Surroundings, how: How) -> None:
        self.here = here
        self._start = start
        self._left = deque(part for part in path.split(b"/") if part)
        self._to_directory = path.endswith(b"/")
        self._surroundings = surroundings
        self._how = how
        self._links = 0
        self._foreign = False
        self._by_magic_link = False
        self._root = self._place(here) if how.resolve & (BENEATH | IN_ROOT) else None

    def result(self) -> Walked:
        """Walk to the end."""
        try:
            while self._left:
                self._step(self._left.popleft())
        except _Stop as stop:
            return Walked(stop.error, self.here, stop.component, foreign=self._foreign, hidden=stop.hidden)
        except _Missing as missing:
            return Walked(0, self.here, missing.component, self._to_directory, self._foreign)
        if self._to_directory and not stat.S_ISDIR(os.fstat(self.here).st_mode):
            return Walked(ENOTDIR, self.here, foreign=self._foreign)
        return Walked(0, self.here, foreign=self._foreign, by_magic_link=self._by_magic_link)

    def _step(self, component: bytes) -> None:
        """Go to *component* of where we are."""
        self._by_magic_link = False
        if component == b"..":
            self._go_back()
            return
        if component == b".":
            self._go(self._opened(component, os.O_DIRECTORY))
            return
        if self._how.creates and self._to_directory and not self._left:
            os.close(self._opened(b".", os.O_DIRECTORY))  # it may be searched
            raise _Stop(EISDIR, component)
        in_proc = self._surroundings.is_procfs(self.here)
        if in_proc:
            if self._surroundings.shows_others(self.here):
                raise _Stop(EACCES, component)  # numbers there, and whose links they are, cannot be told
            self._pass_process(component)
        found = self._opened(component, os.O_NOFOLLOW)
        try:
            self._stay_on_mount(found, component)
            status = os.fstat(found)
            last = not self._left
            if not stat.S_ISLNK(status.st_mode) or (last and not self._how.follow and not self._to_directory):
                found, self.here = self.here, found
                return
            self._follow_link(component, found, status, in_proc=in_proc)
        finally:
            os.close(found)

    def _go_back(self) -> None:
        """Go to the directory above, if there is one, and this one is not hidden."""
        self._leave(self.here)
        if self._root is not None and self._place(self.here) == self._root:
            if self._how.resolve & BENEATH:
                raise _Stop(EXDEV, None)
            os.close(self._opened(b".", os.O_DIRECTORY))
            return
        self._go_on_mount(self._opened(b"..", os.O_DIRECTORY), None)

    def _leave(self, fd: int) -> None:
        """End the walk, if what *fd* is on, from which it goes on elsewhere, is hidden."""
        hidden = self._surroundings.hidden
        name = None if hidden is None else hidden(fd)
        if name == b"":
            raise _Stop(EACCES, None)  # who knows what is hidden there
        if name is not None:
            raise _Stop(ENOENT, None, name)

    def _place(self, fd: int) -> tuple[int, int, int]:
        held = self._surroundings.describe(fd)
        return held.mount, held.device, held.inode

    def _stay_on_mount(self, there: int, component: bytes | None) -> None:
        """End the walk, if *there* is on another mount, and the path is confined to one."""
        if self._how.resolve & NO_XDEV and self._place(there)[0] != self._place(self.here)[0]:
            raise _Stop(EXDEV, component)

    def _opened(self, component: bytes, flags: int, resolve: int = NO_MAGICLINKS) -> int:
        """Open *component* of where we are."""
        try:
            return self._open(component, os.O_PATH | flags, resolve)
        except OSError as error:
            if error.errno in LACKS:
                raise
            named = component not in {b".", b".."}  # there is none above a directory that was removed
            if error.errno == ENOENT and not self._left and named:
                raise _Missing(component) from None
            raise _Stop(error.errno or EACCES, component if named else None) from None

    def _open(self, component: bytes, flags: int, resolve: int) -> int:
        """
        Open it with the rights of who walks; with ours what only a process itself may enter: its fds, and its links.

        Source: fs/proc/fd.c, ``proc_fd_permission``; fs/proc/base.c, ``proc_fd_access_allowed``.
        """
        try:
            return open_at(self.here, component, flags, resolve=resolve)
        except OSError as error:
            if error.errno != EACCES or self._surroundings.owner(self.here) != self._surroundings.process:
                raise
        with ourselves():
            return open_at(self.here, component, flags, resolve=resolve)

    def _go(self, there: int) -> None:
        there, self.here = self.here, there
        os.close(there)

    def _go_on_mount(self, there: int, component: bytes | None) -> None:
        try:
            self._stay_on_mount(there, component)
        except BaseException:
            os.close(there)
            raise
        self._go(there)

    def _pass_process(self, component: bytes) -> None:
        """Hide what is ours in /proc, and note what is nobody's here."""
        if not component.isdigit() or os.fstat(self.here).st_ino != _PROC_ROOT:
            return
        self._meet(int(component), component)

    def _meet(self, process: int, component: bytes) -> None:
        if self._surroundings.is_hidden(process):
            raise _Missing(component) if not self._left else _Stop(ENOENT, component)
        self._foreign |= self._surroundings.is_foreign(process)

    def _follow_link(self, component: bytes, link: int, status: os.stat_result, *, in_proc: bool) -> None:
        """Go to where *link* leads, or put its text before what is left."""
        self._leave(link)
        self._links += 1
        if self._links > MOST_LINKS or self._how.resolve & NO_SYMLINKS:
            raise _Stop(ELOOP, component)
        if in_proc and self._is_magic(component):
            if self._how.resolve & NO_MAGICLINKS:
                raise _Stop(ELOOP, component)
            if self._how.resolve & (BENEATH | IN_ROOT):
                raise _Stop(EXDEV, component)
            owner = self._surroundings.owner(self.here)  # the walk may have started below it
            if owner is not None:
                self._meet(owner, component)
            self._go_on_mount(self._opened(component, 0, 0), component)
            self._by_magic_link = True
            return
        if not self._left and _is_protected(self.here, status):  # of links on the way nothing is asked
            raise _Stop(EACCES, component)
        if os.fstatvfs(link).f_flag & _ST_NOSYMFOLLOW:
            raise _Stop(ELOOP, component)
        text = self._text(component, link, in_proc=in_proc)
        if not text:
            raise _Stop(ENOENT, component)
        last = not self._left
        self._left.extendleft(part for part in reversed(text.split(b"/")) if part)
        self._to_directory |= last and text.endswith(b"/")
        if text.startswith(b"/"):
            self._go_to_root(component)

    def _go_to_root(self, component: bytes) -> None:
        """Go where absolute links lead."""
        if self._how.resolve & BENEATH:
            raise _Stop(EXDEV, component)
        there = os.dup(self._start) if self._how.resolve & IN_ROOT else open_at(self.here, b"/", os.O_PATH)
        self._go_on_mount(there, component)

    def _is_magic(self, component: bytes) -> bool:
        """Whether the link leads to an object itself, and its text is only for people (proc(5))."""
        try:
            os.close(self._open(component, os.O_PATH, NO_MAGICLINKS))
        except OSError as error:
            if error.errno in LACKS:
                raise
            return error.errno == ELOOP
        return False

    def _text(self, component: bytes, link: int, *, in_proc: bool) -> bytes:
        if in_proc and os.fstat(self.here).st_ino == _PROC_ROOT:
            process = self._surroundings.process
            if component == b"self":
                return b"%d" % process
            if component == b"thread-self":
                return b"%d/task/%d" % (process, self._surroundings.tid)
        return os.readlink(b"", dir_fd=link)


def _is_protected(directory: int, link: os.stat_result) -> bool:
    """Whether the kernel would not follow *link* out of a directory where everybody may write (proc_sys_fs(5))."""
    where = os.fstat(directory)
    if not (where.st_mode & stat.S_ISVTX and where.st_mode & stat.S_IWOTH):
        return False
    if link.st_uid in {file_uid(), where.st_uid}:
        return False
    with ourselves():
        return Path("/proc/sys/fs/protected_symlinks").read_bytes().strip() != b"0"
