"""
For what a call wants the object that its path leads to: classes of access.

What it is not: the list of classes (``policy.access``), or a decision.  The classes of most calls stand
in the facts about system calls; those of an open depend on its flags and on what is there.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final

from monitor.broker.names import AT_REMOVEDIR, RENAME_EXCHANGE, rename_flags
from monitor.broker.opening import Opening
from monitor.broker.plan import PathPlan
from monitor.broker.resolved import Resolved
from monitor.notify.decode import Call

LOOKS: Final = frozenset({"read", "stat", "readlink", "xattr-get", "list", "chdir", "watch"})
"""Classes that change nothing: what a target has open it may look at."""

_HELD: Final = frozenset({"stat"})
"""What an ``O_PATH`` descriptor is good for by itself; whatever is done with it later is judged then."""

_LISTED: Final = frozenset({"list"})


_REMOVED: Final = frozenset({"rmdir"})

EXCHANGED: Final = frozenset({"rename-source", "delete", "rename-target", "create"})
"""What a rename with RENAME_EXCHANGE asks for on both sides."""


def accesses(call: Call, plan: PathPlan, resolved: Resolved) -> frozenset[str]:
    """Return the classes of access that *call* asks for by the path of *plan*."""
    if resolved.opening is not None:
        return _of_open(resolved.opening, resolved)
    if call.name == "unlinkat" and call.registers[2] & AT_REMOVEDIR:
        return _REMOVED
    if call.name == "renameat2" and rename_flags(call) & RENAME_EXCHANGE:
        return EXCHANGED
    return plan.facts.access


@lru_cache(maxsize=256)
def in_order(wanted: frozenset[str]) -> tuple[str, ...]:
    """Return the classes in one order, so that of several refusals the same one is told each time."""
    return tuple(sorted(wanted))


def _of_open(opening: Opening, resolved: Resolved) -> frozenset[str]:
    if opening.holds_only:
        return _HELD
    found: set[str] = set()
    mode = opening.flags & os.O_ACCMODE
    if mode != os.O_WRONLY:
        found.add("read")
    if mode != os.O_RDONLY:
        found.add("write")
    if opening.is_temporary:
        return frozenset(found | {"create"})
    if resolved.is_directory and found == {"read"} and not opening.creates:
        return _LISTED
    if opening.creates and not resolved.exists:
        found.add("create")
    if opening.flags & os.O_TRUNC and resolved.exists:
        found.add("truncate")
    return frozenset(found)
