"""
What a rule says shall happen to a call: a closed list.

What it is not: the value a filter returns for it (``compile``), or the verdict of a handler.

The order in which they win over each other, where layers of policies disagree, is that of the
kernel for stacked filters (seccomp(2), "Filters with multiple actions"), with what the supervisor
answers where SECCOMP_RET_USER_NOTIF stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EPERM
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import field, frozen, validators

from monitor.abi.seccomp import MAX_ERRNO
from monitor.errors import PolicyError
from monitor.origin import Origin

_DATA: Final = [validators.ge(0), validators.le(0xFFFF)]
"""What a filter can return beside its action: 16 bits (``SECCOMP_RET_DATA``)."""


@frozen
class KillProcess:
    """The process dies of SIGSYS."""


@frozen
class KillThread:
    """The thread dies of SIGSYS, the others of its process live on.  Only foreign profiles ask for it."""


@frozen
class Trap:
    """The thread gets SIGSYS, which it may handle; *data* is ``si_errno``."""

    data: int = field(default=0, validator=_DATA)


@frozen
class Deny:
    """The call fails with *errno*."""

    errno: int = field(default=EPERM, validator=[validators.ge(0), validators.le(MAX_ERRNO)])


@frozen
class Return:
    """The call returns *value* and does nothing."""

    value: int = field(validator=[validators.ge(0), validators.lt(1 << 63)])


@frozen
class Ask:
    """Somebody is asked; without anybody to ask the call fails with *errno*."""

    errno: int = field(default=EPERM, validator=[validators.ge(1), validators.le(MAX_ERRNO)])


def _frozen_mapping(given: Mapping[str, object]) -> Mapping[str, object]:
    return MappingProxyType(dict(given))


@frozen
class Handle:
    """The handler of that name decides, with *parameters*."""

    handler: str = field(validator=validators.min_len(1))
    parameters: Mapping[str, object] = field(factory=dict[str, object], converter=_frozen_mapping, hash=False)


@frozen
class Trace:
    """A tracer is told, with *data*; without one the call fails with ENOSYS.  Only foreign profiles ask for it."""

    data: int = field(default=0, validator=_DATA)


@frozen
class Audit:
    """The call runs, and the kernel's log says so."""


@frozen
class Log:
    """The call runs, and an event says so."""


@frozen
class Allow:
    """The call runs."""


Action: TypeAlias = KillProcess | KillThread | Trap | Deny | Return | Ask | Handle | Trace | Audit | Log | Allow

_RANKS: Final[Mapping[type, int]] = MappingProxyType(
    {
        KillProcess: 9,
        KillThread: 8,
        Trap: 7,
        Deny: 6,
        Return: 6,
        Ask: 5,
        Handle: 4,
        Trace: 3,
        Audit: 2,
        Log: 1,
        Allow: 0,
    }
)


def rank(action: Action) -> int:
    """Return how restrictive *action* is: where layers disagree, the highest wins."""
    return _RANKS[type(action)]


_FILTERS_ONLY: Final[Mapping[type, str]] = MappingProxyType(
    {KillThread: "kill-thread", Trap: "trap", Trace: "trace", Audit: "audit"}
)


def refuse_change(action: Action, origin: Origin | None) -> None:
    """
    Do nothing, if a rule that says *action* can be mutable: then we answer its calls, and no filter.

    A signal that we send can be handled or ignored, which the kernel's own SIGSYS of a killed thread cannot,
    and it tells nothing of the call; a call that is continued is neither shown to a tracer nor logged.

    Raises:
        PolicyError: no response to a notification does it.
    """
    word = _FILTERS_ONLY.get(type(action))
    if word is not None:
        message = f"{word!r} cannot be mutable: what is mutable is answered by us, and only a filter does {word!r}"
        raise PolicyError(message, origin)


def is_refusal(action: Action) -> bool:
    """Whether the call does not run, whoever is asked: no handler lifts such an action."""
    return rank(action) >= _RANKS[Return]
