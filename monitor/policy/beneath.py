"""
What a table brings with it: the calls that are notified because of it, and those that are refused.

What it is not: the table's own meaning (``deciders``).  What is refused is a layer like any other,
``preset:beneath-files``, and the most restrictive answer wins; the topmost policy may lift a part of
it by a rule that names the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy import shipped, tables
from monitor.policy.action import Deny
from monitor.policy.expression import Expression
from monitor.policy.model import Policy, Rule
from monitor.policy.numbers import EVERY, Every

BROKERED: Final = frozenset(
    {
        "open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "statfs", "access", "faccessat",
        "faccessat2", "readlink", "readlinkat", "getxattr", "lgetxattr", "listxattr", "llistxattr", "chdir",
    }
)  # fmt: skip
"""The calls that are done for a program under a ``[files]`` table, so that no name is looked up twice."""

LISTINGS: Final = frozenset({"getdents", "getdents64"})
"""Those that are done beside them where names are hidden, since what is hidden is not listed."""

HERE: Final = Origin("beneath [files]")

_EACCES: Final = 13
_EAFNOSUPPORT: Final = 97


def with_beneath(policy: Policy) -> Policy:
    """
    Return *policy* with what its tables bring with them; the same, where there is no ``[files]``.

    Raises:
        PolicyError: a table that cannot be enforced as it is written.
    """
    found = [table for layer in policy.layers() for table in _files_of(layer)]
    if not found:
        return policy
    for table in found:
        if table.enforce == "kernel":
            message = 'enforce = "kernel" is not there in this version; a broker enforces [files]'
            raise PolicyError(message, table.origin)
    if not any(layer.known_as_of for layer in policy.layers()):
        message = "[files] needs known-as-of: a call that is newer than the policy could open what it wants"
        raise PolicyError(message, found[0].origin)
    lifted = {name for rule in policy.all_rules() for name in rule.names}
    beneath = _without(_preset(), lifted)
    rules = [rule for rule in _by_words(found) if not lifted & set(rule.names)]
    return attrs.evolve(policy, includes=(*policy.includes, attrs.evolve(beneath, rules=(*beneath.rules, *rules))))


def is_brokered(policy: Policy) -> bool:
    """Whether files are opened for programs under *policy*."""
    return any(True for layer in policy.layers() for _ in _files_of(layer))


def unserved(policy: Policy) -> Iterator[str]:
    """Yield, in words, what is refused under *policy* because of its ``[files]``, and how a policy lifts it."""
    found = [table for layer in policy.layers() for table in _files_of(layer)]
    if not found:
        return
    yield "changes of names, modes, owners and attributes (presets beneath-files lists the calls, and why)"
    for rule in _by_words(found):
        if rule.when is None or rule.names == ("socket",):
            yield f"{', '.join(rule.names)}: {rule.reason}"


def brokered(policy: Policy) -> frozenset[str]:
    """Return the calls that are done for programs under *policy*; none without a ``[files]`` table."""
    found = [table for layer in policy.layers() for table in _files_of(layer)]
    if not found:
        return frozenset()
    hides = any(table.hide or any(rule.action == "hide" for rule in table.rules) for table in found)
    return BROKERED | (LISTINGS if hides else frozenset())


def with_brokered(wanted: Every | frozenset[int], policy: Policy, arch: Arch) -> Every | frozenset[int]:
    """Return the numbers *wanted* of *arch*, and those of the calls that are done for programs."""
    if wanted is EVERY:
        return EVERY
    return wanted | {number for name in brokered(policy) if (number := number_of(arch, name)) is not None}


def _files_of(layer: Policy) -> Iterator[tables.Files]:
    extending: Policy | None = layer
    while extending is not None:
        found = tables.of(extending).get("files")
        if isinstance(found, tables.Files):
            yield found
        extending = extending.extends


def _preset() -> Policy:
    from monitor.policy.text import loads  # noqa: PLC0415  # it reads policies, which may ask for this

    name = "beneath-files"
    return loads(shipped.text(name), Origin(f"{shipped.PREFIX}{name}"))


def _without(policy: Policy, lifted: set[str]) -> Policy:
    """Return *policy* and what it includes without what is said of the calls *lifted*."""
    rules: list[Rule] = []
    for rule in policy.rules:
        names = tuple(name for name in rule.names if name not in lifted)
        if names:
            rules.append(rule if names == rule.names else attrs.evolve(rule, names=names))
    return attrs.evolve(policy, rules=rules, includes=[_without(one, lifted) for one in policy.includes])


def _by_words(found: list[tables.Files]) -> Iterator[Rule]:
    """Yield what is refused unless the tables say a word for it."""
    if not all(table.exec == "unverified" for table in found):
        yield Rule(
            ("execve", "execveat"),
            Deny(_EACCES),
            reason='starts programs nobody has looked at; exec = "unverified" in [files] lets it',
            origin=HERE,
        )
    if not all(table.unix == "unmediated" for table in found):
        reason = 'sockets with names are files nobody has looked at; unix = "unmediated" in [files] lets it'
        yield Rule(("socket",), Deny(_EAFNOSUPPORT), when=Expression("domain == AF_UNIX"), reason=reason, origin=HERE)
        # A datagram socket of a pair can be connected to another, or send to it.
        yield Rule(
            ("socketpair",),
            Deny(_EAFNOSUPPORT),
            when=Expression("domain == AF_UNIX && type & 0xf == SOCK_DGRAM"),
            reason=reason,
            origin=HERE,
        )
