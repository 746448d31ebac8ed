"""
How much of a call is shown to people.

What it is not: the showing (``render``), which is imported when the first call is shown.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen, validators

STRING_LIMIT: Final = 32
"""How much of a string is shown unless more is asked for (strace(1), ``-s``)."""


@frozen
class Look:
    """
    What to show.

    *string_limit* is in bytes, and bounds the items of arrays too; paths are always shown whole.
    *fd_paths* puts behind each fd what it is open on.
    """

    string_limit: int = field(default=STRING_LIMIT, validator=[validators.ge(0), validators.le(1 << 16)])
    fd_paths: bool = False


DEFAULT_LOOK: Final = Look()
"""What strace shows without options."""
