"""
What a target holds already: an fd that gives access by itself, or one that only says where something is.

What it is not: a decision.  An ``O_PATH`` open is run by the kernel, which may find another object than was
looked up: so holding such an fd is no sign that its object may be looked at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from monitor.broker.resolved import Resolved

_FDINFO: Final = re.compile(rb"flags:\t0?([0-7]+)\nmnt_id:\t(\d+)\nino:\t(\d+)\n")


def gives_access(tid: int, register: int, resolved: Resolved) -> bool:
    """
    Whether the fd in *register* of thread *tid* is no ``O_PATH`` fd, and still of what *resolved* holds.

    The number may be another file's by now: then it is not.  Source: proc_pid_fdinfo(5); ``ino`` since Linux 5.14.
    """
    held = resolved.object
    try:
        found = _FDINFO.search(Path(f"/proc/{tid}/fdinfo/{register & 0xFFFFFFFF}").read_bytes())
    except OSError:
        return False
    if found is None or held is None:
        return False
    return not int(found[1], 8) & os.O_PATH and (int(found[2]), int(found[3])) == (held.mount, held.inode)
