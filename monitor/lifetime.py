"""
How long the parts of a run live, and which exception leaves its block.

What it is not: anything that knows about processes or handlers; ``supervisor`` passes those in.
The rules are told at the top of ``supervisor.py``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from monitor.errors import HandlerError, SupervisorError


class Background:
    """Tasks that go on while the body unwinds, and whose first failure is kept instead of raised."""

    def __init__(self, nursery: trio.Nursery) -> None:
        """Run in *nursery*."""
        self._nursery = nursery
        self._scopes: list[trio.CancelScope] = []
        self.body = trio.CancelScope()
        """Cancelled at the first failure."""
        self.failure: BaseException | None = None

    def start(self, function: Callable[[], Awaitable[None]]) -> trio.CancelScope:
        """Run *function*; cancelling the scope that is returned ends it."""
        scope = trio.CancelScope(shield=True)
        self._scopes.append(scope)
        self._nursery.start_soon(self._keep, function, scope)
        return scope

    def stop(self) -> None:
        """Cancel everything that still runs."""
        for scope in self._scopes:
            scope.cancel()

    def fail(self, error: BaseException) -> None:
        """Keep *error* if it is the first, and cancel the body."""
        if self.failure is None:
            self.failure = error
        self.body.cancel()

    async def _keep(self, function: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            try:
                await function()
            except trio.Cancelled:
                raise
            except BaseExceptionGroup as group:
                cancelled, rest = group.split(trio.Cancelled)
                if rest is not None:
                    self.fail(_single(rest))
                if cancelled is not None:
                    raise cancelled from None
            except BaseException as error:  # noqa: BLE001  # kept, and raised at the end of the block
                self.fail(error)


def _single(error: BaseException) -> BaseException:
    """Return the only exception in nested groups of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def as_it_leaves(failure: BaseException) -> BaseException:
    """Return what a failure of ours is to whoever wrote the block."""
    if isinstance(failure, HandlerError) or not isinstance(failure, Exception):
        return failure
    error = SupervisorError(f"the supervision failed: {failure!r}")
    error.__cause__ = failure
    return error


@asynccontextmanager
async def block(
    *,
    serve: Callable[[], Awaitable[None]],
    others: Sequence[Callable[[], Awaitable[None]]],
    leave: Callable[[bool], Awaitable[None]],
    close: Callable[[], None],
    tell: Callable[[BaseException], None],
) -> AsyncGenerator[None, None]:
    """
    Run *serve* and *others* behind the body; afterwards *leave*, stop them, and *close*.

    *leave* is told whether calls are still answered, and does not see any cancellation from
    outside.  *tell* is given a failure of ours that does not leave the block, because the
    body's own exception does.
    """
    raised: BaseException | None = None
    async with trio.open_nursery() as nursery:
        background = Background(nursery)
        background.start(serve)
        for other in others:
            background.start(other)
        try:
            with background.body:
                yield
        except GeneratorExit:  # the block was abandoned: nothing may be awaited any more
            close()
            raise
        except BaseException as error:  # noqa: BLE001  # raised below, when everything is cleaned up
            raised = error
        with trio.CancelScope(shield=True):
            try:
                await leave(background.failure is None)
            except BaseException as error:  # noqa: BLE001  # likewise
                background.fail(error)
            background.stop()
    try:
        if raised is not None and background.failure is not None:
            raised.add_note(f"meanwhile the supervision failed: {background.failure!r}")
            tell(background.failure)
    finally:
        close()
    if raised is not None:
        raise raised
    if background.failure is not None:
        raise as_it_leaves(background.failure)
