"""
Named values: errnos, signals, and the groups that signatures refer to.

What it is not: the values of seccomp itself, which are an interface of the package (``seccomp``).
The values are the kernel's; libc shows some differently (``O_LARGEFILE`` as 0 on x86_64).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from monitor.abi import tables
from monitor.abi.arch import Arch

FIRST_REALTIME_SIGNAL: Final = 32
LAST_SIGNAL: Final = 64
"""The kernel's ``SIGRTMIN`` and ``_NSIG`` (include/uapi/asm-generic/signal.h); libc's ``SIGRTMIN`` is 34."""


def errno_name(number: int, arch: Arch = Arch.X86_64) -> str:
    """Return the name of positive errno *number* (``EACCES``); the number as text when it has none."""
    return names("errno", arch).get(number, str(number))


def signal_name(number: int, arch: Arch = Arch.X86_64) -> str:
    """Return ``SIGTERM``, or ``SIGRT_2`` for a real-time signal; the number as text when it is no signal."""
    name = names("signal", arch).get(number)
    if name is not None:
        return name
    if FIRST_REALTIME_SIGNAL < number <= LAST_SIGNAL:
        return f"SIGRT_{number - FIRST_REALTIME_SIGNAL}"
    return str(number)


@cache
def values(group: str, arch: Arch) -> Mapping[str, int]:
    """
    Return name to value for a group, as *arch* has it.

    Raises:
        KeyError: no group has that name.  The groups come from signatures, so this is a fault of ours.
    """
    result = dict(tables.constants()["groups"][group]["values"])
    override = tables.constants()["abi_overrides"].get(arch.table, {}).get(group, {})
    for name in override.get("absent", ()):
        del result[name]
    result.update(override.get("set", {}))
    return MappingProxyType(result)


@cache
def names(group: str, arch: Arch) -> Mapping[int, str]:
    """Return value to name for a group; where two names share a value, the one the table prefers."""
    named = values(group, arch)
    preferred = tables.constants()["groups"][group].get("preferred", [])
    ordered = [*(name for name in named if name not in preferred), *(name for name in preferred if name in named)]
    return MappingProxyType({named[name]: name for name in ordered})
