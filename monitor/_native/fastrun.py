"""
Plain calls whose decision is known are answered in a row: native/fastrun.c.

What it is not: a decision.  What was not said before is asked, with what was looked up still open: ``go`` with what is
said, or the actor's ``drop``, has to follow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from monitor._native.fastacts import FastActor
from monitor._native.fastpath import HEAD, Plain
from monitor._native.listener import PACK, UNPACK, RawNotification
from monitor._native.shim import constant, ffi, lib

UNSAID: Final = constant("MON_SAID_NOTHING")
ALLOWED: Final = constant("MON_SAID_ALLOWED")
MISSING: Final = constant("MON_SAID_MISSING")
ELSEWHERE: Final = constant("MON_SAID_ELSEWHERE")
"""What is said: nothing yet; that it is allowed, and there; that it may be known that it is not; or nothing here."""

NOTHING: Final = constant("MON_RUN_NOTHING")
RECEIVED: Final = constant("MON_RUN_RECEIVED")
LEFT: Final = constant("MON_RUN_LEFT")
STALE: Final = constant("MON_RUN_STALE")
ASKS: Final = constant("MON_RUN_ASKS")
"""Why a run is over: native/shim.h."""

_PLACES: Final = constant("MON_KEPT_PLACES")

_run: Final = lib.mon_fast_run


def usable_cpus() -> int:
    """Return how many CPUs we, and whom we launch, may run on."""
    return len(os.sched_getaffinity(0))


class FastCall(NamedTuple):
    """
    The plain kind of one call; what it has not is -1.

    Attributes:
        path, directory, flags, buffer: the registers of the path, of where it starts, of the flags, of the buffer for a
            ``struct stat``.
        act: what is done, one of ``ACTS``; 0: it is an open or a stat.
        argument: the register behind the path.
        question: equal for calls of which the same is said.
        hows: by the flags, how it is looked up; what is not among them is not plain.
    """

    path: int
    directory: int
    flags: int
    buffer: int
    act: int
    argument: int
    question: int
    hows: Mapping[int, int]


class FastRun:
    """Answers what an actor, which it borrows, has received last, and what comes behind it."""

    __slots__ = ("_actor", "_kept", "_notif", "_object", "_run", "_view")

    def __init__(self, actor: FastActor) -> None:
        """Allocate the buffers; nothing is plain before ``use``."""
        self._actor = actor
        self._object, notification, size, self._view = actor.run_buffers()
        self._kept = ffi.new("struct mon_fast_kept[]", _PLACES)
        self._notif = notification
        run = self._run = ffi.new("struct mon_fast_run *")
        run.object, run.notification, run.size, run.kept = self._object, notification, size, self._kept
        run.spreads = usable_cpus() > 1

    def use(self, calls: Mapping[tuple[int, int], FastCall], further: int) -> None:
        """Have *calls*, by ABI and number, be plain from now on, looked up *further*; and forget what was said."""
        run = self._run
        run.epoch += 1
        run.further = further
        run.call_count = len(calls)
        for place, ((arch, number), call) in enumerate(calls.items()):
            data = run.calls[place]
            data.arch, data.nr = arch, number
            data.path, data.directory, data.flags, data.buffer = call.path, call.directory, call.flags, call.buffer
            data.act, data.argument, data.question = call.act, call.argument, call.question
            data.how_count = len(call.hows)
            for one, how in enumerate(call.hows.items()):
                data.hows[one].flags, data.hows[one].look = how

    def hold(self, raw: RawNotification) -> None:
        """Have *raw*, which waits, be what was received last: others have received since, when its task did not run."""
        if self._notif[0] != raw[0]:
            PACK(self._view, 0, *raw)

    def go(self, said: int, most: int) -> int:
        """Answer *most* calls at the most, and return why it ended; *said* of what is open, or ``UNSAID``."""
        return _run(self._run, self._actor.data(), said, most)

    @property
    def answered(self) -> int:
        """How many calls the last ``go`` has answered."""
        return int(self._run.answered)

    @property
    def sent(self) -> int:
        """What became of the last of these answers: 0 or a negative errno."""
        return int(self._run.sent)

    @property
    def received(self) -> int:
        """Why nothing was received (``NOTHING``)."""
        return int(self._run.received)

    @property
    def crowded(self) -> int:
        """Whether several threads call at the same time, and are woken on other CPUs than ours."""
        return int(self._run.crowded)

    def notification(self) -> RawNotification:
        """Return what was received last."""
        return UNPACK(self._view)

    def found(self) -> Plain:
        """Return what is asked about (``ASKS``)."""
        return Plain.of(ffi.buffer(self._object, HEAD + self._run.length)[:])
