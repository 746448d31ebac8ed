"""
What a policy's ``[files]`` says: a class of access and a canonical name become a decision.

What it is not: the text of the table, the resolution of names, or an answer to a call.

The plain meaning.  A rule has a list of patterns, classes of access and an action; it applies
where its list covers the name.  Of the rules that apply, the strongest action wins: hide, deny,
ask, handle, allow; of equal ones the rule that was written first.  Where none applies,
``otherwise`` does.  Most specific does not win.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from errno import EACCES, ENOENT
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from attrs import Factory, field, frozen, validators

from monitor.origin import NOWHERE, Origin
from monitor.policy.access import CLASSES, PASSING
from monitor.policy.action import Allow, Ask, Deny, Handle, rank
from monitor.policy.matcher import Found, Matcher
from monitor.policy.paths import PathList, PathPattern, components

_MAKING: Final = frozenset({"create", "mkdir", "mknod", "symlink", "link-target", "rename-target", "bind"})
"""Classes under which a name comes to be: there ENOENT would be about the directory."""


@frozen
class Hide:
    """The name is not there: ENOENT, and no listing has it; it cannot be made either, which is EACCES."""

    def errno_for(self, access: str) -> int:
        """Return the errno with which *access* fails."""
        return EACCES if access in _MAKING else ENOENT


FileAction: TypeAlias = Hide | Deny | Ask | Handle | Allow

REFUSED: Final = Deny(EACCES)
"""What ``deny`` says of files where nobody wrote an errno."""


def strength(action: FileAction) -> int:
    """Return how restrictive *action* is: the highest wins."""
    return rank(Deny()) + 1 if isinstance(action, Hide) else rank(action)


def _classes(classes: Iterable[str]) -> frozenset[str]:
    return frozenset(classes)


@frozen
class FileRule:
    """What shall happen to accesses of some classes, to the names that a list covers."""

    paths: PathList = field(validator=validators.instance_of(PathList))
    access: frozenset[str] = field(
        converter=_classes, validator=[validators.min_len(1), validators.deep_iterable(validators.in_(CLASSES))]
    )
    action: FileAction = field(validator=validators.instance_of((Hide, Deny, Ask, Handle, Allow)))
    reason: str = field(default="", kw_only=True)
    origin: Origin = field(default=NOWHERE, kw_only=True)


class FileDecision(NamedTuple):
    """
    What a table says about one access, and where.

    Attributes:
        action: what shall happen.
        rule: the rule that said so; None: ``otherwise``.
        pattern: the pattern of its list that decided.
        above: whether this is about a directory above what *pattern* allows, and about nothing else.
    """

    action: FileAction
    rule: FileRule | None = None
    pattern: PathPattern | None = None
    above: bool = False

    @property
    def origin(self) -> Origin:
        """Where it was written: NOWHERE for ``otherwise``."""
        if self.pattern is not None and self.pattern.origin != NOWHERE:
            return self.pattern.origin
        return self.rule.origin if self.rule is not None else NOWHERE


def most_restrictive(decisions: Iterable[FileDecision]) -> FileDecision:
    """Return the strongest of *decisions*, of equal ones the first: layers combine so, and doubtful names."""
    return max(decisions, key=lambda decision: strength(decision.action))


class _Place(NamedTuple):
    """
    What it means that the pattern of a bit is the strongest that covers a name.

    Attributes:
        pattern: the pattern.
        rule: the rule in whose list it stands.
        decision: what is decided; None: it carves out, and the rule does not apply.
        weaker: the bits of the rules that come after.
        taken_back_by: the bits that carve out of its list after it.
    """

    pattern: PathPattern
    rule: FileRule
    decision: FileDecision | None
    weaker: int
    taken_back_by: int


def _alike(ranking: Ranking) -> tuple[tuple[str, ...], ...]:
    found: dict[int, list[str]] = {}
    for access, mask in sorted(ranking.masks.items()):
        found.setdefault(mask, []).append(access)
    return tuple(tuple(accesses) for accesses in found.values())


@frozen(eq=False)
class Ranking:
    """
    The patterns of a table, weakest first.

    Every pattern has a bit: the stronger its rule, and the later in its list, the higher.  So the
    highest bit that covers a name decides, or takes its rule out of the question.

    Attributes:
        places: what each bit stands for.
        masks: for each class, the bits of the rules about it.
        allowing: for each rule that allows, strongest first, its bits, and those that do not carve out.
        otherwise: what is decided where no rule applies.
        alike: the classes, those together about which the same rules speak.
    """

    places: tuple[_Place, ...]
    masks: Mapping[str, int]
    allowing: tuple[tuple[int, int], ...]
    otherwise: FileDecision
    alike: tuple[tuple[str, ...], ...] = field(init=False, repr=False, default=Factory(_alike, takes_self=True))

    def decide(self, access: str, found: Found, *, directory: bool) -> FileDecision:
        """Return what is decided about *access* to a name about which the patterns say *found*."""
        rest = found.covering & self.masks[access]
        while rest:
            place = self.places[rest.bit_length() - 1]
            if place.decision is not None:
                return place.decision
            rest &= place.weaker
        if directory and access in PASSING:
            return self._above(found)
        return self.otherwise

    def _above(self, found: Found) -> FileDecision:
        """Return what is decided about passing through a directory about which no rule says anything."""
        for mask, allowed in self.allowing:
            # Whatever covers the directory also covers what is below.
            highest = (found.covering & mask).bit_length()
            ahead = ((found.covering | found.ahead) & allowed).bit_length()
            if ahead and ahead >= highest:
                place = self.places[ahead - 1]
                return FileDecision(place.rule.action, place.rule, place.pattern, above=True)
        return self.otherwise


def ranking_of(rules: Sequence[FileRule], otherwise: Deny | Ask | Allow) -> Ranking:
    """Return the patterns of *rules* by their strength."""
    places: list[_Place] = []
    masks = dict.fromkeys(CLASSES, 0)
    allowing: list[tuple[int, int]] = []
    strongest_first = sorted(rules, key=lambda rule: strength(rule.action), reverse=True)  # keeps the order of equals
    for rule in reversed(strongest_first):
        low = len(places)
        high = low + len(rule.paths.patterns)
        bits = (1 << high) - (1 << low)
        carving = sum(1 << low + index for index, pattern in enumerate(rule.paths.patterns) if pattern.carves_out)
        for bit, pattern in enumerate(rule.paths.patterns, low):
            decision = None if pattern.carves_out else FileDecision(rule.action, rule, pattern)
            places.append(_Place(pattern, rule, decision, (1 << low) - 1, carving >> bit << bit))
        for access in rule.access:
            masks[access] |= bits
        if isinstance(rule.action, Allow):
            allowing.insert(0, (bits, bits & ~carving))
    return Ranking(tuple(places), MappingProxyType(masks), tuple(allowing), FileDecision(otherwise))


def _rules(rules: Iterable[FileRule]) -> tuple[FileRule, ...]:
    return tuple(rules)


def _ranking(table: FileTable) -> Ranking:
    return ranking_of(table.rules, table.otherwise)


def _matcher(table: FileTable) -> Matcher:
    return Matcher(place.pattern for place in table.ranking.places)


@frozen
class FileTable:
    """Rules, and what happens where none of them applies."""

    rules: tuple[FileRule, ...] = field(converter=_rules)
    otherwise: Deny | Ask | Allow = field(default=REFUSED, validator=validators.instance_of((Deny, Ask, Allow)))
    ranking: Ranking = field(init=False, eq=False, repr=False, default=Factory(_ranking, takes_self=True))
    """The same, ready to decide."""
    _matcher: Matcher = field(init=False, eq=False, repr=False, default=Factory(_matcher, takes_self=True))

    def decide(self, access: str, name: bytes, *, directory: bool = False) -> FileDecision:
        """
        Return what shall happen to one access of class *access* to the canonical *name*.

        With *directory* the caller knows that there is a directory of that name: then it may be
        passed through where something below it is allowed (``PASSING``).

        Raises:
            KeyError: there is no such class.
            ValueError: *name* is not canonical.
        """
        return self.ranking.decide(access, self.found(name), directory=directory)

    def found(self, name: bytes) -> Found:
        """Return which patterns, by their bits in ``ranking``, cover the canonical *name*, or something below it."""
        return self._matcher.match(components(name))

    def allowed(self, name: bytes) -> frozenset[str]:
        """Return the classes that are allowed for the canonical *name*, of whatever kind; in one pass."""
        found = self.found(name)
        return frozenset(
            access
            for accesses in self.ranking.alike
            if isinstance(self.ranking.decide(accesses[0], found, directory=False).action, Allow)
            for access in accesses
        )

    def decide_all(self, accesses: Collection[str], name: bytes, *, directory: bool = False) -> FileDecision:
        """Return the most restrictive of the decisions about each of *accesses*, one at least, in one pass."""
        found = self.found(name)
        return most_restrictive(self.ranking.decide(access, found, directory=directory) for access in accesses)
