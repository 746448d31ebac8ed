"""
What every ring of the tests shares: profiles, time limits, compiled targets, required features.

What it is not: fixtures of one ring; those stand beside their tests.
"""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, Phase, settings

HERE = Path(__file__).parent
TARGETS = HERE / "targets"

SECONDS_PER_TEST = int(os.environ.get("MONITOR_TEST_SECONDS", "60"))
"""Far more than any test needs; the long ones say so with ``@pytest.mark.seconds(n)``."""

settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Under a planted fault the first example that fails is enough: nobody reads the smallest.
settings.register_profile(
    "planted", settings.get_profile("dev"), phases=(Phase.explicit, Phase.reuse, Phase.generate), database=None
)
settings.load_profile(os.environ.get("MONITOR_TEST_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


class Hung(BaseException):
    """A test ran out of time; the stacks were printed."""


def require(feature: str, available: bool) -> None:
    """
    Skip the test unless *feature* is there; fail where the environment requires it.

    ``MONITOR_TEST_REQUIRE`` is "all" or a list of features, separated by commas.
    """
    if available:
        return
    required = os.environ.get("MONITOR_TEST_REQUIRE", "").split(",")
    if "all" in required or feature in required:
        pytest.fail(f"{feature} is required here, and missing")
    pytest.skip(f"{feature} is missing")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="Write what programs show now into the documents.")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether documents are mended rather than compared."""
    return bool(request.config.getoption("--update"))


@pytest.fixture(autouse=True)
def _time_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """End a test that hangs, and show where."""
    mark = request.node.get_closest_marker("seconds")
    seconds = mark.args[0] if mark else SECONDS_PER_TEST

    def expire(_number: int, _frame: FrameType | None) -> None:
        faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
        message = f"no end after {seconds} s"
        raise Hung(message)

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)  # again, where a clean-up waits for what hangs
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def public_directory() -> Iterator[Path]:
    """A directory that every user can read and execute programs in."""
    directory = Path(tempfile.mkdtemp(prefix="monitor-tests-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def compiled(public_directory: Path) -> Callable[..., str]:
    """Return the path of ``tests/targets/NAME.c``, compiled once; flags make another program of it."""
    made: dict[tuple[str, ...], str] = {}

    def compile_target(name: str, *flags: str) -> str:
        key = (name, *flags)
        if key not in made:
            output = public_directory / "-".join([name, *(flag.strip("-") for flag in flags)])
            command = ["gcc", "-O1", "-g", "-Wall", "-o", str(output), str(TARGETS / f"{name}.c"), "-lpthread", *flags]
            subprocess.run(command, check=True)
            output.chmod(0o755)
            made[key] = str(output)
        return made[key]

    return compile_target


@pytest.fixture
def open_fds() -> Callable[[], set[str]]:
    """Return a function that tells which fds this process has open now, and on what."""

    def look() -> set[str]:
        found = set()
        for entry in Path("/proc/self/fd").iterdir():
            try:
                found.add(f"{entry.name} -> {entry.readlink()}")
            except FileNotFoundError:
                continue  # the fd of this very listing
        return found

    return look
