"""
What a supervisor tells over the control socket, as a terminal can be shown it.

What it is not: the protocol (``approve.wire``).  Names in it are the target's choice: nothing comes out of here
that a terminal would obey.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from monitor.approve.wire import Json, bytes_of
from monitor.notify.render.text import printable


def about_lines(question: Mapping[str, Json], verb: str = "") -> Iterator[str]:
    """Yield what *question* is about: a line for each name and rule, with the classes of access that are asked for."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for about in objects(question.get("about")):
        key = text(about.get("path")), text(about.get("rule")), text(about.get("reason"))
        found.setdefault(key, []).append(text(about.get("access")) or "uses")
    for (path, rule, reason), access in found.items():
        what = f"{', '.join(access)} {path}; " if path else ""
        yield f"{what}{rule}{f' {verb}' if verb else ''}{f': {reason}' if reason else ''}"


def asked_by(question: Mapping[str, Json]) -> str:
    """Return who waits for the answer of *question*."""
    where = f", container {text(question['container'])}" if question.get("container") else ""
    return f"{text(question['comm'])}, thread {question['tid']}{where}"


def tried_lines(ruling: Json, most: int) -> Iterator[str]:
    """Yield the rules and patterns that were tried, *most* lines of them, from what ``rules`` tells."""
    tried: list[str] = []
    is_tried = False
    for one in map(line, values(ruling)):
        is_tried = one.endswith(" tried:") or (is_tried and one.startswith(" "))
        if is_tried:
            tried.append(one)
    yield from tried[:most]
    if len(tried) > most:
        yield "  and others: rules shows them"


def why_not_always(question: Mapping[str, Json]) -> str:
    """Return why *question* cannot be answered for always."""
    if question.get("refused"):
        return "this is refused, and a grant lifts only what a policy asks"
    if not objects(question.get("suggestions")):
        return "a grant answers what a policy asks, of programs and about names that a file can tell of"
    return "no --grants FILE"


def objects(said: Json) -> list[dict[str, Json]]:
    """Return the objects of a list; none where it is no list."""
    return [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []


def values(said: Json) -> list[Json]:
    """Return the values of a list or of an object; none where it is neither."""
    if isinstance(said, dict):
        return list(said.values())
    return said if isinstance(said, list) else []


def shown(data: bytes) -> str:
    """Return *data* as text without anything that a terminal would obey."""
    return printable(data.decode("utf-8", "surrogateescape"))


def text(said: Json) -> str:
    """Return *said* likewise: text, bytes that are none, a number, or a list of those; nothing for null."""
    if isinstance(said, dict) and "b64" in said:
        return shown(bytes_of(said))
    if isinstance(said, list):
        return ", ".join(text(one) for one in said)
    return printable(str(said)) if said is not None else ""


def line(said: Json) -> str:
    """Return a line that was made for people, as it is: only what a terminal would obey is escaped."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(said))
