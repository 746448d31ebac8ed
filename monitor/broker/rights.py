"""
Whether a thread has our rights and our view: only then is what we do for it what it could do itself.

What it is not: a way to take on others.  Under a ``[files]`` table nothing can make them differ
(``policy.beneath``), and nobody asks; a run with handlers alone lets its program do what it likes.
"""

from __future__ import annotations

import os
import re
from errno import EMFILE, ENFILE
from pathlib import Path
from typing import Final, NamedTuple

_RIGHTS: Final = re.compile(rb"^(?:Uid|Gid|Groups|CapEff):.*$", re.MULTILINE)
"""The lines of proc_pid_status(5) that decide what may be opened."""


class Rights(NamedTuple):
    """What a thread may do, and where its paths lead."""

    credentials: tuple[bytes, ...]
    user_namespace: int
    mount_namespace: int
    root: str


def rights_of(thread: str) -> Rights | None:
    """Return those of *thread*, a directory of /proc; None: they cannot be seen.  Raises OSError: we have no fd."""
    try:
        return Rights(
            tuple(_RIGHTS.findall(Path(thread, "status").read_bytes())),
            os.stat(f"{thread}/ns/user").st_ino,  # noqa: PTH116  # hot
            os.stat(f"{thread}/ns/mnt").st_ino,  # noqa: PTH116
            os.readlink(f"{thread}/root"),  # noqa: PTH115
        )
    except OSError as error:
        if error.errno in {EMFILE, ENFILE}:
            raise
        return None
