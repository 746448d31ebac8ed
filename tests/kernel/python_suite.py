"""
Run tests of Python's own, and write down what came of each: ``python_suite.py ANSWERS MODULE|ID...``.

What it is not: regrtest, whose own processes and time limits would be compared too.  It runs under the
Python whose tests they are, and imports nothing of ours.
"""
# ruff: noqa: N802, N815  # the names are unittest's

from __future__ import annotations

import json
import os
import sys
import unittest
from pathlib import Path
from typing import Any, Final

WORST: Final = ("passed", "skipped", "expected", "unexpected", "failed")


class Noted(unittest.TestResult):
    """The outcome of each test by its name, with why; of its parts, the worst one."""

    def __init__(self) -> None:
        """Note nothing yet."""
        super().__init__()
        self.noted: dict[str, tuple[str, str]] = {}

    def _note(self, test: Any, outcome: str, why: str = "") -> None:
        name = test.id()
        if name not in self.noted or WORST.index(outcome) > WORST.index(self.noted[name][0]):
            self.noted[name] = outcome, why

    def addSuccess(self, test: Any) -> None:
        """Note it."""
        self._note(test, "passed")

    def addSkip(self, test: Any, reason: str) -> None:
        """Note it, and why."""
        self._note(test, "skipped", reason)

    def addFailure(self, test: Any, err: Any) -> None:
        """Note it, and where."""
        self._note(test, "failed", self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    addError = addFailure

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        """Note it of the whole test, if it failed."""
        if err is not None:
            why = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]
            self._note(test, "failed", f"{subtest}: {why}")

    def addExpectedFailure(self, test: Any, _err: Any) -> None:
        """Note it."""
        self._note(test, "expected")

    def addUnexpectedSuccess(self, test: Any) -> None:
        """Note it."""
        self._note(test, "unexpected")


def main(answers: str, *names: str) -> None:
    """Run the tests of *names*, and write to the file *answers*."""
    process = os.getpid()
    result = Noted()
    with Path(answers).open("w", encoding="utf-8") as output:  # before tests change directories and limits
        unittest.defaultTestLoader.loadTestsFromNames(names).run(result)
        if os.getpid() != process:
            os._exit(1)  # the child of a test that failed in it
        json.dump(result.noted, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
