"""
Which policy a container gets: by its metadata, by an annotation, by rules, else the default.

What it is not: the file that says so (``configuration``), or the policy.

Each source may say something, or nothing; the first that says something counts.  What it says has to be a policy
that is there and that this source may pick.  If not, the default counts and no other source: whoever names what is
not there has made a mistake, or tries things, and is not given what the next one would have said.  Without a default
everything is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, assert_never

import attrs
from attrs import field, frozen

from monitor.agent.agent import Chosen
from monitor.agent.facts import Facts
from monitor.agent.metadata import MetadataError, names, parsed
from monitor.agent.shapes import Source
from monitor.notify.account import FAILURE
from monitor.origin import Origin
from monitor.policy import action
from monitor.policy.model import Policy
from monitor.policy.paths import PathPattern

SOURCES: Final[tuple[Source, ...]] = ("metadata", "annotation", "rules")

ANNOTATION: Final = "monitor.policy"

_LONGEST: Final = 128
"""Characters of a name that was said, as it is shown."""

NOTHING: Final = Chosen(
    name="(none)",
    why="there is no default",
    policy=Policy("none", action.Deny(FAILURE.errno)),
)
"""What a container gets of which nobody has said anything."""


@frozen
class Rule:
    """
    ``[[rules]]``: the policy of the containers that all of it is true of.

    Attributes:
        policy: its name.
        names: patterns as those of a shell (``*``, ``?``, ``[...]``) for ``id``, ``namespace``, ``pod``, ``container``.
        paths: patterns as those of a policy for ``bundle`` and ``cgroup``.
        user_namespace: whether it has one of its own; None: either.
        origin: where it stands.
    """

    policy: str
    names: Mapping[str, str]
    paths: Mapping[str, PathPattern]
    user_namespace: bool | None
    origin: Origin

    def fits(self, facts: Facts) -> bool:
        """Whether it is about a container of which *facts* are known; what is not known is not true."""
        state = facts.state.state
        said = {"id": state.id, **names(state.annotations)._asdict()}
        where = {"bundle": state.bundle, "cgroup": facts.cgroup}
        return (
            all(said[key] and fnmatchcase(said[key], pattern) for key, pattern in self.names.items())
            and all(_is_path(where[key]) and one.covers(os.fsencode(where[key])) for key, one in self.paths.items())
            and self.user_namespace in (None, facts.in_user_namespace)
        )


def _is_path(said: str) -> bool:
    """Whether *said* is absolute and leads nowhere else: it is compared, and not followed."""
    return said.startswith("/") and ".." not in said.split("/") and "\0" not in said


@frozen
class Choosing:
    """
    Chooses; never fails.

    Attributes:
        policies: by name, each with how it is enforced.
        default: the name of the one that counts where nothing else does.
        sources: which say something, the first before the others.
        metadata_picks: those that the metadata may pick; None: any.
        annotation: the key.
        annotation_picks: those that it may pick.
        rules: in order.
    """

    policies: Mapping[str, Chosen]
    default: str | None = None
    sources: Sequence[Source] = SOURCES
    metadata_picks: frozenset[str] | None = None
    annotation: str = ANNOTATION
    annotation_picks: frozenset[str] = field(default=frozenset[str]())
    rules: Sequence[Rule] = ()

    def __call__(self, facts: Facts) -> Chosen:
        """Return what decides about a container of which *facts* are known."""
        for source in self.sources:
            chosen = self._of(source, facts)
            if chosen is not None:
                return chosen
        return self._default("")

    def _of(self, source: Source, facts: Facts) -> Chosen | None:
        """Return what *source* says; None: nothing."""
        match source:
            case "metadata":
                return self._of_metadata(facts)
            case "annotation":
                return self._of_annotation(facts)
            case "rules":
                rule = next((rule for rule in self.rules if rule.fits(facts)), None)
                return None if rule is None else self._named(rule.policy, str(rule.origin))
            case _:
                assert_never(source)

    def _of_metadata(self, facts: Facts) -> Chosen | None:
        try:
            name = parsed(facts.state.metadata).get("policy")
        except MetadataError as error:
            return self._default(f"listenerMetadata cannot be read: {error}")
        picks = self.metadata_picks
        return (
            None if name is None else self._picked(name, "listenerMetadata", lambda one: picks is None or one in picks)
        )

    def _of_annotation(self, facts: Facts) -> Chosen | None:
        name = facts.state.state.annotations.get(self.annotation)
        where = f"annotation {self.annotation}"
        return None if name is None else self._picked(name, where, self.annotation_picks.__contains__)

    def _picked(self, name: str, where: str, may: Callable[[str], bool]) -> Chosen:
        if name not in self.policies:
            return self._default(f"{where} names {_shown(name)}, which is no policy here")
        if not may(name):
            return self._default(f"{where} names {_shown(name)}, which it may not pick")
        return self._named(name, where)

    def _named(self, name: str, why: str) -> Chosen:
        return attrs.evolve(self.policies[name], why=why)

    def _default(self, why: str) -> Chosen:
        chosen = NOTHING if self.default is None else self._named(self.default, "default")
        return attrs.evolve(chosen, why=f"{chosen.why}: {why}") if why else chosen


def _shown(name: str) -> str:
    return ascii(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")
