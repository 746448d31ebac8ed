"""
Which calls beside plain opens and stats may take the fast path, and how: made once, asked for every call.

What it is not: the look-up or the answer (``_native.FastActor``), or the decision (``handlers.lanes``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from monitor._native import ACTS, CREATE, EMPTY, NOFOLLOW, NULL, STRAIGHT, Act, Entry, FastActor, Plain
from monitor._native import HELD as BY_FD
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.broker.families import FAMILIES, HELD
from monitor.broker.plan import PathPlan, paths_of

__all__ = [
    "ACTS",
    "BY_FD",
    "EMPTY",
    "KEPT",
    "NULL",
    "STRAIGHT",
    "Act",
    "Entry",
    "FastActor",
    "Lane",
    "OpenLane",
    "Plain",
    "lanes",
    "opening_lane",
]

_AT_REMOVEDIR: Final = 0x200
_RENAME_NOREPLACE: Final = 1

_O_LARGEFILE: Final = 0o100000
"""The kernel's, which libc has as 0."""

_SMALL: Final = (
    os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | _O_LARGEFILE | os.O_APPEND | os.O_SYNC | os.O_DSYNC
)
"""Flags of an open that change nothing about what is looked up, asked and made."""

_KINDS: Final = os.O_CREAT | os.O_EXCL | os.O_TRUNC
_WRITES: Final = frozenset({os.O_WRONLY, os.O_RDWR})

KEPT: Final = 1024
"""How many flags are kept of each call: they are the target's to choose."""


class OpenLane(NamedTuple):
    """
    How an open that changes something is looked up, by its flags.

    Attributes:
        look: the flags of the look-up.
        there: what it asks for where something is there; empty: then it is not plain.
        missing: where nothing is.
        creates: whether a file is made.
    """

    look: int
    there: frozenset[str]
    missing: frozenset[str]
    creates: bool


class Lane(NamedTuple):
    """
    How a call with one path or two is looked up and done.

    Attributes:
        name: of the call.
        path, directory: the registers of the path, and of the directory where it starts, or of an fd that has no path;
            -1: there is none.
        access: what it asks for.
        flags: the register of the flags; None: there are none.
        valid: the flags that are plain.
        argument: the register behind the path.
        plan: for how it is looked up.
        reading: the flags of a look-up for how its path is read.
        second: the registers of the new path and its directory, and what is asked for it.
    """

    name: str
    path: int
    directory: int
    access: frozenset[str]
    flags: int | None
    valid: int
    argument: int
    plan: PathPlan
    reading: int
    second: tuple[int, int, frozenset[str]] = (-1, -1, frozenset())

    def look(self, flags: int) -> int | None:
        """Return the flags of the look-up that *flags*, the call's, make; None: they are not plain."""
        if flags & ~self.valid:
            return None
        start = self.plan.start((0,) * 6, flags)
        found = self.reading | (0 if start.follow else NOFOLLOW)
        return found | (EMPTY if start.empty else 0) | (NULL if start.null else 0)


_VALID: Final[Mapping[str, int]] = {
    "mkdir": 0, "mkdirat": 0, "unlink": 0, "unlinkat": _AT_REMOVEDIR, "rmdir": 0, "symlink": 0, "symlinkat": 0,
    "rename": 0, "renameat": 0, "renameat2": _RENAME_NOREPLACE, "link": 0, "linkat": 0x400,
    "chmod": 0, "fchmodat": 0, "fchmodat2": 0x100, "chown": 0, "lchown": 0, "fchownat": 0x100, "utimensat": 0x100,
    "open": 0, "openat": 0, "creat": 0, "fchmod": 0, "fchown": 0,
}  # fmt: skip
"""The calls that change something and have a plain kind, and the flags that this has."""

_FLAGS: Final[Mapping[str, int]] = {"unlinkat": 2, "renameat2": 4}
"""Where the flags stand that no look-up depends on."""


def lanes(arch: Arch, reading: int) -> Mapping[tuple[int, int], Lane]:
    """Return them by the two fields of ``struct seccomp_data`` that tell a call; *reading*: ``PEEK`` or 0."""
    return {
        (arch.audit_value, number): _lane(arch, name, reading)
        for name in _VALID
        if (number := number_of(arch, name)) is not None
    }


def _lane(arch: Arch, name: str, reading: int) -> Lane:
    if name in HELD:
        (plan,) = paths_of(arch, "newfstatat").values()  # which takes the fd in the same place
        return Lane(name, -1, 0, frozenset({HELD[name]}), None, 0, 1, plan, reading)
    plans, family = paths_of(arch, name), FAMILIES[name]
    plan = plans[family.register]
    second = plans.get(family.second)
    return Lane(
        name,
        plan.register,
        _directory(plan),
        frozenset(plan.facts.access),
        _FLAGS.get(name, plan.flags),
        _VALID[name],
        (plan.register if second is None else second.register) + 1,
        plan,
        reading,
        (-1, -1, frozenset()) if second is None else (second.register, _directory(second), second.facts.access),
    )


def _directory(plan: PathPlan) -> int:
    return -1 if plan.directory is None else plan.directory


def opening_lane(flags: int) -> OpenLane | None:
    """Return how an open with *flags* is looked up; None: it is not plain, or changes nothing."""
    mode = flags & os.O_ACCMODE
    kinds = flags & _KINDS
    if flags & ~(_SMALL | _KINDS | os.O_ACCMODE) or (mode not in _WRITES and (mode or not kinds)):
        return None
    if kinds & os.O_EXCL and not kinds & os.O_CREAT:
        return None
    creates = bool(kinds & os.O_CREAT)
    asks = frozenset(_asks(mode))
    there = asks | {"truncate"} if kinds & os.O_TRUNC else asks
    return OpenLane(
        (NOFOLLOW if flags & os.O_NOFOLLOW else 0) | (CREATE if creates else 0),
        frozenset() if kinds & os.O_EXCL else there,
        asks | {"create"} if creates else asks,
        creates,
    )


def _asks(mode: int) -> Iterator[str]:
    if mode != os.O_WRONLY:
        yield "read"
    if mode != os.O_RDONLY:
        yield "write"
