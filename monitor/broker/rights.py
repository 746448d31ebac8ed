"""
The rights of a thread: what decides what it may do with files, as /proc tells of it.

What it is not: the taking of them (``standing``), or where its paths lead (``views``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from errno import ESRCH
from typing import Final, NamedTuple

from monitor._native import TakenRights
from monitor.broker.ids import IdMaps, extents
from monitor.notify.decode import Call

_STATUS: Final = re.compile(
    rb"^Uid:\t(\d+)\t(\d+)\t(\d+)\t(\d+)\nGid:\t(\d+)\t(\d+)\t(\d+)\t(\d+)\n"
    rb".*?^Groups:\t([\d ]*)\n.*?^CapPrm:\t([0-9a-f]+)\nCapEff:\t([0-9a-f]+)\n",
    re.MULTILINE | re.DOTALL,
)
"""proc_pid_status(5).  No name of a program has a line break there: fs/proc/array.c escapes it."""

_READ: Final = 1 << 12

CAP_FSETID: Final = 1 << 4
CAP_SETFCAP: Final = 1 << 31

_OF_FILES: Final = 0b01111 | CAP_FSETID | CAP_SETFCAP
"""CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER and these: capabilities(7)."""

_HARMLESS: Final = frozenset({1, 2, 3, 4, 15, 16, 21, 22, 23, 27, 29, 30, 36, 37, 38, 39, 40, 41, 42, 0x53564D41})
"""
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_SET_TIMERSLACK and so on:
the operations of prctl(2) that programs use and that change no rights.
"""


_USER: Final[Mapping[str, int]] = {"setuid": 1, "setreuid": 2, "setresuid": 3, "setfsuid": 1}
_GROUP: Final[Mapping[str, int]] = {"setgid": 1, "setregid": 2, "setresgid": 3, "setfsgid": 1}
"""Calls that change ids, and how many of their registers are ids."""

_NONE: Final = 0xFFFFFFFF


class Ids(NamedTuple):
    """Four user or group ids of one thread: credentials(7)."""

    real: int
    effective: int
    saved: int
    file: int


class Rights(NamedTuple):
    """
    What a thread may do.

    Attributes:
        uids, gids: its ids, as our user namespace has them.
        groups: the supplementary ones.
        permitted, effective: capabilities, a bit for each.
        user_namespace: the inode number of that in which it has them.
    """

    uids: Ids
    gids: Ids
    groups: tuple[int, ...]
    permitted: int
    effective: int
    user_namespace: int

    @property
    def can_change(self) -> bool:
        """Whether a thread with them may come to others by itself, where no_new_privs is set."""
        return bool(self.permitted) or len(set(self.uids)) > 1 or len(set(self.gids)) > 1

    def are_changed_by(self, call: Call) -> bool:
        """
        Whether *call*, of those that change ids and capabilities, may leave a thread that has them with others.

        Programs say who they are already, as make does before it starts another.
        """
        if call.name == "prctl":
            return call.registers[0] & 0xFFFFFFFF not in _HARMLESS
        for ids, calls in ((self.uids, _USER), (self.gids, _GROUP)):
            if call.name in calls and len(set(ids)) == 1:
                given = {register & _NONE for register in call.registers[: calls[call.name]]}
                return not given <= {ids.real, _NONE}
        return True

    @property
    def worth(self) -> tuple[object, ...]:
        """What of them decides about files; equal, the same is allowed."""
        (_, uid, _, file_uid), (_, gid, _, file_gid) = self.uids, self.gids
        return uid, file_uid, gid, file_gid, self.groups, self.effective

    def for_files(self, outside: int) -> Rights:
        """
        Return them as they are worth in our own user namespace.

        Capabilities of another namespace are about the ids that are mapped there.  *outside* has those that are
        worth the same here.
        """
        return self._replace(permitted=self.permitted & outside, effective=self.effective & outside)

    def without(self, capability: int) -> Rights:
        """Return them without one capability, a bit, being effective."""
        return self._replace(effective=self.effective & ~capability)

    def of_access(self) -> Rights:
        """Return those by which access(2) asks: ``access_override_creds`` in fs/open.c."""
        effective = self.permitted if self.uids.real == 0 else 0
        uids, gids = (ids._replace(effective=ids.real, file=ids.real) for ids in (self.uids, self.gids))
        return self._replace(uids=uids, gids=gids, effective=effective)

    def taken(self, root: int = -1, *, beside: int = 0) -> TakenRights:
        """Return what a thread of ours takes to have them, and capabilities *beside*; *root* is borrowed."""
        return TakenRights(
            uid=self.uids.effective,
            gid=self.gids.effective,
            file_uid=self.uids.file,
            file_gid=self.gids.file,
            groups=self.groups,
            capabilities=self.effective | beside,
            root=root,
        )


def rights_of(proc: int, thread: str) -> Rights:
    """Return those of *thread*, a directory below *proc*.  Raises OSError: they cannot be seen, or it has ended."""
    namespace = os.stat(f"{thread}/ns/user", dir_fd=proc).st_ino  # dir_fd
    found = _STATUS.search(_read(proc, f"{thread}/status"))
    if found is None:  # what is dead has no groups to tell of
        raise ProcessLookupError(ESRCH, os.strerror(ESRCH))
    numbers = [int(number) for number in found.groups()[:8]]
    groups = tuple(int(number) for number in found[9].split())
    return Rights(Ids(*numbers[:4]), Ids(*numbers[4:]), groups, int(found[10], 16), int(found[11], 16), namespace)


def maps_of(proc: int, thread: str) -> IdMaps:
    """Return the maps of the user namespace of *thread*.  Raises OSError."""
    uids, gids = (extents(_read(proc, f"{thread}/{leaf}")) for leaf in ("uid_map", "gid_map"))
    return IdMaps(uids, gids)


def outside_worth(maps: IdMaps) -> int:
    """
    Return which capabilities that a thread has in another user namespace are worth the same in ours.

    Those about files are, if no id is unmapped there: ``privileged_wrt_inode_uidgid`` in kernel/capability.c.
    """
    return _OF_FILES if maps.are_ours else 0


def _read(proc: int, leaf: str) -> bytes:
    fd = os.open(leaf, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        text = b""
        while chunk := os.read(fd, _READ):  # groups may be many
            text += chunk
    finally:
        os.close(fd)
    return text
