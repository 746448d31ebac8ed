"""
What the tables of a policy plainly mean: the texts of its lists, read one after the other.

What it is not: made of anything that joins them in the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import attrs
from hypothesis import strategies as st

from monitor.origin import Origin
from monitor.policy.endpoints import Address
from monitor.policy.model import Policy
from monitor.policy.tables import Exec, FileRule, Files, Network, Written
from tests.policy import plain
from tests.policy.test_addresses import plainly_matches
from tests.policy.test_addresses import texts as address_texts

STRONGEST_FIRST = ("hide", "deny", "ask", "handle", "allow")

READ = {"read", "stat", "readlink", "xattr-get", "list", "chdir", "watch"}
OTHERS = {"exec", "chroot", "mount", "mount-source", "umount", "open-tree", "pivot-root", "swap", "quota", "acct"}


class Line(NamedTuple):
    """One list: what it does to which classes, and its texts."""

    action: str
    about: str
    texts: tuple[str, ...]
    errno: int | None = None

    def speaks_of(self, access: str) -> bool:
        if self.about == "everything":
            return True
        if self.about == "read":
            return access in READ
        if self.about == "write":
            return access not in OTHERS and (access not in READ or self.action == "allow")
        return access == self.about


class Answer(NamedTuple):
    action: str
    text: str | None
    errno: int | None = None


def texts_of(written: Sequence[Written]) -> tuple[str, ...]:
    return tuple(one.text for one in written)


def lines_of(files: Files) -> Iterator[Line]:
    yield Line("hide", "everything", texts_of(files.hide))
    yield Line("deny", "everything", texts_of(files.deny))
    yield Line("ask", "everything", texts_of(files.ask))
    yield Line("allow", "read", texts_of(files.read))
    yield Line("allow", "write", texts_of(files.write))
    for rule in files.rules:
        for about in rule.access or ("everything",):
            yield Line(rule.action, about, texts_of(rule.paths), rule.errno)


def exec_lines_of(table: Exec) -> Iterator[Line]:
    yield Line("deny", "exec", texts_of(table.deny))
    yield Line("ask", "exec", texts_of(table.ask))
    yield Line("allow", "exec", texts_of(table.allow))


def last_text(texts: Sequence[str], name: bytes) -> str | None:
    """Return the last of *texts* that covers *name*; None: none does, or that one takes it away."""
    parts = plain.parts_of(name)
    last = None
    for one in texts:
        if any(plain.matches(plain.pieces_of(one), parts[:length]) for length in range(len(parts) + 1)):
            last = one
    return None if last is None or last.startswith("!") else last


def decided(lines: Sequence[Line], access: str, name: bytes, otherwise: str) -> Answer:
    for action in STRONGEST_FIRST:
        for line in lines:
            if line.action == action and line.speaks_of(access):
                text = last_text(line.texts, name)
                if text is not None:
                    return Answer(action, text, line.errno or (13 if action == "deny" else None))
    return Answer(otherwise, None)


def parts_of(layer: Policy) -> list[Policy]:
    return [layer, *parts_of(layer.extends)] if layer.extends is not None else [layer]


def decide_alone(layer: Policy, access: str, name: bytes) -> Answer | None:
    """Return what one layer says; None: nothing.  The base set has no name that is drawn here."""
    files = [table for part in parts_of(layer) if isinstance(table := part.tables.get("files"), Files)]
    execs = [table for part in parts_of(layer) if isinstance(table := part.tables.get("exec"), Exec)]
    lines = [line for table in files for line in lines_of(table)]
    if access == "exec" and execs:
        own = [line for table in execs for line in exec_lines_of(table)]
        return decided([*own, *lines], access, name, execs[0].otherwise)
    if not files or (access == "exec" and files[0].exec) or (access == "bind" and files[0].unix):
        return None
    return decided(lines, access, name, files[0].otherwise)


def decide_address_alone(layer: Policy, access: str, address: Address) -> Answer | None:
    networks = [table for part in parts_of(layer) if isinstance(table := part.tables.get("network"), Network)]
    if not networks:
        return None
    lists = [
        (action, texts_of(texts))
        for table in networks
        for action, texts in (
            ("deny", table.deny),
            ("ask", table.ask),
            ("allow", table.connect if access == "connect" else table.bind),
        )
    ]
    for action in STRONGEST_FIRST:
        for kind, texts in lists:
            covering = [text for text in texts if plainly_matches(text.removeprefix("!"), address)]
            if kind == action and covering and not covering[-1].startswith("!"):
                return Answer(action, covering[-1])
    return Answer(networks[0].otherwise, None)


def most_restrictive(answers: Sequence[Answer | None]) -> Answer | None:
    given = [answer for answer in answers if answer is not None]
    return min(given, key=lambda answer: STRONGEST_FIRST.index(answer.action), default=None)


# ---- drawn ----


_LINES = count(1)
"""So that no two patterns stand at one place."""


def _carved(texts: list[tuple[str, bool]]) -> tuple[Written, ...]:
    return tuple(
        Written(f"!{text}" if carved and place else text, origin=Origin("drawn", next(_LINES)))
        for place, (text, carved) in enumerate(texts)
    )


LISTS = st.lists(st.tuples(plain.texts, st.booleans()), max_size=3).map(_carved)
ADDRESSES = st.lists(st.tuples(address_texts, st.booleans()), max_size=3).map(_carved)
OTHERWISE = st.sampled_from(["allow", "deny", "ask"])
WORDS = st.sampled_from([None, ("read",), ("write",), ("delete", "read"), ("exec",)])


def _rule(paths: tuple[Written, ...], action: str, access: tuple[str, ...] | None) -> FileRule:
    extra = {"deny": {"errno": 1}, "handle": {"handler": "h"}}.get(action, {})
    return FileRule(paths, action, access=access, **extra)  # type: ignore[arg-type]


RULES = st.builds(_rule, LISTS.filter(bool), st.sampled_from(STRONGEST_FIRST), WORDS)
FILES = st.builds(
    Files,
    read=LISTS, write=LISTS, deny=LISTS, hide=LISTS, ask=LISTS,
    rules=st.lists(RULES, max_size=2).map(tuple),
    otherwise=OTHERWISE,
    exec=st.sampled_from([None, None, "unverified"]),
    unix=st.sampled_from([None, None, "unmediated"]),
)  # fmt: skip
EXECS = st.builds(Exec, allow=LISTS, deny=LISTS, ask=LISTS, otherwise=OTHERWISE)
NETWORKS = st.builds(Network, connect=ADDRESSES, bind=ADDRESSES, deny=ADDRESSES, ask=ADDRESSES, otherwise=OTHERWISE)
TABLES = st.fixed_dictionaries({}, optional={"files": FILES, "exec": EXECS, "network": NETWORKS})
POLICY = st.builds(Policy, st.just("drawn"), tables=TABLES)


def _stacked(policies: list[Policy], extended: list[Policy | None]) -> Policy:
    layers = [attrs.evolve(one, extends=other) for one, other in zip(policies, extended, strict=True)]
    return attrs.evolve(layers[0], includes=tuple(layers[1:]))


POLICIES = st.integers(1, 3).flatmap(
    lambda count: st.builds(
        _stacked,
        st.lists(POLICY, min_size=count, max_size=count),
        st.lists(st.none() | POLICY, min_size=count, max_size=count),
    )
)
"""Of one to three layers, each of which may extend another policy."""

ACCESSES = ("read", "write", "stat", "delete", "exec", "bind", "mount")
