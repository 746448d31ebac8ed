"""
The keys of an agent's configuration file and the types of their values, as cattrs checks them.

What it is not: what they mean (``configuration``).  What stands here is what docs/agent.md lists.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from attrs import frozen

Source: TypeAlias = Literal["metadata", "annotation", "rules"]


@frozen(kw_only=True)
class AgentShape:
    """``[agent]``."""

    version: Literal[1]
    socket: str | None = None
    mode: str | None = None
    uids: list[int] | None = None
    control: str | None = None
    policies: str | None = None
    default: str | None = None
    sources: list[str] | None = None
    metadata_picks: list[str] | None = None
    annotation: str | None = None
    annotation_picks: list[str] | None = None
    containers: int | None = None
    connections: int | None = None


@frozen(kw_only=True)
class RuleShape:
    """``[[rules]]``."""

    policy: str
    id: str | None = None
    bundle: str | None = None
    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    cgroup: str | None = None
    user_namespace: bool | None = None


@frozen(kw_only=True)
class TreatmentShape:
    """``[[policies]]``."""

    name: str
    observe: bool = False
    on_failure: str | None = None
    answer_seconds: int | None = None
    ask_seconds: int | None = None


@frozen(kw_only=True)
class ConfigurationShape:
    """The file."""

    CALLED: ClassVar[str] = "an agent's configuration"

    agent: AgentShape
    rules: list[RuleShape] | None = None
    policies: list[TreatmentShape] | None = None
