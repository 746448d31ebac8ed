"""
Our own threads, for what may have to sleep and for what needs a umask.

What it is not: trio's threads, which are used again for other people's work.  Each of these has a
root, a working directory and a umask of its own (unshare(2), CLONE_FS); nothing else of the
process sees what it changes.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from errno import EAGAIN
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

import outcome
import trio

from monitor._native import unshare_fs
from monitor.errors import KernelFeatureError

T = TypeVar("T")

WAKES: Final = 200
WAKE_SECONDS: Final = 0.01
"""How often, and how long apart, what nobody waits for any more is woken."""


class _Job(Generic[T]):
    """One thing to do, and who waits for it."""

    def __init__(self, function: Callable[[], T], undo: Callable[[outcome.Outcome[T]], None]) -> None:
        self.function = function
        self.undo = undo
        self.done = trio.Event()
        self.token = trio.lowlevel.current_trio_token()
        self.result: outcome.Outcome[T] | None = None
        self._lock = threading.Lock()
        self._abandoned = False

    def run(self, ready: outcome.Outcome[None]) -> None:
        """Do it, on a worker that is *ready*; give back what nobody waits for any more."""
        result = ready if isinstance(ready, outcome.Error) else outcome.capture(self.function)
        with self._lock:
            abandoned = self._abandoned
            self.result = result
        if abandoned:
            self.undo(result)
            return
        try:
            self.token.run_sync_soon(self.done.set)
        except trio.RunFinishedError:
            self.abandon()

    def abandon(self) -> None:
        """Say that nobody waits for it."""
        with self._lock:
            self._abandoned = True
            result = self.result
        if result is not None:
            self.undo(result)


class Workers:
    """As many threads as have something to do, and those that had."""

    def __init__(self) -> None:
        """Start none."""
        self._idle: deque[SimpleQueue[_Job[object] | None]] = deque()
        self._lock = threading.Lock()
        self._busy = 0
        self._end: Callable[[], None] | None = None

    async def run(
        self,
        function: Callable[[], T],
        undo: Callable[[outcome.Outcome[T]], None],
        wake: Callable[[], AbstractContextManager[Callable[[], None]] | None] = lambda: None,
        *,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> T:
        """
        Return what *function* returns on a worker.

        Cancelled, it goes on there, and when it has come to an end *undo* gives back what came of it.
        *wake*, asked then, says what may end a sleep of it, if anything does.  Where *is_ending* says that
        it does not sleep any more, its end is awaited all the same.

        Raises:
            OSError: there can be no more threads.
            KernelFeatureError: none can have a umask of its own.
        """
        job = _Job(function, undo)
        self._queue().put(job)  # type: ignore[arg-type]  # whatever it returns is only handed on
        try:
            await job.done.wait()
        except trio.Cancelled:
            if not is_ending():
                waker = wake()  # before it may be given back
                job.abandon()
                if waker is not None:
                    _start_waking(job, waker)
                raise
            with trio.CancelScope(shield=True):
                await job.done.wait()
        assert job.result is not None
        return job.result.unwrap()

    def _queue(self) -> SimpleQueue[_Job[object] | None]:
        with self._lock:
            self._busy += 1
            if self._idle:
                return self._idle.pop()
        queue: SimpleQueue[_Job[object] | None] = SimpleQueue()
        try:
            threading.Thread(target=self._work, args=(queue,), name="monitor worker", daemon=True).start()
        except RuntimeError:  # "can't start new thread"
            with self._lock:
                self._busy -= 1
            raise OSError(EAGAIN, os.strerror(EAGAIN)) from None
        return queue

    def _work(self, queue: SimpleQueue[_Job[object] | None]) -> None:
        ready = outcome.capture(_get_ready)
        while (job := queue.get()) is not None:
            job.run(ready)
            if self._rest(queue):
                return

    def _rest(self, queue: SimpleQueue[_Job[object] | None]) -> bool:
        """Have *queue* wait for the next job; whether there is none any more."""
        with self._lock:
            self._busy -= 1
            end = self._end
            if end is None:
                self._idle.append(queue)
                return False
            last = self._busy == 0
        if last:
            end()
        return True

    def close(self, end: Callable[[], None]) -> None:
        """
        End the threads that have nothing to do; the others end when they have done it.

        Then *end* is called, by the last one: what they use is theirs until then.
        """
        with self._lock:
            self._end = end
            idle, self._idle = self._idle, deque()
            last = self._busy == 0
        for queue in idle:
            queue.put(None)
        if last:
            end()


def _start_waking(job: _Job[Any], waker: AbstractContextManager[Callable[[], None]]) -> None:
    try:
        threading.Thread(target=_wake_up, args=(job, waker), name="monitor waker", daemon=True).start()
    except RuntimeError:  # "can't start new thread": then once has to do
        with waker as wake:
            wake()


def _wake_up(job: _Job[Any], waker: AbstractContextManager[Callable[[], None]]) -> None:
    """Wake *job* until it has come to an end; it may not sleep yet."""
    with waker as wake:
        for _ in range(WAKES):
            if job.result is not None:
                return
            wake()
            time.sleep(WAKE_SECONDS)


def _get_ready() -> None:
    try:
        unshare_fs()
    except OSError as error:
        feature = "unshare(CLONE_FS)"
        what = f"a thread has to have a umask of its own to make files for a program ({error.strerror})"
        raise KernelFeatureError(feature, what) from error
