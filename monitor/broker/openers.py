"""
What in /proc shows the namespaces of whoever opens it: of us, who open it for another.

What it is not: /proc/net and whatever else lies below a process, which shows those of that process.
Source: proc_sys(5), proc_sysvipc(5); ``net_ctl_permissions`` in net/sysctl_net.c, ipc/ipc_sysctl.c.
"""

from __future__ import annotations

import os
import re
from typing import Final

_SHOWN: Final = {
    "net": re.compile(rb"/sys/net(/|$)"),
    "ipc": re.compile(rb"/(sysvipc|sys/fs/mqueue)(/|$)|/sys/kernel/(shm|msg|sem|auto_msgmni)"),
}
"""Kinds of namespaces, and the paths below procfs that show them."""


def shows_ours(below: bytes, process: int) -> bool:
    """Whether the path *below* procfs shows us a namespace of ours, which is not that of *process*."""
    return any(pattern.match(below) and not _is_shared(kind, process) for kind, pattern in _SHOWN.items())


def _is_shared(kind: str, process: int) -> bool:
    try:
        return os.stat(f"/proc/{process}/ns/{kind}").st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino  # noqa: PTH116
    except OSError:  # gone, or nothing that we may see
        return False
