"""
What a user can do, and the features that it takes.

What it is not: a judgement of one feature; ``probing`` gives those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_RUN: Final = frozenset(
    {
        "processes",
        "open files",
        "/proc",
        "/proc/PID/children",
        "no_new_privs",
        "close_range",
        "clone3",
        "pidfd_open",
        "listener",
        "receive",
        "id valid",
        "respond",
        "continue",
    }
)

ABILITIES: Final[Mapping[str, frozenset[str]]] = {
    "run": _RUN,
    "strict": _RUN | {"dumpable"},
    "memory": _RUN | {"/proc/PID/mem"},
    "InjectFd": _RUN | {"add fd and respond"},
    "Landlock": _RUN | {"Landlock"},
    "namespaces": _RUN | {"user namespaces"},
}
"""What a user can do -> the features it takes.  Those of ``run`` are the required ones."""
