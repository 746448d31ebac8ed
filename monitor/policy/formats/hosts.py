"""
From a profile and the hosts that it is for to the policy that their runtimes make of it.

What it is not: the reading of it (``profile``), or libseccomp's rules (``scmp``).

A *host* is a machine by its own ABI.  A runtime decides on the host which ABIs a profile covers and
which of its rules stand; a policy here may be for any machine.  So each host is asked in turn, and
what it answers is written into ``Rule.arches``: the ABIs of different hosts are never the same.

What runtimes differ in is a parameter, ``Runtime``:

* runc puts rules before a profile that refuses what it does not want: calls with a higher number
  than any that it names fail with ENOSYS (``scmp.newer_calls``).  crun does not.
* Both take the ABIs listed and the host's own (libseccomp's ``seccomp_init`` begins with that one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, Literal, TypeAlias

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names, since
from monitor.policy.action import Action, Allow, Audit, Trace
from monitor.policy.formats import FormatFinding, Kind, Loaded
from monitor.policy.formats.profile import NATIVE_ARCH, Profile, Row
from monitor.policy.formats.scmp import ARCHES, NATIVE, Line, is_known, newer_calls, rules_of
from monitor.policy.model import Policy, Version

Runtime: TypeAlias = Literal["runc", "crun"]

Selection: TypeAlias = Callable[[Row, Arch], bool]
"""Whether a row stands on a host."""


def everywhere(_row: Row, _host: Arch) -> bool:
    """Select every row on every host."""
    return True


def loaded(
    profile: Profile,
    findings: Sequence[FormatFinding],
    *,
    name: str,
    machine: Arch | None,
    runtime: Runtime,
    selects: Selection = everywhere,
) -> Loaded:
    """
    Return the policy that *runtime* makes of *profile* on host *machine*; None: on each of the 64-bit hosts.

    *findings* come first among those of the result.
    """
    found = list(findings)
    hosts = {host: _arches(profile, host, alone=machine is not None) for host in _hosts(machine)}
    arches = frozenset(arch for having in hosts.values() for arch in having)
    lines = [line for row in profile.rows if (line := _line(row, hosts, selects, found)) is not None and line.arches]
    rules, more = rules_of(lines, profile.default, arches)
    stub = newer_calls(lines, arches) if runtime == "runc" and not _is_permissive(profile.default) else ()
    policy = Policy(
        name,
        profile.default,
        exact_errno=True,
        rules=[*stub, *rules],
        known_as_of=_newest() if stub else None,
        arches=arches,
        origin=profile.origin,
    )
    return Loaded(policy, (*found, *more), profile.listener, profile.flags)


def _hosts(machine: Arch | None) -> Sequence[Arch]:
    return [arch for arch in Arch if arch in NATIVE] if machine is None else [machine]


def _arches(profile: Profile, host: Arch, *, alone: bool) -> frozenset[Arch]:
    """Return the ABIs that *profile* covers on *host*; of those of other machines only when it is *alone*."""
    listed = list(profile.architectures)
    for name, others in profile.arch_map:
        # The first entry of the host is the one (moby/profiles, setupSeccomp).
        if ARCHES.get(name) is host:
            listed = [*others]
            break
    known = {ARCHES[name] for name in listed if name != NATIVE_ARCH and name in ARCHES}
    return frozenset({host} | (known if alone else known & host.family()))


def _line(
    row: Row, hosts: Mapping[Arch, frozenset[Arch]], selects: Selection, findings: list[FormatFinding]
) -> Line | None:
    """Return *row* for the hosts on which it stands; None where it names no call that any table has."""
    known = [name for name in row.names if is_known(name)]
    unknown = [name for name in row.names if name not in known]
    if unknown:
        calls = "call" if len(unknown) == 1 else "calls"
        # A call that no table has is decided by the default; one that a rule allows is then refused.
        message = f"unknown {calls}, left out as by runtimes whose libseccomp does not know them: {', '.join(unknown)}"
        findings.append(FormatFinding(message, row.origin, kind=Kind.UNKNOWN_CALL))
    if not known:
        return None
    arches = frozenset(arch for host, having in hosts.items() if selects(row, host) for arch in having)
    return Line(tuple(dict.fromkeys(known)), row.action, row.clauses, arches, row.comment, row.origin)


def _is_permissive(default: Action) -> bool:
    return isinstance(default, Allow | Audit | Trace)


_OLDEST: Final[Version] = (0, 0)


@cache
def _newest() -> Version:
    """Return the kernel of the newest call in the tables: only numbers without a name are newer."""
    return max(since(name) or _OLDEST for arch in Arch for name in names(arch))
