"""
Python's own tests of files and processes come to the same with every file call done for them.

Test by test: what passes natively passes, what is skipped is skipped for the same reason.  The few that
differ under a policy are named below, each with the refusal that it meets; one that no longer differs is
an error too.

    MONITOR_PYTHON_SUITE=all python -m pytest tests/kernel/test_python_suite.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import HERE, require

PYTHON: Final = "/usr/bin/python3"

ALL: Final = os.environ.get("MONITOR_PYTHON_SUITE") == "all"

FILES: Final = tuple(f"test.test_{name}" for name in ("os", "posix", "pathlib", "shutil", "tempfile", "fcntl", "stat"))
PROCESSES: Final = ("test.test_subprocess",) if ALL else ("test.test_subprocess.POSIXProcessTestCase",)
"""All of it, but for the waiting: most of test_subprocess waits for time-outs, twice."""

BROKERED: Final = (("policy", FILES), ("policy", PROCESSES), *((("handler", FILES),) if ALL else ()))
"""A handler alone does nothing for threads with other ids, which test_subprocess makes, and a policy refuses."""

_SOCKET = "gives a socket a name in a directory, which the second wall refuses"

REFUSED: Final[Mapping[str, str]] = {
    "test_fcntl.TestFcntl.test_fcntl_64_bit": "F_NOTIFY signals what others do in a directory",
    "test_os.ProgramPriorityTests.test_set_get_priority": "names itself by its number, which could be another's",
    "test_pathlib.PathTest.test_is_socket_true": _SOCKET,
    "test_pathlib.PosixPathTest.test_is_socket_true": _SOCKET,
    "test_posix.PosixTester.test_fexecve": "executes a descriptor, which has no path to judge it by",
    "test_stat.TestFilemodeCStat.test_socket": _SOCKET,
    "test_stat.TestFilemodePyStat.test_socket": _SOCKET,
}
"""What ``[files]`` and what lies beneath it refuse on purpose."""


Outcomes = dict[str, tuple[str, str]]


def outcomes(directory: Path, supervisor: list[str], names: tuple[str, ...]) -> Outcomes:
    """Return what came of the tests *names*, in a new *directory*."""
    directory.mkdir()
    answers = directory.parent / f"{directory.name}.json"
    suite = str(HERE / "kernel" / "python_suite.py")
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(directory), "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(sys.path) if supervisor else "", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [*supervisor, "env", "-u", "PYTHONPATH", PYTHON, suite, str(answers), *names],
        cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]
    return {name: (outcome, why) for name, (outcome, why) in json.loads(answers.read_text()).items()}


def different(native: Outcomes, brokered: Outcomes) -> dict[str, Any]:
    """Return the tests whose outcome differs, or the reason for which they are skipped."""
    nothing = "not run", ""
    pairs = {name: (native.get(name, nothing), brokered.get(name, nothing)) for name in native.keys() | brokered.keys()}
    return {
        name.removeprefix("test."): pair
        for name, pair in pairs.items()
        if pair[0][0] != pair[1][0] or (pair[0][0] == "skipped" and pair[0] != pair[1])
    }


@pytest.mark.root  # an ordinary user runs them at night
@pytest.mark.seconds(1200 if ALL else 240)
def test_python_s_own_tests_come_to_the_same(tmp_path: Path) -> None:
    found = subprocess.run(
        [PYTHON, "-c", "import test; open(test.__path__[0] + '/test_os.py')"], capture_output=True, check=False
    )
    require("libpython3.11-testsuite", found.returncode == 0)
    broker = [sys.executable, "-P", str(HERE / "conformance" / "files_broker.py")]
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = [
            (way, names, pool.submit(outcomes, tmp_path / f"{way}-{len(names)}", [*broker, way], names))
            for way, names in BROKERED
        ]
        native = {
            names: pool.submit(outcomes, tmp_path / f"natively-{len(names)}", [], names) for names in (PROCESSES, FILES)
        }

    assert len(native[FILES].result()) > 1200
    assert sum(outcome == "passed" for outcome, _ in native[FILES].result().values()) > 900
    assert sum(outcome == "passed" for outcome, _ in native[PROCESSES].result().values()) > 50
    for way, names, run in runs:
        differs = different(native[names].result(), run.result())
        known = REFUSED
        if (way, names) != ("policy", FILES):
            known = {}
        assert {name: pair for name, pair in differs.items() if name not in known} == {}
        assert known.keys() - differs.keys() == set()
