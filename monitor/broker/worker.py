"""
Our own threads, for what may have to sleep and for what needs a umask.

What it is not: trio's threads, which are used again for other people's work.  Each of these has a
root, a working directory and a umask of its own (unshare(2), CLONE_FS); nothing else of the
process sees what it changes.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from errno import EAGAIN
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import outcome
import trio

from monitor._native import StrandedError, unshare_fs
from monitor.errors import KernelFeatureError
from monitor.notify.emulation import MayBlockError

T = TypeVar("T")


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
            if self._abandoned:
                return  # twice: by who waited, and by the end of the loop
            self._abandoned = True
            result = self.result
        if result is not None:
            self.undo(result)


class _Errand:
    """One short thing to do, for whose end somebody stands and waits."""

    __slots__ = ("_done", "_function", "result")

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._done = threading.Lock()
        self._done.acquire()
        self.result: outcome.Outcome[object] | None = None

    def run(self, ready: outcome.Outcome[None]) -> None:
        self.result = ready if isinstance(ready, outcome.Error) else outcome.capture(self._function)
        self._done.release()

    def wait(self) -> outcome.Outcome[object]:
        self._done.acquire()
        assert self.result is not None
        return self.result


class Runner:
    """
    One thread with a umask of its own, for what takes no longer than to hand it over.

    Whoever hands something over waits for it: that costs two wake-ups, and not a turn of the loop.
    """

    def __init__(self) -> None:
        """Start nothing."""
        self._errands: SimpleQueue[_Errand | None] | None = None

    def run(self, function: Callable[[], T]) -> T:
        """
        Return what *function* returns there.

        Raises what it raises; MayBlockError: there can be no more threads, but a worker may be there;
        KernelFeatureError: none can have a umask of its own.
        """
        if self._errands is None:
            errands: SimpleQueue[_Errand | None] = SimpleQueue()
            try:
                _start_thread(partial(_run_errands, errands), "monitor runner")
            except OSError:
                raise MayBlockError from None
            self._errands = errands
        errand = _Errand(function)
        self._errands.put(errand)
        result = errand.wait()
        if _is_stranded(result):
            self._errands = None  # its thread has ended
        return result.unwrap()  # type: ignore[return-value]  # it is what function returns

    def close(self) -> None:
        """End the thread."""
        if self._errands is not None:
            self._errands.put(None)


def _run_errands(errands: SimpleQueue[_Errand | None]) -> None:
    ready = outcome.capture(_get_ready)
    while (errand := errands.get()) is not None:
        errand.run(ready)
        if _is_stranded(errand.result):
            return


def _is_stranded(result: outcome.Outcome[Any] | None) -> bool:
    """Whether the thread that came to *result* has other rights than ours, and cannot come back."""
    return isinstance(result, outcome.Error) and isinstance(result.error, StrandedError)


def _start_thread(function: Callable[[], None], name: str) -> None:
    """Start a thread.  Raises OSError."""
    try:
        threading.Thread(target=function, name=name, daemon=True).start()
    except RuntimeError:  # "can't start new thread"
        raise OSError(EAGAIN, os.strerror(EAGAIN)) from None


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
        wake: Callable[[], None] = lambda: None,
        *,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> T:
        """
        Return what *function* returns on a worker.

        Cancelled, it goes on there, and when it has come to an end *undo* gives back what came of it.
        *wake*, called before that, ends a sleep of it, if anything does.  Where *is_ending* says that
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
                wake()  # before what that needs may be given back
                job.abandon()
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
            _start_thread(partial(self._work, queue), "monitor worker")
        except OSError:
            with self._lock:
                self._busy -= 1
            raise
        return queue

    def _work(self, queue: SimpleQueue[_Job[object] | None]) -> None:
        ready = outcome.capture(_get_ready)
        while (job := queue.get()) is not None:
            job.run(ready)
            if self._rest(queue, ends=_is_stranded(job.result)):
                return

    def _rest(self, queue: SimpleQueue[_Job[object] | None], *, ends: bool) -> bool:
        """Have *queue* wait for the next job, unless its thread *ends*; whether there is none any more."""
        with self._lock:
            self._busy -= 1
            end = self._end
            if end is None:
                if not ends:
                    self._idle.append(queue)
                return ends
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


def _get_ready() -> None:
    try:
        unshare_fs()
    except OSError as error:
        feature = "unshare(CLONE_FS)"
        what = f"a thread has to have a umask of its own to make files for a program ({error.strerror})"
        raise KernelFeatureError(feature, what) from error
