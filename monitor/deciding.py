"""
What the tables of one policy say about names: the ``Decider`` of the brokering handlers.

What it is not: the tables (``policy``), or the answer to a call (``handlers``).  It belongs to the
roof, where those two meet.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from monitor.granting import Granting
from monitor.handlers.paths import PROTECTED, Ruling
from monitor.notify.decode import Call
from monitor.origin import Origin
from monitor.policy import action as actions
from monitor.policy.access import CHANGE
from monitor.policy.deciders import Deciders, PathDecision, deciders
from monitor.policy.files import FileTable, Hide, strength
from monitor.policy.grants import files_of_grants
from monitor.policy.model import Policy
from monitor.policy.moving import Subtrees, leads

KEPT: Final = 4096
"""How many answers are kept; programs ask about the same names again and again."""

STATES: Final = 2000
"""How far two subtrees are compared while everybody waits: some hundredths of a second."""

_MOST_STEPS: Final = 10_000
"""Components on the way to a file: more than 40 links of 4096 bytes each have few files."""

_TAKING: Final = frozenset({"rename-source", "rename-target", "rmdir", "delete"})
"""What takes away the directory that a file of the policy is in."""


class TableDecider:
    """
    What the tables of one policy say about names.

    Answers are kept by class, name and kind, for as long as the policy is: only another one changes
    them.  The heads of patterns were resolved when it was made.
    """

    def __init__(self, policy: Policy, resolve: Callable[[bytes], bytes]) -> None:
        """Make *policy*'s tables ready; *resolve* says where links lead in the view of the targets."""
        self._deciders: Deciders = deciders(policy, resolve)
        self._policy = policy
        self._granting = Granting(policy)
        self._kept: dict[tuple[str, bytes, bool], Ruling] = {}
        self._protected = frozenset(_files_of(policy))
        self._objects = frozenset(_objects(self._protected))
        self._above = frozenset(_objects(above for name in self._protected for above in _directories_above(name)))
        self._tables = (*self._deciders.files, *self._deciders.exec)
        self._allows_all = all(_allows_all(one.table) for one in self._tables)
        self.hides = any(isinstance(rule.action, Hide) for one in self._tables for rule in one.table.rules)
        """Whether anything is hidden."""
        self._subtrees: dict[int, Subtrees] = {}
        self._kept_allowed: dict[bytes, frozenset[str]] = {}
        self._moves: dict[tuple[bytes, bytes], bool] = {}

    def __call__(self, access: str, name: bytes, *, directory: bool) -> Ruling:
        """Return what is said about *access* to *name*."""
        key = access, name, directory
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = self._kept[key] = self._decided(access, name, directory=directory)
        return found

    def _decided(self, access: str, name: bytes, *, directory: bool) -> Ruling:
        decided = self._deciders.path(access, name, directory=directory)
        found = Ruling(0, Origin(self._policy.name), explicit=False, access=access, name=name)
        if decided is not None:
            found = _ruling(decided, access, name)
        if name in self._protected and access in CHANGE and not found.hidden:  # what is hidden is not there to protect
            return PROTECTED._replace(strength=strength(Hide()), access=access, name=name)
        return found

    def hidden(self, name: bytes) -> bool:
        """Whether there shall be nothing called *name*; may be asked on any thread."""
        return self("stat", name, directory=True).hidden

    def protects(self, access: str, device: int, inode: int) -> bool:
        """Whether *access* changes a file of the policy, by whatever link or mount, or takes away where one is."""
        held = device, inode
        return (held in self._objects and access in CHANGE) or (held in self._above and access in _TAKING)

    def gains(self, old: bytes, new: bytes) -> bool:
        """Whether more is allowed under the name *new* than under *old*."""
        return not (self._allows_all or old == new or self._allowed(new) <= self._allowed(old))

    def _allowed(self, name: bytes) -> frozenset[str]:
        """Return the classes that all tables that are asked about them allow for *name*."""
        found = self._kept_allowed.get(name)
        if found is None:
            if len(self._kept_allowed) >= KEPT:
                self._kept_allowed.clear()
            found = self._kept_allowed[name] = self._deciders.allowed(name)
        return found

    def tells_apart(self, old: bytes, new: bytes) -> bool:
        """Whether any name below *old* is treated unlike the same below *new*; also where that takes long to know."""
        if self._allows_all or old == new:
            return False
        found = self._moves.get((old, new))
        if found is None:
            if len(self._moves) >= KEPT:
                self._moves.clear()
            found = self._moves[old, new] = any(
                self._subtrees_of(number).tell_apart(old, new, limit=STATES) is not None
                for number in range(len(self._tables))
            )
        return found

    def _subtrees_of(self, number: int) -> Subtrees:
        """Return the table *number*, made ready for such questions when the first is asked."""
        if number not in self._subtrees:
            self._subtrees[number] = Subtrees(self._tables[number].table)
        return self._subtrees[number]

    def leads(self, name: bytes) -> bool:
        """Whether a symbolic link called *name* would change what a pattern means."""
        return not self._allows_all and any(leads(one.table, name) is not None for one in self._tables)

    def answer(self, call: Call, ruling: Ruling) -> Ruling:
        """Return what a grant says to what *ruling* asks; *ruling* itself: none does."""
        if not ruling.asked:
            return ruling
        grant = self._granting.answer(call, ruling.name, ruling.access)
        if grant is None:
            return ruling
        errno = 0 if grant.verdict == "allow" else grant.errno or ruling.errno
        return ruling._replace(errno=errno, origin=grant.origin, asked=False, granted=True)


def _ruling(decided: PathDecision, access: str, name: bytes) -> Ruling:
    decision = decided.decision
    origin = decision.origin if decision.rule is not None else decided.by.origin
    errno = 0
    match decision.action:
        case Hide() as hide:
            errno = hide.errno_for(access)
        case actions.Deny(number) | actions.Ask(number):
            errno = number
        case actions.Handle():  # which is refused when a policy is read
            errno = actions.Deny().errno
        case actions.Allow():
            pass
    return Ruling(
        errno,
        origin,
        explicit=decision.rule is not None,
        strength=strength(decision.action),
        asked=isinstance(decision.action, actions.Ask),
        hidden=isinstance(decision.action, Hide),
        access=access,
        name=name,
    )


def _files_of(policy: Policy) -> Iterator[bytes]:
    """
    Yield the names of the files that *policy* was read from, and of the links that lead to them.

    A file of grants need not be there: whoever makes one of its name would answer what is asked.
    """
    grants = frozenset(files_of_grants(policy))
    for layer in policy.layers():
        extending: Policy | None = layer
        while extending is not None:
            file = extending.origin.file
            if file in grants or os.path.exists(file):  # noqa: PTH110  # presets have words in its place
                yield os.fsencode(os.path.realpath(file))
                yield from links_to(os.fsencode(os.path.abspath(file)))  # noqa: PTH100  # no link
            extending = extending.extends


def links_to(name: bytes) -> Iterator[bytes]:
    """Yield the canonical name of each symbolic link that is followed on the way to the absolute *name*."""
    left = deque(part for part in name.split(b"/") if part)
    here = b"/"
    for _ in range(_MOST_STEPS):
        if not left:
            return
        there = os.path.normpath(os.path.join(here, left.popleft()))  # noqa: PTH118  # bytes
        try:
            text = os.readlink(there)  # noqa: PTH115
        except OSError:
            here = there
            continue
        yield there
        left.extendleft(part for part in reversed(text.split(b"/")) if part)
        here = b"/" if text.startswith(b"/") else here


def _directories_above(name: bytes) -> Iterator[bytes]:
    """Yield the directories above a file but the root, which nobody moves."""
    above = os.path.dirname(name)  # noqa: PTH120  # bytes
    while above not in {b"/", b""}:
        yield above
        above = os.path.dirname(above)  # noqa: PTH120


def _allows_all(table: FileTable) -> bool:
    """Whether every name may be used for everything, and so none gains anything."""
    return isinstance(table.otherwise, actions.Allow) and all(
        isinstance(rule.action, actions.Allow) for rule in table.rules
    )


def _objects(names: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield device and inode of the files that are there, as ``Object`` has them."""
    for name in names:
        with suppress(FileNotFoundError, NotADirectoryError):
            status = os.lstat(name)  # bytes
            yield os.major(status.st_dev) << 32 | os.minor(status.st_dev), status.st_ino


def real_head(head: bytes) -> bytes:
    """Return where links lead the literal beginning of a pattern in our own view; what is not there stays as it is."""
    return os.path.realpath(head)
