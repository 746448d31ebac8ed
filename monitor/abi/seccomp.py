"""
The numbers of seccomp(2): actions, flags, limits, offsets in ``struct seccomp_data``.

What it is not: instructions (``policy.bpf``) or system calls (``_native``).

Source: include/uapi/linux/seccomp.h, include/uapi/linux/filter.h, and
include/uapi/linux/bpf_common.h; ``.ci/tables --check`` compares with the headers.
"""

from __future__ import annotations

import enum
from typing import Final

ACTION_MASK: Final = 0xFFFF0000
"""The bits of a filter's return value that name the action (``SECCOMP_RET_ACTION_FULL``)."""

DATA_MASK: Final = 0x0000FFFF
"""The bits of a filter's return value that carry its data, such as the errno (``SECCOMP_RET_DATA``)."""

MAX_INSTRUCTIONS: Final = 4096
"""The longest program the kernel takes (``BPF_MAXINSNS``)."""

MAX_ERRNO: Final = 4095
"""The largest errno that a return value can carry (include/linux/err.h)."""

ERESTARTSYS: Final = 512
"""The kernel makes the call again, or has it fail with EINTR, as the signal that ended it says."""

RESTARTS: Final = range(ERESTARTSYS, 517)
"""Errnos that never reach a program: the kernel restarts the call (include/linux/errno.h)."""

OFFSET_NR: Final = 0
OFFSET_ARCH: Final = 4
OFFSET_IP: Final = 8
OFFSET_ARGS: Final = 16
"""The first of six 64-bit argument registers; argument *n* is at ``OFFSET_ARGS + 8 * n``."""

DATA_SIZE: Final = 64
"""``sizeof(struct seccomp_data)``."""


class RetValue(enum.IntEnum):
    """What a filter returns (``SECCOMP_RET_*``), without its data."""

    KILL_PROCESS = 0x80000000
    KILL_THREAD = 0x00000000
    TRAP = 0x00030000
    ERRNO = 0x00050000
    USER_NOTIF = 0x7FC00000
    TRACE = 0x7FF00000
    LOG = 0x7FFC0000
    ALLOW = 0x7FFF0000


class FilterFlag(enum.IntFlag):
    """Flags of ``seccomp(SECCOMP_SET_MODE_FILTER)`` (``SECCOMP_FILTER_FLAG_*``)."""

    TSYNC = 1 << 0
    LOG = 1 << 1
    SPEC_ALLOW = 1 << 2
    NEW_LISTENER = 1 << 3
    TSYNC_ESRCH = 1 << 4
    WAIT_KILLABLE_RECV = 1 << 5


SET_MODE_FILTER: Final = 1
"""The operation of seccomp(2) that installs a filter (``SECCOMP_SET_MODE_FILTER``)."""


class ResponseFlag(enum.IntFlag):
    """Flags of a response (``SECCOMP_USER_NOTIF_FLAG_*``)."""

    CONTINUE = 1 << 0


class AddFdFlag(enum.IntFlag):
    """Flags of ``SECCOMP_IOCTL_NOTIF_ADDFD`` (``SECCOMP_ADDFD_FLAG_*``)."""

    SETFD = 1 << 0
    SEND = 1 << 1
