"""
Whose a thing on procfs is, and how its name reads for a target.

What it is not: the look-up, or the decision what a target may see of others (``resolve``, ``walk``).
"""

from __future__ import annotations

import os
from pathlib import Path

from monitor._native import Object
from monitor.broker.mounts import Mount


def owner_of(mount: Mount, held: Object) -> int | None:
    """Return the number of the process to which *held*, on *mount*, belongs; None: it is elsewhere, or nobody's."""
    if mount.kind != "proc":
        return None
    number = below(mount, held).split(b"/", 2)[1]
    return int(number) if number.isdigit() else None


def is_below(mount: Mount, held: Object) -> bool:
    """Whether *held* is where *mount* was when the mounts were read: a directory above it may have been moved since."""
    point = b"" if mount.point == b"/" else mount.point
    return (held.link + b"/").startswith(point + b"/")


def below(mount: Mount, held: Object) -> bytes:
    """Return the path of a thing on its file system, wherever a part of that is mounted."""
    path = mount.root + b"/" + held.link.removeprefix(mount.point)
    return b"/" + path.lstrip(b"/")


def is_ours(number: int) -> bool:
    """Whether *number* in /proc is this process, one of its threads, or a child: guards have our memory."""
    own = os.getpid()
    if number == own or os.path.exists(f"/proc/self/task/{number}"):  # noqa: PTH110  # no exception for a race
        return True
    try:
        status = Path(f"/proc/{number}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(status.rpartition(b")")[2].split()[1]) == own


def as_own(name: bytes, process: int) -> bytes:
    """Return *name*, where it is below the target's own directory of /proc, as below ``/proc/self``."""
    own = b"/proc/%d" % process
    return b"/proc/self" + name.removeprefix(own) if name == own or name.startswith(own + b"/") else name


def is_of_ours(root: int) -> bool:
    """Whether a procfs, of which *root* holds the root directory, has the numbers by which we know processes."""
    try:
        return os.readlink(b"self", dir_fd=root) == b"%d" % os.getpid()
    except OSError:
        return False


def device_of(fd: int) -> int:
    """Return the device of what *fd* holds, as ``Object`` has it."""
    device = os.fstat(fd).st_dev
    return os.major(device) << 32 | os.minor(device)
