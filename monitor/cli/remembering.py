"""
The file of remembered answers of a run: read before it starts, and again only if nobody it is about could write it.

And which files of a policy may be read again at all.

What it is not: what a grant says (``policy.grants``), or the verb about such files (``grants``).

The policy's own files and this one cannot be changed by a program under ``[files]``.  Without it, or where
a policy is only observed, a program with our rights may write whatever we may: then an answer that
appears while it runs could be its own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from monitor.deciding import links_to
from monitor.errors import PolicyError
from monitor.policy.beneath import is_brokered
from monitor.policy.grants import grants_of_file, with_grants
from monitor.policy.grants_file import GrantsFile
from monitor.policy.model import Policy
from monitor.policy.tables import Grants
from monitor.policy.variables import Variables


@frozen
class Remembered:
    """
    One file of grants, which need not be there.

    Attributes:
        file: its name, with a / or a . in it, as those of files have.
        variables: for its patterns.
        observe: whether nothing keeps the program from writing it.
    """

    file: str
    variables: Variables
    observe: bool

    @classmethod
    def of(cls, file: str, definitions: Iterable[str], *, observe: bool) -> Remembered:
        """Return the *file* that was named on the command line.  Raises PolicyError: a definition says nothing."""
        named = file if "/" in file or "." in file else f"./{file}"
        return cls(named, Variables.of(definitions), observe)

    def added_to(self, policy: Policy) -> Policy:
        """
        Return *policy* with the grants that stand in the file now.

        Raises:
            PolicyError: it cannot be read, or has something else in it.
        """
        return with_grants(policy, self._read(), self.file)

    def added_again(self, policy: Policy, in_force: Policy | None) -> tuple[Policy, str]:
        """
        Return *policy* with the grants of the file, or with those *in_force* if these may be the program's own.

        And what there is to tell of that.  Raises PolicyError likewise.
        """
        if (is_brokered(policy) and not self.observe) or not could_be_changed(self.file):
            return self.added_to(policy), ""
        kept = Grants(()) if in_force is None else grants_of_file(in_force, self.file)
        warning = "" if self._says(kept) else kept_text(self.file)
        return with_grants(policy, kept, self.file), warning

    def _read(self) -> Grants:
        return Grants(GrantsFile(self.file, variables=self.variables, alone=True).entries())

    def _says(self, kept: Grants) -> bool:
        try:
            return self._read() == kept
        except (PolicyError, OSError):
            return False


_WHY: Final = "the program has our rights, and nothing kept it from writing this"


def could_be_its_own(files: Iterable[str], in_force: Policy | None, *, observe: bool) -> bool:
    """Whether a program under the policy *in_force* may have written one of *files*."""
    if in_force is not None and is_brokered(in_force) and not observe:
        return False
    return any(map(could_be_changed, files))


def kept_text(file: str) -> str:
    """Return what is told of *file*, which has changed and is not read again."""
    return f"{file}: not read again: {_WHY}; what was in force stays"


def could_be_changed(file: str) -> bool:
    """
    Whether somebody with the ids of this process could change what is read as *file*, or where that name leads.

    Who owns a file may write it, whatever its mode says, since the mode is theirs to change.
    """
    if os.geteuid() == 0:
        return True
    real = os.fsencode(os.path.realpath(file))
    names = (real, *links_to(os.fsencode(os.path.abspath(file))))  # noqa: PTH100  # no link is followed
    return _may_write(real) or any(_may_replace(*pair) for name in names for pair in _on_the_way(name))


def _on_the_way(name: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each directory above *name*, and what has its name there."""
    parts = name.split(b"/")
    for length in range(1, len(parts)):
        yield b"/".join(parts[:length]) or b"/", b"/".join(parts[: length + 1])


def _may_replace(directory: bytes, entry: bytes) -> bool:
    """Whether we may have *entry* of *directory* be something else."""
    if not _may_write(directory):
        return False
    status = os.stat(directory)  # noqa: PTH116  # bytes
    if status.st_uid == os.geteuid() or not status.st_mode & stat.S_ISVTX:
        return True
    try:  # of what is not there, nobody is the owner
        return os.lstat(entry).st_uid == os.geteuid()
    except FileNotFoundError:
        return True


def _may_write(name: bytes) -> bool:
    try:
        status = os.stat(name)  # noqa: PTH116  # bytes
    except FileNotFoundError:
        return False  # then who may make it is what counts
    return status.st_uid == os.geteuid() or os.access(name, os.W_OK, effective_ids=True)
