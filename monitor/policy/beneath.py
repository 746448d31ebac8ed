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
from monitor.origin import NOWHERE, Origin
from monitor.policy import shipped, tables
from monitor.policy.access import allowed_classes, refused_classes
from monitor.policy.action import Allow, Audit, Deny, Log
from monitor.policy.expression import Expression
from monitor.policy.model import Policy, Rule
from monitor.policy.numbers import EVERY, Every

BROKERED: Final = frozenset(
    {
        "open", "openat", "openat2", "creat", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs",
        "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getxattr", "lgetxattr", "listxattr",
        "llistxattr", "getxattrat", "listxattrat", "file_getattr", "chdir",
        "mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "link", "linkat", "unlink", "unlinkat", "rmdir",
        "rename", "renameat", "renameat2",
        "chmod", "fchmodat", "fchmodat2", "fchmod", "chown", "lchown", "fchownat", "fchown", "utime", "utimes",
        "futimesat", "utimensat", "truncate", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr",
        "lremovexattr", "fremovexattr", "removexattrat", "file_setattr", "inotify_add_watch", "fanotify_mark",
    }
)  # fmt: skip
"""The calls that are done for a program under a ``[files]`` table, so that no name is looked up twice."""

LISTINGS: Final = frozenset({"getdents", "getdents64"})
"""Those that are done beside them where names are hidden, since what is hidden is not listed."""

SIZES: Final = frozenset({"ftruncate"})
"""Those that are done beside them where a rule tells emptying a file from writing to it."""

HERE: Final = Origin("beneath [files]")

_NO_NAME: Final = frozenset("@%!")
"""What words for several calls begin with."""

RIGHTS: Final = frozenset(
    {
        "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups",
        "capset", "prctl",
    }
)  # fmt: skip
"""With these a thread may come to other rights: they are heard of, and run by the kernel."""

_VIEWS: Final = frozenset({"unshare", "setns", "clone", "clone3", "chroot", "pivot_root"})
"""Those of the refused calls with which paths come to mean something else, or capabilities are new."""

_MOUNTS: Final = frozenset({"mount", "umount", "umount2", "pivot_root", "move_mount", "open_tree", "fsmount"})
"""Those of them that Landlock refuses whoever is under any of its domains that is about files."""

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
        for rule in table.rules:
            if rule.action == "handle":
                message = 'action = "handle" is not there for files in this version; a handler marks its calls itself'
                raise PolicyError(message, rule.origin)
    if not any(layer.known_as_of for layer in policy.layers()):
        message = "[files] needs known-as-of: a call that is newer than the policy could open what it wants"
        raise PolicyError(message, found[0].origin)
    done = Rule(tuple(sorted(BROKERED | LISTINGS | SIZES)), Allow(), origin=HERE)  # whatever they are refused for
    lifting = (done, *_lifting(policy))
    preset = _preset()
    beneath = _lifted(attrs.evolve(preset, rules=(*preset.rules, *_by_words(found))), lifting)
    decided = _with_the_tables_word(policy)
    return attrs.evolve(decided, includes=(*decided.includes, beneath))


def is_brokered(policy: Policy) -> bool:
    """Whether files are opened for programs under *policy*."""
    return any(True for layer in policy.layers() for _ in _files_of(layer))


def unserved(policy: Policy) -> Iterator[str]:
    """Yield, in words, what is refused under *policy* because of its ``[files]``, and how a policy lifts it."""
    found = [table for layer in policy.layers() for table in _files_of(layer)]
    if not found:
        return
    yield "changes of roots and namespaces (presets beneath-files lists the calls, and why)"
    for rule in _by_words(found):
        if rule.when is None or rule.names == ("socket",):
            yield f"{', '.join(rule.names)}: {rule.reason}"


def brokered(policy: Policy) -> frozenset[str]:
    """Return the calls that are done for programs under *policy*; none without a ``[files]`` table."""
    found = [table for layer in policy.layers() for table in _files_of(layer)]
    if not found:
        return frozenset()
    hides = any(table.hide or any(rule.action == "hide" for rule in table.rules) for table in found)
    sizes = any(_tells_sizes(rule) for table in found for rule in table.rules)
    calls = set(BROKERED)
    if hides:
        calls |= LISTINGS
    if sizes:
        calls |= SIZES
    return frozenset(calls)


def _tells_sizes(rule: tables.FileRule) -> bool:
    """Whether *rule* is about emptying and not about writing, or the other way round."""
    if rule.access is None:
        return False
    classes = (allowed_classes if rule.action == "allow" else refused_classes)(rule.access)
    return ("truncate" in classes) != ("write" in classes)


def with_brokered(wanted: Every | frozenset[int], policy: Policy, arch: Arch) -> Every | frozenset[int]:
    """Return the numbers *wanted* of *arch*, and those of the calls that are done for programs, or heard of."""
    if wanted is EVERY:
        return EVERY
    done = brokered(policy)
    heard = RIGHTS if done else frozenset[str]()
    return wanted | {number for name in done | heard if (number := number_of(arch, name)) is not None}


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


def _lifting(policy: Policy) -> Iterator[Rule]:
    """Yield what the topmost *policy* allows by name: rules that go before those beneath, with their conditions."""
    for rule in policy.all_rules():
        names = tuple(name for name in rule.names if name[0] not in _NO_NAME and name != "all")
        if names and isinstance(rule.action, Allow | Log | Audit):
            yield attrs.evolve(rule, names=names, action=Allow(), mutable=False)


def lifted(policy: Policy) -> Iterator[Rule]:
    """Yield the rules of *policy* that lift what is refused because of its ``[files]``, each with those names alone."""
    if not is_brokered(policy):
        return
    refused = {name for layer in _preset().layers() for rule in layer.rules for name in rule.calls(Arch.native())}
    refused |= {name for rule in _by_words([tables.Files()]) for name in rule.names}
    for rule in _lifting(policy):
        names = tuple(name for name in rule.names if name in refused)
        if names:
            yield attrs.evolve(rule, names=names)


def keeps_rights(policy: Policy) -> bool:
    """Whether no program under *policy* comes to another view than it began with, or to rights by one."""
    return not any(_VIEWS.intersection(rule.names) for rule in lifted(policy))


def keeps_mounts(policy: Policy) -> bool:
    """Whether no program under *policy* changes what is mounted, which no domain of landlock(7) lets it."""
    return not any(_MOUNTS.intersection(rule.names) for rule in lifted(policy))


def keeps_faults(policy: Policy) -> bool:
    """Whether the faults of every page of a program under *policy* stay the kernel's, and are over at once."""
    return not any({"userfaultfd", "ioctl"}.intersection(rule.names) for rule in lifted(policy))


def _lifted(policy: Policy, lifting: tuple[Rule, ...]) -> Policy:
    """Return *policy*, and what it includes, with the rules *lifting* before its own."""
    includes = [_lifted(one, lifting) for one in policy.includes]
    return attrs.evolve(policy, rules=(*lifting, *policy.rules), includes=includes)


def _with_the_tables_word(policy: Policy) -> Policy:
    """
    Return *policy* with a rule behind all others, in each layer with a table, that leaves what is brokered to it.

    A default is about calls of which nothing is said; a table says what happens to these.
    """
    includes = [_with_the_tables_word(one) for one in policy.includes]
    if any(True for _ in _files_of(policy)):
        policy = _at_the_end(policy, Rule(tuple(sorted(BROKERED | LISTINGS | SIZES)), Allow(), origin=HERE))
    return attrs.evolve(policy, includes=includes)


def _at_the_end(policy: Policy, rule: Rule) -> Policy:
    if policy.extends is not None:
        return attrs.evolve(policy, extends=_at_the_end(policy.extends, rule))
    return attrs.evolve(policy, rules=(*policy.rules, rule))


def refuse_allowing(policy: Policy) -> None:
    """
    Do nothing, if no rule of *policy*'s own allows what its table decides about.

    Raises:
        PolicyError: one does, by name: it would say nothing, or be thought to let the call past the table.
    """
    if "files" not in tables.of(policy):
        return
    for rule in policy.rules:
        named = [name for name in rule.names if name in BROKERED]
        if named and isinstance(rule.action, Allow | Log | Audit):
            message = f"{named[0]} is decided about by [files]: allow names there"
            raise PolicyError(message, None if rule.origin == NOWHERE else rule.origin)


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
