"""
The distribution: what pyproject.toml promises is in the tree, and what is in the tree is promised.

What it is not: a build; .ci/run makes the sdist, the wheel from it, and uses that elsewhere.
"""

from __future__ import annotations

import importlib
import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest

import monitor

ROOT: Final = Path(__file__).parent.parent
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SHIM: Final[dict[str, Any]] = PROJECT["tool"]["setuptools"]["ext-modules"][0]


def requirements(lines: list[str]) -> set[str]:
    return {re.split(r"[ <>=!;\[]", line)[0] for line in lines}


def test_the_build_needs_no_setup_py_and_no_manifest() -> None:
    assert [name for name in ("setup.py", "setup.cfg", "MANIFEST.in") if (ROOT / name).exists()] == []


def test_every_c_file_is_compiled_and_every_other_one_is_depended_on() -> None:
    """A header that is not named would be missing from the sdist, and a change in it would not rebuild."""
    c_files = {f"native/{path.name}" for path in (ROOT / "native").glob("*.c")}
    others = {f"native/{path.name}" for path in (ROOT / "native").iterdir() if path.suffix in {".h", ".cdef", ".py"}}

    assert set(SHIM["sources"]) == c_files
    assert set(SHIM["depends"]) == others


def test_the_shim_is_built_for_the_stable_abi() -> None:
    assert SHIM["py-limited-api"] is True
    assert PROJECT["tool"]["distutils"]["bdist_wheel"]["py-limited-api"] == "cp311"
    shim = importlib.import_module("monitor._shim")
    assert str(shim.__file__).endswith(".abi3.so")


def test_every_file_that_is_no_python_is_package_data() -> None:
    """What is not named is in the tree and not in the wheel, where it fails at somebody else's place."""
    promised = {
        path.relative_to(ROOT)
        for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    there = {
        path.relative_to(ROOT)
        for path in (ROOT / "monitor").rglob("*")
        if path.is_file() and path.suffix not in {".py", ".so", ".pyc"}
    }

    assert promised == there


def test_run_time_dependencies_are_these() -> None:
    """Each is one more thing that every user has to trust."""
    assert requirements(PROJECT["project"]["dependencies"]) == {
        "attrs",
        "cattrs",
        "cffi",
        "click",
        "pyelftools",
        "trio",
    }


def test_what_is_installed_is_this_version() -> None:
    assert metadata.version("seccomp-monitor") == monitor.__version__ == PROJECT["project"]["version"]


def test_the_command_leads_to_a_function() -> None:
    (command,) = metadata.entry_points(group="console_scripts", name="seccomp-monitor")

    assert callable(command.load())


def test_tools_of_ci_are_pinned() -> None:
    lines = [line for line in (ROOT / ".ci" / "requirements.txt").read_text().splitlines() if not line.startswith("#")]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w\[\]-]+==[\w.]+", line)] == []


@pytest.mark.parametrize("function", re.findall(r"\b(mon_\w+)\(", (ROOT / "native" / "shim.cdef").read_text()))
def test_every_function_of_the_contract_is_compiled_in(function: str) -> None:
    assert hasattr(importlib.import_module("monitor._shim").lib, function)


def test_the_contract_and_its_copy_for_cffi_name_the_same_functions_in_the_same_order() -> None:
    """shim.h explains, shim.cdef repeats."""
    names = [
        list(dict.fromkeys(re.findall(r"^[\w ]+?\**\b(mon_\w+)\(", text, re.MULTILINE)))
        for text in ((ROOT / "native" / file).read_text() for file in ("shim.h", "shim.cdef"))
    ]

    assert names[0] == names[1] != []
