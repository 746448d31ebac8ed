"""
What is wrong with a policy although it can be meant: traps, bits that count for nothing, rules that nothing reaches.

What it is not: an error (``verify``), or a change.  Each finding has an id, which never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from monitor.abi.arch import Arch
from monitor.errors import PolicyError
from monitor.policy import tables
from monitor.policy.baits import ignored_bits
from monitor.policy.beneath import lifted, with_beneath
from monitor.policy.findings import Finding, Look
from monitor.policy.model import Policy
from monitor.policy.patterns import covered
from monitor.policy.reach import unreached
from monitor.policy.runnable import restarts
from monitor.policy.traps import TRAPS

RULES: Final[Mapping[str, str]] = {
    "E-CLONE3": "clone3 fails with something else than ENOSYS, and threads cannot be made",
    "E-FACCESSAT2": "faccessat2 fails with something else than ENOSYS, and access(3) gives wrong answers",
    "E-FALLBACK": "another call that libc can do without fails with something else than ENOSYS",
    "E-ENOSYS-DEFAULT": "calls that are newer than the policy fail with something else than ENOSYS",
    "E-MADVISE-NEW": "new advice to madvise is refused with something else than EINVAL",
    "E-TIME64-MISSING": "a call of a 32-bit ABI runs, and the one with 64-bit times does not",
    "E-NO-EXIT": "a process cannot end",
    "E-NO-RETURN": "a process cannot return from a signal handler, or cannot go on after a stop",
    "E-ARG-SIGN": "more bits of an argument are compared than the kernel looks at",
    "E-IO-URING": "io_uring does what the policy refuses to system calls",
    "E-UNREACHABLE": "a rule can never match",
    "E-CONTRADICTION": "a rule can never match, and earlier ones say something else",
    "E-COVERED": "a pattern never decides, because others cover it and say something else",
    "E-NO-SUCH-PATH": "with --here: a path of [files] or [exec] is not there",
    "E-LIFTED": "a rule allows what would be refused beneath a table",
    "E-RESTART": "an errno by which the kernel makes a call again, and which no program knows",
    "E-TABLE": "a table is not enforced by this version",
    "E-UNKNOWN-NAME": "a call that no table knows",
    "E-FORMAT": "something that the format of the file can say, and a policy cannot",
}
"""Id -> what it means."""


_CHECKS: Final = (*TRAPS, ignored_bits)


def lint(policy: Policy, arches: Iterable[Arch] | None = None) -> list[Finding]:
    """
    Return what is wrong with *policy*, its layers taken together; by default on every ABI that it is for.

    Raises:
        PolicyError: a condition names an argument that a call has not.
    """
    # Where one of the layers has no rules for an ABI, its calls are refused as a whole: no trap among them.
    whole = _as_enforced(policy)
    wanted = frozenset(Arch).intersection(*(layer.arches for layer in whole.layers() if layer.arches is not None))
    looks = [Look(whole, arch) for arch in (arches or Arch) if arch in wanted]
    found = [finding for check in _CHECKS for look in looks for finding in check(look)]
    idle = [finding for layer in policy.layers() for finding in unreached(layer, [look.arch for look in looks])]
    unenforced = [
        Finding("E-TABLE", f"[{name}] is not enforced by this version", "run refuses this policy", origin)
        for name, origin in tables.unenforced(policy)
    ]
    again = [
        Finding("E-RESTART", f"errno {errno} is the kernel's own word", "run refuses this policy; name another", origin)
        for errno, origin in restarts(policy)
    ]
    lifts = [
        Finding("E-LIFTED", f"{', '.join(rule.names)} is lifted, which [files] refuses beneath", _LIFTED, rule.origin)
        for rule in lifted(policy)
    ]
    return [*_merged(found, looks), *idle, *covered(policy), *again, *lifts, *unenforced]


_LIFTED: Final = "presets beneath-files says why it is refused; nobody acts for the program there"


def _as_enforced(policy: Policy) -> Policy:
    """Return *policy* with what its tables bring with them; itself, where they cannot be enforced as they are."""
    try:
        return with_beneath(policy)
    except PolicyError:
        return policy


def _merged(found: Iterable[Finding], looks: Sequence[Look]) -> list[Finding]:
    """Return what is the same on several ABIs once."""
    on: dict[Finding, list[Arch]] = {}
    for finding in found:
        alike = Finding(finding.rule, finding.text, finding.hint, finding.origin)
        on.setdefault(alike, []).extend(finding.arches)
    return [
        Finding(one.rule, one.text, one.hint, one.origin, () if len(arches) == len(looks) else tuple(arches))
        for one, arches in on.items()
    ]
