"""
What there is to say about the patterns of a policy's tables: which never decide, name nothing, or have two names.

What it is not: a look at a file system; whoever asks brings one along, as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from monitor.origin import NOWHERE, Origin
from monitor.policy.action import Allow
from monitor.policy.addresses import AddressPattern
from monitor.policy.coverage import Idle, idle_patterns
from monitor.policy.deciders import Deciders, PathTable, Resolve, deciders, is_the_targets
from monitor.policy.findings import Finding
from monitor.policy.layout import shown, value_text
from monitor.policy.model import Policy
from monitor.policy.network import IdleAddress
from monitor.policy.paths import PathPattern


class TwoNames(NamedTuple):
    """
    A pattern that stands for two names, because links lead its head elsewhere.

    Attributes:
        pattern: as it was written, its variables replaced.
        other: where links lead.
        origin: where it stands.
    """

    pattern: str
    other: str
    origin: Origin


def two_names(policy: Policy, resolve: Resolve) -> Iterator[TwoNames]:
    """
    Yield the patterns of *policy* that have two names in the view of *resolve*.

    Raises:
        PolicyError: a pattern that was not read from a file is none.
    """
    made = deciders(policy, resolve)
    for path in _paths(made):
        if path.resolved_text is not None:
            yield TwoNames(path.text, path.resolved_text, path.origin)
    for one in _addresses(made):
        if one.path is not None and one.path.resolved_text is not None:
            yield TwoNames(one.text, f"{'!' if one.carves_out else ''}unix:{one.path.resolved_text}", one.origin)


def missing(policy: Policy, exists: Callable[[bytes], bool]) -> Iterator[Finding]:
    """
    Yield the paths of ``[files]`` and ``[exec]`` without a star of which *exists* says that they are not there.

    Sockets are left out, which come and go with their servers, and what is the target's own.

    Raises:
        PolicyError: a pattern that was not read from a file is none.
    """
    for path in _paths(deciders(policy)):
        if path.is_literal and not is_the_targets(path.head) and not exists(path.head):
            text = f"there is no {shown(path.text.removeprefix('!'))} on this machine"
            yield Finding("E-NO-SUCH-PATH", text, "correct the name, if it is not one that comes later", path.origin)


def covered(policy: Policy) -> Iterator[Finding]:
    """
    Yield the patterns of each layer that never decide, because others cover them and say something else.

    Those that only repeat what others say are no mistake: where ``$PROJECT`` lies is not theirs to know.

    Raises:
        PolicyError: a pattern that was not read from a file is none.
    """
    made = deciders(policy)
    for table in _path_tables(made):
        own = {id(rule) for rule in table.own_rules}
        for idle in idle_patterns(table.table):
            if id(idle.rule) in own and not _is_repetition(idle):
                yield _covered(idle)
    for one in made.network:
        for address in one.table.idle_patterns():
            if not _is_repetition(address):
                yield _covered(address)


def _is_repetition(idle: Idle | IdleAddress) -> bool:
    """Whether what covers the pattern says what it would say."""
    if idle.by is None or idle.by_rule is None:
        return False
    if idle.by_rule is idle.rule:
        return idle.by.carves_out == idle.pattern.carves_out
    if idle.pattern.carves_out:  # what is not allowed here is refused there
        return isinstance(idle.rule.action, Allow) and not isinstance(idle.by_rule.action, Allow)
    return idle.by_rule.action == idle.rule.action


def _path_tables(made: Deciders) -> Iterable[PathTable]:
    """Return every table once: that of class ``exec`` may be a ``[files]``."""
    return [*made.files, *(table for table in made.exec if table.name == "exec")]


def _paths(made: Deciders) -> Iterator[PathPattern]:
    for table in _path_tables(made):
        for rule in table.own_rules:
            yield from rule.paths.patterns


def _addresses(made: Deciders) -> Iterator[AddressPattern]:
    for table in made.network:
        for rule in table.table.rules:
            yield from rule.addresses.patterns


def _covered(idle: Idle | IdleAddress) -> Finding:
    pattern, by = idle.pattern, idle.by
    if by is None:
        what = (
            "nothing in its list is covered by it" if pattern.carves_out else "others decide about all that it covers"
        )
        return Finding("E-COVERED", f"{shown(pattern.text)} never decides: {what}", "leave it out", pattern.origin)
    where = "" if by.origin == NOWHERE else f" ({_place(by.origin)})"
    text = f"{shown(pattern.text)} never decides: {shown(by.text)}{where} covers it"
    return Finding("E-COVERED", text, _hint(idle), pattern.origin)


def _hint(idle: Idle | IdleAddress) -> str:
    """Return what would let the pattern decide."""
    if idle.by is not None and idle.by_rule is idle.rule:
        return f"write it behind {shown(idle.by.text)}, or leave it out"
    if idle.carve_out is None or idle.by_rule is None:
        return "leave it out"
    key = idle.by_rule.origin.key
    where = f" of {key}" if key else ""
    return f"write {value_text(idle.carve_out)} at the end of the list{where}, or leave it out"


def _place(origin: Origin) -> str:
    return f"{origin}, {origin.key}" if origin.line and origin.key else str(origin)
