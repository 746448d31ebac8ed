"""
The keys of a policy file and the types of their values, as cattrs checks them.

What it is not: what they mean (``text``, ``tables``).  A dash in a key is an underscore here; a key
that may be left out is None.  What stands here is what docs/policy.md lists.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, TypeAlias

from attrs import frozen

Plain: TypeAlias = object
"""Whatever TOML can hold."""

Mapped: TypeAlias = dict[str, Plain]

Moment: TypeAlias = date
"""A date, or a date with a time, which is one, too."""

Access: TypeAlias = Literal["allow", "deny", "ask"]

ActionName: TypeAlias = Literal[
    "allow", "log", "audit", "deny", "return", "kill", "ask", "handle", "kill-thread", "trap", "trace"
]


@frozen(kw_only=True)
class ActionShape:
    """What shall happen: inline, as ``syscalls-default`` may have it."""

    action: ActionName
    errno: int | str | None = None
    value: int | None = None
    data: int | None = None
    handler: str | None = None
    parameters: Mapped | None = None


@frozen(kw_only=True)
class RuleShape(ActionShape):
    """``[[syscalls]]``."""

    names: list[str]
    when: str | None = None
    arches: list[str] | None = None
    mutable: bool = False
    reason: str = ""


@frozen(kw_only=True)
class PolicyShape:
    """``[policy]``."""

    version: Literal[1]
    name: str | None = None
    reason: str = ""
    include: list[str] | None = None
    extends: str | None = None
    syscalls_default: str | ActionShape | None = None
    known_as_of: str | None = None
    arches: str | list[str] | None = None
    other_arch: Literal["kill", "enosys"] | None = None


@frozen(kw_only=True)
class FileRuleShape:
    """``[[files.rules]]``."""

    paths: list[str]
    access: list[str] | None = None
    action: Literal["allow", "deny", "hide", "ask", "handle"]
    errno: int | str | None = None
    handler: str | None = None
    parameters: Mapped | None = None
    reason: str = ""


@frozen(kw_only=True)
class FilesShape:
    """``[files]``."""

    read: list[str] | None = None
    write: list[str] | None = None
    deny: list[str] | None = None
    hide: list[str] | None = None
    ask: list[str] | None = None
    otherwise: Access | None = None
    base: bool = True
    enforce: Literal["broker", "kernel"] = "broker"
    exec: Literal["unverified"] | None = None
    unix: Literal["unmediated"] | None = None
    rules: list[FileRuleShape] | None = None


@frozen(kw_only=True)
class NetworkShape:
    """``[network]``."""

    connect: list[str] | None = None
    bind: list[str] | None = None
    deny: list[str] | None = None
    ask: list[str] | None = None
    otherwise: Access | None = None


@frozen(kw_only=True)
class ExecShape:
    """``[exec]``."""

    allow: list[str] | None = None
    deny: list[str] | None = None
    ask: list[str] | None = None
    otherwise: Access | None = None


@frozen(kw_only=True)
class LimitsShape:
    """``[limits]``."""

    processes: int | None = None


@frozen(kw_only=True)
class GrantShape:
    """``[[grants]]``."""

    call: str
    verdict: Literal["allow", "deny"]
    when: str | None = None
    paths: list[str] | None = None
    access: list[str] | None = None
    addresses: list[str] | None = None
    program: str | None = None
    errno: int | str | None = None
    expires: Moment | None = None
    when_granted: Moment | None = None
    why: str = ""


@frozen(kw_only=True)
class FileShape:
    """A whole file."""

    policy: PolicyShape
    syscalls: list[RuleShape] | None = None
    files: FilesShape | None = None
    network: NetworkShape | None = None
    exec: ExecShape | None = None
    limits: LimitsShape | None = None
    grants: list[GrantShape] | None = None


@frozen(kw_only=True)
class GrantsShape:
    """A file of nothing but remembered answers."""

    grants: list[GrantShape] | None = None


TABLES: dict[str, type] = {
    "policy": PolicyShape,
    "syscalls": RuleShape,
    "files": FilesShape,
    "files.rules": FileRuleShape,
    "network": NetworkShape,
    "exec": ExecShape,
    "limits": LimitsShape,
    "grants": GrantShape,
}
"""Header -> its keys: where a key belongs that stands in a wrong place."""

ARRAYS: frozenset[str] = frozenset({"syscalls", "files.rules", "grants"})
"""The headers that are written with two brackets."""
