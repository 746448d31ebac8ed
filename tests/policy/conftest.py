"""What the tests of policies share: how many examples each property saw is printed at the end."""

from __future__ import annotations

import pytest

from tests.policy.drawn import EXAMPLES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in sorted(EXAMPLES.items()):
        terminalreporter.write_line(f"{name}: {count} examples")
