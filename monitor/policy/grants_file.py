"""
A file with remembered answers, edited while others read it and edit it: an answer more, some less.

What it is not: the edit of its text (``edit``), or the use of what it says (``grants``).

An edit is made under a lock, of what stands in the file then, and put in its place by a rename: two
supervisors that remember at once lose nothing, and whoever reads sees all of an edit or nothing.  The
directory is opened once, and nothing in it is reached by another way: no symbolic link that appears
meanwhile leads an edit elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from errno import ELOOP, ETIMEDOUT
from functools import reduce
from pathlib import Path
from typing import Final, NamedTuple

from attrs import field, frozen

from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy import edit, tables
from monitor.policy.layout import visible
from monitor.policy.tables import Grant
from monitor.policy.text import MAX_BYTES, loads, loads_grants, read_text
from monitor.policy.variables import Variables

_PATIENCE_SECONDS: Final = 2.0
"""How long another edit may take."""

_PAUSE_SECONDS: Final = 0.02

_TRIES: Final = 10
"""So often a file may be replaced by others while it is edited."""


class _Read(NamedTuple):
    """What stood in the file, and what tells whether it still does."""

    text: str
    stamp: tuple[int, ...]


def _named(path: str | os.PathLike[str]) -> str:
    return os.fspath(path)


@frozen
class GrantsFile:
    """
    A file of grants, or a policy with some; it need not be there.

    What its methods do may take seconds: others may hold the lock.  What they return is for people, escaped.
    """

    path: str = field(converter=_named)
    variables: Variables | None = field(default=None, kw_only=True)
    alone: bool = field(default=False, kw_only=True)
    """Whether a policy is refused, of which only the grants would count."""

    def entries(self) -> tuple[Grant, ...]:
        """
        Return the grants that stand in it, none if it is not there.

        Raises:
            PolicyError: it cannot be read, or is neither a policy nor a file of grants.
        """
        try:
            with open(self.path, "rb", opener=_without_waiting) as file:
                _refuse_irregular(file.fileno(), self.path)
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return ()
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise PolicyError(message, Origin(self.path)) from None
        return self._meant(read_text(data, self.path))

    def add(self, *grants: Grant) -> str:
        """
        Write *grants* behind the others, into a file that is made if it is not there; what changed, as diff -u has it.

        All of them are there afterwards, or none.

        Raises:
            PolicyError: it says what no such file says, or can only be edited by hand; it says what it said.
            OSError: it cannot be written; it says what it said.
        """
        return self._edited(lambda text: reduce(edit.add_grant, grants, text), create=True)

    def revoke(self, *indices: int) -> str:
        """
        Take the grants with these *indices* away, as ``entries`` counts them; what changed, as diff -u has it.

        Raises what ``add`` does, and PolicyError for a grant that is not there.
        """

        def without(text: str) -> str:
            for index in sorted(set(indices), reverse=True):
                text = edit.remove_grant(text, index)
            return text

        return self._edited(without, create=False)

    def _meant(self, text: str) -> tuple[Grant, ...]:
        """Return the grants that *text* says, as a policy if it is one."""
        origin = Origin(self.path)
        directory = Path(self.path).absolute().parent
        if not self.alone and "policy" in edit.keys_of(text, origin):
            return tables.grants(loads(text, origin, variables=self.variables, directory=directory))
        variables = (self.variables or Variables()).with_project(str(directory))
        return loads_grants(text, origin, variables=variables).entries

    def _edited(self, change: Callable[[str], str], *, create: bool) -> str:
        real = Path(os.path.realpath(self.path))
        directory = os.open(real.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for _ in range(_TRIES):
                with _locked(directory, real.name, self.path, create=create) as file:
                    before = _read(file, self.path)
                    try:
                        after = change(before.text)
                        self._meant(read_text(after.encode(), self.path))
                    except PolicyError as error:
                        raise error.at(Origin(self.path)) from None
                    except RecursionError:
                        message = "nested too deeply"
                        raise PolicyError(message, Origin(self.path)) from None
                    if _replaced(directory, str(real), file, before, after):
                        return visible(edit.difference(before.text, after, self.path))
        finally:
            os.close(directory)
        message = "others change it again and again; try once more"
        raise PolicyError(message, Origin(self.path))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _refuse_irregular(file: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        message = "is no regular file"
        raise PolicyError(message, Origin(path))


@contextmanager
def _locked(directory: int, name: str, path: str, *, create: bool) -> Generator[int]:
    """
    Have the file *name* of *directory* open, and the lock on it; no file of that name has one beside it.

    The lock is on the file itself: one beside it could be any file by the time that it is taken.  Who had
    to wait may then have the lock of a file that was replaced, and takes that of the new one.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        file = _open(directory, name, path, create=create)
        try:
            _refuse_irregular(file, path)
            if _lock(file, path, deadline) and _is_still(directory, name, file):
                yield file
                return
        finally:
            os.close(file)


def _open(directory: int, name: str, path: str, *, create: bool) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        return os.open(name, flags, 0o600, dir_fd=directory)
    except OSError as error:
        if error.errno == ELOOP:
            message = "has become a symbolic link meanwhile"
            raise PolicyError(message, Origin(path)) from None
        raise OSError(error.errno, error.strerror, path) from None


def _lock(file: int, path: str, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise OSError(ETIMEDOUT, "somebody else is editing it, and does not end", path) from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return True


def _is_still(directory: int, name: str, file: int) -> bool:
    """Whether the open *file* is what has the *name*."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(file))


def _stamp(file: int) -> tuple[int, ...]:
    found = os.fstat(file)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(file: int, path: str) -> _Read:
    stamp = _stamp(file)
    with open(file, "rb", closefd=False) as opened:
        data = opened.read(MAX_BYTES + 1)
    return _Read(read_text(data, path), stamp)


_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _replaced(directory: int, path: str, file: int, before: _Read, text: str) -> bool:
    """Put *text* in the place of what was read *before*; False: that is not what stands there any more."""
    was, name = os.fstat(file), Path(path).name
    made = f".{name}.{secrets.token_hex(8)}"
    try:
        new = os.open(made, _NEW, 0o600, dir_fd=directory)
    except OSError as error:
        message = f"{error.strerror}; an edit makes a new file in its directory"
        raise OSError(error.errno, message, path) from None
    try:
        try:
            with suppress(PermissionError):  # it becomes ours then, as with any editor
                os.fchown(new, was.st_uid, was.st_gid)
            os.fchmod(new, stat.S_IMODE(was.st_mode))
            with open(new, "wb", closefd=False) as opened:
                opened.write(text.encode())
            os.fsync(new)
        finally:
            os.close(new)
        if _stamp(file) != before.stamp or not _is_still(directory, name, file):
            os.unlink(made, dir_fd=directory)
            return False
        os.rename(made, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(made, dir_fd=directory)
        raise
    return True
