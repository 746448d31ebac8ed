"""
From what a policy says of a call to what its program returns for it, and what that is in plain words.

What it is not: the program (``compile``).  ``answer`` is the meaning that the program must agree with
for every call of every arch.

What stays in BPF: a refusal costs nothing there, outlives the supervisor, and no handler lifts it.
What is notified: whatever needs us (``ask``, ``handle``, ``log``, a value to return), whatever may still
change (``mutable``), and whatever would run and a handler wants to see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from errno import EBUSY, ENOSYS
from typing import Final, NamedTuple, assert_never

from monitor.abi.arch import Arch
from monitor.abi.seccomp import ACTION_MASK, SET_MODE_FILTER, FilterFlag, RetValue
from monitor.abi.syscalls import number_of
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
    is_refusal,
    rank,
)
from monitor.policy.condition import AllOf, Condition, Test
from monitor.policy.model import Decision, Policy
from monitor.policy.numbers import EVERY, Numbers, owner

NOTIFY: Final = RetValue.USER_NOTIF.value

LISTENER_REFUSED: Final = RetValue.ERRNO | EBUSY
"""
What a target gets that asks for a listener of its own, where the policy does not refuse more.

When the supervisor is gone, its listener is closed and the kernel no longer refuses a second one.  Of
two filters that both notify the newer wins, so that the target could answer its own calls.  EBUSY is
what the kernel itself says while our listener is open (kernel/seccomp.c, ``has_duplicate_listener``).
"""

ASKS_FOR_LISTENER: Final[Condition] = AllOf(
    (
        # The kernel takes operation and flags as unsigned int: their high halves mean nothing.
        Test(0, "==", width=32, value=SET_MODE_FILTER),
        Test(1, "!=", width=32, mask=FilterFlag.NEW_LISTENER.value, value=0),
    )
)
"""When seccomp(2) makes a listener."""

_REFUSALS: Final = frozenset({RetValue.KILL_PROCESS, RetValue.KILL_THREAD, RetValue.TRAP, RetValue.ERRNO})


def is_final(value: int) -> bool:
    """Whether a filter that returns *value* has refused the call, with nobody left to ask."""
    return value & ACTION_MASK in _REFUSALS


def is_ours_to_refuse(value: int) -> bool:
    """
    Whether a filter that returns *value* refuses a call in a way in which a response refuses it, too.

    ENOSYS is no refusal to speak of: that is what a kernel says which has no such call, and a libc goes on
    with another one.  An errno of 0 is none at all.
    """
    if value & ACTION_MASK == RetValue.ERRNO:
        return value not in {RetValue.ERRNO.value, RetValue.ERRNO | ENOSYS}
    return value & ACTION_MASK == RetValue.KILL_PROCESS


def value_of(action: Action) -> int:  # noqa: PLR0911  # one for each of a closed list
    """Return what a filter returns for *action*."""
    match action:
        case KillProcess():
            return RetValue.KILL_PROCESS.value
        case KillThread():
            return RetValue.KILL_THREAD.value
        case Trap(data):
            return RetValue.TRAP | data
        case Deny(errno):
            return RetValue.ERRNO | errno
        case Return(0):
            return RetValue.ERRNO.value
        case Return() | Ask() | Handle() | Log():
            return NOTIFY
        case Trace(data):
            return RetValue.TRACE | data
        case Audit():
            return RetValue.LOG.value
        case Allow():
            return RetValue.ALLOW.value
        case _:
            assert_never(action)


class Standing(NamedTuple):
    """
    What the layers heard so far have said about a call.

    Attributes:
        rank: of the most restrictive of them; -1 before the first one.
        value: what a filter returns for it.
        refused: whether it is a refusal, in BPF or by us.
        mutable: whether its rule can still be changed.
        unsettled: whether any layer's rule can.
    """

    rank: int
    value: int
    refused: bool
    mutable: bool
    unsettled: bool

    def after(self, decision: Decision) -> Standing:
        """Return the standing when a further layer has said *decision*; of equals the first counts."""
        mutable = decision.rule is not None and decision.rule.mutable
        unsettled = self.unsettled or mutable
        if rank(decision.action) <= self.rank:
            return self._replace(unsettled=unsettled)
        refused = is_refusal(decision.action)
        return Standing(rank(decision.action), value_of(decision.action), refused, mutable, unsettled)

    def settled(self, *, wanted: bool, observe: bool, refusals: bool = False) -> int:
        """
        Return what the program returns, if no layer is left.

        *wanted*: a handler wants to see the call if it would run.  *observe*: nothing is refused, and
        what would have been refused is notified.  *refusals*: so is what is refused, if we can refuse it.
        """
        if self.mutable or (observe and (self.refused or self.value & ACTION_MASK == RetValue.TRACE)):
            return NOTIFY
        if refusals and is_ours_to_refuse(self.value):
            return NOTIFY
        if is_final(self.value):
            return self.value
        return NOTIFY if wanted or self.unsettled else self.value


NOTHING_SAID: Final = Standing(-1, RetValue.ALLOW.value, refused=False, mutable=False, unsettled=False)


def standing_of(decisions: Iterable[Decision]) -> Standing:
    """Return what the *decisions* of all layers come to."""
    standing = NOTHING_SAID
    for decision in decisions:
        standing = standing.after(decision)
    return standing


def answer(
    policy: Policy,
    arches: Collection[Arch],
    audit_value: int,
    nr: int,
    args: Sequence[int],
    *,
    notified: Mapping[Arch, Numbers] | None = None,
    observe: bool = False,
    refusals: bool = False,
) -> int:
    """
    Return what the program of *policy* for *arches* returns for a call: its meaning, for readers and tests.

    The parameters are those of ``compile.compile_policy``, and the call's.
    """
    arch = owner(audit_value, nr)
    if arch is None or arch not in arches:
        return standing_of(elsewhere(policy)).settled(wanted=False, observe=observe, refusals=refusals)
    numbers = (notified or {}).get(arch, frozenset())
    decisions = (layer.decide_alone(arch, nr, args) for layer in policy.layers())
    wanted = numbers is EVERY or nr in numbers
    value = standing_of(decisions).settled(wanted=wanted, observe=observe, refusals=refusals)
    if nr == number_of(arch, "seccomp") and ASKS_FOR_LISTENER.holds(args) and not is_final(value):
        return LISTENER_REFUSED
    return value


def elsewhere(policy: Policy) -> tuple[Decision, ...]:
    """Return what each layer says about calls of an ABI for which the program was not made."""
    return tuple(layer.decide_elsewhere() for layer in policy.layers())
