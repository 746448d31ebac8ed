"""
What a call does to the paths and addresses that it names: classes of access, as far as its registers are known.

What it is not: a decision about them, or a look at memory: flags in a struct (``openat2``) are never known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.syscalls import Argument, Signature, signature_of

ADDRESS_CALLS: Final[Mapping[str, Literal["connect", "bind"]]] = MappingProxyType(
    {"bind": "bind", "connect": "connect", "sendto": "connect", "sendmsg": "connect", "sendmmsg": "connect"}
)
"""The calls that name an address, and whether they speak to it or take it."""


class PathUse(NamedTuple):
    """
    What a call does to the file that one of its arguments names.

    Attributes:
        argument: the argument.
        certain: the classes of access that it asks for in every case.
        possible: those that it may ask for, where its registers leave something open; the certain ones among them.
    """

    argument: str
    certain: frozenset[str]
    possible: frozenset[str]


def path_uses(arch: Arch, name: str, known: Mapping[int, int]) -> tuple[PathUse, ...]:
    """
    Return what call *name* of *arch* does to each path that it names; nothing where it names none.

    *known* is register to value, 64 bits without a sign, as far as they are known.
    """
    signature = signature_of(arch, name)
    arguments = () if signature is None else signature.arguments
    return tuple(_use(arch, signature, one, known) for one in arguments if signature is not None and one.path)


def _use(arch: Arch, signature: Signature, argument: Argument, known: Mapping[int, int]) -> PathUse:
    facts = argument.path
    assert facts is not None  # path_uses() asks about no other
    narrowed = None if facts.access_by is None else _NARROWED.get(facts.access_by)
    if narrowed is None:
        # The flags of openat2 stand in a struct: anything that it can do is possible, and nothing certain.
        certain = facts.access if facts.access_by is None else frozenset[str]()
        return PathUse(argument.name, certain, facts.access)
    most = _every_path(signature)
    register = known.get(facts.access_arg) if facts.access_arg is not None else None
    if register is None or facts.access_arg is None:
        cases = narrowed(facts.access, most, None, arch)
        return PathUse(argument.name, cases[0].intersection(*cases), cases[0].union(*cases))
    (classes,) = narrowed(facts.access, most, signature.arguments[facts.access_arg].value(register), arch)
    return PathUse(argument.name, classes, classes)


def _every_path(signature: Signature) -> frozenset[str]:
    """Return what the call does to any of its paths."""
    return frozenset[str]().union(*(one.path.access for one in signature.arguments if one.path is not None))


# Each takes the classes of the argument, those of all the call's paths, the flags, or None, and the ABI, and
# returns the cases that are left: one where the flags are known.


def _open(own: frozenset[str], _all: frozenset[str], flags: int | None, arch: Arch) -> list[frozenset[str]]:
    if flags is None:
        return [frozenset(), own]  # with O_PATH nothing is opened
    bits = values("open", arch)
    if flags & bits["O_PATH"]:
        return [frozenset()]
    classes = set(_MODES[flags & values("masks", arch)["O_ACCMODE"]])
    if flags & bits["O_CREAT"] or flags & bits["O_TMPFILE"] == bits["O_TMPFILE"]:
        classes.add("create")
    if flags & bits["O_TRUNC"]:
        classes.add("truncate")
    return [frozenset(classes)]


_MODES: Final = (("read",), ("write",), ("read", "write"), ("read", "write"))
"""By ``O_ACCMODE``; the fourth asks for both and gives neither (open(2), "File access mode")."""


def _unlinkat(own: frozenset[str], _all: frozenset[str], flags: int | None, arch: Arch) -> list[frozenset[str]]:
    directory = frozenset({"rmdir"})
    if flags is None:
        return [own, directory]
    return [directory if flags & values("at_unlink", arch)["AT_REMOVEDIR"] else own]


def _rename(own: frozenset[str], every: frozenset[str], flags: int | None, arch: Arch) -> list[frozenset[str]]:
    if flags is None:
        return [own, every]
    return [every if flags & values("rename", arch)["RENAME_EXCHANGE"] else own]


_Narrowing = Callable[[frozenset[str], frozenset[str], int | None, Arch], list[frozenset[str]]]

_NARROWED: Final[Mapping[str, _Narrowing]] = MappingProxyType({"open": _open, "unlinkat": _unlinkat, "rename": _rename})
"""``PathFacts.access_by`` -> what the flags say."""
