"""
Which calls are of the plainest kind, and how the path of each is looked up: made once, asked for every call.

What it is not: the look-up (``_native.FastLooker``), or the decision (``handlers.fastpath``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final, NamedTuple

from monitor._native import (
    ACTS,
    ALLOWED,
    ASKS,
    ELSEWHERE,
    EMPTY,
    LATE,
    MISSING,
    NOFOLLOW,
    NOTHING,
    NULL,
    RECEIVED,
    STALE,
    STRAIGHT,
    UNSAID,
    Act,
    FastCall,
    FastRun,
    Plain,
)
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.broker.plan import PathPlan, paths_of

__all__ = [
    "ALLOWED",
    "ASKS",
    "ELSEWHERE",
    "MISSING",
    "NOTHING",
    "RECEIVED",
    "STALE",
    "UNSAID",
    "FastCall",
    "FastRun",
    "Plain",
    "PlainCall",
    "only_straight",
    "plain_calls",
]

_O_LARGEFILE: Final = 0o100000
"""The kernel's, which libc has as 0."""

_OPEN_BITS: Final = (os.O_CLOEXEC, os.O_NONBLOCK, os.O_NOFOLLOW, os.O_DIRECTORY, os.O_NOCTTY, _O_LARGEFILE)
"""The flags of an open that reads, makes nothing and empties nothing."""

_LOOK_BITS: Final = (0x100, 0x800, 0x1000)
"""AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH: the flags of newfstatat(2) that it has on all kernels."""

_OPENS: Final = ("open", "openat")

_LOOKS: Final[Mapping[str, int]] = {"stat": 1, "lstat": 1, "newfstatat": 2}
"""Their calls, and the register of the buffer."""

_ACTS: Final[Mapping[str, tuple[Act, tuple[int, ...]]]] = {
    "access": ("access", ()),
    "faccessat": ("access", ()),
    "faccessat2": ("access-flags", (0x100, 0x200, 0x1000)),
    "readlink": ("readlink", ()),
    "readlinkat": ("readlink", ()),
    "statx": ("statx", (*_LOOK_BITS, 0x2000)),
    "chdir": ("chdir", ()),
}
"""Calls that do something else with what they look at, what that is, and their plain flags."""

_DOES: Final = frozenset({*_OPENS, "chdir"})
"""Those that do more than to tell: of all others the answer says early enough whether the thread still waits."""


class PlainCall(NamedTuple):
    """
    How the plain uses of one call are looked up.

    Attributes:
        path: the register of the path.
        directory: that of the directory where it starts; -1: there is none.
        flags: that of the flags; None: there are none.
        looks: by the flags, how the look-up is made; what is not among them is not plain.
        buffer: the register of the buffer for a ``struct stat``; None: there is none.
        access: the class of access that it asks for; empty: that depends on what is found, as it does of an open.
        act: what is done, one of ``ACTS``; 0: it is an open or a stat.
        argument: the register behind the path.
    """

    path: int
    directory: int
    flags: int | None
    looks: Mapping[int, int]
    buffer: int | None
    access: str
    act: int
    argument: int


def plain_calls(arch: Arch, reading: int) -> Mapping[tuple[int, int], PlainCall]:
    """Return them by the two fields of ``struct seccomp_data`` that tell a call; *reading*: ``PEEK`` or 0."""
    found: dict[tuple[int, int], PlainCall] = {}
    for name in (*_OPENS, *_LOOKS, *_ACTS):
        number = number_of(arch, name)
        if number is not None:
            (plan,) = paths_of(arch, name).values()
            found[arch.audit_value, number] = _plain(name, plan, reading)
    return found


def only_straight(calls: Mapping[tuple[int, int], PlainCall]) -> Mapping[tuple[int, int], PlainCall]:
    """Return *calls* whose paths are looked up only if they pass nothing that the name of what is found does not."""
    return {
        key: call._replace(looks={flags: look | STRAIGHT for flags, look in call.looks.items()})
        for key, call in calls.items()
    }


def _plain(name: str, plan: PathPlan, reading: int) -> PlainCall:
    buffer, (act, bits) = _LOOKS.get(name), _ACTS.get(name, (None, ()))
    reading |= 0 if name in _DOES else LATE
    if act is None and plan.flags is not None:
        bits = _OPEN_BITS if buffer is None else _LOOK_BITS
    return PlainCall(
        plan.register,
        -1 if plan.directory is None else plan.directory,
        plan.flags,
        {flags: look | reading for flags, look in _looks(plan, bits)},
        buffer,
        "" if name in _OPENS else next(iter(plan.facts.access)),
        0 if act is None else ACTS[act],
        plan.register + 1,
    )


def _looks(plan: PathPlan, bits: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield every sum of *bits*, and the flags of the look-up that follow from it."""
    for count in range(len(bits) + 1):
        for some in combinations(bits, count):
            flags = sum(some)
            start = plan.start((0,) * 6, flags)
            found = (0 if start.follow else NOFOLLOW) | (EMPTY if start.empty else 0) | (NULL if start.null else 0)
            yield flags, found
