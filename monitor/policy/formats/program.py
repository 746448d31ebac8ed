"""
A policy as the bytes of its program alone: an array of ``struct sock_filter``, as bwrap(1) takes one.

What it is not: what a supervisor installs (``compile``).  Nobody answers there what is notified, so that a
program which goes out alone notifies nothing: who would be asked is not there, and the call is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from attrs import evolve, frozen

from monitor.abi.arch import Arch
from monitor.abi.constants import errno_name
from monitor.abi.seccomp import MAX_INSTRUCTIONS
from monitor.origin import Origin
from monitor.policy.action import Action, Allow, Ask, Audit, Deny, Handle, Log, Return
from monitor.policy.blob import ByteOrder, write_blob
from monitor.policy.compile import compile_policy
from monitor.policy.formats import FormatFinding, Kind
from monitor.policy.model import Policy, Rule

Change: TypeAlias = Callable[[Action], Action]


@frozen
class DumpedProgram:
    """
    A policy as the bytes of a program.

    Attributes:
        data: the file.
        findings: what the policy says that a program alone cannot; where one of them is ``lost``, *data* is the
            stricter.
    """

    data: bytes
    findings: tuple[FormatFinding, ...] = ()


def dump(policy: Policy, *, machine: Arch) -> DumpedProgram:
    """
    Return the program of *policy* for the ABIs that *machine* can run, in its byte order.

    Raises:
        ProgramTooLongError: more instructions than the kernel takes.
        PolicyError: a condition names an argument that a call has not.
    """
    compiled = compile_policy(_alone(policy), machine.family(), guarded=False, limit=MAX_INSTRUCTIONS)
    order: ByteOrder = "little" if machine.little_endian else "big"
    return DumpedProgram(write_blob(compiled.program, order), tuple(_findings(policy)))


# ---- what it says where nobody answers ----


def _alone(policy: Policy) -> Policy:
    """
    Return the policy that answers every call as *policy* does where nobody is asked and no handler is there.

    A refusal in the place of an ask must not win over the errno that another layer gives the same call: an
    ask would have lost.  So the layers stand there three times: first as if nobody had to answer anything,
    then with asks refused, then with handled calls refused; the most restrictive wins, and of equals the first.
    """
    copies = dict.fromkeys(_changed(policy, change) for change in (_unanswered, _unasked, _unhandled))
    return Policy(policy.name, other_arch=policy.other_arch, includes=copies, origin=policy.origin)


def _changed(policy: Policy, change: Change) -> Policy:
    default = change(policy.default)
    return evolve(
        policy,
        default=default,
        exact_errno=policy.exact_errno or default != policy.default,
        rules=[_changed_rule(rule, change) for rule in policy.rules],
        includes=[_changed(layer, change) for layer in policy.includes],
        extends=None if policy.extends is None else _changed(policy.extends, change),
        tables={},
    )


def _changed_rule(rule: Rule, change: Change) -> Rule:
    action = change(rule.action)
    return evolve(rule, action=action, exact_errno=rule.exact_errno or action != rule.action, mutable=False)


def _unanswered(action: Action) -> Action:
    match action:
        case Ask() | Handle():
            return Allow()
        case Log():
            return Audit()
        case Return(value) if value:
            return Deny()
        case _:
            return action


def _unasked(action: Action) -> Action:
    return Deny(action.errno) if isinstance(action, Ask) else _unanswered(action)


def _unhandled(action: Action) -> Action:
    return Deny() if isinstance(action, Handle) else _unanswered(action)


# ---- what that loses ----


class _Said(NamedTuple):
    """An action, and where it stands."""

    action: Action
    origin: Origin


def _findings(policy: Policy) -> dict[FormatFinding, None]:
    findings: dict[FormatFinding, None] = {}
    for layer in policy.layers():
        rules = list(layer.all_rules())
        for said in (_Said(layer.default, layer.origin), *(_Said(rule.action, rule.origin) for rule in rules)):
            message = _lost(said.action)
            if message:
                findings[FormatFinding(message, said.origin)] = None
        for rule in rules:
            if rule.mutable:
                message = "is mutable: a program cannot be changed once it is installed"
                findings[FormatFinding(message, rule.origin, kind=Kind.NOTE)] = None
        for table in layer.tables:
            message = f"[{table}] is the supervisor's to enforce: a program knows calls and registers, no more"
            findings[FormatFinding(message, layer.origin)] = None
    findings[FormatFinding(_NAMELESS, policy.origin, kind=Kind.NOTE)] = None
    return findings


_NAMELESS: Final = "names, reasons and places of rules are not in a program, which has numbers alone"


def _lost(action: Action) -> str:
    """Return what *action* loses; nothing for one that a program has."""
    match action:
        case Ask(errno):
            return f"nobody can be asked: refused with {errno_name(errno)}"
        case Handle(handler):
            return f"handler {handler!r} is not there: refused with EPERM"
        case Log():
            return "an event of ours becomes a line in the kernel's log"
        case Return(value) if value:
            return f"returns {value}, which a filter cannot: refused with EPERM"
        case _:
            return ""
