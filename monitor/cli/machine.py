"""
The names of this machine's files, for questions about policies: where links lead, and what is there.

What it is not: the view of a program under supervision, which may have another root.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from monitor.policy.deciders import is_the_targets
from monitor.policy.layout import shown
from monitor.policy.patterns import TwoNames

_LINKS: Final = 40
"""More of them in one name are a loop to the kernel, too (``MAXSYMLINKS``)."""


def resolve(name: bytes) -> bytes:
    """
    Return the canonical name to which symbolic links lead from *name*; what is not there stays as it is.

    Not realpath(3): what leads into ``/proc/self`` is the target's, and this process is another.
    """
    done: list[bytes] = []
    waiting, links = name.split(b"/")[::-1], 0
    while waiting:
        part = waiting.pop()
        if part in {b"", b"."}:
            continue
        if part == b"..":
            done = done[:-1]
            continue
        done.append(part)
        if is_the_targets(_joined(done)):
            return _joined([*done, *(one for one in waiting[::-1] if one)])
        target = _target(_joined(done))
        if target is not None:
            links += 1
            if links > _LINKS:
                return name
            waiting += target.split(b"/")[::-1]
            done = [] if target.startswith(b"/") else done[:-1]
    return _joined(done)


def _joined(parts: Iterable[bytes]) -> bytes:
    return b"/" + b"/".join(parts)


def _target(link: bytes) -> bytes | None:
    try:
        return os.fsencode(Path(os.fsdecode(link)).readlink())
    except OSError:
        return None


def exists(name: bytes) -> bool:
    """Whether something is called *name*, or nobody may know."""
    try:
        Path(os.fsdecode(name)).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def two_names_text(names: TwoNames) -> str:
    """Return that a pattern stands for two names."""
    return f"{shown(names.pattern)} is {shown(names.other)}, too: links lead there on this machine"


def two_names_as_json(names: TwoNames) -> dict[str, Any]:
    """Return the same as a JSON object."""
    origin = names.origin
    return {
        "pattern": names.pattern, "other": names.other, "file": origin.file, "line": origin.line, "key": origin.key,
    }  # fmt: skip
