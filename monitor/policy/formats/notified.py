"""
A policy as the profile of a container that an agent supervises: what the agent has to see is notified.

What it is not: the rows (``rows``) or the text (``oci``) of a profile; here a policy becomes another policy, whose
asks are what the profile notifies.

The agent decides by the policy itself, so that the profile may notify more than it must, and never less.  What the
policy refuses by registers alone the kernel refuses, as long as nobody wants to be told of it: that holds without an
agent, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from errno import ENOSYS
from typing import Final, NamedTuple

from attrs import evolve

from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.errors import PolicyError
from monitor.policy.action import Action, Allow, Ask, Deny, Handle, Log, Return
from monitor.policy.beneath import is_brokered
from monitor.policy.formats import FormatFinding
from monitor.policy.model import Policy, Rule

EXECS: Final = ("execve", "execveat")
"""Notified always: with the first of them a container's runtime has become its program."""

REFUSED: Final[Mapping[str, str]] = {"write": "runc refuses to notify it"}
"""Calls that no profile can notify."""

HANGING: Final[Mapping[str, str]] = {
    "sendmsg": "crun before 1.6 hangs when it is notified",
    "fcntl": "some pre-releases of runc 1.2 hang when it is notified",
}
"""Calls by which runtimes hand the listener over, before anybody could answer."""

SIBLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("openat2",),
    "openat": ("openat2",),
    "mkdir": ("mkdirat",),
    "mkdirat": ("mkdir",),
    "mknod": ("mknodat",),
    "mknodat": ("mknod",),
    "unlink": ("unlinkat",),
    "unlinkat": ("unlink", "rmdir"),
    "rename": ("renameat", "renameat2"),
    "renameat": ("rename", "renameat2"),
    "renameat2": ("rename", "renameat"),
    "link": ("linkat",),
    "linkat": ("link",),
    "symlink": ("symlinkat",),
    "symlinkat": ("symlink",),
    "chmod": ("fchmodat", "fchmodat2"),
    "fchmodat": ("chmod", "fchmodat2"),
    "mount": ("fsopen", "fsmount", "move_mount", "open_tree", "mount_setattr"),
    "execve": ("execveat",),
    "execveat": ("execve",),
}
"""A call -> those that do the same, by which whoever knows them walks around a rule about it."""

RINGS: Final = ("io_uring_setup", "io_uring_enter", "io_uring_register")
"""By these a program does files and sockets without a call that any filter sees (io_uring(7))."""


class Notified(NamedTuple):
    """
    What a profile is written from.

    Attributes:
        policy: of which every ask is to be notified.
        findings: what the runtimes cannot be told, and what is said instead.
    """

    policy: Policy
    findings: tuple[FormatFinding, ...]


def notified(policy: Policy, *, refusals: bool = False) -> Notified:
    """
    Return what the profile of a container under *policy* says; with *refusals* its refusals are notified, too.

    Raises PolicyError: it has tables, which an agent does not enforce.
    """
    if is_brokered(policy):
        message = "[files] is enforced for programs that are launched here, and not for containers"
        raise PolicyError(message, policy.origin)
    changed = _changed(policy, refusals=refusals)
    findings = list(_findings(policy, changed))
    runtime = Policy("runtime", Allow(), rules=[Rule(EXECS, Ask())])
    closed = _closed(policy, changed)
    if closed:
        runtime = evolve(runtime, rules=[*runtime.rules, Rule(closed, Deny(ENOSYS))])
        message = f"no rule is about {', '.join(closed)}, by which one is walked around: ENOSYS"
        findings.append(FormatFinding(message, policy.origin))
    return Notified(evolve(changed, includes=[*changed.includes, runtime]), tuple(findings))


def _changed(policy: Policy, *, refusals: bool) -> Policy:
    """Return *policy* with an ask in the place of what somebody has to be there for."""
    rules = [one for rule in policy.rules for one in _changed_rule(rule, refusals=refusals)]
    default = _answered(policy.default, refusals=refusals)
    if isinstance(default, Ask):
        # No runtime notifies what no rule names: then every call that there is gets one, and only numbers are left.
        rules = [*rules, *_split(Rule(("all",), default, exact_errno=True), policy.default)]
        default = Deny(default.errno)
    return evolve(
        policy,
        default=default,
        rules=rules,
        includes=[_changed(layer, refusals=refusals) for layer in policy.includes],
        extends=None if policy.extends is None else _changed(policy.extends, refusals=refusals),
        tables={},
    )


def _answered(action: Action, *, refusals: bool, mutable: bool = False) -> Action:
    """Return what the profile says where the policy says *action*."""
    match action:
        case Ask() | Handle() | Log():
            return Ask()
        case Return(value) if value:
            return Ask()
        case Deny(errno) if errno and (refusals or mutable):
            return Ask(errno)
        case _:
            return Ask() if mutable else action


def _changed_rule(rule: Rule, *, refusals: bool) -> Iterator[Rule]:
    action = _answered(rule.action, refusals=refusals, mutable=rule.mutable)
    if action == rule.action and not isinstance(action, Ask):
        yield evolve(rule, mutable=False)
    else:
        yield from _split(evolve(rule, action=action, mutable=False, exact_errno=True), rule.action)


def _split(rule: Rule, before: Action) -> Iterator[Rule]:
    """Yield *rule*, which notifies, and in front of it what comes closest for the calls that no runtime notifies."""
    refused = tuple(name for name in REFUSED if any(name in rule.calls(arch) for arch in Arch))
    if refused:
        yield evolve(rule, names=refused, action=_unasked(before))
        rule = evolve(rule, names=(*rule.names, *(f"!{name}" for name in refused)))
    if any(rule.calls(arch) for arch in Arch):
        yield rule


def _unasked(action: Action) -> Action:
    """Return what is done without us where the policy says *action*: never more than that allows."""
    match action:
        case Ask(errno):
            return Deny(errno)
        case Handle():
            return Deny()
        case Return(value) if value:
            return Deny()
        case Log():
            return Allow()
        case _:
            return action


# ---- what is told ----


def _findings(policy: Policy, changed: Policy) -> Iterator[FormatFinding]:
    """Yield what the runtimes cannot be told, and what they may not survive."""
    for name, why in REFUSED.items():
        asked = [rule for rule in _rules(policy) if _about(rule, name) and _unasked(rule.action) != rule.action]
        for rule in asked:
            yield FormatFinding(
                f"{name} is left out: {why}; instead of {_word(rule.action)} it is {_word(_unasked(rule.action))}",
                rule.origin,
            )
    for name, why in HANGING.items():
        if any(_about(rule, name) and isinstance(rule.action, Ask) for rule in _rules(changed)):
            yield FormatFinding(f"{name} is notified: {why}", policy.origin)


def _rules(policy: Policy) -> Iterator[Rule]:
    for layer in policy.layers():
        yield from layer.all_rules()


def _about(rule: Rule, name: str) -> bool:
    return any(name in rule.calls(arch) for arch in Arch)


def _word(action: Action) -> str:
    return type(action).__name__.lower()


def _closed(policy: Policy, changed: Policy) -> tuple[str, ...]:
    """Return the calls by which a program walks around a rule: no rule is about them, and they would run unseen."""
    ruled = {
        name for rule in _rules(policy) if not isinstance(rule.action, Allow) for name in SIBLINGS if _about(rule, name)
    }
    named = {name for rule in _rules(policy) for name in (*RINGS, *_ALL_SIBLINGS) if _about(rule, name)}
    found = {sibling for name in ruled for sibling in SIBLINGS[name]}
    if ruled:
        found.update(RINGS)
    return tuple(sorted(name for name in found - named - set(EXECS) if _runs(changed, name)))


def _runs(policy: Policy, name: str) -> bool:
    numbers = [(arch, number_of(arch, name)) for arch in Arch]
    return any(
        number is not None and isinstance(policy.decide(arch, number, (0,) * 6).action, Allow)
        for arch, number in numbers
    )


_ALL_SIBLINGS: Final = frozenset(sibling for several in SIBLINGS.values() for sibling in several)
