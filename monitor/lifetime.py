"""
How long the parts of a run live, and which exception leaves its block.

What it is not: anything that knows about processes or handlers; ``supervisor`` passes those in.
The rules are told at the top of ``supervisor.py``.

^C is held back while the block is entered and left, and reaches it where it waits: between two
lines of a clean-up it would leave a process without anybody to end it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import trio

from monitor.errors import HandlerError, SupervisorError

if TYPE_CHECKING:
    from monitor.events.hub import Served, Sink

T = TypeVar("T")


class Leave(Protocol):
    """What ends a run from outside; it is told whether calls are still answered."""

    def __call__(self, *, answering: bool) -> Awaitable[None]:
        """End it."""
        ...


class Background:
    """Tasks that go on while the body unwinds, and whose first failure is kept instead of raised."""

    def __init__(self) -> None:
        """Nothing runs yet, and nothing has failed."""
        self._scopes: list[trio.CancelScope] = []
        self.body = trio.CancelScope()
        """Cancelled at the first failure."""
        self.failure: BaseException | None = None

    def start(self, nursery: trio.Nursery, function: Callable[[], Awaitable[None]]) -> None:
        """Run *function* in *nursery* until ``stop``."""
        scope = trio.CancelScope(shield=True)
        self._scopes.append(scope)
        nursery.start_soon(self._keep, function, scope)

    def stop(self) -> None:
        """Cancel everything that still runs."""
        for scope in self._scopes:
            scope.cancel()

    def fail(self, error: BaseException) -> None:
        """Keep *error* if it is the first, and cancel the body."""
        if self.failure is None:
            self.failure = most_telling(error)
        self.body.cancel()

    @trio.lowlevel.enable_ki_protection  # a task of ours that ^C ended would be missed at the end
    async def _keep(self, function: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            try:
                await function()
            except trio.Cancelled:
                raise
            except BaseExceptionGroup as group:
                cancelled, rest = group.split(trio.Cancelled)
                if rest is not None:
                    self.fail(rest)
                if cancelled is not None:
                    raise cancelled from None
            except BaseException as error:  # noqa: BLE001  # kept, and raised at the end of the block
                self.fail(error)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(part)
    else:
        yield error


def most_telling(error: BaseException) -> BaseException:
    """
    Return the one exception in *error* that leaves the block, with a note about the others.

    A KeyboardInterrupt or SystemExit counts most, then a HandlerError, which a test waits for.
    """
    leaves = list(_leaves(error))
    if len(leaves) == 1:
        return leaves[0]
    ranked = [leaf for leaf in leaves if not isinstance(leaf, Exception)]
    ranked += [leaf for leaf in leaves if isinstance(leaf, HandlerError)]
    if not ranked:
        return error
    for other in leaves:
        if other is not ranked[0]:
            ranked[0].add_note(f"at the same time: {other!r}")
    return ranked[0]


def _is_cancellation(error: BaseException) -> bool:
    return all(isinstance(leaf, trio.Cancelled) for leaf in _leaves(error))


def as_it_leaves(failure: BaseException) -> BaseException:
    """Return what a failure of ours is to whoever wrote the block."""
    if isinstance(failure, HandlerError) or not isinstance(failure, Exception):
        return failure
    error = SupervisorError(f"the supervision failed: {failure!r}")
    error.__cause__ = failure
    return error


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def block(
    *,
    serve: Callable[[], Awaitable[None]],
    others: Sequence[Callable[[], Awaitable[None]]],
    leave: Leave,
    close: Callable[[], None],
    tell: Callable[[BaseException], None],
) -> AsyncGenerator[None, None]:
    """
    Run *serve* and *others* behind the body; afterwards *leave*, stop them, and *close*.

    *leave* is told whether calls are still answered, and does not see any cancellation from
    outside; interrupted by ^C it is asked again, in a hurry.  *tell* is given a failure of ours
    that does not leave the block, because the body's own exception does.
    """
    raised: BaseException | None = None
    background = Background()
    try:
        async with trio.open_nursery() as nursery:
            for function in (serve, *others):
                background.start(nursery, function)
            try:
                with background.body:
                    yield
            except BaseException as error:  # noqa: BLE001  # raised below, when everything is cleaned up
                raised = error
            with trio.CancelScope(shield=True):
                await _leave(leave, background)
            background.stop()
    except BaseException as error:  # noqa: BLE001  # ^C, while the last tasks ended
        background.fail(error)
    try:
        close()
    except Exception as error:  # noqa: BLE001  # kept, as every failure of ours
        background.fail(error)
    failure = background.failure
    if raised is not None and failure is not None and not _is_cancellation(raised):
        raised.add_note(f"meanwhile the supervision failed: {failure!r}")
        with contextlib.suppress(Exception):  # a sink that raises: likely the failure itself
            tell(failure)
    elif failure is not None:
        raise as_it_leaves(failure)  # also in place of Cancelled, which would swallow it
    if raised is not None:
        raise raised


async def _leave(leave: Leave, background: Background) -> None:
    answering = background.failure is None
    while True:
        try:
            await leave(answering=answering)
        except KeyboardInterrupt as error:
            background.fail(error)
            answering = False
        except BaseException as error:  # noqa: BLE001  # kept
            background.fail(error)
            return
        else:
            return


def finishing(sinks: Sequence[Sink], run: AbstractAsyncContextManager[T]) -> AbstractAsyncContextManager[T]:
    """Return *run*, after which, however it ends or fails to begin, those of *sinks* that want to finish do."""
    if not sinks:
        return run
    from monitor.events.hub import served  # noqa: PLC0415  # many runs have no sinks

    finished = served(sinks)
    return _finishing(finished, run) if finished else run


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def _finishing(sinks: Sequence[Served], run: AbstractAsyncContextManager[T]) -> AsyncGenerator[T, None]:
    try:
        async with run as entered:
            yield entered
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for sink in sinks:
                    nursery.start_soon(sink.finish)
