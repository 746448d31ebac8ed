"""
What the kernel ring shares: run a target under handlers, or hold its listener in the hand.

What it is not: a fake.  Every fixture here starts real processes, and leaves none.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import frozen

import monitor
from monitor._native import EVAPORATED, RawNotification
from monitor.abi.arch import Arch
from monitor.abi.syscalls import number_of
from monitor.notify.handler import HandlerFunction
from monitor.policy.bpf import Program
from monitor.policy.notify_program import compile_notify
from monitor.sources.launch import Started, start

NOBODY = 65534


@frozen
class Finished:
    """A target that has ended: its status as the shell has it, what it wrote, and its supervision."""

    status: int
    output: bytes
    run: monitor.ProcessRun


RunTarget = Callable[..., Awaitable[Finished]]
Launched = Callable[..., AbstractAsyncContextManager[Started]]


async def read_all(stream: trio.lowlevel.FdStream) -> bytes:
    """Return everything up to the end of *stream*."""
    return b"".join([chunk async for chunk in stream])


@pytest.fixture
def run_target() -> RunTarget:
    """Return a function that runs a program under handlers to its end, stdout and stderr taken."""

    async def run(
        argv: Sequence[str],
        handlers: Sequence[monitor.Handler | HandlerFunction],
        *,
        options: Mapping[str, object] | None = None,
        **launch: object,
    ) -> Finished:
        program = monitor.Launch(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **launch)  # type: ignore[arg-type]
        async with monitor.supervise(program, handlers=handlers, **(options or {})) as supervised:  # type: ignore[call-overload]
            output = await read_all(supervised.stdout)
            status = await supervised.wait()
        return Finished(status, output, supervised)

    return run


@pytest.fixture
def launched() -> Launched:
    """Return a context manager: a launched program whose notifications the test itself receives and answers."""

    @asynccontextmanager
    async def launch(argv: Sequence[str], *names: str, program: Program | None = None) -> AsyncIterator[Started]:
        numbers = frozenset(number for name in names if (number := number_of(Arch.native(), name)) is not None)
        started = await start(
            monitor.Launch(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT),
            program or compile_notify({Arch.native(): numbers}),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(started.process.watch)
            try:
                yield started
            finally:
                with trio.CancelScope(shield=True):
                    await started.process.end(0)
                started.listener.close()

    return launch


@pytest.fixture
def received() -> Callable[[monitor.Listener], Awaitable[RawNotification]]:
    """Return a function that waits for the next notification of a listener."""

    async def receive(listener: monitor.Listener) -> RawNotification:
        while True:
            await listener.wait()
            outcome = listener.receive()
            if isinstance(outcome, tuple):
                return outcome
            assert outcome == EVAPORATED, "no task is left that could make a call"

    return receive


def is_public(path: Path) -> bool:
    """Whether every user can get to *path*: not so for a checkout in root's home."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


@pytest.fixture(scope="session")
def ordinary_python(public_directory: Path) -> tuple[str, Mapping[str, str]]:
    """The Python that an ordinary user can run with our packages, and the environment it needs for that."""
    places = [Path(module.__file__ or "").parent for module in (monitor, trio)]
    if all(map(is_public, [*places, Path(sys.executable)])):
        return sys.executable, dict(os.environ)
    copy = public_directory / "packages"
    shutil.copytree(places[1].parent, copy, ignore=shutil.ignore_patterns("__pycache__", "monitor"))
    shutil.copytree(places[0], copy / "monitor", ignore=shutil.ignore_patterns("__pycache__"))
    base = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
    return base, dict(os.environ, PYTHONPATH=str(copy))


@pytest.fixture
def python_as_user(ordinary_python: tuple[str, Mapping[str, str]]) -> Callable[..., subprocess.Popen[bytes]]:
    """Return a function that starts Python code as an ordinary user, which we are or become."""
    program, environment = ordinary_python

    def begin(
        code: str, *arguments: str, ordinary: bool = True, env: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.Popen[bytes]:
        if ordinary and os.geteuid() == 0:
            options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return subprocess.Popen(  # type: ignore[call-overload]
            [program, "-c", code, *arguments],
            env={**environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            **options,
        )

    return begin


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    """An empty directory that an ordinary user can reach and write to, when we are root."""
    directory = Path(tempfile.mkdtemp(prefix="monitor-shared-", dir="/tmp"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)
