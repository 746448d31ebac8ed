"""What the tests of policies share: how many examples each property saw is printed at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.policy.drawn import EXAMPLES

SECONDS: Final = 600
"""For a property with a thousand examples, each of them some programs, on a machine that does other things too."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("seconds") is None:
            item.add_marker(pytest.mark.seconds(SECONDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in sorted(EXAMPLES.items()):
        terminalreporter.write_line(f"{name}: {count} examples")
