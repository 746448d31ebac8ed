"""
The policies that come with the package: ``preset:NAME`` stands for ``presets/NAME.toml``.

What it is not: the policies, which are data.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from monitor.errors import PolicyError
from monitor.policy.vocabulary import nearest

PREFIX: Final = "preset:"

_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def names() -> list[str]:
    """Return the names of all presets, sorted."""
    folder = files("monitor.policy") / "presets"
    if not folder.is_dir():
        return []
    return sorted(one.name.removesuffix(".toml") for one in folder.iterdir() if one.name.endswith(".toml"))


def text(name: str) -> str:
    """
    Return the text of the preset *name*.

    Raises:
        PolicyError: there is none; the message lists those there are.
    """
    if not _NAME.fullmatch(name) or name not in names():
        message = f"there is no preset {name!r}{nearest(name, names())}; presets: {', '.join(names()) or 'none'}"
        raise PolicyError(message)
    return (files("monitor.policy") / "presets" / f"{name}.toml").read_text("utf-8")
