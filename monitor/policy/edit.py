"""
Edits of a policy file that somebody wrote: a rule more, a remembered answer more or less.

What it is not: a check of the policy that comes out; whoever edits loads it.  An edit inserts lines
or takes lines away, and every other byte stays what it was.  docs/decisions/0007-edits-are-splices.md
says why no library does this.
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Collection, Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import cast

from monitor.errors import PolicyError
from monitor.origin import Origin
from monitor.policy.layout import block
from monitor.policy.model import Rule
from monitor.policy.positions import MAX_PARTS, Block, blocks, long_key
from monitor.policy.positions import Path as Keys
from monitor.policy.tables import Grant
from monitor.policy.writing import grant_keys, rule_keys


def add_rule(text: str, rule: Rule, *, before: int | None = None) -> str:
    """
    Return *text* with *rule* in it: above the rule with the index *before*, or below the last one.

    Raises:
        PolicyError: *text* is no TOML, or its rules are not written with ``[[syscalls]]``.
    """
    return _added(text, "syscalls", rule_keys(rule), before)


def add_grant(text: str, grant: Grant) -> str:
    """
    Return *text* with *grant* behind the others.

    Raises:
        PolicyError: *text* is no TOML, or its grants are not written with ``[[grants]]``.
    """
    return _added(text, "grants", grant_keys(grant), None)


def remove_grant(text: str, index: int) -> str:
    """
    Return *text* without the grant *index*, and without the comment directly above it.

    Raises:
        PolicyError: *text* is no TOML, or has no such grant.
    """
    data = _read(text)
    found = _elements(text, data, "grants")
    if not 0 <= index < len(found):
        message = f"there is no such grant; there are {len(found)}"
        raise PolicyError(message)
    lines = _lines(text)
    first, last = _with_comment(lines, found[index].first), found[index].last
    # The blank lines above go with it, as add_grant() put one there; at the top of a file, those below.
    while first > 1 and not lines[first - 2].strip():
        first -= 1
    while first == 1 and last < len(lines) and not lines[last].strip():
        last += 1
    del lines[first - 1 : last]
    entries = cast("list[object]", data["grants"])
    del entries[index]
    return _checked("".join(lines), data if entries else {key: data[key] for key in data if key != "grants"})


def difference(before: str, after: str, name: str) -> str:
    """Return what an edit changes in the file *name*, as diff -u shows it."""
    return "".join(unified_diff(_lines(before), _lines(after), name, name))


def keys_of(text: str, origin: Origin) -> Collection[str]:
    """
    Return the keys on the top of *text*.

    Raises:
        PolicyError: it is no TOML; *origin* says where it stands.
    """
    try:
        return _read(text).keys()
    except PolicyError as error:
        raise error.at(origin) from None


def save(path: str | os.PathLike[str], text: str) -> None:
    """
    Let the file *path* hold *text*: whoever reads it sees all of it, or what was there before.

    A symbolic link stays one; the mode stays.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    target = Path(os.path.realpath(path))
    with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            if target.exists():
                os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink()
            raise


def _lines(text: str) -> list[str]:
    """Return the lines of *text* with their ends.  Python's own splitlines() sees more ends than TOML has."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _read(text: str) -> dict[str, object]:
    if (place := long_key(text)) is not None:
        message = f"line {place.line} has a key of more than {MAX_PARTS} parts"
        raise PolicyError(message)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"no TOML: {error}"
        raise PolicyError(message) from None


def _elements(text: str, data: Mapping[str, object], name: str) -> Sequence[Block]:
    """Return the lines of each element of the array of tables *name*, its sub-tables included."""
    found = blocks(text)
    entries = cast("Sequence[object]", data.get(name, []))
    own = [found.get((name, index)) for index in range(len(entries))] if isinstance(entries, list) else [None]
    if not all(own) or (name in data and not own):
        message = f"{name} is not written as [[{name}]], and can only be edited by hand"
        raise PolicyError(message)
    last: dict[Keys, int] = {}
    for keys, lines in found.items():
        last[keys[:2]] = max(lines.last, last.get(keys[:2], 0))
    return [Block(one.first, last[name, index]) for index, one in enumerate(own) if one is not None]


def _added(text: str, name: str, keys: Mapping[str, object], before: int | None) -> str:
    data = _read(text)
    found = _elements(text, data, name)
    if before is not None and not 0 <= before < len(found):
        message = f"there is no rule {before}; there are {len(found)}"
        raise PolicyError(message)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = _lines(text)
    entry = [f"{line}{newline}" for line in block(f"[[{name}]]", keys).split("\n")[:-1]]
    if before is not None:
        at = _with_comment(lines, found[before].first) - 1
        entry = [*entry, newline]
    else:
        at = found[-1].last if found else len(lines)
        if at == len(lines) and lines and not lines[-1].endswith("\n"):
            entry = [newline, *entry]  # the last line had no end
        if lines:
            entry = [newline, *entry]
    entries = cast("list[object]", data.setdefault(name, []))
    entries.insert(len(entries) if before is None else before, dict(keys))
    return _checked("".join([*lines[:at], *entry, *lines[at:]]), data)


def _with_comment(lines: Sequence[str], first: int) -> int:
    """Return the line where the comment begins that stands directly above line *first*, or that line."""
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first


def _checked(text: str, expected: Mapping[str, object]) -> str:
    """Return *text*, which says what is *expected*: what stands in a file is never spoiled."""
    if _read(text) == expected:
        return text
    message = "the edit would change more than it should; edit the file by hand"
    raise PolicyError(message)
