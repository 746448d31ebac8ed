"""
What can be done to a file, as policies name it: classes of access, and bundles of them.

What it is not: which call asks for which class; ``abi.syscalls`` has that, per path argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from monitor.errors import PolicyError

READ: Final = frozenset({"read", "stat", "readlink", "xattr-get", "list", "chdir", "watch"})
"""The bundle ``read``."""

CHANGE: Final = frozenset(
    {
        "write", "create", "delete", "truncate", "mkdir", "rmdir", "mknod", "symlink", "rename-source",
        "rename-target", "link-source", "link-target", "chmod", "chown", "utime", "xattr-set", "fileattr-set", "bind",
    }
)  # fmt: skip
"""What the bundle ``write`` has beyond ``read``."""

WRITE: Final = READ | CHANGE
"""The bundle ``write``: who may change a file may read it."""

EXEC: Final = frozenset({"exec"})

CLASSES: Final = (
    WRITE
    | EXEC
    | {"chroot", "mount", "mount-source", "umount", "open-tree", "pivot-root", "swap", "quota", "acct"}
)  # fmt: skip
"""Every class there is.  Those of the second line are in no bundle."""

PASSING: Final = frozenset({"stat", "chdir", "readlink"})
"""
What may be done to a directory above an allowed pattern.

Reading links belongs to it: realpath(3) asks readlink(2) about each directory on the way, takes
EINVAL for "no link", and gives up on EACCES.
"""

_ALLOWED: Final[Mapping[str, frozenset[str]]] = MappingProxyType({"read": READ, "write": WRITE})
_REFUSED: Final[Mapping[str, frozenset[str]]] = MappingProxyType({"read": READ, "write": CHANGE})


def allowed_classes(words: Iterable[str]) -> frozenset[str]:
    """Return what *words*, classes and bundles, stand for where they are allowed: ``write`` includes ``read``."""
    return _expanded(words, _ALLOWED)


def refused_classes(words: Iterable[str]) -> frozenset[str]:
    """
    Return what *words* stand for where they are denied, hidden, asked about or handled.

    There ``write`` is what it adds to ``read``: to refuse a change is not to refuse a look.
    """
    return _expanded(words, _REFUSED)


def _expanded(words: Iterable[str], bundles: Mapping[str, frozenset[str]]) -> frozenset[str]:
    classes: set[str] = set()
    for word in words:
        if word not in CLASSES:
            message = f"{word!r} is no class of access; there are: {', '.join(sorted(CLASSES))}"
            raise PolicyError(message)
        classes |= bundles.get(word, frozenset({word}))
    return frozenset(classes)
