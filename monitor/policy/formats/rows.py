"""
From a policy to the rows of an OCI profile, which are the same for every ABI.

What it is not: JSON or YAML (``oci``, ``spo``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from attrs import frozen

from monitor.abi.arch import Arch
from monitor.abi.syscalls import names
from monitor.origin import NOWHERE, Origin
from monitor.policy.action import (
    Action,
    Allow,
    Ask,
    Audit,
    Deny,
    Handle,
    KillProcess,
    KillThread,
    Log,
    Return,
    Trace,
    Trap,
    rank,
)  # fmt: skip
from monitor.policy.condition import AllOf, AnyOf, Condition, Not, Test
from monitor.policy.formats import FormatFinding, Kind
from monitor.policy.formats.cubes import comparisons_of
from monitor.policy.formats.regions import Case, Cases, TooManyClausesError, cases_of, clauses_of
from monitor.policy.formats.scmp import HALF, MULTIPLEXED, SHORT, Comparison, behind_multiplexers
from monitor.policy.model import Policy


class OutAction(NamedTuple):
    """An action in the words of OCI."""

    name: str
    errno: int | None = None


@frozen
class OutRow:
    """One element of ``syscalls``."""

    names: tuple[str, ...]
    action: OutAction
    comparisons: tuple[Comparison, ...] = ()


@frozen
class Written:
    """A policy as rows."""

    default: OutAction
    rows: tuple[OutRow, ...]
    arches: frozenset[Arch]
    findings: tuple[FormatFinding, ...]


def written(policy: Policy, machine: Arch | None) -> Written:
    """Return the rows of *policy*, for the ABIs of *machine* alone where one is given."""
    arches = (policy.arches or frozenset(Arch)) & (frozenset(Arch) if machine is None else machine.family())
    findings: dict[FormatFinding, None] = {}
    arches = _without_x32(policy, arches, findings)
    _note_tables(policy, findings)
    default = max((layer.default for layer in policy.layers()), key=rank)
    out_default = out_action(default, policy.origin, findings)
    rows: dict[tuple[OutAction, tuple[Comparison, ...]], list[str]] = {}
    for name in sorted({name for arch in arches for name in names(arch)}):
        for action, comparisons in _rows_of(policy, name, arches, out_default, findings):
            rows.setdefault((action, comparisons), []).append(name)
    _note_unknown(policy, findings)
    _note_multiplexers(policy, arches, rows, findings)
    out = tuple(OutRow(tuple(calls), action, comparisons) for (action, comparisons), calls in rows.items())
    return Written(out_default, out, arches, tuple(findings))


def _rows_of(
    policy: Policy, name: str, arches: frozenset[Arch], default: OutAction, findings: dict[FormatFinding, None]
) -> Iterable[tuple[OutAction, tuple[Comparison, ...]]]:
    """Return what goes out for one call: rules that say the same in any order."""
    having = [arch for arch in Arch if arch in arches and name in names(arch)]
    origin = policy.origin
    try:
        by_arch = {arch: _out_cases(cases_of(policy, arch, name), findings) for arch in having}
        always = {cases[0].action for cases in by_arch.values()}
        if len(always) == 1 and all(len(cases) == 1 for cases in by_arch.values()):
            return _row_of_all(always.pop(), default)
        # The ABI with the widest registers is the pattern; others have to say the same of what they have of them.
        pattern = next((arch for arch in having if arch not in SHORT), having[0])
        alike = all(
            [(narrowed(case.condition, arch), case.action) for case in by_arch[arch]]
            == [(narrowed(case.condition, arch), case.action) for case in by_arch[pattern]]
            for arch in having
        )
        if Arch.X32 in having and any(_is_wide(case.condition) for case in by_arch[Arch.X32]):
            message = (
                f"{name} is decided by 64 bits of a register, of which libseccomp looks at 32: the strictest action is"
            )
        elif alike:
            return [
                (out_action(action, origin, {}), comparisons)
                for action, clause in clauses_of(by_arch[pattern], _action_of(default))
                for comparisons in comparisons_of(clause)
            ]
        else:
            message = f"{name} is decided otherwise on other ABIs; a profile says one thing for all: the strictest"
    except TooManyClausesError:
        message = f"the conditions of {name} are too many to be written without an order: the strictest action is"
        by_arch = {}
    findings[FormatFinding(message, origin)] = None
    said = [case.action for cases in by_arch.values() for case in cases]
    strictest = max(said, key=rank) if said else _strictest(policy, name, having)
    out = out_action(strictest, origin, findings)
    return [] if out == default else [(out, ())]


def _row_of_all(action: Action, default: OutAction) -> Iterable[tuple[OutAction, tuple[Comparison, ...]]]:
    """Return what goes out for a call of which neither registers nor ABIs decide, as of most."""
    return [] if action == _action_of(default) else [(out_action(action, NOWHERE, {}), ())]


def _without_x32(policy: Policy, arches: frozenset[Arch], findings: dict[FormatFinding, None]) -> frozenset[Arch]:
    """Return *arches* without x32 where a call is decided by bits there that libseccomp does not look at (``scmp``)."""
    if Arch.X32 not in arches or len(arches) == 1:
        return arches
    wide: list[str] = []
    conditional = [rule for layer in policy.layers() for rule in layer.all_rules() if rule.when is not None]
    for name in sorted({call for rule in conditional for call in rule.calls(Arch.X32)}):
        with suppress(TooManyClausesError):  # the strictest is written then, whatever registers hold
            wide += [name] if any(_is_wide(case.condition) for case in cases_of(policy, Arch.X32, name)) else []
    if not wide:
        return arches
    message = (
        f"libseccomp looks at 32 bits of a register of x32, and {wide[0]} is decided by 64: x32 is left out, and its"
        " calls are killed"
    )
    findings[FormatFinding(message, policy.origin)] = None
    return arches - {Arch.X32}


def _is_wide(condition: Condition) -> bool:
    """Whether it looks at the upper half of a register."""
    match condition:
        case Test():
            return condition.width > HALF.bit_length() and (condition.mask is None or condition.mask > HALF)
        case AllOf(parts) | AnyOf(parts):
            return any(map(_is_wide, parts))
        case Not(part):
            return _is_wide(part)


def _strictest(policy: Policy, name: str, having: Sequence[Arch]) -> Action:
    actions = [
        rule.action_for(name)
        for layer in policy.layers()
        for rule in layer.all_rules()
        if any(name in rule.calls(arch) for arch in having)
    ]
    return max([*actions, *(layer.default for layer in policy.layers())], key=rank)


def _out_cases(cases: Cases, findings: dict[FormatFinding, None]) -> Cases:
    """Return *cases* with the actions that a profile has, those that are one there as one."""
    return tuple(
        case._replace(action=_action_of(out_action(case.action, _origin(case), findings)), rule=None) for case in cases
    )


def _origin(case: Case) -> Origin:
    return NOWHERE if case.rule is None else case.rule.origin


def narrowed(condition: Condition, arch: Arch) -> Condition:
    """Return *condition* in one spelling, of as many bits as libseccomp looks at on *arch*."""
    match condition:
        case Test():
            return _narrowed_test(condition, HALF if arch in SHORT else (1 << 64) - 1)
        case AllOf(parts):
            return AllOf(tuple(narrowed(part, arch) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(narrowed(part, arch) for part in parts))
        case Not(part):
            return Not(narrowed(part, arch))


def _narrowed_test(test: Test, register: int) -> Test:
    if test.signed and test.mask is None:
        return test
    mask = ((1 << test.width) - 1 if test.mask is None else test.mask) & register
    return Test(test.argument, test.operator, mask=mask, value=test.value & register)


_NAMES: Final[Mapping[type, str]] = {
    Allow: "SCMP_ACT_ALLOW",
    Ask: "SCMP_ACT_NOTIFY",
    Audit: "SCMP_ACT_LOG",
    Handle: "SCMP_ACT_NOTIFY",
    KillProcess: "SCMP_ACT_KILL_PROCESS",
    KillThread: "SCMP_ACT_KILL_THREAD",
    Log: "SCMP_ACT_LOG",
    Trap: "SCMP_ACT_TRAP",
}


def out_action(action: Action, origin: Origin, findings: dict[FormatFinding, None]) -> OutAction:
    """Return *action* as a profile has it, and name what it loses."""
    match action:
        case Deny(errno):
            return OutAction("SCMP_ACT_ERRNO", errno)
        case Trace(data):
            return OutAction("SCMP_ACT_TRACE", data)
        case Return(0):
            return OutAction("SCMP_ACT_ERRNO", 0)  # an errno of 0: the call does nothing and returns 0
        case Return(value):
            message = f"returns {value}, which a filter cannot: refused with EPERM"
            findings[FormatFinding(message, origin)] = None
            return OutAction("SCMP_ACT_ERRNO", 1)
        case Handle(handler):
            findings[FormatFinding(f"handler {handler!r} is for whoever listens", origin)] = None
        case Log():
            findings[FormatFinding("an event of ours becomes a line in the kernel's log", origin)] = None
        case Trap(data) if data:
            findings[FormatFinding(f"si_errno {data} of a trap is left out", origin)] = None
        case _:
            pass
    return OutAction(_NAMES[type(action)])


_MADE: Final[Mapping[str, Action]] = {
    "SCMP_ACT_ALLOW": Allow(),
    "SCMP_ACT_KILL_PROCESS": KillProcess(),
    "SCMP_ACT_KILL_THREAD": KillThread(),
    "SCMP_ACT_LOG": Audit(),
    "SCMP_ACT_NOTIFY": Ask(),
    "SCMP_ACT_TRAP": Trap(),
}


def _action_of(out: OutAction) -> Action:
    if out.errno is None:
        return _MADE[out.name]
    return Deny(out.errno) if out.name == "SCMP_ACT_ERRNO" else Trace(out.errno)


def _note_multiplexers(
    policy: Policy,
    arches: frozenset[Arch],
    rows: Mapping[tuple[OutAction, tuple[Comparison, ...]], Sequence[str]],
    findings: dict[FormatFinding, None],
) -> None:
    listed = {name for calls in rows.values() for name in calls}
    for call, behind in behind_multiplexers().items():
        where = ", ".join(arch.table for arch in Arch if arch in MULTIPLEXED & arches)
        if where and listed & behind and call not in listed:
            said = ", ".join(sorted(listed & behind))
            message = f"what is said of {said} libseccomp says of {call} too, on {where}"
            findings[FormatFinding(message, policy.origin)] = None


def _note_tables(policy: Policy, findings: dict[FormatFinding, None]) -> None:
    for layer in policy.layers():
        for table in layer.tables:
            message = f"[{table}] is the supervisor's to enforce: a profile knows calls and registers, no more"
            findings[FormatFinding(message, layer.origin)] = None
        if layer.other_arch == "enosys":
            message = "calls of other ABIs fail with ENOSYS; under a profile the thread is killed"
            findings[FormatFinding(message, layer.origin)] = None


def _note_unknown(policy: Policy, findings: dict[FormatFinding, None]) -> None:
    for layer in policy.layers():
        if layer.known_as_of is not None and layer.default != Deny(38):
            message = (
                "calls that no table names fail with ENOSYS; so they do under runc above the highest number that the"
                " profile names, elsewhere the default decides"
            )
            findings[FormatFinding(message, layer.origin, kind=Kind.NOTE)] = None
