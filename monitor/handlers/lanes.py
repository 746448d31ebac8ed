"""
The fast path's lanes for calls that change something: the plainest of them, where nothing but a policy's yes is needed.

What it is not: another meaning.  Each decides as the long way does (``paths``, ``moving``): by every class of access,
by the object where files of the policy are protected, and by the moving rule.  Whatever is refused, or is not plain,
is left untouched to the long way, which begins anew.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Collection, Mapping
from errno import ESTALE
from functools import partial
from typing import Final, TypeAlias

from monitor.broker.lanes import (
    ACTS,
    BY_FD,
    EMPTY,
    KEPT,
    NULL,
    STRAIGHT,
    Act,
    Entry,
    FastActor,
    Lane,
    OpenLane,
    Plain,
    opening_lane,
)
from monitor.broker.mounts import Mounts
from monitor.handlers.paths import Decider
from monitor.notify.listener import RawNotification

_REGISTERS: Final = 6
"""Where the registers begin in a ``RawNotification``."""

_INT: Final = 0xFFFFFFFF

Following: TypeAlias = RawNotification | int | None
Answer: TypeAlias = Callable[[RawNotification], Following]
"""Answers a call and receives; None: nothing was answered or received."""

_ACTS: Final[Mapping[str, Act]] = {
    "chmod": "mode",
    "fchmodat": "mode",
    "fchmodat2": "mode",
    "chown": "owner",
    "lchown": "owner",
    "fchownat": "owner",
    "utimensat": "times",
    "fchmod": "mode",
    "fchown": "owner",
}

_NO_PATH: Final = EMPTY | NULL
_NO_FD: Final = 1 << 31

_REMOVALS: Final[Mapping[str, int]] = {"unlink": 0, "rmdir": 0x200}
"""Their flags as unlinkat(2) has them."""

_RMDIR: Final = frozenset({"rmdir"})

_CREAT: Final = os.O_CREAT | os.O_WRONLY | os.O_TRUNC


class Lanes:
    """Answers the plainest calls that change something; it borrows all that it is given."""

    def __init__(
        self, actor: FastActor, mounts: Mounts, calls: Mapping[tuple[int, int], Lane], moving: threading.Lock
    ) -> None:
        """Be ready for ``use``; *moving* is held while names move."""
        self._actor = actor
        self._mounts = mounts
        self._calls = calls
        self._moving = moving
        self._openings: dict[int, OpenLane | None] = {}

    def use(self, decider: Decider, allowed: Collection[tuple[int, int]]) -> Mapping[tuple[int, int], Answer]:
        """Ask *decider* from now on; return who answers which of the calls *allowed*."""
        self._decider = decider
        self._only = STRAIGHT if decider.hides else 0  # whatever passes a hidden name is no plain path
        return {key: partial(self._answer_of(lane), lane) for key, lane in self._calls.items() if key in allowed}

    def _answer_of(self, lane: Lane) -> Callable[[Lane, RawNotification], Following]:
        match lane.name:
            case "open" | "openat" | "creat":
                return self._open
            case "rename" | "renameat" | "renameat2":
                return self._rename
            case "link" | "linkat":
                return self._link
            case "mkdir" | "mkdirat" | "unlink" | "unlinkat" | "rmdir" | "symlink" | "symlinkat":
                return self._entry
            case _:
                return self._change

    # ---- looks and questions ----

    def _look(self, path: int, directory: int, flags: int) -> Plain | None:
        """Return what a path leads to; None: it is not plain, and nothing is open."""
        found = self._actor.look(path, directory, flags | self._mounts.further | self._only)
        if isinstance(found, bytes):
            return Plain.of(found)
        if found == -ESTALE:
            self._mounts.read()
        return None

    def _look_entry(self, path: int, directory: int, reading: int) -> tuple[bytes, Entry] | None:
        """Return the name that a path stands for, and what has it; None: likewise."""
        actor = self._actor
        found = actor.look_entry(path, directory, reading | self._mounts.further | self._only)
        if isinstance(found, bytes):
            plain = Plain.of(found)
            if plain.mount in self._mounts.plain:
                return plain.name, actor.see()
            actor.drop()
        elif found == -ESTALE:
            self._mounts.read()
        return None

    def _allows(self, accesses: Collection[str], name: bytes, held: tuple[int, int], *, directory: bool) -> bool:
        """Whether every one of *accesses* to *name* is allowed, and to the object *held*."""
        decider = self._decider
        for access in accesses:
            if decider.protects(access, *held) or decider(access, name, directory=directory).errno:
                return False
        return True

    def _allows_entry(self, accesses: Collection[str], name: bytes, entry: Entry) -> bool:
        decider = self._decider
        for access in accesses:
            if entry.mode and decider.protects(access, entry.device, entry.inode):
                return False
            if decider(access, name, directory=False).errno:
                return False
        return True

    def _or_drop(self, question: Callable[[], bool]) -> bool:
        """Return what is answered to *question*; unless it is yes, nothing is left open."""
        allowed = False
        try:
            allowed = question()
        finally:
            if not allowed:
                self._actor.drop()
        return allowed

    # ---- objects ----

    def _change(self, lane: Lane, raw: RawNotification) -> Following:
        """Change the mode, the owner or the times of what is there."""
        flags, path, act = _flags(lane, raw), lane.path, ACTS[_ACTS[lane.name]]
        how = lane.look(flags)
        if path < 0 or (lane.name == "utimensat" and not raw[_REGISTERS + path]):
            # It is an fd of a file that is changed, and AT_FDCWD is none.
            plain = not flags and not raw[_REGISTERS] & _NO_FD
            path, how, act = -1, _NO_PATH if plain else None, act | BY_FD
        found = None if how is None else self._look(path, lane.directory, how)
        if found is None:
            return None
        actor, directory = self._actor, found.kind == "directory"

        def allowed() -> bool:
            return found.mount in self._mounts.plain and self._allows(
                lane.access, found.name, actor.held(), directory=directory
            )

        return actor.answer_act(act, lane.argument) if self._or_drop(allowed) else None

    def _open(self, lane: Lane, raw: RawNotification) -> Following:
        """Open what is there to change it, or make what is not."""
        creat = lane.name == "creat"
        flags = _CREAT if creat else raw[_REGISTERS + lane.argument] & _INT
        opening = self._opening(flags)
        found = None if opening is None else self._look(lane.path, lane.directory, opening.look | lane.reading)
        if opening is None or found is None:
            return None
        actor, missing = self._actor, found.kind == "missing"
        accesses = opening.missing if missing else opening.there

        def allowed() -> bool:
            if not accesses or found.kind not in {"regular", "missing"} or found.mount not in self._mounts.plain:
                return False
            return self._allows(accesses, found.name, actor.held(), directory=False)

        if not self._or_drop(allowed):
            return None
        if not missing:
            return actor.answer_changing_open(flags)
        mode = raw[_REGISTERS + lane.argument + (0 if creat else 1)] & _INT
        return actor.answer_create(flags, mode) if opening.creates else actor.answer_missing()

    def _opening(self, flags: int) -> OpenLane | None:
        try:
            return self._openings[flags]
        except KeyError:
            if len(self._openings) >= KEPT:
                self._openings.clear()
            found = self._openings[flags] = opening_lane(flags)
            return found

    # ---- names ----

    def _entry(self, lane: Lane, raw: RawNotification) -> Following:
        """Make a directory or a symbolic link, or take a name away."""
        flags = _flags(lane, raw)
        if flags & ~lane.valid:
            return None
        flags |= _REMOVALS.get(lane.name, 0)
        found = self._look_entry(lane.path, lane.directory, lane.reading)
        if found is None:
            return None
        actor, (name, entry) = self._actor, found
        accesses = _RMDIR if flags else lane.access
        makes_link = lane.name.startswith("symlink")

        def allowed() -> bool:
            if not self._allows_entry(accesses, name, entry):
                return False
            # A link through which a pattern means what it does is not taken away; none comes to be there.
            matters = makes_link or (stat.S_ISLNK(entry.mode) and not lane.name.startswith("mkdir"))
            return not (matters and self._decider.leads(name))

        if not self._or_drop(allowed):
            return None
        if makes_link:
            with self._moving:
                return actor.answer_symlink(raw[_REGISTERS])
        if lane.name.startswith("mkdir"):
            return actor.answer_mkdir(raw[_REGISTERS + lane.argument] & _INT)
        return actor.answer_remove(flags)

    def _rename(self, lane: Lane, raw: RawNotification) -> Following:
        """Move what is there, where the moving rule lets it."""
        flags = _flags(lane, raw)
        found = None if flags & ~lane.valid else self._look_entry(lane.path, lane.directory, lane.reading)
        if found is None:
            return None
        old, entry = found
        if not self._or_drop(lambda: bool(entry.mode) and self._allows_entry(lane.access, old, entry)):
            return None
        return self._to(lane, old, entry, lambda: self._actor.answer_rename(flags))

    def _link(self, lane: Lane, raw: RawNotification) -> Following:
        """Make another name of a regular file."""
        how = lane.look(_flags(lane, raw))
        found = None if how is None else self._look(lane.path, lane.directory, how)
        if found is None:
            return None
        actor = self._actor

        def allowed() -> bool:
            if found.kind != "regular" or found.mount not in self._mounts.plain:
                return False
            return self._allows(lane.access, found.name, actor.held(), directory=False)

        if not self._or_drop(allowed):
            return None
        return self._to(lane, found.name, Entry(*actor.held(), stat.S_IFREG), actor.answer_link)

    def _to(self, lane: Lane, old: bytes, entry: Entry, answer: Callable[[], Following]) -> Following:
        """Look up the new name, and have *answer* give it to *entry*, which has just been looked up and is *old*."""
        actor = self._actor
        path, directory, accesses = lane.second
        actor.keep_as_old()
        allowed = False
        try:
            found = self._look_entry(path, directory, lane.reading)
            if found is not None:
                new, there = found
                allowed = self._or_drop(
                    lambda: self._allows_entry(accesses, new, there) and self._may_move(lane, old, entry, new, there)
                )
        finally:
            if not allowed:
                actor.drop_old()
        if not allowed:
            return None
        with self._moving:
            return answer()

    def _may_move(self, lane: Lane, old: bytes, entry: Entry, new: bytes, there: Entry) -> bool:
        """Whether the moving rule (``moving``) lets *entry*, called *old*, have the name *new*."""
        decider = self._decider
        is_rename = lane.name.startswith("rename")
        if is_rename and stat.S_ISLNK(there.mode) and decider.leads(new):
            return False
        if stat.S_ISDIR(entry.mode):
            return not decider.tells_apart(old, new) and not decider.leads(new)
        if stat.S_ISLNK(entry.mode) and (decider.leads(old) or decider.leads(new)):
            return False
        return not decider.gains(old, new)


def _flags(lane: Lane, raw: RawNotification) -> int:
    return 0 if lane.flags is None else raw[_REGISTERS + lane.flags] & _INT
