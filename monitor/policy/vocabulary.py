"""
The names that may stand on the right of a ``when`` comparison: the constants of an argument.

What it is not: the constants themselves (``abi.constants``).  Most arguments have one group of
them, and the tables say which; where another argument decides what the value means (the option of
prctl(2), the level of setsockopt(2)), all the groups that it may be are listed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from monitor.abi import tables
from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.syscalls import Argument

_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "fd": ("fd_special",),
    "dirfd": ("fd_special",),
    "mode": ("mode",),
    "signal": ("signal",),
}

_OF_ARGUMENT: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("fcntl", "arg"): ("open", "fd_flags", "signal", "fcntl_seal", "fcntl_notify"),
    ("fcntl64", "arg"): ("open", "fd_flags", "signal", "fcntl_seal", "fcntl_notify"),
    ("ioctl", "request"): ("ioctl_x86",),
    ("keyctl", "arg2"): ("keyring_id", "key_default"),
    ("keyctl", "arg3"): ("keyring_id", "key_permission"),
    ("prctl", "arg2"): ("signal", "capability", "seccomp_mode", "securebits", "prctl_*"),
    ("prctl", "arg3"): ("capability", "prctl_*"),
    ("ptrace", "data"): ("signal", "ptrace_options"),
    ("socket", "protocol"): ("netlink", "*_protocol"),
    ("socketpair", "protocol"): ("netlink", "*_protocol"),
    ("getsockopt", "optname"): ("*_option", "ip_*_option", "ipv6_*_option"),
    ("setsockopt", "optname"): ("*_option", "ip_*_option", "ipv6_*_option"),
}
"""(call, argument) -> groups beside its own: those whose meaning another argument decides."""

_X86_ONLY: Final = frozenset({"ioctl_x86"})
_X86: Final = frozenset({Arch.X86_64, Arch.X32, Arch.I386})


@lru_cache(4096)
def constants_of(call: str, argument: Argument | None, arch: Arch) -> Mapping[str, int]:
    """Return what may stand on the right of *argument*: the names of the earlier group win."""
    found: dict[str, int] = {}
    for group in reversed(_groups(call, argument)):
        if group not in _X86_ONLY or arch in _X86:
            found |= values(group, arch)
    if argument is None or is_pointer(argument) or argument.kind == "pointer":
        found["NULL"] = 0
    return found


def _groups(call: str, argument: Argument | None) -> Sequence[str]:
    if argument is None:
        return ("masks", "errno", "signal")
    shapes = tables.constants()["groups"]
    own = [] if argument.constants is None else [argument.constants]
    borrowed = [word for group in own if (word := shapes[group].get("enum_set")) is not None]  # clone's signal
    more = [group for pattern in _OF_ARGUMENT.get((call, argument.name), ()) for group in _matching(pattern)]
    groups = [*own, *borrowed, *_OF_KIND.get(argument.kind, ()), *more]
    if not groups and not is_pointer(argument):
        groups = ["errno", "signal"]
    return [*groups, "masks"]


def _matching(pattern: str) -> list[str]:
    if "*" not in pattern:
        return [pattern]
    wanted = re.compile(pattern.replace("*", "[a-z0-9_]*"))
    return sorted(group for group in tables.constants()["groups"] if wanted.fullmatch(group))


def is_pointer(argument: Argument) -> bool:
    """Whether it points at what the call is about, as far as the declared kind says."""
    return argument.direction is not None or argument.kind == "path" or argument.kind.startswith("struct:")


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return a question that proposes the candidate most like *word*, or nothing."""
    # Imported for the message alone: a word that is right never pays for it.
    from difflib import get_close_matches  # noqa: PLC0415

    near = get_close_matches(word, sorted(candidates), n=1) or get_close_matches(word.upper(), sorted(candidates), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def groups_with(name: str) -> Sequence[str]:
    """Return every group that has a constant of that name, whatever argument it is for."""
    return sorted(group for group in tables.constants()["groups"] if name in values(group, Arch.X86_64))
