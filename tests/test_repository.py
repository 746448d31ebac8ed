"""
The tree as it lies there: what stands at the top, and what no file may say.

What it is not: a linter; ruff, mypy and pyright are run by .ci/run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent

AT_THE_TOP: Final = frozenset(
    {
        ".ci",
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "docs",
        "examples",
        "monitor",
        "native",
        "pyproject.toml",
        "tests",
    }
)

MADE_BY_TOOLS: Final = frozenset(
    {
        ".git",
        ".hypothesis",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".venv",
        "__pycache__",
        "build",
        "dist",
        "seccomp_monitor.egg-info",
    }
)
"""What .gitignore names, and git's own."""

WORDS: Final = ("../" + "shared", "TO" + "DO", "FIX" + "ME", "XX" + "X")
"""Put together here, so that this file may be searched too."""


def files() -> Iterator[Path]:
    """Yield every file that is ours."""
    for directory, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in MADE_BY_TOOLS]
        yield from (Path(directory, name) for name in names if not name.endswith(".so"))


def test_nothing_stands_at_the_top_that_does_not_belong_there() -> None:
    found = {path.name for path in ROOT.iterdir()}

    assert found - MADE_BY_TOOLS == AT_THE_TOP


def test_what_tools_leave_behind_is_ignored_by_git() -> None:
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}

    assert MADE_BY_TOOLS - {".git"} - {"seccomp_monitor.egg-info"} <= ignored
    assert "*.egg-info" in ignored


@pytest.mark.parametrize("word", WORDS)
def test_no_file_says(word: str) -> None:
    """Work that is left belongs in the tracker, and what a file needs lies in this tree."""
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    found = [str(path.relative_to(ROOT)) for path in files() if pattern.search(path.read_text(errors="replace"))]

    assert found == []


def test_every_script_of_ci_can_be_executed() -> None:
    scripts = [path for path in (ROOT / ".ci").rglob("*") if path.is_file() and path.suffix not in {".txt", ".md"}]

    assert scripts
    assert [str(path) for path in scripts if not os.access(path, os.X_OK)] == []
    assert [str(path) for path in scripts if not path.read_text().startswith("#!")] == []


def test_no_test_is_skipped_in_silence() -> None:
    """``require`` names the feature and fails where it must be there; marks that skip do neither."""
    marks = re.compile("pytest\\.(mark\\.skip|mark\\.xfail|importorskip|" + "xfail)")
    found = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py") if marks.search(path.read_text())]

    assert found == []
