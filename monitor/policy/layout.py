"""
Values as TOML text: one key to a line, long lists one element to a line.

What it is not: an editor of texts (``edit``), or a choice of keys (``writing``).

Source: TOML 1.0.0, https://toml.io/en/v1.0.0, "String", "Keys".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from typing import Final, cast

_WIDE: Final = 100
"""A list that is longer in one line is written in several."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")

_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def block(header: str, keys: Mapping[str, object]) -> str:
    """Return a table: *header*, and *keys* below it."""
    lines = [header, *(f"{key_text(key)} = {value_text(value)}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def key_text(key: str) -> str:
    """Return *key* as it stands before an equals sign."""
    return key if _BARE.fullmatch(key) else _string(key)


def shown(text: str) -> str:
    """Return *text* for a line that people read: as it is, or as TOML has it where not all of it can be seen."""
    return text if text.isprintable() else _string(text)


def visible(text: str) -> str:
    """Return *text*, of several lines, for people: what cannot be seen, or would be obeyed, is escaped."""
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\U{ord(char):08x}" for char in text)


def value_text(value: object) -> str:
    """Return *value* as it stands behind an equals sign.  Raises TypeError: TOML has no such values."""
    if isinstance(value, list | tuple):
        elements = [_inline(one) for one in cast("list[object]", value)]
        line = f"[{', '.join(elements)}]"
        return line if len(line) <= _WIDE else "".join(["[\n", *(f"    {element},\n" for element in elements), "]"])
    return _inline(value)


def _inline(value: object) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)  # of floats with a point or an exponent, or inf and nan, as TOML has them
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_inline(one) for one in cast('list[object]', value))}]"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return f"{{ {', '.join(f'{key_text(key)} = {_inline(inner)}' for key, inner in pairs)} }}" if pairs else "{}"
    message = f"TOML has no {type(value).__name__}"
    raise TypeError(message)


def _string(text: str) -> str:
    # Control characters may not stand in a string as they are, and DEL is one of them.
    escaped = (_ESCAPES.get(char) or (char if char.isprintable() else f"\\U{ord(char):08x}") for char in text)
    return f'"{"".join(escaped)}"'
