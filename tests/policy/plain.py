"""
What patterns, lists and tables of paths plainly mean: definitions to compare with, slow and recursive.

What it is not: fast, or made of anything that the package has.  It reads the texts themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from hypothesis import strategies as st

from monitor.policy.access import CLASSES, PASSING, READ, WRITE
from monitor.policy.action import Allow, Ask, Deny, Handle
from monitor.policy.files import FileAction, FileRule, FileTable, Hide
from monitor.policy.paths import PathList, PathPattern

STAR = -1
DEEP = "**"
Piece = str | list[int]


def pieces_of(text: str) -> list[Piece]:
    """Return the components of a pattern: ``**``, or bytes and stars."""
    text = text.removeprefix("!")
    if text == "/":
        return []
    return [piece if piece == DEEP else tokens_of(piece) for piece in text.removeprefix("/").split("/")]


def tokens_of(piece: str) -> list[int]:
    if not piece:
        return []
    if piece.startswith("\\x"):
        return [int(piece[2:4], 16), *tokens_of(piece[4:])]
    if piece.startswith("*"):
        return [STAR, *tokens_of(piece[1:])]
    return [*piece[0].encode(), *tokens_of(piece[1:])]


def component_matches(tokens: Sequence[int], component: bytes) -> bool:
    if not tokens:
        return not component
    if tokens[0] == STAR:
        return any(component_matches(tokens[1:], component[skip:]) for skip in range(len(component) + 1))
    return component[:1] == bytes([tokens[0]]) and component_matches(tokens[1:], component[1:])


def matches(pieces: Sequence[Piece], parts: Sequence[bytes]) -> bool:
    """Whether a name with the components *parts* is what a pattern says."""
    if not pieces:
        return not parts
    first, *rest = pieces
    if isinstance(first, str):
        if not rest:
            return len(parts) >= 1
        return any(matches(rest, parts[skip:]) for skip in range(len(parts) + 1))
    return bool(parts) and component_matches(first, parts[0]) and matches(rest, parts[1:])


def parts_of(name: bytes) -> list[bytes]:
    return [] if name == b"/" else name[1:].split(b"/")


def ways_of(pattern: PathPattern) -> list[list[Piece]]:
    """Return the pattern as it was written, and with its head resolved."""
    written = pieces_of(pattern.text)
    if pattern.resolved_head is None:
        return [written]
    tail = list(written)
    while tail and tail[0] != DEEP and STAR not in tail[0]:
        del tail[0]
    return [written, [*map(list[int], parts_of(pattern.resolved_head)), *tail]]


def covers(pattern: PathPattern, name: bytes) -> bool:
    """Whether the name or a directory above it matches."""
    parts = parts_of(name)
    return any(matches(pieces, parts[:length]) for pieces in ways_of(pattern) for length in range(len(parts) + 1))


def last_match(listed: PathList, name: bytes) -> PathPattern | None:
    last = None
    for pattern in listed.patterns:
        if covers(pattern, name):
            last = pattern
    return last


def decide(table: FileTable, access: str, name: bytes, *, directory: bool = False) -> tuple[FileAction, str | None]:
    """Return the action and the text of the pattern that decided."""
    for kind in (Hide, Deny, Ask, Handle, Allow):
        for rule in table.rules:
            if isinstance(rule.action, kind) and access in rule.access:
                last = last_match(rule.paths, name)
                if last is not None and not last.text.startswith("!"):
                    return rule.action, last.text
    if directory and access in PASSING:
        for rule in table.rules:
            above = leading(rule.paths, name) if isinstance(rule.action, Allow) else None
            if above is not None:
                return rule.action, above.text
    return table.otherwise, None


def leading(listed: PathList, name: bytes) -> PathPattern | None:
    """Return the last pattern that leads to something below *name*, unless a later one carves all of it out."""
    for pattern in reversed(listed.patterns):
        if pattern.text.startswith("!"):
            if covers(pattern, name):
                return None
        elif leads_below(pattern, name):
            return pattern
    return None


def leads_below(pattern: PathPattern, name: bytes) -> bool:
    """Whether the pattern covers *name* or some name below it: whatever is left of it, some name is like that."""
    return any(leads_on(pieces, parts_of(name)) for pieces in ways_of(pattern))


def leads_on(pieces: Sequence[Piece], parts: Sequence[bytes]) -> bool:
    if not pieces or not parts or isinstance(pieces[0], str):
        return True
    return component_matches(pieces[0], parts[0]) and leads_on(pieces[1:], parts[1:])


def names_below(deepest: int, parts: Sequence[bytes]) -> Iterator[bytes]:
    """Yield what may follow a directory's name: the nearest first."""
    for depth in range(1, deepest + 1):
        for chosen in product(parts, repeat=depth):
            yield b"".join(b"/" + part for part in chosen)


components = st.text("ab.", min_size=1, max_size=3).filter(lambda part: part not in {".", ".."}).map(str.encode)
names = st.lists(components, max_size=4).map(lambda parts: b"/" + b"/".join(parts))

literals = ["a", "b", "ab", ".a", "\\x61b"]
globs = ["*", "a*", "*b", "a*b", "*a*", ".*", "*.a", "a*\\x62*b"]
pieces = st.sampled_from([*literals, *literals, *globs, DEEP])


def _written(parts: list[str], is_anchored: bool) -> str:
    if not is_anchored and len(parts) > 1 and parts[0] == DEEP:
        return "/".join(parts)
    return "/" + "/".join(parts)


texts = st.builds(_written, st.lists(pieces, max_size=3), st.booleans())
heads = st.none() | st.lists(st.sampled_from([b"a", b"b"]), max_size=2).map(lambda parts: b"/" + b"/".join(parts))
patterns = st.builds(PathPattern, texts, resolved_head=heads)


def _listed(drawn: list[tuple[PathPattern, bool]]) -> PathList:
    return PathList(
        PathPattern(f"!{pattern.text}", resolved_head=pattern.resolved_head) if carves_out and place else pattern
        for place, (pattern, carves_out) in enumerate(drawn)
    )


lists = st.lists(st.tuples(patterns, st.booleans()), max_size=3).map(_listed)
bundles = st.sampled_from([CLASSES, READ, WRITE, frozenset({"delete"}), frozenset({"stat", "list"})])
actions = st.sampled_from([Hide(), Deny(13), Deny(1), Ask(), Handle("h"), Allow(), Allow(), Allow()])
rules = st.builds(FileRule, lists, bundles, actions)
tables = st.builds(FileTable, st.lists(rules, max_size=4), st.sampled_from([Deny(13), Ask(), Allow()]))

ACCESSES = ("read", "write", "stat", "delete", "list", "exec")
"""One class for each way in which the rules above tell them apart."""
