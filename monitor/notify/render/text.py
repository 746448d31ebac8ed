"""
Bytes and numbers as strace writes them.

What it is not: a look at anything.  It is all text from values, and what it returns is one line of
printable ASCII whatever the values: a target cannot forge a second line, or talk to a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_PLAIN: Final = re.compile(rb"[ !#-\[\]-~]*").fullmatch
_SPECIAL: Final = re.compile(rb"[^ !#-\[\]-~](?=([0-7])?)", re.DOTALL)
_SPECIAL_IN_BRACKETS: Final = re.compile(rb"[^ -;=?-\[\]-~](?=([0-7])?)", re.DOTALL)
_SHORT: Final = {
    b'"': b'\\"',
    b"\\": b"\\\\",
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
    b"\v": b"\\v",
    b"\f": b"\\f",
}


def quoted(data: bytes, *, cut: bool = False) -> str:
    """Return ``"data"`` with C's escapes, octal ones as short as can be; ``...`` behind it where it was *cut*."""
    text = data.decode("ascii") if _PLAIN(data) else _SPECIAL.sub(_escape, data).decode("ascii")
    return f'"{text}"...' if cut else f'"{text}"'


def hex_quoted(data: bytes, *, cut: bool = False) -> str:
    r"""Return ``"\x00\x2f"``: bytes that are no text; ``...`` behind them where they were *cut*."""
    text = "".join(f"\\x{byte:02x}" for byte in data)
    return f'"{text}"...' if cut else f'"{text}"'


def bracketed(data: bytes) -> str:
    """Return ``<data>``, as the path of an fd stands behind it."""
    return f"<{_SPECIAL_IN_BRACKETS.sub(_escape, data).decode('ascii')}>"


def printable(data: str) -> str:
    """Return *data*, such as a command name, without anything that a terminal would obey."""
    return _SPECIAL.sub(_escape, data.encode("utf-8", "surrogateescape")).decode("ascii")


def _escape(match: re.Match[bytes]) -> bytes:
    char = match[0]
    short = _SHORT.get(char)
    if short is not None:
        return short
    # An octal digit behind it would be read as its own: then all three are written.
    return (b"\\%03o" if match[1] else b"\\%o") % char[0]


def address(value: int) -> str:
    """Return a pointer."""
    return f"{value:#x}" if value else "NULL"


def hexadecimal(value: int) -> str:
    """Return C's ``%#x``, which writes 0 as ``0``."""
    return f"{value:#x}" if value else "0"


def padded(value: int, width: int = 8) -> str:
    """Return C's ``%#08x``: the prefix counts in *width*, and 0 has none."""
    return f"{value:#0{width}x}" if value else "0" * width


def octal(value: int) -> str:
    """Return permissions as C's ``%#03o`` does: ``0644``, ``000``."""
    return f"0{value:o}".rjust(3, "0")


def array(items: Iterable[str], *, cut: bool = False) -> str:
    """Return ``[one, two]``; ``[one, two, ...]`` where there is more."""
    listed = list(items)
    return f"[{', '.join([*listed, '...'] if cut else listed)}]"


def structure(fields: Iterable[tuple[str, str]], *, cut: bool = False) -> str:
    """Return ``{name=value, value}``, a field without a name as its value; ``{one, ...}`` where there is more."""
    listed = [f"{name}={value}" if name else value for name, value in fields]
    return f"{{{', '.join([*listed, '...'] if cut else listed)}}}"
