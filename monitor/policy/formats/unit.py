"""
A policy as a drop-in for a systemd unit: ``SystemCallFilter=`` and what belongs to it.

What it is not: the reading of one (``settings``, which says where the facts come from).

A drop-in lists calls, and for each that is refused an errno: no registers, no ABIs of their own, no
order.  What a policy decides by them is refused as a whole, and a finding names the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, assert_never

from monitor.abi.arch import Arch
from monitor.abi.constants import errno_name, values
from monitor.abi.syscalls import names
from monitor.origin import Origin
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
)
from monitor.policy.condition import ALWAYS
from monitor.policy.formats import Dumped, FormatFinding
from monitor.policy.formats.regions import Cases, TooManyClausesError, cases_of
from monitor.policy.formats.scmp import NATIVE
from monitor.policy.formats.settings import ARCHES, groups
from monitor.policy.model import Policy

_WIDTH: Final = 100

_ENOSYS: Final = values("errno", Arch.X86_64)["ENOSYS"]


def dump(policy: Policy, *, machine: Arch | None = None) -> Dumped:
    """Return *policy* as a drop-in, for the ABIs of *machine* alone where one is given."""
    writer = _Writer(policy, machine)
    lines = ["[Service]", *writer.lines()]
    return Dumped("\n".join(lines) + "\n", tuple(writer.findings))


class _Writer:
    """One policy on its way out, and what was found on it."""

    def __init__(self, policy: Policy, machine: Arch | None) -> None:
        self._policy = policy
        self._arches = (policy.arches or frozenset(Arch)) & (frozenset(Arch) if machine is None else machine.family())
        self.findings: dict[FormatFinding, None] = {}

    def lines(self) -> Iterator[str]:
        policy = self._policy
        self._note()
        default = self._simple(max((layer.default for layer in policy.layers()), key=rank), policy.origin)
        said = {name: self._said(name) for name in sorted({name for arch in self._arches for name in names(arch)})}
        if default == Deny(0):
            self.findings[FormatFinding("no default can make every call succeed: refused", policy.origin)] = None
            default = Deny()
        # A drop-in adds to what the unit says; an empty assignment takes that back.
        yield "SystemCallFilter="
        if policy.arches is not None:
            yield "SystemCallArchitectures="
            yield f"SystemCallArchitectures={_architectures(self._arches)}"
        yield f"SystemCallErrorNumber={errno_name(default.errno) if isinstance(default, Deny) else ''}"
        if isinstance(default, Deny | KillProcess):
            yield from self._allow_list(said, default)
        else:
            yield from _refusals({name: action for name, action in said.items() if not _runs(action)})
        yield from self._log_lines(said, default)

    def _log_lines(self, said: Mapping[str, Action], default: Action) -> Iterator[str]:
        logged = [name for name, action in said.items() if action == Audit()]
        if logged or default == Audit():
            yield "SystemCallLog="
        if default == Audit():
            silent = [name for name, action in said.items() if action != Audit()]
            yield from _wrapped("SystemCallLog=~", silent) if silent else ["SystemCallLog=~"]
        else:
            yield from _wrapped("SystemCallLog=", logged)

    def _allow_list(self, said: Mapping[str, Action], default: Action) -> Iterator[str]:
        allowed = [name for name, action in said.items() if _runs(action)]
        yield from _wrapped("SystemCallFilter=", allowed or ["@default"])
        # What systemd adds to every list of allowed calls has to be taken away again.
        refused = [name for name in groups()["@default"] if said.get(name) == default]
        yield from _wrapped("SystemCallFilter=~", refused)
        yield from _refusals({name: action for name, action in said.items() if not _runs(action) and action != default})

    def _said(self, name: str) -> Action:
        """Return the one thing that is said of call *name*."""
        having = [arch for arch in Arch if arch in self._arches and name in names(arch)]
        policy = self._policy
        try:
            by_arch = [cases_of(policy, arch, name) for arch in having]
        except TooManyClausesError:
            by_arch = []
        cases: Iterable[Cases] = by_arch
        said = {self._simple(case.action, self._origin(each)) for each in cases for case in each}
        if len(said) == 1:
            return said.pop()
        if any(case.condition != ALWAYS for each in cases for case in each) or not said:
            what = "what registers hold"
        else:
            what = "the ABI"
        message = f"{name} is decided by {what}, which this setting cannot: the strictest action is written"
        self.findings[FormatFinding(message, policy.origin)] = None
        return max(said, key=rank) if said else KillProcess()

    def _origin(self, cases: Cases) -> Origin:
        rule = cases[0].rule
        return self._policy.origin if rule is None else rule.origin

    def _simple(self, action: Action, origin: Origin) -> Action:
        """Return *action* as one of ``Allow``, ``Audit``, ``Deny`` and ``KillProcess``, and name what that loses."""
        if isinstance(action, Allow | Audit | KillProcess | Deny):
            return action
        why, instead = _nearest(action)
        if why:
            self.findings[FormatFinding(why, origin)] = None
        return instead

    def _note(self) -> None:
        for layer in self._policy.layers():
            for table in layer.tables:
                message = f"[{table}] is the supervisor's to enforce: systemd's filters know calls, no more"
                self.findings[FormatFinding(message, layer.origin)] = None
            if layer.other_arch == "enosys":
                message = "calls of other ABIs fail with ENOSYS; here they kill"
                self.findings[FormatFinding(message, layer.origin)] = None
            if layer.known_as_of is not None and layer.default != Deny(_ENOSYS):
                message = "calls that no table names fail with ENOSYS; here they are decided by the default"
                self.findings[FormatFinding(message, layer.origin)] = None


def _nearest(action: Log | KillThread | Ask | Handle | Return | Trace | Trap) -> tuple[str, Action]:
    """Return what is written for an action that these settings lack, and why it is another."""
    what: tuple[str, Action]
    match action:
        case Log():
            what = "an event of ours becomes a line in the kernel's log", Audit()
        case KillThread():
            what = "kills the process, not the thread alone", KillProcess()
        case Ask(errno):
            what = "nobody can be asked: refused", Deny(errno)
        case Handle(handler):
            what = f"handler {handler!r} is not there: refused", Deny()
        case Return(0):
            what = "", Deny(0)  # an errno of 0: the call does nothing and returns 0
        case Return(value):
            what = f"returns {value}, which a filter cannot: refused", Deny()
        case Trace():
            what = "no tracer is told: refused as without one", Deny(_ENOSYS)
        case Trap():
            what = "a trap is no action of this setting: the process is killed", KillProcess()
        case _:
            assert_never(action)
    return what


def _runs(action: Action) -> bool:
    return isinstance(action, Allow | Audit)


def _architectures(arches: frozenset[Arch]) -> str:
    """Return the words for *arches*; ``native`` where there are only machines' own, which are always meant."""
    listed = [word for word, arch in ARCHES.items() if arch in arches]
    return "native" if arches <= NATIVE else " ".join(listed)


def _refusals(said: Mapping[str, Action]) -> Iterator[str]:
    """Yield lines of refused calls, each with its errno."""
    yield from _wrapped("SystemCallFilter=~", [f"{name}:{_answer(action)}" for name, action in said.items()])


def _answer(action: Action) -> str:
    if not isinstance(action, Deny):
        return "kill"
    return errno_name(action.errno) if action.errno else "0"


def _wrapped(head: str, words: Sequence[str]) -> Iterator[str]:
    """Yield settings with *words*, as many as fit into a line; none for no word."""
    line = head
    for word in words:
        if len(line) + 1 + len(word) > _WIDTH and line != head:
            yield line
            line = head
        line += word if line == head else f" {word}"
    if line != head:
        yield line
