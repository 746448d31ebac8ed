"""
The one thing the library does to the whole process: under strict it is not dumpable.

What it is not: protection against root.  A dumpable supervisor can be robbed of its listener by a
target of the same user (pidfd_getfd(2), ptrace(2)), which would then answer its own calls.
"""

from __future__ import annotations

from monitor import _native


def make_undumpable() -> None:
    """Set ``PR_SET_DUMPABLE`` to 0; it stays so, for other supervisions may rely on it."""
    if _native.is_dumpable():
        _native.set_dumpable(dumpable=False)
