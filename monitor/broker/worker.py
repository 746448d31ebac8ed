"""
Our own threads, for what may have to sleep and for what needs a umask.

What it is not: trio's threads, which are used again for other people's work.  Each of these has a
root, a working directory and a umask of its own (unshare(2), CLONE_FS); nothing else of the
process sees what it changes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

import outcome
import trio

from monitor._native import unshare_fs

T = TypeVar("T")


class _Job(Generic[T]):
    """One thing to do, and who waits for it."""

    def __init__(self, function: Callable[[], T], undo: Callable[[T], None]) -> None:
        self.function = function
        self.undo = undo
        self.done = trio.Event()
        self.token = trio.lowlevel.current_trio_token()
        self.result: outcome.Outcome[T] | None = None
        self._lock = threading.Lock()
        self._abandoned = False

    def run(self) -> None:
        """Do it, on a worker; give back what nobody waits for any more."""
        result = outcome.capture(self.function)
        with self._lock:
            abandoned = self._abandoned
            self.result = result
        if abandoned:
            self._give_back()
            return
        try:
            self.token.run_sync_soon(self.done.set)
        except trio.RunFinishedError:
            self.abandon()

    def abandon(self) -> None:
        """Say that nobody waits for it."""
        with self._lock:
            self._abandoned = True
            finished = self.result is not None
        if finished:
            self._give_back()

    def _give_back(self) -> None:
        if isinstance(self.result, outcome.Value):
            self.undo(self.result.unwrap())


class Workers:
    """As many threads as have something to do, and those that had."""

    def __init__(self) -> None:
        """Start none."""
        self._idle: deque[SimpleQueue[_Job[object] | None]] = deque()
        self._closed = False

    async def run(self, function: Callable[[], T], undo: Callable[[T], None]) -> T:
        """
        Return what *function* returns on a worker.

        Cancelled, it goes on there, and *undo* gives back what came of it.
        """
        job = _Job(function, undo)
        self._queue().put(job)  # type: ignore[arg-type]  # whatever it returns is only handed on
        try:
            await job.done.wait()
        except trio.Cancelled:
            job.abandon()
            raise
        assert job.result is not None
        return job.result.unwrap()

    def _queue(self) -> SimpleQueue[_Job[object] | None]:
        if self._idle:
            return self._idle.pop()
        queue: SimpleQueue[_Job[object] | None] = SimpleQueue()
        threading.Thread(target=self._work, args=(queue,), name="monitor worker", daemon=True).start()
        return queue

    def _work(self, queue: SimpleQueue[_Job[object] | None]) -> None:
        unshare_fs()
        while (job := queue.get()) is not None:
            job.run()
            if self._closed:
                return
            self._idle.append(queue)

    def close(self) -> None:
        """End the threads that have nothing to do; the others end when they have done it."""
        self._closed = True
        while self._idle:
            self._idle.pop().put(None)
