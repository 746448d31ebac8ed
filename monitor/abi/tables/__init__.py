"""
The data files and the one place that reads them: each is parsed at first use, then kept.

What it is not: answers.  ``syscalls``, ``constants`` and ``groups`` give those.  README.md in
this folder says where the facts come from.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from monitor.abi.tables.shapes import ClassesShape, ConstantsShape, GroupsShape, SyscallsShape, TypesShape


@cache
def syscalls() -> SyscallsShape:
    """Return numbers and signatures."""
    return cast("SyscallsShape", _read("syscalls"))


@cache
def types() -> TypesShape:
    """Return the widths and signs of arguments."""
    return cast("TypesShape", _read("types"))


@cache
def constants() -> ConstantsShape:
    """Return named values."""
    return cast("ConstantsShape", _read("constants"))


@cache
def classes() -> ClassesShape:
    """Return the classes of strace."""
    return cast("ClassesShape", _read("classes"))


@cache
def groups() -> GroupsShape:
    """Return the groups of systemd."""
    return cast("GroupsShape", _read("groups"))


def _read(name: str) -> object:
    # A program that only shows its usage never parses a table, and is spared this import too.
    import json  # noqa: PLC0415

    return cast("object", json.loads(Path(__file__).with_name(f"{name}.json").read_bytes()))
