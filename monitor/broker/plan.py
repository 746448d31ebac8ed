"""
Which registers of a call are paths, and how each is looked up: from the facts about system calls.

What it is not: the look-up.  A plan is made once for each call, and says for the registers at hand
where a path starts, whether a last link is followed, and whether it may be empty.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from monitor.abi import constants, syscalls
from monitor.abi.arch import Arch
from monitor.abi.syscalls import PathFacts
from monitor.notify.decode import Call

_AT_FDCWD: Final = -100

_EMPTY_BY_FLAG: Final = "always"

_NULL_IS_EMPTY: Final = frozenset(
    {"newfstatat", "statx", "setxattrat", "getxattrat", "listxattrat", "removexattrat", "file_getattr", "file_setattr"}
)
"""Beside ``AT_EMPTY_PATH``, since Linux 6.11 (fs/namei.c, ``getname_maybe_null``)."""


_NAMING: Final = frozenset(
    {"delete", "rmdir", "mkdir", "mknod", "symlink", "link-target", "rename-source", "rename-target"}
)
"""Classes of access to a name in a directory: no link in its place is followed, and nothing need be there."""


class Start(NamedTuple):
    """
    How one path is looked up.

    Attributes:
        directory: where a relative path starts: an fd of the target, or AT_FDCWD.
        follow: whether a link in the place of the last component is followed.
        empty: whether an empty path is *directory* itself.
        null: whether no path at all is, too.
        creates: whether a file may be made there.
        parent: whether the last component is a name that is made, moved or taken away, and not looked for.
    """

    directory: int
    follow: bool
    empty: bool
    null: bool = False
    creates: bool = False
    parent: bool = False


class PathPlan(NamedTuple):
    """
    How the path in one register is looked up.

    Attributes:
        register: which.
        facts: what the tables say of it.
        directory: the register of the directory; None: it starts at the current one.
        flags: the register of the flags; None: there are none.
        nofollow: the bits that stop following, each of them alone.
        nofollow_also: bits that stop it together; 0: there are none.
        follow: the bits that start following.
        empty: the bits with which the path may be empty.
        null: whether there need be none then.
        parent: whether the call is about the name, and not about what has it.
    """

    register: int
    facts: PathFacts
    directory: int | None
    flags: int | None
    nofollow: int
    nofollow_also: int
    follow: int
    empty: int
    null: bool
    parent: bool

    def start(self, registers: Sequence[int], flags: int | None = None) -> Start:
        """Return how it is looked up; *flags* are those that do not stand in a register."""
        directory = _AT_FDCWD if self.directory is None else _signed(registers[self.directory])
        if flags is None:
            flags = 0 if self.flags is None else registers[self.flags] & 0xFFFFFFFF
        follow = self.facts.follow
        if flags & self.nofollow or (self.nofollow_also and flags & self.nofollow_also == self.nofollow_also):
            follow = False
        elif flags & self.follow:
            follow = True
        empty = bool(flags & self.empty) or self.facts.empty_path_flag == _EMPTY_BY_FLAG
        return Start(directory, follow, empty, self.null and empty, parent=self.parent)


@functools.cache
def paths_of(arch: Arch, name: str) -> Mapping[int, PathPlan]:
    """Return the plans of the paths of the call *name* by their registers; none for a call without."""
    signature = syscalls.signature_of(arch, name)
    found: dict[int, PathPlan] = {}
    for index, argument in enumerate(() if signature is None else signature.arguments):
        facts = argument.path
        if facts is None:
            continue
        group = None
        if signature is not None and facts.flags_arg is not None:
            group = signature.arguments[facts.flags_arg].constants
        found[index] = PathPlan(
            index,
            facts,
            facts.dirfd,
            None if facts.flags_field is not None else facts.flags_arg,
            _bits(arch, group, facts.nofollow_flag),
            _bits(arch, group, facts.nofollow_also),
            _bits(arch, group, facts.follow_flag),
            0 if facts.empty_path_flag == _EMPTY_BY_FLAG else _bits(arch, group, facts.empty_path_flag),
            name in _NULL_IS_EMPTY,
            not facts.access.isdisjoint(_NAMING),
        )
    return found


def _bits(arch: Arch, group: str | None, names: str | None) -> int:
    """Return the bits called *names*, joined by ``|``, of a group of constants or of one that has them."""
    bits = 0
    for name in (names or "").split("|"):
        if name:
            bits |= _value(arch, group, name)
    return bits


def _value(arch: Arch, group: str | None, name: str) -> int:
    for candidate in (group, "open"):
        if candidate is not None:
            found = constants.values(candidate, arch).get(name)
            if found is not None:
                return found
    raise KeyError(name)


def _signed(register: int) -> int:
    value = register & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


_DESCRIPTORS: Final = {"utimensat": 0, "futimesat": 0, "fanotify_mark": 3}
"""Calls that may have no path, and the register of the fd that they mean then."""


def by_descriptor(call: Call, index: int) -> int | None:
    """Return the register of the fd that *call* means where it has no path in register *index*; None: it has one."""
    register = None if call.registers[index] else _DESCRIPTORS.get(call.name)
    if register == 0 and _signed(call.registers[0]) == _AT_FDCWD:
        return None  # which is no path there, and EFAULT
    return register
