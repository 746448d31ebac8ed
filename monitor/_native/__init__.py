"""
The door: a typed Python function for each C function of the shim (native/shim.h is its contract).

What it is: the one place where ``-errno`` becomes an exception.  What it is not: a place for
decisions, waiting or ownership; ``notify`` and ``sources`` own the fds that pass through here.

The conversions, and there are no others: ``ENOENT`` for a notification is ``TargetGone``; a
memory access that fails is ``TargetMemoryError``; a step of a launch is ``LaunchError``; the
rest is ``OSError``.

The parts are those of the shim, a module for each C file; ``shim`` alone imports what is compiled.
"""

from monitor._native.fastpath import FastLooker, Plain
from monitor._native.launching import (
    GUARD_DETACH,
    GUARD_KILL,
    GUARD_STATUS,
    Launched,
    LaunchRequest,
    guard_release,
    launch,
)
from monitor._native.listener import (
    EVAPORATED,
    NO_TASK_LEFT,
    NOTHING_QUEUED,
    RawNotification,
    Receiver,
    listener_add_fd,
    listener_check,
    listener_is_valid,
    listener_respond,
    listener_set_flags,
)
from monitor._native.memory import (
    PEEK_MAX,
    Peeker,
    target_fd,
    target_kill,
    target_read,
    target_read_string,
    target_write,
)
from monitor._native.paths import (
    CREATE,
    EMPTY,
    IF_SAME,
    MAY_BLOCK,
    NOFOLLOW,
    NULL,
    PEEK,
    LookedUp,
    Object,
    PathLooker,
    entries_of,
    may_access,
    open_at,
    statfs_of,
    status_of,
    statx_of,
    unshare_fs,
)
from monitor._native.probing import is_dumpable, landlock_abi, probe, set_dumpable

__all__ = [
    "CREATE",
    "EMPTY",
    "EVAPORATED",
    "GUARD_DETACH",
    "GUARD_KILL",
    "GUARD_STATUS",
    "IF_SAME",
    "MAY_BLOCK",
    "NOFOLLOW",
    "NOTHING_QUEUED",
    "NO_TASK_LEFT",
    "NULL",
    "PEEK",
    "PEEK_MAX",
    "FastLooker",
    "LaunchRequest",
    "Launched",
    "LookedUp",
    "Object",
    "PathLooker",
    "Peeker",
    "Plain",
    "RawNotification",
    "Receiver",
    "entries_of",
    "guard_release",
    "is_dumpable",
    "landlock_abi",
    "launch",
    "listener_add_fd",
    "listener_check",
    "listener_is_valid",
    "listener_respond",
    "listener_set_flags",
    "may_access",
    "open_at",
    "probe",
    "set_dumpable",
    "statfs_of",
    "status_of",
    "statx_of",
    "target_fd",
    "target_kill",
    "target_read",
    "target_read_string",
    "target_write",
    "unshare_fs",
]
