"""
A runtime's side of the protocol, played against an agent to see whether it takes what runtimes send, and answers.

What it is not: an agent, or a container.  Each listener that is handed over is that of a small program, which makes
one call that its filter notifies.  What the agent says to that is its policy's business; that it says something is
what is found out.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from errno import ENOSYS
from typing import Final, NamedTuple

import trio

from monitor.abi.arch import Arch
from monitor.abi.constants import errno_name
from monitor.abi.syscalls import number_of
from monitor.errors import LaunchError
from monitor.policy.notify_program import compile_notify
from monitor.sources.launch import Launch, start

ANSWER_SECONDS: Final = 10.0
"""For the answer of one call."""

_ASKS: Final = (
    "import os\n"
    "try: os.mkdir('/')\n"
    "except OSError as error: print(error.errno, flush=True)\n"
    "else: print(0, flush=True)\n"
)
"""Makes mkdir("/"), which does nothing wherever it is let run; says how it was answered."""

_PIECE: Final = 7
_LARGE: Final = 300_000


class Found(NamedTuple):
    """What came of one trial."""

    title: str
    is_right: bool
    what: str


class _Trial(NamedTuple):
    title: str
    run: Callable[[str, str], Awaitable[str]]
    """Of the socket and the metadata; returns what was seen."""


class WrongError(Exception):
    """The agent did not do as runtimes have to be able to rely on; the text says what."""


async def checked(path: str, metadata: str) -> AsyncGenerator[Found, None]:
    """Yield what came of each trial at the socket *path*, with *metadata* in every message; one after another."""
    for title, run in _TRIALS:
        try:
            what = await run(path, metadata)
        except (WrongError, LaunchError, OSError) as error:
            yield Found(title, is_right=False, what=str(error))
        else:
            yield Found(title, is_right=True, what=what)


# ---- the parts of a trial ----


def _message(pid: int, metadata: str, *, ident: str, **changes: object) -> bytes:
    """Return what a runtime sends of process *pid*."""
    state = {"ociVersion": "1.0.2", "id": ident, "status": "creating", "pid": pid, "bundle": "/", **changes}
    said = {"ociVersion": "1.0.2", "fds": ["seccompFd"], "pid": state["pid"], "metadata": metadata, "state": state}
    if not metadata:
        del said["metadata"]
    return json.dumps(said).encode()


async def _connected(path: str) -> trio.SocketStream:
    stream = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        await stream.connect(path)
    except BaseException:
        stream.close()
        raise
    return trio.SocketStream(stream)


async def _send(stream: trio.SocketStream, pieces: Sequence[bytes], fds: Sequence[int]) -> None:
    """Send *pieces*, with *fds* beside the first."""
    try:
        for index, piece in enumerate(pieces):
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds))]
            sent = await stream.socket.sendmsg([piece], [] if index else rights)
            if sent < len(piece):
                await stream.send_all(piece[sent:])
    except (OSError, trio.BrokenResourceError) as error:
        message = f"the agent closed the connection before it had the whole message: {error}"
        raise WrongError(message) from None


class _Program(NamedTuple):
    """The program that asks, while it waits to be handed over."""

    pid: int
    listener: int
    """Borrowed."""
    answer: Callable[[], Awaitable[str]]
    """Waits for what it was answered.  Raises WrongError: that was nothing, or nobody's answer."""


@asynccontextmanager
async def _asking(seconds: float = ANSWER_SECONDS) -> AsyncGenerator[_Program, None]:
    """Have a program for the length of the block that makes its call when whoever gets its listener lets it."""
    number = number_of(Arch.native(), "mkdir")
    assert number is not None
    launch = Launch([sys.executable, "-I", "-S", "-c", _ASKS], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    started = await start(launch, compile_notify({Arch.native(): frozenset({number})}))
    listener = os.dup(started.listener.fileno())
    started.listener.close()
    given: list[int] = [listener]

    async def answer() -> str:
        while given:  # the agent's copy is the last one now, as when a runtime has sent it
            os.close(given.pop())
        with trio.move_on_after(seconds):
            said = await started.process.streams[1].receive_some(16)
            if said.strip().isdigit():
                return _answered(int(said))
        message = f"no answer within {seconds:g} seconds"
        raise WrongError(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(started.process.watch)
        try:
            yield _Program(started.process.pid, listener, answer)
        finally:
            while given:
                os.close(given.pop())
            with trio.CancelScope(shield=True):
                await started.process.end(0)
                nursery.cancel_scope.cancel()


def _answered(errno: int) -> str:
    if errno == ENOSYS:
        message = "the call failed with ENOSYS: the agent has closed the listener, or never took it"
        raise WrongError(message)
    return f"mkdir answered with {errno_name(errno)}" if errno else "mkdir answered with success"


async def _handed_over(
    path: str, metadata: str, *, ident: str, size: int = 0, pid: int | None = None, **changes: object
) -> str:
    """Hand a program's listener over, in pieces of *size* bytes if that is not 0; what it was answered."""
    async with _asking() as program, await _connected(path) as stream:
        message = _message(program.pid if pid is None else pid, metadata, ident=ident, **changes)
        pieces = [message[at : at + size] for at in range(0, len(message), size)] if size else [message]
        await _send(stream, pieces, [program.listener])
        return await program.answer()


# ---- the trials ----


async def _whole(path: str, metadata: str) -> str:
    return await _handed_over(path, metadata, ident="check-whole")


async def _kept_open(path: str, metadata: str) -> str:
    """As crun run does: the agent must not wait for the end of the stream."""
    return await _handed_over(path, metadata, ident="check-open")


async def _in_pieces(path: str, metadata: str) -> str:
    return await _handed_over(path, metadata, ident="check-pieces", size=_PIECE)


async def _large(path: str, metadata: str) -> str:
    return await _handed_over(path, metadata, ident="check-large", annotations={"check": "x" * _LARGE})


async def _executed(path: str, metadata: str) -> str:
    """As crun exec does, of which older versions tell no pid."""
    return await _handed_over(path, metadata, ident="check-exec", pid=0, status="running", bundle=".")


async def _silent(path: str, metadata: str) -> str:
    """As crun does with no-new-privileges between create and start: it connects, and sends hours later."""
    async with await _connected(path), await _connected(path):
        return await _handed_over(path, metadata, ident="check-silent")


async def _late(path: str, metadata: str) -> str:
    async with await _connected(path) as stream:
        await _handed_over(path, metadata, ident="check-other")
        async with _asking() as program:
            await _send(stream, [_message(program.pid, metadata, ident="check-late")], [program.listener])
            return await program.answer()


async def _failed(path: str, metadata: str) -> str:
    """As crun does for a container that cannot be started: it connects, and goes."""
    async with await _connected(path):
        pass
    return await _handed_over(path, metadata, ident="check-after-nothing")


async def _garbage(path: str, metadata: str) -> str:
    for wrong in (b"garbage", b"{}", b'{"half":'):
        async with await _connected(path) as stream:
            await stream.send_all(wrong)
    return await _handed_over(path, metadata, ident="check-after-garbage")


async def _wrong_fd(path: str, metadata: str) -> str:
    with open(os.devnull, "rb") as null:  # noqa: ASYNC230, PTH123  # it blocks nobody
        async with await _connected(path) as stream:
            await _send(stream, [_message(os.getpid(), metadata, ident="check-wrong")], [null.fileno()])
    return await _handed_over(path, metadata, ident="check-after-wrong")


_TRIALS: Final = (
    _Trial("a listener in one message", _whole),
    _Trial("a connection that stays open", _kept_open),
    _Trial(f"a message in pieces of {_PIECE} bytes", _in_pieces),
    _Trial(f"{_LARGE // 1000} kB of annotations", _large),
    _Trial("an exec that tells no pid", _executed),
    _Trial("two silent connections beside it", _silent),
    _Trial("a connection that sends late", _late),
    _Trial("a connection without a byte before it", _failed),
    _Trial("garbage before it", _garbage),
    _Trial("a descriptor that is no listener before it", _wrong_fd),
)
