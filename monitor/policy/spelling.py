"""
Actions as a policy file spells them: ``action = "deny"``, ``errno = "EPERM"``, and back.

What it is not: what they mean (``action``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from monitor.abi.arch import Arch
from monitor.abi.constants import values
from monitor.abi.seccomp import MAX_ERRNO
from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy import action as actions
from monitor.policy.action import Action
from monitor.policy.shapes import ActionShape
from monitor.policy.vocabulary import nearest

RESTARTS: Final = range(512, 517)
"""What the kernel keeps for itself and would act on (include/linux/errno.h, ``ERESTARTSYS`` and those after it)."""

_PLAIN: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "allow": actions.Allow(),
        "log": actions.Log(),
        "audit": actions.Audit(),
        "kill": actions.KillProcess(),
        "kill-thread": actions.KillThread(),
    }
)
"""The actions that are said with one word."""

_PLAIN_NAMES: Final = {action: name for name, action in _PLAIN.items()}

_TAKES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "deny": frozenset({"errno"}),
        "ask": frozenset({"errno"}),
        "return": frozenset({"value"}),
        "handle": frozenset({"handler", "parameters"}),
        "trap": frozenset({"data"}),
        "trace": frozenset({"data"}),
    }
)
"""Action -> the keys that may stand beside it; for those that are not here, none."""

_NEEDS: Final = {"return": "value", "handle": "handler"}

_KEYS: Final = ("errno", "value", "data", "handler", "parameters")


def action_of(shape: ActionShape, at: Callable[[str], Origin]) -> Action:
    """
    Return the action that *shape* spells; *at* tells where its keys stand.

    Raises:
        PolicyError: a key that means nothing here, one that is missing, or a value out of range.
    """
    name = shape.action
    for key in _KEYS:
        if getattr(shape, key) is not None and key not in _TAKES.get(name, frozenset()):
            message = f"{key!r} means nothing beside action = {name!r}"
            raise PolicyError(message, at(key))
    needed = _NEEDS.get(name)
    if needed is not None and getattr(shape, needed) is None:
        message = f"action = {name!r} needs {needed!r}"
        raise PolicyError(message, at("action"))
    return _built(shape, at)


def _built(shape: ActionShape, at: Callable[[str], Origin]) -> Action:  # noqa: PLR0911  # one for each of a closed list
    match shape.action:
        case "deny":
            return actions.Deny() if shape.errno is None else actions.Deny(errno_of(shape.errno, at("errno")))
        case "ask":
            return actions.Ask() if shape.errno is None else actions.Ask(errno_of(shape.errno, at("errno"), lowest=1))
        case "return":
            return actions.Return(_within(shape.value or 0, (1 << 63) - 1, at("value")))
        case "trap":
            return actions.Trap(_within(shape.data or 0, 0xFFFF, at("data")))
        case "trace":
            return actions.Trace(_within(shape.data or 0, 0xFFFF, at("data")))
        case "handle":
            if not shape.handler:
                message = "the name of a handler is missing"
                raise PolicyError(message, at("handler"))
            return actions.Handle(shape.handler, shape.parameters or {})
        case _:
            return _PLAIN[shape.action]


def _within(value: int, highest: int, origin: Origin) -> int:
    if 0 <= value <= highest:
        return value
    message = f"{value} is not in 0..{highest}"
    raise PolicyError(message, origin)


def errno_of(written: int | str, origin: Origin | None = None, *, lowest: int = 0) -> int:
    """
    Return the errno that was *written*, as a name or a number.

    Raises:
        PolicyError: no such name, a number out of range, or one that the kernel keeps for itself.
    """
    if isinstance(written, str):
        if written in _errnos():
            return _errnos()[written]
        message = f"{written!r} is no errno{nearest(written, _errnos())}"
        raise PolicyError(message, origin)
    if written in RESTARTS:
        message = f"errno {written} restarts a call inside of the kernel; a program must never see it"
        raise PolicyError(message, origin)
    if not lowest <= written <= MAX_ERRNO:
        message = f"errno {written} is not in {lowest}..{MAX_ERRNO}"
        raise PolicyError(message, origin)
    return written


def errno_text(errno: int) -> int | str:
    """Return the name of *errno*, or the number where it has none."""
    return _errno_names().get(errno, errno)


@cache
def _errnos() -> Mapping[str, int]:
    """Return the errnos that have one number on every ABI: an action has no ABI."""
    every = [values("errno", arch) for arch in Arch]
    return MappingProxyType(
        {name: number for name, number in every[0].items() if all(one.get(name) == number for one in every)}
    )


@cache
def _errno_names() -> Mapping[int, str]:
    # Of two names the first is the usual one: EAGAIN, not EWOULDBLOCK.
    return MappingProxyType({number: name for name, number in sorted(_errnos().items(), reverse=True)})


def keys_of(action: Action, *, exact_errno: bool = True) -> Mapping[str, object]:  # noqa: PLR0911  # one for each
    """Return the keys that spell *action*, in their order."""
    match action:
        case actions.Deny(errno):
            return {"action": "deny", "errno": errno_text(errno)} if exact_errno else {"action": "deny"}
        case actions.Ask(errno):
            return {"action": "ask", "errno": errno_text(errno)}
        case actions.Return(value):
            return {"action": "return", "value": value}
        case actions.Trap(data):
            return {"action": "trap", "data": data}
        case actions.Trace(data):
            return {"action": "trace", "data": data}
        case actions.Handle(handler, parameters):
            keys: dict[str, object] = {"action": "handle", "handler": handler}
            return keys | {"parameters": dict(parameters)} if parameters else keys
        case _:
            return {"action": _PLAIN_NAMES[action]}
